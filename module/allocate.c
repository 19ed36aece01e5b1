// SPDX-License-Identifier: GPL-2.0
/*
 * fallocate(2): giving pages to a range, taking them away, zeroing it.
 */

#include "mmapdev.h"

#include <linux/falloc.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "compat.h"
#include "trace.h"

/*
 * Have a folio at each index; those that are new are only reserved. On an
 * error, end is where it happened.
 */
static int reserve(struct inode *inode, pgoff_t first, pgoff_t *end)
{
	gfp_t gfp = mapping_gfp_mask(inode->i_mapping);
	pgoff_t index;
	int err = 0;

	for (index = first; !err && index < *end; index++) {
		struct folio *folio = mmapdev_folio_reserve(inode, index, gfp);

		if (IS_ERR(folio)) {
			err = PTR_ERR(folio);
			break;
		}
		mmapdev_ahead_keep(inode, index);
		folio_unlock(folio);
		folio_put(folio);
		if (fatal_signal_pending(current))
			err = err ?: -EINTR;
		cond_resched();
	}
	*end = index;
	return err;
}

/*
 * Has the memory of a page failed that is in the range? folio_test_hwpoison() is
 * about the first page of a folio alone.
 */
static bool folio_failed(struct folio *folio, pgoff_t first, pgoff_t last)
{
	pgoff_t index;

	first = max(first, folio->index);
	last = min(last, folio->index + folio_nr_pages(folio) - 1);
	for (index = first; index <= last; index++) {
		if (PageHWPoison(folio_file_page(folio, index)))
			return true;
	}
	return false;
}

/* Ask before anything is zeroed, so that EIO leaves the range as it was. */
static int check_memory(struct inode *inode, loff_t from, loff_t to)
{
	pgoff_t first = from >> PAGE_SHIFT;
	pgoff_t last = (to - 1) >> PAGE_SHIFT;
	pgoff_t next = first;
	struct folio_batch batch;
	bool failed = false;
	unsigned int i;

	folio_batch_init(&batch);
	while (!failed && filemap_get_folios(inode->i_mapping, &next, last,
					     &batch)) {
		for (i = 0; i < folio_batch_count(&batch); i++)
			failed |= folio_failed(batch.folios[i], first, last);
		folio_batch_release(&batch);
		cond_resched();
	}
	return failed ? -EIO : 0;
}

/* A new folio is zeros already; from and to are inside of this one. */
static void give_out_folio(struct folio *folio, loff_t from, loff_t to,
			   bool zero)
{
	if (!folio_test_uptodate(folio))
		folio_mark_uptodate(folio);
	else if (zero)
		folio_zero_range(folio, offset_in_folio(folio, from),
				 to - from);
	if (zero)
		folio_mark_dirty(folio);
}

/* All folios of the range are there. */
static void give_out(struct inode *inode, loff_t from, loff_t to, bool zero)
{
	pgoff_t next = from >> PAGE_SHIFT;
	struct folio_batch batch;
	unsigned int i;

	folio_batch_init(&batch);
	while (filemap_get_folios(inode->i_mapping, &next,
				  (to - 1) >> PAGE_SHIFT, &batch)) {
		for (i = 0; i < folio_batch_count(&batch); i++) {
			struct folio *folio = batch.folios[i];
			loff_t begin = folio_pos(folio);
			loff_t end = begin + folio_size(folio);

			folio_lock(folio);
			give_out_folio(folio, max(from, begin), min(to, end),
				       zero);
			folio_unlock(folio);
		}
		folio_batch_release(&batch);
		cond_resched();
	}
}

/* Take back what was reserved and not given out. */
static void take_back(struct inode *inode, pgoff_t first, pgoff_t end)
{
	pgoff_t index;

	for (index = first; index < end; index++) {
		struct folio *folio = mmapdev_folio_find(inode->i_mapping,
							 index);
		bool reserved = folio && !folio_test_uptodate(folio);
		loff_t pos = (loff_t)index << PAGE_SHIFT;

		if (folio) {
			folio_unlock(folio);
			folio_put(folio);
		}
		if (reserved)
			truncate_inode_pages_range(inode->i_mapping, pos,
						   pos + PAGE_SIZE - 1);
		cond_resched();
	}
}

/*
 * Of a durable object it is the store that gives pages: first all are reserved,
 * which can fail, then all are given. Those that are not in memory are written
 * to the store as they are, so that the range can be larger than memory.
 */
struct stored_range {
	loff_t from;
	loff_t to;
	bool zero;	/* what there is, else only holes are given pages */
	struct folio *held[2];	/* where it begins and ends, if it takes parts of them */
};

