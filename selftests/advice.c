// SPDX-License-Identifier: GPL-2.0
/*
 * madvise(2): what each advice does to the pages, and what none may lose; and
 * which pages are resident, by mincore(2) and by MMAPDEV_IOC_PAGES.
 */
#include "harness.h"

#include <linux/mman.h>

#include "address.h"
#include "backend.h"
#include "bytes.h"
#include "child.h"
#include "procfs.h"
#include "trap.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

#define PAGES	4

/* An object of four pages of 'a' to 'd'. */
FIXTURE(advice) {
	struct object o;
	size_t page;
	size_t length;
};

FIXTURE_VARIANT(advice) {
	enum backend_kind kind;
};

FIXTURE_SETUP(advice)
{
	self->page = getpagesize();
	self->length = PAGES * self->page;
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
}

FIXTURE_TEARDOWN(advice)
{
	object_close(&self->o);
}

FILE_VARIANTS(advice);

TEST_F(advice, dontneed_keeps_the_bytes_of_shared_pages)
{
	unsigned char *p = object_map(&self->o, self->length, RW, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'z', self->length);
	ASSERT_EQ(0, madvise(p, self->length, MADV_DONTNEED));
	EXPECT_EQ(0, pagemap_present(p, PAGES));
	EXPECT_EQ(PAGES, object_resident(&self->o));
	EXPECT_TRUE(bytes_are(p, 'z', self->length));
}

TEST_F(advice, dontneed_drops_private_copies)
{
	unsigned char *p = object_map(&self->o, self->length, RW, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'z', self->length);
	ASSERT_EQ(0, madvise(p + self->page, 2 * self->page, MADV_DONTNEED));
	EXPECT_TRUE(page_is(p, 'z'));
	EXPECT_TRUE(page_is(p + self->page, 'b'));
	EXPECT_TRUE(page_is(p + 2 * self->page, 'c'));
	EXPECT_TRUE(page_is(p + 3 * self->page, 'z'));
}

TEST_F(advice, dontneed_of_locked_pages_is_refused)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, self->length, RW,
					      flags | MAP_LOCKED);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(-1, madvise(p, self->length, MADV_DONTNEED));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(PAGES, pagemap_present(p, PAGES));
	}
}

/* In a child: 1 if the byte at p is 'a', 2 if nothing is mapped there. */
static int look(void *p, struct turn *t)
{
	unsigned char value;
	struct trap trap = trap_touch(p, 0, &value);

	if (!trap.signo)
		return value == 'a' ? 1 : 3;
	return trap.signo == SIGSEGV && trap.code == SEGV_MAPERR &&
		trap.addr == p ? 2 : 3;
}

TEST_F(advice, dontfork_hides_the_mapping_from_children)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, self->length, RW,
					      flags);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(1, child_run(look, p));
		ASSERT_EQ(0, madvise(p, self->length, MADV_DONTFORK));
		EXPECT_EQ(2, child_run(look, p));
		EXPECT_EQ('a', p[0]);
		ASSERT_EQ(0, madvise(p, self->length, MADV_DOFORK));
		EXPECT_EQ(1, child_run(look, p));
	}
}

TEST_F(advice, populate_read_maps_pages)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, self->length, RW,
					      flags);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(0, madvise(p, self->length, MADV_POPULATE_READ));
		for (int i = 0; i < PAGES; i++) {
			EXPECT_EQ(PAGEMAP_PRESENT | PAGEMAP_FILE,
				  pagemap_entry(p + i * self->page) &
				  (PAGEMAP_PRESENT | PAGEMAP_FILE));
		}
	}
}

TEST_F(advice, populate_read_fills_holes_with_zeros)
{
	unsigned char *p = object_map(&self->o, self->length, RW, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, object_resize(&self->o, 0));
	ASSERT_EQ(0, object_resize(&self->o, self->length));
	ASSERT_EQ(0, madvise(p, self->length, MADV_POPULATE_READ));
	EXPECT_EQ(PAGES, object_resident(&self->o));
	EXPECT_TRUE(bytes_are(p, 0, self->length));
}

TEST_F(advice, populate_write_makes_private_copies)
{
	unsigned char *p = object_map(&self->o, self->length, RW, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, madvise(p, self->length, MADV_POPULATE_WRITE));
	for (int i = 0; i < PAGES; i++) {
		unsigned char new = 'A' + i;

		EXPECT_EQ(PAGEMAP_PRESENT, pagemap_entry(p + i * self->page) &
			  (PAGEMAP_PRESENT | PAGEMAP_FILE));
		/* Now that it is a copy, the object's changes do not show. */
		ASSERT_EQ(1, pwrite(self->o.fd, &new, 1, i * self->page));
		EXPECT_TRUE(page_is(p + i * self->page, 'a' + i));
	}
}

