// SPDX-License-Identifier: GPL-2.0
/*
 * Fresh memory is zero and appears only as it is touched.
 */
#include "harness.h"

#include "backend.h"
#include "trap.h"

static bool all_zero(const volatile unsigned char *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

OBJECT_FIXTURE(zero_fill);
MEMORY_VARIANTS(zero_fill);

TEST_F(zero_fill, shared_pages_read_as_zero)
{
	size_t length = 16 * self->page;
	unsigned char *p;

	ASSERT_EQ(0, object_size_for(&self->o, length));
	p = object_map(&self->o, length, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(all_zero(p, length));
}

TEST_F(zero_fill, private_pages_read_as_zero)
{
	size_t length = 16 * self->page;
	unsigned char *p;

	ASSERT_EQ(0, object_size_for(&self->o, length));
	p = object_map(&self->o, length, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(all_zero(p, length));
}

/* A page that is first written must be zero around what was written. */
TEST_F(zero_fill, rest_of_a_first_written_page_is_zero)
{
	int flags[] = { MAP_SHARED, MAP_PRIVATE };

	for (int i = 0; i < 2; i++) {
		unsigned char *p;

		ASSERT_EQ(0, object_size_for(&self->o, 8 * self->page));
		p = object_map(&self->o, 8 * self->page, RW, flags[i]);
		ASSERT_NE(MAP_FAILED, p);
		p[3 * self->page + 100] = 1;
		EXPECT_TRUE(all_zero(p + 3 * self->page, 100));
		EXPECT_EQ(1, p[3 * self->page + 100]);
		EXPECT_TRUE(all_zero(p + 3 * self->page + 101,
				     self->page - 101));
		p[3 * self->page + 100] = 0;
	}
}

OBJECT_FIXTURE(zero_regrow);
FILE_VARIANTS(zero_regrow);

/* Shrinking drops bytes for good: growing again must not show them. */
TEST_F(zero_regrow, dropped_bytes_do_not_come_back)
{
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, 4 * self->page));
	p = object_map(&self->o, 4 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 0xa5, 4 * self->page);
	ASSERT_EQ(0, object_resize(&self->o, self->page + 10));
	ASSERT_EQ(0, object_resize(&self->o, 4 * self->page));
	EXPECT_EQ(0xa5, p[self->page + 9]);
	EXPECT_TRUE(all_zero(p + self->page + 10, 3 * self->page - 10));
}

/*
 * A machine that just booted has zeros everywhere: leave bytes in the pages
 * that will be handed out next.
 */
TEST_F(zero_regrow, pages_that_held_bytes_come_back_as_zero)
{
	size_t length = 8 << 20;
	int flags[] = { MAP_SHARED, MAP_PRIVATE };

	for (int i = 0; i < 2; i++) {
		unsigned char *p;

		ASSERT_EQ(0, object_resize(&self->o, length));
		p = object_map(&self->o, length, RW, MAP_SHARED);
		ASSERT_NE(MAP_FAILED, p);
		memset(p, 0xa5, length);
		ASSERT_EQ(0, object_resize(&self->o, 0));
		ASSERT_EQ(0, munmap(p, length));
		ASSERT_EQ(0, object_resize(&self->o, length));
		p = object_map(&self->o, length, RW, flags[i]);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_TRUE(all_zero(p, length));
		ASSERT_EQ(0, munmap(p, length));
	}
}

OBJECT_FIXTURE(demand_paging);
FILE_VARIANTS(demand_paging);

TEST_F(demand_paging, mapping_a_tebibyte_allocates_nothing)
{
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, 1ULL << 40));
	p = object_map(&self->o, 1ULL << 40, RW, MAP_SHARED | MAP_NORESERVE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, object_resident(&self->o));
}

TEST_F(demand_paging, pages_appear_as_they_are_touched)
{
	size_t places[] = { 0, 7, 1000, (1UL << 28) - 1 };	/* in pages */
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, 1ULL << 40));
	p = object_map(&self->o, 1ULL << 40, RW, MAP_SHARED | MAP_NORESERVE);
	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < 4; i++) {
		p[places[i] * self->page] = 1;
		EXPECT_EQ(i + 1, object_resident(&self->o));
	}
}

/* memfd leaves a page behind; mmapdev promises not to. */
TEST_F(demand_paging, private_write_over_a_hole_leaves_no_page_in_mmapdev)
{
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, 4 * self->page));
	p = object_map(&self->o, 4 * self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	p[0] = 1;
	p[2 * self->page] = 1;
	EXPECT_EQ(is_mmapdev(variant->kind) ? 0 : 2, object_resident(&self->o));
}

TEST_HARNESS_MAIN
