/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Refusing allocations: the kernel's fault injection, failslab for small ones
 * and fail_page_alloc for pages.
 */
#ifndef _SELFTESTS_REFUSE_H
#define _SELFTESTS_REFUSE_H

#include "knob.h"

#define REFUSE_SLAB	"/sys/kernel/debug/failslab/"
#define REFUSE_PAGE	"/sys/kernel/debug/fail_page_alloc/"

/* Every allocation can be refused, without a word in the log. 0, or -1. */
static inline int refuse_any(struct knobs *k)
{
	return knobs_set(k, REFUSE_SLAB "ignore-gfp-wait", "N") ||
	       knobs_set(k, REFUSE_SLAB "cache-filter", "N") ||
	       knobs_set(k, REFUSE_SLAB "verbose", "0") ||
	       knobs_set(k, REFUSE_PAGE "ignore-gfp-wait", "N") ||
	       knobs_set(k, REFUSE_PAGE "ignore-gfp-highmem", "N") ||
	       knobs_set(k, REFUSE_PAGE "min-order", "0") ||
	       knobs_set(k, REFUSE_PAGE "verbose", "0") ? -1 : 0;
}

static inline int refuse_knob(struct knobs *k, const char *which,
			      const char *name, const char *text)
{
	char path[96];

	snprintf(path, sizeof(path), "%s%s", which, name);
	return knobs_set(k, path, text);
}

/* Only what has an address from start to end on its stack is refused. */
static inline int refuse_below(struct knobs *k, const char *which,
			       unsigned long start, unsigned long end)
{
	char from[32], to[32];

	snprintf(from, sizeof(from), "0x%lx", start);
	snprintf(to, sizeof(to), "0x%lx", end);
	return refuse_knob(k, which, "stacktrace-depth", "32") ||
	       refuse_knob(k, which, "require-start", from) ||
	       refuse_knob(k, which, "require-end", to) ? -1 : 0;
}

/* Refuse the next `times` allocations: 0 for none more, -1 for all. */
static inline int refuse_next(struct knobs *k, const char *which, int times)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", times);
	return refuse_knob(k, which, "times", text) ||
	       refuse_knob(k, which, "probability", times ? "100" : "0") ?
		-1 : 0;
}

/* How many of `times` are left, or -1. */
static inline int refuse_left(const char *which)
{
	char path[96];

	snprintf(path, sizeof(path), "%stimes", which);
	return file_number(path);
}

#endif /* _SELFTESTS_REFUSE_H */
