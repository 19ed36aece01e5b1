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

/* Is an entry still this page, or this hole, with this mark? */
static bool is_still(struct xa_state *xas, void *entry,
		     const struct page *page, xa_mark_t mark)
{
	return entry && entry_page(entry) == page && xas_get_mark(xas, mark);
}

static void move_mark(struct xa_state *xas, xa_mark_t from, xa_mark_t to)
{
	xas_clear_mark(xas, from);
	if (to != NO_MARK)
		xas_set_mark(xas, to);
}

/*
 * Move the marks of claimed entries on. What somebody has put another page in
 * place of goes.
 */
static void unclaim(struct mmapdev_store *store, unsigned long index,
		    struct page **pages, unsigned int n, xa_mark_t to)
{
	XA_STATE(xas, &store->pending, index);
	void *entry;
	unsigned int i;

	xas_lock(&xas);
	entry = xas_load(&xas);
	for (i = 0; i < n; i++, entry = xas_next(&xas)) {
		if (is_still(&xas, entry, pages[i], CLAIMED))
			move_mark(&xas, CLAIMED, to);
		else
			mmapdev_store_free_page(pages[i]);
	}
	xas_unlock(&xas);
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

/* Lock those folios of a batch that are in the page cache. */
static void batch_lock(struct address_space *mapping,
		       struct mmapdev_flush *batch, pgoff_t index,
		       unsigned int n)
{
	pgoff_t last = index + n - 1;
	struct folio_batch found;
	pgoff_t next = index;
	unsigned int i;

	memset(batch->folios, 0, n * sizeof(batch->folios[0]));
	folio_batch_init(&found);
	while (next <= last &&
	       filemap_get_folios(mapping, &next, last, &found)) {
		for (i = 0; i < folio_batch_count(&found); i++) {
			struct folio *folio = found.folios[i];

			folio_lock(folio);
			if (folio->mapping == mapping) {
				batch->folios[folio->index - index] = folio;
				continue;
			}
			folio_unlock(folio);
			folio_put(folio);
		}
		folio_batch_init(&found);	/* the references are ours */
	}
}

static void batch_unlock(struct mmapdev_flush *batch, unsigned int from,
			 unsigned int to)
{
	for (; from < to; from++) {
		struct folio *folio = batch->folios[from];

		if (!folio)
			continue;
		folio_unlock(folio);
		folio_put(folio);
	}
}

/*
 * Claim the entries that still are as they were found, up to the first that is
 * not. Where there is no folio to lock, one that has come since may be about to be
 * made dirty by somebody who has not seen the claim. Return how many are claimed.
 */
static unsigned int batch_claim(struct inode *inode,
				struct mmapdev_store *store,
				unsigned long index, unsigned int n,
				xa_mark_t mark)
{
	struct mmapdev_flush *batch = &store->batch;
	XA_STATE(xas, &store->pending, index);
	unsigned int claimed, i;
	void *entry;

	xas_lock(&xas);
	entry = xas_load(&xas);
	for (claimed = 0; claimed < n; claimed++) {
		if (!is_still(&xas, entry, batch->pages[claimed], mark))
			break;
		move_mark(&xas, mark, CLAIMED);
		entry = xas_next(&xas);
	}
	xas_unlock(&xas);
	for (i = 0; i < claimed; i++)
		if (!batch->folios[i] &&
		    mmapdev_folio_is_cached(inode, index + i))
			break;
	unclaim(store, index + i, batch->pages + i, claimed - i, mark);
	return i;
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
		if (!found)
			return 0;
		batch_lock(inode->i_mapping, batch, *index, found);
		n = batch_claim(inode, store, *index, found, mark);
		batch_unlock(batch, n, found);
		cond_resched();
	} while (!n);
	return n;
}

static bool is_dirty(struct folio *folio)
{
	return folio && folio_test_dirty(folio);
}

/*
 * What the image has is pending no longer. A page that it did not take for
 * itself serves the next writeback if there will be one.
 */
static void settle(struct mmapdev_store *store, unsigned long index,
		   struct page **pages, struct page **rest,
		   struct folio **folios, unsigned int n)
{
	XA_STATE(xas, &store->pending, index);
	unsigned int i;
	void *entry;

	xas_lock(&xas);
	entry = xas_load(&xas);
	for (i = 0; i < n; i++, entry = xas_next(&xas)) {
		bool same = is_still(&xas, entry, pages[i], CLAIMED);

		if (same && rest[i] && is_dirty(folios[i])) {
			set_page_private(rest[i], jiffies);
			xas_store(&xas, rest[i]);
			xas_clear_mark(&xas, CLAIMED);
			continue;
		}
		if (same)
			xas_store(&xas, NULL);
		mmapdev_store_free_page(rest[i]);
	}
	xas_unlock(&xas);
	for (i = 0; i < n; i++)	/* if not now, then when it is written back */
		if (is_dirty(folios[i]))
			mmapdev_store_reserve(store, index + i, GFP_NOFS);
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
		settle(store, index, &page, &page, &folio, 1);
		return;
	}
	unclaim(store, index, &page, 1, again ? WRITTEN : NO_MARK);
	if (!again && folio)
		mmapdev_store_revert(inode, folio);
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
		for (i = 0; i < done; i++)
			bytes += given[i] ? PAGE_SIZE : 0;
		mmapdev_count(object, MMAPDEV_BYTES_FLUSHED, bytes);
		if (store->ops->sync)
			unclaim(store, index, given, done, COMMITTED);
		else
			settle(store, index, given, batch->pages,
			       batch->folios, done);
		if (done < n) {	/* those after it may fare better */
			fail(inode, store, index + done, given[done],
			     batch->folios[done]);
			unclaim(store, index + done + 1, given + done + 1,
				n - done - 1, WRITTEN);
		}
		if (done < n) {
			mapping_set_error(inode->i_mapping, err);
			first = first ?: err;
			done++;
		}
		batch_unlock(batch, 0, n);
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
		if (!err)
			settle(store, index, batch->pages, batch->pages,
			       batch->folios, n);
		for (i = 0; err && i < n; i++)
			fail(inode, store, index + i, batch->pages[i],
			     batch->folios[i]);
		if (err)
			mapping_set_error(inode->i_mapping, err);
		batch_unlock(batch, 0, n);
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
