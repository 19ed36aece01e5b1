/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was measured, as tables and as JSON.
 */
#ifndef _BENCH_REPORT_H
#define _BENCH_REPORT_H

#include <stdbool.h>

#include "cases.h"
#include "measure.h"

struct report {
	bool wall;	/* nanoseconds, not instructions */
	struct measure_page page;
};

/* Keep a measurement; false: there is no room. */
bool report_add(const struct bench_case *c, const struct run *r);
void report_print(const struct report *report);
/* -1 with errno. */
int report_write(const struct report *report, const char *path);

#endif /* _BENCH_REPORT_H */
