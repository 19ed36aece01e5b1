// SPDX-License-Identifier: GPL-2.0
/*
 * A mapping's pages: from the fault to the folio that the core then maps.
 */

#include "mmapdev.h"

#include <linux/pagemap.h>

#include "compat.h"
#include "trace.h"

static enum mmapdev_event fault_kind(const struct vm_fault *vmf)
{
	if (vmf->vma->vm_flags & VM_SHARED)
		return vmf->flags & FAULT_FLAG_WRITE ?
			MMAPDEV_FAULT_SHARED_WRITE : MMAPDEV_FAULT_SHARED_READ;
	return vmf->cow_page ?
		MMAPDEV_FAULT_COW_SOURCE : MMAPDEV_FAULT_PRIVATE_READ;
}

/*
 * The page at the fault's index, locked, which the core maps or, for a private
 * write, copies.
 */
static vm_fault_t fault_page(struct vm_fault *vmf, struct inode *inode)
{
	struct folio *folio;

	if (vmf->pgoff >= DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE))
		return VM_FAULT_SIGBUS;
	if (vmf->cow_page) {
		folio = mmapdev_folio_find(inode->i_mapping, vmf->pgoff);
		if (!folio) {
			vmf->page = mmapdev_hole_get();
			mmapdev_count(mmapdev_object_of(inode),
				      MMAPDEV_FAULT_COW_HOLE, 1);
			return VM_FAULT_LOCKED;
		}
	} else {
		folio = mmapdev_folio_get(inode, vmf->pgoff, vmf->gfp_mask);
		if (IS_ERR(folio))	/* -ENOMEM: OOM; over the limit: SIGBUS */
			return vmf_error(PTR_ERR(folio));
	}
	vmf->page = folio_file_page(folio, vmf->pgoff);
	return VM_FAULT_LOCKED;
}

static vm_fault_t mmapdev_vm_fault(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	struct mmapdev_object *object = mmapdev_object_of(mapping->host);
	enum mmapdev_event kind = fault_kind(vmf);
	vm_fault_t ret;

	/*
	 * The end of file cannot move from here until the page is locked, and
	 * truncation waits for that lock: what is mapped is not past the end.
	 */
	filemap_invalidate_lock_shared(mapping);
	ret = fault_page(vmf, mapping->host);
	filemap_invalidate_unlock_shared(mapping);

	mmapdev_count(object, kind, 1);
	if (ret & VM_FAULT_SIGBUS)
		mmapdev_count(object, MMAPDEV_SIGBUS, 1);
	trace_mmapdev_fault(vmf, kind, ret);
	return ret;
}

static vm_fault_t mmapdev_vm_map_pages(struct vm_fault *vmf, pgoff_t start,
				       pgoff_t end)
{
	struct inode *inode = vmf->vma->vm_file->f_mapping->host;
	vm_fault_t ret = filemap_map_pages(vmf, start, end);

	if (ret & VM_FAULT_NOPAGE)
		mmapdev_count(mmapdev_object_of(inode), MMAPDEV_FAULT_AROUND, 1);
	trace_mmapdev_fault_around(vmf, start, end, ret);
	return ret;
}

const struct vm_operations_struct mmapdev_vm_ops = {
	.fault		= mmapdev_vm_fault,
	.map_pages	= mmapdev_vm_map_pages,
};
