// SPDX-License-Identifier: GPL-2.0
/*
 * Dense access: which pages an object makes ahead, of what size (mmapdev only),
 * and where they are mapped.
 *
 * A claim of a number of faults is one about page tables, too: a page that is
 * there and mapped gives none.
 */
#include "harness.h"

#include <sys/prctl.h>

#include "bytes.h"
#include "child.h"
#include "device.h"
#include "huge.h"
#include "neighbours.h"
#include "procfs.h"
#include "trap.h"

#define HUGES	8	/* huge pages of the object */

/* An object of HUGES huge pages, empty, and a shared mapping p of it. */
FIXTURE(dense) {
	struct object o;
	size_t page;
	size_t huge;	/* bytes of a huge page */
	size_t per_huge;	/* pages of it */
	size_t length;
	unsigned char *p;
};

FIXTURE_VARIANT(dense) {
	enum backend_kind kind;
};

MMAPDEV_VARIANTS(dense);

FIXTURE_SETUP(dense)
{
	self->page = getpagesize();
	self->huge = huge_bytes();
	if (!self->huge)
		SKIP(return, "no huge pages in this kernel");
	self->per_huge = self->huge / self->page;
	self->length = HUGES * self->huge;
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_resize(&self->o, self->length));
	self->p = object_map(&self->o, self->length, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, self->p);
}

FIXTURE_TEARDOWN(dense)
{
	object_close(&self->o);
}

/* Faults of all kinds but those of private writes. */
static unsigned long faults(const struct object *o)
{
	struct mmapdev_stats s = object_stats(o);

	return s.fault_shared_read + s.fault_shared_write +
	       s.fault_private_read + s.fault_around;
}

/* The order of the folio at an index, or -1. */
static int order_at(const struct object *o, size_t index)
{
	unsigned char state = 0;
	struct mmapdev_pages pages = {
		.offset = index * getpagesize(),
		.count = 1,
		.states = (uintptr_t)&state,
	};

	if (ioctl(o->fd, MMAPDEV_IOC_PAGES, &pages))
		return -2;
	return MMAPDEV_PAGE_ORDER(state);
}

/* Pages in an order that is the same each time: the i-th of n, a power of two. */
static size_t shuffled(size_t i, size_t n)
{
	return (i * 0x9e3779b1UL + 12345) % n;
}

TEST_F(dense, mapping_is_aligned_for_huge_pages)
{
	EXPECT_EQ(0, (uintptr_t)self->p % self->huge);
}

