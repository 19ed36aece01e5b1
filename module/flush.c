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
		err = mmapdev_batch_write(store, first, last);
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
			mmapdev_batch_fail(store);
		} else {
			mmapdev_batch_settle(store, 0, ULONG_MAX, FLUSHED);
		}
		err = err ?: lost;
	} else {	/* whose punch cannot fail */
		mmapdev_batch_settle(store, first, last, TO_FLUSH);
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
