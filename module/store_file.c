// SPDX-License-Identifier: GPL-2.0
/*
 * A store in a file: any regular file or block device, by a descriptor.
 *
 * The image is the file's content. It is read when a page is needed, written at
 * a flush, adjacent pages together, and synced at the end of it.
 */

#include "mmapdev.h"

#include <linux/bvec.h>
#include <linux/cred.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "compat.h"

/**
 * struct file_store - an image in a file
 * @store: what the object knows of it
 * @file: the file
 * @capacity: bytes that it can hold
 * @bvecs: for one call, protected by the store's lock
 */
struct file_store {
	struct mmapdev_store store;
	struct file *file;
	loff_t capacity;
	struct bio_vec bvecs[MMAPDEV_FLUSH_BATCH];
};

static struct file_store *file_of(struct mmapdev_store *store)
{
	return container_of(store, struct file_store, store);
}

static struct inode *host_of(struct mmapdev_store *store)
{
	return file_of(store)->file->f_mapping->host;
}

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

/*
 * Move bytes between a file and pages until all are moved or an error comes.
 * Return how many were moved: fewer at the end of the file, or with an error.
 */
static size_t transfer(struct file *file, loff_t pos, struct bio_vec *bvecs,
		       unsigned int n, unsigned int direction, int *err)
{
	size_t length = (size_t)n << PAGE_SHIFT;
	struct iov_iter iter;
	struct kiocb kiocb;
	ssize_t ret = 0;

	iov_iter_bvec(&iter, direction, bvecs, n, length);
	init_sync_kiocb(&kiocb, file);
	kiocb.ki_pos = pos;
	while (iov_iter_count(&iter)) {
		ret = direction == WRITE ?
			file->f_op->write_iter(&kiocb, &iter) :
			file->f_op->read_iter(&kiocb, &iter);
		if (ret <= 0)
			break;
	}
	*err = min_t(ssize_t, ret, 0);
	return length - iov_iter_count(&iter);
}

/* As read(2) would. */
static int load_by_call(struct file *file, loff_t pos, struct page *page)
{
	struct bio_vec bvec = {
		.bv_page	= page,
		.bv_len		= PAGE_SIZE,
	};
	int err;

	transfer(file, pos, &bvec, 1, READ, &err);
	return err;
}

/* From the file's page cache. */
static int load_cached(struct file *file, pgoff_t index, struct page *page)
{
	struct folio *folio = read_mapping_folio(file->f_mapping, index, file);
	struct page *from;
	int err = 0;

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
	loff_t expected = min_t(loff_t, PAGE_SIZE, READ_ONCE(store->size) - pos);
	int err;

	if (!file_has(store, index))
		return 0;
	if (file->f_mapping->a_ops->read_folio)
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
	if (index >= file_of(store)->capacity >> PAGE_SHIFT)
		return -ENOSPC;
	return 0;
}

/*
 * Has the file become shorter behind our back? Nothing is written past its end
 * then, and its end stays: bytes that it has lost would come back as zeros.
 */
static bool is_short(struct mmapdev_store *store)
{
	return S_ISREG(host_of(store)->i_mode) &&
	       i_size_read(host_of(store)) < store->size;
}

static unsigned int write_run(struct file_store *file, pgoff_t index,
			      struct page **pages, unsigned int n, int *err)
{
	loff_t pos = (loff_t)index << PAGE_SHIFT;
	size_t written;
	unsigned int i;

	if (is_short(&file->store) && pos > i_size_read(host_of(&file->store))) {
		*err = -EIO;
		return 0;
	}
	for (i = 0; i < n; i++) {
		file->bvecs[i] = (struct bio_vec) {
			.bv_page	= pages[i] ?: ZERO_PAGE(0),
			.bv_len		= PAGE_SIZE,
		};
	}
	written = transfer(file->file, pos, file->bvecs, n, WRITE, err);
	if (written < (size_t)n << PAGE_SHIFT && !*err)
		*err = -EIO;
	return written >> PAGE_SHIFT;
}

/* As vfs_fallocate() does, but file_begin() has been called. */
static int punch_hole(struct file *file, loff_t pos, loff_t length)
{
	if (!file->f_op->fallocate)
		return -EOPNOTSUPP;
	return file->f_op->fallocate(file, FALLOC_FL_PUNCH_HOLE |
				     FALLOC_FL_KEEP_SIZE, pos, length);
}

static unsigned int punch_run(struct file_store *file, pgoff_t index,
			      struct page **pages, unsigned int n, int *err)
{
	*err = punch_hole(file->file, (loff_t)index << PAGE_SHIFT,
			  (loff_t)n << PAGE_SHIFT);
	if (*err == -EOPNOTSUPP)
		return write_run(file, index, pages, n, err);
	return *err ? 0 : n;
}

