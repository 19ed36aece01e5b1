// SPDX-License-Identifier: GPL-2.0
/*
 * What waits for a flush: how it is told, how pages over holes and holes over
 * pages come out of it, and that its batches have no seams.
 */
#include "harness.h"

#include <linux/falloc.h>
#include <time.h>

#include "child.h"
#include "drop_caches.h"
#include "durable.h"
#include "failing_disk.h"
#include "slow_read.h"
#include "steps.h"

static struct disk disk;

#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

#define WRITE_AND_WAIT	(SYNC_FILE_RANGE_WAIT_BEFORE |			\
			 SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)

/* Write pages back, without a flush: 0, or -1. */
static int write_back(int fd, size_t first, size_t pages)
{
	size_t page = getpagesize();

	return sync_file_range(fd, first * page, pages * page, WRITE_AND_WAIT);
}

/* MMAPDEV_IOC_UNSYNCED from a page on: how many, or -1 with errno. */
static long unsynced(int fd, size_t first, struct mmapdev_unsynced_page *pages,
		     size_t room)
{
	struct mmapdev_unsynced want = {
		.offset = first * getpagesize(),
		.count = room,
		.pages = (uintptr_t)pages,
	};

	return ioctl(fd, MMAPDEV_IOC_UNSYNCED, &want) ? -1 : (long)want.count;
}

DURABLE_FIXTURE(unsynced);
OBJECT_KINDS(unsynced);

/* As a string: each page's number, and d dirty, w written back, h a hole. */
static const char *unsynced_shown(int fd)
{
	struct mmapdev_unsynced_page pages[DURABLE_PAGES];
	static char shown[4 * DURABLE_PAGES + 1];
	long n = unsynced(fd, 0, pages, DURABLE_PAGES);
	char *at = shown;

	if (n < 0)
		return "error";
	*at = '\0';
	for (long i = 0; i < n; i++)
		at += sprintf(at, "%d%c",
			      (int)(pages[i].offset / getpagesize()),
			      pages[i].why > 3 ? '?' : "?dwh"[pages[i].why]);
	return shown;
}

TEST_F(unsynced, each_page_is_told_with_the_reason)
{
	EXPECT_STREQ("", unsynced_shown(self->d.fd));
	memset(self->p + self->page, 'x', self->page);
	ASSERT_EQ(0, page_write(self->d.fd, 2, 'x'));
	EXPECT_STREQ("1d2d", unsynced_shown(self->d.fd));
	ASSERT_EQ(0, write_back(self->d.fd, 2, 1));
	EXPECT_STREQ("1d2w", unsynced_shown(self->d.fd));
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, 4 * self->page,
			       4 * self->page));
	EXPECT_STREQ("1d2w4h5h6h7h", unsynced_shown(self->d.fd));
	/* Stores over holes. */
	memset(self->p + 5 * self->page, 'x', 2 * self->page);
	ASSERT_EQ(0, write_back(self->d.fd, 6, 1));
	EXPECT_STREQ("1d2w4h5d6w7h", unsynced_shown(self->d.fd));
	ASSERT_EQ(0, msync(self->p, 5 * self->page, MS_SYNC));
	/* Something was taken away: so it was a sync of everything. */
	EXPECT_STREQ("", unsynced_shown(self->d.fd));
	EXPECT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("axxd0xx0", file_bytes(self->d.fd));
}

/* Never synced and taken away again: a power cut would change nothing. */
TEST_F(unsynced, punch_of_a_page_that_was_never_synced_leaves_nothing)
{
	ASSERT_EQ(0, page_write(self->d.fd, 8, 'x'));
	ASSERT_EQ(0, page_write(self->d.fd, 9, 'y'));
	ASSERT_EQ(0, write_back(self->d.fd, 9, 1));
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, 8 * self->page,
			       2 * self->page));
	EXPECT_STREQ("", unsynced_shown(self->d.fd));
	EXPECT_STREQ("abcdefgh00", file_bytes(self->d.fd));
	EXPECT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
}

