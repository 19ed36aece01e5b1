// SPDX-License-Identifier: GPL-2.0
/*
 * Syncs beside pages that come and go: what is stored while a flush is at work on
 * an older state of the page is not lost with that.
 */
#include "harness.h"

#include <time.h>

#include "child.h"
#include "device.h"
#include "durable.h"
#include "drop_caches.h"
#include "hold.h"
#include "slow.h"
#include "trap.h"

#define PAGES	64	/* many to be flushed at a time */

/* PAGES pages of zeros, and a shared mapping of them. */
#define SYNCS_FIXTURE(name)						\
	FIXTURE(name) {							\
		struct durable d;					\
		size_t page;						\
		unsigned char *p;					\
	};								\
	FIXTURE_VARIANT(name) {						\
		enum durable_kind kind;					\
	};								\
	FIXTURE_SETUP(name) {						\
		self->page = getpagesize();				\
		if (!durable_possible(variant->kind)) {			\
			SKIP(, "no ext4 on a loop device");		\
		} else {						\
			self->d = durable_new(variant->kind,		\
					      PAGES * self->page, 0);	\
			ASSERT_GE(self->d.fd, 0);			\
			self->p = mmap(NULL, PAGES * self->page, RW,	\
				       MAP_SHARED, self->d.fd, 0);	\
			ASSERT_NE(MAP_FAILED, self->p);			\
		}							\
	}								\
	FIXTURE_TEARDOWN(name) {					\
		durable_close(&self->d);				\
	}

SYNCS_FIXTURE(syncs);
ALL_KINDS(syncs);

/* Sync all, again and again, until told to stop. */
static int sync_on(void *arg, struct turn *t)
{
	const struct durable *d = arg;
	struct pollfd stop = { .fd = t->wait, .events = POLLIN };

	if (turn_done(t))
		return 1;
	while (!poll(&stop, 1, 0))
		if (fsync(d->fd))
			return 2;
	return 0;
}

/*
 * As reclaim does: the page is written back, and leaves the page cache, where no
 * one may map it.
 */
static int page_drop(int fd, void *at, size_t offset, size_t page)
{
	return madvise(at, page, MADV_DONTNEED) ||
	       sync_file_range(fd, offset, page, SYNC_FILE_RANGE_WAIT_BEFORE |
			       SYNC_FILE_RANGE_WRITE |
			       SYNC_FILE_RANGE_WAIT_AFTER) ||
	       posix_fadvise(fd, offset, page, POSIX_FADV_DONTNEED) ? -1 : 0;
}

/* The last store to each page is still there, at both of its ends. */
TEST_F(syncs, beside_lose_no_store)
{
	int rounds = (slow_kernel() ? 12 : 100) /
		     (variant->kind == EXT4 ? 4 : 1);
	size_t last = self->page / sizeof(uint64_t) - 1;
	struct child c = child_start(sync_on, &self->d);

	ASSERT_EQ(0, child_done(&c));
	for (uint64_t round = 0; round < rounds; round++) {
		for (size_t i = 0; i < PAGES; i++) {
			size_t offset = i * self->page;
			uint64_t *words = (uint64_t *)(self->p + offset);

			ASSERT_EQ(round, words[0]);
			ASSERT_EQ(round, words[last]);
			words[0] = round + 1;
			words[last] = round + 1;
			ASSERT_EQ(0, page_drop(self->d.fd, words, offset,
					       self->page));
		}
	}
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));

	/* And what is durable is the last of all. */
	ASSERT_EQ(0, fsync(self->d.fd));
	munmap(self->p, PAGES * self->page);
	ASSERT_EQ(0, durable_cut(&self->d));
	for (size_t i = 0; i < PAGES; i++) {
		uint64_t word;

		ASSERT_EQ(sizeof(word), pread(self->d.fd, &word, sizeof(word),
					      i * self->page));
		EXPECT_EQ(rounds, word);
	}
}

/* Two tasks in step: which round it is, and how far the other one has come. */
struct steps {
	unsigned int begun;
	unsigned int done;
	uint64_t msync_ns;
	int fd;
};

