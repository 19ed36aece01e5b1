// SPDX-License-Identifier: GPL-2.0
/*
 * msync(2) and fsync(2) of memory without a store: nothing to write, and every
 * argument checked all the same.
 */
#include "harness.h"

#include "backend.h"
#include "bytes.h"

#define PAGES	8

FIXTURE(msync) {
	struct object o;
	size_t page;
	unsigned char *p;	/* PAGES pages, the even ones stored to */
};

FIXTURE_VARIANT(msync) {
	enum backend_kind kind;
	int flags;
};

FIXTURE_SETUP(msync)
{
	self->page = getpagesize();
	self->o = object_open(variant->kind);
	ASSERT_EQ(variant->kind == ANON, self->o.fd < 0);
	ASSERT_EQ(0, object_size_for(&self->o, PAGES * self->page));
	self->p = object_map(&self->o, PAGES * self->page, RW, variant->flags);
	ASSERT_NE(MAP_FAILED, self->p);
	for (int i = 0; i < PAGES; i += 2)
		memset(self->p + i * self->page, 'x', self->page);
}

FIXTURE_TEARDOWN(msync)
{
	object_close(&self->o);
}

#define MSYNC_VARIANTS(name, backend)					\
	FIXTURE_VARIANT_ADD(msync, shared_##name)			\
		{ .kind = backend, .flags = MAP_SHARED };		\
	FIXTURE_VARIANT_ADD(msync, private_##name)			\
		{ .kind = backend, .flags = MAP_PRIVATE }

MSYNC_VARIANTS(mmapdev, MMAPDEV);
MSYNC_VARIANTS(object_file, OBJFILE);
MSYNC_VARIANTS(memfd, MEMFD);
MSYNC_VARIANTS(tmpfs, TMPFS);
MSYNC_VARIANTS(zero, ZERO);
MSYNC_VARIANTS(anonymous, ANON);

TEST_F(msync, sync_async_and_no_flag_succeed)
{
	EXPECT_EQ(0, msync(self->p, PAGES * self->page, MS_SYNC));
	EXPECT_EQ(0, msync(self->p, PAGES * self->page, MS_ASYNC));
	EXPECT_EQ(0, msync(self->p, PAGES * self->page, 0));
}

TEST_F(msync, invalidate_succeeds_with_and_without_sync)
{
	EXPECT_EQ(0, msync(self->p, PAGES * self->page, MS_INVALIDATE));
	EXPECT_EQ(0, msync(self->p, PAGES * self->page,
			   MS_SYNC | MS_INVALIDATE));
	EXPECT_EQ(0, msync(self->p, PAGES * self->page,
			   MS_ASYNC | MS_INVALIDATE));
}

/* With nowhere to load a page from again, no flag may drop one. */
TEST_F(msync, pages_keep_their_bytes)
{
	int flags[] = { MS_SYNC, MS_ASYNC, MS_INVALIDATE,
			MS_SYNC | MS_INVALIDATE };

	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, msync(self->p, PAGES * self->page, flags[i]));
		for (int n = 0; n < PAGES; n++)
			EXPECT_TRUE(page_is(self->p + n * self->page,
					    n % 2 ? 0 : 'x'));
	}
}

