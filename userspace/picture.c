// SPDX-License-Identifier: GPL-2.0
/*
 * Small pictures of memory: one character for each page.
 */
#include "picture.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mmapdev.h"

/* Bits of an entry of pagemap: Documentation/admin-guide/mm/pagemap.rst. */
#define PAGEMAP_FILE	(1ULL << 61)	/* a page of a file, not a copy */
#define PAGEMAP_SWAPPED	(1ULL << 62)
#define PAGEMAP_PRESENT	(1ULL << 63)

static char look_of_object(uint8_t state)
{
	if (!MMAPDEV_PAGE_RESIDENT(state))
		return '.';
	return state & MMAPDEV_PAGE_MAPPED ? 'M' : 'r';
}

static char look_of_durable(uint8_t state)
{
	if (state & MMAPDEV_PAGE_DIFFERS)
		return 'd';
	return MMAPDEV_PAGE_RESIDENT(state) ? 'c' : '.';
}

static struct picture picture_of_states(int fd, char (*look)(uint8_t state))
{
	uint8_t states[PICTURE_PAGES];
	struct mmapdev_pages pages = {
		.count = PICTURE_PAGES,
		.states = (uintptr_t)states,
	};
	struct picture picture = { };
	int i;

	if (ioctl(fd, MMAPDEV_IOC_PAGES, &pages))
		return picture;
	for (i = 0; i < PICTURE_PAGES; i++)
		picture.pages[i] = look(states[i]);
	return picture;
}

struct picture picture_of_object(int fd)
{
	return picture_of_states(fd, look_of_object);
}

struct picture picture_of_durable(int fd)
{
	return picture_of_states(fd, look_of_durable);
}

struct picture picture_of_copies(const void *map)
{
	uint64_t entries[PICTURE_PAGES];
	off_t first = (uintptr_t)map / getpagesize() * sizeof(entries[0]);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct picture picture = { };
	ssize_t got;
	int i;

	if (fd < 0)
		return picture;
	got = pread(fd, entries, sizeof(entries), first);
	close(fd);
	if (got != sizeof(entries))
		return picture;
	for (i = 0; i < PICTURE_PAGES; i++) {
		bool some = entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED);
		bool copy = some && !(entries[i] & PAGEMAP_FILE);

		picture.pages[i] = copy ? 'c' : '.';
	}
	return picture;
}
