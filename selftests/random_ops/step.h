/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A step: one operation and the numbers that it takes; and as a line of text,
 *
 *   copy at=0x1ffe length=0x2004 to=0x8000
 *
 * Numbers are in bytes, from the start of the range that a process works on.
 */
#ifndef _RANDOM_OPS_STEP_H
#define _RANDOM_OPS_STEP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct run;
struct step;

/* Which numbers an operation takes. */
#define TAKES_AT	0x1
#define TAKES_LENGTH	0x2
#define TAKES_TO	0x4
#define TAKES_VALUE	0x8

/*
 * A row of a table of operations; a row without a name ends it. An operation
 * changes the object and the model alike, and compares what the object answers.
 * It must do something defined with any numbers, since steps before it may have
 * been dropped: what it cannot do it does in part, or not at all.
 */
struct operation {
	const char *name;
	unsigned int weight;	/* how often, relative to the others */
	unsigned int takes;	/* TAKES_* */
	unsigned int needs;	/* CAN_*, see target.h */
	void (*run)(struct run *r, const struct step *s);
};

struct step {
	const struct operation *op;
	uint64_t at;
	uint64_t length;
	uint64_t to;
	uint64_t value;
};

/* The operation of that name (its first n characters are the name), or NULL. */
const struct operation *operation_find(const struct operation *table,
				       const char *name, size_t n);

/* Write the step as a line, without its end, to at most size bytes. */
void step_print(const struct step *s, char *line, size_t size);

/* Read a line; false if it is none, or names an operation that is not there. */
bool step_parse(const struct operation *table, const char *line,
		struct step *s);

#endif /* _RANDOM_OPS_STEP_H */
