// SPDX-License-Identifier: GPL-2.0
/*
 * The task that runs a sync decides nothing but how long it waits: its death, its
 * limits and its credentials take no byte from anybody. The store's file is
 * written with the rights of the task that made the object.
 */
#include "harness.h"

#include <sys/time.h>
#include <time.h>

#include "child.h"
#include "durable.h"
#include "slow.h"

#define PAGES	72	/* more than a flush moves at a time */

/* PAGES pages of zeros, durable, and a shared mapping of them. */
#define CALLERS_FIXTURE(name)						\
	FIXTURE(name) {							\
		struct durable d;					\
		size_t page;						\
		size_t length;						\
		unsigned char *p;					\
	};								\
	FIXTURE_VARIANT(name) {						\
		enum durable_kind kind;					\
	};								\
	FIXTURE_SETUP(name) {						\
		self->page = getpagesize();				\
		self->length = PAGES * self->page;			\
		if (!durable_possible(variant->kind)) {			\
			SKIP(, "no ext4 on a loop device");		\
		} else {						\
			self->d = durable_new(variant->kind,		\
					      self->length, 0);		\
			ASSERT_GE(self->d.fd, 0);			\
			self->p = mmap(NULL, self->length, RW,		\
				       MAP_SHARED, self->d.fd, 0);	\
			ASSERT_NE(MAP_FAILED, self->p);			\
		}							\
	}								\
	FIXTURE_TEARDOWN(name) {					\
		durable_close(&self->d);				\
	}

CALLERS_FIXTURE(callers);
ALL_KINDS(callers);

/* A number at both ends of each page. */
static void stamp_all(unsigned char *p, uint64_t number)
{
	size_t words = getpagesize() / sizeof(number);

	for (size_t i = 0; i < PAGES; i++) {
		uint64_t *at = (uint64_t *)p + i * words;

		at[0] = number;
		at[words - 1] = number;
	}
}

/* How many pages of a file have it. */
static int stamped(int fd, uint64_t number)
{
	size_t words = getpagesize() / sizeof(number);
	uint64_t bytes[words];
	int n = 0;

	for (size_t i = 0; i < PAGES; i++)
		n += pread(fd, bytes, sizeof(bytes), i * sizeof(bytes)) ==
			(ssize_t)sizeof(bytes) &&
		     bytes[0] == number && bytes[words - 1] == number;
	return n;
}

/* Cut the power; mappings of an object live on. 0, or -1. */
static int cut(struct durable *d)
{
	if (d->kind == EXT4)
		return durable_cut(d);
	return crash_call(d->fd, MMAPDEV_CRASH_REVERT) < 0 ? -1 : 0;
}

struct sync_task {
	unsigned char *p;
	size_t length;
	long us;		/* of life, or 0 */
};

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

/* Die after a while; SIGALRM kills a process that does not expect it. */
static int msync_and_die(void *arg, struct turn *t)
{
	struct sync_task *s = arg;
	struct itimerval when = {
		.it_value = { s->us / 1000000, s->us % 1000000 },
	};

	signal(SIGALRM, SIG_DFL);
	setitimer(ITIMER_REAL, &when, NULL);
	return msync(s->p, s->length, MS_SYNC) ? 1 : 0;
}

/* How long an msync of all pages takes, or -1. */
static long msync_us(unsigned char *p, size_t length)
{
	long start;

	stamp_all(p, 0);
	start = now_us();
	return msync(p, length, MS_SYNC) ? -1 : now_us() - start;
}

/*
 * From before the msync to after it. What it has written or not, the next fsync
 * that returns 0 has made everything durable.
 */
TEST_F(callers, msync_killed_at_any_moment_loses_nothing)
{
	struct sync_task s = { .p = self->p, .length = self->length };
	long most = msync_us(self->p, self->length);
	int moments = variant->kind == EXT4 || slow_kernel() ? 40 : 200;
	int killed = 0;

	ASSERT_LE(0, most);
	for (int i = 0; i < moments; i++) {
		int status;

		s.us = 1 + most * i * 3 / 2 / moments;
		stamp_all(self->p, i + 1);
		status = child_run(msync_and_die, &s);
		ASSERT_TRUE(status == 0 || status == 128 + SIGALRM);
		killed += status != 0;
		ASSERT_EQ(0, fsync(self->d.fd));
		if (variant->kind == EXT4 && i < moments - 1)
			continue;	/* a cut costs a mount */
		ASSERT_EQ(0, cut(&self->d));
		ASSERT_EQ(PAGES, stamped(self->d.fd, i + 1));
	}
	EXPECT_LT(0, killed);
}

/* Add a rule that delays the next flush: its id, or 0. */
static uint64_t delay_flush(const struct durable *d, unsigned int us)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_FLUSH,
		.action = MMAPDEV_ACTION_DELAY,
		.delay_us = us,
		.count = 1,
	};

	return ioctl(d->fd, MMAPDEV_IOC_ADD_RULE, &rule) ? 0 : rule.id;
}

/* Wait until it has acted: 0, or -1 if it does not. */
static int rule_met(const struct durable *d, uint64_t id)
{
	struct mmapdev_rule rule = { .id = id };

	for (int ms = 0; ms < CHILD_DEADLINE_MS; ms++) {
		if (ioctl(d->fd, MMAPDEV_IOC_GET_RULE, &rule))
			return -1;
		if (rule.hits)
			return 0;
		usleep(1000);
	}
	return -1;
}

static int msync_all(void *arg, struct turn *t)
{
	struct sync_task *s = arg;

	return msync(s->p, s->length, MS_SYNC) ? 1 : 0;
}

CALLERS_FIXTURE(killed);
OBJECT_KINDS(killed);

/* The same moment every time: the flush is about to begin. */
TEST_F(killed, caller_before_its_flush_loses_nothing)
{
	struct sync_task s = { .p = self->p, .length = self->length };
	uint64_t id = delay_flush(&self->d, 500000);
	struct child c;

	ASSERT_NE(0, id);
	stamp_all(self->p, 1);
	c = child_start(msync_all, &s);
	ASSERT_EQ(0, rule_met(&self->d, id));
	ASSERT_EQ(0, kill(c.pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_end(&c));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, cut(&self->d));
	EXPECT_EQ(PAGES, stamped(self->d.fd, 1));
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
