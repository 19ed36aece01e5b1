// SPDX-License-Identifier: GPL-2.0
/*
 * The flags of mmap(2): populating, locking, placing; and those refused.
 */
#include "harness.h"

#include <sys/resource.h>

#include "address.h"
#include "backend.h"
#include "bytes.h"
#include "procfs.h"
#include "trap.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE	0x100000
#endif

#define PAGES	8

/* How many of the pages of the mapping at p are in memory, by mincore(2). */
static size_t in_core(void *p, size_t pages)
{
	unsigned char states[pages];
	size_t n = 0;

	if (mincore(p, pages * getpagesize(), states))
		return SIZE_MAX;
	for (size_t i = 0; i < pages; i++)
		n += states[i] & 1;
	return n;
}

/* Every fault that an mmapdev object has seen. */
static uint64_t faults(const struct object *o)
{
	struct mmapdev_stats s = {};

	if (ioctl(o->fd, MMAPDEV_IOC_GET_STATS, &s))
		return UINT64_MAX;
	return s.fault_shared_read + s.fault_shared_write +
	       s.fault_private_read + s.fault_cow_source + s.fault_around;
}

/* Faults of this process so far. */
static long process_faults(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) ? -1 : usage.ru_minflt;
}

OBJECT_FIXTURE(populate);
FILE_VARIANTS(populate);

TEST_F(populate, shared_pages_are_present_at_return)
{
	size_t length = PAGES * self->page;
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, length));
	p = object_map(&self->o, length, RW, MAP_SHARED | MAP_POPULATE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(PAGES, pagemap_present(p, PAGES));
	EXPECT_EQ(PAGES, in_core(p, PAGES));
	EXPECT_EQ(PAGES, object_resident(&self->o));
	EXPECT_TRUE(bytes_are(p, 0, length));
}

TEST_F(populate, private_copies_are_present_at_return)
{
	size_t length = PAGES * self->page;
	unsigned char *p;

	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
	p = object_map(&self->o, length, RW, MAP_PRIVATE | MAP_POPULATE);
	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < PAGES; i++) {
		uint64_t entry = pagemap_entry(p + i * self->page);

		EXPECT_EQ(PAGEMAP_PRESENT,
			  entry & (PAGEMAP_PRESENT | PAGEMAP_FILE));
		EXPECT_TRUE(page_is(p + i * self->page, 'a' + i));
	}
}

TEST_F(populate, goes_up_to_the_end_of_file)
{
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, 2 * self->page + 1));
	p = object_map(&self->o, PAGES * self->page, RW,
		       MAP_SHARED | MAP_POPULATE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(3, pagemap_present(p, PAGES));
	EXPECT_EQ(3, object_resident(&self->o));
	EXPECT_TRAP(trap_load(p + 3 * self->page), SIGBUS, BUS_ADRERR,
		    p + 3 * self->page);
}

/* Neither for a page that is missing, nor for one that is read-only. */
TEST_F(populate, leaves_no_fault_for_later)
{
	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
	FOR_SHARED_AND_PRIVATE(flags) {
		long before;
		unsigned char *p;

		p = object_map(&self->o, PAGES * self->page, RW,
			       flags | MAP_POPULATE);
		ASSERT_NE(MAP_FAILED, p);
		process_faults();	/* its own first faults are over */
		before = process_faults();
		for (int i = 0; i < PAGES; i++)
			p[i * self->page] = 'x';
		EXPECT_EQ(before, process_faults());
	}
}

OBJECT_FIXTURE(populate_stats);
OBJECT_VARIANT(populate_stats, mmapdev, MMAPDEV);

TEST_F(populate_stats, count_one_fault_for_each_page)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		uint64_t before;
		unsigned char *p;

		before = faults(&self->o);
		p = object_map(&self->o, PAGES * self->page, RW,
			       flags | MAP_POPULATE);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(before + PAGES, faults(&self->o));
		memset(p, 'x', PAGES * self->page);
		EXPECT_EQ(before + PAGES, faults(&self->o));
	}
}

