/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A plan: which steps to run, on what, in how many processes; and what came of
 * it.
 */
#ifndef _RANDOM_OPS_PLAN_H
#define _RANDOM_OPS_PLAN_H

#include "step.h"
#include "target.h"

struct plan {
	const struct operation *table;
	const struct target *target;
	const char *path;	/* if the target has one */
	size_t max;		/* bytes of each process's range; whole pages */
	unsigned int processes;	/* one alone may move the end of file */
	uint64_t count;		/* steps of each process */
	const struct step *steps;	/* those to run; NULL: of this seed, */
	uint64_t seed;
	uint64_t without;	/* and without row i of the table if bit i is 1 */
	bool progress;		/* tell, now and then, how far it is */
};

struct finding {
	bool found;
	unsigned int process;
	uint64_t step;		/* after which it was found; count: at the end */
	char difference[200];
};

/* Step k of a process. */
struct step plan_step(const struct plan *p, unsigned int process, uint64_t k);

/*
 * Run it on a fresh object. -1 with errno if it could not begin; EINVAL: it has
 * steps that go past max or need what the target, or one of several processes,
 * cannot do, or no steps at all.
 */
int plan_run(const struct plan *p, struct finding *f);

#endif /* _RANDOM_OPS_PLAN_H */
