// SPDX-License-Identifier: GPL-2.0
/*
 * Who writes the image of a store in a file: a worker of the store's own queue.
 *
 * So nothing of the task that asks for a flush decides what is written; a file system
 * that hangs holds up a caller only until that is killed; and one store does not
 * wait for another.
 */

#include "store_file.h"

#include <linux/cred.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>

/**
 * struct file_flush - a flush, by a worker
 * @work: in the store's queue
 * @store: the store
 * @inode: the object, which this holds
 * @from: first byte
 * @to: last byte
 * @err: what came of it
 * @over: completed then
 * @ref: held by the worker, and by the task that waits
 * @begun: in that task's list, if there are several
 */
struct file_flush {
	struct work_struct work;
	struct mmapdev_store *store;
	struct inode *inode;
	loff_t from;
	loff_t to;
	int err;
	struct completion over;
	struct kref ref;
	struct list_head begun;
};

/* Frees stores whose last user could not wait for their last flush. */
static struct workqueue_struct *reaper;

/*
 * By a worker: no signal, limit or control group of the caller decides what is
 * written, and the rights are those with which the file was opened. A file system
 * that is about to freeze waits for its writers, so it is asked before the store
 * is locked.
 */
static int flush_as_opener(struct mmapdev_store *store, loff_t from, loff_t to)
{
	struct file *file = file_of(store)->file;
	const struct cred *cred = override_creds(file->f_cred);
	int err;

	file_start_write(file);
	err = mmapdev_store_flush_now(store, from, to);
	file_end_write(file);
	revert_creds(cred);
	return err;
}

static void flush_free(struct kref *ref)
{
	kfree(container_of(ref, struct file_flush, ref));
}

static void flush_run(struct work_struct *work)
{
	struct file_flush *flush = container_of(work, struct file_flush, work);
	struct inode *inode = flush->inode;

	flush->err = flush_as_opener(flush->store, flush->from, flush->to);
	complete_all(&flush->over);
	kref_put(&flush->ref, flush_free);
	iput(inode);
	/* The queue outlives this, and the module the queue: see file_free(). */
	module_put(THIS_MODULE);
}

/* Begin a flush, which then goes on by itself. */
static struct file_flush *flush_begin(struct mmapdev_store *store, loff_t from,
				      loff_t to)
{
	struct file_flush *flush = kzalloc(sizeof(*flush), GFP_NOFS | __GFP_ACCOUNT);

	if (!flush)
		return NULL;
	INIT_WORK(&flush->work, flush_run);
	init_completion(&flush->over);
	kref_init(&flush->ref);
	kref_get(&flush->ref);
	flush->store = store;
	flush->from = from;
	flush->to = to;
	flush->inode = store->inode;
	ihold(flush->inode);
	__module_get(THIS_MODULE);	/* the caller may be killed, and close it */
	queue_work(file_of(store)->queue, &flush->work);
	return flush;
}

int mmapdev_file_flush(struct mmapdev_store *store, loff_t from, loff_t to)
{
	struct file_flush *flush;
	int err;

	if (mmapdev_store_is_clean(store) && !is_short(store))
		return 0;
	flush = flush_begin(store, from, to);
	if (!flush)
		return -ENOMEM;
	err = wait_for_completion_killable(&flush->over);
	if (!err)
		err = flush->err;
	kref_put(&flush->ref, flush_free);
	return err ? (err == -ERESTARTSYS ? -EINTR : err) : 0;
}

int mmapdev_file_begin(struct mmapdev_store *store, struct list_head *begun)
{
	struct file_flush *flush;

	if (mmapdev_store_is_clean(store))
		return 0;
	flush = flush_begin(store, 0, LLONG_MAX);
	if (!flush)
		return -ENOMEM;
	list_add_tail(&flush->begun, begun);
	return 0;
}

/**
 * mmapdev_file_flush_wait - wait for flushes that were begun
 * @begun: struct file_flush; empty afterwards
 * @end: until when, in jiffies
 *
 * Waits until all are over, or the time is, or until the caller is killed; the
 * flushes go on.
 *
 * Context: May sleep.
 * Return: 0 or the first error; -EIO if they take longer; -EINTR if killed.
 */
int mmapdev_file_flush_wait(struct list_head *begun, unsigned long end)
{
	long left = max_t(long, end - jiffies, 1);
	struct file_flush *flush, *next;
	int ret = 0;

	list_for_each_entry_safe(flush, next, begun, begun) {
		int err = -EIO;

		if (left > 0)
			left = wait_for_completion_killable_timeout(&flush->over,
								    left);
		if (left < 0)
			err = -EINTR;
		else if (completion_done(&flush->over))
			err = flush->err;
		ret = ret ?: err;
		list_del(&flush->begun);
		kref_put(&flush->ref, flush_free);
	}
	return ret;
}

static void file_free(struct file_store *file)
{
	destroy_workqueue(file->queue);
	mmapdev_file_image_close(file);
}

static void reap(struct work_struct *work)
{
	file_free(container_of(work, struct file_store, reaping));
	module_put(THIS_MODULE);
}

/* The task that let go of the object has gone, too. */
static void let_reap(struct file_store *file)
{
	INIT_WORK(&file->reaping, reap);
	queue_work(reaper, &file->reaping);
}

static void flush_last(struct work_struct *work)
{
	struct file_store *file = container_of(work, struct file_store, last);
	int err = 0;

	if (!mmapdev_store_is_clean(&file->store))
		err = flush_as_opener(&file->store, 0, LLONG_MAX);
	if (err)
		pr_notice_ratelimited("mmapdev: the last bytes of an object were not stored (error %d)\n",
				      err);
	complete(&file->over);
	if (atomic_dec_and_test(&file->holders))
		let_reap(file);
}

/*
 * Last chance: what the file does not get now is lost. The caller waits for a few
 * seconds, so that others find it there, or until it is killed: which a task that
 * is dying can not be any more. A worker, which may have had the last reference,
 * does not wait for itself.
 */
void mmapdev_file_release(struct mmapdev_store *store)
{
	struct file_store *file = file_of(store);
	long waited = 0;

	INIT_WORK(&file->last, flush_last);
	init_completion(&file->over);
	atomic_set(&file->holders, 2);
	__module_get(THIS_MODULE);
	queue_work(file->queue, &file->last);
	if (!(current->flags & PF_KTHREAD))
		waited = wait_for_completion_killable_timeout(&file->over,
							      MMAPDEV_PATIENCE);
	if (!atomic_dec_and_test(&file->holders))
		return;
	if (waited <= 0) {
		let_reap(file);
		return;
	}
	file_free(file);
	module_put(THIS_MODULE);
}

/**
 * mmapdev_file_worker_start - be ready to flush a store
 * @file: the store
 *
 * Return: 0 or -ENOMEM. mmapdev_file_release() stops it.
 */
int mmapdev_file_worker_start(struct file_store *file)
{
	file->queue = alloc_ordered_workqueue("mmapdev", 0);
	return file->queue ? 0 : -ENOMEM;
}

/**
 * mmapdev_file_store_init - be ready for stores in files
 *
 * Return: 0 or -ENOMEM.
 */
int __init mmapdev_file_store_init(void)
{
	reaper = alloc_workqueue("mmapdev_reaper", WQ_UNBOUND, 0);
	return reaper ? 0 : -ENOMEM;
}

/**
 * mmapdev_file_store_exit - wait until the last store in a file is freed
 */
void mmapdev_file_store_exit(void)
{
	destroy_workqueue(reaper);
}