OBJECT_FIXTURE(locked);
FILE_VARIANTS(locked);

TEST_F(locked, flag_locks_and_populates)
{
	long length = PAGES * self->page;
	long before = status_bytes("VmLck");

	ASSERT_EQ(0, object_resize(&self->o, length));
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, length, RW,
					      flags | MAP_LOCKED);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(before + length, status_bytes("VmLck"));
		EXPECT_EQ(PAGES, pagemap_present(p, PAGES));
		ASSERT_EQ(0, munmap(p, length));
		EXPECT_EQ(before, status_bytes("VmLck"));
	}
}

TEST_F(locked, mlock_of_a_part_locks_and_populates_that_part)
{
	long before = status_bytes("VmLck");

	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, PAGES * self->page, RW,
					      flags);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(0, mlock(p + 2 * self->page, 3 * self->page));
		EXPECT_EQ(before + 3 * self->page, status_bytes("VmLck"));
		EXPECT_EQ(0, pagemap_present(p, 2));
		EXPECT_EQ(3, pagemap_present(p + 2 * self->page, 3));
		EXPECT_EQ(0, pagemap_present(p + 5 * self->page, PAGES - 5));
		EXPECT_EQ(3, maps_lines(p, PAGES * self->page, NULL));
		ASSERT_EQ(0, munlock(p + 2 * self->page, 3 * self->page));
		EXPECT_EQ(before, status_bytes("VmLck"));
		EXPECT_EQ(3, pagemap_present(p + 2 * self->page, 3));
		ASSERT_EQ(0, munmap(p, PAGES * self->page));
	}
}

TEST_F(locked, mlock_past_the_end_of_file_fails_with_enomem)
{
	ASSERT_EQ(0, object_resize(&self->o, 2 * self->page));
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, 4 * self->page, RW,
					      flags);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(-1, mlock(p, 4 * self->page));
		EXPECT_EQ(ENOMEM, errno);
		EXPECT_EQ(0, mlock(p, 2 * self->page));
	}
}

TEST_F(locked, on_fault_locks_pages_as_they_are_touched)
{
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
	p = object_map(&self->o, PAGES * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, mlock2(p, PAGES * self->page, MLOCK_ONFAULT));
	EXPECT_EQ(0, object_resident(&self->o));
	EXPECT_EQ(0, smaps_bytes(p, "Locked"));
	p[3 * self->page] = 1;
	EXPECT_EQ(1, object_resident(&self->o));
	EXPECT_EQ(self->page, smaps_bytes(p, "Locked"));
}

TEST_F(locked, mlockall_locks_mappings_there_are_and_to_come)
{
	unsigned char *now, *later;

	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
	now = object_map(&self->o, PAGES * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, now);
	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE));
	later = object_map(&self->o, PAGES * self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, later);
	EXPECT_EQ(PAGES, pagemap_present(now, PAGES));
	EXPECT_EQ(PAGES, pagemap_present(later, PAGES));
	ASSERT_EQ(0, munlockall());
	EXPECT_EQ(0, status_bytes("VmLck"));
}

OBJECT_FIXTURE(placed);
FILE_VARIANTS(placed);

TEST_F(placed, fixed_replaces_what_is_there)
{
	ASSERT_EQ(0, object_fill(&self->o, 6, 'a'));
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, 3 * self->page, RW,
					      flags);
		unsigned char *middle = p + self->page;

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_NO_TRAP(trap_store(middle, 'b'));
		ASSERT_EQ(middle, object_map_at(&self->o, middle, self->page,
						RW, flags | MAP_FIXED,
						5 * self->page));
		EXPECT_TRUE(page_is(p, 'a'));
		EXPECT_TRUE(page_is(middle, 'f'));
		EXPECT_TRUE(page_is(middle + self->page, 'c'));
		EXPECT_EQ(3, maps_lines(p, 3 * self->page, NULL));
		EXPECT_EQ('b', object_byte(&self->o, self->page));
	}
}

