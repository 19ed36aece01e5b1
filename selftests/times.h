/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The times of files: the kernel takes them from a clock that ticks some hundred
 * times a second, so that what happens in one tick has one time.
 */
#ifndef _SELFTESTS_TIMES_H
#define _SELFTESTS_TIMES_H

#include <time.h>

static inline long long nanoseconds(struct timespec t)
{
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static inline void let_the_clock_tick(void)
{
	struct timespec a_while = { .tv_nsec = 1000000 };
	struct timespec was, is;

	/* The clock that inodes go by; a busy host can hold back its ticks. */
	clock_gettime(CLOCK_REALTIME_COARSE, &was);
	do {
		nanosleep(&a_while, NULL);
		clock_gettime(CLOCK_REALTIME_COARSE, &is);
	} while (nanoseconds(is) == nanoseconds(was));
}

#endif /* _SELFTESTS_TIMES_H */
