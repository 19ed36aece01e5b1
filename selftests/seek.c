// SPDX-License-Identifier: GPL-2.0
/*
 * lseek(2): positions, and the exact bounds of data and holes.
 */
#include "kselftest_harness.h"

#include "bytes.h"
#include "device.h"

OBJECT_FIXTURE(seek);
FILE_VARIANTS(seek);

#define EXPECT_SEEK_FAILS(expected, offset, whence) do {		\
	EXPECT_EQ(-1, lseek(self->o.fd, offset, whence));		\
	EXPECT_EQ(expected, errno);					\
} while (0)

#define EXPECT_SEEK(expected, offset, whence)				\
	EXPECT_EQ((off_t)(expected), lseek(self->o.fd, offset, whence))

TEST_F(seek, positions_count_from_start_position_and_end)
{
	ASSERT_EQ(0, object_resize(&self->o, 1000));
	EXPECT_SEEK(10, 10, SEEK_SET);
	EXPECT_SEEK(15, 5, SEEK_CUR);
	EXPECT_SEEK(0, -15, SEEK_CUR);
	EXPECT_SEEK(1000, 0, SEEK_END);
	EXPECT_SEEK(900, -100, SEEK_END);
	EXPECT_SEEK(5000, 4000, SEEK_END);	/* past the end is a position */
	EXPECT_SEEK(1LL << 50, 1LL << 50, SEEK_SET);
	EXPECT_EQ(1000, object_size(&self->o));
}

TEST_F(seek, negative_positions_and_unknown_origins_are_einval)
{
	ASSERT_EQ(0, object_resize(&self->o, 1000));
	EXPECT_SEEK(10, 10, SEEK_SET);
	EXPECT_SEEK_FAILS(EINVAL, -1, SEEK_SET);
	EXPECT_SEEK_FAILS(EINVAL, -11, SEEK_CUR);
	EXPECT_SEEK_FAILS(EINVAL, -1001, SEEK_END);
	EXPECT_SEEK_FAILS(EINVAL, INT64_MIN, SEEK_SET);
	EXPECT_SEEK_FAILS(EINVAL, 0, 5);
	EXPECT_SEEK_FAILS(EINVAL, 0, -1);
	EXPECT_SEEK(10, 0, SEEK_CUR);
}

TEST_F(seek, data_and_holes_at_or_past_the_end_are_enxio)
{
	off_t offsets[] = { 1000, 1001, 1LL << 40, -1, INT64_MIN };

	ASSERT_EQ(0, object_resize(&self->o, 1000));
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, 0));
	EXPECT_SEEK(10, 10, SEEK_SET);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		EXPECT_SEEK_FAILS(ENXIO, offsets[i], SEEK_DATA);
		EXPECT_SEEK_FAILS(ENXIO, offsets[i], SEEK_HOLE);
	}
	EXPECT_SEEK(10, 0, SEEK_CUR);
}

TEST_F(seek, empty_object_has_neither_data_nor_holes)
{
	ASSERT_EQ(0, object_resize(&self->o, 0));
	EXPECT_SEEK_FAILS(ENXIO, 0, SEEK_DATA);
	EXPECT_SEEK_FAILS(ENXIO, 0, SEEK_HOLE);
	EXPECT_SEEK(0, 0, SEEK_END);
}

TEST_F(seek, object_of_holes_has_no_data)
{
	ASSERT_EQ(0, object_resize(&self->o, 1ULL << 40));
	EXPECT_SEEK_FAILS(ENXIO, 0, SEEK_DATA);
	EXPECT_SEEK(0, 0, SEEK_HOLE);
	EXPECT_SEEK(12345, 12345, SEEK_HOLE);
	EXPECT_EQ(0, object_resident(&self->o));
}

/* The end of file is a hole. */
TEST_F(seek, object_full_of_data_has_its_hole_at_the_end)
{
	size_t size = 200 * self->page;

	ASSERT_EQ(0, object_fill(&self->o, 200, 1));
	EXPECT_SEEK(0, 0, SEEK_DATA);
	EXPECT_SEEK(12345, 12345, SEEK_DATA);
	EXPECT_SEEK(size, 0, SEEK_HOLE);
	EXPECT_SEEK(size, 1, SEEK_HOLE);
	EXPECT_SEEK(size, self->page, SEEK_HOLE);
	EXPECT_SEEK(size, size - 1, SEEK_HOLE);
}