/* Where there is nothing to zero, the edges are holes as before. */
TEST_F(unsynced, edges_of_what_is_taken_from_holes_stay_holes)
{
	ASSERT_EQ(0, ftruncate(self->d.fd, 12 * self->page));
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, 8 * self->page + 100,
			       2 * self->page));
	ASSERT_EQ(0, ftruncate(self->d.fd, 10 * self->page + 100));
	EXPECT_STREQ("", unsynced_shown(self->d.fd));
	EXPECT_EQ(-1, lseek(self->d.fd, self->length, SEEK_DATA));
	EXPECT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
}

TEST_F(unsynced, as_many_as_there_is_room_for_from_where_it_is_asked)
{
	const int n = 50;
	struct mmapdev_unsynced_page pages[n + 1];

	ASSERT_EQ(0, ftruncate(self->d.fd, 2 * n * self->page));
	for (int i = 0; i < n; i++)
		ASSERT_EQ(0, page_write(self->d.fd, 2 * i, 'x'));
	for (int room = 0; room <= n; room++) {
		memset(pages, 0xff, sizeof(pages));
		ASSERT_EQ(room, unsynced(self->d.fd, 0, pages, room));
		for (int i = 0; i < room; i++) {
			EXPECT_EQ(2 * i * self->page, pages[i].offset);
			EXPECT_EQ(MMAPDEV_UNSYNCED_DIRTY, pages[i].why);
			EXPECT_EQ(0, pages[i].reserved);
		}
		EXPECT_EQ(~0ULL, pages[room].offset);
	}
	EXPECT_EQ(n, unsynced(self->d.fd, 0, pages, n + 1));
	for (int i = 0; i < n; i++) {
		ASSERT_EQ(1, unsynced(self->d.fd, 2 * i, pages, 1));
		EXPECT_EQ(2 * i * self->page, pages[0].offset);
		if (i) {
			ASSERT_EQ(n - i, unsynced(self->d.fd, 2 * i - 1, pages,
						  n));
			EXPECT_EQ(2 * i * self->page, pages[0].offset);
		}
	}
	EXPECT_EQ(0, unsynced(self->d.fd, 2 * n - 1, pages, n));
	EXPECT_EQ(0, unsynced(self->d.fd, 3 * n, pages, n));
}

/* The device looks at 256 at a time. */
TEST_F(unsynced, states_are_of_as_many_pages_as_asked)
{
	static const size_t counts[] = { 1, 255, 256, 257, 512, 513 };
	unsigned char states[600];

	ASSERT_EQ(0, ftruncate(self->d.fd, 600 * self->page));
	for (int i = 0; i < 600; i++)
		ASSERT_EQ(0, page_write(self->d.fd, i, 'x'));
	ASSERT_EQ(0, write_back(self->d.fd, 0, 600));
	for (int i = 0; i < 6; i++) {
		struct mmapdev_pages pages = {
			.offset = 3 * self->page,
			.count = counts[i],
			.states = (uintptr_t)states,
		};

		memset(states, 0xff, sizeof(states));
		ASSERT_EQ(0, ioctl(self->d.fd, MMAPDEV_IOC_PAGES, &pages));
		EXPECT_TRUE(bytes_are(states, 1 | MMAPDEV_PAGE_DIFFERS,
				      counts[i]));
		EXPECT_TRUE(bytes_are(states + counts[i], 0xff,
				      sizeof(states) - counts[i]));
	}
}

/* By the kernel's ticks, as ages are: late ones are late for both. */
static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

#define TICKS_MS	20	/* two, of 10 ms at most */

static void pass_time(void)
{
	long long start = now_ms();

	while (now_ms() < start + 100)
		usleep(10000);
}

