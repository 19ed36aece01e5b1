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
 * The same in the store. What it has is no hole, and not to be given; it is
 * reserved only if it is to be changed. Whatever is reserved here becomes dirty.
 */
static int reserve_stored(struct inode *inode, struct mmapdev_store *store,
			  struct folio *folio, bool change)
{
	bool has = mmapdev_store_has(store, folio->index);
	int err = 0;

	if (has && !folio_test_uptodate(folio))
		err = mmapdev_folio_load(inode, folio);
	if (!err && (change || !has))
		err = mmapdev_store_reserve(store, folio->index, GFP_NOFS);
	return err;
}

/*
 * Have a folio at each index; those that are new are only reserved. On an
 * error, end is where it happened.
 */
static int reserve(struct inode *inode, pgoff_t first, pgoff_t *end,
		   bool change)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	gfp_t gfp = mapping_gfp_mask(inode->i_mapping);
	pgoff_t index;
	int err = 0;

	for (index = first; !err && index < *end; index++) {
		struct folio *folio = mmapdev_folio_reserve(inode, index, gfp);

		if (IS_ERR(folio)) {
			err = PTR_ERR(folio);
			break;
		}
		if (store)
			err = reserve_stored(inode, store, folio, change);
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
 * A new folio is zeros already; from and to are inside of this one. A page that
 * is cached over a hole of the store is given, too: it comes to be stored.
 */
static int give_out_folio(struct folio *folio, loff_t from, loff_t to,
			  bool zero)
{
	struct mmapdev_store *store =
		mmapdev_object_of(folio->mapping->host)->store;

	if (!folio_test_uptodate(folio)) {
		folio_mark_uptodate(folio);
	} else if (zero) {
		if (folio_test_hwpoison(folio))
			return -EIO;
		folio_zero_range(folio, offset_in_folio(folio, from),
				 to - from);
	}
	if (zero || (store && !mmapdev_store_has(store, folio->index)))
		folio_mark_dirty(folio);
	return 0;
}

/* All folios of the range are there. Return the first error. */
static int give_out(struct inode *inode, loff_t from, loff_t to, bool zero)
{
	pgoff_t next = from >> PAGE_SHIFT;
	struct folio_batch batch;
	unsigned int i;
	int err = 0;

	folio_batch_init(&batch);
	while (filemap_get_folios(inode->i_mapping, &next,
				  (to - 1) >> PAGE_SHIFT, &batch)) {
		for (i = 0; i < folio_batch_count(&batch); i++) {
			struct folio *folio = batch.folios[i];
			loff_t begin = folio_pos(folio);
			loff_t end = begin + folio_size(folio);
			int ret;

			folio_lock(folio);
			ret = give_out_folio(folio, max(from, begin),
					     min(to, end), zero);
			folio_unlock(folio);
			err = err ?: ret;
		}
		folio_batch_release(&batch);
		cond_resched();
	}
	return err;
}

/* Is it a page of zeros over a hole, which nobody waits to see stored? */
static bool is_spare(struct mmapdev_store *store, struct folio *folio)
{
	void *bytes;
	bool zero;

	if (folio_test_dirty(folio) || mmapdev_store_has(store, folio->index))
		return false;
	bytes = kmap_local_folio(folio, 0);
	zero = !memchr_inv(bytes, 0, PAGE_SIZE);
	kunmap_local(bytes);
	return zero;
}

/* Take back what was reserved and not given out. */
static void take_back(struct inode *inode, pgoff_t first, pgoff_t end)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	pgoff_t index;

	for (index = first; index < end; index++) {
		struct folio *folio = mmapdev_folio_find(inode->i_mapping,
							 index);
		bool reserved = folio && !folio_test_uptodate(folio);
		bool spare = store && folio && is_spare(store, folio);
		loff_t pos = (loff_t)index << PAGE_SHIFT;

		if (folio) {
			folio_unlock(folio);
			folio_put(folio);
		}
		if (reserved)
			truncate_inode_pages_range(inode->i_mapping, pos,
						   pos + PAGE_SIZE - 1);
		if (spare)
			mmapdev_store_unreserve(store, index);
		cond_resched();
	}
}

static int allocate(struct inode *inode, loff_t from, loff_t to, bool zero)
{
	pgoff_t first = from >> PAGE_SHIFT;
	pgoff_t end = DIV_ROUND_UP_ULL(to, PAGE_SIZE);
	int err = reserve(inode, first, &end, zero);

	if (err) {
		take_back(inode, first, end);
		return err;
	}
	return give_out(inode, from, to, zero);
}

static int punch(struct inode *inode, loff_t from, loff_t to)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	pgoff_t first = DIV_ROUND_UP_ULL(from, PAGE_SIZE);
	pgoff_t end = to >> PAGE_SHIFT;
	int err = 0;

	lockdep_assert_held_write(&inode->i_mapping->invalidate_lock);

	if (store && first < end)
		err = mmapdev_store_punch_prepare(store, first, end);
	err = err ?: mmapdev_partial_dirty(inode, from);
	err = err ?: mmapdev_partial_dirty(inode, to);
	if (err)
		return err;
	truncate_pagecache_range(inode, from, to - 1);
	mmapdev_partial_dirty(inode, from);
	mmapdev_partial_dirty(inode, to);
	if (store && first < end)
		mmapdev_store_punch(store, first, end);
	return 0;
}

static int change(struct inode *inode, int mode, loff_t from, loff_t to)
{
	bool grow = !(mode & FALLOC_FL_KEEP_SIZE) && to > i_size_read(inode);
	int err;

	if (mode & FALLOC_FL_PUNCH_HOLE)
		return punch(inode, from, to);
	if (grow) {
		err = inode_newsize_ok(inode, to);
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
 *	to be zeroed is poisoned (the others are zeroed) or for a file from
 *	before a power cut; an error of the store.
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
	inode_lock(inode);
	mmapdev_store_lock(inode);
	/* No fault sees the range half done. */
	filemap_invalidate_lock(inode->i_mapping);
	if (mmapdev_file_dead(file))
		err = -EIO;
	else
		err = change(inode, mode, offset, offset + len);
	filemap_invalidate_unlock(inode->i_mapping);
	mmapdev_store_unlock(inode);
	if (!err)
		mmapdev_modified(inode);
	inode_unlock(inode);
	trace_mmapdev_fallocate(inode, mode, offset, len, err);
	return err;
}
