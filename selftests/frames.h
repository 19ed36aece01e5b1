/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory behind pages, looked at once they should be free.
 *
 * A page that left its object while somebody still holds a reference stays on
 * the kernel's lists of pages in use, which /proc/kpageflags tells by its frame.
 * Some frames are used again at once, and some pages are on their way to the lists
 * or from there: count by half of many.
 */
#ifndef _SELFTESTS_FRAMES_H
#define _SELFTESTS_FRAMES_H

#include <sys/mman.h>

#include "procfs.h"

#define FRAMES		64
#define FEW_FRAMES	16	/* of 64 in use, 31 can be in a batch */
#define FRAME_LISTED	(1ULL << 5)	/* KPF_LRU */

struct frames {
	uint64_t number[FRAMES];
};

/* Note where a file's first FRAMES pages are, which it has: 0, or -1. */
static inline int frames_note(struct frames *f, int fd)
{
	size_t page = getpagesize();
	char *p = mmap(NULL, FRAMES * page, PROT_READ, MAP_SHARED, fd, 0);
	int err = 0;

	if (p == MAP_FAILED)
		return -1;
	for (size_t i = 0; i < FRAMES; i++) {
		*(volatile char *)(p + i * page);
		f->number[i] = PAGEMAP_PFN(pagemap_entry(p + i * page));
		err |= !f->number[i];
	}
	return munmap(p, FRAMES * page) || err ? -1 : 0;
}

/* How many are on a list: most of those in use. All if there is no telling. */
static inline size_t frames_listed(const struct frames *f)
{
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	size_t n = 0;

	for (size_t i = 0; i < FRAMES; i++) {
		uint64_t flags;

		n += pread(fd, &flags, sizeof(flags),
			   f->number[i] * sizeof(flags)) != sizeof(flags) ||
		     flags & FRAME_LISTED;
	}
	close(fd);
	return n;
}

#endif /* _SELFTESTS_FRAMES_H */
