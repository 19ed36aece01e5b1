// SPDX-License-Identifier: GPL-2.0
/*
 * Reading and writing by system call, a page at a time.
 */

#include "mmapdev.h"

#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>
#include <linux/writeback.h>

#include "compat.h"

/*
 * The folio at an index if there are bytes, with a reference; NULL for a hole.
 * What is not up to date is either about to be given, by fallocate, and still a
 * hole, or has to be loaded from the store.
 */
static struct folio *readable_folio(struct inode *inode, pgoff_t index)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	struct folio *folio = filemap_get_folio(inode->i_mapping, index);

	if (!IS_ERR_OR_NULL(folio)) {
		if (folio_test_uptodate(folio))
			return folio;
		folio_put(folio);
	}
	if (!store || !mmapdev_store_has(store, index))
		return NULL;
	if (down_read_killable(&inode->i_mapping->invalidate_lock))
		return ERR_PTR(-EINTR);
	folio = NULL;
	if (index < DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE))
		folio = mmapdev_folio_get(inode, index, GFP_KERNEL);
	if (!IS_ERR_OR_NULL(folio))
		folio_unlock(folio);
	filemap_invalidate_unlock_shared(inode->i_mapping);
	return folio;
}

/*
 * Copy up to the end of one page, zeros if there is none. The size is read before
 * the page is found, so that a page that a write adds after that, and then grows
 * the file for, is not taken for a hole; and after it, to show a truncation.
 */
static ssize_t read_page(struct inode *inode, loff_t pos, struct iov_iter *to)
{
	pgoff_t index = pos >> PAGE_SHIFT;
	size_t offset = offset_in_page(pos);
	loff_t before = i_size_read(inode);
	struct folio *folio = readable_folio(inode, index);
	loff_t size = min(before, i_size_read(inode));
	size_t bytes = min(PAGE_SIZE - offset, iov_iter_count(to));
	ssize_t copied = 0;

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	if (pos < size)
		bytes = min_t(loff_t, bytes, size - pos);
	else
		bytes = 0;
	if (!folio) {
		copied = iov_iter_zero(bytes, to);
	} else {
		struct page *page = folio_file_page(folio, index);

		if (mapping_writably_mapped(inode->i_mapping))
			flush_dcache_page(page);
		if (PageHWPoison(page))
			copied = -EIO;
		else
			copied = copy_page_to_iter(page, offset, bytes, to);
		folio_put(folio);
	}
	return copied < (ssize_t)bytes && copied >= 0 ? -EFAULT : copied;
}

/**
 * mmapdev_read_iter - read(2) and its kin
 * @iocb: file and position
 * @to: where to
 *
 * Context: May sleep.
 * Return: Bytes read, fewer at the end of file; -EFAULT; -EIO for a poisoned
 *	page or a file from before a power cut; an error of the store.
 */
ssize_t mmapdev_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = iocb->ki_filp->f_mapping->host;
	ssize_t done = 0;

	if (mmapdev_file_dead(iocb->ki_filp))
		return -EIO;
	mmapdev_accessed(inode);
	while (iov_iter_count(to)) {
		size_t before = iov_iter_count(to);
		ssize_t ret = read_page(inode, iocb->ki_pos, to);
		size_t moved = before - iov_iter_count(to);

		iocb->ki_pos += moved;
		done += moved;
		if (ret <= 0)
			return done ?: ret;
		if (fatal_signal_pending(current))
			return done;
		cond_resched();
	}
	return done;
}

/* Copy into the page at a position, which is made if there is none. */
static ssize_t copy_to_folio(struct inode *inode, loff_t pos, size_t bytes,
			     struct iov_iter *from)
{
	struct address_space *mapping = inode->i_mapping;
	struct folio *folio;
	ssize_t copied;
	int err;

	folio = mmapdev_folio_get(inode, pos >> PAGE_SHIFT,
				  mapping_gfp_mask(mapping));
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	err = mmapdev_folio_dirty(inode, folio);
	if (err) {
		copied = err;
	} else if (PageHWPoison(folio_file_page(folio, pos >> PAGE_SHIFT))) {
		copied = -EIO;
	} else {
		copied = copy_folio_from_iter_atomic(folio,
						     offset_in_folio(folio, pos),
						     bytes, from);
		flush_dcache_folio(folio);
		if (copied && pos + copied > i_size_read(inode))
			mmapdev_set_size(inode, pos + copied);
	}
	folio_unlock(folio);
	folio_put(folio);
	return copied;
}

/* Copy up to the end of one page. */
static ssize_t write_page(struct inode *inode, loff_t pos,
			  struct iov_iter *from)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	size_t bytes = min(PAGE_SIZE - offset_in_page(pos),
			   iov_iter_count(from));
	ssize_t copied;
	bool inside;

	if (store && pos >= store->capacity)
		return -ENOSPC;
	if (store)
		bytes = min_t(loff_t, bytes, store->capacity - pos);
	/*
	 * Touch the source first: it may be a mapping of this very page, and
	 * cannot be faulted in while the page is locked.
	 */
	if (fault_in_iov_iter_readable(from, bytes) == bytes)
		return -EFAULT;
	/* Else nobody minds that a write makes the object grow. */
	inside = pos + bytes > i_size_read(inode) && mmapdev_end_is_inside(inode);
	if (inside && down_write_killable(&inode->i_mapping->invalidate_lock))
		return -EINTR;
	copied = copy_to_folio(inode, pos, bytes, from);
	if (inside)
		filemap_invalidate_unlock(inode->i_mapping);
	return copied;
}

/**
 * mmapdev_write_iter - write(2) and its kin
 * @iocb: file and position
 * @from: where from
 *
 * Context: Takes i_rwsem; may sleep.
 * Return: Bytes written, fewer if something came in between; -EFAULT; -EFBIG
 *	past what a size can be (RLIMIT_FSIZE with SIGXFSZ); -ENOSPC over the
 *	limit; -ENOMEM; -EIO for a poisoned page or a file from before a power
 *	cut; an error of the store; -EINTR if killed.
 */
ssize_t mmapdev_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = iocb->ki_filp->f_mapping->host;
	unsigned long cuts;
	ssize_t done = 0;
	ssize_t ret;

	ret = mmapdev_lock(inode);
	if (ret)
		return ret;
	if (mmapdev_file_dead(iocb->ki_filp))
		ret = -EIO;
	else
		ret = generic_write_checks(iocb, from);
	if (ret > 0) {
		mmapdev_modified(inode);
		if (iocb->ki_pos + ret > i_size_read(inode))
			mmapdev_zero_eof_tail(inode);
	}
	while (ret > 0 && iov_iter_count(from)) {
		ssize_t copied = write_page(inode, iocb->ki_pos, from);

		if (copied < 0)
			ret = copied;
		else if (fatal_signal_pending(current))
			ret = -EINTR;
		if (copied > 0) {	/* 0: the source went away again */
			iocb->ki_pos += copied;
			done += copied;
			balance_dirty_pages_ratelimited(inode->i_mapping);
		}
		cond_resched();
	}
	cuts = READ_ONCE(mmapdev_object_of(inode)->cuts);
	inode_unlock(inode);
	if (!done)
		return ret;
	ret = generic_write_sync(iocb, done);
	/* A power cut before the sync took what that was to make durable. */
	if (ret > 0 && iocb_is_dsync(iocb) &&
	    cuts != READ_ONCE(mmapdev_object_of(inode)->cuts))
		ret = -EIO;
	return ret;
}
