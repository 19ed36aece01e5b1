/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the operations' functions are made of.
 */
#ifndef _RANDOM_OPS_CALL_H
#define _RANDOM_OPS_CALL_H

#include "operation.h"
#include "run.h"

size_t least(size_t a, size_t b);
size_t page_down(const struct run *r, size_t n);
size_t page_up(const struct run *r, size_t n);

/* How many of the step's bytes are before end. */
size_t before(const struct step *s, size_t end);

/* The object's offset of an offset in the range. */
off_t in_object(const struct run *r, size_t at);

/* What the step writes: never zero, and not the same on any two pages. */
void make_bytes(struct run *r, const struct step *s, size_t n);

/* A call must have given this; false, and a difference, if it did not. */
bool gave(struct run *r, const struct step *s, ssize_t expected, ssize_t got);

/*
 * The object must have this number of pages. That can be told only by the process
 * that has all of it, and of an object that counts them.
 */
void expect_resident(struct run *r, const struct step *s, size_t least,
		     size_t most);

#endif /* _RANDOM_OPS_CALL_H */
