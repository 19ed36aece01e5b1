// SPDX-License-Identifier: GPL-2.0
/*
 * The flush: what was written back becomes durable.
 *
 * Pages go from pending into the image a batch at a time. They are claimed, and
 * the folios that are in the page cache locked, so that no writeback changes them
 * on the way, nor the writeback of a folio that comes meanwhile. An image that has to be
 * synced after that may fail then: until it has said that all is well, pages
 * that it was given stay pending, marked COMMITTED.
 */

#include "mmapdev.h"

#include <linux/pagemap.h>

#include "compat.h"
#include "pending.h"

#define NO_MARK		XA_PRESENT

/* Move an entry on if it still is this page or hole with this mark. */
static bool remark(struct mmapdev_store *store, unsigned long index,
		   const struct page *page, xa_mark_t from, xa_mark_t to)
{
	XA_STATE(xas, &store->pending, index);
	bool same;

	xas_lock(&xas);
	same = entry_page(xas_load(&xas)) == page && xas_get_mark(&xas, from);
	if (same) {
		xas_clear_mark(&xas, from);
		if (to != NO_MARK)
			xas_set_mark(&xas, to);
	}
	xas_unlock(&xas);
	return same;
}

/* The same after a claim: what somebody has put another page in place of goes. */
static void unclaim(struct mmapdev_store *store, unsigned long index,
		    struct page *page, xa_mark_t to)
{
	if (!remark(store, index, page, CLAIMED, to))
		mmapdev_store_free_page(page);
}

/* Note the marked entries from index on that have no gap between them. */
static unsigned int batch_find(struct mmapdev_store *store,
			       unsigned long *index, unsigned long last,
			       xa_mark_t mark)
{
	struct page **pages = store->batch.pages;
	XA_STATE(xas, &store->pending, *index);
	unsigned int n = 0;
	void *entry;

	xas_lock(&xas);
	entry = xas_find_marked(&xas, last, mark);
	if (entry)
		*index = xas.xa_index;
	while (entry && n < MMAPDEV_FLUSH_BATCH && *index + n <= last &&
	       xas_get_mark(&xas, mark)) {
		pages[n++] = entry_page(entry);
		entry = xas_next(&xas);
	}
	xas_unlock(&xas);
	return n;
}

static void unlock(struct folio *folio)
{
	if (folio) {
		folio_unlock(folio);
		folio_put(folio);
	}
}

static void batch_unlock(struct mmapdev_store *store, unsigned int n)
{
	while (n)
		unlock(store->batch.folios[--n]);
}

/*
 * Claim an entry. Without a folio to lock, a folio that has come since may be
 * about to be made dirty by somebody who has not seen the claim.
 */
static bool claim(struct inode *inode, struct mmapdev_store *store,
		  unsigned long index, unsigned int i, xa_mark_t mark)
{
	struct page *page = store->batch.pages[i];

	if (!remark(store, index, page, mark, CLAIMED))
		return false;
	if (store->batch.folios[i] || !mmapdev_folio_is_cached(inode, index))
		return true;
	unclaim(store, index, page, mark);
	return false;
}

/* Lock and claim them. Return how many there are. */
static unsigned int batch_begin(struct inode *inode, struct mmapdev_store *store,
				unsigned long *index, unsigned long last,
				xa_mark_t mark)
{
	struct mmapdev_flush *batch = &store->batch;
	unsigned int found, n;

	lockdep_assert_held(&store->lock);

	do {
		found = batch_find(store, index, last, mark);
		for (n = 0; n < found; n++) {
			batch->folios[n] = mmapdev_folio_find(inode->i_mapping,
							      *index + n);
			if (claim(inode, store, *index + n, n, mark))
				continue;
			unlock(batch->folios[n]);
			break;
		}
		cond_resched();
	} while (found && !n);
	return n;
}

/*
 * What the image has is pending no longer. A page that it did not take for
 * itself serves the next writeback if there will be one.
 */
static void settle(struct mmapdev_store *store, unsigned long index,
		   struct page *page, struct page *rest, bool dirty)
{
	if (dirty && rest) {
		set_page_private(rest, jiffies);
		xa_store(&store->pending, index, rest, 0);
		xa_clear_mark(&store->pending, index, CLAIMED);
		return;
	}
	xa_cmpxchg(&store->pending, index, page ?: HOLE, NULL, 0);
	mmapdev_store_free_page(rest);
	if (dirty)	/* if not now, then when it is written back */
		mmapdev_store_reserve(store, index, GFP_NOFS);
}

/*
 * It is not durable. Holes are tried again, and so are pages if that was asked
 * for; else the page is clean, and only what a power cut would do tells of it.
 */