static void await(unsigned int *round, unsigned int value)
{
	while (__atomic_load_n(round, __ATOMIC_ACQUIRE) != value)
		sched_yield();
}

static void step(unsigned int *round, unsigned int value)
{
	__atomic_store_n(round, value, __ATOMIC_RELEASE);
}

#define THE_END	(~0U)

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* Those that a flush comes to last: it is at work on the others for longer. */
#define LAST_PAGES	4

/* In each round, write an odd number to the last pages, at any time of an msync. */
static int write_odd(void *arg, struct turn *t)
{
	struct steps *s = *(struct steps **)arg;

	for (unsigned int round = 1;; round++) {
		unsigned int begun = 0;
		uint64_t begun_ns;
		uint32_t odd;

		while (begun != round) {
			begun = __atomic_load_n(&s->begun, __ATOMIC_ACQUIRE);
			if (begun == THE_END)
				return 0;
			sched_yield();
		}
		begun_ns = now_ns();
		odd = 2 * round + 1;
		while (now_ns() - begun_ns < s->msync_ns * (round * 89 % 144) / 144)
			;
		for (size_t i = PAGES; i-- > PAGES - LAST_PAGES; )
			if (pwrite(s->fd, &odd, sizeof(odd),
				   i * getpagesize()) != sizeof(odd))
				return 1;
		step(&s->done, round);
	}
}

/*
 * A page that is not in the page cache comes back, and is stored to, while a
 * flush is about to write its older bytes: it is these that msync promised.
 */
SYNCS_FIXTURE(refaults);
OBJECT_KINDS(refaults);