/* As prctl(2) asks for the whole process, whatever madvise(2) said of a mapping. */
TEST_F(dense, nothing_is_made_ahead_where_huge_pages_are_off)
{
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_HUGEPAGE));
	ASSERT_EQ(0, prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	for (size_t i = 0; i < 100; i++)
		self->p[i * self->page] = 1;
	EXPECT_EQ(100, object_resident(&self->o));
	for (size_t i = 0; i < 100; i++)
		EXPECT_EQ(0, order_at(&self->o, i));
	ASSERT_EQ(0, prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
	self->p[self->huge] = 1;
	EXPECT_EQ(100 + self->per_huge, object_resident(&self->o));
}

TEST_F(dense, stores_in_order_come_to_huge_pages)
{
	size_t pages = self->length / self->page;

	for (size_t i = 0; i < pages; i++) {
		ASSERT_EQ(0, self->p[i * self->page + 7]);
		self->p[i * self->page] = i % 251;
	}
	EXPECT_EQ(pages, object_resident(&self->o));
	EXPECT_EQ(0, order_at(&self->o, 0));
	EXPECT_EQ(huge_order(), order_at(&self->o, pages - 1));
	EXPECT_LE(self->length - 2 * self->huge,
		  smaps_bytes(self->p, "FilePmdMapped"));
	EXPECT_GT(64, faults(&self->o));
	for (size_t i = 0; i < pages; i++)
		ASSERT_EQ(i % 251, object_byte(&self->o, i * self->page));
}

TEST_F(dense, loads_in_order_come_to_huge_pages)
{
	size_t pages = self->length / self->page;

	for (size_t i = 0; i < pages; i++)
		ASSERT_TRUE(page_is(self->p + i * self->page, 0));
	EXPECT_EQ(pages, object_resident(&self->o));
	EXPECT_EQ(huge_order(), order_at(&self->o, pages - 1));
	EXPECT_GT(64, faults(&self->o));
}

TEST_F(dense, stores_at_random_fill_what_they_come_to_often)
{
	size_t pages = self->length / self->page;

	for (size_t i = 0; i < pages; i++) {
		size_t at = shuffled(i, pages);

		ASSERT_EQ(0, self->p[at * self->page]);
		self->p[at * self->page] = 1;
	}
	EXPECT_EQ(pages, object_resident(&self->o));
	EXPECT_GT(pages / 2, faults(&self->o));
}

/* Far from each other: one page each, in whatever order. */
TEST_F(dense, third_touch_of_a_block_fills_it_and_what_follows_is_doubled)
{
	self->p[163 * self->page] = 1;
	EXPECT_EQ(1, object_resident(&self->o));
	self->p[170 * self->page] = 1;
	EXPECT_EQ(2, object_resident(&self->o));
	self->p[166 * self->page] = 1;
	EXPECT_EQ(16, object_resident(&self->o));
	EXPECT_EQ(-1, order_at(&self->o, 159));
	EXPECT_EQ(0, order_at(&self->o, 160));
	EXPECT_EQ(2, order_at(&self->o, 164));
	EXPECT_EQ(2, order_at(&self->o, 175));
	EXPECT_EQ(-1, order_at(&self->o, 176));

	self->p[176 * self->page] = 1;
	EXPECT_EQ(24, object_resident(&self->o));
	EXPECT_EQ(3, order_at(&self->o, 183));
	EXPECT_EQ(-1, order_at(&self->o, 184));
}

TEST_F(dense, block_of_single_pages_is_followed_by_one_as_large)
{
	static unsigned char bytes[16 * 65536];
	size_t block = 16 * self->page;

	ASSERT_EQ(block, pwrite(self->o.fd, bytes, block, 0));
	EXPECT_EQ(0, order_at(&self->o, 15));
	self->p[block] = 1;
	EXPECT_EQ(32, object_resident(&self->o));
	EXPECT_EQ(4, order_at(&self->o, 31));
	EXPECT_EQ(-1, order_at(&self->o, 32));

	/* A page less is no reason. */
	ASSERT_EQ(block - self->page, pwrite(self->o.fd, bytes,
					     block - self->page,
					     self->huge + self->page));
	self->p[self->huge + block] = 1;
	EXPECT_EQ(32 + 16, object_resident(&self->o));
}

TEST_F(dense, mapping_of_one_huge_page_is_large_enough)
{
	unsigned char *p = object_map(&self->o, self->huge, RW, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, madvise(p, self->huge, MADV_SEQUENTIAL));
	p[self->page] = 1;
	EXPECT_EQ(16, object_resident(&self->o));
}

TEST_F(dense, touches_far_apart_make_one_page_each)
{
	size_t pages = self->length / self->page;
	size_t step = 32;

	for (size_t i = 0; i < pages / step; i++) {
		size_t at = shuffled(i, pages / step) * step;

		self->p[at * self->page] = 1;
		ASSERT_EQ(i + 1, object_resident(&self->o));
	}
	EXPECT_EQ(0, order_at(&self->o, 0));
	EXPECT_EQ(-1, order_at(&self->o, 1));
}

/* An advice against it keeps every page to itself. */
TEST_F(dense, advice_of_random_access_makes_one_page_each)
{
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_RANDOM));
	for (size_t i = 0; i < 100; i++) {
		self->p[i * self->page] = 1;
		ASSERT_EQ(i + 1, object_resident(&self->o));
	}
}

