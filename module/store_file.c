// SPDX-License-Identifier: GPL-2.0
/*
 * A store in a file: any regular file or block device, by a descriptor.
 *
 * The image is the file's content. It is read when a page is needed, written by a
 * worker at a flush, adjacent pages together, and synced at the end of it.
 */

#include "store_file.h"

#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "compat.h"

static unsigned long file_pages(struct mmapdev_store *store)
{
	return DIV_ROUND_UP_ULL(READ_ONCE(store->size), PAGE_SIZE);
}

/* A file's holes read as zeros: they need not be known. */
static bool file_has(struct mmapdev_store *store, pgoff_t index)
{
	return index < file_pages(store);
}

static pgoff_t file_next(struct mmapdev_store *store, pgoff_t index)
{
	return file_has(store, index) ? index : ULONG_MAX;
}

static pgoff_t file_next_hole(struct mmapdev_store *store, pgoff_t index)
{
	return max(index, file_pages(store));
}

static unsigned long pages_between(struct mmapdev_store *store, pgoff_t first,
				   pgoff_t end)
{
	pgoff_t pages = file_pages(store);

	return min(end, pages) - min(first, pages);
}

/*
 * Move bytes between a file and pages until all are moved or an error comes.
 * Return how many were moved: fewer at the end of the file, or with an error.
 */
static size_t transfer(struct file *file, loff_t pos, struct bio_vec *bvecs,
		       size_t length, unsigned int direction, int *err)
{
	unsigned int n = DIV_ROUND_UP(length, PAGE_SIZE);
	struct iov_iter iter;
	struct kiocb kiocb;
	size_t done = 0;
	ssize_t ret = 0;

	init_sync_kiocb(&kiocb, file);
	kiocb.ki_pos = pos;
	while (done < length) {
		/* Anew: a call that fails may have taken from it all the same. */
		iov_iter_bvec(&iter, direction, bvecs, n, length);
		iov_iter_advance(&iter, done);
		ret = direction == WRITE ?
			file->f_op->write_iter(&kiocb, &iter) :
			file->f_op->read_iter(&kiocb, &iter);
		if (ret <= 0)
			break;
		done += ret;
	}
	*err = min_t(ssize_t, ret, 0);
	return done;
}

/* As read(2) would. */
static int load_by_call(struct file *file, loff_t pos, struct page *page)
{
	struct bio_vec bvec = {
		.bv_page	= page,
		.bv_len		= PAGE_SIZE,
	};
	int err;

	transfer(file, pos, &bvec, PAGE_SIZE, READ, &err);
	return err;
}

/* Only a kind of its own, as tmpfs, or none, as with DAX: see file_load(). */
static bool has_page_cache(const struct file *file)
{
	return file->f_mapping->a_ops->read_folio;
}

/* From the file's page cache, of which no punch takes away what is being read. */
static int load_cached(struct file *file, pgoff_t index, struct page *page)
{
	struct address_space *mapping = file->f_mapping;
	struct folio *folio;
	struct page *from;
	int err;

	err = down_read_killable(&mapping->invalidate_lock);
	if (err)
		return err;
	folio = read_mapping_folio(mapping, index, file);
	filemap_invalidate_unlock_shared(mapping);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	from = folio_file_page(folio, index);
	if (PageHWPoison(from))
		err = -EIO;
	else
		copy_highpage(page, from);
	folio_put(folio);
	return err;
}

/*
 * A fault may be waiting, with mmap_lock: so not by read_iter, which in many file
 * systems takes i_rwsem, under which others fault. tmpfs has no other way, and
 * takes no such lock.
 */
static int file_load(struct mmapdev_store *store, pgoff_t index,
		     struct page *page)
{
	struct file *file = file_of(store)->file;
	loff_t pos = (loff_t)index << PAGE_SHIFT;
	/* Looked at once: a flush moves it. */
	loff_t expected = min_t(loff_t, PAGE_SIZE, READ_ONCE(store->size) - pos);
	int err;

	if (expected <= 0)
		return 0;
	if (has_page_cache(file))
		err = load_cached(file, index, page);
	else
		err = load_by_call(file, pos, page);
	/* A file that is shorter than it was has lost bytes: they are no zeros. */
	if (!err && i_size_read(host_of(store)) < pos + expected)
		err = -EIO;
	if (!err && expected < PAGE_SIZE)
		memzero_page(page, expected, PAGE_SIZE - expected);
	return err;
}

static int file_reserve(struct mmapdev_store *store, pgoff_t index, gfp_t gfp)
{
	return index < DIV_ROUND_UP_ULL(store->capacity, PAGE_SIZE) ? 0 : -ENOSPC;
}

