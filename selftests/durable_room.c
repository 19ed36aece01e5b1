// SPDX-License-Identifier: GPL-2.0
/*
 * Where there is no room for what has to be stored, a sync says so, until there is:
 * pages that direct I/O has made dirty, which reserves nothing, and the edges of what
 * is taken away, whose reservations others' writeback can use up. A power cut takes
 * them all the same. mmapdev only.
 */
#include "harness.h"

#include <linux/falloc.h>

#include "child.h"
#include "device.h"
#include "durable.h"
#include "slow_read.h"
#include "steps.h"

static struct disk disk;

#define WRITE_AND_WAIT	(SYNC_FILE_RANGE_WAIT_BEFORE |			\
			 SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)

FIXTURE(room) {
	struct durable d;
	size_t page;
	unsigned char *p;
	struct slow_read r;
	struct object filler;	/* of one page: no limit is 0 */
	struct knob limit;
	struct knob step;
};

FIXTURE_VARIANT(room) {
	enum durable_kind kind;
	int after_error;
};

#define ROOM_VARIANT(name, ...)						\
	FIXTURE_VARIANT_ADD(room, name) { __VA_ARGS__ }

ROOM_VARIANT(clean_memory, .kind = MEMORY);
ROOM_VARIANT(clean_on_tmpfs, .kind = ON_TMPFS);
ROOM_VARIANT(dirty_memory, .kind = MEMORY,
	     .after_error = MMAPDEV_AFTER_ERROR_DIRTY);

