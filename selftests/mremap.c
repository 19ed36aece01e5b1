// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings that grow, shrink, move and lose parts: what they show follows the
 * object, and private copies go where the mapping goes.
 */
#include "harness.h"

#include "address.h"
#include "backend.h"
#include "bytes.h"
#include "procfs.h"
#include "trap.h"

#define OBJECT_PAGES	8

/* An object of eight pages of 'a' to 'h', and room for mappings of it. */
FIXTURE(mremap) {
	struct object o;
	size_t page;
	unsigned char *from;	/* each is the start of a hole of eight pages */
	unsigned char *to;
};

FIXTURE_VARIANT(mremap) {
	enum backend_kind kind;
};

FIXTURE_SETUP(mremap)
{
	self->page = getpagesize();
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_fill(&self->o, OBJECT_PAGES, 'a'));
	self->from = address_hole(OBJECT_PAGES * self->page);
	self->to = address_hole(OBJECT_PAGES * self->page);
	ASSERT_NE(MAP_FAILED, self->from);
	ASSERT_NE(MAP_FAILED, self->to);
}

FIXTURE_TEARDOWN(mremap)
{
	object_close(&self->o);
}

FILE_VARIANTS(mremap);

/* Map pages of the object, from its page first on, at an address. */
static void *map_pages(const struct object *o, void *at, size_t first,
		       size_t pages, int flags)
{
	size_t page = getpagesize();

	return object_map_at(o, at, pages * page, RW, flags | MAP_FIXED,
			     first * page);
}

#define EXPECT_UNMAPPED(at)						\
	EXPECT_TRAP(trap_load(at), SIGSEGV, SEGV_MAPERR, at)

TEST_F(mremap, grows_in_place)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = map_pages(&self->o, self->from, 0, 4, flags);

		ASSERT_EQ(self->from, p);
		EXPECT_TRUE(pages_follow(p, 4));
		ASSERT_EQ(p, mremap(p, 4 * self->page, 8 * self->page, 0));
		EXPECT_EQ(1, maps_lines(p, 8 * self->page, NULL));
		EXPECT_TRUE(pages_follow(p, 8));
		EXPECT_NO_TRAP(trap_store(p + 7 * self->page, 'z'));
		EXPECT_EQ(flags == MAP_SHARED ? 'z' : 'h',
			  object_byte(&self->o, 7 * self->page));
		p[7 * self->page] = 'h';
		ASSERT_EQ(0, munmap(p, 8 * self->page));
	}
}

TEST_F(mremap, grows_past_the_end_of_file_into_sigbus)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = map_pages(&self->o, self->from, 6, 2, flags);
		unsigned char *past = p + 2 * self->page;

		ASSERT_EQ(self->from, p);
		ASSERT_EQ(p, mremap(p, 2 * self->page, 3 * self->page, 0));
		EXPECT_TRUE(page_is(p + self->page, 'h'));
		EXPECT_TRAP(trap_load(past), SIGBUS, BUS_ADRERR, past);
		ASSERT_EQ(0, munmap(p, 3 * self->page));
	}
}

TEST_F(mremap, grows_elsewhere_only_if_it_may_move)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = map_pages(&self->o, self->from, 0, 4, flags);
		unsigned char *q;

		ASSERT_EQ(self->from, p);
		ASSERT_NE(MAP_FAILED, map_pages(&self->o, p + 4 * self->page,
						7, 1, MAP_SHARED));
		EXPECT_EQ(MAP_FAILED, mremap(p, 4 * self->page, 8 * self->page,
					     0));
		EXPECT_EQ(ENOMEM, errno);
		q = mremap(p, 4 * self->page, 8 * self->page, MREMAP_MAYMOVE);
		ASSERT_NE(MAP_FAILED, q);
		ASSERT_NE(p, q);
		EXPECT_TRUE(pages_follow(q, 8));
		EXPECT_UNMAPPED(p);
		EXPECT_UNMAPPED(p + 4 * self->page - 1);
		EXPECT_TRUE(page_is(p + 4 * self->page, 'h'));
	}
}

TEST_F(mremap, shrinking_unmaps_the_tail)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = map_pages(&self->o, self->from, 0, 8, flags);

		ASSERT_EQ(self->from, p);
		EXPECT_TRUE(pages_follow(p, 8));
		ASSERT_EQ(p, mremap(p, 8 * self->page, 3 * self->page, 0));
		EXPECT_TRUE(pages_follow(p, 3));
		EXPECT_UNMAPPED(p + 3 * self->page);
		EXPECT_UNMAPPED(p + 8 * self->page - 1);
		EXPECT_EQ('h', object_byte(&self->o, 7 * self->page));
	}
}

