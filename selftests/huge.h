/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Huge pages, as the kernel maps them in one piece.
 */
#ifndef _SELFTESTS_HUGE_H
#define _SELFTESTS_HUGE_H

#include <sys/mman.h>
#include <unistd.h>

#include "knob.h"

/* Bytes of one, or 0: this kernel has none. */
static inline size_t huge_bytes(void)
{
	long long bytes =
		file_number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");

	return bytes > 0 ? bytes : 0;
}

/* log2 of the pages of one. */
static inline int huge_order(void)
{
	return __builtin_ctzll(huge_bytes() / getpagesize());
}

#endif /* _SELFTESTS_HUGE_H */
