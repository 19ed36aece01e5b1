/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Touching pages, in some order, by one thread or several.
 */
#ifndef _BENCH_TOUCH_H
#define _BENCH_TOUCH_H

#include <stdbool.h>
#include <stdint.h>

#define TOUCH_THREADS_MAX	64

struct touch {
	bool store;		/* else load */
	uint64_t pages;
	uint64_t stride;	/* bytes from one to the next */
	const uint32_t *order;	/* which comes when; NULL: as they lie */
	unsigned int threads;	/* each has a part of its own */
};

/* A random order of the pages, always the same; NULL: too many. */
const uint32_t *touch_order(uint64_t pages);
/* By the caller alone. */
void touch(void *map, const struct touch *t);
/* What it took from the first to begin to the last to end; UINT64_MAX: error. */
uint64_t touch_timed(void *map, const struct touch *t);

#endif /* _BENCH_TOUCH_H */
