/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A store in a file: its image (store_file.c), and who writes it (file_worker.c).
 */
#ifndef _MMAPDEV_STORE_FILE_H
#define _MMAPDEV_STORE_FILE_H

#include "mmapdev.h"

#include <linux/bvec.h>
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/workqueue.h>

/**
 * struct file_store - an image in a file
 * @store: what the object knows of it
 * @file: the file, opened anew: no flag that the caller sets later counts
 * @queue: flushes, one at a time
 * @last: the flush that the store does not outlive
 * @over: completed by @last
 * @holders: of the store after its object is gone: @last, and the task that waits
 * @reaping: in the reaper's queue, if neither can free it
 * @bvecs: for one call, protected by the store's lock
 */
struct file_store {
	struct mmapdev_store store;
	struct file *file;
	struct workqueue_struct *queue;
	struct work_struct last;
	struct completion over;
	atomic_t holders;
	struct work_struct reaping;
	struct bio_vec bvecs[MMAPDEV_FLUSH_BATCH];
};

static inline struct file_store *file_of(struct mmapdev_store *store)
{
	return container_of(store, struct file_store, store);
}

static inline struct inode *host_of(struct mmapdev_store *store)
{
	return file_of(store)->file->f_mapping->host;
}

/*
 * Has the file become shorter behind our back? Nothing is written past its end
 * then, and its end stays: bytes that it has lost would come back as zeros.
 */
static inline bool is_short(struct mmapdev_store *store)
{
	return S_ISREG(host_of(store)->i_mode) &&
	       i_size_read(host_of(store)) < store->size;
}

/* store_file.c */
void mmapdev_file_image_close(struct file_store *file);

/* file_worker.c */
int mmapdev_file_worker_start(struct file_store *file);
int mmapdev_file_flush(struct mmapdev_store *store, loff_t from, loff_t to);
int mmapdev_file_begin(struct mmapdev_store *store, struct list_head *begun);
void mmapdev_file_release(struct mmapdev_store *store);

#endif /* _MMAPDEV_STORE_FILE_H */
