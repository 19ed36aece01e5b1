// SPDX-License-Identifier: GPL-2.0
/*
 * Durable objects' pages on their way to the store: dirty, written back,
 * flushed.
 *
 * Which page is dirty is in the page cache's tags, so that a sync costs by
 * dirty pages; errors are in the mapping's errseq, so that each open file hears
 * of one once.
 */

#include "mmapdev.h"

#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/writeback.h>

#include "compat.h"
#include "steps.h"
#include "trace.h"

/**
 * mmapdev_folio_dirty - note that a folio is about to differ from the store
 * @inode: the object
 * @folio: locked, part of the object
 *
 * Nothing to do for an anonymous object, whose folios are always dirty.
 *
 * Context: May sleep.
 * Return: 0; -ENOSPC over the limit or if the store is full; -ENOMEM.
 */
int mmapdev_folio_dirty(struct inode *inode, struct folio *folio)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	int err;

	if (!store || folio_test_dirty(folio))
		return 0;
	/* Reclaim must not come to wait for the folio that we have locked. */
	err = mmapdev_store_reserve(store, folio->index, GFP_NOFS);
	mmapdev_step();
	if (!err)
		folio_mark_dirty(folio);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_folio_dirty);

/**
 * struct pass - a walk over what is dirty
 * @inode: the object
 * @others: not for the object's own users, who alone wait for its rules
 * @passes: how many were before
 */
struct pass {
	struct inode *inode;
	bool others;
	int passes;
};

static int injected(const struct pass *pass, loff_t pos)
{
	if (!static_branch_unlikely(&mmapdev_inject_key.key))
		return 0;
	return mmapdev_inject_slow(pass->inode, MMAPDEV_EVENT_WRITEBACK, pos,
				   !pass->others, &pass->passes);
}

static int write_folio(struct folio *folio, struct writeback_control *wbc,
		       void *data)
{
	const struct pass *pass = data;
	struct inode *inode = pass->inode;
	struct mmapdev_object *object = mmapdev_object_of(inode);
	u32 policy = object->store->after_error;
	bool flusher = current->flags & PF_KTHREAD;	/* also for sync(2) */
	bool quiet, stays, lacks = false;
	int err;

	folio_start_writeback(folio);
	err = injected(pass, folio_pos(folio));
	if (!err) {
		err = mmapdev_store_write(object->store, folio,
					  i_size_read(inode),
					  flusher ? GFP_ATOMIC : GFP_NOFS);
		lacks = err;	/* a reservation: direct I/O makes none */
	}
	/* Its owner has not asked for it, and may find room by the time of a sync. */
	quiet = lacks && (flusher || wbc->sync_mode == WB_SYNC_NONE);
	if (err && !quiet)
		mmapdev_object_error(inode, err);
	/* Of one that lacks it, clean, nothing would tell a power cut that it differs. */
	stays = quiet || (lacks ? policy != MMAPDEV_AFTER_ERROR_REVERT :
				  err && policy == MMAPDEV_AFTER_ERROR_DIRTY);
	if (stays)
		folio_redirty_for_writepage(wbc, folio);
	mmapdev_count(object, MMAPDEV_WRITEBACKS, 1);
	trace_mmapdev_writeback(inode, folio, mmapdev_sequence_next(object),
				err);
	folio_end_writeback(folio);
	if (err && !stays)
		mmapdev_store_revert(inode, folio);
	folio_unlock(folio);
	return 0;
}

static int durable_writepages(struct address_space *mapping,
			      struct writeback_control *wbc)
{
	struct mmapdev_object *object = mmapdev_object_of(mapping->host);
	bool others = wbc->for_sync || current->flags & PF_KTHREAD;
	struct pass pass = {
		.inode	= mapping->host,
		.others	= others,
		.passes	= others ? atomic_inc_return(&object->passes) :
				   atomic_read(&object->passes),
	};
	int err;

	if (others)
		atomic_inc(&object->others);
	err = mmapdev_write_folios(mapping, wbc, write_folio, &pass);
	/* After its passes, sync(2) waits for what is under writeback by then. */
	if (others && !wbc->for_kupdate && !wbc->for_background)
		WRITE_ONCE(object->undelayed, jiffies + MMAPDEV_PATIENCE);
	if (others)
		atomic_dec(&object->others);
	return err;
}

static void durable_freed(struct folio *folio)
{
	mmapdev_count_total(MMAPDEV_PAGES_FREED, folio_nr_pages(folio));
	trace_mmapdev_folio_free(folio);
}

const struct address_space_operations mmapdev_durable_aops = {
	.dirty_folio	= filemap_dirty_folio,
	.writepages	= durable_writepages,
	.migrate_folio	= filemap_migrate_folio,
	.free_folio	= durable_freed,
	MMAPDEV_ERROR_REMOVE(mmapdev_generic_error_remove),
};

/**
 * mmapdev_write_back - write an object back for somebody else's sync
 * @inode: the object
 *
 * Context: May sleep; no rule of the object delays it.
 */
void mmapdev_write_back(struct inode *inode)
{
	struct writeback_control wbc = {
		.sync_mode	= WB_SYNC_ALL,
		.nr_to_write	= LONG_MAX,
		.range_end	= LLONG_MAX,
		.for_sync	= 1,
	};

	durable_writepages(inode->i_mapping, &wbc);
	/* Not filemap_fdatawait(), which would take the error away. */
	filemap_fdatawait_keep_errors(inode->i_mapping);
}

