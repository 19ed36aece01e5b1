// SPDX-License-Identifier: GPL-2.0
/*
 * Reservations: the page that a folio's writeback will write to, and its place in the
 * image, taken before the folio becomes dirty.
 *
 * Whatever makes a page dirty reserves, so that a full store is told to it, and
 * writeback allocates nothing.
 */

#include "mmapdev.h"

#include <linux/mm.h>

#include "pending.h"
#include "steps.h"

/**
 * mmapdev_reserve_find - find a reservation
 * @xas: a new state of &mmapdev_store->pending
 *
 * Context: The folio at that index is locked, if there is one, so that a reservation
 *	neither comes nor goes.
 * Return: The page, or NULL.
 */
struct page *mmapdev_reserve_find(struct xa_state *xas)
{
	struct page *page;
	void *entry;

	rcu_read_lock();
	do {
		entry = xas_load(xas);
	} while (xas_retry(xas, entry));
	rcu_read_unlock();
	if (!entry || !entry_is_written(entry))
		return entry;
	xas_lock(xas);	/* for the list */
	xas_reset(xas);
	entry = xas_load(xas);
	page = entry ? entry_reserved(entry) : NULL;
	xas_unlock(xas);
	return page;
}

/*
 * Put a reservation where there is none: -EEXIST if there is one by now, left by a
 * flush that failed. Return 1 beside what was written, whose place in the image it has.
 */
static int put_reserved(struct xa_state *xas, struct page *page, gfp_t gfp)
{
	void *entry;

	xas_reset(xas);
	do {
		xas_lock(xas);
		entry = xas_load(xas);
		if (!entry)
			xas_store(xas, page);
		else if (entry_reserved(entry))
			xas_set_err(xas, -EEXIST);
		else
			list_add(&page->lru, &entry_page(entry)->lru);
		xas_unlock(xas);
	} while (xas_nomem(xas, gfp));
	return xas_error(xas) ?: !!entry;
}

/* A reservation without anything written is for the image's first page here. */
static void set_new(struct mmapdev_store *store, pgoff_t index)
{
	xa_set_mark(&store->pending, index, NEW);
	atomic_long_inc(&store->new_pages);
}

/**
 * mmapdev_store_unreserve - take a reservation away
 * @store: the store
 * @index: in pages
 *
 * What was written stays.
 *
 * Context: As mmapdev_reserve_find(); may sleep.
 */
void mmapdev_store_unreserve(struct mmapdev_store *store, pgoff_t index)
{
	XA_STATE(xas, &store->pending, index);
	struct page *page = NULL;
	bool gone = false;
	void *entry;

	xas_lock(&xas);
	entry = xas_load(&xas);
	if (entry)
		page = entry_reserved(entry);
	if (page && page != entry_page(entry)) {
		list_del(&page->lru);
	} else if (page) {
		if (xas_get_mark(&xas, NEW))
			atomic_long_dec(&store->new_pages);
		xas_store(&xas, NULL);
		gone = true;
	}
	xas_unlock(&xas);
	mmapdev_store_free_page(store, page);
	if (gone && store->ops->unreserve)
		store->ops->unreserve(store, index);
}

static int reserve(struct mmapdev_store *store, pgoff_t index, gfp_t gfp,
		   unsigned long since)
{
	XA_STATE(xas, &store->pending, index);
	struct page *page = mmapdev_reserve_find(&xas);
	int err;

	if (page) {
		if (!page_private(page))	/* a spare one is used now */
			set_page_private(page, since);
		return 0;
	}
	mmapdev_step();
	page = mmapdev_store_alloc_page(store, gfp);
	if (IS_ERR(page))
		return PTR_ERR(page);
	set_page_private(page, since);
	err = put_reserved(&xas, page, gfp);
	if (err < 0)
		mmapdev_store_free_page(store, page);
	if (err == -EEXIST || err > 0)
		return 0;
	if (err)
		return err;
	mmapdev_step();
	/*
	 * No hole comes over a locked folio; and where a flush takes a page away, it is
	 * the image's before its hole goes. So one that shows keeps its place.
	 */
	if (mmapdev_store_image_shows(store, index))
		return 0;
	/* After put_reserved(): a flush leaves the place where it finds an entry. */
	err = store->ops->reserve(store, index, gfp);
	if (err)
		mmapdev_store_unreserve(store, index);
	else
		set_new(store, index);
	return err;
}

/**
 * mmapdev_store_reserve - have a page for the writeback to come
 * @store: the store
 * @index: in pages
 * @gfp: how to allocate
 *
 * Context: The folio at @index is locked; may sleep.
 * Return: 0; -ENOSPC over the limit or if the image has no room; -ENOMEM.
 */
int mmapdev_store_reserve(struct mmapdev_store *store, pgoff_t index, gfp_t gfp)
{
	return reserve(store, index, gfp, jiffies ?: ULONG_MAX);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_reserve);

/**
 * mmapdev_store_reserve_spare - have a page that may be taken back
 * @store: the store
 * @index: in pages
 * @gfp: how to allocate
 *
 * Context: Holds the store's lock and invalidate_lock; may sleep.
 * Return: As mmapdev_store_reserve().
 */
int mmapdev_store_reserve_spare(struct mmapdev_store *store, pgoff_t index,
				gfp_t gfp)
{
	return reserve(store, index, gfp, 0);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_reserve_spare);

/**
 * mmapdev_store_unreserve_spare - undo mmapdev_store_reserve_spare()
 * @store: the store
 * @index: in pages
 *
 * A reservation that was there before stays.
 *
 * Context: As mmapdev_store_reserve_spare(), whose locks were held since; the folio
 *	at @index, if there is one, is locked: its writeback may be using it.
 */
void mmapdev_store_unreserve_spare(struct mmapdev_store *store, pgoff_t index)
{
	XA_STATE(xas, &store->pending, index);
	struct page *page = mmapdev_reserve_find(&xas);

	if (page && !page_private(page))
		mmapdev_store_unreserve(store, index);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_unreserve_spare);
