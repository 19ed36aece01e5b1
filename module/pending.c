// SPDX-License-Identifier: GPL-2.0
/*
 * What is pending in a store: written back but not flushed, or reserved for the
 * writeback to come; pending.h tells what an entry says.
 *
 * Writeback allocates nothing, since whatever makes a page dirty reserves first.
 */

#include "mmapdev.h"

#include <linux/highmem.h>
#include <linux/pagemap.h>

#include "compat.h"
#include "pending.h"
#include "steps.h"

/* Free a page and the reservation on its list, which nobody can find any more. */
static void entry_free(struct mmapdev_store *store, void *entry)
{
	struct page *reserved = entry_reserved(entry);
	struct page *page = entry_page(entry);

	if (reserved && reserved != page) {
		list_del(&reserved->lru);
		mmapdev_store_free_page(store, reserved);
	}
	mmapdev_store_free_page(store, page);
}

/*
 * Let a reservation be what was written; what it replaces goes. The state is that of
 * mmapdev_reserve_find(), in the same RCU section.
 */
static void publish(struct mmapdev_store *store, struct xa_state *xas,
		    struct page *page)
{
	struct page *old;
	void *entry;

	xas_lock(xas);
	entry = xas_reload(xas);
	if (entry != page) {	/* written, or the walk is of no use any more */
		xas_reset(xas);
		entry = xas_load(xas);
	}
	old = entry_page(entry);
	if (old != page)
		list_del(&page->lru);
	INIT_LIST_HEAD(&page->lru);
	xas_store(xas, xa_tag_pointer(page, WRITTEN));
	xas_set_mark(xas, TO_FLUSH);
	if (old != page)
		xas_clear_mark(xas, FLUSHED);
	xas_unlock(xas);
	if (old != page)
		mmapdev_store_free_page(store, old);
}

/**
 * mmapdev_store_write - write a folio back
 * @store: the store
 * @folio: locked
 * @size: end of file; what is past it is stored as zeros
 * @gfp: how to allocate, if nothing is reserved
 *
 * Only a folio that was made dirty behind our back (by direct I/O into a
 * mapping) has nothing reserved. The kernel's flusher must not wait for room, since it
 * writes others' objects back, too.
 *
 * Context: May sleep.
 * Return: 0; -ENOSPC or -ENOMEM if nothing was reserved.
 */
int mmapdev_store_write(struct mmapdev_store *store, struct folio *folio,
			loff_t size, gfp_t gfp)
{
	XA_STATE(xas, &store->pending, folio->index);
	loff_t pos = folio_pos(folio);
	struct page *page;
	int err;

	mmapdev_step();
	rcu_read_lock();	/* what the state knows stays of use */
	while (!(page = mmapdev_reserve_find(&xas))) {
		rcu_read_unlock();
		err = mmapdev_store_reserve(store, folio->index, gfp);
		if (err)
			return err;
		xas_reset(&xas);
		rcu_read_lock();
	}
	copy_highpage(page, folio_page(folio, 0));
	if (pos < size && size < pos + PAGE_SIZE)
		memzero_page(page, offset_in_page(size),
			     PAGE_SIZE - offset_in_page(size));
	publish(store, &xas, page);
	rcu_read_unlock();
	return 0;
}

/**
 * mmapdev_store_write_zeros - write a page of zeros back that is not cached
 * @store: the store
 * @index: in pages
 *
 * Context: Holds the store's lock and invalidate_lock; there is no folio.
 * Return: Whether it had a reservation; else nothing is done.
 */
bool mmapdev_store_write_zeros(struct mmapdev_store *store, pgoff_t index)
{
	XA_STATE(xas, &store->pending, index);
	struct page *page;

	lockdep_assert_held(&store->lock);

	rcu_read_lock();
	page = mmapdev_reserve_find(&xas);
	if (page) {
		clear_highpage(page);
		set_page_private(page, jiffies ?: ULONG_MAX);
		publish(store, &xas, page);
	}
	rcu_read_unlock();
	return page;
}

/**
 * mmapdev_store_revert - after an error, show what the store has
 * @inode: the object
 * @folio: locked; its bytes did not get to where they should have
 *
 * Does nothing unless that was asked for.
 *
 * Context: May sleep.
 */
void mmapdev_store_revert(struct inode *inode, struct folio *folio)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;

	if (store->after_error != MMAPDEV_AFTER_ERROR_REVERT)
		return;
	mmapdev_store_unreserve(store, folio->index);
	generic_error_remove_folio(inode->i_mapping, folio);
}

