// SPDX-License-Identifier: GPL-2.0
/*
 * Hole pages: what a private write copies where the object has no page.
 *
 * The core copies from the page that the fault handler returns. Over a hole a
 * zeroed page outside of any object serves, and the object keeps its hole. The
 * core holds the page's lock until the copy is mapped, so a truncation that
 * takes each lock once has waited for all private writes that saw the old end
 * of file. There are a few pages, so that CPUs need not wait for each other.
 */

#include "mmapdev.h"

#include <linux/pagemap.h>

#define MAX_HOLE_PAGES	16

static struct page *hole_pages[MAX_HOLE_PAGES];
static unsigned int nr_hole_pages;

/**
 * mmapdev_hole_get - a page of zeros to copy from
 *
 * Context: Holds invalidate_lock, which may be released once the page is
 *	locked; may sleep.
 * Return: The page, locked and with a reference.
 */
struct page *mmapdev_hole_get(void)
{
	struct page *page = hole_pages[raw_smp_processor_id() % nr_hole_pages];

	get_page(page);
	lock_page(page);
	return page;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_hole_get);

/**
 * mmapdev_hole_drain - wait for private writes over holes to be mapped
 *
 * Context: Holds invalidate_lock exclusively, so that no new ones come; may
 *	sleep.
 */
void mmapdev_hole_drain(void)
{
	unsigned int i;

	for (i = 0; i < nr_hole_pages; i++) {
		lock_page(hole_pages[i]);
		unlock_page(hole_pages[i]);
	}
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_hole_drain);

/**
 * mmapdev_hole_exit - free the pages
 */
void mmapdev_hole_exit(void)
{
	while (nr_hole_pages)
		put_page(hole_pages[--nr_hole_pages]);
}

/**
 * mmapdev_hole_init - allocate the pages
 *
 * Return: 0 or -ENOMEM.
 */
int __init mmapdev_hole_init(void)
{
	unsigned int nr = min_t(unsigned int, num_possible_cpus(),
				MAX_HOLE_PAGES);

	while (nr_hole_pages < nr) {
		struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

		if (!page) {
			mmapdev_hole_exit();
			return -ENOMEM;
		}
		hole_pages[nr_hole_pages++] = page;
	}
	return 0;
}
