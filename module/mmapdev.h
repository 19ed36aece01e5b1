/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the module's files share: the object, and one paragraph per noun.
 *
 * Locks, outermost first; in parentheses who takes them:
 *
 *   mm->mmap_lock or the VMA's lock	(core: fault, mmap, munmap)
 *     mapping->invalidate_lock		(shared: fault; exclusive: resize)
 *       folio lock			(folio: find, get; core: truncation)
 *       hole page lock			(hole: a private write, resize)
 *         mapping->i_mmap_rwsem	(core: unmap)
 *           page table lock		(core: fault-around, unmap)
 *         mapping->i_pages.xa_lock	(core: add and remove a folio)
 *
 *   regular file's or directory's i_rwsem	(core: truncate, chmod, look-up)
 *     mmapdev_nodes_lock		(node: names; filesystem: look-up)
 *       inode->i_rwsem			(io: write; seek, resize, allocate, regular)
 *         mm->mmap_lock		(io: faulting in a write's source)
 *         mapping->invalidate_lock	(resize, allocate, as above)
 *
 * A folio lock and a hole page lock are never held together, nor two of either
 * kind. The module's only lock of its own is that of the names: size is
 * protected by i_rwsem against other changes and by invalidate_lock against
 * faults, and counters are atomic or per CPU. Documentation/locking.rst tells
 * who may rely on what, and why nothing outlives the module.
 */
#ifndef _MMAPDEV_H
#define _MMAPDEV_H

#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <kunit/visibility.h>

#include "uapi/mmapdev.h"

/* Events that are counted, in the order of struct mmapdev_stats. */
enum mmapdev_event {
	MMAPDEV_FAULT_SHARED_READ,
	MMAPDEV_FAULT_SHARED_WRITE,
	MMAPDEV_FAULT_PRIVATE_READ,
	MMAPDEV_FAULT_COW_SOURCE,
	MMAPDEV_FAULT_COW_HOLE,
	MMAPDEV_FAULT_AROUND,
	MMAPDEV_SIGBUS,
	MMAPDEV_PAGES_ALLOCATED,
	MMAPDEV_PAGES_FREED,
	MMAPDEV_NR_EVENTS,
};

/**
 * struct mmapdev_counters - one CPU's count of each event
 * @count: by enum mmapdev_event; written only by its CPU, read by any
 */
struct mmapdev_counters {
	unsigned long count[MMAPDEV_NR_EVENTS];
};

/**
 * struct mmapdev_object - memory that files and mappings share
 * @counters: this object's events, per CPU
 * @regular: the inode of its regular file while there is one; i_rwsem
 * @node: its named device, or NULL; mmapdev_nodes_lock
 * @born: when it was made
 * @inode: the object's life, size (i_size) and pages (i_data)
 *
 * The object is its inode: whoever holds a reference to the inode holds the
 * object, and evicting the inode frees the pages.
 */
struct mmapdev_object {
	struct mmapdev_counters __percpu *counters;
	struct inode *regular;
	struct mmapdev_node *node;
	struct timespec64 born;
	struct inode inode;
};

#define MMAPDEV_SUPER_MAGIC	0x6d6d6170	/* "mmap" */

/*
 * The largest size of an object. Whole pages only: the core rounds sizes up to
 * pages, which must not overflow for the object without an end.
 */
#define MMAPDEV_MAX_SIZE	(MAX_LFS_FILESIZE & PAGE_MASK)

static inline struct mmapdev_object *mmapdev_object_of(const struct inode *inode)
{
	return container_of(inode, struct mmapdev_object, inode);
}

/* object.c: the object, and the pseudo filesystem that it is an inode of. */
int mmapdev_object_init(void);
void mmapdev_object_exit(void);
struct inode *mmapdev_object_create(void);
unsigned long mmapdev_object_count(void);
void mmapdev_accessed(struct inode *inode);
void mmapdev_modified(struct inode *inode);

/* node.c: named devices. */
extern struct mutex mmapdev_nodes_lock;
int mmapdev_node_init(void);
void mmapdev_node_exit(void);
int mmapdev_node_create(struct inode *inode, const char *name, umode_t mode,
			kuid_t uid, kgid_t gid);
int mmapdev_node_remove(struct inode *inode);
bool mmapdev_node_name_valid(const char *name);
struct inode *mmapdev_node_object(dev_t devt);
struct inode *mmapdev_node_find(const char *name, size_t len);
struct inode *mmapdev_node_next(unsigned long *minor, char *name);
struct inode *mmapdev_node_inode(struct device *dev);
void mmapdev_node_name(struct inode *inode, char *name);

/* regular.c: the object as a regular file. */
struct inode *mmapdev_regular_get(struct super_block *sb, struct inode *inode);
void mmapdev_regular_evict(struct inode *regular);
void mmapdev_regular_forget(struct inode *inode);
int mmapdev_regular_open(struct inode *inode, unsigned int flags);

/* filesystem.c: where regular files live, and a directory of the named ones. */
int mmapdev_filesystem_init(void);
void mmapdev_filesystem_exit(void);
struct vfsmount *mmapdev_filesystem_pin(void);
void mmapdev_filesystem_unpin(void);

/* initial.c: objects to begin with. */
int mmapdev_initial_parse(void);
int mmapdev_initial_create(void);
void mmapdev_initial_free(void);

/* main.c: permissions of /dev/mmapdev and of the objects to begin with. */
extern umode_t mmapdev_node_mode;

/* param.c: values as people write them. */
int mmapdev_parse_size(const char *val, size_t len, unsigned long *bytes);
extern const struct kernel_param_ops mmapdev_mode_ops;

/* resize.c: moving the end of file. */
int mmapdev_resize(struct inode *inode, loff_t size);
void mmapdev_set_size(struct inode *inode, loff_t size);
void mmapdev_zero_eof_tail(struct inode *inode);

/* limit.c: how much memory all objects together may hold. */
extern const struct kernel_param_ops mmapdev_limit_ops;
extern unsigned long mmapdev_limit_bytes;
void mmapdev_limit_init(void);
int mmapdev_limit_charge(unsigned long pages);
void mmapdev_limit_uncharge(unsigned long pages);
unsigned long mmapdev_limit_used(void);

/* folio.c: the folio at an index. */
struct folio *mmapdev_folio_find(struct address_space *mapping, pgoff_t index);
struct folio *mmapdev_folio_reserve(struct inode *inode, pgoff_t index,
				    gfp_t gfp);
struct folio *mmapdev_folio_get(struct inode *inode, pgoff_t index, gfp_t gfp);
extern const struct address_space_operations mmapdev_aops;

/* hole.c: what a private write copies where the object has no page. */
int mmapdev_hole_init(void);
void mmapdev_hole_exit(void);
struct page *mmapdev_hole_get(void);
void mmapdev_hole_drain(void);

/* fault.c: a mapping's pages. */
extern const struct vm_operations_struct mmapdev_vm_ops;

/* file.c: an open file; io.c, seek.c, allocate.c, ioctl.c: what it can do. */
extern const struct file_operations mmapdev_node_fops;
extern const struct file_operations mmapdev_regular_fops;
ssize_t mmapdev_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t mmapdev_write_iter(struct kiocb *iocb, struct iov_iter *from);
loff_t mmapdev_llseek(struct file *file, loff_t offset, int whence);
long mmapdev_fallocate(struct file *file, int mode, loff_t offset, loff_t len);
long mmapdev_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* stats.c: counting, and the totals in sysfs. */
extern const struct attribute_group mmapdev_stats_group;
void mmapdev_count(struct mmapdev_object *object, enum mmapdev_event event,
		   unsigned long n);
void mmapdev_count_total(enum mmapdev_event event, unsigned long n);
void mmapdev_count_open(void);
void mmapdev_stats_get(struct mmapdev_object *object,
		       struct mmapdev_stats *stats);

#endif /* _MMAPDEV_H */