TEST_F(refaults, beside_msync_take_nothing_from_it)
{
	struct steps *s = mmap(NULL, self->page, RW, MAP_SHARED | MAP_ANONYMOUS,
			       -1, 0);
	unsigned int rounds = slow_kernel() ? 48 : 288;	/* of 144 moments */
	struct child c;

	ASSERT_NE(MAP_FAILED, s);
	s->fd = self->d.fd;
	c = child_start(write_odd, &s);
	for (unsigned int round = 1; round <= rounds; round++) {
		uint64_t begun_ns;

		for (size_t i = 0; i < PAGES; i++)
			*(uint32_t *)(self->p + i * self->page) = 2 * round;
		ASSERT_EQ(0, page_drop(self->d.fd, self->p, 0,
				       PAGES * self->page));
		step(&s->begun, round);
		begun_ns = now_ns();
		ASSERT_EQ(0, msync(self->p, PAGES * self->page, MS_SYNC));
		s->msync_ns = now_ns() - begun_ns;
		await(&s->done, round);
		ASSERT_LE(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
		for (size_t i = PAGES - LAST_PAGES; i < PAGES; i++) {
			uint32_t left = 0;

			ASSERT_EQ(sizeof(left), pread(self->d.fd, &left,
						      sizeof(left),
						      i * self->page));
			ASSERT_EQ(round, left / 2)
				TH_LOG("round %u, page %zu", round, i);
		}
	}
	step(&s->begun, THE_END);
	EXPECT_EQ(0, child_end(&c));
}

/* The limit leaves room for one store, and none to store again during its sync. */
FIXTURE(little) {
	struct durable d;
	size_t page;
	unsigned char *p;
	struct knob limit;
};

FIXTURE_SETUP(little)
{
	self->page = getpagesize();
	self->d = durable_new(MEMORY, 4 * self->page, 0);
	ASSERT_GE(self->d.fd, 0);
	self->p = mmap(NULL, 4 * self->page, RW, MAP_SHARED, self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
}

FIXTURE_TEARDOWN_PARENT(little)
{
	EXPECT_EQ(0, knob_restore(&self->limit));
}

static int msync_first(void *arg, struct turn *t)
{
	return msync(arg, getpagesize(), MS_SYNC) ? errno : 0;
}

/*
 * A store that goes through has its room, even while an older state of its page
 * is on its way; and what a cut leaves does not change afterwards.
 */
TEST_F(little, room_for_a_store_beside_a_flush_is_kept_or_the_store_is_sigbus)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_FLUSH,
		.action = MMAPDEV_ACTION_DELAY,
		.delay_us = 300000,
		.count = 1,
	};
	unsigned char left, later;
	struct trap stored;
	struct child c;
	uint64_t used;

	used = durable_info(&self->d).used;
	do {	/* just what the first store takes */
		used += self->page;
		ASSERT_EQ(0, limit_set(&self->limit, used));
		stored = trap_store(self->p, 'a');
	} while (stored.signo);
	ASSERT_EQ(0, ioctl(self->d.fd, MMAPDEV_IOC_ADD_RULE, &rule));
	c = child_start(msync_first, self->p);
	while (!rule.hits)
		ASSERT_EQ(0, ioctl(self->d.fd, MMAPDEV_IOC_GET_RULE, &rule));
	stored = trap_store(self->p, 'b');
	EXPECT_EQ(0, child_end(&c));
	EXPECT_TRUE(!stored.signo || stored.signo == SIGBUS);
	EXPECT_EQ(stored.signo ? 'a' : 'b', self->p[0]);
	EXPECT_EQ(0, msync(self->p, self->page, MS_SYNC));
	EXPECT_EQ(0, msync(self->p, self->page, MS_SYNC));
	ASSERT_LE(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	ASSERT_EQ(1, pread(self->d.fd, &left, 1, 0));
	EXPECT_EQ(stored.signo ? 'a' : 'b', left);
	ASSERT_EQ(0, drop_caches("1"));
	ASSERT_EQ(1, pread(self->d.fd, &later, 1, 0));
	EXPECT_EQ(left, later);
}

/* Not of ext4, which in 6.1 at times tells of a hole where there is none. */
SYNCS_FIXTURE(seeks);
OBJECT_KINDS(seeks);

/* A page is where it is, and a hole too, while a flush moves them. */
TEST_F(seeks, beside_syncs_miss_no_page_and_no_hole)
{
	int rounds = slow_kernel() ? 25 : 400;
	off_t end = PAGES * self->page;
	struct child c = child_start(sync_on, &self->d);

	ASSERT_EQ(0, child_done(&c));
	for (int round = 0; round < rounds; round++) {
		for (size_t i = 0; i < PAGES; i++)
			ASSERT_EQ(0, page_write(self->d.fd, i, 'a' + round % 26));
		ASSERT_EQ(0, lseek(self->d.fd, 0, SEEK_DATA));
		ASSERT_EQ(end, lseek(self->d.fd, 0, SEEK_HOLE));
		ASSERT_EQ(0, fallocate(self->d.fd, FALLOC_FL_PUNCH_HOLE |
				       FALLOC_FL_KEEP_SIZE, 0,
				       end - self->page));
		if (variant->kind != MEMORY)	/* synced, it reads as data */
			continue;
		ASSERT_EQ(0, lseek(self->d.fd, 0, SEEK_HOLE));
		ASSERT_EQ(end - (off_t)self->page,
			  lseek(self->d.fd, 0, SEEK_DATA));
	}
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
}

/* A file that grows: a page of it is there at each moment of its first flush. */
SYNCS_FIXTURE(growth);
OBJECT_KINDS(growth);

#define GROWN_PAGES	1024	/* many times what is settled at a time */

static int sync_by_turns(void *arg, struct turn *t)
{
	const struct durable *d = arg;

	while (!turn_wait(t))
		if (fsync(d->fd) || turn_done(t))
			return 1;
	return 0;
}

TEST_F(growth, pages_are_read_beside_their_flush)
{
	int rounds = slow_kernel() ? 2 : 5;
	struct child c = child_start(sync_by_turns, &self->d);
	struct pollfd done = { .fd = c.from, .events = POLLIN };
	char byte;

	for (int round = 0; round < rounds; round++) {
		ASSERT_EQ(0, ftruncate(self->d.fd, 0));
		ASSERT_EQ(0, fsync(self->d.fd));
		for (size_t i = 0; i < GROWN_PAGES; i++)
			ASSERT_EQ(0, page_write(self->d.fd, i, 'a' + round));
		ASSERT_EQ(0, sync_file_range(self->d.fd, 0, 0,
					     SYNC_FILE_RANGE_WAIT_BEFORE |
					     SYNC_FILE_RANGE_WRITE |
					     SYNC_FILE_RANGE_WAIT_AFTER));
		ASSERT_EQ(0, child_go(&c));
		do {	/* from the store, each time */
			ASSERT_EQ(0, posix_fadvise(self->d.fd, 0, self->page,
						   POSIX_FADV_DONTNEED));
			ASSERT_EQ(1, pread(self->d.fd, &byte, 1, 0));
			ASSERT_EQ('a' + round, byte);
		} while (!poll(&done, 1, 0));
		ASSERT_EQ(0, child_done(&c));
	}
	close(c.to);
	c.to = -1;
	EXPECT_EQ(0, child_end(&c));
}

/*
 * Growing. What a mapping has stored past the end of file goes before the end
 * moves: a task that sees the new end sees zeros. A page that is being written back is
 * locked, so that growing has to wait, and the two can be told apart.
 */
SYNCS_FIXTURE(tail);
DURABLE_VARIANT(tail, mmapdev_memory, .kind = MEMORY);
DURABLE_VARIANT(tail, mmapdev_on_tmpfs, .kind = ON_TMPFS);

#define END		100
#define NEW_END		(3 * getpagesize())

/* A way to move the end from END to NEW_END: 0, or -1. */
typedef int (*grow_fn)(int fd);

static int grow_by_set_size(int fd)
{
	struct mmapdev_size size = { .size = NEW_END };

	return ioctl(fd, MMAPDEV_IOC_SET_SIZE, &size);
}

static int grow_by_ftruncate(int fd)
{
	return ftruncate(fd, NEW_END);
}

static int grow_by_write(int fd)
{
	return pwrite(fd, "", 1, NEW_END - 1) == 1 ? 0 : -1;
}

static int grow_by_fallocate(int fd)
{
	return fallocate(fd, 0, NEW_END - getpagesize(), getpagesize());
}

/* A child that writes the first page back, which takes a while, or -1. */
static pid_t write_back(const struct durable *d, unsigned char *p)
{
	for (int i = 0; i < 50; i++) {
		pid_t pid;

		memset(p, 'x', getpagesize());
		pid = fork();
		if (!pid)
			_exit(sync_file_range(d->fd, 0, getpagesize(),
					      SYNC_FILE_RANGE_WRITE |
					      SYNC_FILE_RANGE_WAIT_AFTER));
		while (!waitpid(pid, NULL, WNOHANG)) {
			if (durable_states(d, 1)[0] == 'w')
				return pid;
			usleep(1000);
		}
	}
	return -1;
}

static void expect_tail_goes_first(struct __test_metadata *_metadata,
				   const struct durable *d, unsigned char *p,
				   grow_fn grow)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_WRITEBACK,
		.action = MMAPDEV_ACTION_DELAY,
		.delay_us = 300000,
	};
	size_t rest = getpagesize() - END;
	unsigned char bytes[getpagesize()];
	pid_t writer, grower;
	int status = 0;

	ASSERT_EQ(0, ftruncate(d->fd, END));
	ASSERT_EQ(0, ioctl(d->fd, MMAPDEV_IOC_ADD_RULE, &rule));
	writer = write_back(d, p);
	ASSERT_LT(0, writer);
	grower = fork();
	if (!grower)
		_exit(grow(d->fd));
	while (file_size(d->fd) == END && !waitpid(grower, &status, WNOHANG))
		usleep(1000);
	EXPECT_EQ(sizeof(bytes), pread(d->fd, bytes, sizeof(bytes), 0));
	EXPECT_TRUE(bytes_are(bytes, 'x', END));
	EXPECT_TRUE(bytes_are(bytes + END, 0, rest));
	EXPECT_TRUE(bytes_are(p + END, 0, rest));
	waitpid(grower, &status, 0);	/* unless it was waited for */
	EXPECT_EQ(0, status);
	EXPECT_EQ(writer, waitpid(writer, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(NEW_END, file_size(d->fd));
}

TEST_F(tail, goes_before_set_size_moves_the_end)
{
	expect_tail_goes_first(_metadata, &self->d, self->p, grow_by_set_size);
}

TEST_F(tail, goes_before_ftruncate_moves_the_end)
{
	expect_tail_goes_first(_metadata, &self->d, self->p,
			       grow_by_ftruncate);
}

TEST_F(tail, goes_before_a_write_moves_the_end)
{
	expect_tail_goes_first(_metadata, &self->d, self->p, grow_by_write);
}

TEST_F(tail, goes_before_fallocate_moves_the_end)
{
	expect_tail_goes_first(_metadata, &self->d, self->p,
			       grow_by_fallocate);
}

/*
 * Pages that become dirty again while a flush makes what they were durable: a
 * stored one and a hole, and a third that stays as it is. Each has a place to be
 * written back to, as any dirty page has, so that no limit can take it away.
 */
FIXTURE(dirty_again) {
	struct durable d;
	struct object other;	/* with a page: a limit of 0 would be none */
	size_t page;
	unsigned char *p;
	struct knob limit;
};

FIXTURE_VARIANT(dirty_again) {
	enum durable_kind kind;
};

OBJECT_KINDS(dirty_again);

#define AGAIN_PAGES	3

FIXTURE_SETUP(dirty_again)
{
	if (!durable_possible(variant->kind))
		SKIP(return, "no ext4 on a loop device");
	self->page = getpagesize();
	self->d = durable_new(variant->kind, AGAIN_PAGES * self->page,
			      MMAPDEV_AFTER_ERROR_DIRTY);
	ASSERT_GE(self->d.fd, 0);
	self->p = mmap(NULL, AGAIN_PAGES * self->page, RW, MAP_SHARED,
		       self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	memset(self->p, 'a', self->page);
	ASSERT_EQ(0, fsync(self->d.fd));
	self->other = object_open(OBJFILE);
	ASSERT_EQ(1, write(self->other.fd, "x", 1));
}

/* In the parent, so that a test that dies leaves no limit behind. */
FIXTURE_TEARDOWN_PARENT(dirty_again)
{
	EXPECT_EQ(0, knob_restore(&self->limit));
}

/* The first two are dirty again, and have what they need for a sync. */
#define EXPECT_DIRTY_AGAIN() do {					\
	EXPECT_STREQ("dd.", durable_unsynced(&self->d, AGAIN_PAGES));	\
	EXPECT_STREQ("dd", durable_states(&self->d, 2));		\
	ASSERT_EQ(0, limit_set(&self->limit,				\
			       durable_info(&self->d).used));		\
	EXPECT_EQ(0, fsync(self->d.fd));				\
	EXPECT_STREQ("...", durable_unsynced(&self->d, AGAIN_PAGES));	\
	ASSERT_EQ(0, durable_cut(&self->d));				\
	EXPECT_STREQ("yy0", file_bytes(self->d.fd));			\
} while (0)

static int sync_once(void *arg, struct turn *t)
{
	const struct durable *d = arg;

	if (turn_done(t) || turn_wait(t))
		return 1;
	return fsync(d->fd) ? 2 : 0;
}

TEST_F(dirty_again, during_a_flush_keeps_its_place_in_the_limit)
{
	bool in_time = false;
	struct hold h;

	FOR_LONGER_HOLDS(ms) {
		memset(self->p, 'x', 2 * self->page);
		ASSERT_EQ(0, hold_start(&h, self->d.fd, MMAPDEV_EVENT_FLUSH, ms,
					sync_once, &self->d));
		/* Written back: stores from here on are not of this flush. */
		memset(self->p, 'y', 2 * self->page);
		in_time = hold_lasts(&h);
		EXPECT_EQ(0, hold_end(&h));
		if (in_time)
			break;
		ASSERT_EQ(0, fallocate(self->d.fd, FALLOC_FL_PUNCH_HOLE |
				       FALLOC_FL_KEEP_SIZE, self->page,
				       self->page));
		ASSERT_EQ(0, fsync(self->d.fd));
	}
	EXPECT_TRUE(in_time);
	EXPECT_DIRTY_AGAIN();
}

/* The flush has what was written back first; what came then failed. */
TEST_F(dirty_again, by_a_writeback_that_fails_keeps_its_place_in_the_limit)
{
	memset(self->p, 'x', 2 * self->page);
	ASSERT_EQ(0, sync_file_range(self->d.fd, 0, 0,
				     SYNC_FILE_RANGE_WAIT_BEFORE |
				     SYNC_FILE_RANGE_WRITE |
				     SYNC_FILE_RANGE_WAIT_AFTER));
	EXPECT_STREQ("pp.", durable_unsynced(&self->d, AGAIN_PAGES));
	memset(self->p, 'y', 2 * self->page);
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_WRITEBACK,
				  MMAPDEV_ACTION_EIO, 0, 0));
	EXPECT_EQ(-1, fsync(self->d.fd));
	EXPECT_EQ(EIO, errno);
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	EXPECT_DIRTY_AGAIN();
}

