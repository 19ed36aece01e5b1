// SPDX-License-Identifier: GPL-2.0
/*
 * What is true of pages stays true where an object has huge pages for them: the
 * end of file, holes, copies, mappings and loss are exact to the page.
 */
#include "harness.h"

#include <linux/falloc.h>
#include <sys/uio.h>

#include "bytes.h"
#include "child.h"
#include "device.h"
#include "huge.h"
#include "poison.h"
#include "trap.h"

#define HUGES	3
#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

/*
 * An object of HUGES huge pages, as far as it makes such, and a shared mapping of
 * it. The first word of page i is i + 1.
 */
FIXTURE(huge) {
	struct object o;
	size_t page;
	size_t huge;
	size_t pages;
	size_t length;
	unsigned char *p;
};

FIXTURE_VARIANT(huge) {
	enum backend_kind kind;
};

REGULAR_VARIANTS(huge);

FIXTURE_SETUP(huge)
{
	self->page = getpagesize();
	self->huge = huge_bytes();
	if (!self->huge)
		SKIP(return, "no huge pages in this kernel");
	self->length = HUGES * self->huge;
	self->pages = self->length / self->page;
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_resize(&self->o, self->length));
	self->p = object_map(&self->o, self->length, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_HUGEPAGE));
	for (size_t i = 0; i < self->pages; i++)
		*(size_t *)(self->p + i * self->page) = i + 1;
	EXPECT_EQ(self->pages, object_resident(&self->o));
	if (is_mmapdev(variant->kind))
		EXPECT_EQ(HUGES, object_stats(&self->o).fault_shared_write);
}

FIXTURE_TEARDOWN(huge)
{
	object_close(&self->o);
}

/* Do the pages from first to end, not included, have what the setup gave them? */
static bool are_numbered(const unsigned char *p, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		if (*(volatile size_t *)(p + i * getpagesize()) != i + 1)
			return false;
	return true;
}

TEST_F(huge, shrinking_inside_takes_all_pages_after)
{
	size_t kept = self->pages / HUGES + 100;
	size_t size = kept * self->page;

	ASSERT_EQ(0, object_resize(&self->o, size));
	EXPECT_EQ(kept, object_resident(&self->o));
	EXPECT_TRUE(are_numbered(self->p, 0, kept));
	EXPECT_TRAP(trap_load(self->p + size), SIGBUS, BUS_ADRERR,
		    self->p + size);
	ASSERT_EQ(0, object_resize(&self->o, self->length));
	EXPECT_EQ(kept, object_resident(&self->o));
	EXPECT_TRUE(bytes_are(self->p + size, 0, self->length - size));
	EXPECT_TRUE(are_numbered(self->p, 0, kept));
}

TEST_F(huge, shrinking_inside_a_page_zeroes_its_rest)
{
	size_t size = 5 * self->page + 3;

	memset(self->p, 'x', self->length);
	ASSERT_EQ(0, object_resize(&self->o, size));
	EXPECT_EQ(6, object_resident(&self->o));
	ASSERT_EQ(0, object_resize(&self->o, self->length));
	EXPECT_TRUE(bytes_are(self->p, 'x', size));
	EXPECT_TRUE(bytes_are(self->p + size, 0, self->length - size));
}

TEST_F(huge, shrinking_to_the_border_of_two_leaves_the_first_whole)
{
	ASSERT_EQ(0, object_resize(&self->o, self->huge));
	EXPECT_EQ(self->pages / HUGES, object_resident(&self->o));
	EXPECT_TRUE(are_numbered(self->p, 0, self->pages / HUGES));
}

TEST_F(huge, punching_inside_takes_those_pages)
{
	size_t first = self->pages / HUGES - 3, end = first + 10;

	ASSERT_EQ(0, fallocate(self->o.fd, PUNCH, first * self->page,
			       (end - first) * self->page));
	EXPECT_EQ(self->pages - (end - first), object_resident(&self->o));
	EXPECT_EQ(first * self->page, lseek(self->o.fd, 0, SEEK_HOLE));
	EXPECT_EQ(end * self->page,
		  lseek(self->o.fd, first * self->page, SEEK_DATA));
	EXPECT_TRUE(are_numbered(self->p, 0, first));
	EXPECT_TRUE(bytes_are(self->p + first * self->page, 0,
			      (end - first) * self->page));
	EXPECT_TRUE(are_numbered(self->p, end, self->pages));
}

