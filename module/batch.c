// SPDX-License-Identifier: GPL-2.0
/*
 * Written pages on their way to the image, a batch at a time: given to it, and then
 * settled or failed.
 *
 * No folio's lock is held, so that writeback may put another page in the place of one
 * that is on its way: what was put there waits for the next flush.
 */

#include "mmapdev.h"

#include <linux/pagemap.h>

#include "pending.h"
#include "steps.h"

/* Written pages whose indices have no gap between them. */
struct batch {
	unsigned long index;
	unsigned int n;
	struct page *pages[MMAPDEV_FLUSH_BATCH];
};

/*
 * Find the first marked pages that have no gap between them, up to index last. Return
 * how many they are.
 */
static unsigned int find_marked(struct xa_state *xas, unsigned long last,
				xa_mark_t mark, unsigned long *index,
				struct page **pages)
{
	void *entry = xas_find_marked(xas, last, mark);
	unsigned int n = 0;

	*index = xas->xa_index;
	while (entry && n < MMAPDEV_FLUSH_BATCH && *index + n <= last &&
	       xas_get_mark(xas, mark)) {
		pages[n++] = entry_page(entry);
		entry = xas_next(xas);
	}
	return n;
}

/* Take a reference to each. */
static bool batch_find(struct mmapdev_store *store, struct batch *batch,
		       unsigned long last, xa_mark_t mark)
{
	XA_STATE(xas, &store->pending, batch->index);
	unsigned int i;

	xas_lock(&xas);
	batch->n = find_marked(&xas, last, mark, &batch->index, batch->pages);
	for (i = 0; i < batch->n; i++)
		get_page(batch->pages[i]);
	xas_unlock(&xas);
	return batch->n;
}

static void batch_put(struct batch *batch)
{
	unsigned int i;

	for (i = 0; i < batch->n; i++)
		put_page(batch->pages[i]);
}

/* Is an entry still this written page? Else writeback was faster. */
static bool is_still(void *entry, const struct page *page)
{
	return entry && entry_is_written(entry) && entry_page(entry) == page;
}

/* The image was given the first n pages. */
static void mark_flushed(struct mmapdev_store *store, struct batch *batch,
			 unsigned int n)
{
	XA_STATE(xas, &store->pending, batch->index);
	unsigned int i;
	void *entry;

	xas_lock(&xas);
	entry = xas_load(&xas);
	for (i = 0; i < n; i++, entry = xas_next(&xas)) {
		if (!is_still(entry, batch->pages[i]))
			continue;
		xas_clear_mark(&xas, TO_FLUSH);
		xas_set_mark(&xas, FLUSHED);
	}
	xas_unlock(&xas);
}

/* Leave the reservation of a folio that is dirty again, or nothing. */
static void *entry_after(void *entry)
{
	struct page *page = entry_page(entry);
	struct page *reserved = entry_reserved(entry);

	if (reserved && reserved != page)
		list_del(&reserved->lru);
	else
		reserved = NULL;
	return reserved;
}

/* Of an entry that stays; one that goes takes its marks with it. */
static void clear_marks(struct xa_state *xas)
{
	xas_clear_mark(xas, TO_FLUSH);
	xas_clear_mark(xas, FLUSHED);
	xas_clear_mark(xas, NEW);
}

/*
 * The image has what survives: the marked pages from an index on that have no gap
 * between them are not pending any more. What is on the way to the image is put
 * there first, so that a reader finds it in one of the two. Return how many there were.
 */
static unsigned int settle(struct mmapdev_store *store, unsigned long *index,
			   unsigned long last, xa_mark_t mark)
{
	XA_STATE(xas, &store->pending, *index);
	struct page *pages[MMAPDEV_FLUSH_BATCH];
	unsigned int n, i, new = 0;
	void *entry;

	xas_lock(&xas);
	n = find_marked(&xas, last, mark, index, pages);
	if (n && store->ops->commit)
		store->ops->commit(store, *index, pages, n);
	xas_set(&xas, *index);
	entry = xas_load(&xas);
	for (i = 0; i < n; i++, entry = xas_next(&xas)) {
		void *rest = entry_after(entry);

		new += xas_get_mark(&xas, NEW);
		if (rest)
			clear_marks(&xas);
		xas_store(&xas, rest);
	}
	atomic_long_sub(new, &store->new_pages);
	xas_unlock(&xas);
	if (store->ops->commit)
		mmapdev_recycle_put(store, pages, n);
	else
		mmapdev_store_free_pages(store, pages, n);
	return n;
}

