// SPDX-License-Identifier: GPL-2.0
/*
 * A mapping's pages: from the fault to the folio that the core then maps.
 */

#include "mmapdev.h"

#include <linux/pagemap.h>

#include "compat.h"
#include "steps.h"
#include "trace.h"

static enum mmapdev_event fault_kind(const struct vm_fault *vmf)
{
	/* Not VM_SHARED, which one that can only be read does not have. */
	if (vmf->vma->vm_flags & VM_MAYSHARE)
		return vmf->flags & FAULT_FLAG_WRITE ?
			MMAPDEV_FAULT_SHARED_WRITE : MMAPDEV_FAULT_SHARED_READ;
	return vmf->cow_page ?
		MMAPDEV_FAULT_COW_SOURCE : MMAPDEV_FAULT_PRIVATE_READ;
}

/* What a private write copies: a folio, locked, or NULL for a hole. */
static struct folio *cow_source(struct vm_fault *vmf, struct inode *inode)
{
	struct folio *folio = mmapdev_folio_find_killable(inode->i_mapping,
							  vmf->pgoff);

	if (IS_ERR(folio) || (folio && folio_test_uptodate(folio)))
		return folio;
	if (folio) {
		folio_unlock(folio);
		folio_put(folio);
	} else if (mmapdev_is_hole(inode, vmf->pgoff)) {
		return NULL;
	}
	return mmapdev_folio_get(inode, vmf->pgoff, vmf->gfp_mask);
}

/*
 * A pin can keep a huge folio from being split at EOF (resize.c). The core of
 * before 6.18 maps it by one PMD, so that what is past EOF can be touched. It
 * maps by pages where there is a page table. Is one needed, and missing?
 *
 * Asked with invalidate_lock held, so that EOF neither comes to lie in the folio before
 * it is mapped, nor leaves it: then others map it by one PMD, and there is no room for
 * a table.
 */
static bool lacks_table(struct vm_fault *vmf, struct inode *inode)
{
	pgoff_t end = DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE);
	pgoff_t last = vmf->pgoff | ((PMD_SIZE >> PAGE_SHIFT) - 1);

	return pmd_none(*vmf->pmd) && last >= end && mmapdev_end_is_inside(inode);
}

/* It makes the page table on its way to the address: 0, or -ENOMEM. */
static int make_table(struct vm_fault *vmf)
{
	return apply_to_page_range(vmf->vma->vm_mm, vmf->address & PAGE_MASK,
				   PAGE_SIZE, NULL, NULL);
}

/*
 * The page at the fault's index, locked, which the core maps or, for a private
 * write, copies.
 */
static vm_fault_t fault_page(struct vm_fault *vmf, struct inode *inode)
{
	struct mmapdev_object *object = mmapdev_object_of(inode);
	struct folio *folio;
	vm_fault_t ret;

	if (vmf->pgoff >= DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE) ||
	    mmapdev_file_dead(vmf->vma->vm_file))
		return VM_FAULT_SIGBUS;
	if (vmf->cow_page) {
		folio = cow_source(vmf, inode);
	} else {
		bool table = lacks_table(vmf, inode);

		mmapdev_step();
		if (table && make_table(vmf))
			return VM_FAULT_OOM;
		ret = mmapdev_dense_fault(vmf, inode);
		if (ret)
			return ret;
		folio = mmapdev_folio_get(inode, vmf->pgoff, vmf->gfp_mask);
	}
	if (IS_ERR(folio))	/* -ENOMEM: OOM; others, as -ENOSPC: SIGBUS */
		return vmf_error(PTR_ERR(folio));
	if (folio) {
		vmf->page = folio_file_page(folio, vmf->pgoff);
	} else {
		vmf->page = mmapdev_hole_get();
		mmapdev_count(object, MMAPDEV_FAULT_COW_HOLE, 1);
	}
	return VM_FAULT_LOCKED;
}

/* What the user's rules have for an event: 0 to go on. */
static vm_fault_t injected(struct vm_fault *vmf, struct inode *inode,
			   u32 event)
{
	int err = mmapdev_inject(inode, event, (loff_t)vmf->pgoff << PAGE_SHIFT);

	if (!err)
		return 0;
	return err == -EHWPOISON ? VM_FAULT_HWPOISON : vmf_error(err);
}

