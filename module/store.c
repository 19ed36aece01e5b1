// SPDX-License-Identifier: GPL-2.0
/*
 * The store behind a durable object: what a power cut leaves, and what has been
 * written since but not flushed.
 *
 * It is like a disk with a volatile write cache. Writeback copies a page into
 * pending; a flush moves it from there into the image, which survives. So the
 * image holds exactly what some sync call has promised, and a power cut is to
 * forget pending and what is dirty.
 *
 * Writeback allocates nothing, since whoever makes a page dirty reserves first.
 */

#include "mmapdev.h"

#include <linux/highmem.h>
#include <linux/pagemap.h>

#include "compat.h"
#include "pending.h"

/* What is to be seen at an index. */
enum shows { SHOWS_IMAGE, SHOWS_PAGE, SHOWS_HOLE };

static enum shows entry_shows(void *entry, bool marked)
{
	if (!entry)
		return SHOWS_IMAGE;
	if (entry == HOLE || entry_is_over_hole(entry))
		return SHOWS_HOLE;
	return marked ? SHOWS_PAGE : SHOWS_IMAGE;
}

static bool is_marked(struct mmapdev_store *store, pgoff_t index)
{
	return xa_get_mark(&store->pending, index, WRITTEN) ||
	       xa_get_mark(&store->pending, index, CLAIMED) ||
	       xa_get_mark(&store->pending, index, COMMITTED);
}

static enum shows pending_shows(struct mmapdev_store *store, pgoff_t index)
{
	void *entry = xa_load(&store->pending, index);

	return entry ? entry_shows(entry, is_marked(store, index)) :
		       SHOWS_IMAGE;
}

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

/**
 * mmapdev_store_alloc_page - a page for a store
 * @gfp: how to allocate
 *
 * Return: The page, which counts in the limit; ERR_PTR(-ENOSPC) over it;
 *	ERR_PTR(-ENOMEM).
 */
struct page *mmapdev_store_alloc_page(gfp_t gfp)
{
	int err = mmapdev_limit_charge(1);
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
 * @folio: locked, not up to date
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
	if (shows == SHOWS_IMAGE && store->ops->has(store, index))
		return store->ops->load(store, index, folio_page(folio, 0));
	return 0;	/* new folios are full of zeros */
}

/*
 * Put a reservation where there is none, or no longer one of ours. Return what
 * there was if that has come to be one meanwhile.
 */
static void *put_reservation(struct mmapdev_store *store, pgoff_t index,
			     struct page *page, gfp_t gfp)
{
	void *entry, *old;

	xa_lock(&store->pending);
	entry = xa_load(&store->pending, index);
	if (entry && entry != HOLE && !is_claimed(store, index)) {
		xa_unlock(&store->pending);
		return entry;
	}
	old = __xa_store(&store->pending, index,
			 xa_tag_pointer(page, entry == HOLE ? OVER_HOLE : 0),
			 gfp);
	if (entry) {
		__xa_clear_mark(&store->pending, index, WRITTEN);
		__xa_clear_mark(&store->pending, index, COMMITTED);
		__xa_clear_mark(&store->pending, index, CLAIMED);
	}
	xa_unlock(&store->pending);
	return xa_is_err(old) ? old : NULL;
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

	if (entry && entry != HOLE && !is_claimed(store, index))
		return 0;
	err = store->ops->reserve(store, index, gfp);
	if (err)
		return err;
	page = mmapdev_store_alloc_page(gfp);
	if (IS_ERR(page))
		return PTR_ERR(page);
	entry = put_reservation(store, index, page, gfp);
	if (entry)
		mmapdev_store_free_page(page);
	return xa_err(entry);
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

	if (!entry || entry == HOLE || is_claimed(store, index)) {
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

/* The image's page is taken away. Allocates nothing: there is an entry. */
static void make_hole(struct mmapdev_store *store, unsigned long index)
{
	xa_store(&store->pending, index, HOLE, 0);
	xa_set_mark(&store->pending, index, WRITTEN);
	xa_clear_mark(&store->pending, index, COMMITTED);
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

/* Give a reservation back; what else there is stays. */
static void unreserve(struct mmapdev_store *store, pgoff_t index)
{
	void *entry = xa_load(&store->pending, index);

	if (!entry || entry == HOLE || is_marked(store, index))
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
 * mmapdev_store_next - where there are bytes
 * @store: the store
 * @index: where to begin, in pages
 *
 * Return: The first index from @index on that is not a hole, written back or
 *	not; ULONG_MAX if there is none.
 */
pgoff_t mmapdev_store_next(struct mmapdev_store *store, pgoff_t index)
{
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
 * Return: The first index from @index on that mmapdev_store_next() passes by,
 *	or @end.
 */
pgoff_t mmapdev_store_next_hole(struct mmapdev_store *store, pgoff_t index,
				pgoff_t end)
{
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
			why = is_marked(store, *index) ?
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

	rcu_read_lock();
	xa_for_each(&store->pending, index, entry) {
		bool has = store->ops->has(store, index);

		if (entry == HOLE)
			pages -= has;
		else
			pages += !has;
	}
	rcu_read_unlock();
	return pages;
}

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
