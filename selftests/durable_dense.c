// SPDX-License-Identifier: GPL-2.0
/*
 * Durable objects read densely: pages are loaded before they are touched, and
 * only what is stored to is dirty. Objects only.
 */
#include "harness.h"

#include "bytes.h"
#include "drop_caches.h"
#include "durable.h"
#include "huge.h"
#include "name.h"
#include "neighbours.h"
#include "trap.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define HUGES		2	/* huge pages of the object */
#define MAX_PAGES	(HUGES * 8192)

/* What a page is full of. */
static unsigned char byte_of(size_t index)
{
	return 1 + index % 251;
}

/* Have every page leave the memory: 0, or -1. */
static int forget(const struct durable *d)
{
	return drop_caches("1") || durable_info(d).resident ? -1 : 0;
}

/*
 * An object of HUGES huge pages, each of its pages full of one byte, none of them
 * in memory, and a shared mapping p of it.
 */
#define DENSE_FIXTURE(name)						\
	FIXTURE(name) {							\
		struct durable d;					\
		size_t page;						\
		size_t pages;						\
		size_t length;						\
		unsigned char *p;					\
	};								\
	FIXTURE_VARIANT(name) {						\
		enum durable_kind kind;					\
	};								\
	FIXTURE_SETUP(name) {						\
		self->page = getpagesize();				\
		self->length = HUGES * huge_bytes();			\
		self->pages = self->length / self->page;		\
		if (!durable_possible(variant->kind)) {			\
			SKIP(, "%s", durable_lacks(variant->kind));	\
		} else if (!self->length) {				\
			SKIP(, "no huge pages in this kernel");		\
		} else {						\
			ASSERT_GE(MAX_PAGES, self->pages);		\
			self->d = durable_new(variant->kind,		\
					      self->length, 0);		\
			ASSERT_GE(self->d.fd, 0);			\
			for (size_t i = 0; i < self->pages; i++)	\
				ASSERT_EQ(0, page_write(self->d.fd, i,	\
							byte_of(i)));	\
			ASSERT_EQ(0, fsync(self->d.fd));		\
			ASSERT_EQ(0, forget(&self->d));			\
			self->p = mmap(NULL, self->length, RW,		\
				       MAP_SHARED, self->d.fd, 0);	\
			ASSERT_NE(MAP_FAILED, self->p);			\
		}							\
	}								\
	FIXTURE_TEARDOWN(name) {					\
		durable_close(&self->d);				\
	}

DENSE_FIXTURE(durable_dense);
OBJECT_KINDS(durable_dense);

/* How many pages are dirty, or -1. */
static long dirty(const struct durable *d, size_t count)
{
	static unsigned char states[MAX_PAGES];
	struct mmapdev_pages pages = {
		.count = count,
		.states = (uintptr_t)states,
	};
	long n = 0;

	if (ioctl(d->fd, MMAPDEV_IOC_PAGES, &pages))
		return -1;
	for (size_t i = 0; i < count; i++)
		n += !!(states[i] & MMAPDEV_PAGE_DIRTY);
	return n;
}

/* Faults, but for stores. */
static unsigned long loads(const struct durable *d)
{
	struct mmapdev_stats s = durable_stats(d);

	return s.fault_shared_read + s.fault_private_read + s.fault_around;
}

/* How many pages the mapping shows as they were stored, in order. */
static size_t right(const unsigned char *p, size_t pages)
{
	size_t n = 0;

	while (n < pages && page_is(p + n * getpagesize(), byte_of(n)))
		n++;
	return n;
}

TEST_F(durable_dense, loads_in_order_are_ahead_of_the_reader)
{
	unsigned long before = loads(&self->d);

	EXPECT_EQ(self->pages, right(self->p, self->pages));
	EXPECT_GT(self->pages / 8, loads(&self->d) - before);
	EXPECT_EQ(self->pages, durable_info(&self->d).resident);
	EXPECT_EQ(0, dirty(&self->d, self->pages));
}

TEST_F(durable_dense, loads_by_a_private_mapping_too)
{
	unsigned char *p = mmap(NULL, self->length, RW, MAP_PRIVATE,
				self->d.fd, 0);
	unsigned long before = loads(&self->d);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(self->pages, right(p, self->pages));
	EXPECT_GT(self->pages / 8, loads(&self->d) - before);
}

/* What is noted of a page that was reclaimed is no page. */
TEST_F(durable_dense, loads_after_reclaim_are_ahead_again)
{
	unsigned long before;

	ASSERT_EQ(self->pages, right(self->p, self->pages));
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_PAGEOUT));
	EXPECT_GT(self->pages / 16, durable_info(&self->d).resident);
	before = loads(&self->d);
	EXPECT_EQ(self->pages, right(self->p, self->pages));
	EXPECT_GT(self->pages / 8, loads(&self->d) - before);
}

TEST_F(durable_dense, loads_far_apart_are_of_one_page_each)
{
	for (size_t i = 0; i < self->pages; i += 64)
		ASSERT_EQ(byte_of(i), self->p[i * self->page]);
	EXPECT_EQ(self->pages / 64, durable_info(&self->d).resident);
}

TEST_F(durable_dense, random_advice_loads_one_page_each)
{
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_RANDOM));
	for (size_t i = 0; i < 64; i++)
		ASSERT_EQ(byte_of(i), self->p[i * self->page]);
	EXPECT_EQ(64, durable_info(&self->d).resident);
}

