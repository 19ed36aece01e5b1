/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Races: processes that work on one object at once, in step with the test.
 */
#ifndef _SELFTESTS_RACE_H
#define _SELFTESTS_RACE_H

#include "backend.h"
#include "barrier.h"
#include "child.h"

#define WORKERS	4	/* processes, beside the test's */

/* What all processes of a test share, apart from the object. */
struct race {
	struct object o;
	pthread_barrier_t barrier;
	unsigned char *p;	/* a mapping to inherit, if any */
	int progress;		/* pages worked on in this round, by all */
	bool done;
};

/* For a number of threads, of all processes together; NULL if there is no memory. */
static inline struct race *race_new(const struct object *o, int parties)
{
	struct race *r = mmap(NULL, sizeof(*r), RW, MAP_SHARED | MAP_ANONYMOUS,
			      -1, 0);

	if (r == MAP_FAILED)
		return NULL;
	r->o = *o;
	return barrier_init(&r->barrier, parties) ? NULL : r;
}

/* What each process knows, and its mapping if it makes one. */
struct worker {
	struct race *race;
	int number;
	unsigned char *p;
};

/* Start WORKERS processes; each runs body with a struct worker of its own. */
static inline void workers_start(struct race *race, struct child *c,
				 int (*body)(void *arg, struct turn *t))
{
	for (int i = 0; i < WORKERS; i++) {
		struct worker w = { .race = race, .number = i };

		c[i] = child_start(body, &w);
	}
}

#endif /* _SELFTESTS_RACE_H */
