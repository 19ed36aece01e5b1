/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A hunt: run a plan, and shrink what it finds to a list of steps that anyone
 * can run again.
 */
#ifndef _RANDOM_OPS_HUNT_H
#define _RANDOM_OPS_HUNT_H

#include "plan.h"

/*
 * The steps, one a line, and what came of them on lines that begin with #, are
 * on standard output. *left is how many steps are left of what was found, 0 if
 * nothing was. False if the plan could not be run.
 */
bool hunt(const struct plan *p, size_t *left);

#endif /* _RANDOM_OPS_HUNT_H */
