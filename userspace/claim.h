/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A claim: a numbered sentence, lines that show it, and "ok" if it holds.
 */
#ifndef _CLAIM_H
#define _CLAIM_H

#include <stdbool.h>

/* Begin the next claim. */
void claim(const char *sentence);

/* Show a line, of at most 76 characters. */
__attribute__((format(printf, 1, 2)))
void show(const char *format, ...);

/* A part of the claim: if it does not hold, say so and exit with status 1. */
void must(bool holds, const char *what);

/* The whole claim holds. */
void ok(void);

#endif /* _CLAIM_H */
