// SPDX-License-Identifier: GPL-2.0
/*
 * Where memory ends: at the end of file, at the end of its last page, and at
 * the end of the mapping, and what happens to mappings when the end moves.
 */
#include "harness.h"

#include "address.h"
#include "backend.h"
#include "bytes.h"
#include "trap.h"

#define END	2200	/* an end of file within the first page */

OBJECT_FIXTURE(end_of_file);
FILE_VARIANTS(end_of_file);

/* END bytes of 0xa5, mapped for two pages with nothing mapped after them. */
static unsigned char *map_two_pages(const struct object *o, int flags)
{
	size_t page = getpagesize();
	unsigned char *p = address_hole(4 * page);
	unsigned char bytes[END];

	memset(bytes, 0xa5, END);
	if (p == MAP_FAILED || object_resize(o, END) ||
	    pwrite(o->fd, bytes, END, 0) != END)
		return MAP_FAILED;
	return object_map_at(o, p, 2 * page, RW, flags | MAP_FIXED, 0);
}

TEST_F(end_of_file, last_page_is_zero_past_it)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = map_two_pages(&self->o, flags);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_TRUE(bytes_are(p, 0xa5, END));
		EXPECT_TRUE(bytes_are(p + END, 0, self->page - END));
	}
}

TEST_F(end_of_file, stores_past_it_never_reach_read)
{
	unsigned char bytes[2 * self->page];

	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = map_two_pages(&self->o, flags);

		ASSERT_NE(MAP_FAILED, p);
		memset(p + END, 0x5a, self->page - END);
		EXPECT_EQ(0x5a, p[self->page - 1]);
		EXPECT_EQ(END, object_size(&self->o));
		EXPECT_EQ(END, pread(self->o.fd, bytes, sizeof(bytes), 0));
		EXPECT_EQ(0, pread(self->o.fd, bytes, sizeof(bytes), END));
		ASSERT_EQ(0, lseek(self->o.fd, 0, SEEK_SET));
		EXPECT_EQ(END, read(self->o.fd, bytes, sizeof(bytes)));
		EXPECT_EQ(0, read(self->o.fd, bytes, sizeof(bytes)));
	}
}

TEST_F(end_of_file, page_past_it_gives_sigbus)
{
	size_t places[] = { 0, 1, 2049, self->page - 1 };

	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = map_two_pages(&self->o, flags);

		ASSERT_NE(MAP_FAILED, p);
		for (int i = 0; i < 4; i++) {
			unsigned char *at = p + self->page + places[i];

			EXPECT_TRAP(trap_load(at), SIGBUS, BUS_ADRERR, at);
			EXPECT_TRAP(trap_store(at, 1), SIGBUS, BUS_ADRERR, at);
		}
	}
}

TEST_F(end_of_file, page_past_the_mapping_gives_sigsegv)
{
	size_t places[] = { 0, 1, 2049, self->page - 1 };

	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = map_two_pages(&self->o, flags);

		ASSERT_NE(MAP_FAILED, p);
		for (int i = 0; i < 4; i++) {
			unsigned char *at = p + 2 * self->page + places[i];

			EXPECT_TRAP(trap_load(at), SIGSEGV, SEGV_MAPERR, at);
			EXPECT_TRAP(trap_store(at, 1), SIGSEGV, SEGV_MAPERR,
				    at);
		}
	}
}

TEST_F(end_of_file, length_is_rounded_up_to_pages)
{
	unsigned char *hole = address_hole(4 * self->page);
	unsigned char *end = hole + 2 * self->page;

	ASSERT_NE(MAP_FAILED, hole);
	ASSERT_EQ(0, object_resize(&self->o, 4 * self->page));
	FOR_SHARED_AND_PRIVATE(flags) {
		ASSERT_EQ(hole, object_map_at(&self->o, hole,
					      self->page + 1904, RW,
					      flags | MAP_FIXED, 0));
		EXPECT_NO_TRAP(trap_store(hole + self->page + 1904, 1));
		EXPECT_NO_TRAP(trap_store(end - 1, 1));
		EXPECT_TRAP(trap_load(end), SIGSEGV, SEGV_MAPERR, end);
	}
}

TEST_F(end_of_file, object_of_size_zero_is_all_past_it)
{
	ASSERT_EQ(0, object_resize(&self->o, 0));
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, self->page, RW, flags);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_TRAP(trap_load(p), SIGBUS, BUS_ADRERR, p);
		EXPECT_TRAP(trap_store(p + 1, 1), SIGBUS, BUS_ADRERR, p + 1);
	}
	EXPECT_EQ(0, object_resident(&self->o));
}

