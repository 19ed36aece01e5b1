/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A mapping between two others: a fault in it may map pages of its own only.
 *
 * Page tables are shared by neighbours. A driver that maps more than the page
 * that was touched, and gets the ends wrong, puts an object's pages where
 * another mapping is, or none. Include this after kselftest_harness.h.
 */
#ifndef _SELFTESTS_NEIGHBOURS_H
#define _SELFTESTS_NEIGHBOURS_H

#include "address.h"
#include "backend.h"
#include "bytes.h"
#include "huge.h"
#include "procfs.h"

#define BESIDE	16	/* pages of another file, on either side */

/* A mapping p, between others that nobody has touched. */
struct neighbours {
	unsigned char *region;	/* a page table's worth before p */
	unsigned char *end;	/* and one behind it */
	unsigned char *p;
	size_t pages;		/* of p */
};

/*
 * Map pages of the file, from page `first` on, `skew` pages behind the start of a
 * page table. On both sides are pages of the file `beside`, and nothing behind
 * these, inaccessible. 0, or -1 with errno.
 */
static inline int neighbours_map(struct neighbours *n, int fd, size_t first,
				 size_t pages, size_t skew, int beside)
{
	size_t page = getpagesize(), huge = huge_bytes();
	size_t length = 2 * huge + (skew + pages) * page;
	int flags = MAP_SHARED | MAP_FIXED;

	n->region = address_aligned(length, huge);
	if (n->region == MAP_FAILED)
		return -1;
	n->end = n->region + length;
	n->p = n->region + huge + skew * page;
	n->pages = pages;
	if (mmap(n->p - BESIDE * page, BESIDE * page, RW, flags, beside, 0) ==
	    MAP_FAILED ||
	    mmap(n->p + pages * page, BESIDE * page, RW, flags, beside, 0) ==
	    MAP_FAILED)
		return -1;
	return mmap(n->p, pages * page, RW, flags, fd, first * page) ==
		MAP_FAILED ? -1 : 0;
}

static inline void neighbours_unmap(const struct neighbours *n)
{
	munmap(n->region, n->end - n->region);
}

/* The file beside, or -1. */
static inline int neighbours_file(void)
{
	struct object o = object_open(MEMFD);

	return object_fill(&o, BESIDE, 'a') ? -1 : o.fd;
}

/* How many pages outside of p are in the page tables. */
static inline size_t neighbours_present(const struct neighbours *n)
{
	size_t page = getpagesize();
	unsigned char *end = n->p + n->pages * page;

	return pagemap_present(n->region, (n->p - n->region) / page) +
	       pagemap_present(end, (n->end - end) / page);
}

/* Do both neighbours show their own file? Looking maps them. */
static inline bool neighbours_intact(const struct neighbours *n)
{
	size_t page = getpagesize();

	return pages_follow(n->p - BESIDE * page, BESIDE) &&
	       pages_follow(n->p + n->pages * page, BESIDE);
}

/* Load a byte, or store a zero. */
static inline void neighbours_touch(volatile unsigned char *at, bool store)
{
	if (store)
		*at = 0;
	else
		(void)*at;
}

/*
 * Touch what is close to where a window of faults can be wrong: the first pages,
 * the last, and those on both sides of the border between two page tables.
 */
static inline void neighbours_touch_edges(const struct neighbours *n,
					  bool store)
{
	size_t page = getpagesize(), per_huge = huge_bytes() / page;
	size_t border = per_huge - (n->p - n->region) / page % per_huge;
	size_t last = n->pages - 1;

	for (size_t i = 0; i < 3; i++) {
		neighbours_touch(n->p + i * page, store);
		neighbours_touch(n->p + (last - i) * page, store);
		if (border + i <= last)
			neighbours_touch(n->p + (border + i) * page, store);
		if (border - 1 - i <= last)
			neighbours_touch(n->p + (border - 1 - i) * page, store);
	}
}

#endif /* _SELFTESTS_NEIGHBOURS_H */