/* From the first store after the page was durable last. */
TEST_F(unsynced, age_is_since_the_page_was_durable_last)
{
	struct mmapdev_unsynced_page pages[3];
	long long before, stored, asked;

	before = now_ms();
	self->p[0] = 'x';
	stored = now_ms();
	pass_time();
	ASSERT_EQ(0, write_back(self->d.fd, 0, 1));
	self->p[1] = 'x';
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, self->page, self->page));
	asked = now_ms();
	ASSERT_EQ(2, unsynced(self->d.fd, 0, pages, 3));
	EXPECT_LE(asked - stored - TICKS_MS, (long long)pages[0].age);
	EXPECT_GE(now_ms() - before + TICKS_MS, (long long)pages[0].age);
	EXPECT_EQ(0, pages[1].age);

	/* A sync ends it. */
	ASSERT_EQ(0, fsync(self->d.fd));
	before = now_ms();
	self->p[0] = 'y';
	ASSERT_EQ(1, unsynced(self->d.fd, 0, pages, 3));
	EXPECT_GE(now_ms() - before + TICKS_MS, (long long)pages[0].age);
}

TEST_F(unsynced, bad_arguments_are_refused)
{
	struct mmapdev_unsynced_page pages[1];
	struct mmapdev_unsynced want = {
		.count = 1,
		.pages = (uintptr_t)pages,
	};
	struct object o = object_open(MMAPDEV);

	self->p[0] = 'x';
	want.offset = 1;
	EXPECT_EQ(-1, ioctl(self->d.fd, MMAPDEV_IOC_UNSYNCED, &want));
	EXPECT_EQ(EINVAL, errno);
	want.offset = 0;
	want.reserved = 1;
	errno = 0;
	EXPECT_EQ(-1, ioctl(self->d.fd, MMAPDEV_IOC_UNSYNCED, &want));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, unsynced(self->d.fd, 0, NULL, 1));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(1, unsynced(self->d.fd, 0, pages, 1));
	/* Without a store nothing can be synced. */
	ASSERT_GE(o.fd, 0);
	ASSERT_EQ(1, pwrite(o.fd, "x", 1, 0));
	EXPECT_EQ(0, unsynced(o.fd, 0, pages, 1));
	object_close(&o);
}

/* What has its bytes already is given nothing, and what is left stays as it is. */
TEST_F(unsynced, allocation_changes_what_was_a_hole_only)
{
	ASSERT_EQ(0, fallocate(self->d.fd, 0, 0, self->length));
	EXPECT_STREQ("", unsynced_shown(self->d.fd));
	ASSERT_EQ(0, fallocate(self->d.fd, FALLOC_FL_KEEP_SIZE, 0,
			       self->length + self->page));
	EXPECT_STREQ("8w", unsynced_shown(self->d.fd));
	/* The same size again takes what is past the end. */
	ASSERT_EQ(0, ftruncate(self->d.fd, self->length));
	EXPECT_STREQ("", unsynced_shown(self->d.fd));
	EXPECT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

TEST_F(unsynced, reading_makes_no_pages_of_holes)
{
	ASSERT_EQ(0, ftruncate(self->d.fd, 12 * self->page));
	EXPECT_STREQ("abcdefgh0000", file_bytes(self->d.fd));
	EXPECT_STREQ("cccccccc....", durable_states(&self->d, 12));
}

TEST_F(unsynced, shrink_that_fails_changes_nothing)
{
	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	ASSERT_EQ(0, posix_fadvise(self->d.fd, 0, 0, POSIX_FADV_DONTNEED));
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_ALLOCATE,
				  MMAPDEV_ACTION_EIO, 3, 1));
	errno = 0;
	EXPECT_EQ(-1, ftruncate(self->d.fd, 3 * self->page + 1));
	EXPECT_EQ(EIO, errno);
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	EXPECT_EQ(self->length, file_size(self->d.fd));
	EXPECT_STREQ("", unsynced_shown(self->d.fd));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

/* Calls that change a part of a page, of which nothing is in memory. */
DURABLE_FIXTURE(not_in_memory);
ALL_KINDS(not_in_memory);