TEST_F(durable_dense, stores_in_order_bring_in_and_make_dirty_one_page_each)
{
	for (size_t i = 0; i < 100; i++) {
		self->p[i * self->page] = 'x';
		ASSERT_EQ(i + 1, durable_info(&self->d).resident);
		ASSERT_EQ((long)i + 1, dirty(&self->d, self->pages));
	}
}

TEST_F(durable_dense, page_that_was_loaded_ahead_is_dirty_by_its_own_store)
{
	ASSERT_EQ(self->pages, right(self->p, self->pages));
	self->p[33 * self->page] = 'x';
	EXPECT_EQ(1, dirty(&self->d, self->pages));
	EXPECT_EQ(1, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_EQ(self->pages, right(self->p, self->pages));
}

/* Nothing in memory, or all of it by single pages. */
static int load(const struct durable *d, size_t pages, bool present)
{
	unsigned char byte;

	if (posix_fadvise(d->fd, 0, 0, POSIX_FADV_DONTNEED) ||
	    durable_info(d).resident)
		return -1;
	for (size_t i = 0; present && i < pages; i++)
		if (pread(d->fd, &byte, 1, i * getpagesize()) != 1)
			return -1;
	return 0;
}

/* Wherever a mapping begins, in the object and in a page table. */
TEST_F(durable_dense, pages_ahead_are_mapped_inside)
{
	size_t per_huge = self->pages / HUGES;
	size_t firsts[] = { 1, 48, 256, 511 };
	int advices[] = { MADV_NORMAL, MADV_SEQUENTIAL, MADV_HUGEPAGE };
	int beside = neighbours_file();

	ASSERT_GE(beside, 0);
	ASSERT_EQ(0, munmap(self->p, self->length));
	for (int i = 0; i < 4 * 3 * 3; i++) {
		size_t first = firsts[i % 4], right = 0;
		size_t skews[] = { first, 0, 300 };
		struct neighbours n;

		ASSERT_EQ(0, load(&self->d, self->pages, i % 5 == 0));
		ASSERT_EQ(0, neighbours_map(&n, self->d.fd, first, per_huge,
					    skews[i / 4 % 3], beside));
		ASSERT_EQ(0, madvise(n.p, per_huge * self->page,
				     advices[i / 12]));
		neighbours_touch_edges(&n, false);
		EXPECT_EQ(0, neighbours_present(&n));
		while (right < per_huge && n.p[right * self->page] ==
					   byte_of(first + right))
			right++;
		EXPECT_EQ(per_huge, right);
		EXPECT_EQ(0, neighbours_present(&n));
		EXPECT_TRUE(neighbours_intact(&n));
		EXPECT_EQ(0, dirty(&self->d, self->pages));
		neighbours_unmap(&n);
	}
	close(beside);
}

/*
 * With CONFIG_READ_ONLY_THP_FOR_FS the kernel makes one huge page of those of a
 * file that nobody has open for writing. The object is, by its node.
 */
TEST_F(durable_dense, pages_of_a_file_read_only_are_not_collapsed)
{
	struct object o = { .kind = OBJFILE, .fd = self->d.fd };
	static unsigned char states[MAX_PAGES];
	struct mmapdev_pages pages = {
		.count = self->pages,
		.states = (uintptr_t)states,
	};
	unsigned char *code;
	int file;

	ASSERT_EQ(0, munmap(self->p, self->length));
	ASSERT_EQ(0, name_give(&o, NAME));
	self->d.fd = name_open(NAME, O_RDWR).fd;
	ASSERT_GE(self->d.fd, 0);
	object_close(&o);
	file = object_file(self->d.fd, O_RDONLY);
	code = mmap(NULL, self->length, PROT_READ | PROT_EXEC, MAP_SHARED,
		    file, 0);
	ASSERT_NE(MAP_FAILED, code);
	EXPECT_EQ(self->pages, right(code, self->pages));
	EXPECT_EQ(-1, madvise(code, self->length, MADV_COLLAPSE));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, ioctl(self->d.fd, MMAPDEV_IOC_PAGES, &pages));
	for (size_t i = 0; i < self->pages; i++)
		ASSERT_EQ(0, MMAPDEV_PAGE_ORDER(states[i]));

	self->p = mmap(NULL, self->length, RW, MAP_SHARED, self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	self->p[0] = 0;
	EXPECT_EQ(1, dirty(&self->d, self->pages));
	EXPECT_EQ(0, msync(self->p, self->length, MS_SYNC));
	EXPECT_EQ(0, dirty(&self->d, self->pages));
	name_clean(NAME);
}

/* Files can be cut short behind an object's back. */
DENSE_FIXTURE(short_file);
DURABLE_VARIANT(short_file, mmapdev_on_tmpfs, .kind = ON_TMPFS);
DURABLE_VARIANT(short_file, mmapdev_on_ext4, .kind = ON_EXT4);

TEST_F(short_file, page_ahead_that_cannot_be_loaded_fails_its_own_touch_only)
{
	size_t last = 37;
	unsigned char *at;

	ASSERT_EQ(0, ftruncate(self->d.backing, (last + 1) * self->page));
	EXPECT_EQ(last + 1, right(self->p, last + 1));
	at = self->p + (last + 1) * self->page;
	EXPECT_TRAP(trap_load(at), SIGBUS, BUS_ADRERR, at);
	ASSERT_EQ(0, ftruncate(self->d.backing, self->length));
	EXPECT_NO_TRAP(trap_load(at));
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
