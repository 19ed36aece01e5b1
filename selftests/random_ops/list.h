/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lists of steps, as text.
 */
#ifndef _RANDOM_OPS_LIST_H
#define _RANDOM_OPS_LIST_H

#include "step.h"

/*
 * The steps of a file, of standard input (-), or, if there is no such file, of
 * the text itself. Steps are on lines or between semicolons; from a # on, a line
 * is a comment. NULL, with words on standard error, if there is something else.
 */
struct step *list_read(const struct operation *table, const char *source,
		       size_t *n);

#endif /* _RANDOM_OPS_LIST_H */
