// SPDX-License-Identifier: GPL-2.0
/*
 * fallocate(2): pages before they are touched, holes where pages were, zeros;
 * exact bytes, exact sizes, exact numbers of pages.
 */
#include "harness.h"

#include <linux/falloc.h>

#include "bytes.h"
#include "device.h"
#include "file_limit.h"
#include "trap.h"

#ifndef FALLOC_FL_UNSHARE_RANGE
#define FALLOC_FL_UNSHARE_RANGE	0x40
#endif

#define KEEP	FALLOC_FL_KEEP_SIZE
#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO_IT	FALLOC_FL_ZERO_RANGE

#define PAGES	4

/* Are these the object's size and its number of pages? */
#define EXPECT_SIZE_AND_PAGES(size, pages) do {				\
	EXPECT_EQ(size, object_size(&self->o));				\
	EXPECT_EQ(pages, object_resident(&self->o));			\
} while (0)

OBJECT_FIXTURE(allocate);
REGULAR_VARIANTS(allocate);

TEST_F(allocate, makes_pages_of_zeros_and_grows)
{
	size_t size = 100 + 2 * self->page;
	unsigned char *p;

	ASSERT_EQ(0, fallocate(self->o.fd, 0, 100, 2 * self->page));
	EXPECT_SIZE_AND_PAGES(size, 3);
	p = object_map(&self->o, 3 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(bytes_are(p, 0, 3 * self->page));
	p[size - 1] = 'x';
	EXPECT_EQ('x', object_byte(&self->o, size - 1));
	EXPECT_SIZE_AND_PAGES(size, 3);
}

TEST_F(allocate, fills_holes_and_keeps_bytes)
{
	unsigned char *p;

	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
	ASSERT_EQ(0, fallocate(self->o.fd, PUNCH, self->page, self->page));
	EXPECT_EQ(PAGES - 1, object_resident(&self->o));
	ASSERT_EQ(0, fallocate(self->o.fd, 0, 0, 3 * self->page));
	EXPECT_SIZE_AND_PAGES(PAGES * self->page, PAGES);
	p = object_map(&self->o, PAGES * self->page, PROT_READ, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(page_is(p, 'a'));
	EXPECT_TRUE(page_is(p + self->page, 0));
	EXPECT_TRUE(page_is(p + 2 * self->page, 'c'));
	EXPECT_TRUE(page_is(p + 3 * self->page, 'd'));
}

TEST_F(allocate, again_changes_nothing)
{
	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
	ASSERT_EQ(0, fallocate(self->o.fd, 0, 10, self->page));
	ASSERT_EQ(0, fallocate(self->o.fd, KEEP, 0, PAGES * self->page));
	EXPECT_SIZE_AND_PAGES(PAGES * self->page, PAGES);
	for (int i = 0; i < PAGES; i++) {
		EXPECT_EQ('a' + i, object_byte(&self->o, i * self->page));
	}
}

TEST_F(allocate, past_the_end_keeps_the_size_if_told_so)
{
	unsigned char *p;

	ASSERT_EQ(0, object_fill(&self->o, 2, 'a'));
	ASSERT_EQ(0, fallocate(self->o.fd, KEEP, 2 * self->page,
			       2 * self->page));
	EXPECT_SIZE_AND_PAGES(2 * self->page, 4);
	p = object_map(&self->o, 4 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRAP(trap_load(p + 2 * self->page), SIGBUS, BUS_ADRERR,
		    p + 2 * self->page);
	EXPECT_EQ(-1, object_byte(&self->o, 2 * self->page));

	ASSERT_EQ(0, object_resize(&self->o, 3 * self->page));
	EXPECT_EQ(4, object_resident(&self->o));
	EXPECT_TRUE(page_is(p + 2 * self->page, 0));
	/* What is past the end goes when the end moves down. */
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	EXPECT_SIZE_AND_PAGES(self->page, 1);
}

/* Bytes that a mapping left past the end must not show when it has grown. */
TEST_F(allocate, grows_with_zeros)
{
	unsigned char *p;

	ASSERT_EQ(0, object_fill(&self->o, 2, 'a'));
	ASSERT_EQ(0, object_resize(&self->o, 100));
	p = object_map(&self->o, 2 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	if (is_mmapdev(variant->kind))	/* others let it in on some kernels */
		memset(p + 100, 'x', self->page - 100);
	ASSERT_EQ(0, fallocate(self->o.fd, 0, 0, 2 * self->page));
	EXPECT_SIZE_AND_PAGES(2 * self->page, 2);
	EXPECT_TRUE(bytes_are(p, 'a', 100));
	EXPECT_TRUE(bytes_are(p + 100, 0, 2 * self->page - 100));
}

TEST_F(allocate, under_private_copies_leaves_them)
{
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
	p = object_map(&self->o, PAGES * self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	p[self->page] = 'z';
	ASSERT_EQ(0, fallocate(self->o.fd, 0, 0, PAGES * self->page));
	EXPECT_EQ(PAGES, object_resident(&self->o));
	EXPECT_EQ('z', p[self->page]);
	EXPECT_EQ(0, object_byte(&self->o, self->page));
}

TEST_F(allocate, is_posix_fallocate)
{
	ASSERT_EQ(0, posix_fallocate(self->o.fd, self->page, self->page));
	EXPECT_SIZE_AND_PAGES(2 * self->page, 1);
}

OBJECT_FIXTURE(punch);
REGULAR_VARIANTS(punch);

/* What an object of pages from 'a' on has once a range of it was zeroed. */
static bool bytes_follow_but(const unsigned char *p, size_t pages, size_t from,
			     size_t to)
{
	size_t page = getpagesize();

	for (size_t i = 0; i < pages * page; i++)
		if (p[i] != (i >= from && i < to ? 0 : 'a' + i / page))
			return false;
	return true;
}

/* How many whole pages are in the range. */
static long whole_pages(size_t from, size_t to)
{
	size_t page = getpagesize();

	from = (from + page - 1) / page;
	to /= page;
	return to > from ? to - from : 0;
}

/* Each range between any two of these, at and around pages' bounds. */
#define BOUNDS(page) { 0, 1, (page) / 2, (page) - 1, (page), (page) + 1,	\
	2 * (page) - 1, 2 * (page), 3 * (page) + 7, 4 * (page) - 1, 4 * (page) }

TEST_F(punch, drops_whole_pages_and_zeroes_parts)
{
	size_t bounds[] = BOUNDS(self->page);
	unsigned char *p;

	p = object_map(&self->o, PAGES * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++)
		for (size_t j = i + 1; j < ARRAY_SIZE(bounds); j++) {
			size_t from = bounds[i], to = bounds[j];

			ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
			EXPECT_TRUE(bytes_follow_but(p, PAGES, 0, 0));
			ASSERT_EQ(0, fallocate(self->o.fd, PUNCH, from,
					       to - from));
			EXPECT_SIZE_AND_PAGES(PAGES * self->page, PAGES -
					      whole_pages(from, to));
			EXPECT_TRUE(bytes_follow_but(p, PAGES, from, to))
				TH_LOG("from %zu to %zu", from, to);
		}
}

TEST_F(punch, hole_is_read_without_a_mapping_and_written_again)
{
	unsigned char bytes[PAGES * self->page];

	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
	ASSERT_EQ(0, fallocate(self->o.fd, PUNCH, self->page,
			       2 * self->page));
	EXPECT_EQ(2, object_resident(&self->o));
	EXPECT_EQ(sizeof(bytes),
		  pread(self->o.fd, bytes, sizeof(bytes), 0));
	EXPECT_TRUE(bytes_follow_but(bytes, PAGES, self->page,
				     3 * self->page));
	EXPECT_EQ(2, object_resident(&self->o));
	EXPECT_EQ(self->page, lseek(self->o.fd, 0, SEEK_HOLE));
	EXPECT_EQ(3 * self->page, lseek(self->o.fd, self->page, SEEK_DATA));
	EXPECT_EQ(1, pwrite(self->o.fd, "x", 1, self->page + 5));
	EXPECT_EQ(3, object_resident(&self->o));
	EXPECT_EQ('x', object_byte(&self->o, self->page + 5));
	EXPECT_EQ(0, object_byte(&self->o, self->page + 6));
}

TEST_F(punch, mapped_pages_are_zero_at_once_and_can_be_stored_to)
{
	unsigned char *p, *q;

	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
	p = object_map(&self->o, PAGES * self->page, RW, MAP_SHARED);
	q = object_map(&self->o, PAGES * self->page, PROT_READ, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_TRUE(pages_follow(p, PAGES));
	EXPECT_TRUE(pages_follow(q, PAGES));
	ASSERT_EQ(0, fallocate(self->o.fd, PUNCH, self->page, self->page));
	EXPECT_TRUE(page_is(q + self->page, 0));
	p[self->page + 1] = 'x';
	EXPECT_EQ('x', q[self->page + 1]);
	EXPECT_EQ('x', object_byte(&self->o, self->page + 1));
	EXPECT_EQ(0, p[self->page]);
	EXPECT_EQ(PAGES, object_resident(&self->o));
}

/* A private copy is not the object's to drop, as it is when it shrinks. */
TEST_F(punch, private_copies_stay)
{
	unsigned char *p;

	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
	p = object_map(&self->o, PAGES * self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(pages_follow(p, PAGES));
	p[self->page] = 'z';
	p[3 * self->page + 10] = 'y';
	ASSERT_EQ(0, fallocate(self->o.fd, PUNCH, 0,
			       3 * self->page + 100));
	EXPECT_EQ('z', p[self->page]);
	EXPECT_TRUE(bytes_are(p + self->page + 1, 'b', self->page - 1));
	EXPECT_TRUE(page_is(p, 0));
	EXPECT_TRUE(page_is(p + 2 * self->page, 0));
	EXPECT_EQ('y', p[3 * self->page + 10]);
	EXPECT_TRUE(bytes_are(p + 3 * self->page + 11, 'd', self->page - 11));
}

TEST_F(punch, at_and_past_the_end_of_file_changes_no_size)
{
	size_t size = 3 * self->page + 100;
	unsigned char *p;

	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
	ASSERT_EQ(0, object_resize(&self->o, size));
	ASSERT_EQ(0, fallocate(self->o.fd, PUNCH, size, 10 * self->page));
	ASSERT_EQ(0, fallocate(self->o.fd, PUNCH, 1LL << 40, 1));
	EXPECT_SIZE_AND_PAGES(size, PAGES);
	ASSERT_EQ(0, fallocate(self->o.fd, PUNCH, size - 50, self->page));
	EXPECT_SIZE_AND_PAGES(size, PAGES);
	p = object_map(&self->o, size, PROT_READ, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(pages_follow(p, 3));
	EXPECT_TRUE(bytes_are(p + 3 * self->page, 'd', 50));
	EXPECT_TRUE(bytes_are(p + size - 50, 0, 50));
	/* All of the last page, seen from its start. */
	ASSERT_EQ(0, fallocate(self->o.fd, PUNCH, 3 * self->page,
			       INT64_MAX / 2));
	EXPECT_SIZE_AND_PAGES(size, 3);
}

TEST_F(punch, of_pages_allocated_past_the_end_drops_them)
{
	ASSERT_EQ(0, fallocate(self->o.fd, KEEP, 0, 8 * self->page));
	EXPECT_SIZE_AND_PAGES(0, 8);
	ASSERT_EQ(0, fallocate(self->o.fd, PUNCH, 2 * self->page,
			       4 * self->page));
	EXPECT_SIZE_AND_PAGES(0, 4);
}

TEST_F(punch, madvise_remove_is_the_same)
{
	unsigned char *p, *q;

	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
	/* By the offset in the object, not in the mapping. */
	p = object_map_at(&self->o, NULL, 2 * self->page, RW, MAP_SHARED,
			  2 * self->page);
	q = object_map(&self->o, PAGES * self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	q[2 * self->page] = 'z';
	ASSERT_EQ(0, madvise(p, self->page, MADV_REMOVE));
	EXPECT_SIZE_AND_PAGES(PAGES * self->page, PAGES - 1);
	EXPECT_TRUE(page_is(p, 0));
	EXPECT_TRUE(page_is(p + self->page, 'd'));
	EXPECT_EQ('z', q[2 * self->page]);
	EXPECT_EQ('b', object_byte(&self->o, self->page));

	EXPECT_EQ(-1, madvise(q, self->page, MADV_REMOVE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ('a', object_byte(&self->o, 0));
}

/* tmpfs has none of this. */
OBJECT_FIXTURE(zero_range);
OBJECT_VARIANT(zero_range, object_file, OBJFILE);

TEST_F(zero_range, zeroes_exactly_the_range_and_leaves_no_hole_in_it)
{
	size_t bounds[] = BOUNDS(self->page);
	unsigned char *p;

	p = object_map(&self->o, PAGES * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++)
		for (size_t j = i + 1; j < ARRAY_SIZE(bounds); j++) {
			size_t from = bounds[i], to = bounds[j];
			int mode = j % 2 ? ZERO_IT : ZERO_IT | KEEP;

			ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
			EXPECT_TRUE(bytes_follow_but(p, PAGES, 0, 0));
			ASSERT_EQ(0, fallocate(self->o.fd, mode, from,
					       to - from));
			EXPECT_SIZE_AND_PAGES(PAGES * self->page, PAGES);
			EXPECT_TRUE(bytes_follow_but(p, PAGES, from, to))
				TH_LOG("from %zu to %zu", from, to);
		}
}

TEST_F(zero_range, grows_unless_told_to_keep_the_size)
{
	ASSERT_EQ(0, object_fill(&self->o, 1, 'a'));
	ASSERT_EQ(0, fallocate(self->o.fd, ZERO_IT | KEEP, 100,
			       2 * self->page));
	EXPECT_SIZE_AND_PAGES(self->page, 3);
	EXPECT_EQ('a', object_byte(&self->o, 99));
	EXPECT_EQ(0, object_byte(&self->o, 100));
	ASSERT_EQ(0, fallocate(self->o.fd, ZERO_IT, 3 * self->page, 10));
	EXPECT_SIZE_AND_PAGES(3 * self->page + 10, 4);
	EXPECT_EQ(0, object_byte(&self->o, 3 * self->page + 9));
}

TEST_F(zero_range, fills_holes)
{
	ASSERT_EQ(0, object_resize(&self->o, 8 * self->page));
	ASSERT_EQ(0, fallocate(self->o.fd, ZERO_IT, self->page + 1,
			       self->page));
	EXPECT_SIZE_AND_PAGES(8 * self->page, 2);
}

TEST_F(zero_range, private_copies_stay)
{
	unsigned char *p;

	ASSERT_EQ(0, object_fill(&self->o, 2, 'a'));
	p = object_map(&self->o, 2 * self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ('b', p[self->page]);
	p[0] = 'z';
	ASSERT_EQ(0, fallocate(self->o.fd, ZERO_IT, 0, 2 * self->page));
	EXPECT_EQ('z', p[0]);
	EXPECT_TRUE(bytes_are(p + 1, 'a', self->page - 1));
	EXPECT_TRUE(page_is(p + self->page, 0));
}

/* Calls that must fail do, and leave four pages of 'a' to 'd' as they were. */
FIXTURE(refused) {
	struct object o;
	size_t page;
};

FIXTURE_VARIANT(refused) {
	enum backend_kind kind;
};

FIXTURE_SETUP(refused)
{
	self->page = getpagesize();
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
}

FIXTURE_TEARDOWN(refused)
{
	unsigned char *p = object_map(&self->o, PAGES * self->page, PROT_READ,
				      MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_SIZE_AND_PAGES(PAGES * self->page, PAGES);
	EXPECT_TRUE(pages_follow(p, PAGES));
	object_close(&self->o);
}

REGULAR_VARIANTS(refused);

#define EXPECT_REFUSED(expected, fd, mode, offset, length) do {		\
	errno = 0;							\
	EXPECT_EQ(-1, fallocate(fd, mode, offset, length));		\
	EXPECT_EQ(expected, errno);					\
} while (0)

TEST_F(refused, modes_that_are_not_known_are_eopnotsupp)
{
	int modes[] = { FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
			FALLOC_FL_UNSHARE_RANGE,
			FALLOC_FL_UNSHARE_RANGE | KEEP, 0x4, 0x1000,
			FALLOC_FL_PUNCH_HOLE, PUNCH | ZERO_IT };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_REFUSED(EOPNOTSUPP, self->o.fd, modes[i], 0, self->page);
	}
}

TEST_F(refused, ranges_that_are_none_are_einval)
{
	int modes[] = { 0, KEEP, PUNCH };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_REFUSED(EINVAL, self->o.fd, modes[i], 0, 0);
		EXPECT_REFUSED(EINVAL, self->o.fd, modes[i], 0, -1);
		EXPECT_REFUSED(EINVAL, self->o.fd, modes[i], -1, 2);
		EXPECT_REFUSED(EINVAL, self->o.fd, modes[i], INT64_MIN, 1);
	}
}

TEST_F(refused, ranges_past_the_largest_offset_are_efbig)
{
	int modes[] = { 0, KEEP, PUNCH };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_REFUSED(EFBIG, self->o.fd, modes[i], INT64_MAX, 1);
		EXPECT_REFUSED(EFBIG, self->o.fd, modes[i], 1, INT64_MAX);
	}
	if (variant->kind == OBJFILE) {
		off_t max = object_info(&self->o).max_size;

		EXPECT_REFUSED(EFBIG, self->o.fd, 0, max, 1);
		EXPECT_REFUSED(EFBIG, self->o.fd, KEEP, max, 1);
		EXPECT_REFUSED(EFBIG, self->o.fd, ZERO_IT, max - 1, 2);
		EXPECT_EQ(0, fallocate(self->o.fd, KEEP, max - 1, 1));
		EXPECT_EQ(PAGES + 1, object_resident(&self->o));
		EXPECT_EQ(0, fallocate(self->o.fd, PUNCH, max - self->page,
				       self->page));
	}
}

TEST_F(refused, descriptors_that_only_read_are_ebadf)
{
	int modes[] = { 0, KEEP, PUNCH };
	struct object reader = object_open_flags(variant->kind, O_RDONLY);

	ASSERT_GE(reader.fd, 0);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_REFUSED(EBADF, reader.fd, modes[i], 0, self->page);
	}
	EXPECT_EQ(0, object_resident(&reader));
	object_close(&reader);
}

TEST_F(refused, growing_over_rlimit_fsize_is_efbig_and_sigxfsz)
{
	size_t size = PAGES * self->page;

	ASSERT_EQ(0, limit_file_size(size + 100));
	EXPECT_REFUSED(EFBIG, self->o.fd, 0, size, 101);
	EXPECT_TRUE(sigxfsz_sent());
	EXPECT_SIZE_AND_PAGES(size, PAGES);
	EXPECT_EQ(0, fallocate(self->o.fd, PUNCH, size, 10 * self->page));
	EXPECT_EQ(0, fallocate(self->o.fd, 0, size, 100));
	EXPECT_FALSE(sigxfsz_sent());
	EXPECT_SIZE_AND_PAGES(size + 100, PAGES + 1);
	EXPECT_EQ(0, object_resize(&self->o, size));
}

TEST_HARNESS_MAIN