TEST_F(end_of_file, mapping_may_lie_wholly_past_it)
{
	ASSERT_EQ(0, object_resize(&self->o, END));
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map_at(&self->o, NULL, self->page,
						 RW, flags, 4 * self->page);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_TRAP(trap_load(p), SIGBUS, BUS_ADRERR, p);
		EXPECT_TRAP(trap_store(p, 1), SIGBUS, BUS_ADRERR, p);
	}
}

/* The kernel's own accesses fail with an error, without a signal. */
TEST_F(end_of_file, system_call_past_it_fails_with_efault)
{
	int zero = open("/dev/zero", O_RDWR);
	int ends[2];

	ASSERT_GE(zero, 0);
	ASSERT_EQ(0, pipe(ends));
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = map_two_pages(&self->o, flags);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(-1, read(zero, p + self->page, 1));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-1, write(ends[1], p + self->page, 1));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(1, read(zero, p, 1));
		EXPECT_EQ(0, p[0]);
	}
	close(zero);
}

OBJECT_FIXTURE(shrink);
FILE_VARIANTS(shrink);

TEST_F(shrink, touched_pages_past_the_new_end_give_sigbus)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p;

		ASSERT_EQ(0, object_fill(&self->o, 4, 'a'));
		p = object_map(&self->o, 4 * self->page, RW, flags);
		ASSERT_NE(MAP_FAILED, p);
		for (int i = 0; i < 4; i++) {
			EXPECT_TRUE(page_is(p + i * self->page, 'a' + i));
		}
		ASSERT_EQ(0, object_resize(&self->o, 2 * self->page));
		for (int i = 2; i < 4; i++) {
			unsigned char *at = p + i * self->page + 7;

			EXPECT_TRAP(trap_load(at), SIGBUS, BUS_ADRERR, at);
			EXPECT_TRAP(trap_store(at, 1), SIGBUS, BUS_ADRERR, at);
		}
		EXPECT_TRUE(page_is(p, 'a'));
		EXPECT_TRUE(page_is(p + self->page, 'b'));
		EXPECT_EQ(2, object_resident(&self->o));
	}
}

/* A copy is memory of the process alone, but lives by the object's size. */
TEST_F(shrink, private_copies_past_the_new_end_are_gone)
{
	unsigned char *p;

	ASSERT_EQ(0, object_fill(&self->o, 4, 'a'));
	p = object_map(&self->o, 4 * self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'z', 4 * self->page);
	ASSERT_EQ(0, object_resize(&self->o, 2 * self->page));
	for (int i = 2; i < 4; i++) {
		unsigned char *at = p + i * self->page;

		EXPECT_TRAP(trap_load(at), SIGBUS, BUS_ADRERR, at);
		EXPECT_TRAP(trap_store(at, 1), SIGBUS, BUS_ADRERR, at);
	}
	EXPECT_TRUE(bytes_are(p, 'z', 2 * self->page));
	ASSERT_EQ(0, object_resize(&self->o, 4 * self->page));
	EXPECT_TRUE(bytes_are(p + 2 * self->page, 0, 2 * self->page));
}

TEST_F(shrink, private_copies_over_holes_are_gone)
{
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, 4 * self->page));
	p = object_map(&self->o, 4 * self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'z', 4 * self->page);
	ASSERT_EQ(0, object_resize(&self->o, 1));
	for (int i = 1; i < 4; i++) {
		unsigned char *at = p + i * self->page;

		EXPECT_TRAP(trap_load(at), SIGBUS, BUS_ADRERR, at);
	}
	EXPECT_TRUE(page_is(p, 'z'));
	ASSERT_EQ(0, object_resize(&self->o, 4 * self->page));
	EXPECT_TRUE(bytes_are(p + self->page, 0, 3 * self->page));
}

TEST_F(shrink, last_page_keeps_its_bytes_and_is_zero_past_them)
{
	unsigned char *p;

	ASSERT_EQ(0, object_fill(&self->o, 1, 'a'));
	p = object_map(&self->o, self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(page_is(p, 'a'));
	ASSERT_EQ(0, object_resize(&self->o, END));
	EXPECT_TRUE(bytes_are(p, 'a', END));
	EXPECT_TRUE(bytes_are(p + END, 0, self->page - END));
}

/* The bytes past the end are the process's own: nothing zeroes them. */
TEST_F(shrink, private_copy_of_the_last_page_stays_whole)
{
	unsigned char *p;

	ASSERT_EQ(0, object_fill(&self->o, 1, 'a'));
	p = object_map(&self->o, self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	p[0] = 'z';
	ASSERT_EQ(0, object_resize(&self->o, END));
	EXPECT_EQ('z', p[0]);
	EXPECT_TRUE(bytes_are(p + 1, 'a', self->page - 1));
}

TEST_F(shrink, to_nothing_and_back_leaves_zeros)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p;

		ASSERT_EQ(0, object_fill(&self->o, 2, 'a'));
		p = object_map(&self->o, 2 * self->page, RW, flags);
		ASSERT_NE(MAP_FAILED, p);
		p[self->page] = 'z';
		ASSERT_EQ(0, object_resize(&self->o, 0));
		EXPECT_TRAP(trap_load(p), SIGBUS, BUS_ADRERR, p);
		EXPECT_EQ(0, object_resident(&self->o));
		ASSERT_EQ(0, object_resize(&self->o, 2 * self->page));
		EXPECT_TRUE(bytes_are(p, 0, 2 * self->page));
	}
}