static void fail(struct inode *inode, struct mmapdev_store *store,
		 unsigned long index, struct page *page, struct folio *folio)
{
	bool again = !page || store->after_error == MMAPDEV_AFTER_ERROR_DIRTY;

	if (!again && !folio &&
	    store->after_error == MMAPDEV_AFTER_ERROR_REVERT) {
		settle(store, index, page, page, false);
		return;
	}
	unclaim(store, index, page, again ? WRITTEN : NO_MARK);
	if (!again && folio)
		mmapdev_store_revert(inode, folio);
}

static bool is_dirty(struct folio *folio)
{
	return folio && folio_test_dirty(folio);
}

/*
 * Give the image what is WRITTEN. What it does not take is skipped, so that
 * nothing else is lost. Return the first error.
 */
static int commit_all(struct inode *inode, struct mmapdev_store *store,
		      unsigned long index, unsigned long last)
{
	struct mmapdev_object *object = mmapdev_object_of(inode);
	struct mmapdev_flush *batch = &store->batch;
	unsigned int n, done, i;
	int first = 0;

	while ((n = batch_begin(inode, store, &index, last, WRITTEN))) {
		struct page *given[MMAPDEV_FLUSH_BATCH];
		unsigned long bytes = 0;
		int err = 0;

		memcpy(given, batch->pages, n * sizeof(given[0]));
		done = store->ops->commit(store, index, batch->pages, n, &err);
		for (i = 0; i < done; i++) {
			bytes += given[i] ? PAGE_SIZE : 0;
			if (store->ops->sync)
				unclaim(store, index + i, given[i], COMMITTED);
			else
				settle(store, index + i, given[i],
				       batch->pages[i],
				       is_dirty(batch->folios[i]));
		}
		mmapdev_count(object, MMAPDEV_BYTES_FLUSHED, bytes);
		for (i = done; i < n; i++) {
			if (i > done)	/* it may fare better */
				unclaim(store, index + i, given[i], WRITTEN);
			else
				fail(inode, store, index + i, given[i],
				     batch->folios[i]);
		}
		if (done < n) {
			mapping_set_error(inode->i_mapping, err);
			first = first ?: err;
			done++;
		}
		batch_unlock(store, n);
		index += done;
		cond_resched();
	}
	return first;
}

/* The image was synced, or that failed: then what it was given may be lost. */
static void settle_all(struct inode *inode, struct mmapdev_store *store,
		       int err)
{
	struct mmapdev_flush *batch = &store->batch;
	unsigned long index = 0;
	unsigned int n, i;

	while ((n = batch_begin(inode, store, &index, ULONG_MAX, COMMITTED))) {
		for (i = 0; i < n; i++) {
			if (err)
				fail(inode, store, index + i, batch->pages[i],
				     batch->folios[i]);
			else
				settle(store, index + i, batch->pages[i],
				       batch->pages[i],
				       is_dirty(batch->folios[i]));
		}
		if (err)
			mapping_set_error(inode->i_mapping, err);
		batch_unlock(store, n);
		index += n;
		cond_resched();
	}
}

/* Move the end, and let all of it survive. */
static int sync_image(struct inode *inode, struct mmapdev_store *store,
		      loff_t size)
{
	int err = store->ops->resize(store, size);
	int ret = 0;

	if (store->ops->sync) {
		ret = store->ops->sync(store);
		settle_all(inode, store, ret);
	}
	return err ?: ret;
}

/* The end of the page that has a byte. */
static loff_t whole_pages(loff_t byte)
{
	return byte > LLONG_MAX - PAGE_SIZE ? LLONG_MAX :
					      round_up(byte + 1, PAGE_SIZE);
}

/**
 * mmapdev_store_flush - make durable what has been written back
 * @inode: the object
 * @from: first byte
 * @to: last byte
 *
 * Whole pages are flushed, and of the size what is needed to read them; from 0
 * to LLONG_MAX, the size as it is.
 *
 * Context: May sleep.
 * Return: 0 or the image's first error, which is noted in the mapping too if
 *	pages were lost by it. Pages that have none are durable all the same.
 */
int mmapdev_store_flush(struct inode *inode, loff_t from, loff_t to)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	loff_t size;
	int err, ret;

	err = mmapdev_inject(inode, MMAPDEV_EVENT_FLUSH, from);
	if (err)
		return err;
	if (store->ops->begin)
		store->ops->begin(store);
	mutex_lock(&store->lock);
	size = i_size_read(inode);
	if (from || to != LLONG_MAX)
		size = max(store->size, min(size, whole_pages(to)));
	/* What a flush that failed has left past the end must not come back. */
	if (size > store->size)
		err = store->ops->resize(store, store->size);
	if (!err)
		err = commit_all(inode, store, from >> PAGE_SHIFT,
				 to >> PAGE_SHIFT);
	ret = sync_image(inode, store, size);
	if (!ret)
		WRITE_ONCE(store->size, size);
	mutex_unlock(&store->lock);
	if (store->ops->end)
		store->ops->end(store);
	return err ?: ret;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_flush);
