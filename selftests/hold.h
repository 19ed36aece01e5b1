/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Holding a process at an event, so that a test can act while it is there.
 *
 * A rule delays an event for a given time; it cannot wait for the test. On a
 * busy machine the test can act too late. So it asks whether it was in time,
 * and if it was not, it begins again with a longer hold.
 */
#ifndef _SELFTESTS_HOLD_H
#define _SELFTESTS_HOLD_H

#include <time.h>

#include "backend.h"
#include "child.h"

struct hold {
	struct child c;
	long long safe_until;	/* ms; the hold ends later */
};

/* Run a block with longer and longer holds, until it breaks out. */
#define FOR_LONGER_HOLDS(ms)						\
	for (unsigned int ms = 100; ms <= MMAPDEV_DELAY_MAX / 1000; ms *= 2)

static inline long long hold_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Has the rule acted? Wait for that: 0, or -1. */
static inline int hold_wait(int fd, uint64_t id)
{
	for (int ms = 0; ms < CHILD_DEADLINE_MS; ms++) {
		struct mmapdev_rule rule = { .id = id };

		if (ioctl(fd, MMAPDEV_IOC_GET_RULE, &rule) || rule.id != id)
			return -1;
		if (rule.hits)
			return 0;
		usleep(1000);
	}
	return -1;
}

/*
 * Start body(arg) in a child and return when it is held at an event of the
 * object: 0, or -1. The body says that it is ready by turn_done(), waits for its
 * turn, and goes on to the event.
 */
static inline int hold_start(struct hold *h, int fd, unsigned int event,
			     unsigned int ms,
			     int (*body)(void *arg, struct turn *t), void *arg)
{
	struct mmapdev_rule rule = {
		.event = event,
		.action = MMAPDEV_ACTION_DELAY,
		.delay_us = ms * 1000,
		.count = 1,
	};

	h->c = child_start(body, arg);
	rule.pid = h->c.pid;
	if (child_done(&h->c) || ioctl(fd, MMAPDEV_IOC_ADD_RULE, &rule))
		return -1;
	/* Half of it, as the kernel does not count the delay by this clock. */
	h->safe_until = hold_now_ms() + ms / 2;
	return child_go(&h->c) ? -1 : hold_wait(fd, rule.id);
}

/* Is the child still held, for certain? */
static inline bool hold_lasts(const struct hold *h)
{
	return hold_now_ms() < h->safe_until;
}

/* The child's exit status, as of child_end(). */
static inline int hold_end(struct hold *h)
{
	return child_end(&h->c);
}

#endif /* _SELFTESTS_HOLD_H */
