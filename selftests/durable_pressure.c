// SPDX-License-Identifier: GPL-2.0
/*
 * Durable objects in a memory that is smaller than they are: dirty pages are
 * written back unasked, and come back from the store with every byte.
 *
 * A child in a control group works on an object that is larger than the group's
 * limit. What the object's pages hold is a function of their number and of a
 * round, so that what is old, torn or another page's is seen.
 */
#include "harness.h"

/* Room for two files, and for the journal. */
#define EXT4_BYTES	(80 << 20)

#include <linux/falloc.h>

#include "child.h"
#include "durable.h"
#include "group.h"
#include "slow.h"

#define WORKERS	4

static long group_bytes = 16 << 20;	/* ext4 is killed in much less, at times */
static long pages;	/* of an object: half as many again as fit */

/* An object, or a file of ext4, with a group for those who use it. */
#define PRESSURE_FIXTURE(name)						\
	FIXTURE(name) {							\
		struct durable d;					\
		bool grouped;						\
	};								\
	FIXTURE_VARIANT(name) {						\
		enum durable_kind kind;					\
	};								\
	FIXTURE_SETUP(name) {						\
		if (!durable_possible(variant->kind)) {			\
			SKIP(, "no ext4 on a loop device");		\
		} else if (!group_possible()) {				\
			SKIP(, "no memory controller");			\
		} else {						\
			self->d = big_new(variant->kind);		\
			ASSERT_GE(self->d.fd, 0);			\
			ASSERT_EQ(0, group_make());			\
			self->grouped = true;				\
			ASSERT_EQ(0, group_limit(group_bytes));		\
		}							\
	}								\
	FIXTURE_TEARDOWN_PARENT(name) {					\
		if (self->grouped)					\
			EXPECT_EQ(0, rmdir(GROUP));			\
	}

static struct durable big_new(enum durable_kind kind)
{
	off_t length = pages * getpagesize();
	struct durable d = durable_new(kind, length, 0);

	/* Pages of tmpfs count against the group that makes them: not ours. */
	if (kind == ON_TMPFS && fallocate(d.backing, 0, 0, length))
		durable_close(&d);
	return d;
}

PRESSURE_FIXTURE(pressure);
ALL_KINDS(pressure);

/* Words of a page. */
static uint64_t word(long index, int round)
{
	return (index + 1) * 0x9e3779b97f4a7c15ULL + round;
}

static void page_stamp(void *p, long index, int round)
{
	uint64_t *words = p;

	for (size_t i = 0; i < getpagesize() / sizeof(*words); i++)
		words[i] = word(index, round);
}

static bool page_has(const void *p, long index, int round)
{
	const uint64_t *words = p;

	for (size_t i = 0; i < getpagesize() / sizeof(*words); i++)
		if (words[i] != word(index, round))
			return false;
	return true;
}

/* All pages are stored to in round 1, some again in round 2. */
static bool is_in_round(long index, int round)
{
	return round == 1 || index % 4 == 0;
}

static int last_round(long index)
{
	return is_in_round(index, 2) ? 2 : 1;
}

/* How many pages of a file, from one on, are as the last round left them. */
static long pages_done(int fd, long first, long end)
{
	char bytes[getpagesize()];
	long n = 0;

	for (long i = first; i < end; i++)
		n += pread(fd, bytes, sizeof(bytes), i * sizeof(bytes)) ==
			(ssize_t)sizeof(bytes) &&
		     page_has(bytes, i, last_round(i));
	return n;
}

static long pages_of_zeros(int fd)
{
	char bytes[getpagesize()];
	long n = 0;

	for (long i = 0; i < pages; i++)
		n += pread(fd, bytes, sizeof(bytes), i * sizeof(bytes)) ==
			(ssize_t)sizeof(bytes) && page_is(bytes, 0);
	return n;
}

static void *map_all(const struct durable *d)
{
	return mmap(NULL, pages * getpagesize(), RW, MAP_SHARED, d->fd, 0);
}

/* Nobody was killed, and what is in the page cache fits. */
#define EXPECT_NO_KILL() do {						\
	EXPECT_EQ(0, group_value("memory.events", "oom_kill"));		\
	EXPECT_GE(group_bytes, group_value("memory.stat", "file"));	\
} while (0)

/*
 * All that cannot be in memory was written back; with no sync call, nothing of
 * it was flushed. ext4 does not tell.
 */
#define EXPECT_WRITTEN_UNASKED() do {					\
	if (self->d.kind != EXT4) {					\
		struct mmapdev_stats s_ = durable_stats(&self->d);	\
									\
		EXPECT_LE(pages - group_bytes / getpagesize(),		\
			  s_.writebacks);				\
		EXPECT_EQ(0, s_.flushes);				\
	}								\
} while (0)

/* After a sync and a power cut, all pages are as the last round left them. */
#define EXPECT_DURABLE() do {						\
	ASSERT_EQ(0, fsync(self->d.fd));				\
	ASSERT_EQ(0, durable_cut(&self->d));				\
	EXPECT_EQ(pages, pages_done(self->d.fd, 0, pages));		\
} while (0)

