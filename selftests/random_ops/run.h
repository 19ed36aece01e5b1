/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A run: one process that applies steps to its range of an object and to its
 * model of it, up to the first difference.
 */
#ifndef _RANDOM_OPS_RUN_H
#define _RANDOM_OPS_RUN_H

#include "model.h"
#include "step.h"
#include "target.h"

struct run {
	struct object o;
	int store;		/* the file that it is durable in, or -1 */
	unsigned int can;	/* CAN_* */
	uint64_t base;		/* where the range begins in the object */
	uint64_t ranges_end;	/* where the last process's ends */
	struct model model;
	size_t mapped;		/* bytes of both mappings, from base on */
	unsigned char *shared;
	unsigned char *private;
	unsigned char *buffer;	/* model.max bytes to work with */
	bool differs;
	char difference[200];	/* the first, in words */
};

/* A model and a buffer for a range; false with errno if there is no memory. */
bool run_init(struct run *r, const struct object *o, unsigned int can,
	      uint64_t base, uint64_t ranges_end, size_t max);
void run_free(struct run *r);

/* Make the mappings; false, with a difference, if that fails. */
bool run_map(struct run *r);
void run_unmap(struct run *r);

/* Note a difference, in words as printf(3) puts them; only the first counts. */
__attribute__((format(printf, 2, 3)))
void run_differs(struct run *r, const char *format, ...);

/*
 * n bytes of the object were got in some way, from at on; they must be those
 * that are expected.
 */
void run_compare(struct run *r, const char *how, size_t at, const void *got,
		 const void *expected, size_t n);

/* Apply one step, and compare the size. False if a difference is known. */
bool run_step(struct run *r, const struct step *s);

/* Compare all of the range, in every way. False if a difference is known. */
bool run_compare_all(struct run *r);

#endif /* _RANDOM_OPS_RUN_H */
