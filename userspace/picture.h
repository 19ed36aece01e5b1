/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Small pictures of memory: one character for each page.
 */
#ifndef _PICTURE_H
#define _PICTURE_H

#define PICTURE_PAGES	16

struct picture {
	char pages[PICTURE_PAGES + 1];
};

/*
 * The first pages of an object, as MMAPDEV_IOC_PAGES tells: '.' a hole, 'r' a
 * page, 'M' a page that some process maps. Empty if it cannot be told (errno).
 */
struct picture picture_of_object(int fd);

/*
 * The same of a durable object: 'c' a page that is as in the store, 'd' one that
 * a power cut would change.
 */
struct picture picture_of_durable(int fd);

/*
 * A private mapping's pages, as /proc/self/pagemap tells: 'c' the process's own
 * copy, '.' none. Empty if it cannot be told (errno).
 */
struct picture picture_of_copies(const void *map);

#endif /* _PICTURE_H */
