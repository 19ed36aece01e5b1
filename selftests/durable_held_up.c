// SPDX-License-Identifier: GPL-2.0
/*
 * Stores that hang and users with rules hold up nobody else, and nothing from before
 * a power cut comes after it.
 */
#include "harness.h"

#include <linux/falloc.h>
#include <pthread.h>
#include <time.h>

#include "child.h"
#include "durable.h"
#include "durable_fuse.h"
#include "user.h"

/* What was synced is there after it was reclaimed, and after a cut. */
TEST_F(fuse, store_is_read_as_it_was_written)
{
	ASSERT_EQ(0, durable_fill(&self->d, PAGES));
	ASSERT_EQ(0, posix_fadvise(self->d.fd, 0, 0, POSIX_FADV_DONTNEED));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, page_write(self->d.fd, 2, 'x'));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ('x', self->server.state->bytes[2 * self->page]);
	ASSERT_EQ(0, posix_fadvise(self->d.fd, 0, 0, POSIX_FADV_DONTNEED));
	EXPECT_STREQ("abxdefgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abxdefgh", file_bytes(self->d.fd));
}

static int hold_until_killed(void *arg, struct turn *t)
{
	struct durable *d = arg;

	if (page_write(d->fd, 2, 'x') || turn_done(t))
		return 1;
	pause();
	return 0;
}

/* Killed, the last user of an object ends though the store does not answer. */
TEST_F(fuse, killed_last_user_does_not_wait_for_the_store)
{
	struct child c = child_start(hold_until_killed, &self->d);

	ASSERT_EQ(0, child_done(&c));
	ASSERT_EQ(0, close(self->d.fd));
	self->d.fd = -1;
	self->server.state->hold = FUSE_WRITE;
	ASSERT_EQ(0, kill(c.pid, SIGKILL));
	EXPECT_TRUE(dies_within(&c, 20));
	self->server.state->hold = 0;
	EXPECT_EQ(128 + SIGKILL, child_end(&c));
}

struct direct_task {
	int from;
	unsigned char *to;
	size_t n;
};

static int read_direct(void *arg, struct turn *t)
{
	struct direct_task *s = arg;
	ssize_t n;

	if (turn_wait(t))
		return 1;
	n = pread(s->from, s->to, s->n, 0);
	return n == (ssize_t)s->n ? 0 : 2;
}

/* Direct I/O into a mapping that ends after the cut. */
TEST_F(fuse, direct_read_that_a_cut_overtakes_does_not_reach_the_object)
{
	struct durable d = durable_new(MEMORY, PAGES * self->page, 0);
	struct direct_task s = { .n = self->page };
	struct child c;

	ASSERT_EQ(0, durable_fill(&d, PAGES));
	memset(self->server.state->bytes, 'Z', self->page);
	s.from = openat(self->server.root, "f", O_RDWR | O_DIRECT);
	ASSERT_GE(s.from, 0);
	s.to = mmap(NULL, PAGES * self->page, RW, MAP_SHARED, d.fd, 0);
	ASSERT_NE(MAP_FAILED, s.to);
	self->server.state->hold = FUSE_READ;
	c = child_start(read_direct, &s);
	ASSERT_EQ(0, child_go(&c));
	for (int ms = 0; !self->server.state->held && ms < 20000; ms++)
		usleep(1000);
	ASSERT_EQ(1, self->server.state->held);
	ASSERT_EQ(0, fsync(d.fd));
	ASSERT_EQ(0, durable_cut(&d));
	EXPECT_STREQ("abcdefgh", file_bytes(d.fd));
	self->server.state->hold = 0;
	child_end(&c);
	EXPECT_STREQ("abcdefgh", file_bytes(d.fd));
	EXPECT_STREQ("cccccccc", durable_states(&d, PAGES));
	durable_close(&d);
}

/* What tasks do to an object whose image does not answer. */
struct waiter {
	int fd;
	unsigned char *p;
	void (*run)(struct waiter *w);
};

static void load_page(struct waiter *w)
{
	*(volatile unsigned char *)(w->p + 3 * getpagesize());
}

static void load_another(struct waiter *w)
{
	*(volatile unsigned char *)(w->p + 5 * getpagesize());
}

static void copy_page(struct waiter *w)
{
	char *p = mmap(NULL, PAGES * getpagesize(), RW, MAP_PRIVATE, w->fd, 0);

	*(volatile char *)(p + 3 * getpagesize()) = 'x';
}

