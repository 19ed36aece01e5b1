/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Addresses to map at: a hole in the address space, with known surroundings.
 */
#ifndef _SELFTESTS_ADDRESS_H
#define _SELFTESTS_ADDRESS_H

#include <sys/mman.h>
#include <unistd.h>

/*
 * The start of length bytes where nothing is mapped, between two pages of
 * PROT_NONE: what is mapped there with MAP_FIXED has no other neighbours.
 * MAP_FAILED with errno if there are none.
 */
static inline void *address_hole(size_t length)
{
	size_t page = getpagesize();
	char *p = mmap(NULL, length + 2 * page, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED || munmap(p + page, length))
		return MAP_FAILED;
	return p + page;
}

/*
 * The end of length bytes (rounded up to pages) that can be touched, zeroed,
 * right before a page of PROT_NONE. MAP_FAILED with errno.
 */
static inline void *address_edge(size_t length)
{
	size_t page = getpagesize();
	char *p;

	length = (length + page - 1) / page * page;
	p = mmap(NULL, length + page, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mprotect(p + length, page, PROT_NONE))
		return MAP_FAILED;
	return p + length;
}

/*
 * Where to map length bytes with MAP_FIXED at a multiple of align, a power of
 * two. MAP_FAILED with errno.
 */
static inline void *address_aligned(size_t length, size_t align)
{
	char *p = mmap(NULL, length + align, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return p;
	return p + (-(unsigned long)p & (align - 1));
}

#endif /* _SELFTESTS_ADDRESS_H */
