/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shrinking a list of steps that fails to a short one that fails too, in which
 * no single step can be left out (delta debugging).
 */
#ifndef _RANDOM_OPS_SHRINK_H
#define _RANDOM_OPS_SHRINK_H

#include "step.h"

/* Does this list fail, on a fresh object? */
typedef bool (*shrink_fails)(void *arg, const struct step *steps, size_t n);

/* Shrink the list in its place: how many steps are left. */
size_t shrink(struct step *steps, size_t n, shrink_fails fails, void *arg);

#endif /* _RANDOM_OPS_SHRINK_H */