TEST_F(advice, populate_past_the_end_of_file_fails_with_efault)
{
	int advices[] = { MADV_POPULATE_READ, MADV_POPULATE_WRITE };

	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, 2 * self->length, RW,
					      flags);

		ASSERT_NE(MAP_FAILED, p);
		for (int i = 0; i < 2; i++) {
			EXPECT_EQ(-1, madvise(p, 2 * self->length, advices[i]));
			EXPECT_EQ(EFAULT, errno);
			EXPECT_EQ(PAGES, pagemap_present(p, 2 * PAGES));
		}
	}
}

TEST_F(advice, populate_write_of_a_read_only_mapping_is_refused)
{
	unsigned char *p = object_map(&self->o, self->length, PROT_READ,
				      MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, madvise(p, self->length, MADV_POPULATE_WRITE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, madvise(p, self->length, MADV_POPULATE_READ));
}

/* Both are for memory that no file is behind. */
TEST_F(advice, free_and_wipeonfork_are_refused)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, self->length, RW,
					      flags);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(-1, madvise(p, self->length, MADV_FREE));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, madvise(p, self->length, MADV_WIPEONFORK));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_F(advice, hints_lose_nothing)
{
	static const int hints[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
		MADV_COLD, MADV_PAGEOUT, MADV_DONTDUMP, MADV_DODUMP,
	};

	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, self->length, RW,
					      flags);

		ASSERT_NE(MAP_FAILED, p);
		for (int i = 0; i < ARRAY_SIZE(hints); i++) {
			EXPECT_TRUE(pages_follow(p, PAGES));
			EXPECT_EQ(0, madvise(p, self->length, hints[i]))
				TH_LOG("hint %d", hints[i]);
			EXPECT_TRUE(pages_follow(p, PAGES))
				TH_LOG("hint %d", hints[i]);
			EXPECT_EQ(PAGES, object_resident(&self->o));
		}
		for (int i = 0; i < PAGES; i++)	/* the same, by stores */
			memset(p + i * self->page, 'a' + i, self->page);
		for (int i = 0; i < ARRAY_SIZE(hints); i++) {
			EXPECT_EQ(0, madvise(p, self->length, hints[i]));
			EXPECT_TRUE(pages_follow(p, PAGES))
				TH_LOG("hint %d", hints[i]);
		}
	}
}

TEST_F(advice, unmapped_range_and_unknown_advice_are_refused)
{
	unsigned char *p = address_hole(2 * self->page);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(p, object_map_at(&self->o, p, self->page, RW,
				   MAP_SHARED | MAP_FIXED, 0));
	EXPECT_EQ(-1, madvise(p, 2 * self->page, MADV_DONTNEED));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1, madvise(p + 1, self->page, MADV_DONTNEED));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, madvise(p, self->page, 12345));
	EXPECT_EQ(EINVAL, errno);
}

/* Punching a hole needs fallocate(2), which the VFS refuses a device node. */
TEST_F(advice, remove_punches_a_hole_where_fallocate_can)
{
	unsigned char *p = object_map(&self->o, self->length, RW, MAP_SHARED);
	int ret;

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(page_is(p + self->page, 'b'));
	ret = madvise(p + self->page, self->page, MADV_REMOVE);
	if (variant->kind == MMAPDEV) {
		EXPECT_EQ(-1, ret);
		EXPECT_EQ(ENODEV, errno);
		EXPECT_TRUE(page_is(p + self->page, 'b'));
	} else {
		EXPECT_EQ(0, ret);
		EXPECT_EQ(PAGES - 1, object_resident(&self->o));
		EXPECT_TRUE(page_is(p + self->page, 0));
	}
	EXPECT_TRUE(page_is(p, 'a'));
	EXPECT_TRUE(page_is(p + 2 * self->page, 'c'));
}

/* There is nowhere to read the bytes from again: no advice may drop them. */
TEST_F(advice, posix_fadvise_succeeds_and_drops_nothing)
{
	int advices[] = { POSIX_FADV_NORMAL, POSIX_FADV_RANDOM,
			  POSIX_FADV_SEQUENTIAL, POSIX_FADV_WILLNEED,
			  POSIX_FADV_NOREUSE, POSIX_FADV_DONTNEED };

	for (int i = 0; i < ARRAY_SIZE(advices); i++) {
		EXPECT_EQ(0, posix_fadvise(self->o.fd, 0, 0, advices[i]));
		EXPECT_EQ(PAGES, object_resident(&self->o));
	}
	for (int i = 0; i < PAGES; i++) {
		EXPECT_EQ('a' + i, object_byte(&self->o, i * self->page));
	}
	EXPECT_EQ(EINVAL, posix_fadvise(self->o.fd, 0, 0, 12345));
	EXPECT_EQ(EINVAL, posix_fadvise(self->o.fd, 0, -1,
					POSIX_FADV_NORMAL));
}

