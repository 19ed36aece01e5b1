/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernels with all checkers on take many times as long: there, tests do less of
 * the same.
 */
#ifndef _SELFTESTS_SLOW_H
#define _SELFTESTS_SLOW_H

#include <stdbool.h>
#include <unistd.h>

/* kmemleak, the slowest of them, leaves a trace that needs no configuration. */
static inline bool slow_kernel(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK);
}

#endif /* _SELFTESTS_SLOW_H */
