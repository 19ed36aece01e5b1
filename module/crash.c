// SPDX-License-Identifier: GPL-2.0
/*
 * The power cut: what is not durable is gone.
 *
 * Files and mappings from before are dead, as after a real one, unless asked to
 * go on with what survived. An object counts its power cuts; a file has the
 * count from when it was opened.
 */

#include "mmapdev.h"

#include <linux/pagemap.h>

#include "compat.h"
#include "steps.h"
#include "trace.h"

/**
 * mmapdev_file_born - note which power cuts a file has not seen
 * @file: any face of the object, being opened
 */
void mmapdev_file_born(struct file *file)
{
	struct mmapdev_object *object =
		mmapdev_object_of(file->f_mapping->host);

	file->private_data = (void *)READ_ONCE(object->cuts);
}

/**
 * mmapdev_file_dead - is a file from before a power cut?
 * @file: any face of the object
 *
 * Context: The answer stays for a caller that holds invalidate_lock or i_rwsem.
 * Return: Whether it is.
 */
bool mmapdev_file_dead(const struct file *file)
{
	struct mmapdev_object *object =
		mmapdev_object_of(file->f_mapping->host);

	return (unsigned long)file->private_data < READ_ONCE(object->dead);
}

/* Drop one page from the page cache, dirty or not. */
static void drop(struct address_space *mapping, pgoff_t index)
{
	loff_t pos = (loff_t)index << PAGE_SHIFT;

	truncate_inode_pages_range(mapping, pos, pos + PAGE_SIZE - 1);
}

static void drop_tagged(struct address_space *mapping, xa_mark_t tag)
{
	struct folio_batch batch;
	pgoff_t next = 0;
	unsigned int i;

	folio_batch_init(&batch);
	while (filemap_get_folios_tag(mapping, &next, (pgoff_t)-1, tag,
				      &batch)) {
		for (i = 0; i < folio_batch_count(&batch); i++)
			drop(mapping, batch.folios[i]->index);
		folio_batch_release(&batch);
		cond_resched();
	}
}

/* Somebody else than the page cache and we may still store to it. */
static bool is_held(struct folio *folio)
{
	return folio_ref_count(folio) > 2;
}

/* Nothing becomes dirty after the cut before faults and writes are let in again. */
static bool is_from_before(struct folio *folio)
{
	return folio_test_dirty(folio) || folio_test_writeback(folio);
}

/*
 * A fault that asked before the cut may map its page after everything was
 * unmapped: until then it holds the folio's lock. And direct I/O from before the
 * cut may still come in to pages that it holds: to those no more.
 */
static void unmap_late(struct address_space *mapping)
{
	struct folio_batch batch;
	pgoff_t next = 0;
	unsigned int i;

	folio_batch_init(&batch);
	while (filemap_get_folios(mapping, &next, (pgoff_t)-1, &batch)) {
		for (i = 0; i < folio_batch_count(&batch); i++) {
			struct folio *folio = batch.folios[i];
			bool before = is_from_before(folio);

			/* In this order: it is mapped, then unlocked. */
			if (!folio_test_locked(folio) && !folio_mapped(folio) &&
			    !is_held(folio) && !before)
				continue;
			folio_lock(folio);
			before |= is_from_before(folio);
			folio_wait_writeback(folio);
			unmap_mapping_pages(mapping, folio->index,
					    folio_nr_pages(folio), false);
			if (folio->mapping && (is_held(folio) || before))
				generic_error_remove_folio(mapping, folio);
			folio_unlock(folio);
		}
		folio_batch_release(&batch);
		cond_resched();
	}
}

/*
 * A reboot forgets errors. What tells one error from the next stays, for files
 * that live on: so the number goes, and is marked as heard of.
 */
static void forget_errors(struct address_space *mapping)
{
	errseq_t seen = 0;

	errseq_check_and_advance(&mapping->wb_err, &seen);
	WRITE_ONCE(mapping->wb_err, seen & ~MAX_ERRNO);
	clear_bit(AS_EIO, &mapping->flags);
	clear_bit(AS_ENOSPC, &mapping->flags);
}

