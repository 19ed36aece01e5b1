/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Have the module wait between its steps, so that others come into them; see
 * module/steps.h.
 */
#ifndef _SELFTESTS_STEPS_H
#define _SELFTESTS_STEPS_H

#include "knob.h"

#define STEP_KNOB	"/sys/module/mmapdev/parameters/step_us"

/* Does it, in this kernel? */
static inline bool steps_possible(void)
{
	return !access(STEP_KNOB, F_OK);
}

/*
 * Microseconds at most, at random, until knob_restore(). Only the module of a debugging
 * kernel waits; where it does not, this does nothing. 0, or -1.
 */
static inline int steps_wait(struct knob *k, const char *us)
{
	return knob_set(k, STEP_KNOB, us) &&
	       errno != ENOENT ? -1 : 0;
}

#endif /* _SELFTESTS_STEPS_H */
