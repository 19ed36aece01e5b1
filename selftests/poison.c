// SPDX-License-Identifier: GPL-2.0
/*
 * Pages whose memory fails: the loss is told to the task that touches the page,
 * in any way, and to nobody else; a page that is only suspect moves elsewhere.
 *
 * This takes a few pages of real memory away until the next boot.
 */
#include "harness.h"

#include <linux/falloc.h>
#include <sys/uio.h>

#include "backend.h"
#include "bytes.h"
#include "device.h"
#include "huge.h"
#include "poison.h"
#include "procfs.h"
#include "trap.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#endif

#define PAGES	3
#define BAD	1	/* the page that fails, of them */

/*
 * An object of three pages of 'a' to 'c', of which the middle one has failed.
 * It was mapped twice before, shared and as a private copy.
 */
FIXTURE(poison) {
	struct object o;
	size_t page;
	size_t length;
	unsigned char *shared;
	unsigned char *copy;
};

FIXTURE_VARIANT(poison) {
	enum backend_kind kind;
};

FIXTURE_SETUP(poison)
{
	int err;

	self->page = getpagesize();
	self->length = PAGES * self->page;
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
	self->shared = object_map(&self->o, self->length, RW, MAP_SHARED);
	self->copy = object_map(&self->o, self->length, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, self->shared);
	ASSERT_NE(MAP_FAILED, self->copy);
	self->copy[BAD * self->page] = 'z';
	EXPECT_TRUE(page_is(self->shared + BAD * self->page, 'b'));

	err = fail_memory(self->shared + BAD * self->page, MADV_HWPOISON);
	if (err == EINVAL)
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	if (err == EPERM)
		SKIP(return, "no CAP_SYS_ADMIN");
	/*
	 * A file that keeps the page has not done what the kernel expects of
	 * all but tmpfs: to drop it, and to read the bytes from disk again.
	 */
	ASSERT_EQ(is_mmapdev(variant->kind) ? EBUSY : 0, err);
}

FIXTURE_TEARDOWN(poison)
{
	object_close(&self->o);
}

FILE_VARIANTS(poison);

#define EXPECT_POISON(touch, at) do {					\
	struct trap t_ = (touch);					\
	EXPECT_TRAP(t_, SIGBUS, BUS_MCEERR_AR, at);			\
	EXPECT_EQ(getpagesize(), 1 << t_.lsb);				\
} while (0)

TEST_F(poison, touching_the_page_gives_sigbus)
{
	unsigned char *at = self->shared + BAD * self->page + 9;

	EXPECT_POISON(trap_load(at), at);
	EXPECT_POISON(trap_store(at, 1), at);
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, self->length, RW,
					      flags);

		ASSERT_NE(MAP_FAILED, p);
		at = p + BAD * self->page + 9;
		EXPECT_POISON(trap_load(at), at);
		EXPECT_POISON(trap_store(at, 1), at);
		EXPECT_TRUE(page_is(p, 'a'));
		EXPECT_TRUE(page_is(p + 2 * self->page, 'c'));
		EXPECT_NO_TRAP(trap_store(p, 'a'));
	}
}

TEST_F(poison, private_copy_made_before_is_whole)
{
	unsigned char *p = self->copy + BAD * self->page;

	EXPECT_NO_TRAP(trap_load(p));
	EXPECT_EQ('z', p[0]);
	EXPECT_TRUE(bytes_are(p + 1, 'b', self->page - 1));
}

TEST_F(poison, read_stops_before_the_page_and_fails_at_it)
{
	unsigned char bytes[self->length];

	EXPECT_EQ(self->page, pread(self->o.fd, bytes, self->length, 0));
	EXPECT_TRUE(page_is(bytes, 'a'));
	EXPECT_EQ(-1, pread(self->o.fd, bytes, 1, BAD * self->page + 5));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(self->page, pread(self->o.fd, bytes, self->length,
				    2 * self->page));
	EXPECT_TRUE(page_is(bytes, 'c'));
}

