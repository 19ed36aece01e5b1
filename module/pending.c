// SPDX-License-Identifier: GPL-2.0
/*
 * What is pending in a store: written back but not flushed, or reserved for the
 * writeback to come; pending.h tells what an entry says.
 *
 * Writeback allocates nothing, since whoever makes a page dirty reserves first.
 */

#include "mmapdev.h"

#include <linux/highmem.h>
#include <linux/pagemap.h>

#include "compat.h"
#include "pending.h"

/* A flush has it, perhaps without a folio's lock. */
static bool is_claimed(struct mmapdev_store *store, pgoff_t index)
{
	return xa_marked(&store->pending, CLAIMED) &&
	       xa_get_mark(&store->pending, index, CLAIMED);
}

static void entry_free(void *entry)
{
	if (entry)
		mmapdev_store_free_page(entry_page(entry));
}

/* Is there a page that the next writeback can fill? */
static bool is_reserved(struct mmapdev_store *store, pgoff_t index, void *entry)
{
	return entry && entry != HOLE && !is_claimed(store, index);
}

/*
 * Put a reservation where there is none, or no longer one of ours. Return
 * -EEXIST if there has come to be one meanwhile.
 */
static int put_reservation(struct mmapdev_store *store, pgoff_t index,
			   struct page *page, gfp_t gfp)
{
	XA_STATE(xas, &store->pending, index);
	void *entry;

	do {
		xas_lock(&xas);
		entry = xas_load(&xas);
		if (xa_is_zero(entry))	/* room for a hole, not used */
			entry = NULL;
		if (is_reserved(store, index, entry)) {
			xas_unlock(&xas);
			return -EEXIST;
		}
		xas_store(&xas, xa_tag_pointer(page, entry == HOLE ?
					       OVER_HOLE : 0));
		if (entry) {
			xas_clear_mark(&xas, WRITTEN);
			xas_clear_mark(&xas, COMMITTED);
			xas_clear_mark(&xas, CLAIMED);
		}
		xas_unlock(&xas);
	} while (xas_nomem(&xas, gfp));
	return xas_error(&xas);
}

/**
 * mmapdev_store_reserve - have a page for the writeback to come
 * @store: the store
 * @index: in pages
 * @gfp: how to allocate
 *
 * Context: The folio at @index is locked; may sleep.
 * Return: 0; -ENOSPC over the limit; -ENOMEM.
 */
int mmapdev_store_reserve(struct mmapdev_store *store, pgoff_t index, gfp_t gfp)
{
	void *entry = xa_load(&store->pending, index);
	struct page *page;
	int err;

	if (is_reserved(store, index, entry))
		return 0;
	err = store->ops->reserve(store, index, gfp);
	if (err)
		return err;
	page = mmapdev_store_alloc_page(gfp);
	if (IS_ERR(page))
		return PTR_ERR(page);
	err = put_reservation(store, index, page, gfp);
	if (err)
		mmapdev_store_free_page(page);
	return err == -EEXIST ? 0 : err;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_reserve);

/**
 * mmapdev_store_write - write a folio back
 * @store: the store
 * @folio: locked
 * @size: end of file; what is past it is stored as zeros
 *
 * Only a folio that was made dirty behind our back (by direct I/O into a
 * mapping) has nothing reserved.
 *
 * Context: May sleep.
 * Return: 0; -ENOSPC or -ENOMEM if nothing was reserved.
 */
int mmapdev_store_write(struct mmapdev_store *store, struct folio *folio,
			loff_t size)
{
	pgoff_t index = folio->index;
	loff_t pos = folio_pos(folio);
	void *entry = xa_load(&store->pending, index);
	struct page *page;
	int err;

	if (!is_reserved(store, index, entry)) {
		err = mmapdev_store_reserve(store, index, GFP_NOFS);
		if (err)
			return err;
		entry = xa_load(&store->pending, index);
	}
	page = entry_page(entry);
	copy_highpage(page, folio_page(folio, 0));
	if (pos < size && size < pos + PAGE_SIZE)
		memzero_page(page, offset_in_page(size),
			     PAGE_SIZE - offset_in_page(size));
	if (entry_is_over_hole(entry))
		xa_store(&store->pending, index, page, 0);
	xa_set_mark(&store->pending, index, WRITTEN);
	if (xa_marked(&store->pending, COMMITTED))
		xa_clear_mark(&store->pending, index, COMMITTED);
	return 0;
}

/* The image's page is taken away. Allocates nothing: there is an entry. */
static void make_hole(struct mmapdev_store *store, unsigned long index)
{
	xa_store(&store->pending, index, HOLE, 0);
	xa_set_mark(&store->pending, index, WRITTEN);
	xa_clear_mark(&store->pending, index, COMMITTED);
}