/* In the group: store to pages; all are as stored. */
static int store_all(void *arg, struct turn *t)
{
	const struct durable *d = arg;
	size_t page = getpagesize();
	char *p = map_all(d);

	if (p == MAP_FAILED || group_join())
		return 1;
	for (int round = 1; round <= 2; round++)
		for (long i = 0; i < pages; i++)
			if (is_in_round(i, round))
				page_stamp(p + i * page, i, round);
	for (long i = 0; i < pages; i++)
		if (!page_has(p + i * page, i, last_round(i)))
			return 2;
	return 0;
}

TEST_F(pressure, stores_are_written_back_unasked_and_come_back)
{
	ASSERT_EQ(0, child_run(store_all, &self->d));
	EXPECT_NO_KILL();
	EXPECT_WRITTEN_UNASKED();
	EXPECT_DURABLE();
}

/* The same with write(2) and read(2). */
static int write_all(void *arg, struct turn *t)
{
	const struct durable *d = arg;
	char bytes[getpagesize()];

	if (group_join())
		return 1;
	for (int round = 1; round <= 2; round++)
		for (long i = 0; i < pages; i++) {
			if (!is_in_round(i, round))
				continue;
			page_stamp(bytes, i, round);
			if (pwrite(d->fd, bytes, sizeof(bytes),
				   i * sizeof(bytes)) !=
			    (ssize_t)sizeof(bytes))
				return 2;
		}
	return pages_done(d->fd, 0, pages) == pages ? 0 : 3;
}

TEST_F(pressure, writes_are_written_back_unasked_and_come_back)
{
	ASSERT_EQ(0, child_run(write_all, &self->d));
	EXPECT_NO_KILL();
	EXPECT_WRITTEN_UNASKED();
	EXPECT_DURABLE();
}

/* One of several on one object, each with a range of its own. */
struct worker {
	struct durable d;
	int number;
	bool writes;	/* by write(2) */
};

static int work(void *arg, struct turn *t)
{
	const struct worker *w = arg;
	long first = pages / WORKERS * w->number;
	long end = first + pages / WORKERS;
	size_t page = getpagesize();
	char bytes[page], *p = map_all(&w->d);

	if (p == MAP_FAILED || group_join())
		return 1;
	for (int round = 1; round <= 2; round++)
		for (long i = first; i < end; i++) {
			if (!is_in_round(i, round))
				continue;
			if (!w->writes) {
				page_stamp(p + i * page, i, round);
				continue;
			}
			page_stamp(bytes, i, round);
			if (pwrite(w->d.fd, bytes, page, i * page) !=
			    (ssize_t)page)
				return 2;
		}
	/* By the other way than they came. */
	if (!w->writes)
		return pages_done(w->d.fd, first, end) == end - first ? 0 : 3;
	for (long i = first; i < end; i++)
		if (!page_has(p + i * page, i, last_round(i)))
			return 4;
	return 0;
}

/* In the group, until told to stop: sync all, or a part. */
static int sync_on(void *arg, struct turn *t)
{
	const struct worker *w = arg;
	struct pollfd stop = { .fd = t->wait, .events = POLLIN };
	size_t part = pages / WORKERS * getpagesize();
	char *p = map_all(&w->d);

	if (p == MAP_FAILED || group_join() || turn_done(t))
		return 1;
	for (int i = 0; !poll(&stop, 1, 1); i++) {
		char *at = p + i % WORKERS * part;

		if (i % 8 == 7 ? fsync(w->d.fd) : msync(at, part, MS_SYNC))
			return 2;
	}
	return 0;
}

TEST_F(pressure, processes_and_syncs_beside_lose_no_byte)
{
	struct worker w[WORKERS + 1];
	struct child c[WORKERS], syncer;

	for (int i = 0; i <= WORKERS; i++)
		w[i] = (struct worker) {
			.d = self->d,
			.number = i,
			.writes = i % 2,
		};
	syncer = child_start(sync_on, &w[WORKERS]);
	ASSERT_EQ(0, child_done(&syncer));
	for (int i = 0; i < WORKERS; i++)
		c[i] = child_start(work, &w[i]);
	for (int i = 0; i < WORKERS; i++) {
		EXPECT_EQ(0, child_end(&c[i]));
	}
	EXPECT_EQ(0, child_go(&syncer));
	EXPECT_EQ(0, child_end(&syncer));
	EXPECT_NO_KILL();
	EXPECT_DURABLE();
}

/* Power cuts: ext4's power is not cut under its users. */
static int zero_all(void *arg, struct turn *t)
{
	const struct durable *d = arg;
	size_t page = getpagesize();
	char *p = map_all(d);

	if (p == MAP_FAILED || group_join())
		return 1;
	for (long i = 0; i < pages; i++)
		p[i * page] = 'x';
	return fallocate(d->fd, FALLOC_FL_ZERO_RANGE, 0, pages * page) ? 2 : 0;
}

