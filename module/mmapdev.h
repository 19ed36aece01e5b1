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
 *   inode->i_rwsem			(file: write, seek; resize)
 *     mm->mmap_lock			(file: faulting in a write's source)
 *     mapping->invalidate_lock		(resize, as above)
 *
 * A folio lock and a hole page lock are never held together, nor two of either
 * kind. The module has no lock of its own: size is protected by i_rwsem against
 * other changes and by invalidate_lock against faults, and counters are atomic
 * or per CPU. Documentation/locking.rst tells who may rely on what, and why
 * nothing outlives the module.
 */
#ifndef _MMAPDEV_H
#define _MMAPDEV_H

#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/mm.h>
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
 * @inode: the object's life, size (i_size) and pages (i_data)
 *
 * The object is its inode: whoever holds a reference to the inode holds the
 * object, and evicting the inode frees the pages.
 */
struct mmapdev_object {
	struct mmapdev_counters __percpu *counters;
	struct inode inode;
};

static inline struct mmapdev_object *mmapdev_object_of(const struct inode *inode)
{
	return container_of(inode, struct mmapdev_object, inode);
}

/* object.c: the object, and the pseudo filesystem that it is an inode of. */
int mmapdev_object_init(void);
void mmapdev_object_exit(void);
struct inode *mmapdev_object_create(void);
unsigned long mmapdev_object_count(void);

/* resize.c: moving the end of file. */
int mmapdev_resize(struct inode *inode, loff_t size);
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
struct folio *mmapdev_folio_get(struct inode *inode, pgoff_t index, gfp_t gfp);
extern const struct address_space_operations mmapdev_aops;

/* hole.c: what a private write copies where the object has no page. */
int mmapdev_hole_init(void);
void mmapdev_hole_exit(void);
struct page *mmapdev_hole_get(void);
void mmapdev_hole_drain(void);

/* fault.c: a mapping's pages. */
extern const struct vm_operations_struct mmapdev_vm_ops;

/* file.c and ioctl.c: what a program can do with an open device. */
extern const struct file_operations mmapdev_fops;
long mmapdev_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* stats.c: counting, and the totals in sysfs. */
extern const struct attribute_group *mmapdev_stats_groups[];
void mmapdev_count(struct mmapdev_object *object, enum mmapdev_event event,
		   unsigned long n);
void mmapdev_count_total(enum mmapdev_event event, unsigned long n);
void mmapdev_count_open(void);
void mmapdev_stats_get(struct mmapdev_object *object,
		       struct mmapdev_stats *stats);

#endif /* _MMAPDEV_H */