TEST_F(dense, advice_against_huge_pages_makes_one_page_each)
{
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_NOHUGEPAGE));
	for (size_t i = 0; i < 100; i++) {
		self->p[i * self->page] = 1;
		ASSERT_EQ(i + 1, object_resident(&self->o));
	}
}

TEST_F(dense, advice_for_huge_pages_makes_one_at_once)
{
	size_t at = 3 * self->huge + 5 * self->page;

	ASSERT_EQ(0, madvise(self->p, self->length, MADV_HUGEPAGE));
	self->p[at] = 1;
	EXPECT_EQ(self->per_huge, object_resident(&self->o));
	EXPECT_EQ(huge_order(), order_at(&self->o, at / self->page));
	EXPECT_EQ(self->huge, smaps_bytes(self->p, "FilePmdMapped"));
	self->p[at + self->page] = 1;
	EXPECT_EQ(1, faults(&self->o));
}

TEST_F(dense, advice_of_sequential_access_makes_a_block_at_once)
{
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_SEQUENTIAL));
	self->p[35 * self->page] = 1;
	EXPECT_EQ(16, object_resident(&self->o));
	EXPECT_EQ(-1, order_at(&self->o, 31));
	EXPECT_EQ(4, order_at(&self->o, 32));
	EXPECT_EQ(4, order_at(&self->o, 47));
	EXPECT_EQ(-1, order_at(&self->o, 48));
}

