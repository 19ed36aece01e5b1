// SPDX-License-Identifier: GPL-2.0
/*
 * The object as a regular file, for programs that want a file's size, locks
 * and calls.
 *
 * Such a file has an inode of its own, for what the VFS asks of a file's inode
 * (kind, permissions, size); its i_mapping is the object's. The inode lives
 * while the file is open or a path leads to it, and holds the object.
 */

#include "mmapdev.h"

#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pagemap.h>

#include "compat.h"

static int regular_getattr(struct mnt_idmap *idmap, const struct path *path,
			   struct kstat *stat, u32 request_mask,
			   unsigned int query_flags)
{
	struct inode *regular = d_inode(path->dentry);
	struct inode *inode = regular->i_mapping->host;

	mmapdev_fillattr(idmap, request_mask, inode, stat);
	stat->dev = regular->i_sb->s_dev;
	/* Always in units of 512 bytes. */
	stat->blocks = (u64)mmapdev_object_pages(inode) << (PAGE_SHIFT - 9);
	stat->btime = mmapdev_object_of(inode)->born;
	stat->result_mask |= STATX_BTIME;
	return 0;
}

static int regular_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			   struct iattr *attr)
{
	struct inode *regular = d_inode(dentry);
	struct inode *inode = regular->i_mapping->host;
	struct file *file = attr->ia_valid & ATTR_FILE ? attr->ia_file : NULL;
	int err = setattr_prepare(idmap, dentry, attr);

	if (file && mmapdev_file_dead(file))
		err = -EIO;
	if (!err && attr->ia_valid & ATTR_SIZE)
		err = mmapdev_resize(inode, attr->ia_size, file);
	if (err)
		return err;
	/* A write would have to drop these; nobody needs them here. */
	attr->ia_mode &= ~(S_ISUID | S_ISGID);
	mutex_lock(&mmapdev_nodes_lock);	/* a name to come sets them, too */
	setattr_copy(idmap, regular, attr);
	setattr_copy(idmap, inode, attr);
	mutex_unlock(&mmapdev_nodes_lock);
	return 0;
}

static const struct inode_operations regular_inode_ops = {
	.getattr	= regular_getattr,
	.setattr	= regular_setattr,
};

static struct inode *regular_make(struct super_block *sb, struct inode *inode)
{
	struct inode *regular = new_inode(sb);

	if (!regular)
		return NULL;
	regular->i_ino = inode->i_ino;
	regular->i_mode = S_IFREG;
	regular->i_op = &regular_inode_ops;
	regular->i_fop = &mmapdev_regular_fops;
	/*
	 * With this option the kernel collapses pages into a huge folio, and maps
	 * a folio by one PMD without a look at EOF, if nobody has the file open
	 * for writing. It does not know of the object's other faces, and a durable
	 * object's pages must stay pages. So be open for writing, always.
	 */
	if (IS_ENABLED(CONFIG_READ_ONLY_THP_FOR_FS))
		atomic_inc(&regular->i_writecount);
	ihold(inode);
	regular->i_mapping = inode->i_mapping;
	return regular;
}

/* The one that there is, unless it is about to be evicted. */
static struct inode *grab_regular(struct inode *inode)
{
	struct inode *regular = mmapdev_object_of(inode)->regular;

	lockdep_assert_held(&inode->i_lock);

	return regular ? igrab(regular) : NULL;
}

static struct inode *find_regular(struct inode *inode)
{
	struct inode *regular;

	spin_lock(&inode->i_lock);
	regular = grab_regular(inode);
	spin_unlock(&inode->i_lock);
	return regular;
}

/* Let one that was made be the object's, if there is none by now: return that. */
static struct inode *add_regular(struct inode *inode, struct inode *made)
{
	struct inode *regular;

	spin_lock(&inode->i_lock);
	regular = grab_regular(inode);
	if (!regular) {
		/* A task that changes them after this finds it. */
		made->i_mode = inode->i_mode;
		made->i_uid = inode->i_uid;
		made->i_gid = inode->i_gid;
		i_size_write(made, i_size_read(inode));
		mmapdev_object_of(inode)->regular = made;
	}
	spin_unlock(&inode->i_lock);
	return regular ?: made;
}

/**
 * mmapdev_regular_get - the inode of an object's regular file
 * @sb: mmapdev's filesystem, which stays mounted
 * @inode: the object
 *
 * Context: May sleep, but waits for nobody who uses the object.
 * Return: The inode with a reference; ERR_PTR(-ENOMEM).
 */
struct inode *mmapdev_regular_get(struct super_block *sb, struct inode *inode)
{
	struct inode *regular = find_regular(inode);
	struct inode *made;

	if (regular)
		return regular;
	made = regular_make(sb, inode);
	if (!made)
		return ERR_PTR(-ENOMEM);
	regular = add_regular(inode, made);
	if (regular != made)
		iput(made);
	return regular;
}

/**
 * mmapdev_regular_evict - the last user of a regular file's inode is gone
 * @regular: the inode
 *
 * Context: May sleep.
 */
void mmapdev_regular_evict(struct inode *regular)
{
	struct inode *inode = regular->i_mapping->host;
	struct mmapdev_object *object = mmapdev_object_of(inode);

	spin_lock(&inode->i_lock);
	if (object->regular == regular)
		object->regular = NULL;
	spin_unlock(&inode->i_lock);
	regular->i_mapping = &regular->i_data;
	iput(inode);
}

/**
 * mmapdev_regular_forget - let no path lead to an object any more
 * @inode: the object, which nobody can look up any more
 *
 * Context: The filesystem is pinned; may sleep.
 */
void mmapdev_regular_forget(struct inode *inode)
{
	struct inode *regular = find_regular(inode);
	struct dentry *dentry;

	if (!regular)
		return;
	/* Not d_drop(): what is mounted on the path could not be unmounted any more. */
	while ((dentry = d_find_alias(regular))) {
		d_invalidate(dentry);
		dput(dentry);
	}
	iput(regular);
}

static struct file *regular_file(struct vfsmount *mount, struct inode *inode,
				 unsigned int flags)
{
	struct inode *regular = mmapdev_regular_get(mount->mnt_sb, inode);
	struct file *file;
	char name[32];

	if (IS_ERR(regular))
		return ERR_CAST(regular);
	snprintf(name, sizeof(name), "mmapdev:%llu", (u64)inode->i_ino);
	file = alloc_file_pseudo(regular, mount, name, flags | O_LARGEFILE,
				 &mmapdev_regular_fops);
	if (IS_ERR(file)) {
		iput(regular);
		return file;
	}
	/* For the reference that goes with the file's operations. */
	__module_get(THIS_MODULE);
	mmapdev_file_born(file);
	file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	return file;
}

/**
 * mmapdev_regular_open - a descriptor of the object as a regular file
 * @inode: the object
 * @flags: O_RDONLY, O_WRONLY or O_RDWR, with O_CLOEXEC and O_APPEND
 *
 * Context: The caller has the module's operations open; may sleep.
 * Return: The descriptor; -ENOMEM; -EMFILE; -ENFILE.
 */
int mmapdev_regular_open(struct inode *inode, unsigned int flags)
{
	int fd = get_unused_fd_flags(flags & O_CLOEXEC);
	struct vfsmount *mount;
	struct file *file;

	if (fd < 0)
		return fd;
	mount = mmapdev_filesystem_pin();
	if (IS_ERR(mount)) {
		put_unused_fd(fd);
		return PTR_ERR(mount);
	}
	file = regular_file(mount, inode, flags & ~O_CLOEXEC);
	mmapdev_filesystem_unpin();	/* the file pins it now */
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}