/* Give a reservation back; what else there is stays. */
static void unreserve(struct mmapdev_store *store, pgoff_t index)
{
	void *entry = xa_load(&store->pending, index);

	if (!entry || entry == HOLE || entry_is_marked(&store->pending, index))
		return;
	entry_free(entry);
	if (entry_is_over_hole(entry))
		make_hole(store, index);
	else
		xa_erase(&store->pending, index);
}

/**
 * mmapdev_store_unreserve - undo mmapdev_store_reserve()
 * @store: the store
 * @index: in pages
 *
 * Context: Holds the store's lock; no folio there is dirty, and none can become
 *	so.
 */
void mmapdev_store_unreserve(struct mmapdev_store *store, pgoff_t index)
{
	lockdep_assert_held(&store->lock);

	unreserve(store, index);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_unreserve);

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
	unreserve(store, folio->index);
	generic_error_remove_folio(inode->i_mapping, folio);
}

/**
 * mmapdev_store_punch_prepare - make sure that a punch will not fail
 * @store: the store
 * @first: where it begins, in pages
 * @end: where it ends, in pages, not included
 *
 * Context: Holds the object's i_rwsem; may sleep.
 * Return: 0 or -ENOMEM, with nothing changed.
 */
int mmapdev_store_punch_prepare(struct mmapdev_store *store, pgoff_t first,
				pgoff_t end)
{
	pgoff_t index;
	int err;

	for (index = store->ops->next(store, first); index < end;
	     index = store->ops->next(store, index + 1)) {
		err = xa_reserve(&store->pending, index, GFP_KERNEL);
		if (err)
			return err;
		cond_resched();
	}
	return 0;
}

/**
 * mmapdev_store_punch - take pages away, for now
 * @store: the store
 * @first: where to begin, in pages
 * @end: where to end, in pages, not included
 *
 * The image keeps them until a flush.
 *
 * Context: After mmapdev_store_punch_prepare(), with i_rwsem, the store's lock
 *	and invalidate_lock held since; the page cache has none of the pages.
 */
void mmapdev_store_punch(struct mmapdev_store *store, pgoff_t first,
			 pgoff_t end)
{
	unsigned long index;
	void *entry;

	lockdep_assert_held(&store->lock);

	xa_for_each_range(&store->pending, index, entry, first, end - 1) {
		entry_free(entry);
		if (store->ops->has(store, index))
			make_hole(store, index);
		else
			xa_erase(&store->pending, index);
		cond_resched();
	}
	/* Where there was no entry, one is prepared. */
	for (index = store->ops->next(store, first); index < end;
	     index = store->ops->next(store, index + 1)) {
		make_hole(store, index);
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
	return xa_load(&store->pending, index);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_differs);

/**
 * mmapdev_store_next_pending - find what a power cut would undo
 * @store: the store
 * @index: where to begin, in pages; set to where it was found
 *
 * Return: Is there such a page? It can be one whose writeback is still to come.
 */
bool mmapdev_store_next_pending(struct mmapdev_store *store,
				unsigned long *index)
{
	return xa_find(&store->pending, index, ULONG_MAX, XA_PRESENT);
}

/**
 * mmapdev_store_unsynced - what is not durable, and since when
 * @store: the store
 * @index: where to begin, in pages; set to where to go on
 * @pages: filled in
 * @room: how many @pages
 *
 * Context: May sleep.
 * Return: How many there are, less than @room at the end.
 */
unsigned int mmapdev_store_unsynced(struct mmapdev_store *store,
				    unsigned long *index,
				    struct mmapdev_unsynced_page *pages,
				    unsigned int room)
{
	unsigned int n;
	void *entry;

	mutex_lock(&store->lock);	/* no entry is freed meanwhile */
	for (n = 0; n < room; n++, (*index)++) {
		unsigned long since = jiffies;
		u32 why = MMAPDEV_UNSYNCED_HOLE;
		struct page *page;

		entry = xa_find(&store->pending, index, ULONG_MAX, XA_PRESENT);
		if (!entry)
			break;
		if (entry != HOLE) {
			page = entry_page(entry);
			since = page_private(page);
			why = entry_is_marked(&store->pending, *index) ?
				MMAPDEV_UNSYNCED_WRITTEN :
				MMAPDEV_UNSYNCED_DIRTY;
		}
		pages[n] = (struct mmapdev_unsynced_page) {
			.offset	= (u64)*index << PAGE_SHIFT,
			.age	= jiffies_to_msecs(jiffies - since),
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
	unsigned long index;
	void *entry;

	lockdep_assert_held(&store->lock);

	xa_for_each(&store->pending, index, entry)
		entry_free(entry);
	xa_destroy(&store->pending);
}
