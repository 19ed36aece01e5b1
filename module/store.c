// SPDX-License-Identifier: GPL-2.0
/*
 * The store behind a durable object: what a power cut leaves, and what has been
 * written since but not flushed.
 *
 * It is like a disk with a volatile write cache. Writeback copies a page into
 * pending; a flush moves it from there into the image, which survives. So the
 * image holds exactly what some sync call has promised, and a power cut is to
 * forget pending and what is dirty. What is to be seen is here: pending over the
 * image.
 */

#include "mmapdev.h"

#include <linux/highmem.h>

#include "pending.h"

/* What is to be seen at an index. */
enum shows { SHOWS_IMAGE, SHOWS_PAGE, SHOWS_HOLE };

static enum shows pending_shows(struct mmapdev_store *store, pgoff_t index)
{
	bool marked;
	void *entry;

	xa_lock(&store->pending);	/* a flush moves marks */
	entry = xa_load(&store->pending, index);
	marked = entry && entry_is_marked(&store->pending, index);
	xa_unlock(&store->pending);
	if (!entry)
		return SHOWS_IMAGE;
	if (entry == HOLE || entry_is_over_hole(entry))
		return SHOWS_HOLE;
	return marked ? SHOWS_PAGE : SHOWS_IMAGE;
}

/**
 * mmapdev_store_has - is there a page, or a hole?
 * @store: the store
 * @index: in pages
 *
 * What is only in the page cache does not count.
 *
 * Return: Whether there is a page.
 */
bool mmapdev_store_has(struct mmapdev_store *store, pgoff_t index)
{
	enum shows shows = pending_shows(store, index);

	return shows == SHOWS_IMAGE ? store->ops->has(store, index) :
				      shows == SHOWS_PAGE;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_has);

/**
 * mmapdev_store_load - fill a folio with what was stored
 * @store: the store
 * @folio: locked, not up to date, full of zeros
 *
 * Context: May sleep.
 * Return: 0, or the image's error.
 */
int mmapdev_store_load(struct mmapdev_store *store, struct folio *folio)
{
	pgoff_t index = folio->index;
	enum shows shows = pending_shows(store, index);
	struct page *page;

	if (shows == SHOWS_PAGE) {
		page = mmapdev_store_find_page(&store->pending, index);
		if (page) {
			copy_highpage(folio_page(folio, 0), page);
			put_page(page);
			return 0;
		}
		shows = SHOWS_IMAGE;	/* a flush was faster */
	}
	if (shows == SHOWS_IMAGE)
		return store->ops->load(store, index, folio_page(folio, 0));
	return 0;
}

/**
 * mmapdev_store_next - where there are bytes
 * @store: the store
 * @index: where to begin, in pages
 *
 * Context: Holds the store's lock: a flush moves pages from where we look second
 *	to where we have looked.
 * Return: The first index from @index on that is not a hole, written back or
 *	not; ULONG_MAX if there is none.
 */
pgoff_t mmapdev_store_next(struct mmapdev_store *store, pgoff_t index)
{
	lockdep_assert_held(&store->lock);

	for (;;) {
		pgoff_t stored = store->ops->next(store, index);
		unsigned long pending = index;
		void *entry = xa_find(&store->pending, &pending, stored,
				      XA_PRESENT);

		if (!entry)
			return stored;
		if (entry != HOLE)	/* a reservation is for bytes to come */
			return pending;
		if (pending == ULONG_MAX)
			return ULONG_MAX;
		index = pending + 1;
	}
}

/* Where the next pending hole is, below end, or end. */
static pgoff_t next_pending_hole(struct mmapdev_store *store, pgoff_t index,
				 pgoff_t end)
{
	unsigned long found;
	void *entry;

	if (index >= end)
		return end;
	xa_for_each_range(&store->pending, found, entry, index, end - 1) {
		if (entry == HOLE)
			return found;
		cond_resched();
	}
	return end;
}

/**
 * mmapdev_store_next_hole - where there are no bytes
 * @store: the store
 * @index: where to begin, in pages
 * @end: where to end, in pages, not included
 *
 * Context: As mmapdev_store_next().
 * Return: The first index from @index on that mmapdev_store_next() passes by,
 *	or @end.
 */
pgoff_t mmapdev_store_next_hole(struct mmapdev_store *store, pgoff_t index,
				pgoff_t end)
{
	lockdep_assert_held(&store->lock);

	while (index < end) {
		pgoff_t stop = min(store->ops->next_hole(store, index), end);
		pgoff_t hole = next_pending_hole(store, index, stop);
		void *entry;

		if (hole < stop)
			return hole;
		entry = xa_load(&store->pending, stop);
		if (stop == end || !entry || entry == HOLE)
			return stop;
		index = stop + 1;
		cond_resched();
	}
	return end;
}

/**
 * mmapdev_store_pages - how much is allocated
 * @store: the store
 *
 * Return: Pages that are stored or will be once they are written back.
 */
unsigned long mmapdev_store_pages(struct mmapdev_store *store)
{
	unsigned long pages = store->ops->pages(store);
	unsigned long index;
	void *entry;

	xa_for_each(&store->pending, index, entry) {
		bool has = store->ops->has(store, index);

		if (entry == HOLE)
			pages -= has;
		else
			pages += !has;
		cond_resched();
	}
	return pages;
}

/**
 * mmapdev_store_lock - keep flushes out
 * @inode: the object; without a store there is nothing to do
 *
 * A flush holds locks of the image's file, under which others touch user memory,
 * and so fault. So this must not be taken by who keeps faults waiting.
 *
 * Context: Holds i_rwsem, and not yet invalidate_lock; may sleep.
 */
void mmapdev_store_lock(struct inode *inode)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;

	if (store)
		mutex_lock(&store->lock);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_lock);

/**
 * mmapdev_store_unlock - let flushes in again
 * @inode: the object
 *
 * Context: After mmapdev_store_lock().
 */
void mmapdev_store_unlock(struct inode *inode)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;

	if (store)
		mutex_unlock(&store->lock);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_unlock);

/**
 * mmapdev_store_init - an empty store
 * @store: the store
 * @ops: its image
 */
void mmapdev_store_init(struct mmapdev_store *store,
			const struct mmapdev_store_ops *ops)
{
	store->ops = ops;
	mutex_init(&store->lock);
	xa_init(&store->pending);
	store->size = 0;
}

/**
 * mmapdev_store_free - let go of a store
 * @store: the store, or NULL
 *
 * Context: Nobody uses its object; may sleep.
 */
void mmapdev_store_free(struct mmapdev_store *store)
{
	if (!store)
		return;
	mutex_lock(&store->lock);
	mmapdev_store_forget(store);
	mutex_unlock(&store->lock);
	store->ops->free(store);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_free);
