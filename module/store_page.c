// SPDX-License-Identifier: GPL-2.0
/*
 * A page of a store, pending or in an image in memory.
 */

#include "mmapdev.h"

#include <linux/mm.h>

#include "pending.h"

/**
 * mmapdev_store_alloc_page - a page for a store
 * @store: the store
 * @gfp: how to allocate
 *
 * Return: The page, which counts in the limits; ERR_PTR(-ENOSPC) over one;
 *	ERR_PTR(-ENOMEM).
 */
struct page *mmapdev_store_alloc_page(struct mmapdev_store *store, gfp_t gfp)
{
	struct page *page = mmapdev_recycle_get(&store->recycled);
	int err;

	if (page)
		return page;
	err = mmapdev_user_charge(store->user);
	if (err) {
		mmapdev_recycle_give_back(store->user);	/* or another task just does */
		err = mmapdev_user_charge(store->user);
	}
	if (err)
		return ERR_PTR(err);
	err = mmapdev_limit_charge(1, gfp);
	if (err)
		goto err_user;
	/* Not charged to a control group: see user.c. */
	page = alloc_page(gfp);
	if (page)
		return page;
	err = -ENOMEM;
	mmapdev_limit_uncharge(1);
err_user:
	mmapdev_user_uncharge(store->user, 1);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_alloc_page);

/**
 * mmapdev_store_free_page - undo mmapdev_store_alloc_page()
 * @store: the store
 * @page: the page, or NULL
 */
void mmapdev_store_free_page(struct mmapdev_store *store, struct page *page)
{
	mmapdev_store_free_pages(store, &page, 1);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_free_page);

/**
 * mmapdev_store_free_pages - free several at once
 * @store: the store
 * @pages: pages and NULLs; of no use afterwards
 * @n: how many of both
 */
void mmapdev_store_free_pages(struct mmapdev_store *store, struct page **pages,
			      unsigned int n)
{
	unsigned int freed = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (pages[i])
			pages[freed++] = pages[i];
	}
	release_pages(pages, freed);
	mmapdev_limit_uncharge(freed);
	mmapdev_user_uncharge(store->user, freed);
}

/**
 * mmapdev_store_find_page - a page that may be taken away
 * @pages: pages, tagged or not, and values
 * @index: of it
 *
 * Context: Any.
 * Return: The page, with a reference, which put_page() drops; NULL if there is
 *	none.
 */
struct page *mmapdev_store_find_page(struct xarray *pages, pgoff_t index)
{
	struct page *page;
	void *entry;

	rcu_read_lock();
	for (;;) {
		entry = xa_load(pages, index);
		page = entry_page(entry);
		if (!page)
			break;
		if (!get_page_unless_zero(page))
			continue;
		if (xa_load(pages, index) == entry)
			break;
		put_page(page);
	}
	rcu_read_unlock();
	return page;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_find_page);