/* Load pages from the store again and again, until told to stop. */
static int load_on(void *arg, struct turn *t)
{
	const struct durable *d = arg;
	struct pollfd stop = { .fd = t->wait, .events = POLLIN };

	if (turn_done(t))
		return 1;
	while (!poll(&stop, 1, 0)) {
		posix_fadvise(d->fd, 0, 0, POSIX_FADV_DONTNEED);
		file_bytes(d->fd);
	}
	return 0;
}

/* Write pages back and have them reclaimed, until told to stop. */
static int drop_on(void *arg, struct turn *t)
{
	const struct durable *d = arg;
	struct pollfd stop = { .fd = t->wait, .events = POLLIN };

	if (turn_done(t))
		return 1;
	while (!poll(&stop, 1, 0)) {
		sync_file_range(d->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		posix_fadvise(d->fd, 0, 0, POSIX_FADV_DONTNEED);
	}
	return 0;
}

/* A page can be gone between its reservation, which its writeback used, and its zeros. */
TEST(zeroing_beside_writeback_and_reclaim_is_of_all_pages)
{
	struct durable d = durable_new(MEMORY, PAGES * getpagesize(), 0);
	size_t length = PAGES * getpagesize();
	unsigned char bytes[length];
	struct child c;

	ASSERT_GE(d.fd, 0);
	c = child_start(drop_on, &d);
	ASSERT_EQ(0, child_done(&c));
	for (int i = 0; i < (slow_kernel() ? 100 : 1000); i++) {
		memset(bytes, 'B', length);
		ASSERT_EQ(length, pwrite(d.fd, bytes, length, 0));
		ASSERT_EQ(0, fallocate(d.fd, FALLOC_FL_ZERO_RANGE, 0, length));
		ASSERT_EQ(length, pread(d.fd, bytes, length, 0));
		ASSERT_TRUE(bytes_are(bytes, 0, length));
	}
	ASSERT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
	durable_close(&d);
}

#define MOVES	300

/*
 * The store's file has a block put in before its first, and taken away again: what is
 * read meanwhile must not stay in the file's page cache, in a place that is not its own.
 */
TEST(loads_beside_blocks_that_move_leave_the_file_as_it_is)
{
	struct durable d = durable_new(ON_EXT4, DURABLE_PAGES * getpagesize(), 0);
	int moves = slow_kernel() ? MOVES / 4 : MOVES;
	size_t page = getpagesize();
	struct child c;

	if (d.backing < 0)
		SKIP(return, "no ext4 on a loop device");
	ASSERT_GE(d.fd, 0);
	ASSERT_EQ(0, durable_fill(&d, DURABLE_PAGES));
	c = child_start(load_on, &d);
	ASSERT_EQ(0, child_done(&c));
	for (int i = 0; i < moves; i++) {
		ASSERT_EQ(0, fallocate(d.backing, FALLOC_FL_INSERT_RANGE, 0, page));
		ASSERT_STREQ("0abcdefgh", file_bytes(d.backing)) TH_LOG("%d", i);
		ASSERT_EQ(0, fallocate(d.backing, FALLOC_FL_COLLAPSE_RANGE, 0,
				       page));
		ASSERT_STREQ("abcdefgh", file_bytes(d.backing)) TH_LOG("%d", i);
	}
	ASSERT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
	durable_close(&d);
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