TEST_F(msync, sync_and_async_together_are_refused)
{
	EXPECT_EQ(-1, msync(self->p, self->page, MS_SYNC | MS_ASYNC));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(msync, unknown_flags_are_refused)
{
	int known = MS_SYNC | MS_ASYNC | MS_INVALIDATE;

	for (int bit = 0; bit < 31; bit++) {
		int flag = 1 << bit;

		if (flag & known)
			continue;
		errno = 0;
		EXPECT_EQ(-1, msync(self->p, self->page, MS_SYNC | flag));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_F(msync, unaligned_address_is_refused)
{
	EXPECT_EQ(-1, msync(self->p + 1, self->page, MS_SYNC));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, msync(self->p + 512, 0, MS_SYNC));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(msync, length_need_not_be_whole_pages_and_may_be_zero)
{
	EXPECT_EQ(0, msync(self->p, 1, MS_SYNC));
	EXPECT_EQ(0, msync(self->p, self->page + 1, MS_SYNC));
	EXPECT_EQ(0, msync(self->p, 0, MS_SYNC));
	ASSERT_EQ(0, munmap(self->p, PAGES * self->page));
	EXPECT_EQ(0, msync(self->p, 0, MS_SYNC));
}

TEST_F(msync, range_that_wraps_around_is_no_memory)
{
	EXPECT_EQ(-1, msync(self->p, -2 * self->page, MS_SYNC));
	EXPECT_EQ(ENOMEM, errno);
}

/* The length is rounded up to pages: one byte into the hole is too many. */
TEST_F(msync, range_with_an_unmapped_page_is_no_memory)
{
	int flags[] = { MS_SYNC, MS_ASYNC, MS_INVALIDATE };

	ASSERT_EQ(0, munmap(self->p + 3 * self->page, self->page));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, msync(self->p, 3 * self->page, flags[i]));
		errno = 0;
		EXPECT_EQ(-1, msync(self->p, 3 * self->page + 1, flags[i]));
		EXPECT_EQ(ENOMEM, errno);
		errno = 0;
		EXPECT_EQ(-1, msync(self->p, PAGES * self->page, flags[i]));
		EXPECT_EQ(ENOMEM, errno);
		errno = 0;
		EXPECT_EQ(-1, msync(self->p + 3 * self->page, self->page,
				    flags[i]));
		EXPECT_EQ(ENOMEM, errno);
	}
}

TEST_F(msync, invalidate_of_locked_memory_is_busy)
{
	ASSERT_EQ(0, mlock(self->p + 2 * self->page, self->page));
	EXPECT_EQ(-1, msync(self->p, PAGES * self->page, MS_INVALIDATE));
	EXPECT_EQ(EBUSY, errno);
	errno = 0;
	EXPECT_EQ(-1, msync(self->p, PAGES * self->page,
			    MS_SYNC | MS_INVALIDATE));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(0, msync(self->p, 2 * self->page, MS_INVALIDATE));
	EXPECT_EQ(0, msync(self->p, PAGES * self->page, MS_SYNC));

	ASSERT_EQ(0, munlock(self->p + 2 * self->page, self->page));
	EXPECT_EQ(0, msync(self->p, PAGES * self->page, MS_INVALIDATE));
}

/* msync touches no page, so that protection does not matter. */
TEST_F(msync, mapping_need_not_be_accessible)
{
	ASSERT_EQ(0, mprotect(self->p, PAGES * self->page, PROT_NONE));
	EXPECT_EQ(0, msync(self->p, PAGES * self->page, MS_SYNC));
}

OBJECT_FIXTURE(fsync);
FILE_VARIANTS(fsync);

TEST_F(fsync, succeeds_and_changes_nothing)
{
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, 4 * self->page));
	p = object_map(&self->o, 4 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'x', 2 * self->page);

	EXPECT_EQ(0, fsync(self->o.fd));
	EXPECT_EQ(0, fdatasync(self->o.fd));
	EXPECT_TRUE(bytes_are(p, 'x', 2 * self->page));
	EXPECT_EQ(2, object_resident(&self->o));
	EXPECT_EQ(4 * self->page, object_size(&self->o));
}

TEST_F(fsync, succeeds_on_a_descriptor_that_only_reads)
{
	struct object o = object_open_flags(variant->kind, O_RDONLY);

	ASSERT_GE(o.fd, 0);
	EXPECT_EQ(0, fsync(o.fd));
	EXPECT_EQ(0, fdatasync(o.fd));
	object_close(&o);
}

TEST_F(fsync, msync_past_the_end_of_file_succeeds)
{
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, self->page));
	p = object_map(&self->o, 4 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	p[0] = 'x';
	EXPECT_EQ(0, msync(p, 4 * self->page, MS_SYNC));
	EXPECT_EQ(0, msync(p + self->page, self->page, MS_SYNC));
	EXPECT_EQ(1, object_resident(&self->o));
}

TEST_HARNESS_MAIN
