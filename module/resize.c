// SPDX-License-Identifier: GPL-2.0
/*
 * Moving the end of file: what is past it is gone, what comes after it is zero.
 */

#include "mmapdev.h"

#include <linux/highmem.h>
#include <linux/pagemap.h>

#include "compat.h"
#include "trace.h"

/* Nobody sees pages whose memory has failed, and a store to it can hit the CPU. */
static void zero_to_end(struct folio *folio, size_t from)
{
	while (from < folio_size(folio)) {
		size_t to = round_down(from, PAGE_SIZE) + PAGE_SIZE;

		if (!PageHWPoison(folio_page(folio, from >> PAGE_SHIFT)))
			folio_zero_segment(folio, from, to);
		from = to;
	}
}

/**
 * mmapdev_zero_eof_tail - zero what the folio at EOF has past it
 * @inode: the object
 *
 * A mapping can store past EOF in the last page, and a pin can in all of a folio
 * that could not be split there. Such bytes must not become part of the object
 * when it grows over them.
 *
 * Context: Holds i_rwsem; may sleep.
 */
void mmapdev_zero_eof_tail(struct inode *inode)
{
	loff_t size = i_size_read(inode);
	struct folio *folio;
	size_t offset;

	lockdep_assert_held_write(&inode->i_rwsem);

	folio = mmapdev_folio_find(inode->i_mapping, size >> PAGE_SHIFT);
	if (!folio)
		return;
	offset = offset_in_folio(folio, size);
	if (offset)	/* else nobody could store to it since it was made */
		zero_to_end(folio, offset);
	folio_unlock(folio);
	folio_put(folio);
}

static pgoff_t first_gone(loff_t size)
{
	return DIV_ROUND_UP_ULL(size, PAGE_SIZE);
}

/* The folio that has pages on both sides of an end, locked, or NULL. */
static struct folio *folio_across(struct inode *inode, loff_t size)
{
	struct folio *folio = mmapdev_folio_find(inode->i_mapping,
						 size >> PAGE_SHIFT);
	pgoff_t end = first_gone(size);

	if (!folio)
		return NULL;
	if (folio->index < end && folio->index + folio_nr_pages(folio) > end)
		return folio;
	folio_unlock(folio);
	folio_put(folio);
	return NULL;
}

/*
 * Split the folio across an end to come. Truncation splits what it takes a part
 * of: so a byte is taken that goes anyway. If it cannot now, because of a pin,
 * then it must not do so later; see folio.c.
 */
static void split_across(struct inode *inode, loff_t size)
{
	struct folio *folio = folio_across(inode, size);

	if (!folio)
		return;
	/* What could not be split once may have grown inside again. */
	if (folio_test_private(folio) && folio->index + folio_nr_pages(folio) <=
					 first_gone(i_size_read(inode)))
		folio_detach_private(folio);
	folio_unlock(folio);
	folio_put(folio);
	truncate_inode_pages_range(inode->i_mapping, size, size);
	folio = folio_across(inode, size);
	if (!folio)
		return;
	/* The mark goes with the folio where it migrates; nobody follows it. */
	if (!folio_test_private(folio))
		folio_attach_private(folio, inode);
	folio_unlock(folio);
	folio_put(folio);
}

/**
 * mmapdev_set_size - note where the end of file is now
 * @inode: the object
 * @size: bytes from the start
 *
 * The VFS asks a regular file's own inode for its size, not the object.
 *
 * Context: Holds i_rwsem.
 */
void mmapdev_set_size(struct inode *inode, loff_t size)
{
	struct mmapdev_object *object = mmapdev_object_of(inode);

	lockdep_assert_held_write(&inode->i_rwsem);

	i_size_write(inode, size);
	if (object->store)
		WRITE_ONCE(object->store->end, size);
	spin_lock(&inode->i_lock);
	if (object->regular)
		i_size_write(object->regular, size);
	spin_unlock(&inode->i_lock);
}

/**
 * mmapdev_cut_off - set the end of file, and drop what is past it
 * @inode: the object
 * @size: bytes from the start
 *
 * Context: Holds i_rwsem and invalidate_lock; may sleep.
 */
void mmapdev_cut_off(struct inode *inode, loff_t size)
{
	struct address_space *mapping = inode->i_mapping;
	loff_t gone = round_up(size, PAGE_SIZE);

	lockdep_assert_held_write(&mapping->invalidate_lock);

	split_across(inode, size);
	mmapdev_set_size(inode, size);
	truncate_pagecache(inode, size);
	/*
	 * A private write over a hole has no folio whose lock the truncation
	 * could wait for: wait for those that saw the old size, then take back
	 * what they mapped.
	 */
	mmapdev_hole_drain();
	if (gone < inode->i_sb->s_maxbytes)
		unmap_mapping_range(mapping, gone, 0, 1);
}

static void shrink(struct inode *inode, loff_t size)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;

	bool less = size < i_size_read(inode);

	mmapdev_cut_off(inode, size);
	if (store) {
		if (less || !mtree_empty(&store->holes))
			mmapdev_partial_write(inode, size);
		mmapdev_store_drop(store, first_gone(size), ULONG_MAX);
	}
}

/* Do what can fail before anything changes. */
static int shrink_prepare(struct inode *inode, loff_t size, struct folio **held)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	int err = mmapdev_partial_dirty(inode, size, held);

	if (!err && store)
		err = mmapdev_holes_add(store, first_gone(size), ULONG_MAX);
	return err;
}

/**
 * mmapdev_resize - set the end of file
 * @inode: the object
 * @size: bytes from the start
 * @file: by which it is asked for, or NULL
 *
 * Mapped pages past the new end give SIGBUS from now on, private copies
 * included; pages before it and new ones are usable at once.
 *
 * Context: Takes i_rwsem, the store's lock and invalidate_lock; may sleep.
 * Return: 0; -EFBIG if the size is over the object's or the process's limit
 *	(RLIMIT_FSIZE, with SIGXFSZ); -EIO if @file is from before a power cut;
 *	-EINTR if killed; of a durable object, -ENOMEM, -ENOSPC or an error of its
 *	store, with nothing changed.
 */
int mmapdev_resize(struct inode *inode, loff_t size, const struct file *file)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	struct address_space *mapping = inode->i_mapping;
	struct folio *held = NULL;
	loff_t old;
	int err;

	err = mmapdev_lock(inode);
	if (err)
		return err;
	old = i_size_read(inode);
	err = inode_newsize_ok(inode, size);
	if (!err && store && size > store->capacity)
		err = -EFBIG;
	if (file && mmapdev_file_dead(file))	/* a cut came before us */
		err = -EIO;
	if (err)
		goto out;
	err = mmapdev_store_lock(inode);
	if (err)
		goto out;
	err = down_write_killable(&mapping->invalidate_lock);
	if (err)
		goto out_store;
	if (size <= old) {	/* pages can have been allocated past the end */
		err = shrink_prepare(inode, size, &held);
		if (!err)
			shrink(inode, size);
		mmapdev_partial_put(held);
	} else {
		mmapdev_zero_eof_tail(inode);
		mmapdev_set_size(inode, size);
	}
	filemap_invalidate_unlock(mapping);
	if (!err && size != old)
		mmapdev_modified(inode);
	if (!err)
		trace_mmapdev_resize(inode, old, size);
out_store:
	mmapdev_store_unlock(inode);
out:
	inode_unlock(inode);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_resize);
