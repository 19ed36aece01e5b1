// SPDX-License-Identifier: GPL-2.0
/*
 * The object: an inode of a pseudo filesystem that is mounted by the module.
 *
 * Why the filesystem cannot outlive the module, although file_system_type has
 * no owner (with one, the module's own mount would pin the module for ever):
 * every reference to an object's inode is held by
 *  - an open device file, and mappings hold that file: mmapdev_node_fops.owner
 *    pins the module from open to the end of release, which drops the inode;
 *  - the inode of its regular file, whose filesystem has an owner, and drops
 *    it before the core lets that owner go (filesystem.c);
 *  - its name, which unloading takes away.
 * Inodes are freed after a grace period; mmapdev_object_exit() waits for those
 * callbacks.
 */

#include "mmapdev.h"

#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat.h"

static struct kmem_cache *object_cache;
static struct vfsmount *object_mount;
static struct vfsmount *durable_mount;
static atomic_long_t object_count = ATOMIC_LONG_INIT(0);
static LIST_HEAD(durable_objects);
static DEFINE_SPINLOCK(durable_objects_lock);
static struct workqueue_struct *putter;

static void put_now(struct work_struct *work)
{
	iput(&container_of(work, struct mmapdev_object, put)->inode);
}

/*
 * Drop a reference for a task that has nothing to do with the object: if it is the last
 * one by now, that task does not wait for what the object's image is still to get.
 */
static void put_others(struct inode *inode)
{
	if (inode && !atomic_add_unless(&inode->i_count, -1, 1))
		queue_work(putter, &mmapdev_object_of(inode)->put);
}

static struct inode *object_alloc_inode(struct super_block *sb)
{
	struct mmapdev_object *object;

	object = alloc_inode_sb(sb, object_cache, GFP_KERNEL);
	if (!object)
		return NULL;
	object->counters = alloc_percpu_gfp(struct mmapdev_counters,
					    GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!object->counters) {
		kmem_cache_free(object_cache, object);
		return NULL;
	}
	object->regular = NULL;
	object->node = NULL;
	object->store = NULL;
	object->cuts = 0;
	object->dead = 0;
	INIT_LIST_HEAD(&object->durable_objects);
	INIT_WORK(&object->put, put_now);
	INIT_LIST_HEAD(&object->ahead);
	INIT_LIST_HEAD(&object->rules);
	spin_lock_init(&object->rules_lock);
	object->last_rule = 0;
	atomic_set(&object->passes, 0);
	atomic_set(&object->others, 0);
	object->undelayed = jiffies;
	atomic64_set(&object->sequence, 0);
	return &object->inode;
}

/* Runs after a grace period, when no lookup can still see the inode. */
static void object_free_inode(struct inode *inode)
{
	struct mmapdev_object *object = mmapdev_object_of(inode);

	free_percpu(object->counters);
	kmem_cache_free(object_cache, object);
}

static void object_evict_inode(struct inode *inode)
{
	struct mmapdev_object *object = mmapdev_object_of(inode);

	spin_lock(&durable_objects_lock);
	list_del_init(&object->durable_objects);
	spin_unlock(&durable_objects_lock);
	/* Before what follows: a task that is killed waits for none of them. */
	mmapdev_inject_remove(inode, 0);
	mmapdev_ahead_forget(inode);
	/* What an image in a file does not get now is lost. */
	if (object->store && object->store->ops->kind == MMAPDEV_STORE_FILE)
		filemap_write_and_wait(&inode->i_data);
	truncate_inode_pages_final(&inode->i_data);
	if (object->store)
		object->store->inode = NULL;
	clear_inode(inode);
	mmapdev_store_free(object->store);
	if (S_ISREG(inode->i_mode))	/* not the filesystem's root */
		atomic_long_dec(&object_count);
}

/**
 * mmapdev_object_error - note an error of storing, once for each open file
 * @inode: the object
 * @err: the error
 *
 * syncfs(2) asks the filesystem of the file that it is given.
 *
 * Context: Any but interrupts.
 */
void mmapdev_object_error(struct inode *inode, int err)
{
	struct mmapdev_object *object = mmapdev_object_of(inode);

	mapping_set_error(inode->i_mapping, err);
	spin_lock(&inode->i_lock);
	if (object->regular)
		errseq_set(&object->regular->i_sb->s_wb_err, err);
	spin_unlock(&inode->i_lock);
}

/* Is there a file of the object in a filesystem? Any is, for NULL. */
static bool is_of(struct mmapdev_object *object, const struct super_block *sb)
{
	bool ret;

	spin_lock(&object->inode.i_lock);
	ret = !sb || (object->regular && object->regular->i_sb == sb);
	spin_unlock(&object->inode.i_lock);
	return ret;
}

