/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The generator: step k of a seed. Each number of a step is a keyed hash of the
 * seed and k, and of no other step: steps can be left out, or run from the
 * middle, and the others stay what they are.
 */
#ifndef _RANDOM_OPS_GENERATOR_H
#define _RANDOM_OPS_GENERATOR_H

#include "step.h"

struct generator {
	const struct operation *table;
	unsigned int can;	/* rows that need more are left out */
	uint64_t without;	/* and so is row i if bit i is set */
	uint64_t seed;
	size_t max;		/* offsets are up to here, a whole page */
	size_t page;
};

/* Is there any row that is not left out? */
bool generator_has_any(const struct generator *g);

struct step generator_step(const struct generator *g, uint64_t k);

#endif /* _RANDOM_OPS_GENERATOR_H */
