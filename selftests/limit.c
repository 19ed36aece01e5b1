// SPDX-License-Identifier: GPL-2.0
/*
 * The limit on what all objects together hold: mmapdev only.
 *
 * Over it, touching a new page is SIGBUS and writing one is ENOSPC; what was
 * there stays, and room that is given back can be used at once.
 */
#include "harness.h"

#include "bytes.h"
#include "child.h"
#include "device.h"
#include "durable.h"
#include "huge.h"
#include "slow.h"
#include "trap.h"

/* An object of 16 pages, of which the limit lets four be there. */
FIXTURE(limit) {
	struct object o;
	size_t page;
	uint64_t before;	/* bytes held by others */
	struct knob limit;
};

FIXTURE_VARIANT(limit) {
	enum backend_kind kind;
};

FIXTURE_VARIANT_ADD(limit, mmapdev) { .kind = MMAPDEV };

FIXTURE_SETUP(limit)
{
	self->page = getpagesize();
	self->o = object_open(MMAPDEV);
	ASSERT_GE(self->o.fd, 0);
	self->before = object_info(&self->o).used;
	ASSERT_EQ(0, object_resize(&self->o, 16 * self->page));
	ASSERT_EQ(0, limit_set(&self->limit, self->before + 4 * self->page));
}

/* In the parent, so that a test that dies leaves no limit behind. */
FIXTURE_TEARDOWN_PARENT(limit)
{
	EXPECT_EQ(0, knob_restore(&self->limit));
}

/* Pages that all objects hold, but for those held before the test. */
static long used(const struct object *o, uint64_t before)
{
	return (long)(object_info(o).used - before) / getpagesize();
}

/* Put bytes in the first pages of the object; how many went in. */
static ssize_t fill(const struct object *o, size_t pages)
{
	size_t length = pages * getpagesize();
	char bytes[length];

	memset(bytes, 'a', length);
	return pwrite(o->fd, bytes, length, 0);
}

TEST_F(limit, shared_store_over_it_is_sigbus_at_its_address)
{
	char *p = object_map(&self->o, 16 * self->page, RW, MAP_SHARED);
	char *over;

	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < 4; i++)
		EXPECT_NO_TRAP(trap_store(p + i * self->page, 1));
	over = p + 9 * self->page + 123;
	EXPECT_TRAP(trap_store(over, 1), SIGBUS, BUS_ADRERR, over);
	EXPECT_EQ(4, object_resident(&self->o));
	EXPECT_EQ(4, used(&self->o, self->before));
}

TEST_F(limit, loads_of_holes_over_it_are_sigbus_at_their_address)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		char *p = object_map(&self->o, 16 * self->page, RW, flags);
		char *over = p + 4 * self->page + self->page - 1;

		ASSERT_NE(MAP_FAILED, p);
		for (int i = 0; i < 4; i++)
			EXPECT_NO_TRAP(trap_load(p + i * self->page));
		EXPECT_TRAP(trap_load(over), SIGBUS, BUS_ADRERR, over);
	}
	EXPECT_EQ(4, object_resident(&self->o));
}