/* What can wait for an image only begins here. */
static int flush_object(struct inode *inode, struct list_head *begun,
			unsigned long end)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	int err = mmapdev_inject_error(inode, MMAPDEV_EVENT_FLUSH, 0);

	if (err)
		return err;
	if (store->ops->begin)
		return store->ops->begin(store, begun);
	return mmapdev_store_flush_within(store, end);
}

/*
 * Flush the objects of a filesystem, or all. Everybody's objects are here, and one
 * whose image hangs must not stop the others: it is waited for a few seconds.
 */
static int flush_objects(const struct super_block *sb)
{
	struct mmapdev_object *object;
	unsigned long end = jiffies + MMAPDEV_PATIENCE;
	struct inode *last = NULL;
	LIST_HEAD(begun);
	int ret = 0;
	int err;

	spin_lock(&durable_objects_lock);
	list_for_each_entry(object, &durable_objects, durable_objects) {
		if (!igrab(&object->inode))
			continue;
		spin_unlock(&durable_objects_lock);
		put_others(last);	/* its place in the list was needed so far */
		last = &object->inode;
		if (is_of(object, sb)) {
			if (sb)
				mmapdev_write_back(last);
			err = flush_object(last, &begun, end);
			ret = ret ?: err;
		}
		spin_lock(&durable_objects_lock);
	}
	spin_unlock(&durable_objects_lock);
	put_others(last);
	err = mmapdev_file_flush_wait(&begun, end);
	return ret ?: err;
}

/*
 * sync(2), after it has written everything back. What fails has been noted for
 * each file that has the object open.
 */
static int object_sync_fs(struct super_block *sb, int wait)
{
	if (wait)
		flush_objects(NULL);
	return 0;
}

static const struct super_operations object_super_ops = {
	.alloc_inode	= object_alloc_inode,
	.free_inode	= object_free_inode,
	.evict_inode	= object_evict_inode,
	.drop_inode	= inode_just_drop,
	.sync_fs	= object_sync_fs,
	.statfs		= simple_statfs,
};

static int object_init_fs_context(struct fs_context *fc)
{
	struct pseudo_fs_context *ctx = init_pseudo(fc, MMAPDEV_SUPER_MAGIC);

	if (!ctx)
		return -ENOMEM;
	ctx->ops = &object_super_ops;
	return 0;
}

static struct file_system_type object_fs_type = {
	.name		 = "mmapdev_object",
	.init_fs_context = object_init_fs_context,
	.kill_sb	 = kill_anon_super,
};

static void object_init_once(void *p)
{
	struct mmapdev_object *object = p;

	inode_init_once(&object->inode);
}

static struct inode *object_make(struct vfsmount *mount)
{
	struct inode *inode = new_inode(mount->mnt_sb);

	if (!inode)
		return NULL;
	inode->i_ino = get_next_ino();
	inode->i_mode = S_IFREG | 0600;
	inode->i_uid = current_fsuid();
	inode->i_gid = current_fsgid();
	mmapdev_accessed(inode);
	mmapdev_modified(inode);
	mmapdev_object_of(inode)->born = inode_get_ctime(inode);
	atomic_long_inc(&object_count);
	return inode;
}

/**
 * mmapdev_object_create - make an object: no pages, no end, no name
 *
 * Context: May sleep.
 * Return: The object's inode with one reference, or ERR_PTR(-ENOMEM).
 */
struct inode *mmapdev_object_create(void)
{
	struct inode *inode = object_make(object_mount);

	if (!inode)
		return ERR_PTR(-ENOMEM);
	inode->i_size = inode->i_sb->s_maxbytes;
	inode->i_mapping->a_ops = &mmapdev_aops;
	mapping_set_large_folios(inode->i_mapping);
	/* There is nowhere to reclaim the pages to. */
	mapping_set_unevictable(inode->i_mapping);
	return inode;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_object_create);

/**
 * mmapdev_object_create_durable - make an object with a store
 * @store: the store, whose size is the object's
 *
 * Context: May sleep.
 * Return: The object's inode with one reference; ERR_PTR(-ENOMEM), and the
 *	store stays the caller's.
 */
struct inode *mmapdev_object_create_durable(struct mmapdev_store *store)
{
	struct inode *inode = object_make(durable_mount);
	struct mmapdev_object *object;

	if (!inode)
		return ERR_PTR(-ENOMEM);
	object = mmapdev_object_of(inode);
	object->store = store;
	store->inode = inode;
	inode->i_size = store->size;
	inode->i_mapping->a_ops = &mmapdev_durable_aops;
	/* Else the kernel's flusher passes it by. */
	inode_fake_hash(inode);
	spin_lock(&durable_objects_lock);
	list_add_tail(&object->durable_objects, &durable_objects);
	spin_unlock(&durable_objects_lock);
	return inode;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_object_create_durable);

