// SPDX-License-Identifier: GPL-2.0
/*
 * The store behind a durable object: what a power cut leaves, and what has been
 * written since but not flushed.
 *
 * It is like a disk with a volatile write cache. Writeback copies a page into
 * pending; a flush moves it from there into the image, which survives. So the
 * image holds exactly what some sync call has promised, and a power cut is to
 * forget pending, holes and what is dirty. What is to be seen is here: pending
 * over the image, where no hole hides that.
 */

#include "mmapdev.h"

#include <linux/highmem.h>
#include <linux/pagemap.h>

#include "pending.h"
#include "steps.h"

static bool is_written(struct mmapdev_store *store, pgoff_t index)
{
	void *entry = xa_load(&store->pending, index);

	return entry && entry_is_written(entry);
}

/* What was written, with a reference, or NULL: a reservation has no bytes. */
static struct page *find_written(struct mmapdev_store *store, pgoff_t index)
{
	struct page *page = NULL;
	void *entry;

	xa_lock(&store->pending);
	entry = xa_load(&store->pending, index);
	if (entry && entry_is_written(entry)) {
		page = entry_page(entry);
		get_page(page);
	}
	xa_unlock(&store->pending);
	return page;
}

/**
 * mmapdev_store_image_shows - is there a page of the image, and no hole over it?
 * @store: the store
 * @index: in pages
 *
 * Return: Whether there is.
 */
bool mmapdev_store_image_shows(struct mmapdev_store *store, pgoff_t index)
{
	if (mmapdev_holes_hide(store, index))
		return false;
	smp_rmb();	/* a flush takes the page away, then the hole over it */
	return store->ops->has(store, index);
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
	if (is_written(store, index))
		return true;
	smp_rmb();	/* a flush moves a page to the image, then forgets it here */
	return mmapdev_store_image_shows(store, index);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_has);

/* What the image has past the end that survives was never promised. */
static void zero_past_end(struct page *page, pgoff_t index, loff_t end)
{
	loff_t pos = (loff_t)index << PAGE_SHIFT;

	if (end < pos + PAGE_SIZE)
		memzero_page(page, max(end - pos, 0LL),
			     PAGE_SIZE - max(end - pos, 0LL));
}

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
	struct page *page;
	int err;

	if (is_written(store, index)) {
		mmapdev_step();
		page = find_written(store, index);	/* or a flush was faster */
		if (page) {
			copy_highpage(folio_page(folio, 0), page);
			put_page(page);
			return 0;
		}
	}
	mmapdev_step();
	smp_rmb();	/* as in mmapdev_store_has() */
	if (mmapdev_holes_hide(store, index))
		return 0;
	mmapdev_step();
	smp_rmb();	/* as in mmapdev_store_image_shows() */
	err = store->ops->load(store, index, folio_page(folio, 0));
	if (!err)
		zero_past_end(folio_page(folio, 0), index,
			      READ_ONCE(store->size));
	return err;
}

/* The first page from an index on that the image shows, or ULONG_MAX. */
static pgoff_t next_shown(struct mmapdev_store *store, pgoff_t index)
{
	pgoff_t first, end;

	for (;;) {
		index = store->ops->next(store, index);
		if (index == ULONG_MAX ||
		    !mmapdev_holes_next(store, index, index, &first, &end))
			return index;
		index = end;
		cond_resched();
	}
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
	unsigned long pending = index;
	pgoff_t shown;

	lockdep_assert_held(&store->lock);

	shown = next_shown(store, index);
	/* A reservation is for bytes to come. */
	if (xa_find(&store->pending, &pending, shown, XA_PRESENT))
		return pending;
	return shown;
}

/* The first page from an index on that the image does not show, below end. */
static pgoff_t next_not_shown(struct mmapdev_store *store, pgoff_t index,
			      pgoff_t end)
{
	pgoff_t stop = min(store->ops->next_hole(store, index), end);
	pgoff_t first, last;

	if (index < stop &&
	    mmapdev_holes_next(store, index, stop - 1, &first, &last))
		return max(index, first);
	return stop;
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
		pgoff_t stop = next_not_shown(store, index, end);

		if (stop == end || !xa_load(&store->pending, stop))
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
 * Return: Pages that are stored or will be once they are written back; a moment's
 *	estimate while a flush is at work.
 */
unsigned long mmapdev_store_pages(struct mmapdev_store *store)
{
	long pages = store->ops->count(store, 0, ULONG_MAX);

	pages += atomic_long_read(&store->new_pages);
	pages -= atomic_long_read(&store->hidden_pages);
	return max(pages, 0L);
}

/**
 * mmapdev_store_lock - keep flushes out
 * @inode: the object; without a store there is nothing to do
 *
 * A flush holds locks of the image's file, under which others touch user memory,
 * and so fault. So a task that keeps faults waiting must not take this. The
 * image's file system can hang: then the caller waits until it is killed.
 *
 * Context: Holds i_rwsem, and not yet invalidate_lock; may sleep.
 * Return: 0; -EINTR if killed.
 */
int mmapdev_store_lock(struct inode *inode)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;

	return store ? mutex_lock_killable(&store->lock) : 0;
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
 * mmapdev_store_error - note an error for each file that is open
 * @store: the store
 * @err: the error
 *
 * Context: Any.
 */
void mmapdev_store_error(struct mmapdev_store *store, int err)
{
	if (store->inode)
		mmapdev_object_error(store->inode, err);
}

/**
 * mmapdev_store_init - a store with nothing pending
 * @store: the store
 * @ops: its image
 * @size: of its image, and so of the object to come
 * @capacity: the largest size that its image can have
 *
 * Return: 0; -ENOMEM. mmapdev_user_put() of its user undoes it.
 */
int mmapdev_store_init(struct mmapdev_store *store,
		       const struct mmapdev_store_ops *ops, loff_t size,
		       loff_t capacity)
{
	struct mmapdev_user *user = mmapdev_user_get();

	if (IS_ERR(user))
		return PTR_ERR(user);
	store->user = user;
	store->ops = ops;
	store->size = size;
	store->end = size;
	store->capacity = capacity;
	mutex_init(&store->lock);
	xa_init_flags(&store->pending, XA_FLAGS_ACCOUNT);
	mt_init_flags(&store->holes, MT_FLAGS_USE_RCU);
	mmapdev_recycle_init(&store->recycled);
	return 0;
}

/**
 * mmapdev_store_empty - give back all that is pending
 * @store: the store
 *
 * Context: Nobody uses its object; may sleep.
 */
void mmapdev_store_empty(struct mmapdev_store *store)
{
	mutex_lock(&store->lock);
	mmapdev_store_forget(store);
	mutex_unlock(&store->lock);
}

/**
 * mmapdev_store_free - let go of a store
 * @store: the store, or NULL
 *
 * Context: Nobody uses its object, whose pages are gone; may sleep, until the
 *	caller is killed if the image hangs.
 */
void mmapdev_store_free(struct mmapdev_store *store)
{
	if (store)
		store->ops->release(store);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_free);
