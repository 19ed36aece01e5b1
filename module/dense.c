// SPDX-License-Identifier: GPL-2.0
/*
 * Dense access: pages are made, and mapped, before they are touched.
 *
 * How many is read off the object: what is there shows where others have been. A
 * large folio just before the page is doubled; a block of which some pages are
 * there is filled; else it is one page. So nothing has to be remembered, and
 * threads that are far from each other learn from their own faults.
 *
 * A mapping in which no huge page fits is left alone: there, what is resident is
 * what was touched. Of a durable object only loads go ahead, page by page: which
 * page is dirty stays exact.
 */

#include "mmapdev.h"

#include <linux/huge_mm.h>
#include <linux/log2.h>
#include <linux/pagemap.h>

#include "compat.h"

/* In pages. */
#define BLOCK		16	/* what is filled to begin with */
#define BLOCK_TOUCHED	3	/* of it, this page included: so it is dense */
#define SMALLEST	4	/* for a folio of several pages */
/* Where pages are large, more than a page cache takes would fit into a PMD. */
#define LARGEST		min_t(unsigned int, PMD_SIZE >> PAGE_SHIFT,	\
			      1U << MAX_PAGECACHE_ORDER)

/* Pages to be made and mapped; end is not included. */
struct window {
	pgoff_t first;
	pgoff_t end;
};

static bool is_there(struct address_space *mapping, pgoff_t index)
{
	return mmapdev_folio_is_cached(mapping->host, index);
}

static unsigned int pages_at(struct address_space *mapping, pgoff_t index)
{
	return 1U << xa_get_order(&mapping->i_pages, index);
}

/* How many folios there are from first to last. */
static unsigned int count(struct address_space *mapping, pgoff_t first,
			  pgoff_t last)
{
	XA_STATE(xas, &mapping->i_pages, first);
	unsigned int n = 0;
	void *entry;

	rcu_read_lock();
	xas_for_each(&xas, entry, last)
		n += !xas_retry(&xas, entry) && !xa_is_value(entry);
	rcu_read_unlock();
	return n;
}

/* Where the first folio from index on is, below end, or end. */
static pgoff_t next_folio(struct address_space *mapping, pgoff_t index,
			  pgoff_t end)
{
	XA_STATE(xas, &mapping->i_pages, index);
	pgoff_t found = end;
	void *entry;

	rcu_read_lock();
	xas_for_each(&xas, entry, end - 1) {
		if (xas_retry(&xas, entry) || xa_is_value(entry))
			continue;	/* a value tells of what was reclaimed */
		found = max(xas.xa_index, index);
		break;
	}
	rcu_read_unlock();
	return found;
}

/* Has somebody come to this page from those before it? How many, then, next. */
static unsigned int follow(struct address_space *mapping, pgoff_t index)
{
	unsigned int before;

	if (!index || !is_there(mapping, index - 1))
		return 1;
	before = pages_at(mapping, index - 1);
	if (before >= SMALLEST)
		return min_t(unsigned int, 2 * before, LARGEST);
	if (index >= BLOCK && count(mapping, index - BLOCK, index - 1) == BLOCK)
		return BLOCK;
	return 1;
}

/*
 * How many pages, aligned to their number, to have at once where there is none.
 * near is how many folios there are in its block, or just before that.
 */
static unsigned int wanted(struct vm_area_struct *vma,
			   struct address_space *mapping, pgoff_t index,
			   unsigned int near)
{
	unsigned int pages = near ? follow(mapping, index) : 1;

	if (vma->vm_flags & VM_HUGEPAGE)
		return LARGEST;
	if (pages < BLOCK && (vma->vm_flags & VM_SEQ_READ ||
			      near >= BLOCK_TOUCHED - 1))
		return BLOCK;
	return pages;
}

/* Within the file, the VMA and the page table that the fault is in. */
static struct window clamped(struct vm_fault *vmf, struct inode *inode,
			     unsigned int pages)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long table = vmf->address & PMD_MASK;
	pgoff_t before = (vmf->address - max(vma->vm_start, table)) >>
			 PAGE_SHIFT;
	pgoff_t after = (min(vma->vm_end - 1, table + PMD_SIZE - 1) + 1 -
			 vmf->address) >> PAGE_SHIFT;
	pgoff_t first = round_down(vmf->pgoff, pages);

	return (struct window) {
		.first	= max(first, vmf->pgoff - before),
		.end	= min3(first + pages, vmf->pgoff + after,
			       (pgoff_t)DIV_ROUND_UP(i_size_read(inode),
						     PAGE_SIZE)),
	};
}

/* The largest folio that fits between index and end, by its natural alignment. */
static unsigned int fitting_order(struct address_space *mapping, pgoff_t index,
				  pgoff_t end)
{
	unsigned int order = ilog2(end - index);

	if (!mapping_large_folio_support(mapping))
		return 0;
	if (index)
		order = min_t(unsigned int, order, __ffs(index));
	return 1 << order < SMALLEST ? 0 : order;
}