/*
 * How many of the pages' bytes are before the end. A device has what is past that of
 * the object, too: there the zeros at the end of a page have to go.
 */
static size_t bytes_before_end(struct mmapdev_store *store, loff_t pos,
			       unsigned int n)
{
	loff_t end = S_ISBLK(host_of(store)->i_mode) ?
		     store->capacity : READ_ONCE(store->end);

	return clamp_t(loff_t, end - pos, 0, (loff_t)n << PAGE_SHIFT);
}

/*
 * Dirty pages of the object cannot be cleaned until this write completes, so it is
 * exempt from dirty throttling.
 */
static unsigned int file_write(struct mmapdev_store *store, pgoff_t index,
			       struct page **pages, unsigned int n, int *err)
{
	struct file_store *file = file_of(store);
	unsigned int throttle = current->flags & PF_LOCAL_THROTTLE;
	loff_t pos = (loff_t)index << PAGE_SHIFT;
	size_t length = bytes_before_end(store, pos, n);
	size_t written;
	unsigned int i;

	if (!length)	/* allocated past the end: the file has no place for it */
		return n;
	if (is_short(store) && pos > i_size_read(host_of(store))) {
		*err = -EIO;
		return 0;
	}
	for (i = 0; i < n; i++) {
		file->bvecs[i] = (struct bio_vec) {
			.bv_page	= pages[i],
			.bv_len		= PAGE_SIZE,
		};
	}
	current->flags |= PF_LOCAL_THROTTLE;
	written = transfer(file->file, pos, file->bvecs, length, WRITE, err);
	current->flags &= ~PF_LOCAL_THROTTLE;
	current->flags |= throttle;
	/* A FUSE server can have its files written past their page cache. */
	if (host_of(store)->i_sb->s_magic == FUSE_SUPER_MAGIC)
		invalidate_inode_pages2_range(host_of(store)->i_mapping, index,
					      index + n - 1);
	if (written == length)
		return n;
	if (!*err)
		*err = -EIO;
	return written >> PAGE_SHIFT;
}

static int write_zeros(struct file_store *file, loff_t pos, loff_t end)
{
	int err = 0;

	while (!err && pos < end) {
		size_t length = min_t(loff_t, end - pos,
				      MMAPDEV_FLUSH_BATCH << PAGE_SHIFT);
		unsigned int i;

		for (i = 0; i < MMAPDEV_FLUSH_BATCH; i++) {
			file->bvecs[i] = (struct bio_vec) {
				.bv_page	= ZERO_PAGE(0),
				.bv_len		= PAGE_SIZE,
			};
		}
		if (transfer(file->file, pos, file->bvecs, length, WRITE,
			     &err) < length && !err)
			err = -EIO;
		pos += length;
		cond_resched();
	}
	return err;
}

/* As vfs_truncate() does, but the file system may be written to already. */
static int file_resize(struct mmapdev_store *store, loff_t size)
{
	struct file *file = file_of(store)->file;
	struct inode *host = host_of(store);
	struct iattr attr = {
		.ia_valid	= ATTR_SIZE | ATTR_FILE | ATTR_MTIME | ATTR_CTIME,
		.ia_size	= size,
		.ia_file	= file,
	};
	int err;

	if (!S_ISREG(host->i_mode) || size == i_size_read(host))
		return 0;
	if (is_short(store) && size > i_size_read(host))
		return size > store->size ? -EIO : 0;
	inode_lock(host);
	err = notify_change(file_mnt_idmap(file), file_dentry(file), &attr,
			    NULL);
	inode_unlock(host);
	return err;
}

/* What goes up to the end is cut off, whatever the file system can do else. */
static int file_punch(struct mmapdev_store *store, pgoff_t first, pgoff_t end)
{
	struct file_store *file = file_of(store);
	loff_t pos = (loff_t)first << PAGE_SHIFT;
	loff_t to = min_t(loff_t, (loff_t)min(end, file_pages(store)) <<
			  PAGE_SHIFT, store->size);
	int err = -EOPNOTSUPP;

	if (pos >= to)
		return 0;
	if (to == store->size && S_ISREG(host_of(store)->i_mode)) {
		err = file_resize(store, pos);
		if (!err)
			WRITE_ONCE(store->size, pos);
		return err;
	}
	if (file->file->f_op->fallocate)
		err = file->file->f_op->fallocate(file->file,
						  FALLOC_FL_PUNCH_HOLE |
						  FALLOC_FL_KEEP_SIZE, pos,
						  round_up(to, PAGE_SIZE) - pos);
	return err == -EOPNOTSUPP ? write_zeros(file, pos, to) : err;
}

