// SPDX-License-Identifier: GPL-2.0
/*
 * A store in memory: the image is a second set of pages.
 *
 * A flush moves pages in, and hands back those that they replace.
 */

#include "mmapdev.h"

#include <linux/highmem.h>
#include <linux/slab.h>
#include <linux/xarray.h>

/**
 * struct memory_store - an image in memory
 * @store: what the object knows of it
 * @image: pages by index; store.c's rules for entries
 * @count: of @image
 */
struct memory_store {
	struct mmapdev_store store;
	struct xarray image;
	atomic_long_t count;
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

static unsigned long memory_pages(struct mmapdev_store *store)
{
	return atomic_long_read(&memory_of(store)->count);
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

/* Never fails: there was a page here, or its place is reserved. */
static unsigned int memory_commit(struct mmapdev_store *store, pgoff_t index,
				  struct page **pages, unsigned int n,
				  int *err)
{
	struct memory_store *memory = memory_of(store);
	XA_STATE(xas, &memory->image, index);
	long more = 0;
	unsigned int i;

	xas_lock(&xas);
	for (i = 0; i < n; i++) {
		struct page *old = i ? xas_next(&xas) : xas_load(&xas);

		if (xa_is_zero(old))	/* reserved */
			old = NULL;
		xas_store(&xas, pages[i]);
		more += !!pages[i] - !!old;
		pages[i] = old;
	}
	xas_unlock(&xas);
	atomic_long_add(more, &memory->count);
	return n;
}

static int memory_resize(struct mmapdev_store *store, loff_t size)
{
	return 0;
}

static void memory_free(struct mmapdev_store *store)
{
	struct memory_store *memory = memory_of(store);
	unsigned long index;
	struct page *page;

	xa_for_each(&memory->image, index, page)
		mmapdev_store_free_page(page);
	xa_destroy(&memory->image);
	kfree(memory);
}

static const struct mmapdev_store_ops memory_ops = {
	.kind		= MMAPDEV_STORE_MEMORY,
	.name		= "memory",
	.has		= memory_has,
	.next		= memory_next,
	.next_hole	= memory_next_hole,
	.pages		= memory_pages,
	.load		= memory_load,
	.reserve	= memory_reserve,
	.commit		= memory_commit,
	.resize		= memory_resize,
	.free		= memory_free,
};

/**
 * mmapdev_memory_store - make a store in memory
 *
 * Return: The store, or ERR_PTR(-ENOMEM).
 */
struct mmapdev_store *mmapdev_memory_store(void)
{
	struct memory_store *memory = kzalloc(sizeof(*memory),
					      GFP_KERNEL_ACCOUNT);

	if (!memory)
		return ERR_PTR(-ENOMEM);
	mmapdev_store_init(&memory->store, &memory_ops);
	xa_init(&memory->image);
	return &memory->store;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_memory_store);