static vm_fault_t mmapdev_vm_fault(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	struct mmapdev_object *object = mmapdev_object_of(mapping->host);
	enum mmapdev_event kind = fault_kind(vmf);
	vm_fault_t ret;

	ret = injected(vmf, mapping->host, vmf->flags & FAULT_FLAG_WRITE ?
		       MMAPDEV_EVENT_FAULT_WRITE : MMAPDEV_EVENT_FAULT_READ);
	if (ret)
		goto out;
	/*
	 * The end of file cannot move from here until the page is locked, and
	 * truncation waits for that lock: what is mapped is not past the end.
	 */
	if (down_read_killable(&mapping->invalidate_lock)) {
		ret = VM_FAULT_SIGBUS;	/* for a task that is dying */
		goto out;
	}
	ret = fault_page(vmf, mapping->host);
	filemap_invalidate_unlock_shared(mapping);
	/* Of a durable object, page_mkwrite comes next and says so. */
	if (!object->store && kind == MMAPDEV_FAULT_SHARED_WRITE &&
	    !(ret & VM_FAULT_ERROR))
		mmapdev_modified(mapping->host);
out:
	mmapdev_count(object, kind, 1);
	if (ret & VM_FAULT_SIGBUS)
		mmapdev_count(object, MMAPDEV_SIGBUS, 1);
	trace_mmapdev_fault(vmf, kind, ret);
	return ret;
}

static vm_fault_t map_pages(struct vm_fault *vmf, struct inode *inode,
			    pgoff_t start, pgoff_t end)
{
	pgoff_t size = DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE);
	vm_fault_t ret = 0;

	/* Rules ask page by page; dead files must not see what a cut leaves. */
	if (mmapdev_injects(inode) || mmapdev_file_dead(vmf->vma->vm_file) ||
	    lacks_table(vmf, inode))
		return 0;
	if (start < size)
		ret = filemap_map_pages(vmf, start, min(end, size - 1));
	if (ret & VM_FAULT_NOPAGE)
		mmapdev_count(mmapdev_object_of(inode), MMAPDEV_FAULT_AROUND, 1);
	trace_mmapdev_fault_around(vmf, start, end, ret);
	return ret;
}

/*
 * With invalidate_lock held, so that pages past EOF are not mapped after a shrink
 * has unmapped them. This may not sleep; if it does nothing the fault goes the
 * long way.
 */
static vm_fault_t mmapdev_vm_map_pages(struct vm_fault *vmf, pgoff_t start,
				       pgoff_t end)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	vm_fault_t ret;

	if (!filemap_invalidate_trylock_shared(mapping))
		return 0;
	ret = map_pages(vmf, mapping->host, start, end);
	filemap_invalidate_unlock_shared(mapping);
	return ret;
}

/* A mapping's first store to a page since that was written back last. */
static vm_fault_t make_dirty(struct vm_fault *vmf, struct inode *inode)
{
	struct folio *folio = page_folio(vmf->page);
	bool clean;
	int err;

	folio_lock(folio);
	if (folio->mapping != inode->i_mapping) {	/* look again */
		folio_unlock(folio);
		return VM_FAULT_NOPAGE;
	}
	if (folio_pos(folio) >= i_size_read(inode) ||
	    mmapdev_file_dead(vmf->vma->vm_file)) {
		folio_unlock(folio);
		return VM_FAULT_SIGBUS;
	}
	clean = !folio_test_dirty(folio);
	err = mmapdev_folio_dirty(inode, folio);
	if (err) {
		folio_unlock(folio);
		return vmf_error(err);
	}
	if (clean)
		mmapdev_count(mmapdev_object_of(inode), MMAPDEV_MKWRITES, 1);
	folio_wait_stable(folio);
	return VM_FAULT_LOCKED;
}

static vm_fault_t mmapdev_vm_page_mkwrite(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	struct mmapdev_object *object = mmapdev_object_of(mapping->host);
	vm_fault_t ret = 0;
	u64 sequence;

	if (!folio_test_dirty(page_folio(vmf->page)))
		ret = injected(vmf, mapping->host, MMAPDEV_EVENT_MKWRITE);
	if (!ret && down_read_killable(&mapping->invalidate_lock)) {
		ret = VM_FAULT_SIGBUS;
	} else if (!ret) {
		ret = make_dirty(vmf, mapping->host);
		filemap_invalidate_unlock_shared(mapping);
	}
	sequence = mmapdev_sequence_next(object);	/* the page is locked */
	mmapdev_modified(mapping->host);
	if (ret & VM_FAULT_SIGBUS)
		mmapdev_count(object, MMAPDEV_SIGBUS, 1);
	trace_mmapdev_mkwrite(vmf, sequence, ret);
	return ret;
}

const struct vm_operations_struct mmapdev_vm_ops = {
	.fault		= mmapdev_vm_fault,
	.map_pages	= mmapdev_vm_map_pages,
};

const struct vm_operations_struct mmapdev_durable_vm_ops = {
	.fault		= mmapdev_vm_fault,
	.map_pages	= mmapdev_vm_map_pages,
	.page_mkwrite	= mmapdev_vm_page_mkwrite,
};