static int file_sync(struct mmapdev_store *store)
{
	return vfs_fsync(file_of(store)->file, 1);
}

static const struct mmapdev_store_ops file_ops = {
	.kind		= MMAPDEV_STORE_FILE,
	.name		= "file",
	.has		= file_has,
	.next		= file_next,
	.next_hole	= file_next_hole,
	.count		= pages_between,
	.load		= file_load,
	.reserve	= file_reserve,
	.flush		= mmapdev_file_flush,
	.begin		= mmapdev_file_begin,
	.write		= file_write,
	.punch		= file_punch,
	.resize		= file_resize,
	.sync		= file_sync,
	.release	= mmapdev_file_release,
};

/*
 * Only files that keep bytes: what has no fallocate(), does not write pages back and
 * does not write to its page cache is a pseudo file, to which a write is a command.
 */
static bool keeps_bytes(const struct file *file)
{
	const struct address_space_operations *ops = file->f_mapping->a_ops;

	return S_ISBLK(file->f_mapping->host->i_mode) ||
	       file->f_op->fallocate ||
	       file->f_op->write_iter == generic_file_write_iter ||
	       (file->f_op->fsync && ops->read_folio && ops->writepages);
}

static int file_check(struct file *file)
{
	struct inode *inode = file->f_mapping->host;

	if (!S_ISREG(inode->i_mode) && !S_ISBLK(inode->i_mode))
		return -EINVAL;
	if (!(file->f_mode & FMODE_READ) || !(file->f_mode & FMODE_WRITE))
		return -EBADF;
	/* Its flush would wait for another of ours, or for itself. */
	if (inode->i_sb->s_magic == MMAPDEV_SUPER_MAGIC)
		return -ELOOP;
	/* Else it is read under locks that a fault must not wait for, as by DAX. */
	if (!has_page_cache(file) && inode->i_sb->s_magic != TMPFS_MAGIC)
		return -EINVAL;
	/*
	 * overlayfs takes the locks of two file systems to write, where a freeze of the
	 * one below waits for us, and a pipe's whose user may wait for the object.
	 */
	if (inode->i_sb->s_stack_depth)
		return -EINVAL;
	if (file->f_flags & O_APPEND || !file->f_op->read_iter ||
	    !file->f_op->write_iter || !keeps_bytes(file))
		return -EINVAL;
	return 0;
}

/* The file of a descriptor, opened anew. */
static struct file *open_image(int fd)
{
	struct file *given = fget(fd);
	struct file *file;
	int err;

	if (!given)
		return ERR_PTR(-EBADF);
	err = file_check(given);
	file = err ? ERR_PTR(err) :
		     dentry_open(&given->f_path, O_RDWR | O_LARGEFILE,
				 given->f_cred);
	fput(given);
	return file;
}

/**
 * mmapdev_file_image_close - let go of the file, and of what it did not get
 * @file: the store, which is freed
 *
 * Context: Nobody uses its object, and no flush is under way; may sleep.
 */
void mmapdev_file_image_close(struct file_store *file)
{
	mmapdev_store_empty(&file->store);
	mmapdev_user_put(file->store.user);
	fput(file->file);
	kvfree(file);
}

/**
 * mmapdev_file_store - make a store of a file
 * @fd: the caller's descriptor of it
 *
 * Context: May sleep.
 * Return: The store, as large as the file; ERR_PTR(-EBADF) if @fd is not open
 *	for reading and writing; ERR_PTR(-EINVAL) if it is no regular file or
 *	block device that keeps bytes, or appends; ERR_PTR(-ELOOP) if it is an
 *	object; ERR_PTR(-ENOMEM); the error of opening it anew.
 */
struct mmapdev_store *mmapdev_file_store(int fd)
{
	struct file *file = open_image(fd);
	struct file_store *store;
	struct inode *host;
	loff_t size;

	if (IS_ERR(file))
		return ERR_CAST(file);
	host = file->f_mapping->host;
	size = i_size_read(host);
	store = kvzalloc(sizeof(*store), GFP_KERNEL_ACCOUNT);
	if (!store)
		goto err_put;
	if (mmapdev_store_init(&store->store, &file_ops, size,
			       S_ISBLK(host->i_mode) ? size :
			       min_t(loff_t, host->i_sb->s_maxbytes,
				     MMAPDEV_MAX_SIZE)))
		goto err_free;
	store->file = file;
	if (mmapdev_file_worker_start(store))
		goto err_user;
	return &store->store;

err_user:
	mmapdev_user_put(store->store.user);
err_free:
	kvfree(store);
err_put:
	fput(file);
	return ERR_PTR(-ENOMEM);
}