TEST_F(mremap, fixed_moves_and_replaces_what_was_there)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = map_pages(&self->o, self->from, 0, 4, flags);

		ASSERT_EQ(self->from, p);
		ASSERT_EQ(self->to, map_pages(&self->o, self->to, 4, 4,
					      MAP_SHARED));
		EXPECT_TRUE(page_is(self->to, 'e'));
		ASSERT_EQ(self->to, mremap(p, 4 * self->page, 4 * self->page,
					   MREMAP_MAYMOVE | MREMAP_FIXED,
					   self->to));
		EXPECT_TRUE(pages_follow(self->to, 4));
		EXPECT_UNMAPPED(p);
		EXPECT_EQ('e', object_byte(&self->o, 4 * self->page));
	}
}

TEST_F(mremap, moves_a_part_and_splits_the_mapping)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = map_pages(&self->o, self->from, 0, 4, flags);

		ASSERT_EQ(self->from, p);
		ASSERT_EQ(self->to, mremap(p + self->page, self->page,
					   self->page,
					   MREMAP_MAYMOVE | MREMAP_FIXED,
					   self->to));
		EXPECT_TRUE(page_is(self->to, 'b'));
		EXPECT_UNMAPPED(p + self->page);
		EXPECT_TRUE(page_is(p, 'a'));
		EXPECT_TRUE(page_is(p + 2 * self->page, 'c'));
		EXPECT_EQ(2, maps_lines(p, 4 * self->page, NULL));
	}
}

TEST_F(mremap, private_copies_move_with_the_mapping)
{
	unsigned char *p = map_pages(&self->o, self->from, 0, 4, MAP_PRIVATE);

	ASSERT_EQ(self->from, p);
	memset(p + self->page, 'z', self->page);
	ASSERT_EQ(self->to, mremap(p, 4 * self->page, 8 * self->page,
				   MREMAP_MAYMOVE | MREMAP_FIXED, self->to));
	EXPECT_TRUE(page_is(self->to + self->page, 'z'));
	memset(self->to + self->page, 'b', self->page);
	EXPECT_TRUE(pages_follow(self->to, 8));
	EXPECT_EQ('b', object_byte(&self->o, self->page));
}

TEST_F(mremap, dontunmap_leaves_the_old_range_to_fault_afresh)
{
	size_t length = 4 * self->page;

	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = map_pages(&self->o, self->from, 0, 4, flags);

		ASSERT_EQ(self->from, p);
		memset(p + self->page, 'z', self->page);
		ASSERT_EQ(self->to, mremap(p, length, length,
					   MREMAP_MAYMOVE | MREMAP_FIXED |
					   MREMAP_DONTUNMAP, self->to));
		EXPECT_EQ(0, pagemap_present(p, 4));
		EXPECT_TRUE(page_is(self->to + self->page, 'z'));
		EXPECT_TRUE(page_is(p + self->page,
				    flags == MAP_SHARED ? 'z' : 'b'));
		EXPECT_TRUE(page_is(p + 3 * self->page, 'd'));
		memset(p + self->page, 'b', self->page);
	}
}

TEST_F(mremap, old_size_zero_maps_shared_pages_again)
{
	unsigned char *p = map_pages(&self->o, self->from, 2, 4, MAP_SHARED);

	ASSERT_EQ(self->from, p);
	ASSERT_EQ(self->to, mremap(p, 0, 2 * self->page,
				   MREMAP_MAYMOVE | MREMAP_FIXED, self->to));
	EXPECT_TRUE(page_is(self->to, 'c'));
	EXPECT_TRUE(page_is(self->to + self->page, 'd'));
	EXPECT_TRUE(page_is(p, 'c'));
	self->to[0] = 'z';
	EXPECT_EQ('z', p[0]);
}

TEST_F(mremap, old_size_zero_is_refused_for_private_pages)
{
	unsigned char *p = map_pages(&self->o, self->from, 0, 4, MAP_PRIVATE);

	ASSERT_EQ(self->from, p);
	EXPECT_EQ(MAP_FAILED, mremap(p, 0, self->page, MREMAP_MAYMOVE));
	EXPECT_EQ(EINVAL, errno);
}

#define EXPECT_REFUSED(error, ...) do {					\
	EXPECT_EQ(MAP_FAILED, mremap(__VA_ARGS__));			\
	EXPECT_EQ(error, errno);					\
} while (0)