TEST_F(huge, zeroing_inside_zeroes_those_bytes)
{
	size_t from = 3 * self->page + 9, length = 2 * self->page;

	memset(self->p, 'x', self->huge);
	ASSERT_EQ(0, fallocate(self->o.fd, PUNCH, from, length));
	EXPECT_TRUE(bytes_are(self->p, 'x', from));
	EXPECT_TRUE(bytes_are(self->p + from, 0, length));
	EXPECT_TRUE(bytes_are(self->p + from + length, 'x',
			      self->huge - from - length));
}

TEST_F(huge, private_store_copies_one_page)
{
	unsigned char *copy = object_map(&self->o, self->length, RW,
					 MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, copy);
	EXPECT_TRUE(are_numbered(copy, 0, self->pages));
	copy[7 * self->page] = 0;
	self->p[7 * self->page + 1] = 'x';
	self->p[8 * self->page + 1] = 'y';
	EXPECT_EQ(0, copy[7 * self->page]);
	EXPECT_EQ(0, copy[7 * self->page + 1]);
	EXPECT_EQ('y', copy[8 * self->page + 1]);
	EXPECT_EQ(8, self->p[7 * self->page]);
	EXPECT_EQ(self->pages, object_resident(&self->o));
}

static int change_pages(void *arg, struct turn *t)
{
	unsigned char *p = arg;

	p[9 * getpagesize() + 4095] = 'c';
	return munmap(p + huge_bytes() / 2, getpagesize());
}

/* Without a load before, which would map the page that is copied. */
TEST_F(huge, private_store_to_an_untouched_page_copies_that_one)
{
	size_t at[] = { 0, 7, self->pages / HUGES - 1,
			self->pages / HUGES + 5, self->pages - 1 };
	unsigned char *copy = object_map(&self->o, self->length, RW,
					 MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, copy);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		copy[at[i] * self->page + 100] = 'x';
		EXPECT_EQ(0, self->p[at[i] * self->page + 100]);
	}
	EXPECT_TRUE(are_numbered(copy, 0, self->pages));
	EXPECT_EQ(self->pages, object_resident(&self->o));
}

/* The states of pages from first on: 0, or -1 with errno. */
static int states_from(const struct object *o, size_t first, size_t count,
		       unsigned char *states)
{
	struct mmapdev_pages pages = {
		.offset = first * getpagesize(),
		.count = count,
		.states = (uintptr_t)states,
	};

	return ioctl(o->fd, MMAPDEV_IOC_PAGES, &pages);
}

TEST_F(huge, page_states_are_the_same_from_wherever_they_are_asked)
{
	size_t of_one = self->pages / HUGES;
	size_t first[] = { 0, 1, 255, 256, of_one - 1, of_one, of_one + 7 };
	unsigned char all[self->pages], some[self->pages];

	if (!is_mmapdev(variant->kind))
		return;
	ASSERT_EQ(0, munmap(self->p, of_one * self->page));
	ASSERT_EQ(0, states_from(&self->o, 0, self->pages, all));
	for (size_t i = 0; i < self->pages; i++) {
		ASSERT_EQ(9, MMAPDEV_PAGE_ORDER(all[i]));
		ASSERT_EQ(i < of_one ? 0 : MMAPDEV_PAGE_MAPPED,
			  all[i] & ~MMAPDEV_PAGE_ORDER_MASK);
	}
	for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
		for (size_t n = 1; n < 600; n += 299) {
			memset(some, 0x77, sizeof(some));
			ASSERT_EQ(0, states_from(&self->o, first[i], n, some));
			EXPECT_EQ(0, memcmp(all + first[i], some, n));
			EXPECT_EQ(0x77, some[n]);
		}
	}
}

TEST_F(huge, child_shares_them)
{
	EXPECT_EQ(0, child_run(change_pages, self->p));
	EXPECT_EQ('c', self->p[9 * self->page + 4095]);
	EXPECT_TRUE(are_numbered(self->p, 0, self->pages));
}