/**
 * mmapdev_store_drop - forget what is pending in a range
 * @store: the store
 * @first: where to begin, in pages
 * @end: where to end, in pages, not included
 *
 * Context: Holds the store's lock and invalidate_lock; the page cache has none of
 *	the pages; may sleep.
 */
void mmapdev_store_drop(struct mmapdev_store *store, pgoff_t first, pgoff_t end)
{
	unsigned long index;
	void *entry;

	lockdep_assert_held(&store->lock);

	if (first >= end)
		return;
	xa_for_each_range(&store->pending, index, entry, first, end - 1) {
		if (xa_get_mark(&store->pending, index, NEW))
			atomic_long_dec(&store->new_pages);
		xa_erase(&store->pending, index);
		entry_free(store, entry);
		if (store->ops->unreserve)
			store->ops->unreserve(store, index);
		cond_resched();
	}
}

/**
 * mmapdev_store_differs - would a power cut change a page?
 * @store: the store
 * @index: in pages
 *
 * Return: Is there something that is not in the image? What is dirty has a
 *	reservation, and counts.
 */
bool mmapdev_store_differs(struct mmapdev_store *store, pgoff_t index)
{
	return xa_load(&store->pending, index) ||
	       (mmapdev_holes_hide(store, index) &&
		store->ops->has(store, index));
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_differs);

/**
 * mmapdev_store_next_pending - find an entry
 * @store: the store
 * @index: where to begin, in pages; set to where it was found
 *
 * Return: Is there one? Its writeback can be still to come.
 */
bool mmapdev_store_next_pending(struct mmapdev_store *store,
				unsigned long *index)
{
	return xa_find(&store->pending, index, ULONG_MAX, XA_PRESENT);
}

/* The first page of the image from an index on that is hidden, or ULONG_MAX. */
static pgoff_t next_hidden(struct mmapdev_store *store, pgoff_t index)
{
	pgoff_t first, end, found;

	while (mmapdev_holes_next(store, index, ULONG_MAX - 1, &first, &end)) {
		found = store->ops->next(store, max(index, first));
		if (found < end)
			return found;
		index = end;
		cond_resched();
	}
	return ULONG_MAX;
}

/**
 * mmapdev_store_unsynced - what is not durable, and since when
 * @store: the store
 * @index: where to begin, in pages; set to where to go on
 * @pages: filled in
 * @room: how many @pages
 *
 * Context: May sleep.
 * Return: How many there are, less than @room at the end; -EINTR if killed.
 */
int mmapdev_store_unsynced(struct mmapdev_store *store, unsigned long *index,
			   struct mmapdev_unsynced_page *pages,
			   unsigned int room)
{
	unsigned int n;

	if (mutex_lock_killable(&store->lock))
		return -EINTR;
	for (n = 0; n < room; n++, (*index)++) {
		pgoff_t hidden = next_hidden(store, *index);
		u32 age = 0;	/* of a hole, it is not known */
		u32 why = MMAPDEV_UNSYNCED_HOLE;
		unsigned long found = *index;
		void *entry;

		xa_lock(&store->pending);	/* writeback replaces pages */
		entry = xa_find(&store->pending, &found, ULONG_MAX, XA_PRESENT);
		if (entry && found <= hidden) {
			age = jiffies_to_msecs(jiffies -
				page_private(entry_page(entry)));
			why = entry_is_written(entry) ?
				MMAPDEV_UNSYNCED_WRITTEN :
				MMAPDEV_UNSYNCED_DIRTY;
		}
		xa_unlock(&store->pending);
		if (!entry || found > hidden)
			found = hidden;
		if (found == ULONG_MAX)
			break;
		*index = found;
		pages[n] = (struct mmapdev_unsynced_page) {
			.offset	= (u64)found << PAGE_SHIFT,
			.age	= age,
			.why	= why,
		};
	}
	mutex_unlock(&store->lock);
	return n;
}

/**
 * mmapdev_store_forget - lose what is not in the image
 * @store: the store
 *
 * Context: Holds the store's lock and invalidate_lock; nothing of it is dirty or
 *	in writeback.
 */
void mmapdev_store_forget(struct mmapdev_store *store)
{
	mmapdev_store_drop(store, 0, ULONG_MAX);
	xa_destroy(&store->pending);	/* index ULONG_MAX cannot be */
	mmapdev_holes_forget(store);
}