/*
 * Dirty pages of the object wait for us in a way: do not wait for there to be
 * fewer of them before we write.
 */
static unsigned int file_commit(struct mmapdev_store *store, pgoff_t index,
				struct page **pages, unsigned int n, int *err)
{
	struct file_store *file = file_of(store);
	unsigned int throttle = current->flags & PF_LOCAL_THROTTLE;
	unsigned int done = 0;

	current->flags |= PF_LOCAL_THROTTLE;
	while (!*err && done < n) {
		struct page **run = pages + done;
		unsigned int len = 1;

		while (done + len < n && !run[len] == !run[0])
			len++;
		if (run[0])
			done += write_run(file, index + done, run, len, err);
		else
			done += punch_run(file, index + done, run, len, err);
	}
	current->flags &= ~PF_LOCAL_THROTTLE;
	current->flags |= throttle;
	return done;
}

/* As vfs_truncate() does, but file_begin() has been called. */
static int file_resize(struct mmapdev_store *store, loff_t size)
{
	struct file *file = file_of(store)->file;
	struct inode *host = host_of(store);
	struct iattr attr = {
		.ia_valid	= ATTR_SIZE | ATTR_FILE | ATTR_MTIME | ATTR_CTIME,
		.ia_size	= size,
		.ia_file	= file,
	};
	const struct cred *cred;
	int err;

	if (!S_ISREG(host->i_mode) || size == i_size_read(host))
		return 0;
	if (is_short(store) && size > i_size_read(host))
		return size > store->size ? -EIO : 0;
	/* Whoever syncs has not got to have the rights of who opened it. */
	cred = override_creds(file->f_cred);
	inode_lock(host);
	err = notify_change(file_mnt_idmap(file), file_dentry(file), &attr,
			    NULL);
	inode_unlock(host);
	revert_creds(cred);
	return err;
}

static int file_sync(struct mmapdev_store *store)
{
	return vfs_fsync(file_of(store)->file, 1);
}

/*
 * A file system that is about to freeze waits for who writes, and we must not
 * wait for it while others wait for us: so this comes before the store's lock.
 */
static void file_begin(struct mmapdev_store *store)
{
	file_start_write(file_of(store)->file);
}

static void file_end(struct mmapdev_store *store)
{
	file_end_write(file_of(store)->file);
}

static void file_free(struct mmapdev_store *store)
{
	fput(file_of(store)->file);
	kvfree(file_of(store));
}

static const struct mmapdev_store_ops file_ops = {
	.kind		= MMAPDEV_STORE_FILE,
	.name		= "file",
	.has		= file_has,
	.next		= file_next,
	.next_hole	= file_next_hole,
	.pages		= file_pages,
	.load		= file_load,
	.reserve	= file_reserve,
	.commit		= file_commit,
	.resize		= file_resize,
	.sync		= file_sync,
	.begin		= file_begin,
	.end		= file_end,
	.free		= file_free,
};

static int file_check(struct file *file)
{
	struct inode *inode = file->f_mapping->host;

	if (!S_ISREG(inode->i_mode) && !S_ISBLK(inode->i_mode))
		return -EINVAL;
	if (!(file->f_mode & FMODE_READ) || !(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (file->f_flags & O_APPEND || !file->f_op->read_iter ||
	    !file->f_op->write_iter)
		return -EINVAL;
	/* Its flush would wait for another of ours, or for itself. */
	if (inode->i_sb->s_magic == MMAPDEV_SUPER_MAGIC)
		return -ELOOP;
	return 0;
}

/**
 * mmapdev_file_store - make a store of a file
 * @fd: the caller's descriptor of it
 *
 * Context: May sleep.
 * Return: The store, as large as the file; ERR_PTR(-EBADF) if @fd is not open
 *	for reading and writing; ERR_PTR(-EINVAL) if it is no regular file or
 *	block device, or appends; ERR_PTR(-ELOOP) if it is an object;
 *	ERR_PTR(-ENOMEM).
 */
struct mmapdev_store *mmapdev_file_store(int fd)
{
	struct file_store *store;
	struct file *file = fget(fd);
	struct inode *inode;
	int err;

	if (!file)
		return ERR_PTR(-EBADF);
	err = file_check(file);
	if (err)
		goto err_put;
	store = kvzalloc(sizeof(*store), GFP_KERNEL_ACCOUNT);
	if (!store) {
		err = -ENOMEM;
		goto err_put;
	}
	inode = file->f_mapping->host;
	mmapdev_store_init(&store->store, &file_ops);
	store->file = file;
	store->store.size = i_size_read(inode);
	store->capacity = S_ISBLK(inode->i_mode) ? store->store.size :
			  min_t(loff_t, inode->i_sb->s_maxbytes,
				MMAPDEV_MAX_SIZE);
	return &store->store;

err_put:
	fput(file);
	return ERR_PTR(err);
}
