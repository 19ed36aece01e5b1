// SPDX-License-Identifier: GPL-2.0
/*
 * The flush: what was written back becomes durable.
 *
 * Pages go from pending into the image a batch at a time, with their folios
 * locked, so that no writeback changes them on the way. An image that has to be
 * synced after that may fail then: until it has said that all is well, pages
 * that it was given stay pending, marked COMMITTED.
 */

#include "mmapdev.h"

#include <linux/pagemap.h>

#include "compat.h"
#include "pending.h"

/* Does an entry still have the mark, and this page or hole? */
static bool still(struct mmapdev_store *store, unsigned long index,
		  xa_mark_t mark, const struct page *page)
{
	return xa_get_mark(&store->pending, index, mark) &&
	       entry_page(xa_load(&store->pending, index)) == page;
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

/* Lock them. Return how many there are. */
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
			unsigned long at = *index + n;
			struct folio *folio;

			folio = mmapdev_folio_find(inode->i_mapping, at);
			batch->folios[n] = folio;
			/* A hole may have been reserved before the lock. */
			if (!folio || still(store, at, mark, batch->pages[n]))
				continue;
			folio_unlock(folio);
			folio_put(folio);
			break;
		}
	} while (found && !n);
	return n;
}

/*
 * What the image has is pending no longer. A page that it did not take for
 * itself serves the next writeback if there will be one.
 */
static void settle(struct mmapdev_store *store, unsigned long index,
		   struct page *page, bool dirty)
{
	if (dirty && page) {
		set_page_private(page, jiffies);
		xa_store(&store->pending, index, page, 0);
		xa_clear_mark(&store->pending, index, WRITTEN);
		xa_clear_mark(&store->pending, index, COMMITTED);
		return;
	}
	xa_erase(&store->pending, index);
	mmapdev_store_free_page(page);
	if (dirty)	/* if not now, then when it is written back */
		mmapdev_store_reserve(store, index, GFP_NOFS);
}

/* The image has it, for all that can be said before it is synced. */
static void commit(struct mmapdev_store *store, unsigned long index,
		   struct page *rest, bool dirty)
{
	if (!store->ops->sync) {
		settle(store, index, rest, dirty);
		return;
	}
	xa_set_mark(&store->pending, index, COMMITTED);
	xa_clear_mark(&store->pending, index, WRITTEN);
}

/*
 * It is not durable. Holes are tried again, and so are pages if that was asked
 * for; else the page is clean, and only what a power cut would do tells of it.
 */
static void fail(struct inode *inode, struct mmapdev_store *store,
		 unsigned long index, struct page *page, struct folio *folio)
{
	bool again = !page || store->after_error == MMAPDEV_AFTER_ERROR_DIRTY;

	if (again)
		xa_set_mark(&store->pending, index, WRITTEN);
	else
		xa_clear_mark(&store->pending, index, WRITTEN);
	xa_clear_mark(&store->pending, index, COMMITTED);
	if (!again && folio)
		mmapdev_store_revert(inode, folio);
	else if (!again && store->after_error == MMAPDEV_AFTER_ERROR_REVERT)
		settle(store, index, page, false);
}

static void batch_unlock(struct mmapdev_store *store, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct folio *folio = store->batch.folios[i];

		if (folio) {
			folio_unlock(folio);
			folio_put(folio);
		}
	}
}

static bool is_dirty(struct folio *folio)
{
	return folio && folio_test_dirty(folio);
}

/* How many of a part of the batch are not holes. */
static unsigned int count_pages(const struct mmapdev_flush *batch,
				unsigned int from, unsigned int to)
{
	unsigned int count = 0;

	while (from < to)
		count += !!batch->pages[from++];
	return count;
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
		unsigned int given = count_pages(batch, 0, n);
		int err = 0;

		done = store->ops->commit(store, index, batch->pages, n, &err);
		given -= count_pages(batch, done, n);
		mmapdev_count(object, MMAPDEV_BYTES_FLUSHED,
			      (unsigned long)given << PAGE_SHIFT);
		for (i = 0; i < done; i++)
			commit(store, index + i, batch->pages[i],
			       is_dirty(batch->folios[i]));
		if (done < n) {
			fail(inode, store, index + done, batch->pages[done],
			     batch->folios[done]);
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