/**
 * mmapdev_object_pages - what an object has allocated
 * @inode: the object
 *
 * Return: Pages in memory; of a durable object, pages in its store.
 */
unsigned long mmapdev_object_pages(struct inode *inode)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;

	return store ? mmapdev_store_pages(store) : inode->i_mapping->nrpages;
}

/**
 * mmapdev_object_syncfs - write the objects of a filesystem back, and flush them
 * @sb: mmapdev's filesystem of regular files
 *
 * Context: May sleep.
 * Return: 0 or the first error; -EIO for an image that hangs.
 */
int mmapdev_object_syncfs(struct super_block *sb)
{
	return flush_objects(sb);
}

/**
 * mmapdev_accessed - the object is read
 * @inode: the object
 *
 * Reads and faults do not hold i_rwsem: i_lock keeps the seconds of one from
 * meeting the nanoseconds of another. Most find that the clock has not ticked.
 *
 * Context: Any but interrupts.
 */
void mmapdev_accessed(struct inode *inode)
{
	struct timespec64 now = current_time(inode);
	struct timespec64 then = inode_get_atime(inode);

	if (timespec64_equal(&now, &then))
		return;
	spin_lock(&inode->i_lock);
	inode_set_atime_to_ts(inode, current_time(inode));
	spin_unlock(&inode->i_lock);
}

/**
 * mmapdev_modified - the object's bytes or size change
 * @inode: the object
 *
 * Context: Any but interrupts. As mmapdev_accessed().
 */
void mmapdev_modified(struct inode *inode)
{
	struct timespec64 now = current_time(inode);
	struct timespec64 mtime = inode_get_mtime(inode);
	struct timespec64 ctime = inode_get_ctime(inode);

	if (timespec64_equal(&now, &mtime) && timespec64_equal(&now, &ctime))
		return;
	spin_lock(&inode->i_lock);
	inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
	spin_unlock(&inode->i_lock);
}

/**
 * mmapdev_object_count - how many objects live
 *
 * Return: Objects created and not yet evicted.
 */
unsigned long mmapdev_object_count(void)
{
	return atomic_long_read(&object_count);
}

/**
 * mmapdev_object_init - mount the filesystem of objects
 *
 * Return: 0, or the error of what failed.
 */
int __init mmapdev_object_init(void)
{
	int err;

	object_cache = kmem_cache_create("mmapdev_object",
					 sizeof(struct mmapdev_object), 0,
					 SLAB_ACCOUNT, object_init_once);
	if (!object_cache)
		return -ENOMEM;
	err = -ENOMEM;
	putter = alloc_workqueue("mmapdev_putter", WQ_UNBOUND, 0);
	if (!putter)
		goto err_cache;
	object_mount = kern_mount(&object_fs_type);
	if (IS_ERR(object_mount)) {
		err = PTR_ERR(object_mount);
		goto err_putter;
	}
	durable_mount = kern_mount(&object_fs_type);
	if (IS_ERR(durable_mount)) {
		err = PTR_ERR(durable_mount);
		goto err_mount;
	}
	/*
	 * This makes the kernel count dirty pages, write them back, and slow
	 * down who makes them. Anonymous objects' pages, always dirty, must
	 * not be counted: so they have a mount without.
	 */
	err = super_setup_bdi(durable_mount->mnt_sb);
	if (err)
		goto err_durable;
	/*
	 * By control groups, too: else one that is smaller than what may be dirty
	 * in all is full of dirty pages, and its processes are killed rather than
	 * slowed down.
	 */
	durable_mount->mnt_sb->s_iflags |= SB_I_CGROUPWB;
	object_mount->mnt_sb->s_maxbytes = MMAPDEV_MAX_SIZE;
	durable_mount->mnt_sb->s_maxbytes = MMAPDEV_MAX_SIZE;
	return 0;

err_durable:
	kern_unmount(durable_mount);
err_mount:
	kern_unmount(object_mount);
err_putter:
	destroy_workqueue(putter);
err_cache:
	kmem_cache_destroy(object_cache);
	return err;
}

/**
 * mmapdev_object_exit - unmount, and wait until every object is freed
 *
 * Context: No object is in use: the device node is gone and no file is open.
 */
void mmapdev_object_exit(void)
{
	/* A sync(2) that has found objects ends, and then lets go of them. */
	down_write(&durable_mount->mnt_sb->s_umount);
	up_write(&durable_mount->mnt_sb->s_umount);
	destroy_workqueue(putter);
	kern_unmount(durable_mount);
	kern_unmount(object_mount);
	rcu_barrier();
	kmem_cache_destroy(object_cache);
}
