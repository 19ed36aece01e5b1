// SPDX-License-Identifier: GPL-2.0
/*
 * A page of a store, pending or in an image in memory.
 */

#include "mmapdev.h"

#include <linux/mm.h>

#include "pending.h"

/**
 * mmapdev_store_alloc_page - a page for a store
 * @gfp: how to allocate
 *
 * Return: The page, which counts in the limit; ERR_PTR(-ENOSPC) over it;
 *	ERR_PTR(-ENOMEM).
 */
struct page *mmapdev_store_alloc_page(gfp_t gfp)
{
	int err = mmapdev_limit_charge(1, gfp);
	struct page *page;

	if (err)
		return ERR_PTR(err);
	/*
	 * Not charged to the control group of whoever happens to be here: the
	 * store plays a disk. What a group may not have more of it must be able
	 * to write out, and reclaim frees nothing that is in the store.
	 */
	page = alloc_page(gfp);
	if (page) {
		set_page_private(page, jiffies);	/* for unsynced() */
		return page;
	}
	mmapdev_limit_uncharge(1);
	return ERR_PTR(-ENOMEM);
}

/**
 * mmapdev_store_free_page - undo mmapdev_store_alloc_page()
 * @page: the page, or NULL
 */
void mmapdev_store_free_page(struct page *page)
{
	if (!page)
		return;
	__free_page(page);
	mmapdev_limit_uncharge(1);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_free_page);

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
