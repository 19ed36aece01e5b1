/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The clock, and what clearing and copying a page cost by it.
 *
 * The clock gives nanoseconds, which under QEMU's -icount shift=0 are
 * instructions.
 */
#ifndef _BENCH_MEASURE_H
#define _BENCH_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

/* Of 4096 bytes, by the instruction that the kernel uses on this CPU. */
struct measure_page {
	double clear;
	double copy;
};

uint64_t measure_now(void);
/* What comes from here to measure_since() is measured. */
uint64_t measure_begin(void);
/* From measure_begin() to now, without what asking the clock costs. */
uint64_t measure_since(uint64_t begin);
bool measure_counts_instructions(void);
struct measure_page measure_page(void);

#endif /* _BENCH_MEASURE_H */