/* Pages of zeros over holes: the image shows what is there again. */
static void drop_holes(struct address_space *mapping,
		       struct mmapdev_store *store)
{
	pgoff_t first, end, next = 0;

	while (mmapdev_holes_next(store, next, ULONG_MAX - 1, &first, &end)) {
		truncate_inode_pages_range(mapping, (loff_t)first << PAGE_SHIFT,
					   end == ULONG_MAX ? -1 :
					   ((loff_t)end << PAGE_SHIFT) - 1);
		next = end;
		cond_resched();
	}
}

/* Return how many pages the image shows otherwise, or not, but for holes. */
static u64 drop_pending(struct address_space *mapping,
			struct mmapdev_store *store)
{
	unsigned long index = 0;
	u64 lost = 0;

	while (mmapdev_store_next_pending(store, &index)) {
		/* Else it is counted with what its hole hides. */
		lost += !mmapdev_holes_hide(store, index) ||
			!store->ops->has(store, index);
		drop(mapping, index++);
		cond_resched();
	}
	return lost;
}

static u64 lose(struct inode *inode)
{
	struct address_space *mapping = inode->i_mapping;
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	u64 lost;

	lockdep_assert_held_write(&inode->i_rwsem);
	lockdep_assert_held_write(&mapping->invalidate_lock);

	/* No store to memory gets through from here on. */
	unmap_mapping_range(mapping, 0, 0, 0);
	/*
	 * Pages that were made dirty behind our back have nothing pending before they
	 * are written back: in this order, one that is on its way is met somewhere.
	 */
	drop_tagged(mapping, PAGECACHE_TAG_DIRTY);
	mmapdev_step();
	drop_tagged(mapping, PAGECACHE_TAG_WRITEBACK);
	mmapdev_step();
	drop_pending(mapping, store);
	drop_holes(mapping, store);
	mmapdev_step();
	/* A page that stays has what mappings stored past the end of file. */
	mmapdev_zero_eof_tail(inode);
	mmapdev_cut_off(inode, store->size);
	mmapdev_step();
	unmap_late(mapping);
	/*
	 * Only now nothing is on its way any more, also of what direct I/O made dirty
	 * meanwhile: a writeback uses the page that it has reserved without a lock.
	 */
	lost = drop_pending(mapping, store);
	lost += atomic_long_read(&store->hidden_pages);
	mmapdev_step();
	mmapdev_store_forget(store);
	forget_errors(mapping);
	return lost;
}

/**
 * mmapdev_crash - cut the power
 * @inode: a durable object
 * @flags: MMAPDEV_CRASH_REVERT to let files and mappings live on
 * @lost: pages that were not durable
 *
 * Costs by pages that are mapped or not durable, and a little by those in the
 * page cache; not by size.
 *
 * Context: Takes i_rwsem, the store's lock and invalidate_lock; may sleep.
 * Return: 0; -EOPNOTSUPP for an anonymous object; -EINTR if killed.
 */
int mmapdev_crash(struct inode *inode, u32 flags, u64 *lost)
{
	struct mmapdev_object *object = mmapdev_object_of(inode);
	int err;

	if (!object->store)
		return -EOPNOTSUPP;
	err = mmapdev_lock(inode);
	if (err)
		return err;
	err = mmapdev_store_lock(inode);
	if (err)
		goto out;
	err = down_write_killable(&inode->i_mapping->invalidate_lock);
	if (err)
		goto out_store;
	WRITE_ONCE(object->cuts, object->cuts + 1);
	if (!(flags & MMAPDEV_CRASH_REVERT))
		WRITE_ONCE(object->dead, object->cuts);
	*lost = lose(inode);
	filemap_invalidate_unlock(inode->i_mapping);
	mmapdev_count(object, MMAPDEV_CRASHES, 1);
	trace_mmapdev_crash(inode, flags, *lost, mmapdev_sequence_next(object));
out_store:
	mmapdev_store_unlock(inode);
out:
	inode_unlock(inode);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_crash);