TEST_F(mremap, bad_arguments_are_refused)
{
	const int fixed = MREMAP_MAYMOVE | MREMAP_FIXED;
	size_t page = self->page;
	unsigned char *p = map_pages(&self->o, self->from, 0, 4, MAP_SHARED);

	ASSERT_EQ(self->from, p);
	EXPECT_REFUSED(EINVAL, p + 1, page, page, MREMAP_MAYMOVE);
	EXPECT_REFUSED(EINVAL, p, page, 0, MREMAP_MAYMOVE);
	EXPECT_REFUSED(EINVAL, p, page, page, 1 << 10);
	EXPECT_REFUSED(EINVAL, p, page, page, MREMAP_FIXED, self->to);
	EXPECT_REFUSED(EINVAL, p, page, page, fixed, self->to + 1);
	EXPECT_REFUSED(EINVAL, p, 2 * page, 2 * page, fixed, p + page);
	EXPECT_REFUSED(EINVAL, p, page, 2 * page,
		       fixed | MREMAP_DONTUNMAP, self->to);
	EXPECT_REFUSED(EFAULT, self->to, page, 2 * page, MREMAP_MAYMOVE);
	EXPECT_REFUSED(EFAULT, p, 5 * page, 6 * page, MREMAP_MAYMOVE);
	EXPECT_TRUE(pages_follow(p, 4));
	EXPECT_EQ(1, maps_lines(p, 4 * page, NULL));
}

/* Unmap pages [first, end) of eight: the others stay as they are. */
static void check_munmap(struct __test_metadata *_metadata,
			 const struct object *o, unsigned char *p, int flags,
			 int first, int end)
{
	size_t page = getpagesize();
	unsigned char *kept = p + (first ? 0 : 7) * page;
	unsigned char old;

	ASSERT_EQ(p, map_pages(o, p, 0, 8, flags));
	old = *kept;
	*kept = 'z';
	ASSERT_EQ(0, munmap(p + first * page, (end - first) * page));
	EXPECT_EQ('z', *kept);
	*kept = old;
	for (int i = 0; i < 8; i++) {
		unsigned char *at = p + i * page;

		if (i >= first && i < end) {
			EXPECT_UNMAPPED(at);
			EXPECT_UNMAPPED(at + page - 1);
		} else {
			EXPECT_TRUE(page_is(at, 'a' + i));
		}
		EXPECT_EQ('a' + i, object_byte(o, i * page));
	}
}

TEST_F(mremap, munmap_of_the_head_keeps_the_rest)
{
	FOR_SHARED_AND_PRIVATE(flags)
		check_munmap(_metadata, &self->o, self->from, flags, 0, 3);
}

TEST_F(mremap, munmap_of_the_middle_keeps_the_rest)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		check_munmap(_metadata, &self->o, self->from, flags, 3, 5);
		EXPECT_EQ(2, maps_lines(self->from, 8 * self->page, NULL));
	}
}

TEST_F(mremap, munmap_of_the_tail_keeps_the_rest)
{
	FOR_SHARED_AND_PRIVATE(flags)
		check_munmap(_metadata, &self->o, self->from, flags, 5, 8);
}

TEST_F(mremap, remap_file_pages_permutes_shared_pages)
{
	static const int order[] = { 3, 1, 0, 2 };
	unsigned char *p = map_pages(&self->o, self->from, 0, 4, MAP_SHARED);

	ASSERT_EQ(self->from, p);
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, remap_file_pages(p + i * self->page, self->page, 0,
					      order[i], 0));
	}
	for (int i = 0; i < 4; i++) {
		EXPECT_TRUE(page_is(p + i * self->page, 'a' + order[i]));
	}
	p[0] = 'z';
	EXPECT_EQ('z', object_byte(&self->o, 3 * self->page));
	ASSERT_EQ(0, remap_file_pages(p, 4 * self->page, 0, 4, 0));
	for (int i = 0; i < 4; i++) {
		EXPECT_TRUE(page_is(p + i * self->page, 'e' + i));
	}
	EXPECT_EQ(1, maps_lines(p, 4 * self->page, NULL));
}

TEST_F(mremap, remap_file_pages_of_private_pages_is_refused)
{
	unsigned char *p = map_pages(&self->o, self->from, 0, 4, MAP_PRIVATE);

	ASSERT_EQ(self->from, p);
	EXPECT_EQ(-1, remap_file_pages(p, self->page, 0, 3, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_TRUE(pages_follow(p, 4));
}

TEST_F(mremap, remap_file_pages_cannot_change_the_protection)
{
	unsigned char *p = map_pages(&self->o, self->from, 0, 4, MAP_SHARED);

	ASSERT_EQ(self->from, p);
	EXPECT_EQ(-1, remap_file_pages(p, self->page, PROT_READ, 3, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_TRUE(pages_follow(p, 4));
}

TEST_HARNESS_MAIN