/* Is this page, or a part of it, to change? */
static bool changes(struct mmapdev_store *store, const struct stored_range *range,
		    pgoff_t index)
{
	return range->zero || !mmapdev_store_has(store, index);
}

static bool is_part(const struct stored_range *range, pgoff_t index)
{
	loff_t pos = (loff_t)index << PAGE_SHIFT;

	return pos < range->from || pos + PAGE_SIZE > range->to;
}

static int reserve_stored(struct inode *inode, struct mmapdev_store *store,
			  struct stored_range *range, pgoff_t index)
{
	struct folio *folio;
	int err;

	if (!changes(store, range, index))
		return 0;
	/* What stays of it must be in the store before the rest is zeroed. */
	if (is_part(range, index) && !mmapdev_is_hole(inode, index))
		return mmapdev_partial_dirty(inode, ((loff_t)index << PAGE_SHIFT) + 1,
				&range->held[index != range->from >> PAGE_SHIFT]);
	folio = mmapdev_folio_find(inode->i_mapping, index);
	err = folio ? 0 : mmapdev_inject(inode, MMAPDEV_EVENT_ALLOCATE,
					 (loff_t)index << PAGE_SHIFT);
	if (!err)
		err = mmapdev_store_reserve_spare(store, index, GFP_NOFS);
	if (folio) {
		folio_unlock(folio);
		folio_put(folio);
	}
	return err;
}

static void zero_part(struct folio *folio, const struct stored_range *range)
{
	loff_t from = max(range->from, folio_pos(folio));
	loff_t to = min_t(loff_t, range->to, folio_pos(folio) + PAGE_SIZE);

	folio_zero_range(folio, offset_in_folio(folio, from), to - from);
}

static void unreserve_stored(struct inode *inode, struct mmapdev_store *store,
			     pgoff_t index)
{
	struct folio *folio = mmapdev_folio_find(inode->i_mapping, index);

	mmapdev_store_unreserve_spare(store, index);
	if (folio) {
		folio_unlock(folio);
		folio_put(folio);
	}
}

/* Everything is reserved. A page that is loaded again comes from memory. */
static int give_stored(struct inode *inode, struct mmapdev_store *store,
		       const struct stored_range *range, pgoff_t index)
{
	bool part = is_part(range, index) && !mmapdev_is_hole(inode, index);
	struct folio *folio;
	int err = 0;

	if (!changes(store, range, index))
		return 0;
	folio = mmapdev_folio_find(inode->i_mapping, index);
	if (!folio && !part && mmapdev_store_write_zeros(store, index))
		return 0;
	/* Or it was written back, which used its reservation, and reclaimed. */
	if (!folio)
		folio = mmapdev_folio_get(inode, index, GFP_NOFS);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	if (folio_test_hwpoison(folio)) {
		err = -EIO;
	} else {
		if (range->zero)
			zero_part(folio, range);
		folio_mark_uptodate(folio);
		if (range->zero) {
			mmapdev_folio_write(inode, folio);
		} else {
			/* Not a spare one any more; else a sync finds that it lacks. */
			mmapdev_store_reserve(store, index, GFP_NOFS);
			folio_mark_dirty(folio);
		}
	}
	folio_unlock(folio);
	folio_put(folio);
	return err;
}

/* Take back what was reserved up to an index, not included. */
static void unreserve_all(struct inode *inode, struct mmapdev_store *store,
			  pgoff_t first, pgoff_t end)
{
	unsigned long index = first;

	while (mmapdev_store_next_pending(store, &index) && index < end) {
		unreserve_stored(inode, store, index++);
		cond_resched();
	}
}

/*
 * Only what is stored already is left out, however much that is: of a sparse file, it can
 * be far more than there are pages.
 */
static int reserve_all(struct inode *inode, struct mmapdev_store *store,
		       struct stored_range *range, pgoff_t first, pgoff_t end)
{
	pgoff_t index = first;
	int err;

	for (;;) {
		if (!range->zero)
			index = mmapdev_store_next_hole(store, index, end);
		if (index >= end)
			return 0;
		err = reserve_stored(inode, store, range, index++);
		if (fatal_signal_pending(current))
			err = err ?: -EINTR;
		if (err)
			break;
		cond_resched();
	}
	unreserve_all(inode, store, first, index);
	return err;
}

static int give_all(struct inode *inode, struct mmapdev_store *store,
		    const struct stored_range *range, pgoff_t first, pgoff_t end)
{
	unsigned long index = first;
	int err = 0;

	while (!err && mmapdev_store_next_pending(store, &index) && index < end) {
		err = give_stored(inode, store, range, index++);
		cond_resched();
	}
	return err;
}

