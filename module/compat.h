/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Older kernels, seen as the newest: the one place that knows them.
 *
 * The driver is written for the newest API. Each block says what changed,
 * since which release, and goes away when the floor rises past it. What a
 * kernel has is probed in Kbuild, by feature. One thing needs no block:
 * filemap_get_folio() and filemap_lock_folio() report a miss as NULL before
 * 6.4 and as an ERR_PTR since; callers ask IS_ERR_OR_NULL().
 */
#ifndef _MMAPDEV_COMPAT_H
#define _MMAPDEV_COMPAT_H

#include <linux/fs.h>
#include <linux/huge_mm.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/coredump.h>
#include <linux/uio.h>
#include <linux/writeback.h>

/* 7.0: linux/pagevec.h became linux/folio_batch.h. */
#ifdef MMAPDEV_HAVE_FOLIO_BATCH_H
#include <linux/folio_batch.h>
#else
#include <linux/pagevec.h>
#endif

/* 6.19: filemap_alloc_folio() takes a NUMA policy. */
#ifdef MMAPDEV_HAVE_ALLOC_FOLIO_POLICY
#define mmapdev_filemap_alloc_folio(gfp, order) \
	filemap_alloc_folio(gfp, order, NULL)
#else
#define mmapdev_filemap_alloc_folio(gfp, order) \
	filemap_alloc_folio(gfp, order)
#endif

/* 6.8: error_remove_page, of a page, became error_remove_folio. */
#ifdef MMAPDEV_HAVE_ERROR_REMOVE_FOLIO
#define MMAPDEV_ERROR_REMOVE(fn)	.error_remove_folio = (fn)
typedef struct folio *mmapdev_poisoned_t;
#else
#define MMAPDEV_ERROR_REMOVE(fn)	.error_remove_page = (fn)
typedef struct page *mmapdev_poisoned_t;
#endif

#ifdef MMAPDEV_HAVE_ERROR_REMOVE_FOLIO
#define mmapdev_generic_error_remove	generic_error_remove_folio
#else
#define mmapdev_generic_error_remove	generic_error_remove_page
#define generic_error_remove_folio(mapping, folio) \
	generic_error_remove_page(mapping, &(folio)->page)
#endif

/*
 * 6.11: writeback_iter() instead of a callback, which took a page before 6.3.
 * write is called for each dirty folio, locked and cleared for the write.
 */
typedef int (*mmapdev_write_fn)(struct folio *folio,
				struct writeback_control *wbc, void *data);

#ifdef MMAPDEV_HAVE_WRITEBACK_ITER
static inline int mmapdev_write_folios(struct address_space *mapping,
				       struct writeback_control *wbc,
				       mmapdev_write_fn write, void *data)
{
	struct folio *folio = NULL;
	int err = 0;

	while ((folio = writeback_iter(mapping, wbc, folio, &err)))
		err = write(folio, wbc, data);
	return err;
}
#elif defined(MMAPDEV_HAVE_WRITE_FOLIO)
#define mmapdev_write_folios(mapping, wbc, write, data) \
	write_cache_pages(mapping, wbc, write, data)
#else
/**
 * struct mmapdev_write_call - a callback and what it is for
 * @write: called for each folio
 * @data: passed on
 */
struct mmapdev_write_call {
	mmapdev_write_fn write;
	void *data;
};

static inline int mmapdev_write_page(struct page *page,
				     struct writeback_control *wbc, void *data)
{
	struct mmapdev_write_call *call = data;

	return call->write(page_folio(page), wbc, call->data);
}

static inline int mmapdev_write_folios(struct address_space *mapping,
				       struct writeback_control *wbc,
				       mmapdev_write_fn write, void *data)
{
	struct mmapdev_write_call call = { .write = write, .data = data };

	return write_cache_pages(mapping, wbc, mmapdev_write_page, &call);
}
#endif

/* 6.18: generic_delete_inode() was renamed. */
#ifndef MMAPDEV_HAVE_INODE_JUST_DROP
#define inode_just_drop generic_delete_inode
#endif

