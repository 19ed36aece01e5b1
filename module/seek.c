// SPDX-License-Identifier: GPL-2.0
/*
 * Seeking: a page is data, no page is a hole.
 */

#include "mmapdev.h"

#include <linux/pagemap.h>

#include "compat.h"

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

/* The same of a durable object, where a page that is cached can be a hole. */
static pgoff_t next_stored(struct mmapdev_store *store, pgoff_t index,
			   pgoff_t end, bool data)
{
	return data ? min(mmapdev_store_next(store, index), end) :
		      mmapdev_store_next_hole(store, index, end);
}

static loff_t seek_data_hole(struct inode *inode, loff_t pos, int whence)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	struct address_space *mapping = inode->i_mapping;
	loff_t size = i_size_read(inode);
	pgoff_t end = DIV_ROUND_UP(size, PAGE_SIZE);
	pgoff_t index = pos >> PAGE_SHIFT;
	pgoff_t found;

	if (pos < 0 || pos >= size)
		return -ENXIO;
	if (store)
		found = next_stored(store, index, end, whence == SEEK_DATA);
	else if (whence == SEEK_DATA)
		found = next_data(mapping, index, end);
	else
		found = next_hole(mapping, index, end);
	if (whence == SEEK_DATA && found == end)
		return -ENXIO;
	return clamp_t(loff_t, (loff_t)found << PAGE_SHIFT, pos, size);
}

/**
 * mmapdev_llseek - lseek(2)
 * @file: any face of the object
 * @offset: where to, by @whence
 * @whence: SEEK_*
 *
 * Return: The new position; -ENXIO for data or holes past the end of file;
 *	-EINVAL.
 */
loff_t mmapdev_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file->f_mapping->host;
	loff_t max = inode->i_sb->s_maxbytes;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_file_llseek_size(file, offset, whence, max,
						i_size_read(inode));
	if (mmapdev_lock(inode))
		return -EINTR;
	if (mmapdev_store_lock(inode)) {
		offset = -EINTR;
	} else {
		offset = seek_data_hole(inode, offset, whence);
		mmapdev_store_unlock(inode);
	}
	if (offset >= 0)
		offset = vfs_setpos(file, offset, max);
	inode_unlock(inode);
	return offset;
}