TEST_F(huge, unmapping_a_part_leaves_the_rest)
{
	size_t hole = self->huge / 2;

	ASSERT_EQ(0, munmap(self->p + hole, self->page));
	EXPECT_TRAP(trap_load(self->p + hole), SIGSEGV, SEGV_MAPERR,
		    self->p + hole);
	EXPECT_TRUE(are_numbered(self->p, 0, hole / self->page));
	EXPECT_TRUE(are_numbered(self->p, hole / self->page + 1, self->pages));
	EXPECT_EQ(self->pages, object_resident(&self->o));
}

TEST_F(huge, protecting_a_part_leaves_the_rest)
{
	unsigned char *at = self->p + self->huge + 3 * self->page;

	ASSERT_EQ(0, mprotect(at, self->page, PROT_READ));
	EXPECT_TRAP(trap_store(at, 1), SIGSEGV, SEGV_ACCERR, at);
	EXPECT_NO_TRAP(trap_store(at + self->page + 100, 1));
	EXPECT_NO_TRAP(trap_store(at - self->page + 100, 1));
	EXPECT_TRUE(are_numbered(self->p, 0, self->pages));
}

TEST_F(huge, moved_part_keeps_its_pages)
{
	size_t length = self->huge;
	unsigned char *from = self->p + self->huge / 2;
	unsigned char *to = mremap(from, length, length,
				   MREMAP_MAYMOVE | MREMAP_FIXED,
				   mmap(NULL, length, PROT_NONE, MAP_PRIVATE |
					MAP_ANONYMOUS, -1, 0));

	ASSERT_NE(MAP_FAILED, to);
	EXPECT_TRUE(are_numbered(to - self->huge / 2,
				 self->huge / 2 / self->page,
				 (self->huge / 2 + length) / self->page));
	to[100] = 'm';
	EXPECT_EQ('m', object_byte(&self->o, self->huge / 2 + 100));
}

TEST_F(huge, pages_come_back_after_dontneed)
{
	ASSERT_EQ(0, madvise(self->p + 3 * self->page, 2 * self->huge,
			     MADV_DONTNEED));
	EXPECT_TRUE(are_numbered(self->p, 0, self->pages));
	EXPECT_EQ(self->pages, object_resident(&self->o));
}

/* A store through a mapping is a change of the file, by however many pages. */
TEST_F(huge, store_that_maps_many_pages_changes_the_time)
{
	struct stat before, after;

	ASSERT_EQ(0, madvise(self->p, self->length, MADV_DONTNEED));
	ASSERT_EQ(0, fstat(self->o.fd, &before));
	usleep(50000);
	self->p[0] = 1;
	ASSERT_EQ(0, fstat(self->o.fd, &after));
	EXPECT_LT(before.st_mtim.tv_sec * 1000000000LL + before.st_mtim.tv_nsec,
		  after.st_mtim.tv_sec * 1000000000LL + after.st_mtim.tv_nsec);
}

/* Of 512 pages one fails: the others have lost nothing. */
TEST_F(huge, failed_page_takes_no_other_with_it)
{
	size_t bad = self->pages / HUGES + 77;
	unsigned char *at = self->p + bad * self->page;
	int err = fail_memory(at, MADV_HWPOISON);

	if (err == EINVAL)
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	ASSERT_EQ(is_mmapdev(variant->kind) ? EBUSY : 0, err);
	EXPECT_TRAP(trap_load(at), SIGBUS, BUS_MCEERR_AR, at);
	EXPECT_TRUE(are_numbered(self->p, 0, bad));
	EXPECT_TRUE(are_numbered(self->p, bad + 1, self->pages));
	EXPECT_EQ(-1, object_byte(&self->o, bad * self->page));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ((bad + 2) & 0xff,
		  object_byte(&self->o, (bad + 1) * self->page));
}

/*
 * A huge page that somebody has pinned cannot be split: what is cut off is zeros
 * then, and stays there until the pin has gone.
 */
FIXTURE(pinned) {
	struct object o;
	size_t page;
	size_t huge;
	size_t kept;	/* pages before the end that is to come */
	unsigned char *p;
	int ends[2];	/* a pipe that has page 2 pinned */
};

