// SPDX-License-Identifier: GPL-2.0
/*
 * What /proc tells of a mapping: its line in maps, its sums in smaps, its
 * pages in pagemap, and its file in map_files.
 */
#include "harness.h"

#include <sys/sysmacros.h>

#include "address.h"
#include "backend.h"
#include "bytes.h"
#include "child.h"
#include "procfs.h"

#define PAGES	8

OBJECT_FIXTURE(maps);
FILE_VARIANTS(maps);

/* The object's own file, in a hole so that no neighbour can merge with it. */
static unsigned char *map_alone(const struct object *o, size_t pages, int prot,
				int flags, size_t first)
{
	size_t page = getpagesize();
	unsigned char *p = address_hole(pages * page);

	if (p == MAP_FAILED)
		return MAP_FAILED;
	return object_map_at(o, p, pages * page, prot, flags | MAP_FIXED,
			     first * page);
}

TEST_F(maps, line_tells_address_offset_and_permissions)
{
	static const struct {
		int prot;
		int flags;
		const char *perms;
	} cases[] = {
		{ RW, MAP_SHARED, "rw-s" },
		{ RW, MAP_PRIVATE, "rw-p" },
		{ PROT_READ, MAP_SHARED, "r--s" },
		{ PROT_READ, MAP_PRIVATE, "r--p" },
		{ PROT_NONE, MAP_SHARED, "---s" },
		{ PROT_NONE, MAP_PRIVATE, "---p" },
	};

	for (int i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned char *p = map_alone(&self->o, PAGES, cases[i].prot,
					     cases[i].flags, 5);
		struct map_line line;

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(1, maps_lines(p, PAGES * self->page, &line));
		EXPECT_EQ((unsigned long)p, line.start);
		EXPECT_EQ((unsigned long)p + PAGES * self->page, line.end);
		EXPECT_EQ(5 * self->page, line.offset);
		EXPECT_STREQ(cases[i].perms, line.perms);
		ASSERT_EQ(0, munmap(p, PAGES * self->page));
	}
}

TEST_F(maps, line_names_the_file_that_was_opened)
{
	char link[64], path[PATH_MAX] = "";
	struct map_line line;
	struct stat st;
	unsigned char *p = map_alone(&self->o, PAGES, RW, MAP_SHARED, 0);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(1, maps_lines(p, PAGES * self->page, &line));
	if (variant->kind == MMAPDEV) {
		ASSERT_EQ(0, stat(mmapdev_path(), &st));
	} else {
		ASSERT_EQ(0, fstat(self->o.fd, &st));
	}
	EXPECT_EQ(st.st_ino, line.inode);
	EXPECT_EQ(major(st.st_dev), line.major);
	EXPECT_EQ(minor(st.st_dev), line.minor);

	snprintf(link, sizeof(link), "/proc/self/fd/%d", self->o.fd);
	ASSERT_LT(0, readlink(link, path, sizeof(path) - 1));
	EXPECT_STREQ(path, line.path);
	if (variant->kind == MMAPDEV) {
		EXPECT_STREQ(mmapdev_path(), line.path);
	}
}

/* Opening the link opens the file: of the device, that makes a new object. */
TEST_F(maps, map_files_link_opens)
{
	char link[64], path[PATH_MAX] = "";
	struct stat mapped, opened;
	struct object again = { .kind = variant->kind };
	struct map_line line;
	unsigned char *p;

	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
	p = map_alone(&self->o, PAGES, RW, MAP_SHARED, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(1, maps_lines(p, PAGES * self->page, &line));
	snprintf(link, sizeof(link), "/proc/self/map_files/%lx-%lx",
		 line.start, line.end);
	ASSERT_LT(0, readlink(link, path, sizeof(path) - 1));
	EXPECT_STREQ(line.path, path);
	again.fd = open(link, O_RDWR | O_CLOEXEC);
	ASSERT_GE(again.fd, 0);
	ASSERT_EQ(0, fstat(self->o.fd, &mapped));
	ASSERT_EQ(0, fstat(again.fd, &opened));
	EXPECT_EQ(mapped.st_dev, opened.st_dev);
	EXPECT_EQ(mapped.st_ino, opened.st_ino);
	EXPECT_EQ(variant->kind == MMAPDEV ? 0 : 'a', object_byte(&again, 0));
	object_close(&again);
}

OBJECT_FIXTURE(smaps);
FILE_VARIANTS(smaps);

/* Nothing that a driver can switch on shows: memory like any other. */
TEST_F(smaps, flags_are_those_of_plain_shared_memory)
{
	struct object plain = object_open(MEMFD);
	char expected[256], seen[256];

	ASSERT_EQ(0, object_resize(&plain, self->page));
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = map_alone(&plain, 1, RW, flags, 0);
		unsigned char *q = map_alone(&self->o, 1, RW, flags, 0);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_NE(MAP_FAILED, q);
		ASSERT_TRUE(smaps_text(p, "VmFlags", expected,
				       sizeof(expected)));
		ASSERT_TRUE(smaps_text(q, "VmFlags", seen, sizeof(seen)));
		EXPECT_STREQ(expected, seen);
	}
	object_close(&plain);
}

