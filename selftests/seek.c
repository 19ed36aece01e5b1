// SPDX-License-Identifier: GPL-2.0
/*
 * lseek(2): positions, and the exact bounds of data and holes; of durable
 * objects, too, as beside them a file of ext4 has them.
 */
#include "harness.h"

#include <linux/falloc.h>

#include "bytes.h"
#include "device.h"
#include "drop_caches.h"
#include "durable.h"

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

/*
 * Where lseek() has to find data ('d') or a hole ('.') from an offset on, by a
 * map of all pages; -1: nowhere.
 */
static off_t map_next(const char *map, off_t size, off_t at, char kind)
{
	off_t page = getpagesize();
	const char *next = strchr(map + at / page, kind);

	if (!next)
		return kind == '.' ? size : -1;
	return next - map > at / page ? (next - map) * page : at;
}

/* How lseek() differs from a map, from the ends of each page: "" if nowhere. */
static const char *map_differs(int fd, const char *map)
{
	off_t page = getpagesize(), size = file_size(fd);
	static char text[96];

	if ((size + page - 1) / page != (off_t)strlen(map))
		return "another size";
	for (off_t at = 0; at < size; at += at % page ? 1 : page - 1) {
		for (const char *kind = "d."; *kind; kind++) {
			off_t want = map_next(map, size, at, *kind);
			off_t got = lseek(fd, at, *kind == 'd' ? SEEK_DATA
							       : SEEK_HOLE);

			if (got == want && (got >= 0 || errno == ENXIO))
				continue;
			snprintf(text, sizeof(text),
				 "%c from %#llx: %#llx, not %#llx", *kind,
				 (long long)at, (long long)got,
				 (long long)want);
			return text;
		}
	}
	return "";
}

/* Let clean pages leave the memory. */
static int reclaim(void *p, size_t length)
{
	return madvise(p, length, MADV_DONTNEED) || drop_caches("1");
}

/* In memory or not, that is where data and holes are. */
#define EXPECT_MAP(map) do {						\
	EXPECT_STREQ("", map_differs(self->d.fd, map));			\
	ASSERT_EQ(0, reclaim(self->p, self->length));			\
	EXPECT_STREQ("", map_differs(self->d.fd, map));			\
} while (0)

static int punch(const struct durable *d, size_t first, size_t pages)
{
	size_t page = getpagesize();

	return fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 first * page, pages * page);
}

/* What nobody has synced is seen, and undone by a power cut. */
DURABLE_FIXTURE(seek_unsynced);
ALL_KINDS(seek_unsynced);

TEST_F(seek_unsynced, punched_pages_are_holes)
{
	EXPECT_MAP("dddddddd");
	ASSERT_EQ(0, punch(&self->d, 2, 3));
	EXPECT_MAP("dd...ddd");
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_MAP("dddddddd");
}

TEST_F(seek_unsynced, loads_from_a_hole_leave_it_a_hole)
{
	ASSERT_EQ(0, punch(&self->d, 2, 3));
	EXPECT_STREQ("ab000fgh", file_bytes(self->d.fd));
	EXPECT_TRUE(page_is(self->p + 3 * self->page, 0));
	EXPECT_MAP("dd...ddd");
}

TEST_F(seek_unsynced, store_into_a_hole_is_data_dirty_or_written_back)
{
	ASSERT_EQ(0, punch(&self->d, 2, 3));
	self->p[3 * self->page] = 'x';
	EXPECT_MAP("dd.d.ddd");
	ASSERT_EQ(0, sync_file_range(self->d.fd, 0, self->length,
				     SYNC_FILE_RANGE_WRITE |
				     SYNC_FILE_RANGE_WAIT_AFTER));
	EXPECT_MAP("dd.d.ddd");
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_MAP("dddddddd");
}

TEST_F(seek_unsynced, growth_is_a_hole_but_for_what_is_stored_there)
{
	size_t size = 12 * self->page + 100;

	ASSERT_EQ(0, ftruncate(self->d.fd, size));
	EXPECT_MAP("dddddddd.....");
	ASSERT_EQ(1, pwrite(self->d.fd, "x", 1, 10 * self->page));
	EXPECT_MAP("dddddddd..d..");
	ASSERT_EQ(1, pwrite(self->d.fd, "x", 1, size - 1));
	EXPECT_MAP("dddddddd..d.d");
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_MAP("dddddddd");
}

TEST_F(seek_unsynced, shrink_and_growth_leave_a_hole)
{
	ASSERT_EQ(0, ftruncate(self->d.fd, 3 * self->page + 100));
	EXPECT_MAP("dddd");
	ASSERT_EQ(0, ftruncate(self->d.fd, self->length));
	EXPECT_MAP("dddd....");
	self->p[6 * self->page] = 'x';
	EXPECT_MAP("dddd..d.");
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_MAP("dddddddd");
}

/* A hole, one page in a hole, and the same behind the old end: 0, or -1. */
static int make_holes(const struct durable *d, unsigned char *p)
{
	if (punch(d, 2, 3) || ftruncate(d->fd, 12 * getpagesize()))
		return -1;
	p[3 * getpagesize()] = 'x';
	return page_write(d->fd, 10, 'x');
}

/* Where holes are kept, a sync changes nothing. */
DURABLE_FIXTURE(seek_synced);
DURABLE_VARIANT(seek_synced, mmapdev_memory, .kind = MEMORY);
DURABLE_VARIANT(seek_synced, ext4, .kind = EXT4);

TEST_F(seek_synced, holes_and_data_stay_where_they_are)
{
	ASSERT_EQ(0, make_holes(&self->d, self->p));
	EXPECT_MAP("dd.d.ddd..d.");
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_MAP("dd.d.ddd..d.");
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_MAP("dd.d.ddd..d.");
}

TEST_F(seek_synced, later_holes_and_data_are_undone_among_them)
{
	ASSERT_EQ(0, make_holes(&self->d, self->p));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, punch(&self->d, 0, 3));
	self->p[4 * self->page] = 'x';
	EXPECT_MAP("...ddddd..d.");
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_MAP("dd.d.ddd..d.");
}

/* A file that is a store is data up to its end, whatever holes it has. */
DURABLE_FIXTURE(seek_file_store);
DURABLE_VARIANT(seek_file_store, mmapdev_on_tmpfs, .kind = ON_TMPFS);
DURABLE_VARIANT(seek_file_store, mmapdev_on_ext4, .kind = ON_EXT4);

TEST_F(seek_file_store, holes_are_data_once_they_are_in_the_file)
{
	ASSERT_EQ(0, make_holes(&self->d, self->p));
	EXPECT_MAP("dd.d.ddd..d.");
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_MAP("dddddddddddd");
	ASSERT_EQ(0, punch(&self->d, 0, 3));
	EXPECT_MAP("...ddddddddd");
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_MAP("dddddddddddd");
}

TEST_F(seek_file_store, file_of_holes_is_data)
{
	struct durable d = durable_new(variant->kind, self->length, 0);

	ASSERT_GE(d.fd, 0);
	EXPECT_STREQ("", map_differs(d.fd, "dddddddd"));
	durable_close(&d);
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