TEST_F(dense, small_mapping_of_a_large_object_makes_one_page_each)
{
	unsigned char *p = object_map(&self->o, self->huge - self->page, RW,
				      MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	for (size_t i = 0; i < 100; i++) {
		p[i * self->page] = 1;
		ASSERT_EQ(i + 1, object_resident(&self->o));
	}
}

/* Nothing is made that the mapping does not reach, or past the end of file. */
TEST_F(dense, pages_ahead_end_with_the_mapping)
{
	size_t pages = self->per_huge + 37;
	unsigned char *p = object_map(&self->o, pages * self->page, RW,
				      MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	for (size_t i = 0; i < pages; i++)
		p[i * self->page] = 1;
	EXPECT_EQ(pages, object_resident(&self->o));
}

TEST_F(dense, pages_ahead_end_with_the_file)
{
	size_t pages = self->per_huge + 37;

	ASSERT_EQ(0, object_resize(&self->o, pages * self->page - 5));
	for (size_t i = 0; i < pages; i++)
		self->p[i * self->page] = 1;
	EXPECT_EQ(pages, object_resident(&self->o));
	EXPECT_TRAP(trap_store(self->p + pages * self->page, 1), SIGBUS,
		    BUS_ADRERR, self->p + pages * self->page);
}

TEST_F(dense, second_mapping_needs_few_faults)
{
	unsigned long before;
	unsigned char *p;

	ASSERT_EQ(0, madvise(self->p, self->length, MADV_HUGEPAGE));
	memset(self->p, 'a', self->length);
	p = object_map(&self->o, self->length, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	before = faults(&self->o);
	for (size_t at = 0; at < self->length; at += self->page)
		p[at] = 'b';
	EXPECT_EQ(before + HUGES, faults(&self->o));
	EXPECT_EQ('b', self->p[self->length - self->page]);
	EXPECT_EQ('a', self->p[self->length - 1]);
}

/* What others have made page by page is mapped by the dozen all the same. */
TEST_F(dense, second_mapping_of_single_pages_needs_few_faults)
{
	size_t pages = self->length / self->page;
	unsigned long before;

	ASSERT_EQ(0, object_fill(&self->o, pages, 0));
	before = faults(&self->o);
	for (size_t i = 0; i < pages; i++)
		self->p[i * self->page] = 'b';
	EXPECT_EQ(before + pages / 16, faults(&self->o));
}

/* Pages ahead take no room from what one page at a time would have got. */
/* From the front on, until the page that was touched is there. */
TEST_F(dense, pages_ahead_are_as_large_as_fit_the_limit)
{
	uint64_t used = object_info(&self->o).used;
	unsigned char *again = object_map(&self->o, self->length, RW,
					  MAP_SHARED);
	unsigned long before;
	struct knob limit = {};
	struct trap t[2];
	long resident;

	ASSERT_NE(MAP_FAILED, again);
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_HUGEPAGE));
	ASSERT_EQ(0, limit_set(&limit, used + 100 * self->page));
	t[0] = trap_store(self->p + 3 * self->page, 1);
	resident = object_resident(&self->o);
	object_resize(&self->o, 0);
	object_resize(&self->o, self->length);
	t[1] = trap_store(self->p + 90 * self->page, 1);
	EXPECT_EQ(0, knob_restore(&limit));
	EXPECT_NO_TRAP(t[0]);
	EXPECT_EQ(64, resident);
	EXPECT_NO_TRAP(t[1]);
	EXPECT_EQ(96, object_resident(&self->o));
	EXPECT_EQ(6, order_at(&self->o, 0));
	EXPECT_EQ(5, order_at(&self->o, 64));

	/* Each is mapped as a whole, where it is not huge, too. */
	before = faults(&self->o);
	for (size_t i = 0; i < 96; i++)
		again[i * self->page] = 1;
	EXPECT_EQ(before + 2, faults(&self->o));
}

TEST_F(dense, limit_lets_as_many_pages_be_touched_as_without)
{
	uint64_t used = object_info(&self->o).used;
	struct knob limit = {};
	size_t touched = 0;

	ASSERT_EQ(0, limit_set(&limit, used + 100 * self->page));
	while (touched < 200 &&
	       !trap_store(self->p + touched * self->page, 1).signo)
		touched++;
	EXPECT_EQ(0, knob_restore(&limit));
	EXPECT_EQ(100, touched);
}

/*
 * Mappings that begin anywhere in the object, and anywhere in a page table: what
 * faults map must be inside, whatever is there. This is true of any file.
 */
FIXTURE(inside) {
	struct object o;
	size_t page;
	size_t per_huge;
	size_t pages;		/* of the object */
	int beside;
};

FIXTURE_VARIANT(inside) {
	enum backend_kind kind;
};

FILE_VARIANTS(inside);

FIXTURE_SETUP(inside)
{
	self->page = getpagesize();
	self->per_huge = huge_bytes() / self->page;
	if (!self->per_huge)
		SKIP(return, "no huge pages in this kernel");
	self->pages = 3 * self->per_huge;
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	self->beside = neighbours_file();
	ASSERT_GE(self->beside, 0);
}

FIXTURE_TEARDOWN(inside)
{
	object_close(&self->o);
	close(self->beside);
}

/* What there is before a mapping is touched. */
enum there {
	NOTHING,	/* no page at all */
	LARGE_BEFORE,	/* as large a folio as fits, just before it */
	SINGLE,		/* its pages and some beside, each a folio */
	LARGE,		/* all pages, in large folios */
};

/* Have large folios in a range of at least one huge page, as far as it goes. */
static int make_large(const struct object *o, size_t first, size_t end)
{
	size_t page = getpagesize(), length = (end - first) * page;
	unsigned char *p = object_map_at(o, NULL, length, RW, MAP_SHARED,
					 first * page);

	if (p == MAP_FAILED || madvise(p, length, MADV_HUGEPAGE))
		return -1;
	for (size_t at = 0; at < length; at += huge_bytes())
		p[at] = 0;
	p[length - page] = 0;
	return munmap(p, length);
}

/* Have single pages in a range. */
static int make_single(const struct object *o, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		if (pwrite(o->fd, "", 1, i * getpagesize()) != 1)
			return -1;
	return 0;
}

static int prepare(const struct object *o, enum there what, size_t first,
		   size_t length, size_t pages)
{
	size_t per_huge = huge_bytes() / getpagesize();

	if (object_resize(o, 0) || object_resize(o, pages * getpagesize()))
		return -1;
	switch (what) {
	case LARGE_BEFORE:
		return make_large(o, first - per_huge, first);
	case SINGLE:
		return make_single(o, first - BESIDE, first + length + BESIDE);
	case LARGE:
		return make_large(o, 0, pages);
	default:
		return 0;
	}
}

/* How many pages from `first` on hold their numbers, as the mapping stored them. */
static size_t numbered(const struct object *o, size_t first, size_t pages)
{
	size_t page = getpagesize(), n, number;

	for (n = 0; n < pages; n++)
		if (pread(o->fd, &number, sizeof(number), (first + n) * page) !=
		    sizeof(number) || number != first + n)
			break;
	return n;
}

/* Touch its edges, then store to all pages in order. */
#define EXPECT_INSIDE(there, first, length, skew, advice, store) do {	\
	struct neighbours n_;						\
									\
	ASSERT_EQ(0, prepare(&self->o, there, first, length,		\
			     self->pages));				\
	ASSERT_EQ(0, neighbours_map(&n_, self->o.fd, first, length,	\
				    skew, self->beside));		\
	ASSERT_EQ(0, madvise(n_.p, (length) * self->page, advice));	\
	neighbours_touch_edges(&n_, store);				\
	EXPECT_EQ(0, neighbours_present(&n_));				\
	for (size_t i = 0; i < (length); i++)				\
		*(size_t *)(n_.p + i * self->page) = (first) + i;	\
	EXPECT_EQ(0, neighbours_present(&n_));				\
	EXPECT_TRUE(neighbours_intact(&n_));				\
	EXPECT_EQ(length, numbered(&self->o, first, length));		\
	if (there == NOTHING && is_mmapdev(variant->kind))		\
		EXPECT_EQ(length, object_resident(&self->o));		\
	neighbours_unmap(&n_);						\
} while (0)

