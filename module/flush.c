// SPDX-License-Identifier: GPL-2.0
/*
 * The flush: what was written back becomes durable.
 *
 * It holds the store's lock and no folio's: written pages do not change, and
 * writeback puts others in their place. So it can wait for the image, whose file
 * others may be writing to from a mapping of the object, and a power cut comes
 * before it or after it.
 *
 * What was taken away, by a truncation or a punch, survives with all that came
 * before it. There is no list of that: while something taken is not durable, a
 * sync of any range makes everything durable. A size that only grew is made
 * durable with the pages that need it to be read.
 */

#include "mmapdev.h"

#include <linux/jiffies.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "compat.h"
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

/*
 * Give the image what is to be flushed. What it does not take is passed by, so that
 * nothing else is lost. Return the first error.
 */
static int write_all(struct mmapdev_store *store, unsigned long first,
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

static void settle_all(struct mmapdev_store *store, unsigned long first,
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

/* Give up what does not survive. */
static void fail_all(struct mmapdev_store *store)
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

/* Take from the image what holes hide. What fails is tried again. */
static int punch_all(struct mmapdev_store *store)
{
	pgoff_t first, end;

	while (mmapdev_holes_next(store, 0, ULONG_MAX - 1, &first, &end)) {
		unsigned long n = store->ops->count(store, first, end);
		int err = store->ops->punch(store, first, end);

		if (err)
			return err;
		mmapdev_holes_remove(store, first, end);
		atomic_long_sub(n, &store->hidden_pages);
		cond_resched();
	}
	return 0;
}

/* The end of the page that has a byte. */
static loff_t whole_pages(loff_t byte)
{
	return byte > LLONG_MAX - PAGE_SIZE ? LLONG_MAX :
					      round_up(byte + 1, PAGE_SIZE);
}

/* Does a sync need the size to be durable, for its bytes to be read back? */
static bool needs_size(struct mmapdev_store *store, loff_t to)
{
	loff_t end = READ_ONCE(store->end);

	return to == LLONG_MAX || min(end, whole_pages(to)) > store->size;
}

/**
 * mmapdev_store_is_clean - is there nothing to flush?
 * @store: the store
 *
 * Return: Whether all that was written back, and the size, is durable. Then an image
 *	that hangs need not be waited for.
 */
bool mmapdev_store_is_clean(struct mmapdev_store *store)
{
	if (xa_marked(&store->pending, TO_FLUSH) ||
	    xa_marked(&store->pending, FLUSHED) || READ_ONCE(store->taken) ||
	    READ_ONCE(store->size) != READ_ONCE(store->end))
		return false;
	smp_rmb();	/* pairs with flush_locked() */
	return !READ_ONCE(store->failed);
}

static int flush_locked(struct mmapdev_store *store, loff_t from, loff_t to)
{
	bool events = store->taken || needs_size(store, to);
	unsigned long first = store->taken ? 0 : from >> PAGE_SHIFT;
	unsigned long last = store->taken ? ULONG_MAX : to >> PAGE_SHIFT;
	int err = 0, lost = 0, ret;

	/* Nothing of what follows is durable before the image's sync. */
	if (store->ops->sync)
		WRITE_ONCE(store->failed, true);
	smp_wmb();	/* pairs with mmapdev_store_is_clean() */
	if (store->taken) {
		err = punch_all(store);
		if (err)
			mmapdev_store_error(store, err);
	}
	mmapdev_step();
	/* Without that nothing may come after it; it is all tried again. */
	if (!err && store->ops->write)
		err = write_all(store, first, last);
	else if (err)
		events = false;
	mmapdev_step();
	/*
	 * After the pages: what was written meanwhile may have moved the end. Before
	 * they are settled: they are not to be read by the old size.
	 */
	if (events) {
		loff_t end = READ_ONCE(store->end);

		lost = store->ops->resize(store, end);
		if (!lost) {
			WRITE_ONCE(store->size, end);
			WRITE_ONCE(store->taken, false);
		}
	}
	mmapdev_step();
	if (store->ops->sync) {
		ret = store->ops->sync(store);
		WRITE_ONCE(store->failed, ret);
		mmapdev_step();
		/* Without the size, what is past the old one is not there. */
		lost = lost ?: ret;
		if (lost) {
			mmapdev_store_error(store, lost);
			fail_all(store);
		} else {
			settle_all(store, 0, ULONG_MAX, FLUSHED);
		}
		err = err ?: lost;
	} else {	/* whose punch cannot fail */
		settle_all(store, first, last, TO_FLUSH);
	}
	return err;
}

/**
 * mmapdev_store_flush_now - make durable what has been written back
 * @store: the store
 * @from: first byte
 * @to: last byte
 *
 * Context: Holds none of the driver's locks; may sleep for as long as the image
 *	does.
 * Return: 0 or the image's first error, which is noted for each open file if pages
 *	were lost by it. Pages that have none are durable all the same. -EINTR if
 *	killed before anything was done.
 */
int mmapdev_store_flush_now(struct mmapdev_store *store, loff_t from, loff_t to)
{
	int err = mutex_lock_killable(&store->lock);

	if (err)
		return err;
	err = flush_locked(store, from, to);
	mutex_unlock(&store->lock);
	return err;
}

/**
 * mmapdev_store_flush_within - make everything durable for somebody else
 * @store: the store
 * @end: until when, in jiffies, to wait for it
 *
 * Context: As mmapdev_store_flush_now().
 * Return: As mmapdev_store_flush_now(); -EIO with nothing done if the store is not
 *	free by then.
 */
int mmapdev_store_flush_within(struct mmapdev_store *store, unsigned long end)
{
	int err;

	while (!mutex_trylock(&store->lock)) {
		if (time_after_eq(jiffies, end))
			return -EIO;
		schedule_timeout_killable(1);
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	err = flush_locked(store, 0, LLONG_MAX);
	mutex_unlock(&store->lock);
	return err;
}

/**
 * mmapdev_store_flush - make durable what has been written back
 * @inode: the object
 * @from: first byte
 * @to: last byte
 *
 * Whole pages are flushed, and of the size what is needed to read them; if
 * something was taken away, everything is.
 *
 * Context: As mmapdev_store_flush_now(); the wait ends if the caller is killed,
 *	and the flush goes on.
 * Return: As mmapdev_store_flush_now(); -ENOMEM with nothing done.
 */
int mmapdev_store_flush(struct inode *inode, loff_t from, loff_t to)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	int err = mmapdev_inject(inode, MMAPDEV_EVENT_FLUSH, from);

	return err ?: store->ops->flush(store, from, to);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_flush);