/*
 * A page is not durable. It is tried again; or what is left is the reservation of a
 * folio that is dirty again; or else the page itself, as a reservation, which tells
 * that a power cut would change what is to be seen, or nothing after a revert.
 */
static void fail_entry(struct mmapdev_store *store, unsigned long index,
		       struct page *page)
{
	bool revert = store->after_error == MMAPDEV_AFTER_ERROR_REVERT;
	XA_STATE(xas, &store->pending, index);
	void *rest = page;
	void *entry;

	xas_lock(&xas);
	entry = xas_load(&xas);
	if (!is_still(entry, page)) {
		;	/* writeback was faster */
	} else if (store->after_error == MMAPDEV_AFTER_ERROR_DIRTY) {
		xas_clear_mark(&xas, FLUSHED);
		xas_set_mark(&xas, TO_FLUSH);
	} else {
		rest = entry_after(entry) ?: (revert ? NULL : page);
		if (!rest && xas_get_mark(&xas, NEW))
			atomic_long_dec(&store->new_pages);
		xas_store(&xas, rest);
		xas_clear_mark(&xas, TO_FLUSH);
		xas_clear_mark(&xas, FLUSHED);
	}
	xas_unlock(&xas);
	if (rest != page)
		mmapdev_store_free_page(store, page);
	if (!rest && store->ops->unreserve)
		store->ops->unreserve(store, index);
}

static void fail(struct mmapdev_store *store, unsigned long index,
		 struct page *page)
{
	struct folio *folio;

	fail_entry(store, index, page);
	if (!store->inode ||
	    store->after_error != MMAPDEV_AFTER_ERROR_REVERT)
		return;
	folio = mmapdev_folio_find(store->inode->i_mapping, index);
	if (!folio)
		return;
	if (!folio_test_dirty(folio))
		mmapdev_store_revert(store->inode, folio);
	folio_unlock(folio);
	folio_put(folio);
}

static void count_bytes(struct mmapdev_store *store, unsigned int pages)
{
	if (store->inode)
		mmapdev_count(mmapdev_object_of(store->inode),
			      MMAPDEV_BYTES_FLUSHED,
			      (unsigned long)pages << PAGE_SHIFT);
}

/**
 * mmapdev_batch_write - give the image what is to be flushed
 * @store: the store
 * @first: where to begin, in pages
 * @last: where to end, in pages, included
 *
 * What the image does not take is passed by, so that nothing else is lost.
 *
 * Context: Holds the store's lock; may sleep for as long as the image does.
 * Return: 0 or the first error.
 */
int mmapdev_batch_write(struct mmapdev_store *store, unsigned long first,
			unsigned long last)
{
	struct batch batch = { .index = first };
	int ret = 0;

	while (batch_find(store, &batch, last, TO_FLUSH)) {
		unsigned int done;
		int err = 0;

		done = store->ops->write(store, batch.index, batch.pages,
					 batch.n, &err);
		mmapdev_step();
		mark_flushed(store, &batch, done);
		count_bytes(store, done);
		if (done < batch.n) {
			ret = ret ?: err;
			mmapdev_store_error(store, err);
			fail(store, batch.index + done, batch.pages[done]);
			done++;
		}
		batch_put(&batch);
		batch.index += done;
		cond_resched();
	}
	return ret;
}

/**
 * mmapdev_batch_settle - the image has what survives
 * @store: the store
 * @first: where to begin, in pages
 * @last: where to end, in pages, included
 * @mark: of the pages that survive
 *
 * Context: Holds the store's lock; may sleep.
 */
void mmapdev_batch_settle(struct mmapdev_store *store, unsigned long first,
			  unsigned long last, xa_mark_t mark)
{
	unsigned int n;

	while ((n = settle(store, &first, last, mark))) {
		if (!store->ops->write)
			count_bytes(store, n);
		first += n;
		mmapdev_step();
		cond_resched();
	}
}

/**
 * mmapdev_batch_fail - what the image was given does not survive
 * @store: the store
 *
 * Context: Holds the store's lock; may sleep.
 */
void mmapdev_batch_fail(struct mmapdev_store *store)
{
	struct batch batch = { };
	unsigned int i;

	while (batch_find(store, &batch, ULONG_MAX, FLUSHED)) {
		for (i = 0; i < batch.n; i++)
			fail(store, batch.index + i, batch.pages[i]);
		batch_put(&batch);
		batch.index += batch.n;
		cond_resched();
	}
}