TEST_F(not_in_memory, what_a_call_does_not_change_stays)
{
	struct {
		int mode;
		off_t first, last;
		const char *left;
	} calls[] = {
		{ 0, 0, 8 * 4096, "abcdefgh" },
		{ FALLOC_FL_KEEP_SIZE, 4000, 4100, "abcdefgh" },
		{ FALLOC_FL_ZERO_RANGE, 4000, 3 * 4096 + 1, "?00?efgh" },
		{ PUNCH, 5 * 4096 + 1, 7 * 4096 + 1, "?00?e?0?" },
		{ FALLOC_FL_ZERO_RANGE, 4 * 4096 + 5, 4 * 4096 + 6, "?00???0?" },
	};
	unsigned char bytes[6 * 4096];

	if (self->page != 4096)
		SKIP(return, "offsets here are of pages of 4096 bytes");
	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, fsync(self->d.fd));
		ASSERT_EQ(0, posix_fadvise(self->d.fd, 0, 0,
					   POSIX_FADV_DONTNEED));
		ASSERT_EQ(0, fallocate(self->d.fd, calls[i].mode,
				       calls[i].first,
				       calls[i].last - calls[i].first));
		EXPECT_STREQ(calls[i].left, file_bytes(self->d.fd));
	}
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, posix_fadvise(self->d.fd, 0, 0, POSIX_FADV_DONTNEED));
	ASSERT_EQ(1, pwrite(self->d.fd, "x", 1, 3 * 4096 + 1));
	ASSERT_EQ(0, ftruncate(self->d.fd, 4 * 4096 + 7));
	ASSERT_EQ(0, ftruncate(self->d.fd, 6 * 4096));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("?00??0", file_bytes(self->d.fd));
	ASSERT_EQ(sizeof(bytes), pread(self->d.fd, bytes, sizeof(bytes), 0));
	EXPECT_TRUE(bytes_are(bytes, 'a', 4000));
	EXPECT_TRUE(bytes_are(bytes + 4000, 0, 3 * 4096 + 1 - 4000));
	EXPECT_EQ('x', bytes[3 * 4096 + 1]);
	EXPECT_TRUE(bytes_are(bytes + 3 * 4096 + 2, 'd', 4094));
	EXPECT_TRUE(bytes_are(bytes + 4 * 4096, 'e', 5));
	EXPECT_EQ(0, bytes[4 * 4096 + 5]);
	EXPECT_EQ('e', bytes[4 * 4096 + 6]);
	EXPECT_TRUE(bytes_are(bytes + 4 * 4096 + 7, 0, 2 * 4096 - 7));
}

DURABLE_FIXTURE(over_holes);
OBJECT_KINDS(over_holes);

TEST_F(over_holes, page_that_is_written_back_is_read_after_the_cache_was_dropped)
{
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, self->page, 2 * self->page));
	memset(self->p + self->page, 'x', self->page);
	ASSERT_EQ(0, write_back(self->d.fd, 0, DURABLE_PAGES));
	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	ASSERT_EQ(0, drop_caches("3"));
	EXPECT_EQ(0, durable_info(&self->d).resident);
	EXPECT_STREQ("ax0defgh", file_bytes(self->d.fd));
	EXPECT_EQ(self->page, lseek(self->d.fd, self->page, SEEK_DATA));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

/* What a punch has prepared is not in the way of the next store. */
TEST_F(over_holes, punch_that_fails_takes_nothing_and_stores_after_it_survive)
{
	ASSERT_EQ(0, munmap(self->p + self->page, self->length - self->page));
	ASSERT_EQ(0, posix_fadvise(self->d.fd, 0, 0, POSIX_FADV_DONTNEED));
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_ALLOCATE,
				  MMAPDEV_ACTION_EIO, 1, 1));
	errno = 0;
	EXPECT_EQ(-1, fallocate(self->d.fd, PUNCH, self->page + 1,
				4 * self->page));
	EXPECT_EQ(EIO, errno);
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	EXPECT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));

	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_ALLOCATE,
				  MMAPDEV_ACTION_EIO, 1, 1));
	ASSERT_EQ(0, posix_fadvise(self->d.fd, 0, 0, POSIX_FADV_DONTNEED));
	EXPECT_EQ(-1, fallocate(self->d.fd, PUNCH, self->page + 1,
				4 * self->page));
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	ASSERT_EQ(0, page_write(self->d.fd, 2, 'x'));
	ASSERT_EQ(0, page_write(self->d.fd, 4, 'y'));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("abxdyfgh", file_bytes(self->d.fd));
}