TEST_F(smaps, counts_the_pages_that_were_touched)
{
	long page = self->page;
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, PAGES * page));
	p = map_alone(&self->o, PAGES, RW, MAP_SHARED, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(PAGES * page, smaps_bytes(p, "Size"));
	EXPECT_EQ(0, smaps_bytes(p, "Rss"));
	for (int n = 1; n <= 3; n++) {
		p[2 * n * page] = 1;
		EXPECT_EQ(n * page, smaps_bytes(p, "Rss"));
		EXPECT_EQ(n * page, smaps_bytes(p, "Pss"));
		EXPECT_EQ(n * page, smaps_bytes(p, "Private_Dirty"));
	}
	EXPECT_EQ(PAGES * page, smaps_bytes(p, "Size"));
	EXPECT_EQ(0, smaps_bytes(p, "Private_Clean"));
	EXPECT_EQ(0, smaps_bytes(p, "Shared_Clean"));
	EXPECT_EQ(0, smaps_bytes(p, "Shared_Dirty"));
	EXPECT_EQ(0, smaps_bytes(p, "Anonymous"));
	EXPECT_EQ(0, smaps_bytes(p, "Swap"));
	EXPECT_EQ(0, smaps_bytes(p, "Locked"));
	ASSERT_EQ(0, mlock(p, PAGES * page));
	EXPECT_EQ(PAGES * page, smaps_bytes(p, "Locked"));
	EXPECT_EQ(PAGES * page, smaps_bytes(p, "Rss"));
}

TEST_F(smaps, private_copies_count_as_anonymous)
{
	long page = self->page;
	unsigned char *p;

	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
	p = map_alone(&self->o, PAGES, RW, MAP_PRIVATE, 0);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'z', 3 * page);
	EXPECT_EQ(3 * page, smaps_bytes(p, "Anonymous"));
	EXPECT_EQ(3 * page, smaps_bytes(p, "Private_Dirty"));
	EXPECT_EQ(3 * page, smaps_bytes(p, "Rss"));
}

struct touch {
	unsigned char *p;
	size_t page;
};

/* In a child: touch every page, and keep it mapped for a turn. */
static int touch_pages(void *arg, struct turn *t)
{
	struct touch *touch = arg;

	if (turn_wait(t))
		return 1;
	for (int i = 0; i < PAGES; i++)
		touch->p[i * touch->page] = 2;
	return turn_done(t) || turn_wait(t);
}

TEST_F(smaps, sharing_between_two_processes_halves_pss)
{
	long all = PAGES * self->page;
	struct touch touch = { .page = self->page };
	struct child c;
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, all));
	p = map_alone(&self->o, PAGES, RW, MAP_SHARED, 0);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 1, all);
	touch.p = p;
	c = child_start(touch_pages, &touch);
	EXPECT_EQ(all, smaps_bytes(p, "Pss"));
	EXPECT_EQ(all, smaps_bytes(p, "Private_Dirty"));

	ASSERT_EQ(0, child_turn(&c));
	EXPECT_EQ(all, smaps_bytes(p, "Rss"));
	EXPECT_EQ(all / 2, smaps_bytes(p, "Pss"));
	EXPECT_EQ(all, smaps_bytes(p, "Shared_Dirty"));
	EXPECT_EQ(0, smaps_bytes(p, "Private_Dirty"));

	ASSERT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
	EXPECT_EQ(all, smaps_bytes(p, "Pss"));
	EXPECT_EQ(all, smaps_bytes(p, "Private_Dirty"));
}

OBJECT_FIXTURE(pagemap);
FILE_VARIANTS(pagemap);

TEST_F(pagemap, tells_touched_pages_and_copies)
{
	const uint64_t bits = PAGEMAP_PRESENT | PAGEMAP_SWAPPED | PAGEMAP_FILE;

	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
	FOR_SHARED_AND_PRIVATE(flags) {
		uint64_t touched = PAGEMAP_PRESENT |
				   (flags == MAP_SHARED ? PAGEMAP_FILE : 0);
		unsigned char *p = map_alone(&self->o, PAGES, RW, flags, 0);

		ASSERT_NE(MAP_FAILED, p);
		for (int i = 1; i < PAGES; i += 2)
			p[i * self->page] = 1;
		for (int i = 0; i < PAGES; i++) {
			EXPECT_EQ(i % 2 ? touched : 0, bits &
				  pagemap_entry(p + i * self->page));
		}
	}
}

TEST_F(pagemap, two_mappings_of_a_page_are_of_one_frame)
{
	uint64_t frame, again;
	unsigned char *p;
	unsigned char *q;

	ASSERT_EQ(0, object_resize(&self->o, self->page));
	p = object_map(&self->o, self->page, RW, MAP_SHARED);
	q = object_map(&self->o, self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	p[0] = 'x';
	EXPECT_EQ('x', q[0]);
	frame = PAGEMAP_PFN(pagemap_entry(p));
	if (!frame)
		SKIP(return, "no CAP_SYS_ADMIN to see page frames");
	EXPECT_EQ(frame, PAGEMAP_PFN(pagemap_entry(q)));
	q[0] = 'y';
	again = PAGEMAP_PFN(pagemap_entry(q));
	EXPECT_NE(0, again);
	EXPECT_NE(frame, again);
}

TEST_HARNESS_MAIN
