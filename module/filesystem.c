// SPDX-License-Identifier: GPL-2.0
/*
 * The filesystem of regular files: where they live while they are in use, and,
 * mounted, a directory that shows each named object as a file.
 *
 * The directory is for programs that need a real path: those that resolve
 * symbolic links themselves would never get through /proc/PID/fd/N.
 *
 * Unlike the filesystem of objects this one has an owner, and is mounted only
 * while it is in use: by a mount, or by a path that someone holds, such as that of an
 * open file. The core drops the module only after the last inode is evicted.
 */

#include "mmapdev.h"

#include <linux/cred.h>
#include <linux/fs_context.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/sched/task.h>
#include <linux/statfs.h>

#include "compat.h"

static struct vfsmount *pinned_mount;
static int pins;

static void regular_evict_inode(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (S_ISREG(inode->i_mode))	/* not the directory */
		mmapdev_regular_evict(inode);
}

static int regular_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	u64 limit = READ_ONCE(mmapdev_limit_bytes) >> PAGE_SHIFT;
	u64 used = mmapdev_limit_used();

	buf->f_type = MMAPDEV_SUPER_MAGIC;
	buf->f_bsize = PAGE_SIZE;
	buf->f_namelen = MMAPDEV_NAME_MAX;
	buf->f_blocks = limit;	/* 0 for no limit, as on tmpfs */
	buf->f_bfree = limit > used ? limit - used : 0;
	buf->f_bavail = buf->f_bfree;
	return 0;
}

/* syncfs(2) of an object file is about the objects that have files here. */
static int regular_sync_fs(struct super_block *sb, int wait)
{
	return wait ? mmapdev_object_syncfs(sb) : 0;
}

static const struct super_operations regular_super_ops = {
	.evict_inode	= regular_evict_inode,
	.drop_inode	= inode_just_drop,
	.sync_fs	= regular_sync_fs,
	.statfs		= regular_statfs,
};

/* The object of a name, with a reference, or NULL. */
static struct inode *find_named(const struct qstr *name)
{
	struct inode *inode;

	mutex_lock(&mmapdev_nodes_lock);
	inode = mmapdev_node_find(name->name, name->len);
	if (inode)
		ihold(inode);
	mutex_unlock(&mmapdev_nodes_lock);
	return inode;
}

/*
 * A name that is not there leaves no dentry behind, since it may come; one that is
 * there leaves when it is taken away: mmapdev_regular_forget() comes after that.
 */
static struct dentry *dir_lookup(struct inode *dir, struct dentry *dentry,
				 unsigned int flags)
{
	struct inode *inode = find_named(&dentry->d_name);
	struct inode *regular;
	bool there;

	if (!inode)
		return ERR_PTR(-ENOENT);
	regular = mmapdev_regular_get(dir->i_sb, inode);
	if (IS_ERR(regular)) {
		iput(inode);
		return ERR_CAST(regular);
	}
	mutex_lock(&mmapdev_nodes_lock);
	there = mmapdev_node_find(dentry->d_name.name, dentry->d_name.len) ==
		inode;
	if (there)
		d_add(dentry, regular);
	mutex_unlock(&mmapdev_nodes_lock);
	if (!there)
		iput(regular);
	iput(inode);
	return there ? NULL : ERR_PTR(-ENOENT);
}

/* Positions 0 and 1 are the dots, then come minors. */
static int dir_iterate(struct file *file, struct dir_context *ctx)
{
	char name[MMAPDEV_NAME_SIZE];
	struct inode *inode;
	unsigned long minor;
	u64 ino = 0;

	if (!dir_emit_dots(file, ctx))
		return 0;
	for (;;) {
		minor = ctx->pos - 2;
		mutex_lock(&mmapdev_nodes_lock);
		inode = mmapdev_node_next(&minor, name);
		if (inode)
			ino = inode->i_ino;
		mutex_unlock(&mmapdev_nodes_lock);
		if (!inode)
			return 0;
		ctx->pos = (loff_t)minor + 2;
		if (!dir_emit(ctx, name, strlen(name), ino, DT_REG))
			return 0;
		ctx->pos++;
	}
}

static const struct inode_operations dir_inode_ops = {
	.lookup		= dir_lookup,
};

static const struct file_operations dir_fops = {
	.owner		= THIS_MODULE,
	.read		= generic_read_dir,
	.iterate_shared	= dir_iterate,
	.llseek		= generic_file_llseek,
};

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct inode *root;

	sb->s_magic = MMAPDEV_SUPER_MAGIC;
	sb->s_op = &regular_super_ops;
	sb->s_maxbytes = MMAPDEV_MAX_SIZE;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_time_gran = 1;
	root = new_inode(sb);
	if (!root)
		return -ENOMEM;
	root->i_ino = 1;
	root->i_mode = S_IFDIR | 0755;
	root->i_op = &dir_inode_ops;
	root->i_fop = &dir_fops;
	set_nlink(root, 2);
	mmapdev_accessed(root);
	mmapdev_modified(root);
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

/* There is one superblock: being read-only is a matter of each mount alone. */
static int get_tree(struct fs_context *fc)
{
	fc->sb_flags &= ~SB_RDONLY;
	return get_tree_single(fc, fill_super);
}

static int reconfigure(struct fs_context *fc)
{
	fc->sb_flags_mask &= ~SB_RDONLY;
	return 0;
}

static const struct fs_context_operations context_ops = {
	.get_tree	= get_tree,
	.reconfigure	= reconfigure,
};

static int init_fs_context(struct fs_context *fc)
{
	fc->ops = &context_ops;
	return 0;
}

static struct file_system_type regular_fs_type = {
	.owner		 = THIS_MODULE,
	.name		 = "mmapdev",
	.init_fs_context = init_fs_context,
	.kill_sb	 = kill_anon_super,
};
MODULE_ALIAS_FS("mmapdev");

/**
 * mmapdev_filesystem_pin - keep the filesystem mounted
 *
 * Context: The module is in use; may sleep.
 * Return: Its mount; ERR_PTR(-ENOMEM).
 */
struct vfsmount *mmapdev_filesystem_pin(void)
{
	struct cred *kernel = prepare_kernel_cred(&init_task);
	const struct cred *caller;
	int err;

	if (!kernel)
		return ERR_PTR(-ENOMEM);
	/* It is everybody's: not of the first caller's user namespace. */
	caller = override_creds(kernel);
	err = simple_pin_fs(&regular_fs_type, &pinned_mount, &pins);
	revert_creds(caller);
	put_cred(kernel);
	return err ? ERR_PTR(err) : pinned_mount;
}

/**
 * mmapdev_filesystem_unpin - undo mmapdev_filesystem_pin()
 *
 * Context: May sleep.
 */
void mmapdev_filesystem_unpin(void)
{
	simple_release_fs(&pinned_mount, &pins);
}

/**
 * mmapdev_filesystem_init - let the filesystem be mounted
 *
 * Return: 0, or -EBUSY if there is another of its name.
 */
int __init mmapdev_filesystem_init(void)
{
	return register_filesystem(&regular_fs_type);
}

/**
 * mmapdev_filesystem_exit - let it no longer be mounted
 *
 * Context: It is not mounted.
 */
void mmapdev_filesystem_exit(void)
{
	unregister_filesystem(&regular_fs_type);
}