OBJECT_FIXTURE(grow);
FILE_VARIANTS(grow);

TEST_F(grow, new_pages_are_usable_at_once)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p;

		ASSERT_EQ(0, object_resize(&self->o, 0));
		p = object_map(&self->o, 3 * self->page, RW, flags);
		ASSERT_NE(MAP_FAILED, p);
		for (size_t pages = 1; pages < 3; pages++) {
			unsigned char *last = p + (pages - 1) * self->page;
			unsigned char *past = p + pages * self->page;

			EXPECT_TRAP(trap_load(last), SIGBUS, BUS_ADRERR, last);
			ASSERT_EQ(0, object_resize(&self->o,
						   pages * self->page));
			EXPECT_TRUE(page_is(last, 0));
			EXPECT_NO_TRAP(trap_store(last, 1));
			EXPECT_TRAP(trap_load(past), SIGBUS, BUS_ADRERR, past);
		}
	}
}

TEST_F(grow, write_past_the_end_makes_its_page_usable)
{
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, 0));
	p = object_map(&self->o, 3 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRAP(trap_load(p), SIGBUS, BUS_ADRERR, p);
	ASSERT_EQ(1, pwrite(self->o.fd, "x", 1, self->page));
	EXPECT_TRUE(page_is(p, 0));
	EXPECT_EQ('x', p[self->page]);
	EXPECT_TRAP(trap_load(p + 2 * self->page), SIGBUS, BUS_ADRERR,
		    p + 2 * self->page);
}

/*
 * What a mapping stored past the end of file must not become part of the
 * object when it grows. memfd and tmpfs do let it in, on most kernels.
 */
OBJECT_FIXTURE(regrow);
MMAPDEV_VARIANTS(regrow);

TEST_F(regrow, by_resize_zeroes_what_was_stored_past_the_end)
{
	unsigned char *p = map_two_pages(&self->o, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	memset(p + END, 0x5a, self->page - END);
	ASSERT_EQ(0, object_resize(&self->o, 2 * self->page));
	EXPECT_TRUE(bytes_are(p, 0xa5, END));
	EXPECT_TRUE(bytes_are(p + END, 0, 2 * self->page - END));
}

TEST_F(regrow, by_write_zeroes_what_was_stored_past_the_end)
{
	off_t places[] = { self->page - 1, self->page + 10 };

	for (int i = 0; i < 2; i++) {
		unsigned char *p = map_two_pages(&self->o, MAP_SHARED);

		ASSERT_NE(MAP_FAILED, p);
		memset(p + END, 0x5a, self->page - END);
		ASSERT_EQ(1, pwrite(self->o.fd, "x", 1, places[i]));
		EXPECT_EQ(places[i] + 1, object_size(&self->o));
		EXPECT_TRUE(bytes_are(p, 0xa5, END));
		EXPECT_TRUE(bytes_are(p + END, 0, places[i] - END));
		EXPECT_EQ('x', p[places[i]]);
	}
}

/* A write that ends within the old size is no growth: the bytes stay. */
TEST_F(regrow, write_before_the_end_leaves_the_last_page_alone)
{
	unsigned char *p = map_two_pages(&self->o, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	memset(p + END, 0x5a, self->page - END);
	ASSERT_EQ(1, pwrite(self->o.fd, "x", 1, END - 1));
	EXPECT_EQ(END, object_size(&self->o));
	EXPECT_TRUE(bytes_are(p + END, 0x5a, self->page - END));
}

/* Only mmapdev's node has objects to which no size was given. */
OBJECT_FIXTURE(unsized);
OBJECT_VARIANT(unsized, mmapdev, MMAPDEV);

TEST_F(unsized, object_is_usable_up_to_the_largest_offset)
{
	uint64_t size = object_size(&self->o);

	EXPECT_EQ(INT64_MAX / self->page * self->page, size);
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map_at(&self->o, NULL, self->page, RW,
						 flags, size - self->page);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_TRUE(page_is(p, 0));
		ASSERT_EQ(0, munmap(p, self->page));
	}
}

TEST_HARNESS_MAIN