/* 6.10: copy_folio_from_iter_atomic(); older kernels copy to a page. */
#ifndef MMAPDEV_HAVE_COPY_FOLIO_FROM_ITER
static inline size_t copy_folio_from_iter_atomic(struct folio *folio,
						 size_t offset, size_t bytes,
						 struct iov_iter *from)
{
	struct page *page = folio_page(folio, offset >> PAGE_SHIFT);

	return copy_page_from_iter_atomic(page, offset_in_page(offset), bytes,
					  from);
}
#endif

/* 6.5: splice_read by read_iter is called copy_splice_read(). */
#ifndef MMAPDEV_HAVE_COPY_SPLICE_READ
#define copy_splice_read generic_file_splice_read
#endif

/*
 * 6.3: a mount's mapping of ids is a struct mnt_idmap. 6.6: generic_fillattr()
 * is told what is asked for.
 */
#ifndef MMAPDEV_HAVE_MNT_IDMAP
#define mnt_idmap user_namespace
#define file_mnt_idmap file_mnt_user_ns
#endif

static inline void mmapdev_fillattr(struct mnt_idmap *idmap, u32 request_mask,
				    struct inode *inode, struct kstat *stat)
{
#ifdef MMAPDEV_HAVE_FILLATTR_MASK
	generic_fillattr(idmap, request_mask, inode, stat);
#else
	generic_fillattr(idmap, inode, stat);
#endif
}

/* 6.7: an inode's times are behind functions. */
#ifndef MMAPDEV_HAVE_INODE_TIMES
static inline struct timespec64 inode_get_atime(const struct inode *inode)
{
	return inode->i_atime;
}

static inline struct timespec64 inode_get_mtime(const struct inode *inode)
{
	return inode->i_mtime;
}

static inline void inode_set_atime_to_ts(struct inode *inode,
					 struct timespec64 ts)
{
	inode->i_atime = ts;
}

static inline void inode_set_mtime_to_ts(struct inode *inode,
					 struct timespec64 ts)
{
	inode->i_mtime = ts;
}
#endif

/*
 * 6.6: the largest folio that a page cache takes. Before, its tree splits no
 * entry of more than two levels, and MAX_ORDER was one too large until 6.4.
 */
#ifndef MAX_PAGECACHE_ORDER
#define MAX_PAGECACHE_ORDER	min(2 * XA_CHUNK_SHIFT - 1, MAX_ORDER - 1)
#endif

/*
 * Has madvise(2) or prctl(2) switched huge pages off? 6.12: the core has a function
 * for that. 6.18: it is told whether it is about a forced collapse.
 */
static inline bool mmapdev_thp_disabled(struct vm_area_struct *vma)
{
#if !defined(CONFIG_TRANSPARENT_HUGEPAGE)
	return vma->vm_flags & VM_NOHUGEPAGE;
#elif defined(MMAPDEV_HAVE_THP_FORCED_COLLAPSE)
	return vma_thp_disabled(vma, vma->vm_flags, false);
#elif defined(MMAPDEV_HAVE_VMA_THP_DISABLED)
	return vma_thp_disabled(vma, vma->vm_flags);
#else
	return vma->vm_flags & VM_NOHUGEPAGE ||
	       test_bit(MMF_DISABLE_THP, &vma->vm_mm->flags);
#endif
}

/* 6.3: the core's callbacks on devices cannot change them. */
#ifdef MMAPDEV_HAVE_CONST_DEVNODE
typedef const struct device mmapdev_const_device;
#else
typedef struct device mmapdev_const_device;
#endif

/* 6.13: the namespace of symbols became a string. */
#ifdef MMAPDEV_HAVE_IMPORT_NS_STRING
#define MMAPDEV_IMPORT_KUNIT_NS	MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING")
#else
#define MMAPDEV_IMPORT_KUNIT_NS	MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING)
#endif

#endif /* _MMAPDEV_COMPAT_H */
