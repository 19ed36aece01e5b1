/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Moments between the steps of a store, flush or load at which others may come.
 *
 * In a kernel that is built to find bugs a task may wait there, at random, so that
 * they do come. Elsewhere there is nothing.
 */
#ifndef _MMAPDEV_STEPS_H
#define _MMAPDEV_STEPS_H

#ifdef CONFIG_PROVE_LOCKING

void mmapdev_step(void);

#else

static inline void mmapdev_step(void)
{
}

#endif

#endif /* _MMAPDEV_STEPS_H */