/**
 * mmapdev_sync - make a range durable
 * @inode: the object
 * @from: first byte
 * @to: last byte
 *
 * Context: May sleep.
 * Return: 0 or an error, which does not advance any file's errseq.
 */
int mmapdev_sync(struct inode *inode, loff_t from, loff_t to)
{
	struct mmapdev_object *object = mmapdev_object_of(inode);
	unsigned long cuts = READ_ONCE(object->cuts);
	int err, ret;

	if (READ_ONCE(object->store->taken)) {	/* see flush.c */
		from = 0;
		to = LLONG_MAX;
	}
	err = filemap_fdatawrite_range(inode->i_mapping, from, to);
	mmapdev_step();
	/* Not filemap_fdatawait_range(), which would take the error away. */
	ret = filemap_fdatawait_range_keep_errors(inode->i_mapping, from, to);
	err = err ?: ret;
	mmapdev_step();
	ret = mmapdev_store_flush(inode, from, to);
	mmapdev_step();
	mmapdev_count(object, MMAPDEV_FLUSHES, 1);
	trace_mmapdev_flush(inode, from, to, mmapdev_sequence_next(object),
			    ret);
	/* A power cut on the way took what had not come through. */
	if (cuts != READ_ONCE(object->cuts))
		ret = -EIO;
	return err ?: ret;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_sync);

/**
 * mmapdev_fsync - fsync(2), fdatasync(2), msync(2) with MS_SYNC
 * @file: any face of the object
 * @from: first byte
 * @to: last byte
 * @datasync: whether what is not needed to read the bytes may be left out: there
 *	is nothing else that survives
 *
 * Context: May sleep.
 * Return: 0; -EIO for a file from before a power cut; an error since this file
 *	last heard of one.
 */
int mmapdev_fsync(struct file *file, loff_t from, loff_t to, int datasync)
{
	struct inode *inode = file->f_mapping->host;
	int err = 0;
	int ret;

	if (!mmapdev_object_of(inode)->store)
		return 0;
	if (mmapdev_file_dead(file))
		return -EIO;
	err = mmapdev_sync(inode, from, to);
	ret = file_check_and_advance_wb_err(file);
	/* A cut before the sync has left nothing to write, and no error. */
	if (mmapdev_file_dead(file))
		return -EIO;
	return err ?: ret;
}

/**
 * mmapdev_partial_dirty - a page at the edge of what is taken away changes
 * @inode: the object
 * @pos: the edge, in bytes
 * @held: the folio that it is in, with a reference that keeps it from being reclaimed;
 *	NULL if nothing of it changes
 *
 * The part of the page that is zeroed must come to be zero in the store, too. This
 * is called before, and makes sure that there is room for mmapdev_partial_write().
 *
 * Context: Holds i_rwsem and invalidate_lock; may sleep. The caller drops @held, after
 *	mmapdev_partial_write().
 * Return: 0; an error of loading the page, or of its reservation.
 */
int mmapdev_partial_dirty(struct inode *inode, loff_t pos, struct folio **held)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	pgoff_t index = pos >> PAGE_SHIFT;
	struct folio *folio;
	int err;

	*held = NULL;
	if (!store || !offset_in_page(pos) || mmapdev_is_hole(inode, index))
		return 0;
	folio = mmapdev_folio_get(inode, index, GFP_KERNEL);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	/* One that is dirty need not have one: direct I/O reserves nothing. */
	err = mmapdev_store_reserve(store, index, GFP_NOFS);
	if (!err)
		folio_mark_dirty(folio);
	folio_unlock(folio);
	if (err)
		folio_put(folio);
	else
		*held = folio;
	mmapdev_step();
	return err;
}

/**
 * mmapdev_folio_write - a folio differs from the store: write it back at once
 * @inode: the object, which is durable
 * @folio: locked, part of the object; it has had a reservation
 *
 * For what is part of an event: a flush that makes the rest of that durable must
 * find it. If the reservation has been used by now, and there is no room for another,
 * the folio stays dirty, so that the next sync tries again, or tells.
 *
 * Context: May sleep.
 */
void mmapdev_folio_write(struct inode *inode, struct folio *folio)
{
	int err;

	folio_wait_writeback(folio);
	folio_mark_dirty(folio);
	folio_clear_dirty_for_io(folio);
	folio_start_writeback(folio);
	err = mmapdev_store_write(mmapdev_object_of(inode)->store, folio,
				  i_size_read(inode), GFP_NOFS);
	if (err) {
		mmapdev_object_error(inode, err);
		folio_mark_dirty(folio);
	}
	folio_end_writeback(folio);
}

/**
 * mmapdev_partial_write - a page at the edge of what was taken away has changed
 * @inode: the object
 * @pos: the edge, in bytes
 *
 * Context: After mmapdev_partial_dirty(), with the store's lock, i_rwsem and
 *	invalidate_lock held since; may sleep.
 */
void mmapdev_partial_write(struct inode *inode, loff_t pos)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	struct folio *folio;

	if (!store)
		return;
	WRITE_ONCE(store->taken, true);
	if (!offset_in_page(pos))
		return;
	folio = mmapdev_folio_find(inode->i_mapping, pos >> PAGE_SHIFT);
	if (!folio)
		return;
	mmapdev_folio_write(inode, folio);
	folio_unlock(folio);
	folio_put(folio);
}

/**
 * mmapdev_partial_put - let a folio be reclaimed again
 * @held: what mmapdev_partial_dirty() has given, or NULL
 *
 * Context: May sleep.
 */
void mmapdev_partial_put(struct folio *held)
{
	if (held)
		folio_put(held);
}