/*
 * Make a folio of the given order, or the largest for which there is memory at once:
 * nobody is to wait, or to be killed, for pages that were not asked for. Return
 * its pages, 0 if there is none.
 */
static unsigned int make_up_to(struct inode *inode, pgoff_t index,
			       unsigned int order, pgoff_t touched, gfp_t gfp)
{
	for (;;) {
		struct folio *folio = mmapdev_folio_make(inode, index, order,
							 gfp);

		if (!IS_ERR(folio)) {
			int err = mmapdev_folio_load(inode, folio);

			folio_unlock(folio);
			if (order || index != touched)
				mmapdev_ahead_note(inode, folio, index);
			folio_put(folio);
			return err ? 0 : 1 << order;
		}
		if (!order || folio == ERR_PTR(-EEXIST))
			return 0;
		order = 1 << --order < SMALLEST ? 0 : order;
	}
}

/*
 * Make what is not there yet. Where memory is short, go no further than the
 * page that was touched: what is left is for those who ask for it.
 */
static void fill(struct inode *inode, struct window window, pgoff_t touched,
		 gfp_t gfp)
{
	struct address_space *mapping = inode->i_mapping;
	pgoff_t index = window.first;

	gfp &= ~__GFP_DIRECT_RECLAIM;
	gfp |= __GFP_NORETRY | __GFP_NOWARN;
	mmapdev_ahead_begin();
	while (index < window.end) {
		pgoff_t next = next_folio(mapping, index, window.end);

		while (index < next) {
			unsigned int order = fitting_order(mapping, index,
							   next);
			unsigned int made = make_up_to(inode, index, order,
						       touched, gfp);

			index += made;
			if (!made || (made < 1 << order && index > touched))
				goto out;
			cond_resched();
		}
		if (next < window.end)	/* past what is there */
			index = (next | (pages_at(mapping, next) - 1)) + 1;
	}
out:
	mmapdev_ahead_end();
	mmapdev_ahead_leave_room(index < window.end ||
				 window.end - window.first > BLOCK);
}

/* One page, locked. */
static vm_fault_t hand_out(struct vm_fault *vmf, struct inode *inode)
{
	struct folio *folio = mmapdev_folio_make(inode, vmf->pgoff, 0,
						 vmf->gfp_mask);
	int err;

	if (folio == ERR_PTR(-EEXIST))	/* lost a race */
		return 0;
	if (IS_ERR(folio))
		return vmf_error(PTR_ERR(folio));
	err = mmapdev_folio_load(inode, folio);
	if (err) {
		folio_unlock(folio);
		folio_put(folio);
		return vmf_error(err);
	}
	vmf->page = folio_page(folio, 0);
	return VM_FAULT_LOCKED;
}

/* The page is there: map those around it, too. */
static vm_fault_t map_around(struct vm_fault *vmf, struct inode *inode)
{
	unsigned int pages = pages_at(inode->i_mapping, vmf->pgoff);
	struct window window = clamped(vmf, inode,
				       max_t(unsigned int, pages, BLOCK));

	return filemap_map_pages(vmf, window.first, window.end - 1);
}

/**
 * mmapdev_dense_fault - make and map what will be touched next, too
 * @vmf: not a private write
 * @inode: the object
 *
 * Context: Holds invalidate_lock, shared; may sleep.
 * Return: VM_FAULT_NOPAGE if the page is mapped; VM_FAULT_LOCKED if it is handed
 *	out; 0 if that is still to be done; an error.
 */
vm_fault_t mmapdev_dense_fault(struct vm_fault *vmf, struct inode *inode)
{
	struct address_space *mapping = inode->i_mapping;
	struct vm_area_struct *vma = vmf->vma;
	pgoff_t block = round_down(vmf->pgoff, BLOCK);
	struct window window;
	unsigned int pages;
	unsigned int near;

	if (vma->vm_end - vma->vm_start < PMD_SIZE ||
	    vma->vm_flags & VM_RAND_READ || mmapdev_thp_disabled(vma) ||
	    mmapdev_injects(inode))	/* rules ask page by page */
		return 0;
	/* Each page of a durable object becomes dirty by a store of its own. */
	if (mmapdev_object_of(inode)->store && vmf->flags & FAULT_FLAG_WRITE)
		return 0;
	near = count(mapping, block - !!block, block + BLOCK - 1);
	if (near && is_there(mapping, vmf->pgoff))
		return map_around(vmf, inode);
	pages = wanted(vma, mapping, vmf->pgoff, near);
	if (pages == 1)
		return hand_out(vmf, inode);
	window = clamped(vmf, inode, pages);
	fill(inode, window, vmf->pgoff, vmf->gfp_mask);
	return filemap_map_pages(vmf, window.first, window.end - 1);
}