TEST_F(limit, raising_it_makes_the_failed_touch_go_through)
{
	char *p = object_map(&self->o, 16 * self->page, RW, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(4 * self->page, fill(&self->o, 4));
	EXPECT_TRAP(trap_store(p + 4 * self->page, 7), SIGBUS, BUS_ADRERR,
		    p + 4 * self->page);
	ASSERT_EQ(0, limit_set(&self->limit, self->before + 5 * self->page));
	EXPECT_NO_TRAP(trap_store(p + 4 * self->page, 7));
	EXPECT_EQ(7, object_byte(&self->o, 4 * self->page));
	EXPECT_EQ('a', p[0]);
}

TEST_F(limit, writing_over_it_is_enospc_when_nothing_fits)
{
	ASSERT_EQ(4 * self->page, fill(&self->o, 4));
	ASSERT_EQ(0, object_resize(&self->o, 4 * self->page));
	ASSERT_EQ(0, lseek(self->o.fd, 0, SEEK_END) - 4 * self->page);
	EXPECT_EQ(-1, write(self->o.fd, "b", 1));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(4 * self->page, object_size(&self->o));
	EXPECT_EQ(4 * self->page, lseek(self->o.fd, 0, SEEK_CUR));
	EXPECT_EQ(4, object_resident(&self->o));
	/* What is there can be written still. */
	EXPECT_EQ(1, pwrite(self->o.fd, "b", 1, self->page));
	EXPECT_EQ('b', object_byte(&self->o, self->page));
}

TEST_F(limit, writing_over_it_is_cut_short_when_some_fits)
{
	size_t from = self->page / 2;
	size_t room = 4 * self->page - from;

	char bytes[8 * self->page];

	memset(bytes, 'c', sizeof(bytes));
	ASSERT_EQ(0, object_resize(&self->o, 0));
	ASSERT_EQ(from, lseek(self->o.fd, from, SEEK_SET));
	EXPECT_EQ(room, write(self->o.fd, bytes, sizeof(bytes)));
	EXPECT_EQ(4 * self->page, lseek(self->o.fd, 0, SEEK_CUR));
	EXPECT_EQ(4 * self->page, object_size(&self->o));
	EXPECT_EQ(4, object_resident(&self->o));
	EXPECT_EQ('c', object_byte(&self->o, 4 * self->page - 1));
}

TEST_F(limit, info_tells_the_limit_and_what_all_objects_use)
{
	struct object other = object_open(MMAPDEV);
	struct mmapdev_info info;

	ASSERT_GE(other.fd, 0);
	ASSERT_EQ(3 * self->page, fill(&self->o, 3));
	ASSERT_EQ(self->page, fill(&other, 1));
	info = object_info(&self->o);
	EXPECT_EQ(self->before + 4 * self->page, info.limit);
	EXPECT_EQ(self->before + 4 * self->page, info.used);
	EXPECT_EQ(3, info.resident);
	info = object_info(&other);
	EXPECT_EQ(self->before + 4 * self->page, info.used);
	EXPECT_EQ(1, info.resident);
	EXPECT_EQ(info.used, device_total("pages") * self->page);
	EXPECT_EQ(-1, pwrite(other.fd, "", 1, self->page));
	EXPECT_EQ(ENOSPC, errno);
	object_close(&other);
}

TEST_F(limit, shrinking_gives_room_back)
{
	char *p = object_map(&self->o, 16 * self->page, RW, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(4 * self->page, fill(&self->o, 4));
	ASSERT_EQ(0, object_resize(&self->o, self->page + 1));
	EXPECT_EQ(2, used(&self->o, self->before));
	ASSERT_EQ(0, object_resize(&self->o, 16 * self->page));
	EXPECT_NO_TRAP(trap_store(p + 14 * self->page, 1));
	EXPECT_NO_TRAP(trap_store(p + 15 * self->page, 1));
	EXPECT_TRAP(trap_store(p + 3 * self->page, 1), SIGBUS, BUS_ADRERR,
		    p + 3 * self->page);
}

TEST_F(limit, closing_gives_room_back)
{
	struct object other = object_open(MMAPDEV);

	ASSERT_GE(other.fd, 0);
	ASSERT_EQ(4 * self->page, fill(&other, 4));
	EXPECT_EQ(-1, fill(&self->o, 1));
	EXPECT_EQ(ENOSPC, errno);
	object_close(&other);
	EXPECT_EQ(0, used(&self->o, self->before));
	EXPECT_EQ(self->page, fill(&self->o, 1));
}

TEST_F(limit, last_unmapping_of_a_closed_object_gives_room_back)
{
	struct object other = object_open(MMAPDEV);
	char *p;

	ASSERT_GE(other.fd, 0);
	p = object_map(&other, 4 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 1, 4 * self->page);
	object_close(&other);
	EXPECT_EQ(4, used(&self->o, self->before));
	ASSERT_EQ(0, munmap(p, 3 * self->page));
	EXPECT_EQ(4, used(&self->o, self->before));
	ASSERT_EQ(0, munmap(p + 3 * self->page, self->page));
	EXPECT_EQ(0, used(&self->o, self->before));
	EXPECT_EQ(self->page, fill(&self->o, 1));
}

TEST_F(limit, lowering_it_below_what_is_used_keeps_what_is_there)
{
	char *p = object_map(&self->o, 16 * self->page, RW, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(4 * self->page, fill(&self->o, 4));
	ASSERT_EQ(0, limit_set(&self->limit, self->before + 2 * self->page));
	EXPECT_EQ(4, used(&self->o, self->before));
	EXPECT_TRUE(bytes_are(p, 'a', 4 * self->page));
	EXPECT_NO_TRAP(trap_store(p + 3 * self->page, 'b'));
	/* Room for the next page comes only below the new limit. */
	ASSERT_EQ(0, object_resize(&self->o, 2 * self->page));
	ASSERT_EQ(0, object_resize(&self->o, 16 * self->page));
	EXPECT_TRAP(trap_store(p + 5 * self->page, 1), SIGBUS, BUS_ADRERR,
		    p + 5 * self->page);
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	ASSERT_EQ(0, object_resize(&self->o, 16 * self->page));
	EXPECT_NO_TRAP(trap_store(p + 5 * self->page, 1));
}

/* A page is used whole: a limit of one byte less has room for one page less. */
TEST_F(limit, part_of_a_page_is_no_room_for_a_page)
{
	ASSERT_EQ(0, limit_set(&self->limit,
			       self->before + 4 * self->page - 1));
	EXPECT_EQ(3 * self->page, fill(&self->o, 4));
	EXPECT_EQ(self->before + 4 * self->page - 1,
		  object_info(&self->o).limit);
}

TEST_F(limit, zero_means_none)
{
	ASSERT_EQ(0, limit_set(&self->limit, 0));
	EXPECT_EQ(0, object_info(&self->o).limit);
	EXPECT_EQ(16 * self->page, fill(&self->o, 16));
	EXPECT_EQ(16, used(&self->o, self->before));
}

/* The copies are anonymous memory, which the kernel accounts for. */
TEST_F(limit, private_copies_do_not_count)
{
	char *p = object_map(&self->o, 16 * self->page, RW, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(4 * self->page, fill(&self->o, 4));
	for (int i = 0; i < 16; i++)	/* twelve of them over holes */
		EXPECT_NO_TRAP(trap_store(p + i * self->page, 'b'));
	EXPECT_EQ(4, used(&self->o, self->before));
	EXPECT_EQ(4, object_resident(&self->o));
	EXPECT_EQ('b', p[15 * self->page]);
	EXPECT_EQ('a', object_byte(&self->o, 0));
}

TEST_F(limit, reading_holes_does_not_count)
{
	char bytes[16 * self->page];

	ASSERT_EQ(self->page, fill(&self->o, 1));
	EXPECT_EQ(sizeof(bytes), pread(self->o.fd, bytes, sizeof(bytes), 0));
	EXPECT_TRUE(bytes_are(bytes, 'a', self->page));
	EXPECT_TRUE(bytes_are(bytes + self->page, 0, 15 * self->page));
	EXPECT_EQ(1, used(&self->o, self->before));
}

TEST_F(limit, values_are_bytes_with_k_m_or_g)
{
	static const struct { const char *text; long long bytes; } good[] = {
		{ "12345", 12345 }, { "64K", 64 << 10 }, { "3M\n", 3 << 20 },
		{ "2G", 2LL << 30 }, { "0x1000", 0x1000 },
		{ "18446744073709551615", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		char text[32] = "";

		EXPECT_EQ(0, knob_set(&self->limit, LIMIT_KNOB, good[i].text));
		EXPECT_EQ(0, file_read(LIMIT_KNOB, text, sizeof(text)));
		EXPECT_EQ(good[i].bytes, (long long)strtoull(text, NULL, 10));
		EXPECT_EQ(good[i].bytes,
			  (long long)object_info(&self->o).limit);
	}
}

TEST_F(limit, values_that_are_not_are_einval_and_change_nothing)
{
	static const char *const bad[] = { "-1", "K", " 1", "1KB", "1 ", "\n",
					   "many" };
	uint64_t limit = object_info(&self->o).limit;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, knob_set(&self->limit, LIMIT_KNOB, bad[i]));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(limit, object_info(&self->o).limit);
}

/* Cut down to 64 bits these would be 0, no limit at all, and 1. */
TEST_F(limit, values_over_64_bits_are_erange_and_change_nothing)
{
	static const char *const bad[] = { "17179869184G",
					   "18446744073709551616",
					   "18446744073709551617" };
	uint64_t limit = object_info(&self->o).limit;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, knob_set(&self->limit, LIMIT_KNOB, bad[i]));
		EXPECT_EQ(ERANGE, errno);
	}
	EXPECT_EQ(limit, object_info(&self->o).limit);
}

/* Durable pages count once they differ from the store, until they are in it. */
FIXTURE(durable_limit) {
	struct durable d;
	size_t page;
	struct knob limit;
};

FIXTURE_VARIANT(durable_limit) {
	enum durable_kind kind;
};

DURABLE_VARIANT(durable_limit, mmapdev_memory, .kind = MEMORY);
DURABLE_VARIANT(durable_limit, mmapdev_on_tmpfs, .kind = ON_TMPFS);

FIXTURE_SETUP(durable_limit)
{
	self->page = getpagesize();
	self->d = durable_new(variant->kind, 16 * self->page, 0);
	ASSERT_GE(self->d.fd, 0);
	ASSERT_EQ(0, durable_fill(&self->d, 16));
	ASSERT_EQ(0, limit_set(&self->limit, durable_info(&self->d).used +
			       4 * self->page));
}

FIXTURE_TEARDOWN_PARENT(durable_limit)
{
	EXPECT_EQ(0, knob_restore(&self->limit));
}

TEST_F(durable_limit, store_over_it_is_sigbus_and_write_no_space)
{
	uint64_t used = durable_info(&self->d).used;
	char *p = mmap(NULL, 16 * self->page, RW, MAP_SHARED, self->d.fd, 0);
	char *over;

	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < 16; i++)	/* loads count for nothing */
		EXPECT_EQ('a' + i, p[i * self->page]);
	for (int i = 0; i < 3; i++)
		EXPECT_NO_TRAP(trap_store(p + i * self->page, 'x'));
	ASSERT_EQ(0, page_write(self->d.fd, 3, 'x'));
	EXPECT_EQ(used + 4 * self->page, durable_info(&self->d).used);
	over = p + 9 * self->page + 123;
	EXPECT_TRAP(trap_store(over, 'x'), SIGBUS, BUS_ADRERR, over);
	errno = 0;
	EXPECT_EQ(-1, page_write(self->d.fd, 4, 'x'));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_STREQ("ddddcccc", durable_states(&self->d, 8));
	EXPECT_STREQ("???xefghijklmnop", file_bytes(self->d.fd));

	/* What is synced gives its room back. */
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(used, durable_info(&self->d).used);
	EXPECT_NO_TRAP(trap_store(over, 'x'));
	ASSERT_EQ(0, page_write(self->d.fd, 4, 'x'));
	/* So does what a power cut takes. */
	EXPECT_EQ(2, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_EQ(used, durable_info(&self->d).used);
	EXPECT_STREQ("???xefghijklmnop", file_bytes(self->d.fd));
}

/* What a flush replaced in memory is kept for a while, and in nobody's way. */
TEST_F(durable_limit, what_a_flush_replaced_does_not_count)
{
	uint64_t used = durable_info(&self->d).used;
	struct object o = object_open(MMAPDEV);

	ASSERT_EQ(0, object_resize(&o, 16 * self->page));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, page_write(self->d.fd, i, 'x'));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(used, durable_info(&self->d).used);
	EXPECT_EQ(4 * (ssize_t)self->page, fill(&o, 4));
	object_close(&o);
}

/* Touch a page where a huge one would fit, and give it back, again and again. */
static int touch_on(void *arg, struct turn *t)
{
	struct pollfd stop = { .fd = t->wait, .events = POLLIN };
	struct object o = object_open(OBJFILE);
	char *p;

	if (object_resize(&o, huge_bytes()))
		return 1;
	p = address_aligned(huge_bytes(), huge_bytes());
	p = object_map_at(&o, p, huge_bytes(), RW, MAP_SHARED | MAP_FIXED, 0);
	if (p == MAP_FAILED || madvise(p, huge_bytes(), MADV_HUGEPAGE) ||
	    turn_done(t))
		return 2;
	while (!poll(&stop, 1, 0)) {
		for (int i = 0; i < 100; i++) {
			*(volatile char *)p = 1;
			if (madvise(p, getpagesize(), MADV_REMOVE))
				return 3;
		}
	}
	return 0;
}

/*
 * Three pages are room for a process with one and one with two, even while the
 * first asks for more pages than there are, and does not get them.
 */
TEST_F(limit, asking_for_too_much_takes_no_room_from_others)
{
	int rounds = slow_kernel() ? 1000 : 20000;
	struct child c;

	if (!huge_bytes())
		return;
	ASSERT_EQ(0, limit_set(&self->limit, self->before + 3 * self->page));
	c = child_start(touch_on, NULL);
	ASSERT_EQ(0, child_done(&c));
	for (int i = 0; i < rounds; i++) {
		ASSERT_EQ(2 * self->page, fill(&self->o, 2))
			TH_LOG("round %d", i);
		ASSERT_EQ(0, object_resize(&self->o, 0));
	}
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
}

#define ROOM	(16 << 20)

TEST_HARNESS_MAIN