static void read_page(struct waiter *w)
{
	char byte;

	if (pread(w->fd, &byte, 1, 3 * getpagesize()) < 0)
		return;
}

static void write_page(struct waiter *w)
{
	if (pwrite(w->fd, "x", 1, 3 * getpagesize()) < 0)
		return;
}

static void truncate_it(struct waiter *w)
{
	if (ftruncate(w->fd, 1))
		return;
}

static void punch_it(struct waiter *w)
{
	fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		  PAGES * getpagesize());
}

static void cut_it(struct waiter *w)
{
	crash_call(w->fd, MMAPDEV_CRASH_REVERT);
}

static int wait_for_it(void *arg, struct turn *t)
{
	struct waiter *w = arg;

	if (turn_done(t))
		return 1;
	w->run(w);
	turn_done(t);
	return 0;
}

/*
 * The second and third wait for the first's page; what changes the object waits for all
 * who use its pages, and who comes after that for it.
 */
TEST_F(fuse, tasks_that_wait_for_the_store_can_be_killed)
{
	void (*const runs[])(struct waiter *w) = {
		load_page, load_page, copy_page, read_page, truncate_it, punch_it,
		cut_it, write_page, load_another,
	};
	enum { N = sizeof(runs) / sizeof(runs[0]) };
	struct child c[N];
	unsigned char *p;

	ASSERT_EQ(0, durable_fill(&self->d, PAGES));
	p = mmap(NULL, PAGES * self->page, RW, MAP_SHARED, self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, madvise(p, PAGES * self->page, MADV_RANDOM));
	ASSERT_EQ(0, posix_fadvise(self->d.fd, 0, 0, POSIX_FADV_DONTNEED));
	ASSERT_EQ(0, posix_fadvise(self->file, 0, 0, POSIX_FADV_DONTNEED));
	self->server.state->hold = FUSE_READ;
	for (int i = 0; i < N; i++) {
		struct waiter w = { self->d.fd, p, runs[i] };

		c[i] = child_start(wait_for_it, &w);
		ASSERT_EQ(0, child_done(&c[i]));
		if (!i)
			WAIT_UNTIL(self->server.state->held);
		EXPECT_FALSE(ends_within(&c[i], 1)) TH_LOG("task %d", i);
	}
	for (int i = N - 1; i >= 0; i--) {
		kill(c[i].pid, SIGKILL);
		if (!i)	/* waits in FUSE itself */
			self->server.state->hold = 0;
		EXPECT_TRUE(dies_within(&c[i], 10)) TH_LOG("task %d", i);
	}
	for (int i = 0; i < N; i++)
		EXPECT_EQ(128 + SIGKILL, child_end(&c[i]));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
	munmap(p, PAGES * self->page);
}

/* Rules of somebody else's object. */
FIXTURE(others) {
	struct durable d;
	struct durable other;
	size_t page;
};

FIXTURE_SETUP(others)
{
	self->page = getpagesize();
	self->d = durable_new(MEMORY, PAGES * self->page, 0);
	self->other = durable_new(MEMORY, PAGES * self->page, 0);
	ASSERT_GE(self->d.fd, 0);
	ASSERT_GE(self->other.fd, 0);
	ASSERT_EQ(0, durable_fill(&self->d, PAGES));
}

FIXTURE_TEARDOWN(others)
{
	durable_close(&self->d);
	durable_close(&self->other);
}

static uint64_t delay(const struct durable *d, int event)
{
	struct mmapdev_rule rule = {
		.event = event,
		.action = MMAPDEV_ACTION_DELAY,
		.delay_us = MMAPDEV_DELAY_MAX,
	};

	return ioctl(d->fd, MMAPDEV_IOC_ADD_RULE, &rule) ? 0 : rule.id;
}

static int rule_met(const struct durable *d, uint64_t id)
{
	struct mmapdev_rule rule = { .id = id };

	do {
		if (ioctl(d->fd, MMAPDEV_IOC_GET_RULE, &rule))
			return -1;
	} while (!rule.hits && !usleep(1000));
	return 0;
}

/* A rule that delays writeback does not keep a killed task from ending. */
TEST_F(others, killed_last_user_is_not_delayed)
{
	struct durable d = durable_new(ON_TMPFS, PAGES * self->page, 0);
	struct child c;

	ASSERT_GE(d.fd, 0);
	ASSERT_EQ(0, page_write(d.fd, 4, 'x'));
	ASSERT_EQ(0, page_write(d.fd, 5, 'x'));
	ASSERT_EQ(0, page_write(d.fd, 6, 'x'));
	ASSERT_NE(0, delay(&d, MMAPDEV_EVENT_WRITEBACK));
	c = child_start(hold_until_killed, &d);
	ASSERT_EQ(0, child_done(&c));
	durable_close(&d);
	ASSERT_EQ(0, kill(c.pid, SIGKILL));
	EXPECT_TRUE(dies_within(&c, 8));
	child_end(&c);
}