FIXTURE_SETUP(room)
{
	self->page = getpagesize();
	if (!durable_possible(EXT4))
		SKIP(return, "no disk to read from");
	self->d = durable_new(variant->kind, DURABLE_PAGES * self->page,
			      variant->after_error);
	ASSERT_GE(self->d.fd, 0);
	ASSERT_EQ(0, durable_fill(&self->d, DURABLE_PAGES));
	self->p = mmap(NULL, DURABLE_PAGES * self->page, RW, MAP_SHARED,
		       self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	self->filler = object_open(MMAPDEV);
	ASSERT_LE(0, self->filler.fd);
	ASSERT_EQ(0, page_write(self->filler.fd, 0, 'x'));
	self->r.from = slow_open(&disk);
	ASSERT_GE(self->r.from, 0);
	self->r.to = self->p + self->page;
}

FIXTURE_TEARDOWN(room)
{
	EXPECT_EQ(0, knob_restore(&self->step));
	EXPECT_EQ(0, knob_restore(&self->limit));
	if (!self->p)
		return;
	close(self->r.from);
	object_close(&self->filler);
	munmap(self->p, DURABLE_PAGES * self->page);
	durable_close(&self->d);
}

/*
 * There is no room for another page: 0, or -1. What a flush has replaced would still be
 * used again, but for the refusal.
 */
static int take_room(FIXTURE_DATA(room) *self)
{
	uint64_t used = durable_info(&self->d).used;

	/* Objects of tests before may still be on their way out. */
	for (int same = 0; same < 20; usleep(10000)) {
		uint64_t before = used;

		used = durable_info(&self->d).used;
		same = used == before ? same + 1 : 0;
	}
	if (limit_set(&self->limit, used))
		return -1;
	return page_write(self->filler.fd, 1, 'x') && errno == ENOSPC ? 0 : -1;
}

TEST_F(room, sync_of_what_has_none_fails_until_it_has)
{
	ASSERT_EQ(0, dirty_unreserved(&self->d, &disk, &self->r));
	ASSERT_EQ(0, take_room(self));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(-1, fsync(self->d.fd));
		EXPECT_EQ(ENOSPC, errno);
		EXPECT_STREQ("cdcccccc", durable_states(&self->d, DURABLE_PAGES));
	}
	EXPECT_STREQ("a0cdefgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, knob_restore(&self->limit));
	EXPECT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("a0cdefgh", file_bytes(self->d.fd));
}

TEST_F(room, power_cut_takes_what_could_not_be_synced)
{
	ASSERT_EQ(0, dirty_unreserved(&self->d, &disk, &self->r));
	ASSERT_EQ(0, take_room(self));
	EXPECT_EQ(-1, fsync(self->d.fd));
	EXPECT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("axcdefgh", file_bytes(self->d.fd));
	EXPECT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("axcdefgh", file_bytes(self->d.fd));
}

/* Nobody has asked for it, so nobody hears of it. */
TEST_F(room, writeback_that_no_sync_asks_for_leaves_it_dirty)
{
	ASSERT_EQ(0, dirty_unreserved(&self->d, &disk, &self->r));
	ASSERT_EQ(0, take_room(self));
	sync_file_range(self->d.fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	usleep(100000);
	EXPECT_STREQ("cdcccccc", durable_states(&self->d, DURABLE_PAGES));
	ASSERT_EQ(0, knob_restore(&self->limit));
	EXPECT_EQ(0, fsync(self->d.fd));
}

/* An edge inside of it: refused, with nothing changed. */
TEST_F(room, nothing_is_taken_away_beside_what_has_none)
{
	off_t at = self->page + self->page / 2;

	ASSERT_EQ(0, dirty_unreserved(&self->d, &disk, &self->r));
	ASSERT_EQ(0, take_room(self));
	EXPECT_EQ(-1, ftruncate(self->d.fd, at));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(-1, fallocate(self->d.fd, FALLOC_FL_PUNCH_HOLE |
				FALLOC_FL_KEEP_SIZE, at, self->page));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(-1, fallocate(self->d.fd, FALLOC_FL_ZERO_RANGE, at, self->page));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_STREQ("a0cdefgh", file_bytes(self->d.fd));
}

static int write_back_all(void *arg, struct turn *t)
{
	const FIXTURE_DATA(room) *self = arg;

	if (turn_done(t))
		return 1;
	for (int i = 0; i < 4; i++) {
		sync_file_range(self->d.fd, 0, 0, WRITE_AND_WAIT);
		posix_fadvise(self->d.fd, 0, 0, POSIX_FADV_DONTNEED);
	}
	return 0;
}

/* Its writeback fails again and again, and a power cut comes between. */
TEST_F(room, power_cut_meets_what_is_tried_again)
{
	for (int round = 0; round < 12; round++) {
		struct child c;

		ASSERT_EQ(0, dirty_unreserved(&self->d, &disk, &self->r));
		ASSERT_EQ(0, take_room(self));
		ASSERT_EQ(0, steps_wait(&self->step, "20000"));
		c = child_start(write_back_all, self);
		EXPECT_EQ(0, child_done(&c));
		usleep(round * 1000);
		EXPECT_LE(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
		EXPECT_EQ(0, child_end(&c));
		ASSERT_EQ(0, knob_restore(&self->step));
		ASSERT_EQ(0, knob_restore(&self->limit));
		ASSERT_EQ(0, fsync(self->d.fd));
		ASSERT_STREQ("axcdefgh", file_bytes(self->d.fd));
		ASSERT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
		ASSERT_STREQ("axcdefgh", file_bytes(self->d.fd));
	}
}

static int cut_power(void *arg, struct turn *t)
{
	const FIXTURE_DATA(room) *self = arg;

	return turn_done(t) ||
	       crash_call(self->d.fd, MMAPDEV_CRASH_REVERT) < 0;
}

/* The direct read from before it ends within it, and is written back at once. */
TEST_F(room, power_cut_meets_what_comes_in_within_it)
{
	for (int round = 0; round < 12; round++) {
		struct child r, c, w;

		r = slow_begin(&self->d, &disk, &self->r);
		ASSERT_LT(0, r.pid);
		ASSERT_EQ(0, steps_wait(&self->step, "20000"));
		c = child_start(cut_power, self);
		EXPECT_EQ(0, child_done(&c));
		usleep(round * 3000);
		ASSERT_EQ(0, disk_go(&disk));
		w = child_start(write_back_all, self);
		EXPECT_EQ(0, child_done(&w));
		EXPECT_EQ(0, child_end(&c));
		EXPECT_EQ(0, child_end(&w));
		child_end(&r);		/* it reaches the page, or no page */
		ASSERT_EQ(0, knob_restore(&self->step));
		ASSERT_EQ(0, fsync(self->d.fd));
		ASSERT_STREQ("axcdefgh", file_bytes(self->d.fd));
		ASSERT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
		ASSERT_STREQ("axcdefgh", file_bytes(self->d.fd));
	}
}

enum taking { BY_PUNCH, BY_ZEROING, BY_TRUNCATION };

static int take_half(FIXTURE_DATA(room) *self, enum taking how)
{
	off_t at = 2 * self->page + self->page / 2;

	switch (how) {
	case BY_PUNCH:
		return fallocate(self->d.fd, FALLOC_FL_PUNCH_HOLE |
				 FALLOC_FL_KEEP_SIZE, at, self->page / 2);
	case BY_ZEROING:
		return fallocate(self->d.fd, FALLOC_FL_ZERO_RANGE, at,
				 self->page / 2);
	default:
		return ftruncate(self->d.fd, at) ||
		       ftruncate(self->d.fd, DURABLE_PAGES * self->page);
	}
}

/*
 * The page that a part is taken of is written back and reclaimed in the middle of that,
 * with room for its bytes or without: it is zeros all the same, and a sync that
 * succeeds has stored them.
 */
TEST_F(room, edge_that_is_written_back_meanwhile_is_stored)
{
	unsigned char bytes[self->page];

	for (int round = 0; round < 18; round++) {
		struct child c;
		int err;

		memset(self->p + 2 * self->page, 'C', self->page);
		if (round % 2)
			ASSERT_EQ(0, take_room(self));
		ASSERT_EQ(0, steps_wait(&self->step, "20000"));
		c = child_start(write_back_all, self);
		EXPECT_EQ(0, child_done(&c));
		err = take_half(self, round / 6) ? errno : 0;
		EXPECT_EQ(0, child_end(&c));
		ASSERT_EQ(0, knob_restore(&self->step));
		if (err)
			EXPECT_EQ(ENOSPC, err);
		if (fsync(self->d.fd)) {
			EXPECT_EQ(ENOSPC, errno);
			ASSERT_EQ(0, knob_restore(&self->limit));
			ASSERT_EQ(0, fsync(self->d.fd));
		}
		ASSERT_EQ(0, knob_restore(&self->limit));
		for (int cut = 0; cut < 2; cut++) {
			ASSERT_EQ(self->page, pread(self->d.fd, bytes, self->page,
						    2 * self->page));
			EXPECT_TRUE(bytes_are(bytes, 'C', self->page / 2));
			ASSERT_TRUE(bytes_are(bytes + self->page / 2,
					      err ? 'C' : 0, self->page / 2))
				TH_LOG("round %d, after %d cuts", round, cut);
			ASSERT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
		}
	}
}

int main(int argc, char **argv)
{
	mount_modules();
	ext4_root = failing_ext4(&disk, &ext4_image, EXT4_BYTES);
	return test_harness_run(argc, argv);
}