/* An object that goes back after an error, and what it goes back to. */
DURABLE_FIXTURE(revert);
DURABLE_VARIANT(revert, mmapdev_memory, .kind = MEMORY,
		.after_error = MMAPDEV_AFTER_ERROR_REVERT);
DURABLE_VARIANT(revert, mmapdev_on_tmpfs, .kind = ON_TMPFS,
		.after_error = MMAPDEV_AFTER_ERROR_REVERT);

TEST_F(revert, page_goes_back_to_what_was_written_back_before)
{
	memset(self->p + self->page, 'x', self->page);
	ASSERT_EQ(0, write_back(self->d.fd, 1, 1));
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_WRITEBACK,
				  MMAPDEV_ACTION_EIO, 1, 1));
	memset(self->p + self->page, 'y', self->page);
	EXPECT_EQ(-1, write_back(self->d.fd, 1, 1));
	EXPECT_EQ('x', self->p[self->page]);
	EXPECT_STREQ("axcdefgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	fsync(self->d.fd);	/* tells of the error, if nobody has been told */
	EXPECT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("axcdefgh", file_bytes(self->d.fd));
}

TEST_F(revert, page_over_a_hole_goes_back_to_the_hole)
{
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, self->page, self->page));
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_WRITEBACK,
				  MMAPDEV_ACTION_EIO, 1, 1));
	memset(self->p + self->page, 'y', self->page);
	EXPECT_EQ(-1, write_back(self->d.fd, 1, 1));
	EXPECT_EQ(0, self->p[self->page]);
	EXPECT_STREQ("a0cdefgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	fsync(self->d.fd);
	EXPECT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("a0cdefgh", file_bytes(self->d.fd));
}

/* For 20 s or more; then the test fails, but a disk that is stopped goes on. */
/* What is on its way while others look, write and cut the power. */
DURABLE_FIXTURE(in_flight);
OBJECT_KINDS(in_flight);

static int write_first_page_back(void *arg, struct turn *t)
{
	struct durable *d = arg;

	return write_back(d->fd, 0, 1) ? errno : 0;
}

TEST_F(in_flight, sync_waits_for_the_writeback_that_another_has_begun)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_WRITEBACK,
		.action = MMAPDEV_ACTION_DELAY,
		.delay_us = 300000,
		.count = 1,
	};
	struct child c;

	ASSERT_EQ(0, ioctl(self->d.fd, MMAPDEV_IOC_ADD_RULE, &rule));
	memset(self->p, 'A', self->page);
	c = child_start(write_first_page_back, &self->d);
	WAIT_UNTIL(durable_states(&self->d, 1)[0] != 'd');
	EXPECT_EQ(0, msync(self->p, self->page, MS_SYNC));
	EXPECT_STREQ("c", durable_states(&self->d, 1));
	EXPECT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("Abcdefgh", file_bytes(self->d.fd));
	EXPECT_EQ(0, child_end(&c));
}

DURABLE_FIXTURE(stopped_disk);
DURABLE_VARIANT(stopped_disk, mmapdev_on_ext4, .kind = ON_EXT4);

static int sync_all(void *arg, struct turn *t)
{
	struct durable *d = arg;

	return fsync(d->fd) ? errno : 0;
}

