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

#include "compat.h"

static struct kmem_cache *object_cache;
static struct vfsmount *object_mount;
static atomic_long_t object_count = ATOMIC_LONG_INIT(0);

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
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (S_ISREG(inode->i_mode))	/* not the filesystem's root */
		atomic_long_dec(&object_count);
}

static const struct super_operations object_super_ops = {
	.alloc_inode	= object_alloc_inode,
	.free_inode	= object_free_inode,
	.evict_inode	= object_evict_inode,
	.drop_inode	= inode_just_drop,
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

/**
 * mmapdev_object_create - make an object: no pages, no end, no name
 *
 * Context: May sleep.
 * Return: The object's inode with one reference, or ERR_PTR(-ENOMEM).
 */
struct inode *mmapdev_object_create(void)
{
	struct inode *inode = new_inode(object_mount->mnt_sb);

	if (!inode)
		return ERR_PTR(-ENOMEM);
	inode->i_ino = get_next_ino();
	inode->i_mode = S_IFREG | 0600;
	inode->i_uid = current_fsuid();
	inode->i_gid = current_fsgid();
	mmapdev_accessed(inode);
	mmapdev_modified(inode);
	mmapdev_object_of(inode)->born = inode_get_ctime(inode);
	inode->i_size = inode->i_sb->s_maxbytes;
	inode->i_mapping->a_ops = &mmapdev_aops;
	/* There is nowhere to reclaim the pages to. */
	mapping_set_unevictable(inode->i_mapping);
	atomic_long_inc(&object_count);
	return inode;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_object_create);

/**
 * mmapdev_accessed - the object is read
 * @inode: the object
 *
 * Context: Any.
 */
void mmapdev_accessed(struct inode *inode)
{
	inode_set_atime_to_ts(inode, current_time(inode));
}

/**
 * mmapdev_modified - the object's bytes or size change by a system call
 * @inode: the object
 *
 * Context: Any.
 */
void mmapdev_modified(struct inode *inode)
{
	inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
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
	object_cache = kmem_cache_create("mmapdev_object",
					 sizeof(struct mmapdev_object), 0,
					 SLAB_ACCOUNT, object_init_once);
	if (!object_cache)
		return -ENOMEM;
	object_mount = kern_mount(&object_fs_type);
	if (IS_ERR(object_mount)) {
		kmem_cache_destroy(object_cache);
		return PTR_ERR(object_mount);
	}
	object_mount->mnt_sb->s_maxbytes = MMAPDEV_MAX_SIZE;
	return 0;
}

/**
 * mmapdev_object_exit - unmount, and wait until every object is freed
 *
 * Context: No object is in use: the device node is gone and no file is open.
 */
void mmapdev_object_exit(void)
{
	kern_unmount(object_mount);
	rcu_barrier();
	kmem_cache_destroy(object_cache);
}