TEST_F(poison, write_stops_before_the_page_and_fails_at_it)
{
	unsigned char bytes[self->length];

	memset(bytes, 'x', self->length);
	EXPECT_EQ(self->page, pwrite(self->o.fd, bytes, self->length, 0));
	EXPECT_EQ(-1, pwrite(self->o.fd, bytes, self->page, BAD * self->page));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(-1, pwrite(self->o.fd, bytes, 1, BAD * self->page));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(self->page, pwrite(self->o.fd, bytes, self->page,
				     2 * self->page));
	EXPECT_TRUE(page_is(self->shared, 'x'));
	EXPECT_TRUE(page_is(self->shared + 2 * self->page, 'x'));
}

TEST_F(poison, populating_fails_with_ehwpoison)
{
	unsigned char *p = object_map(&self->o, self->length, RW, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, madvise(p, self->length, MADV_POPULATE_READ));
	EXPECT_EQ(EHWPOISON, errno);
	EXPECT_EQ(1, pagemap_present(p, 1));
	EXPECT_EQ(0, pagemap_present(p + BAD * self->page, 1));
}

/* fallocate(2) of a regular file; tmpfs has no such mode. */
TEST_F(poison, zeroing_fails_and_zeroes_nothing)
{
	unsigned char *bad = self->shared + BAD * self->page;

	if (variant->kind != OBJFILE)
		return;
	EXPECT_EQ(-1, fallocate(self->o.fd, FALLOC_FL_ZERO_RANGE, 100,
				2 * self->length));
	EXPECT_EQ(EIO, errno);
	EXPECT_TRUE(page_is(self->shared, 'a'));
	EXPECT_POISON(trap_load(bad), bad);
	EXPECT_TRUE(page_is(bad + self->page, 'c'));
	EXPECT_EQ(self->length, object_size(&self->o));
	EXPECT_EQ(PAGES, object_resident(&self->o));
	EXPECT_EQ(-1, fallocate(self->o.fd, FALLOC_FL_ZERO_RANGE,
				BAD * self->page, 1));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(0, fallocate(self->o.fd, FALLOC_FL_ZERO_RANGE, 0,
			       BAD * self->page));
	EXPECT_TRUE(page_is(self->shared, 0));
	/* Nothing is asked of its bytes. */
	EXPECT_EQ(0, fallocate(self->o.fd, 0, 0, self->length));
	EXPECT_POISON(trap_load(bad), bad);
}

/* A huge page that cannot be split, as it is pinned: one page of it has failed. */
TEST(zeroing_fails_at_one_page_of_a_huge_one)
{
	size_t page = getpagesize(), huge = huge_bytes();
	size_t bad[] = { 0, 7, 511 };
	struct iovec vec;
	unsigned char *p;
	int ends[2];

	if (!huge)
		SKIP(return, "no huge pages in this kernel");
	for (int i = 0; i < ARRAY_SIZE(bad); i++) {
		size_t first = bad[i] ? bad[i] - 1 : 0;
		size_t end = bad[i] < 511 ? bad[i] + 2 : bad[i] + 1;
		struct object o = object_open(OBJFILE);
		int err;

		ASSERT_GE(o.fd, 0);
		ASSERT_EQ(0, object_resize(&o, huge));
		p = object_map(&o, huge, RW, MAP_SHARED);
		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(0, madvise(p, huge, MADV_HUGEPAGE));
		memset(p, 'X', huge);
		ASSERT_EQ(1, object_stats(&o).fault_shared_write);
		ASSERT_EQ(0, pipe(ends));
		vec = (struct iovec){ p + 99 * page, page };
		ASSERT_EQ(page, vmsplice(ends[1], &vec, 1, 0));
		err = fail_memory(p + bad[i] * page, MADV_HWPOISON);
		if (err == EINVAL)
			SKIP(return, "no CONFIG_MEMORY_FAILURE");
		ASSERT_NE(0, err);
		ASSERT_EQ(512, object_resident(&o));

		EXPECT_EQ(-1, fallocate(o.fd, FALLOC_FL_ZERO_RANGE,
					first * page + 100,
					(end - first) * page - 200));
		EXPECT_EQ(EIO, errno);
		for (size_t at = first; at < end; at++)
			if (at != bad[i])
				EXPECT_TRUE(page_is(p + at * page, 'X'));
		EXPECT_EQ(0, fallocate(o.fd, FALLOC_FL_ZERO_RANGE, 9 * page,
				       2 * page));
		EXPECT_TRUE(bytes_are(p + 9 * page, 0, 2 * page));

		/* Freed in one piece, the bad page would be given to others. */
		close(ends[0]);
		close(ends[1]);
		ASSERT_EQ(0, object_resize(&o, 100 * page));
		ASSERT_EQ(100, object_resident(&o));
		object_close(&o);
	}
}

