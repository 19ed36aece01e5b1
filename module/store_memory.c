// SPDX-License-Identifier: GPL-2.0
/*
 * A store in memory: the image is a second set of pages.
 *
 * A flush moves pages in, and frees those that they replace.
 */

#include "mmapdev.h"

#include <linux/highmem.h>
#include <linux/slab.h>
#include <linux/xarray.h>

/**
 * struct memory_store - an image in memory
 * @store: what the object knows of it
 * @image: pages by index
 * @pages: how many
 */
struct memory_store {
	struct mmapdev_store store;
	struct xarray image;
	atomic_long_t pages;
};

static struct memory_store *memory_of(struct mmapdev_store *store)
{
	return container_of(store, struct memory_store, store);
}

static bool memory_has(struct mmapdev_store *store, pgoff_t index)
{
	return xa_load(&memory_of(store)->image, index);
}

static pgoff_t memory_next(struct mmapdev_store *store, pgoff_t index)
{
	unsigned long found = index;

	return xa_find(&memory_of(store)->image, &found, ULONG_MAX,
		       XA_PRESENT) ? found : ULONG_MAX;
}

static pgoff_t memory_next_hole(struct mmapdev_store *store, pgoff_t index)
{
	while (memory_has(store, index)) {
		index++;
		cond_resched();
	}
	return index;
}

static unsigned long memory_count(struct mmapdev_store *store, pgoff_t first,
				  pgoff_t end)
{
	struct memory_store *memory = memory_of(store);
	unsigned long n = 0;
	unsigned long index;
	struct page *page;

	if (!first && end == ULONG_MAX)
		return atomic_long_read(&memory->pages);
	xa_for_each_range(&memory->image, index, page, first, end - 1) {
		n++;
		cond_resched();
	}
	return n;
}

static int memory_load(struct mmapdev_store *store, pgoff_t index,
		       struct page *page)
{
	struct page *from = mmapdev_store_find_page(&memory_of(store)->image,
						    index);

	if (from) {
		copy_highpage(page, from);
		put_page(from);
	}
	return 0;
}

static int memory_reserve(struct mmapdev_store *store, pgoff_t index, gfp_t gfp)
{
	return xa_reserve(&memory_of(store)->image, index, gfp);
}

static void memory_unreserve(struct mmapdev_store *store, pgoff_t index)
{
	xa_release(&memory_of(store)->image, index);
}

/* There is room: there was a page here, or its place is reserved. */
static void memory_commit(struct mmapdev_store *store, pgoff_t index,
			  struct page **pages, unsigned int n)
{
	struct memory_store *memory = memory_of(store);
	XA_STATE(xas, &memory->image, index);
	unsigned int i, new = 0;

	xas_lock(&xas);
	for (i = 0; i < n; i++, xas_next(&xas)) {
		void *old = xas_store(&xas, pages[i]);

		pages[i] = xa_is_zero(old) ? NULL : old;
		new += !pages[i];
	}
	xas_unlock(&xas);
	atomic_long_add(new, &memory->pages);
}

/* Where something is pending its place stays reserved. */
static int memory_punch(struct mmapdev_store *store, pgoff_t first, pgoff_t end)
{
	struct memory_store *memory = memory_of(store);
	unsigned long index;
	struct page *page;

	xa_for_each_range(&memory->image, index, page, first, end - 1) {
		bool pending;

		xa_lock(&memory->image);
		pending = xa_load(&store->pending, index);
		__xa_store(&memory->image, index,
			   pending ? XA_ZERO_ENTRY : NULL, 0);
		xa_unlock(&memory->image);
		atomic_long_dec(&memory->pages);
		mmapdev_store_free_page(store, page);
		cond_resched();
	}
	return 0;
}

static int memory_resize(struct mmapdev_store *store, loff_t size)
{
	return 0;
}

static void memory_release(struct mmapdev_store *store)
{
	struct memory_store *memory = memory_of(store);

	mmapdev_store_empty(store);
	memory_punch(store, 0, ULONG_MAX);
	mmapdev_recycle_forget(store);
	xa_destroy(&memory->image);
	mmapdev_user_put(store->user);
	kfree(memory);
}

static const struct mmapdev_store_ops memory_ops = {
	.kind		= MMAPDEV_STORE_MEMORY,
	.name		= "memory",
	.has		= memory_has,
	.next		= memory_next,
	.next_hole	= memory_next_hole,
	.count		= memory_count,
	.load		= memory_load,
	.reserve	= memory_reserve,
	.unreserve	= memory_unreserve,
	.flush		= mmapdev_store_flush_now,
	.commit		= memory_commit,
	.punch		= memory_punch,
	.resize		= memory_resize,
	.release	= memory_release,
};

/**
 * mmapdev_memory_store - make a store in memory
 * @size: of its image
 *
 * Return: The store, or ERR_PTR(-ENOMEM).
 */
struct mmapdev_store *mmapdev_memory_store(loff_t size)
{
	struct memory_store *memory = kzalloc(sizeof(*memory),
					      GFP_KERNEL_ACCOUNT);

	if (!memory)
		return ERR_PTR(-ENOMEM);
	if (mmapdev_store_init(&memory->store, &memory_ops, size,
			       MMAPDEV_MAX_SIZE)) {
		kfree(memory);
		return ERR_PTR(-ENOMEM);
	}
	xa_init_flags(&memory->image, XA_FLAGS_ACCOUNT);
	return &memory->store;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_memory_store);