FIXTURE_SETUP(pinned)
{
	struct iovec vec;

	self->page = getpagesize();
	self->huge = huge_bytes();
	if (!self->huge)
		SKIP(return, "no huge pages in this kernel");
	self->kept = 5;
	self->o = object_open(OBJFILE);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_resize(&self->o, self->huge));
	self->p = object_map(&self->o, self->huge, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_EQ(0, madvise(self->p, self->huge, MADV_HUGEPAGE));
	for (size_t i = 0; i < self->huge / self->page; i++)
		*(size_t *)(self->p + i * self->page) = i + 1;
	ASSERT_EQ(1, object_stats(&self->o).fault_shared_write);
	ASSERT_EQ(0, pipe(self->ends));
	vec = (struct iovec){ self->p + 2 * self->page, self->page };
	ASSERT_EQ(self->page, vmsplice(self->ends[1], &vec, 1, 0));
	ASSERT_EQ(0, object_resize(&self->o, self->kept * self->page));
}

FIXTURE_TEARDOWN(pinned)
{
	object_close(&self->o);
}

static void unpin(const int *ends)
{
	close(ends[0]);
	close(ends[1]);
}

TEST_F(pinned, bytes_past_the_end_are_gone)
{
	unsigned char *end = self->p + self->kept * self->page;

	EXPECT_TRUE(are_numbered(self->p, 0, self->kept));
	EXPECT_TRAP(trap_load(end), SIGBUS, BUS_ADRERR, end);
	ASSERT_EQ(0, object_resize(&self->o, self->huge));
	EXPECT_TRUE(are_numbered(self->p, 0, self->kept));
	EXPECT_TRUE(bytes_are(end, 0, self->huge - self->kept * self->page));
}

/* Who has pinned the page and the object still share it. */
TEST_F(pinned, pin_sees_what_is_stored)
{
	unsigned char bytes[self->page];

	self->p[2 * self->page + 9] = 'n';
	ASSERT_EQ(self->page, read(self->ends[0], bytes, self->page));
	EXPECT_EQ('n', bytes[9]);
	unpin(self->ends);
}

/* The next shrink splits it, and frees what two have cut off. */
TEST_F(pinned, pages_go_once_it_can_be_split)
{
	ASSERT_EQ(0, object_resize(&self->o, self->huge));
	unpin(self->ends);
	ASSERT_EQ(0, object_resize(&self->o, (self->kept - 1) * self->page));
	EXPECT_EQ(self->kept - 1, object_resident(&self->o));
	EXPECT_TRUE(are_numbered(self->p, 0, self->kept - 1));
}

/* The kernel would drop what is past the end, as it splits the page: it may not. */
TEST_F(pinned, kernel_does_not_split_it_across_the_end)
{
	long before = object_resident(&self->o);
	int err;

	unpin(self->ends);
	err = fail_memory(self->p + self->page, MADV_SOFT_OFFLINE);
	if (err == EINVAL)
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	EXPECT_NE(0, err);
	EXPECT_EQ(before, object_resident(&self->o));
	EXPECT_TRUE(are_numbered(self->p, 0, self->kept));
}

/* So does a shrink, as long as the end before it is inside. */
TEST_F(pinned, second_shrink_without_growth_loses_no_page)
{
	long pages = device_total("pages");
	unsigned char *end = self->p + (self->kept - 1) * self->page;

	unpin(self->ends);
	ASSERT_EQ(0, object_resize(&self->o, (self->kept - 1) * self->page));
	EXPECT_EQ(pages - self->huge / self->page,
		  device_total("pages") - object_resident(&self->o));
	EXPECT_TRUE(are_numbered(self->p, 0, self->kept - 1));
	EXPECT_TRAP(trap_load(end), SIGBUS, BUS_ADRERR, end);
	munmap(self->p, self->huge);
	object_close(&self->o);
	EXPECT_EQ(pages - (long)(self->huge / self->page),
		  device_total("pages"));
}

TEST_F(pinned, all_of_it_goes_with_the_object)
{
	long pages = device_total("pages");

	unpin(self->ends);
	munmap(self->p, self->huge);
	object_close(&self->o);
	EXPECT_EQ(pages - (long)(self->huge / self->page),
		  device_total("pages"));
}

TEST_HARNESS_MAIN