/* The image has been given the first bytes then, and waits for its disk. */
TEST_F(stopped_disk, pages_written_back_during_a_flush_wait_for_the_next)
{
	unsigned long long flushed = durable_stats(&self->d).bytes_flushed +
				     3 * self->page;
	struct mmapdev_unsynced_page page;
	long long start, stored;
	struct child c;

	store_capitals(self->p, 3);
	stored = now_ms();
	ASSERT_EQ(0, disk_stop(&disk));
	c = child_start(sync_all, &self->d);
	WAIT_UNTIL(durable_stats(&self->d).bytes_flushed >= flushed);
	WAIT_UNTIL(now_ms() > stored + 2 * TICKS_MS);
	start = now_ms();
	memset(self->p, 'x', self->page);
	memset(self->p + self->page, 'y', self->page);
	EXPECT_EQ(0, write_back(self->d.fd, 0, 1));
	EXPECT_STREQ("pdpccccc", durable_states(&self->d, DURABLE_PAGES));
	ASSERT_EQ(0, disk_go(&disk));
	EXPECT_EQ(0, child_end(&c));
	EXPECT_STREQ("pdcccccc", durable_states(&self->d, DURABLE_PAGES));
	/* Its first bytes have become durable: what counts is the store after. */
	EXPECT_EQ(1, unsynced(self->d.fd, 1, &page, 1));
	EXPECT_GE(now_ms() - start + TICKS_MS, (long long)page.age);
	EXPECT_STREQ("xyCdefgh", file_bytes(self->d.fd));
	EXPECT_STREQ("ABCdefgh", file_bytes(self->d.backing));
	EXPECT_EQ(0, fsync(self->d.fd));
	EXPECT_STREQ("xyCdefgh", file_bytes(self->d.backing));
	EXPECT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("xyCdefgh", file_bytes(self->d.fd));
}