struct task {
	struct durable *d;
	int (*call)(struct durable *d);
};

static int do_call(void *arg, struct turn *t)
{
	struct task *s = arg;

	if (turn_wait(t) || s->call(s->d))
		return 1;
	return turn_done(t) ? 3 : 0;
}

static int by_allocate(struct durable *d)
{
	return fallocate(d->fd, 0, 0, 64 * getpagesize());
}

static int by_fsync(struct durable *d)
{
	return fsync(d->fd);
}

static int by_sync(struct durable *d)
{
	sync();
	return 0;
}

static int by_syncfs(struct durable *d)
{
	return syncfs(d->fd);
}

#define TAKES(c, seconds) do {						\
	EXPECT_TRUE(ends_within(&(c), seconds));			\
	kill((c).pid, SIGKILL);						\
	child_end(&(c));						\
} while (0)

TEST_F(others, delayed_allocation_does_not_hold_up_sync)
{
	uint64_t id = delay(&self->d, MMAPDEV_EVENT_ALLOCATE);
	struct task a = { &self->d, by_allocate };
	struct task b = { &self->other, by_sync };
	struct child x, y;

	ASSERT_NE(0, id);
	x = child_start(do_call, &a);
	y = child_start(do_call, &b);
	ASSERT_EQ(0, child_go(&x));
	ASSERT_EQ(0, rule_met(&self->d, id));
	ASSERT_EQ(0, child_go(&y));
	EXPECT_TRUE(ends_within(&y, 30));
	kill(x.pid, SIGKILL);
	child_end(&x);
	kill(y.pid, SIGKILL);
	child_end(&y);
}

TEST_F(others, delayed_writeback_does_not_hold_up_syncfs)
{
	struct task b = { &self->other, by_syncfs };
	struct child y = child_start(do_call, &b);

	for (int i = 0; i < PAGES; i++)
		ASSERT_EQ(0, page_write(self->d.fd, i, 'x'));
	ASSERT_NE(0, delay(&self->d, MMAPDEV_EVENT_WRITEBACK));
	ASSERT_EQ(0, child_go(&y));
	TAKES(y, 4);	/* less than until the flusher comes, which ends delays */
}

TEST_F(others, delayed_writeback_of_an_fsync_does_not_hold_up_sync)
{
	struct task a = { &self->d, by_fsync };
	struct task b = { &self->other, by_sync };
	struct child x = child_start(do_call, &a);
	struct child y = child_start(do_call, &b);
	uint64_t id;

	for (int i = 0; i < PAGES; i++)
		ASSERT_EQ(0, page_write(self->d.fd, i, 'x'));
	id = delay(&self->d, MMAPDEV_EVENT_WRITEBACK);
	ASSERT_EQ(0, child_go(&x));
	ASSERT_EQ(0, rule_met(&self->d, id));
	ASSERT_EQ(0, child_go(&y));
	TAKES(y, 6);
	kill(x.pid, SIGKILL);
	child_end(&x);
}

static int by_fsync_for_ever(struct durable *d)
{
	for (int i = getpid() % PAGES; ; i = (i + 1) % PAGES)
		if (page_write(d->fd, i, 'y') || fsync(d->fd))
			return 1;
}

/* Each delay that a sync ends is followed by another one, while it still waits. */
TEST_F(others, writebacks_delayed_again_and_again_do_not_hold_up_sync)
{
	struct task a = { &self->d, by_fsync_for_ever };
	struct task b = { &self->other, by_sync };
	struct child y = child_start(do_call, &b);
	struct child x[PAGES];
	uint64_t id;

	for (int i = 0; i < PAGES; i++)
		x[i] = child_start(do_call, &a);
	id = delay(&self->d, MMAPDEV_EVENT_WRITEBACK);
	for (int i = 0; i < PAGES; i++)
		ASSERT_EQ(0, child_go(&x[i]));
	ASSERT_EQ(0, rule_met(&self->d, id));
	ASSERT_EQ(0, child_go(&y));
	TAKES(y, 6);
	for (int i = 0; i < PAGES; i++) {
		kill(x[i].pid, SIGKILL);
		child_end(&x[i]);
	}
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
