/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kinds of memory that are compared, and one piece of such memory.
 */
#ifndef _BENCH_BACKEND_H
#define _BENCH_BACKEND_H

#include <stdint.h>

/* What can be done with a kind of memory. */
enum {
	CAN_SHARE	= 1 << 0,	/* MAP_SHARED */
	CAN_COPY	= 1 << 1,	/* a private mapping of what it holds */
	CAN_SHRINK	= 1 << 2,	/* it has an end that can be moved */
	CAN_SYNC	= 1 << 3,	/* msync makes it durable */
	CAN_COPY_FORKED	= 1 << 4,	/* private copies can be copied again */
	CAN_BE_PRIVATE	= 1 << 5,	/* all mappings of it are private */
	CLEARS_BY_READING = 1 << 6,	/* not by clear_page() */
};

struct backend {
	const char *name;
	const char *what;
	unsigned int can;
	int (*open)(uint64_t size);
	int (*resize)(int fd, uint64_t size);
	int flags;	/* for mmap(2) */
	int advice;	/* for madvise(2), or 0 */
};

extern const struct backend backends[];
extern const unsigned int backend_count;

/* Where ext4 is; NULL: there is none. */
extern const char *backend_ext4;

/* A piece of memory; fd is -1 if it is only a mapping. */
struct memory {
	const struct backend *backend;
	uint64_t size;
	int fd;
};

/* These return -1, MAP_FAILED and 0 with errno set if they fail. */
int memory_open(struct memory *m, const struct backend *backend, uint64_t size);
void memory_close(struct memory *m);
int memory_resize(const struct memory *m, uint64_t size);
/* The mapping that is usual for it, with more flags. */
void *memory_map(const struct memory *m, int flags);
void *memory_map_private(const struct memory *m);
/* Another one like `first`. */
void *memory_map_again(const struct memory *m, void *first);
/* Pages that it holds; of memory without a file, those that `map` maps. */
uint64_t memory_resident(const struct memory *m, void *map);

#endif /* _BENCH_BACKEND_H */
