/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What memory and objects hold: filling them, and looking.
 */
#ifndef _SELFTESTS_BYTES_H
#define _SELFTESTS_BYTES_H

#include "backend.h"

/* Is each of the n bytes at p this one? */
static inline bool bytes_are(const volatile void *p, unsigned char value,
			     size_t n)
{
	const volatile unsigned char *at = p;

	while (n--)
		if (*at++ != value)
			return false;
	return true;
}

/* Is the page at p full of this byte? */
static inline bool page_is(const volatile void *p, unsigned char value)
{
	return bytes_are(p, value, getpagesize());
}

/*
 * Make the object `pages` long, with every byte of its page i being first + i.
 * By pwrite(2), so that nothing maps the pages. 0, or -1.
 */
static inline int object_fill(const struct object *o, size_t pages,
			      unsigned char first)
{
	size_t page = getpagesize();
	unsigned char bytes[page];

	if (object_resize(o, pages * page))
		return -1;
	for (size_t i = 0; i < pages; i++) {
		memset(bytes, first + i, page);
		if (pwrite(o->fd, bytes, page, i * page) != (ssize_t)page)
			return -1;
	}
	return 0;
}

/* Is page i of the pages at p full of 'a' + i? */
static inline bool pages_follow(const volatile void *p, size_t pages)
{
	const volatile char *at = p;

	for (size_t i = 0; i < pages; i++)
		if (!page_is(at + i * getpagesize(), 'a' + i))
			return false;
	return true;
}

/* The byte of the object at offset, by pread(2), or -1. */
static inline int object_byte(const struct object *o, off_t offset)
{
	unsigned char byte;

	return pread(o->fd, &byte, 1, offset) == 1 ? byte : -1;
}

#endif /* _SELFTESTS_BYTES_H */
