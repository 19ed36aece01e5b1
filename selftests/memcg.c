// SPDX-License-Identifier: GPL-2.0
/*
 * Memory control groups: an object's pages count against the group of the task
 * that brought them in, and its limit holds.
 */
#include "harness.h"

#include "bytes.h"
#include "child.h"
#include "device.h"
#include "group.h"

/*
 * What is touched, and how far the group's figures may be off: the kernel
 * charges in batches of 64 pages for each CPU, and stacks and page tables too.
 */
#define PAGES	4096L
#define SLACK	512L

FIXTURE(memcg) {
	struct object o;
	size_t page;
	bool grouped;
};

FIXTURE_VARIANT(memcg) {
	enum backend_kind kind;
};

FILE_VARIANTS(memcg);

FIXTURE_SETUP(memcg)
{
	if (!group_possible())
		SKIP(return, "no memory controller in " GROUP_ROOT);
	self->page = getpagesize();
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
	ASSERT_EQ(0, group_make());
	self->grouped = true;
}

FIXTURE_TEARDOWN_PARENT(memcg)
{
	if (self->grouped)
		EXPECT_EQ(0, rmdir(GROUP));
}

static long group_pages(const char *file)
{
	return file_number(file) / getpagesize();
}

/* In the group: bring all pages in through a mapping, and stay a while. */
static int touch_all(void *arg, struct turn *t)
{
	const struct object *o = arg;
	size_t page = getpagesize();
	volatile char *p;

	p = object_map(o, PAGES * page, RW, MAP_SHARED);
	/* No page is to be there but what was touched. */
	if (p == MAP_FAILED ||
	    madvise((void *)p, PAGES * page, MADV_RANDOM) || group_join())
		return 1;
	for (long i = 0; i < PAGES; i++)
		p[i * page] = 1;
	return turn_done(t) || turn_wait(t);
}

/* The same with write(2). */
static int write_all(void *arg, struct turn *t)
{
	const struct object *o = arg;
	size_t page = getpagesize();

	if (group_join())
		return 1;
	for (long i = 0; i < PAGES; i++)
		if (pwrite(o->fd, "", 1, i * page) != 1)
			return 2;
	return turn_done(t) || turn_wait(t);
}

TEST_F(memcg, pages_count_against_the_group_of_who_touches_them)
{
	struct child c = child_start(touch_all, &self->o);
	long file;

	ASSERT_EQ(0, child_done(&c));
	EXPECT_EQ(PAGES, object_resident(&self->o));
	EXPECT_LE(PAGES, group_pages(GROUP "/memory.current"));
	EXPECT_GT(PAGES + SLACK, group_pages(GROUP "/memory.current"));
	file = group_value("memory.stat", "file") / (long)self->page;
	EXPECT_LT(PAGES - SLACK, file);
	EXPECT_GT(PAGES + SLACK, file);

	/* The opener's object goes on, and so does the charge. */
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
	EXPECT_LE(PAGES, group_pages(GROUP "/memory.current"));
	ASSERT_EQ(0, object_resize(&self->o, 0));
	EXPECT_GT(SLACK, group_pages(GROUP "/memory.current"));
}

TEST_F(memcg, pages_count_against_the_group_of_who_writes_them)
{
	struct child c = child_start(write_all, &self->o);

	ASSERT_EQ(0, child_done(&c));
	EXPECT_LE(PAGES, group_pages(GROUP "/memory.current"));
	EXPECT_GT(PAGES + SLACK, group_pages(GROUP "/memory.current"));
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
}

/* The pages outlive the process that is killed: nothing else can be freed. */
TEST_F(memcg, touching_over_the_groups_limit_is_an_oom_kill)
{
	struct child c;
	long resident;
	char *p;

	ASSERT_EQ(0, group_limit(PAGES / 2 * (long)self->page));
	c = child_start(touch_all, &self->o);
	EXPECT_EQ(128 + SIGKILL, child_end(&c));
	EXPECT_EQ(1, group_value("memory.events", "oom_kill"));
	resident = object_resident(&self->o);
	EXPECT_GE(PAGES / 2, resident);
	EXPECT_LT(PAGES / 2 - SLACK, resident);

	/* The object is whole, and others go on with it. */
	p = object_map(&self->o, PAGES * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	for (long i = 0; i < PAGES; i++)
		if (p[i * self->page] != (i < resident)) {
			EXPECT_EQ(i, resident);
			break;
		}
	p[(PAGES - 1) * self->page] = 2;
	EXPECT_EQ(2, object_byte(&self->o, (PAGES - 1) * self->page));
	ASSERT_EQ(0, object_resize(&self->o, 0));
	EXPECT_EQ(0, object_resident(&self->o));
	EXPECT_GT(SLACK, group_pages(GROUP "/memory.current"));
}

#define ROOM	1536	/* pages that the group may have: three huge pages */
#define TOUCHED	1344	/* of them touched: two and a half, and some */

/* In the group: bring pages in as fast as the object likes. */
static int touch_in_order(void *arg, struct turn *t)
{
	const struct object *o = arg;
	size_t page = getpagesize();
	volatile char *p;

	p = object_map(o, 4 * ROOM * page, RW, MAP_SHARED);
	if (p == MAP_FAILED || group_join())
		return 1;
	for (long i = 0; i < TOUCHED; i++)
		p[i * page] = 1;
	return turn_done(t) || turn_wait(t);
}

TEST_F(memcg, pages_that_are_made_ahead_kill_nobody)
{
	struct child c;

	ASSERT_EQ(0, object_resize(&self->o, 4 * ROOM * self->page));
	ASSERT_EQ(0, group_limit(ROOM * (long)self->page));
	c = child_start(touch_in_order, &self->o);
	ASSERT_EQ(0, child_done(&c));
	EXPECT_LE(TOUCHED, object_resident(&self->o));
	EXPECT_GT(ROOM, object_resident(&self->o));
	EXPECT_EQ(0, group_value("memory.events", "oom_kill"));
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
}

TEST_HARNESS_MAIN