TEST_F(placed, fixed_noreplace_fails_with_eexist_where_something_is)
{
	unsigned char *hole = address_hole(2 * self->page);

	ASSERT_NE(MAP_FAILED, hole);
	ASSERT_EQ(0, object_fill(&self->o, 2, 'a'));
	ASSERT_EQ(hole, object_map_at(&self->o, hole, self->page, RW,
				      MAP_SHARED | MAP_FIXED_NOREPLACE, 0));
	EXPECT_EQ(MAP_FAILED, object_map_at(&self->o, hole, 2 * self->page, RW,
					    MAP_SHARED | MAP_FIXED_NOREPLACE,
					    0));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(1, maps_lines(hole, 2 * self->page, NULL));
	EXPECT_TRUE(page_is(hole, 'a'));
}

TEST_F(placed, free_hint_is_followed)
{
	unsigned char *hole = address_hole(self->page);

	ASSERT_NE(MAP_FAILED, hole);
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	EXPECT_EQ(hole, object_map_at(&self->o, hole, self->page, RW,
				      MAP_SHARED, 0));
}

OBJECT_FIXTURE(other_flags);
FILE_VARIANTS(other_flags);

TEST_F(other_flags, anonymous_ignores_the_object)
{
	ASSERT_EQ(0, object_fill(&self->o, 2, 'a'));
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, 4 * self->page, RW,
					      flags | MAP_ANONYMOUS);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_TRUE(bytes_are(p, 0, 4 * self->page));
		memset(p, 'x', 4 * self->page);
		EXPECT_EQ('a', object_byte(&self->o, 0));
	}
}

TEST_F(other_flags, noreserve_maps_more_than_there_is_memory)
{
	size_t length = 1UL << 40;
	char mode = 0;
	int fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY);
	unsigned char *p;

	ASSERT_EQ(1, read(fd, &mode, 1));
	close(fd);
	if (mode != '0')
		SKIP(return, "vm.overcommit_memory is not 0");
	ASSERT_EQ(0, object_resize(&self->o, length));
	EXPECT_EQ(MAP_FAILED, object_map(&self->o, length, RW, MAP_PRIVATE));
	EXPECT_EQ(ENOMEM, errno);
	p = object_map(&self->o, length, RW, MAP_PRIVATE | MAP_NORESERVE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_NO_TRAP(trap_store(p + length - 1, 'x'));
	EXPECT_EQ(0, object_byte(&self->o, length - 1));
}

TEST_F(other_flags, shared_validate_refuses_unknown_flags)
{
	const int unknown = 1 << 23;

	ASSERT_EQ(0, object_resize(&self->o, self->page));
	EXPECT_NE(MAP_FAILED, object_map(&self->o, self->page, RW,
					 MAP_SHARED_VALIDATE));
	EXPECT_EQ(MAP_FAILED, object_map(&self->o, self->page, RW,
					 MAP_SHARED_VALIDATE | unknown));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_NE(MAP_FAILED, object_map(&self->o, self->page, RW,
					 MAP_SHARED | unknown));
}

/* MAP_SYNC promises that stores survive a power cut: only DAX can. */
TEST_F(other_flags, sync_is_refused)
{
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	EXPECT_EQ(MAP_FAILED, object_map(&self->o, self->page, RW,
					 MAP_SHARED_VALIDATE | MAP_SYNC));
	EXPECT_EQ(EOPNOTSUPP, errno);
}

/* Only for files of hugetlbfs; stacks that grow are never of a file. */
TEST_F(other_flags, hugetlb_and_growsdown_are_refused)
{
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	FOR_SHARED_AND_PRIVATE(flags) {
		EXPECT_EQ(MAP_FAILED, object_map(&self->o, self->page, RW,
						 flags | MAP_HUGETLB));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(MAP_FAILED, object_map(&self->o, self->page, RW,
						 flags | MAP_GROWSDOWN));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_HARNESS_MAIN