TEST_F(seek, first_page_alone_has_its_hole_after_it)
{
	ASSERT_EQ(0, object_fill(&self->o, 1, 1));
	ASSERT_EQ(0, object_resize(&self->o, 4 * self->page));
	EXPECT_SEEK(0, 0, SEEK_DATA);
	EXPECT_SEEK(self->page, 0, SEEK_HOLE);
	EXPECT_SEEK(self->page, 17, SEEK_HOLE);
	EXPECT_SEEK_FAILS(ENXIO, self->page, SEEK_DATA);
}

TEST_F(seek, hole_after_a_last_page_that_is_not_whole_is_the_end)
{
	size_t size = 2 * self->page + 100;

	ASSERT_EQ(0, object_fill(&self->o, 3, 1));
	ASSERT_EQ(0, object_resize(&self->o, size));
	EXPECT_SEEK(size, 0, SEEK_HOLE);
	EXPECT_SEEK(size, size - 1, SEEK_HOLE);
	EXPECT_SEEK(size - 1, size - 1, SEEK_DATA);
	EXPECT_SEEK_FAILS(ENXIO, size, SEEK_HOLE);
}

/* Runs of data, as [from, to) in pages, in an object that ends in a hole. */
static const struct run {
	size_t from;
	size_t to;
} runs[] = {
	{ 1, 2 }, { 3, 4 }, { 5, 9 }, { 63, 65 }, { 128, 192 }, { 300, 301 },
	{ 4095, 4098 }, { 1 << 20, (1 << 20) + 1 },
};

#define END_OF_RUNS	((1 << 20) + 64)

TEST_F(seek, data_and_holes_are_found_at_every_page)
{
	size_t page = self->page, hole = 0;

	ASSERT_EQ(0, object_resize(&self->o, END_OF_RUNS * page));
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
		for (size_t at = runs[i].from; at < runs[i].to; at++)
			ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, at * page));

	for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
		off_t from = runs[i].from * page, to = runs[i].to * page;
		off_t before = hole * page;

		/* From each end of the hole before the run, and its middle. */
		EXPECT_SEEK(from, before, SEEK_DATA);
		EXPECT_SEEK(from, before + 1, SEEK_DATA);
		EXPECT_SEEK(from, from - 1, SEEK_DATA);
		EXPECT_SEEK(before, before, SEEK_HOLE);
		EXPECT_SEEK(before + 1, before + 1, SEEK_HOLE);
		EXPECT_SEEK(from - 1, from - 1, SEEK_HOLE);
		/* From every page of the run, and the byte before its end. */
		for (off_t at = from; at < to; at += page) {
			EXPECT_SEEK(at, at, SEEK_DATA);
			EXPECT_SEEK(to, at, SEEK_HOLE);
		}
		EXPECT_SEEK(to - 1, to - 1, SEEK_DATA);
		EXPECT_SEEK(to, to - 1, SEEK_HOLE);
		hole = runs[i].to;
	}
	EXPECT_SEEK_FAILS(ENXIO, hole * page, SEEK_DATA);
	EXPECT_SEEK(hole * page, hole * page, SEEK_HOLE);
}

TEST_F(seek, pages_that_mappings_touch_are_data)
{
	volatile char *p;

	ASSERT_EQ(0, object_resize(&self->o, 8 * self->page));
	p = object_map(&self->o, 8 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, (void *)p);
	p[2 * self->page] = 1;
	EXPECT_EQ(0, p[6 * self->page]);
	EXPECT_SEEK(2 * self->page, 0, SEEK_DATA);
	EXPECT_SEEK(3 * self->page, 2 * self->page, SEEK_HOLE);
	EXPECT_SEEK(6 * self->page, 3 * self->page, SEEK_DATA);
	EXPECT_SEEK(7 * self->page, 6 * self->page, SEEK_HOLE);
}

TEST_F(seek, found_offset_is_the_position_to_read_from)
{
	char byte;

	ASSERT_EQ(0, object_resize(&self->o, 8 * self->page));
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, 5 * self->page));
	EXPECT_SEEK(5 * self->page, 0, SEEK_DATA);
	EXPECT_EQ(1, read(self->o.fd, &byte, 1));
	EXPECT_EQ('a', byte);
	EXPECT_SEEK(5 * self->page + 1, 0, SEEK_CUR);
}

TEST_HARNESS_MAIN
