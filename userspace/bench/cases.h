/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is measured: each case makes memory, brings it into some state, and
 * takes the time of one thing.
 */
#ifndef _BENCH_CASES_H
#define _BENCH_CASES_H

#include <stdbool.h>
#include <stdint.h>

#include "backend.h"

/* One measurement. */
struct run {
	const struct backend *backend;
	uint64_t size;		/* bytes */
	unsigned int threads;

	uint64_t time;		/* by the clock of measure.h */
	uint64_t pages;		/* or signals: what it was for */
	uint64_t cleared;	/* pages made, each cleared once at least */
	uint64_t copied;	/* pages copied */
	bool counted;		/* it is known how many pages were made */
};

struct bench_case {
	const char *name;
	const char *what;
	unsigned int needs;	/* CAN_*, all of them */
	unsigned int needs_one;	/* CAN_*, one of them; 0: none */
	bool threads;		/* several can do it */
	int (*run)(struct run *r);	/* -1 with errno */
};

extern const struct bench_case cases[];
extern const unsigned int case_count;

bool case_fits(const struct bench_case *c, const struct backend *backend);

#endif /* _BENCH_CASES_H */
