// SPDX-License-Identifier: GPL-2.0
/*
 * Waits between the steps of a store, flush or load; see steps.h.
 */

#include "steps.h"

#include <linux/delay.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include <linux/random.h>

#define LONGEST		100000U	/* microseconds */

static unsigned int step_us;
module_param(step_us, uint, 0644);
MODULE_PARM_DESC(step_us, "In debugging kernels: longest random wait, in microseconds, between two steps of the driver (default 0)");

/**
 * mmapdev_step - here others may come
 *
 * At half of the steps nobody waits, so that each can be the only slow one.
 *
 * Context: May sleep.
 */
void mmapdev_step(void)
{
	unsigned int longest = min(READ_ONCE(step_us), LONGEST);
	u32 random;

	might_sleep();
	if (!longest)
		return;
	random = get_random_u32();
	if (random & 1)
		fsleep((random >> 1) % longest);
}