TEST_F(poison, page_that_was_punched_is_zeros_to_a_new_mapping)
{
	unsigned char *bad = self->shared + BAD * self->page, *p;

	if (variant->kind == MMAPDEV)
		return;
	ASSERT_EQ(0, fallocate(self->o.fd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       BAD * self->page, self->page));
	EXPECT_EQ(PAGES - 1, object_resident(&self->o));
	EXPECT_EQ(0, object_byte(&self->o, BAD * self->page));
	/* Where it was mapped, the kernel remembers what failed. */
	EXPECT_POISON(trap_load(bad), bad);
	p = object_map(&self->o, self->length, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	p += BAD * self->page;
	EXPECT_NO_TRAP(trap_load(p));
	EXPECT_TRUE(page_is(p, 0));
	EXPECT_NO_TRAP(trap_store(p, 'x'));
	EXPECT_EQ('x', object_byte(&self->o, BAD * self->page));
	EXPECT_TRUE(page_is(self->shared, 'a'));
	EXPECT_TRUE(page_is(self->shared + 2 * self->page, 'c'));
}

TEST_F(poison, page_that_was_cut_off_comes_back_as_zeros)
{
	unsigned char *p = self->shared + BAD * self->page;

	ASSERT_EQ(0, object_resize(&self->o, BAD * self->page));
	EXPECT_TRAP(trap_load(p), SIGBUS, BUS_ADRERR, p);
	EXPECT_EQ(1, object_resident(&self->o));
	ASSERT_EQ(0, object_resize(&self->o, self->length));
	EXPECT_NO_TRAP(trap_load(p));
	EXPECT_TRUE(bytes_are(p, 0, 2 * self->page));
	EXPECT_NO_TRAP(trap_store(p, 'x'));
	EXPECT_EQ('x', object_byte(&self->o, BAD * self->page));
	EXPECT_EQ(1, pwrite(self->o.fd, "y", 1, BAD * self->page));
	EXPECT_EQ('y', p[0]);
	EXPECT_TRUE(page_is(self->shared, 'a'));
}

OBJECT_FIXTURE(suspect);
FILE_VARIANTS(suspect);

TEST_F(suspect, page_moves_elsewhere_and_keeps_its_bytes)
{
	unsigned char *p, *q;
	uint64_t before, after;
	int err;

	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
	p = object_map(&self->o, PAGES * self->page, RW, MAP_SHARED);
	q = object_map(&self->o, PAGES * self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	for (int i = 0; i < PAGES; i++) {
		EXPECT_TRUE(page_is(p + i * self->page, 'a' + i));
		EXPECT_TRUE(page_is(q + i * self->page, 'a' + i));
	}
	before = PAGEMAP_PFN(pagemap_entry(p + self->page));
	if (!before)
		SKIP(return, "no CAP_SYS_ADMIN to see page frames");

	err = fail_memory(p + self->page, MADV_SOFT_OFFLINE);
	if (err == EINVAL)
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	ASSERT_EQ(0, err);

	for (int i = 0; i < PAGES; i++) {
		EXPECT_TRUE(page_is(p + i * self->page, 'a' + i));
		EXPECT_TRUE(page_is(q + i * self->page, 'a' + i));
		EXPECT_EQ('a' + i, object_byte(&self->o, i * self->page));
	}
	after = PAGEMAP_PFN(pagemap_entry(p + self->page));
	EXPECT_NE(0, after);
	EXPECT_NE(before, after);
	EXPECT_EQ(after, PAGEMAP_PFN(pagemap_entry(q + self->page)));
	EXPECT_EQ(PAGES, object_resident(&self->o));

	/* It is the object's page still. */
	EXPECT_NO_TRAP(trap_store(p + self->page, 'x'));
	EXPECT_EQ('x', object_byte(&self->o, self->page));
	EXPECT_EQ('x', q[self->page]);
}

TEST_HARNESS_MAIN
