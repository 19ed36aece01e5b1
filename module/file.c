// SPDX-License-Identifier: GPL-2.0
/*
 * An open file: of a device node, or of the object as a regular file.
 *
 * A file finds its object by f_mapping, which points at the object's pages:
 * mappings, msync and the core's own look-ups then find them too. What a file
 * is opened through is only a face.
 */

#include "mmapdev.h"

#include <linux/errseq.h>
#include <linux/huge_mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/splice.h>

#include "compat.h"

static int mmapdev_open(struct inode *node, struct file *file)
{
	struct inode *inode = mmapdev_node_object(node->i_rdev);
	int err;

	if (!inode)
		inode = mmapdev_object_create();
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	if (file->f_flags & O_TRUNC) {	/* the VFS has checked the right to */
		err = mmapdev_resize(inode, 0, NULL);
		if (err) {
			iput(inode);
			return err;
		}
	}
	file->f_mapping = inode->i_mapping;
	mmapdev_file_born(file);
	/* The VFS took these from the device node's mapping. */
	file->f_wb_err = filemap_sample_wb_err(file->f_mapping);
	file_ra_state_init(&file->f_ra, file->f_mapping);
	mmapdev_count_open();
	return 0;
}

static int mmapdev_release(struct inode *node, struct file *file)
{
	iput(file->f_mapping->host);
	return 0;
}

static int mmapdev_reopen(struct inode *regular, struct file *file)
{
	mmapdev_file_born(file);
	return 0;
}

/* No page past the largest size can ever be valid: refuse, as regular files. */
static int map_check(const struct file *file, pgoff_t pgoff,
		     unsigned long pages)
{
	pgoff_t max = file->f_mapping->host->i_sb->s_maxbytes >> PAGE_SHIFT;

	if (mmapdev_file_dead(file))
		return -EIO;
	if (pages > max || pgoff > max - pages)
		return -EOVERFLOW;
	return 0;
}

static const struct vm_operations_struct *vm_ops_of(const struct file *file)
{
	return mmapdev_object_of(file->f_mapping->host)->store ?
		&mmapdev_durable_vm_ops : &mmapdev_vm_ops;
}

#ifdef MMAPDEV_HAVE_MMAP_PREPARE
#define MMAP_OPERATION	.mmap_prepare = mmapdev_mmap_prepare
static int mmapdev_mmap_prepare(struct vm_area_desc *desc)
{
	int err = map_check(desc->file, desc->pgoff, vma_desc_pages(desc));

	if (!err)
		desc->vm_ops = vm_ops_of(desc->file);
	return err;
}
#else
#define MMAP_OPERATION	.mmap = mmapdev_mmap
static int mmapdev_mmap(struct file *file, struct vm_area_struct *vma)
{
	int err = map_check(file, vma->vm_pgoff, vma_pages(vma));

	if (!err)
		vma->vm_ops = vm_ops_of(file);
	return err;
}
#endif

/* What every face can do. */
#define OBJECT_OPERATIONS					\
	.owner		= THIS_MODULE,				\
	MMAP_OPERATION,						\
	.read_iter	= mmapdev_read_iter,			\
	.write_iter	= mmapdev_write_iter,			\
	.splice_read	= copy_splice_read,			\
	.splice_write	= iter_file_splice_write,		\
	.llseek		= mmapdev_llseek,			\
	.get_unmapped_area = thp_get_unmapped_area,		\
	.fsync		= mmapdev_fsync,			\
	.unlocked_ioctl	= mmapdev_ioctl,			\
	.compat_ioctl	= compat_ptr_ioctl

const struct file_operations mmapdev_node_fops = {
	OBJECT_OPERATIONS,
	.open		= mmapdev_open,
	.release	= mmapdev_release,
};

const struct file_operations mmapdev_regular_fops = {
	OBJECT_OPERATIONS,
	.open		= mmapdev_reopen,
	.fallocate	= mmapdev_fallocate,
};