/* How many pages of a file begin with a zero. */
static long pages_zeroed(int fd)
{
	long n = 0;
	char byte;

	for (long i = 0; i < pages; i++)
		n += pread(fd, &byte, 1, i * getpagesize()) == 1 && !byte;
	return n;
}

/* Pages that a zeroing has prepared are reclaimed before it comes to the last. */
TEST_F(pressure, zeroed_range_is_all_zeros)
{
	ASSERT_EQ(0, child_run(zero_all, &self->d));
	EXPECT_EQ(pages, pages_zeroed(self->d.fd));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_NO_KILL();
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_EQ(pages, pages_zeroed(self->d.fd));
}

PRESSURE_FIXTURE(cut);
OBJECT_KINDS(cut);

TEST_F(cut, what_was_written_back_unasked_is_lost)
{
	ASSERT_EQ(0, child_run(store_all, &self->d));
	EXPECT_NO_KILL();
	EXPECT_EQ(pages, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_EQ(pages, pages_of_zeros(self->d.fd));
}

/*
 * One stores to some pages at a time and syncs them, the other cuts the power:
 * what was synced between two cuts must be there ever after.
 */
#define CHUNK	64	/* pages */

struct duel {
	struct durable d;
	volatile unsigned long *cuts;	/* begun and ended; odd: in one */
};

static int store_and_sync(void *arg, struct turn *t)
{
	const struct duel *duel = arg;
	long chunk = 0, chunks = pages / CHUNK;
	size_t page = getpagesize();
	char *p = map_all(&duel->d);

	if (p == MAP_FAILED || group_join())
		return 1;
	while (chunk < 2 * chunks) {
		unsigned long cuts = *duel->cuts;
		long first = chunk % chunks * CHUNK;
		int round = 1 + chunk / chunks;
		int ret;

		for (long i = first; i < first + CHUNK; i++)
			if (is_in_round(i, round))
				page_stamp(p + i * page, i, round);
		ret = msync(p + first * page, CHUNK * page, MS_SYNC);
		if (cuts % 2 || cuts != *duel->cuts)
			continue;	/* it may be lost: again */
		if (ret)
			return 2;
		chunk++;
	}
	if (turn_done(t) || turn_wait(t))
		return 3;
	for (long i = 0; i < chunks * CHUNK; i++)
		if (!page_has(p + i * page, i, last_round(i)))
			return 4;
	return 0;
}

TEST_F(cut, what_was_synced_survives_power_cuts_beside)
{
	struct duel duel = {
		.d = self->d,
		.cuts = mmap(NULL, getpagesize(), RW,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0),
	};
	struct child c = child_start(store_and_sync, &duel);
	struct pollfd done = { .fd = c.from, .events = POLLIN };

	/* Less and less often, so that it comes to an end on any machine. */
	for (int ms = 10; ms < CHILD_DEADLINE_MS; ms += 1 + ms / 8) {
		if (poll(&done, 1, ms))
			break;
		++*duel.cuts;
		EXPECT_LE(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
		++*duel.cuts;
	}
	ASSERT_EQ(0, child_done(&c));
	EXPECT_LT(10, *duel.cuts);
	EXPECT_LE(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
	EXPECT_NO_KILL();
	EXPECT_DURABLE();
}

/* How pages are written back does not depend on where to. */
PRESSURE_FIXTURE(slow);
DURABLE_VARIANT(slow, mmapdev_memory, .kind = MEMORY);

/*
 * Who makes pages dirty faster than they can be written back waits before the
 * group is full of them, and is not killed.
 */
TEST_F(slow, writeback_slows_down_and_kills_nobody)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_WRITEBACK,
		.action = MMAPDEV_ACTION_DELAY,
		.delay_us = slow_kernel() ? 5000 : 1000,
	};
	struct pollfd over = {};
	struct child c;
	long most = 0;

	/* The kernel counts a group's dirty pages by dozens for each CPU. */
	group_bytes = slow_kernel() ? 4 << 20 : 16 << 20;
	ASSERT_EQ(0, group_limit(group_bytes));
	pages = group_bytes / getpagesize() * 3 / 2;
	ASSERT_EQ(0, ioctl(self->d.fd, MMAPDEV_IOC_ADD_RULE, &rule));
	c = child_start(store_all, &self->d);
	over.fd = c.from;
	while (!poll(&over, 1, 5)) {
		long dirty = group_value("memory.stat", "file_dirty");

		most = dirty > most ? dirty : most;
	}
	EXPECT_EQ(0, child_end(&c));
	EXPECT_NO_KILL();
	EXPECT_LT(0, most);
	if (group_throttles()) {
		EXPECT_GT(group_bytes / 2, most);
	}
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	EXPECT_DURABLE();
}

int main(int argc, char **argv)
{
	if (slow_kernel())
		group_bytes = 4 << 20;
	pages = group_bytes / getpagesize() * 3 / 2;
	ext4_prepare();
	return test_harness_run(argc, argv);
}
