// SPDX-License-Identifier: GPL-2.0
/*
 * What must not be told to be durable: what a store refused or has not answered for,
 * and what a power cut took before its sync.
 */
#include "harness.h"

#include <pthread.h>
#include <time.h>

#include "child.h"
#include "durable.h"
#include "durable_fuse.h"
#include "slow.h"
#include "steps.h"
#include "user.h"

TEST_F(fuse, store_that_fails_a_write_is_told)
{
	ASSERT_EQ(0, page_write(self->d.fd, 2, 'x'));
	self->server.state->write_error = EIO;
	errno = 0;
	EXPECT_EQ(-1, fsync(self->d.fd));
	EXPECT_EQ(EIO, errno);
	EXPECT_GE(self->server.state->writes, 1);
	EXPECT_EQ(0, self->server.state->bytes[2 * self->page]);
}

static int fsync_once(void *arg, struct turn *t)
{
	struct durable *d = arg;

	if (turn_wait(t))
		return 1;
	if (fsync(d->fd))
		return 2;
	return turn_done(t) ? 3 : 0;
}

/* Two syncs of one event: neither says that it is durable before it is. */
TEST_F(fuse, sync_beside_another_waits_for_the_store)
{
	struct child first = child_start(fsync_once, &self->d);
	struct child second = child_start(fsync_once, &self->d);

	ASSERT_EQ(0, durable_fill(&self->d, PAGES));
	ASSERT_EQ(0, ftruncate(self->d.fd, 4 * self->page));
	self->server.state->hold = FUSE_FSYNC;
	ASSERT_EQ(0, child_go(&first));
	for (int ms = 0; !self->server.state->held && ms < 20000; ms++)
		usleep(1000);
	ASSERT_EQ(1, self->server.state->held);
	ASSERT_EQ(0, child_go(&second));
	EXPECT_FALSE(ends_within(&second, 2));
	self->server.state->fsync_error = EIO;
	self->server.state->hold = 0;
	EXPECT_EQ(2, child_end(&first));
	EXPECT_EQ(2, child_end(&second));
}

/* A write with O_SYNC that has been told of is there, whatever cuts come. */
static volatile int stop;

static void *cutter(void *arg)
{
	int fd = *(int *)arg;

	while (!stop)
		crash_call(fd, MMAPDEV_CRASH_REVERT);
	return NULL;
}

TEST(synced_write_survives_cuts_that_come_meanwhile)
{
	struct durable d = durable_new(MEMORY, getpagesize(), 0);
	int fd = durable_open(&d, O_RDWR | O_SYNC);
	int rounds = slow_kernel() ? 500 : 8000;
	struct knob step = {};
	pthread_t t;
	int lost = 0;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, steps_wait(&step, "200"));
	ASSERT_EQ(0, pthread_create(&t, NULL, cutter, &d.fd));
	for (int i = 0; i < rounds; i++) {
		int got = 0;

		if (pwrite(fd, &i, sizeof(i), 0) != sizeof(i))
			continue;
		ASSERT_EQ(sizeof(got), pread(fd, &got, sizeof(got), 0));
		if (got == i)
			continue;
		/* For good: it is no load that was slow. */
		ASSERT_EQ(sizeof(got), pread(fd, &got, sizeof(got), 0));
		lost += got != i;
	}
	stop = 1;
	pthread_join(t, NULL);
	EXPECT_EQ(0, knob_restore(&step));
	EXPECT_EQ(0, lost);
	close(fd);
	durable_close(&d);
}

#define TOGGLES	200

/* Interrupts by which processors ask each other for something, so far; -1 if unknown. */
static long long calls(void)
{
	FILE *file = fopen("/proc/interrupts", "r");
	long long n = -1;
	char line[512];

	while (file && n < 0 && fgets(line, sizeof(line), file)) {
		char *at = strstr(line, "CAL:");

		for (n = at ? 0 : -1, at += 4; n >= 0 && *at; ) {
			char *end;
			long long more = strtoll(at, &end, 10);

			if (end == at)
				break;
			n += more;
			at = end;
		}
	}
	if (file)
		fclose(file);
	return n;
}

/* The kernel's code is patched for the first of them only. */
TEST(rules_that_come_and_go_interrupt_no_other_processor)
{
	struct durable d = durable_new(MEMORY, getpagesize(), 0);
	long long before = calls();

	if (before < 0)
		SKIP(return, "no count of calls between processors");
	ASSERT_GE(d.fd, 0);
	for (int i = 0; i < TOGGLES; i++) {
		uint64_t rule = durable_rule(&d, MMAPDEV_EVENT_FLUSH,
					     MMAPDEV_ACTION_EIO, 0, 0);

		ASSERT_NE(0, rule);
		ASSERT_EQ(0, durable_unrule(&d, rule));
	}
	EXPECT_GE(before + TOGGLES, calls());
	durable_close(&d);
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