static int allocate_stored(struct inode *inode, struct mmapdev_store *store,
			   loff_t from, loff_t to, bool zero)
{
	struct stored_range range = { from, to, zero, {} };
	pgoff_t first = from >> PAGE_SHIFT;
	pgoff_t end = DIV_ROUND_UP_ULL(to, PAGE_SIZE);
	int err;

	err = reserve_all(inode, store, &range, first, end);
	if (!err && zero)
		WRITE_ONCE(store->taken, true);
	if (!err)
		err = give_all(inode, store, &range, first, end);
	mmapdev_partial_put(range.held[0]);
	mmapdev_partial_put(range.held[1]);
	return err;
}

static int allocate(struct inode *inode, loff_t from, loff_t to, bool zero)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	pgoff_t first = from >> PAGE_SHIFT;
	pgoff_t end = DIV_ROUND_UP_ULL(to, PAGE_SIZE);
	int err;

	if (store)
		return allocate_stored(inode, store, from, to, zero);
	err = reserve(inode, first, &end);
	if (err) {
		take_back(inode, first, end);
		return err;
	}
	give_out(inode, from, to, zero);
	return 0;
}

static int punch(struct inode *inode, loff_t from, loff_t to)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	pgoff_t first = DIV_ROUND_UP_ULL(from, PAGE_SIZE);
	pgoff_t end = to >> PAGE_SHIFT;
	struct folio *begins, *ends = NULL;
	int err;

	lockdep_assert_held_write(&inode->i_mapping->invalidate_lock);

	err = mmapdev_partial_dirty(inode, from, &begins);
	err = err ?: mmapdev_partial_dirty(inode, to, &ends);
	if (!err && store)
		err = mmapdev_holes_add(store, first, end);
	if (err)
		goto out;
	truncate_pagecache_range(inode, from, to - 1);
	mmapdev_partial_write(inode, from);
	mmapdev_partial_write(inode, to);
	if (store)
		mmapdev_store_drop(store, first, end);
out:
	mmapdev_partial_put(begins);
	mmapdev_partial_put(ends);
	return err;
}

static int change(struct inode *inode, int mode, loff_t from, loff_t to)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	bool grow = !(mode & FALLOC_FL_KEEP_SIZE) && to > i_size_read(inode);
	int err;

	if (mode & FALLOC_FL_PUNCH_HOLE)
		return punch(inode, from, to);
	if (mode & FALLOC_FL_ZERO_RANGE) {
		err = check_memory(inode, from, to);
		if (err)
			return err;
	}
	if (grow) {
		err = inode_newsize_ok(inode, to);
		if (!err && store && to > store->capacity)
			err = -EFBIG;
		if (err)
			return err;
		mmapdev_zero_eof_tail(inode);
	}
	err = allocate(inode, from, to, mode & FALLOC_FL_ZERO_RANGE);
	if (!err && grow)
		mmapdev_set_size(inode, to);
	return err;
}

/**
 * mmapdev_fallocate - fallocate(2)
 * @file: the object as a regular file
 * @mode: 0 or FALLOC_FL_ZERO_RANGE, each with or without
 *	FALLOC_FL_KEEP_SIZE, or FALLOC_FL_PUNCH_HOLE with it
 * @offset: in bytes
 * @len: in bytes; the VFS has checked that the end is not past s_maxbytes
 *
 * What is not given in full is not given at all.
 *
 * Context: Takes i_rwsem, the store's lock and invalidate_lock; may sleep.
 * Return: 0; -EOPNOTSUPP for other modes; -ENOSPC over the limit; -EFBIG over
 *	RLIMIT_FSIZE, with SIGXFSZ; -ENOMEM; -EINTR if killed; -EIO if a page
 *	to be zeroed is poisoned (then none is) or for a file from before a power
 *	cut; an error of the store.
 */
long mmapdev_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file->f_mapping->host;
	int err;

	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0:
	case FALLOC_FL_PUNCH_HOLE:	/* the VFS wants KEEP_SIZE with it */
	case FALLOC_FL_ZERO_RANGE:
		break;
	default:
		return -EOPNOTSUPP;
	}
	err = mmapdev_lock(inode);
	if (err)
		return err;
	err = mmapdev_store_lock(inode);
	if (err)
		goto out;
	/* No fault sees the range half done. */
	err = down_write_killable(&inode->i_mapping->invalidate_lock);
	if (err)
		goto out_store;
	if (mmapdev_file_dead(file))
		err = -EIO;
	else
		err = change(inode, mode, offset, offset + len);
	filemap_invalidate_unlock(inode->i_mapping);
out_store:
	mmapdev_store_unlock(inode);
	if (!err)
		mmapdev_modified(inode);
out:
	inode_unlock(inode);
	trace_mmapdev_fallocate(inode, mode, offset, len, err);
	return err;
}
