// SPDX-License-Identifier: GPL-2.0
/*
 * File operations: open, mmap, read, write, seek.
 *
 * A file finds its object by f_mapping, which open points at the object's
 * pages: mappings, msync and the core's own look-ups then find them too.
 */

#include "mmapdev.h"

#include <linux/errseq.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include "compat.h"

static int mmapdev_open(struct inode *node, struct file *file)
{
	struct inode *inode = mmapdev_object_create();

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	if (file->f_flags & O_TRUNC)
		i_size_write(inode, 0);
	file->private_data = inode;
	file->f_mapping = inode->i_mapping;
	/* The VFS took these from the device node's mapping. */
	file->f_wb_err = filemap_sample_wb_err(file->f_mapping);
	file_ra_state_init(&file->f_ra, file->f_mapping);
	mmapdev_count_open();
	return 0;
}

static int mmapdev_release(struct inode *node, struct file *file)
{
	iput(file->private_data);
	return 0;
}

/* No page past the largest size can ever be valid: refuse, as regular files. */
static int map_check(const struct file *file, pgoff_t pgoff,
		     unsigned long pages)
{
	pgoff_t max = file->f_mapping->host->i_sb->s_maxbytes >> PAGE_SHIFT;

	if (pages > max || pgoff > max - pages)
		return -EOVERFLOW;
	return 0;
}

#ifdef MMAPDEV_HAVE_MMAP_PREPARE
static int mmapdev_mmap_prepare(struct vm_area_desc *desc)
{
	int err = map_check(desc->file, desc->pgoff, vma_desc_pages(desc));

	if (!err)
		desc->vm_ops = &mmapdev_vm_ops;
	return err;
}
#else
static int mmapdev_mmap(struct file *file, struct vm_area_struct *vma)
{
	int err = map_check(file, vma->vm_pgoff, vma_pages(vma));

	if (!err)
		vma->vm_ops = &mmapdev_vm_ops;
	return err;
}
#endif

/*
 * Copy up to the end of one page, zeros if there is none. The page is found
 * before the size is read: a truncation in between shows in the size.
 */
static ssize_t read_page(struct inode *inode, loff_t pos, struct iov_iter *to)
{
	pgoff_t index = pos >> PAGE_SHIFT;
	size_t offset = offset_in_page(pos);
	struct folio *folio = filemap_get_folio(inode->i_mapping, index);
	loff_t size = i_size_read(inode);
	size_t bytes = min(PAGE_SIZE - offset, iov_iter_count(to));
	ssize_t copied = 0;

	if (IS_ERR(folio))
		folio = NULL;
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

static ssize_t mmapdev_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = iocb->ki_filp->f_mapping->host;
	ssize_t done = 0;

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

/* Copy up to the end of one page, which the copy makes if there is none. */
static ssize_t write_page(struct inode *inode, loff_t pos,
			  struct iov_iter *from)
{
	struct address_space *mapping = inode->i_mapping;
	size_t bytes = min(PAGE_SIZE - offset_in_page(pos),
			   iov_iter_count(from));
	struct folio *folio;
	ssize_t copied;

	/*
	 * Touch the source first: it may be a mapping of this very page, and
	 * cannot be faulted in while the page is locked.
	 */
	if (fault_in_iov_iter_readable(from, bytes) == bytes)
		return -EFAULT;
	folio = mmapdev_folio_get(inode, pos >> PAGE_SHIFT,
				  mapping_gfp_mask(mapping));
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	if (PageHWPoison(folio_file_page(folio, pos >> PAGE_SHIFT))) {
		copied = -EIO;
	} else {
		copied = copy_folio_from_iter_atomic(folio,
						     offset_in_folio(folio, pos),
						     bytes, from);
		flush_dcache_folio(folio);
		if (pos + copied > i_size_read(inode))
			i_size_write(inode, pos + copied);
	}
	folio_unlock(folio);
	folio_put(folio);
	return copied;
}

static ssize_t mmapdev_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = iocb->ki_filp->f_mapping->host;
	ssize_t done = 0;
	ssize_t ret;

	inode_lock(inode);
	ret = generic_write_checks(iocb, from);
	if (ret > 0 && iocb->ki_pos + ret > i_size_read(inode))
		mmapdev_zero_eof_tail(inode);
	while (ret > 0 && iov_iter_count(from)) {
		ssize_t copied = write_page(inode, iocb->ki_pos, from);

		if (copied < 0)
			ret = copied;
		else if (fatal_signal_pending(current))
			ret = -EINTR;
		if (copied > 0) {	/* 0: the source went away again */
			iocb->ki_pos += copied;
			done += copied;
		}
		cond_resched();
	}
	inode_unlock(inode);
	return done ?: ret;
}

/* The first page at or after index, below end, or end. */
static pgoff_t next_data(struct address_space *mapping, pgoff_t index,
			 pgoff_t end)
{
	struct folio_batch batch;
	pgoff_t found = end;
	pgoff_t start = index;

	folio_batch_init(&batch);
	if (end > index && filemap_get_folios(mapping, &start, end - 1, &batch)) {
		found = max(batch.folios[0]->index, index);
		folio_batch_release(&batch);
	}
	return found;
}

/*
 * The first index at or after index, below end, without a page, or end. Not
 * page_cache_next_miss(), which takes a start at index 0 for a wrap-around.
 */
static pgoff_t next_hole(struct address_space *mapping, pgoff_t index,
			 pgoff_t end)
{
	struct folio_batch batch;

	folio_batch_init(&batch);
	while (index < end &&
	       filemap_get_folios_contig(mapping, &index, end - 1, &batch)) {
		folio_batch_release(&batch);
		cond_resched();
	}
	return min(index, end);
}

static loff_t seek_data_hole(struct inode *inode, loff_t pos, int whence)
{
	struct address_space *mapping = inode->i_mapping;
	loff_t size = i_size_read(inode);
	pgoff_t end = DIV_ROUND_UP(size, PAGE_SIZE);
	pgoff_t index = pos >> PAGE_SHIFT;
	pgoff_t found;

	if (pos < 0 || pos >= size)
		return -ENXIO;
	if (whence == SEEK_DATA) {
		found = next_data(mapping, index, end);
		if (found == end)
			return -ENXIO;
	} else {
		found = next_hole(mapping, index, end);
	}
	return clamp_t(loff_t, (loff_t)found << PAGE_SHIFT, pos, size);
}

static loff_t mmapdev_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file->f_mapping->host;
	loff_t max = inode->i_sb->s_maxbytes;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_file_llseek_size(file, offset, whence, max,
						i_size_read(inode));
	inode_lock(inode);
	offset = seek_data_hole(inode, offset, whence);
	if (offset >= 0)
		offset = vfs_setpos(file, offset, max);
	inode_unlock(inode);
	return offset;
}

const struct file_operations mmapdev_fops = {
	.owner		= THIS_MODULE,
	.open		= mmapdev_open,
	.release	= mmapdev_release,
#ifdef MMAPDEV_HAVE_MMAP_PREPARE
	.mmap_prepare	= mmapdev_mmap_prepare,
#else
	.mmap		= mmapdev_mmap,
#endif
	.read_iter	= mmapdev_read_iter,
	.write_iter	= mmapdev_write_iter,
	.llseek		= mmapdev_llseek,
	.fsync		= noop_fsync,
	.unlocked_ioctl	= mmapdev_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};