OBJECT_FIXTURE(residency);
FILE_VARIANTS(residency);

#define MANY	600	/* pages: more than the module looks at in one go */

/* Which pages are resident, one byte for each, by the object itself. */
static int object_states(const struct object *o, size_t first, size_t count,
			 unsigned char *states)
{
	struct mmapdev_pages pages = {
		.offset = first * getpagesize(),
		.count = count,
		.states = (uintptr_t)states,
	};

	memset(states, 0xff, count);
	return ioctl(o->fd, MMAPDEV_IOC_PAGES, &pages);
}

TEST_F(residency, is_told_page_by_page)
{
	unsigned char expected[MANY] = { 0 };
	unsigned char core[MANY];
	unsigned char states[MANY];
	unsigned char *p;
	int ret;

	ASSERT_EQ(0, object_resize(&self->o, MANY * self->page));
	p = object_map(&self->o, MANY * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, madvise(p, MANY * self->page, MADV_RANDOM));
	for (int i = 0; i < MANY; i += i % 7 ? 1 : 3) {
		expected[i] = 1;
		if (i % 2) {
			p[i * self->page] = 1;
		} else {
			ASSERT_EQ(1, pwrite(self->o.fd, "x", 1,
					    i * self->page));
		}
	}
	ASSERT_EQ(0, mincore(p, MANY * self->page, core));
	for (int i = 0; i < MANY; i++) {
		EXPECT_EQ(expected[i], core[i] & 1) TH_LOG("page %d", i);
	}

	/* The other backends have no such call. */
	ret = object_states(&self->o, 0, MANY, states);
	if (!is_mmapdev(variant->kind)) {
		EXPECT_EQ(-1, ret);
		EXPECT_EQ(ENOTTY, errno);
		return;
	}
	EXPECT_EQ(0, ret);
	for (int i = 0; i < MANY; i++) {
		EXPECT_EQ(expected[i], MMAPDEV_PAGE_RESIDENT(states[i]))
			TH_LOG("page %d", i);
	}
}

OBJECT_FIXTURE(page_state);
MMAPDEV_VARIANTS(page_state);

TEST_F(page_state, tells_what_is_mapped_and_of_which_order)
{
	unsigned char states[3];
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, 3 * self->page));
	p = object_map(&self->o, 3 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(1, pwrite(self->o.fd, "x", 1, 0));
	p[self->page] = 1;
	ASSERT_EQ(0, object_states(&self->o, 0, 3, states));
	for (int i = 0; i < 2; i++) {
		EXPECT_TRUE(MMAPDEV_PAGE_RESIDENT(states[i]));
		EXPECT_EQ(0, MMAPDEV_PAGE_ORDER(states[i]));
		EXPECT_EQ(i ? MMAPDEV_PAGE_MAPPED : 0,
			  states[i] & ~MMAPDEV_PAGE_ORDER_MASK);
	}
	EXPECT_EQ(0, states[2]);

	ASSERT_EQ(0, munmap(p, 3 * self->page));
	ASSERT_EQ(0, object_states(&self->o, 0, 3, states));
	EXPECT_EQ(states[0], states[1]);
	EXPECT_EQ(0, states[1] & MMAPDEV_PAGE_MAPPED);
}

/* A private copy is not the object's page; a private read maps that. */
TEST_F(page_state, private_copies_do_not_count_as_mapped)
{
	unsigned char states[2];
	unsigned char *p;

	ASSERT_EQ(0, object_fill(&self->o, 2, 'a'));
	p = object_map(&self->o, 2 * self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	p[0] = 'z';
	ASSERT_EQ(0, object_states(&self->o, 0, 2, states));
	EXPECT_EQ(0, states[0] & MMAPDEV_PAGE_MAPPED);
	EXPECT_EQ(0, states[1] & MMAPDEV_PAGE_MAPPED);
	EXPECT_EQ('b', p[self->page]);
	ASSERT_EQ(0, object_states(&self->o, 0, 2, states));
	EXPECT_EQ(0, states[0] & MMAPDEV_PAGE_MAPPED);
	EXPECT_EQ(MMAPDEV_PAGE_MAPPED, states[1] & MMAPDEV_PAGE_MAPPED);
}

TEST_HARNESS_MAIN