/* From these pages of a huge page on, and that far behind a page table's start. */
static const size_t firsts[] = { 1, 48, 256, 511 };

#define EXPECT_ALL_INSIDE(there, length, advice) do {			\
	for (int f_ = 0; f_ < 4; f_++) {				\
		size_t from_ = self->per_huge + firsts[f_];		\
		size_t skews_[] = { firsts[f_], 0, 300 };		\
									\
		for (int s_ = 0; s_ < 3; s_++)				\
			EXPECT_INSIDE(there, from_, length, skews_[s_], \
				      advice, (f_ + s_) % 2);		\
	}								\
} while (0)

TEST_F(inside, new_blocks_are_mapped_inside)
{
	EXPECT_ALL_INSIDE(NOTHING, self->per_huge, MADV_SEQUENTIAL);
}

TEST_F(inside, new_huge_pages_are_mapped_inside)
{
	EXPECT_ALL_INSIDE(NOTHING, self->per_huge, MADV_HUGEPAGE);
}

TEST_F(inside, doubled_windows_are_mapped_inside)
{
	EXPECT_ALL_INSIDE(LARGE_BEFORE, self->per_huge, MADV_NORMAL);
}

TEST_F(inside, present_pages_are_mapped_inside)
{
	EXPECT_ALL_INSIDE(SINGLE, self->per_huge, MADV_NORMAL);
}

TEST_F(inside, present_huge_pages_are_mapped_inside)
{
	EXPECT_ALL_INSIDE(LARGE, self->per_huge, MADV_NORMAL);
}

/* Too small for huge pages: here the kernel's fault-around chooses what to map. */
TEST_F(inside, fault_around_maps_inside)
{
	EXPECT_ALL_INSIDE(SINGLE, 45, MADV_NORMAL);
	EXPECT_ALL_INSIDE(LARGE, 45, MADV_NORMAL);
}

TEST_HARNESS_MAIN