TEST_F(stopped_disk, power_cut_after_a_flush_takes_what_came_during_it)
{
	unsigned long long flushed = durable_stats(&self->d).bytes_flushed +
				     3 * self->page;
	struct child c;

	store_capitals(self->p, 3);
	ASSERT_EQ(0, disk_stop(&disk));
	c = child_start(sync_all, &self->d);
	WAIT_UNTIL(durable_stats(&self->d).bytes_flushed >= flushed);
	memset(self->p, 'x', self->page);
	memset(self->p + self->page, 'y', self->page);
	EXPECT_EQ(0, write_back(self->d.fd, 0, 1));
	ASSERT_EQ(0, disk_go(&disk));
	EXPECT_EQ(0, child_end(&c));
	EXPECT_EQ(2, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("ABCdefgh", file_bytes(self->d.fd));
}

/* A direct read of zeros into a mapping, which its disk keeps waiting. */
DURABLE_FIXTURE(pinned);
DURABLE_VARIANT(pinned, mmapdev_memory, .kind = MEMORY);
DURABLE_VARIANT(pinned, mmapdev_on_tmpfs, .kind = ON_TMPFS);

TEST_F(pinned, what_is_read_into_a_page_after_its_sync_is_lost_or_synced)
{
	struct slow_read r = { .to = self->p + self->page };

	if (!durable_possible(EXT4))
		SKIP(return, "no disk to read from");
	r.from = slow_open(&disk);
	ASSERT_GE(r.from, 0);
	for (int synced = 0; synced < 2; synced++) {
		ASSERT_EQ(0, dirty_unreserved(&self->d, &disk, &r));
		EXPECT_STREQ("a0cdefgh", file_bytes(self->d.fd));
		if (synced)
			EXPECT_EQ(0, fsync(self->d.fd));
		EXPECT_LE(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
		EXPECT_STREQ(synced ? "a0cdefgh" : "axcdefgh",
			     file_bytes(self->d.fd));
	}
	close(r.from);
}

static int write_back_all(void *arg, struct turn *t)
{
	const struct durable *d = arg;

	return turn_done(t) || write_back(d->fd, 0, DURABLE_PAGES);
}

/* It has nothing pending before its writeback comes to that: a cut meets it all the same. */
TEST_F(pinned, what_is_being_written_back_at_a_cut_is_lost)
{
	struct slow_read r = { .to = self->p + self->page };
	struct knob step = {};

	if (!durable_possible(EXT4))
		SKIP(return, "no disk to read from");
	r.from = slow_open(&disk);
	ASSERT_GE(r.from, 0);
	for (int round = 0; round < 12; round++) {
		struct child c;

		ASSERT_EQ(0, dirty_unreserved(&self->d, &disk, &r));
		ASSERT_EQ(0, steps_wait(&step, "20000"));
		c = child_start(write_back_all, &self->d);
		EXPECT_EQ(0, child_done(&c));
		usleep(round * 1000);
		EXPECT_LE(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
		EXPECT_EQ(0, child_end(&c));
		ASSERT_EQ(0, knob_restore(&step));
		EXPECT_STREQ("axcdefgh", file_bytes(self->d.fd));
		EXPECT_STREQ("........", durable_unsynced(&self->d,
							  DURABLE_PAGES));
	}
	close(r.from);
}

/*
 * Many pages: each says at both its ends which it is, and in which round it was
 * written last.
 */
DURABLE_FIXTURE(batches);
OBJECT_KINDS(batches);

#define MANY	200

struct label {
	uint32_t index;
	uint32_t round;
};

static int label_write(int fd, uint32_t index, uint32_t round)
{
	size_t page = getpagesize(), size = sizeof(struct label);
	struct label label = { index, round };
	off_t at = index * page;

	return pwrite(fd, &label, size, at) == (ssize_t)size &&
	       pwrite(fd, &label, size, at + page - size) == (ssize_t)size ?
	       0 : -1;
}

/* The round of a page, or -1 if its ends say different things. */
static long label_read(int fd, uint32_t index)
{
	size_t page = getpagesize(), size = sizeof(struct label);
	struct label first, last;
	off_t at = index * page;

	if (pread(fd, &first, size, at) != (ssize_t)size ||
	    pread(fd, &last, size, at + page - size) != (ssize_t)size ||
	    memcmp(&first, &last, size) ||
	    (first.round && first.index != index))
		return -1;
	return first.round;
}

/* Write pages that a sync is for, and their neighbours that it is not for. */
static int batch_write(int fd, size_t first, size_t n, uint32_t round)
{
	for (size_t i = first ? first - 1 : 0; i <= first + n && i < MANY; i++)
		if (label_write(fd, i, round))
			return -1;
	return 0;
}

/* How many pages are not of the round that they should be of. */
static int batch_wrong(int fd, size_t first, size_t n, uint32_t round,
		       uint32_t *rounds)
{
	int wrong = 0;

	for (size_t i = 0; i < MANY; i++) {
		if (i >= first && i < first + n)
			rounds[i] = round;
		wrong += label_read(fd, i) != rounds[i];
	}
	return wrong;
}

/* How many pages a sync takes, for a flush that moves 64 at a time. */
static const size_t batch_sizes[] = { 1, 2, 63, 64, 65, 127, 128, 129, 193 };

#define N_SIZES	(sizeof(batch_sizes) / sizeof(batch_sizes[0]))

TEST_F(batches, of_any_size_make_just_their_range_durable)
{
	uint32_t rounds[MANY] = {};
	unsigned char *p;

	ASSERT_EQ(0, ftruncate(self->d.fd, MANY * self->page));
	ASSERT_EQ(0, fsync(self->d.fd));
	p = mmap(NULL, MANY * self->page, RW, MAP_SHARED, self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < DURABLE_PAGES; i++)	/* theirs is no label */
		ASSERT_EQ(0, page_write(self->d.fd, i, 0));
	ASSERT_EQ(0, fsync(self->d.fd));
	for (int round = 1; round <= (int)N_SIZES; round++) {
		size_t n = batch_sizes[round - 1];
		size_t first = round % 2 ? 1 : MANY - n;
		struct mmapdev_stats before, after;

		ASSERT_EQ(0, batch_write(self->d.fd, first, n, round));
		before = durable_stats(&self->d);
		ASSERT_EQ(0, msync(p + first * self->page, n * self->page,
				   MS_SYNC));
		after = durable_stats(&self->d);
		EXPECT_EQ(n, after.writebacks - before.writebacks);
		EXPECT_EQ(n * self->page,
			  after.bytes_flushed - before.bytes_flushed);
		EXPECT_EQ(first + n < MANY ? 2 : 1,
			  crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
		EXPECT_EQ(0, batch_wrong(self->d.fd, first, n, round, rounds));
	}
	munmap(p, MANY * self->page);
}

/* Written back before, and of some, or of all, there is nothing in memory. */
TEST_F(batches, take_pages_that_are_in_memory_no_more)
{
	uint32_t rounds[MANY] = {};
	unsigned char *p;

	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	ASSERT_EQ(0, ftruncate(self->d.fd, 0));
	ASSERT_EQ(0, ftruncate(self->d.fd, MANY * self->page));
	ASSERT_EQ(0, fsync(self->d.fd));
	p = mmap(NULL, MANY * self->page, RW, MAP_SHARED, self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (int round = 1; round <= (int)N_SIZES; round++) {
		size_t n = batch_sizes[round - 1];
		size_t first = round % 2 ? MANY - n : 1;
		size_t step = round % 3 ? 3 * self->page : self->page;

		ASSERT_EQ(0, batch_write(self->d.fd, first, n, round));
		ASSERT_EQ(0, write_back(self->d.fd, 0, MANY));
		for (size_t at = 0; at < MANY * self->page; at += step)
			posix_fadvise(self->d.fd, at, self->page,
				      POSIX_FADV_DONTNEED);
		ASSERT_EQ(0, msync(p + first * self->page, n * self->page,
				   MS_SYNC));
		EXPECT_EQ(first + n < MANY ? 2 : 1,
			  crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
		EXPECT_EQ(0, batch_wrong(self->d.fd, first, n, round, rounds));
	}
	munmap(p, MANY * self->page);
}

/* Holes and pages by turns, in runs of all lengths up to more than a batch. */
TEST_F(batches, take_holes_and_pages_by_turns)
{
	size_t at = 0;

	ASSERT_EQ(0, ftruncate(self->d.fd, 0));
	for (uint32_t i = 0; i < MANY; i++)
		ASSERT_EQ(0, label_write(self->d.fd, i, 1));
	ASSERT_EQ(0, fsync(self->d.fd));
	for (size_t run = 1; at < MANY; at += run++) {
		size_t n = run < MANY - at ? run : MANY - at;

		if (run % 2) {
			ASSERT_EQ(0, fallocate(self->d.fd, PUNCH,
					       at * self->page,
					       n * self->page));
			continue;
		}
		for (uint32_t i = at; i < at + n; i++)
			ASSERT_EQ(0, label_write(self->d.fd, i, 2));
	}
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	at = 0;
	for (size_t run = 1; at < MANY; at += run++)
		for (uint32_t i = at; i < at + run && i < MANY; i++)
			EXPECT_EQ(run % 2 ? 0 : 2, label_read(self->d.fd, i));
}

/* Nothing to write back, and perhaps no bytes at all: synced all the same. */
TEST_F(batches, of_nothing_are_flushed_without_an_error)
{
	struct mmapdev_stats before, after;

	before = durable_stats(&self->d);
	EXPECT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(0, msync(self->p, self->length, MS_SYNC));
	after = durable_stats(&self->d);
	EXPECT_EQ(2, after.flushes - before.flushes);
	EXPECT_EQ(before.bytes_flushed, after.bytes_flushed);
	ASSERT_EQ(0, ftruncate(self->d.fd, 0));
	EXPECT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(0, durable_info(&self->d).durable_size);
	EXPECT_EQ(0, fsync(self->d.fd));
	after = durable_stats(&self->d);
	EXPECT_EQ(before.bytes_flushed, after.bytes_flushed);
	/* The first page, of one byte, comes after it as any other. */
	ASSERT_EQ(1, pwrite(self->d.fd, "x", 1, 0));
	EXPECT_EQ(0, msync(self->p, 1, MS_SYNC));
	EXPECT_EQ(1, durable_info(&self->d).durable_size);
	EXPECT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("x", file_bytes(self->d.fd));
}

int main(int argc, char **argv)
{
	mount_modules();
	ext4_root = failing_ext4(&disk, &ext4_image, EXT4_BYTES);
	return test_harness_run(argc, argv);
}
