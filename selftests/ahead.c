// SPDX-License-Identifier: GPL-2.0
/*
 * Pages made ahead give way: mmapdev only.
 *
 * What was made and never touched is taken back before anybody is refused a page
 * at the limit, or killed for memory. Whatever was touched, promised or pinned
 * stays as it was.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <sys/uio.h>

#include "address.h"
#include "bytes.h"
#include "child.h"
#include "device.h"
#include "durable.h"
#include "group.h"
#include "huge.h"
#include "procfs.h"
#include "slow.h"
#include "steps.h"
#include "trap.h"

#define HUGES	8	/* huge pages of the object */

/*
 * An object with an advised mapping, in which each first touch makes a huge page; its
 * length is what all objects together may hold. Another one for those who come later.
 */
FIXTURE(ahead) {
	struct object o;
	struct object other;
	int file;	/* of o, a regular one */
	size_t page;
	size_t huge;
	size_t length;
	unsigned char *p;
	uint64_t before;	/* bytes held by others */
	struct knob limit;
	struct knob step;
	struct knob reserved;	/* huge pages that nobody gets */
};

FIXTURE_VARIANT(ahead) {
	enum backend_kind kind;
};

FIXTURE_VARIANT_ADD(ahead, mmapdev) { .kind = MMAPDEV };

FIXTURE_SETUP(ahead)
{
	self->page = getpagesize();
	self->huge = huge_bytes();
	if (!self->huge)
		SKIP(return, "no huge pages in this kernel");
	self->length = HUGES * self->huge;
	self->o = object_open(variant->kind);
	self->other = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_GE(self->other.fd, 0);
	self->file = object_file(self->o.fd, O_RDWR);
	ASSERT_GE(self->file, 0);
	ASSERT_EQ(0, object_resize(&self->o, self->length));
	ASSERT_EQ(0, object_resize(&self->other, self->length));
	self->p = object_map_at(&self->o,
				address_aligned(self->length, self->huge),
				self->length, RW, MAP_SHARED | MAP_FIXED, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_HUGEPAGE));
	/* Large pages are made ahead only where there are some. */
	file_write("/proc/sys/vm/compact_memory", "1");
	self->before = object_info(&self->o).used;
	ASSERT_EQ(0, limit_set(&self->limit, self->before + self->length));
}

/* In the parent, so that a test that dies leaves no limit behind. */
FIXTURE_TEARDOWN_PARENT(ahead)
{
	if (self->huge)
		EXPECT_EQ(0, knob_restore(&self->limit));
	EXPECT_EQ(0, knob_restore(&self->step));
	EXPECT_EQ(0, knob_restore(&self->reserved));
}

static unsigned char stamp(size_t i)
{
	return i % 255 + 1;
}

/*
 * Store a byte to one page of each huge one, at its beginning, its end or between; the
 * object then has all the pages that there may be.
 */
static size_t touched(const FIXTURE_DATA(ahead) *self, size_t i)
{
	size_t per_huge = self->huge / self->page;

	return i * self->huge + i * 97 % per_huge * self->page +
	       (i % 3) * (self->page / 2 - 1);
}

static bool touch_each(const FIXTURE_DATA(ahead) *self)
{
	for (size_t i = 0; i < HUGES; i++)
		if (trap_store(self->p + touched(self, i), stamp(i)).signo)
			return false;
	return object_resident(&self->o) == (long)(self->length / self->page);
}

/* Is each byte of the object as touch_each() left it? */
static bool as_touched(const FIXTURE_DATA(ahead) *self)
{
	for (size_t i = 0; i < HUGES; i++) {
		unsigned char *at = self->p + touched(self, i);

		if (*at != stamp(i))
			return false;
		*at = 0;
	}
	for (size_t i = 0; i < self->length; i += self->page)
		if (!page_is(self->p + i, 0))
			return false;
	return true;
}

/* Write n pages to an object. Returns how many went in. */
static size_t fill(const struct object *o, size_t pages)
{
	char bytes[getpagesize()];
	size_t n;

	memset(bytes, 'o', sizeof(bytes));
	for (n = 0; n < pages; n++)
		if (pwrite(o->fd, bytes, sizeof(bytes), n * sizeof(bytes)) !=
		    (ssize_t)sizeof(bytes))
			break;
	return n;
}

/* All the room but for what was touched is for others, and then no more. */
TEST_F(ahead, pages_that_nobody_touched_are_for_others)
{
	size_t pages = self->length / self->page;

	ASSERT_TRUE(touch_each(self));
	EXPECT_EQ(pages - HUGES, fill(&self->other, pages));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(HUGES, object_resident(&self->o));
}

/* Nothing that was stored goes, and what went is zeros. */
TEST_F(ahead, what_was_stored_stays)
{
	ASSERT_TRUE(touch_each(self));
	ASSERT_LT(0, fill(&self->other, self->length / self->page));
	object_close(&self->other);	/* room to look at it */
	EXPECT_TRUE(as_touched(self));
}

/* The one who touched few pages can touch all the rest. */
TEST_F(ahead, untouched_pages_can_be_touched_after_others_came_and_went)
{
	ASSERT_TRUE(touch_each(self));
	ASSERT_LT(0, fill(&self->other, self->length / self->page));
	ASSERT_EQ(0, object_resize(&self->other, 0));
	for (size_t i = 0; i < self->length; i += self->page)
		ASSERT_EQ(0, trap_store(self->p + i, 'x').signo);
}

/* A store that finds no page of its own object's is not refused. */
TEST_F(ahead, pages_of_the_same_object_give_way)
{
	unsigned char *q;

	ASSERT_TRUE(touch_each(self));
	ASSERT_EQ(0, object_resize(&self->o, 2 * self->length));
	q = object_map_at(&self->o, NULL, self->length, RW, MAP_SHARED,
			  self->length);
	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(0, madvise(q, self->length, MADV_NOHUGEPAGE));
	for (size_t i = 0; i < self->length - HUGES * self->page;
	     i += self->page) {
		ASSERT_EQ(0, trap_store(q + i, 'x').signo)
			TH_LOG("page %zu", i / self->page);
	}
	EXPECT_EQ(SIGBUS, trap_store(q + self->length - self->page, 'x').signo);
	ASSERT_EQ(0, object_resize(&self->o, self->length));
	EXPECT_TRUE(as_touched(self));
}

TEST_F(ahead, durable_objects_get_them_too)
{
	struct durable d = durable_new(MEMORY, self->length, 0);
	size_t pages = 64;
	char *q;

	ASSERT_GE(d.fd, 0);
	ASSERT_TRUE(touch_each(self));
	q = mmap(NULL, pages * self->page, RW, MAP_SHARED, d.fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	for (size_t i = 0; i < pages; i++)
		ASSERT_EQ(0, trap_store(q + i * self->page, 'x').signo);
	EXPECT_EQ(0, msync(q, pages * self->page, MS_SYNC));
	EXPECT_TRUE(as_touched(self));
}

/* fallocate() has promised them. */
TEST_F(ahead, allocated_pages_stay)
{
	size_t pages = self->length / self->page;

	ASSERT_TRUE(touch_each(self));
	ASSERT_EQ(0, fallocate(self->file, 0, 0, self->length));
	EXPECT_EQ(0, fill(&self->other, 1));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(pages, object_resident(&self->o));
}

/* So has mlock(). */
TEST_F(ahead, locked_pages_stay)
{
	size_t pages = self->length / self->page;

	ASSERT_TRUE(touch_each(self));
	ASSERT_EQ(0, mlock(self->p, self->length));
	EXPECT_EQ(0, fill(&self->other, 1));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(pages, object_resident(&self->o));
}

/*
 * Of pages that are mapped one by one, a kernel does not note that they are locked if
 * they are part of a large one: not all of them do, and none if it was locked first.
 */
static void *map_by_pages(const FIXTURE_DATA(ahead) *self)
{
	char *at = address_aligned(self->length + self->huge, self->huge);

	return object_map_at(&self->o, at + self->page, self->length, RW,
			     MAP_SHARED | MAP_FIXED, 0);
}

static bool stay_locked(const FIXTURE_DATA(ahead) *self, unsigned char *q)
{
	long pages = self->length / self->page;

	if (object_resident(&self->o) != pages || fill(&self->other, 1) ||
	    errno != ENOSPC || object_resident(&self->o) != pages)
		return false;
	for (size_t i = 0; i < self->length; i += self->page)
		if (trap_store(q + i, 'x').signo)
			return false;
	return true;
}

TEST_F(ahead, locked_pages_of_large_ones_stay)
{
	unsigned char *q = map_by_pages(self);

	ASSERT_NE(MAP_FAILED, q);
	ASSERT_TRUE(touch_each(self));
	for (size_t i = 0; i < self->length; i += self->page)
		ASSERT_EQ(0, *(volatile unsigned char *)(q + i) && 0);
	ASSERT_EQ(0, munmap(self->p, self->length));
	ASSERT_EQ(0, mlock(q, self->length));
	EXPECT_TRUE(stay_locked(self, q));
}

/* A mapping of the last huge one is locked: that promises nothing of the others. */
TEST_F(ahead, pages_locked_elsewhere_keep_no_others)
{
	size_t last = (HUGES - 1) * self->huge;
	char *p = object_map_at(&self->o, NULL, self->page, RW, MAP_SHARED, last);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_TRUE(touch_each(self));
	ASSERT_EQ(0, mlock(p, self->page));
	EXPECT_EQ(1, fill(&self->other, 1));
	EXPECT_TRUE(as_touched(self));
}

TEST_F(ahead, pages_of_large_ones_that_are_made_locked_stay)
{
	unsigned char *q = map_by_pages(self);

	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(0, mlock(q, self->length));
	EXPECT_TRUE(stay_locked(self, q));
}

/*
 * A pipe holds a page, untouched so far, in the middle of others: a store to it must
 * be seen at its end, as with any page that is still the object's.
 */
TEST_F(ahead, pinned_page_stays)
{
	unsigned char *at = self->p + self->huge / 2 + 5 * self->page;
	struct iovec iov = { .iov_base = at, .iov_len = self->page };
	char got[self->page];
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	ASSERT_TRUE(touch_each(self));
	/* Of its huge page nothing is left but the pipe to tell that it is of use. */
	self->p[touched(self, 0)] = 0;
	ASSERT_EQ(self->page, vmsplice(ends[1], &iov, 1, 0));
	ASSERT_LT(0, fill(&self->other, self->length / self->page));
	object_close(&self->other);
	memset(at, 'p', self->page);
	EXPECT_EQ(self->page, read(ends[0], got, self->page));
	EXPECT_TRUE(page_is(got, 'p'));
	memset(at, 0, self->page);
	self->p[touched(self, 0)] = stamp(0);
	EXPECT_TRUE(as_touched(self));
}

/* One wait is enough: a page that stayed pinned counts as touched from then on. */
TEST_F(ahead, page_pinned_all_the_time_is_not_waited_for_again)
{
	struct iovec iov = { .iov_base = self->p, .iov_len = self->page };
	size_t pages = self->length / self->page;
	int ends[2];
	size_t n;

	ASSERT_EQ(0, pipe(ends));
	ASSERT_TRUE(touch_each(self));
	ASSERT_EQ(self->page, vmsplice(ends[1], &iov, 1, 0));
	n = fill(&self->other, pages);
	EXPECT_EQ((HUGES - 1) * (self->huge / self->page - 1), n);
	close(ends[0]);
	close(ends[1]);
	EXPECT_EQ(n, fill(&self->other, pages));
	EXPECT_EQ(pages - n, object_resident(&self->o));
}

/* Stores go on while pages are taken back: none of them is lost. */
static int store_on(void *arg, struct turn *t)
{
	const FIXTURE_DATA(ahead) *self = arg;
	struct pollfd stop = { .fd = t->wait, .events = POLLIN };
	size_t pages = self->length / self->page / 4;
	unsigned char round = 0;

	if (turn_done(t))
		return 1;
	do {
		round = round % 255 + 1;
		for (size_t i = 0; i < pages; i++)
			self->p[i * 4 * self->page + i % self->page] = round;
		for (size_t i = 0; i < pages; i++)
			if (self->p[i * 4 * self->page + i % self->page] !=
			    round)
				return 2;
		if (fallocate(self->file, FALLOC_FL_PUNCH_HOLE |
			      FALLOC_FL_KEEP_SIZE, 0, self->length))
			return 3;
	} while (!poll(&stop, 1, 0));
	return 0;
}

TEST_F(ahead, stores_beside_lose_no_byte)
{
	size_t pages = self->length / self->page / 2;
	struct child c = child_start(store_on, self);

	ASSERT_EQ(0, child_done(&c));
	for (int i = 0; i < (slow_kernel() ? 8 : 20); i++) {
		EXPECT_EQ(pages, fill(&self->other, pages));
		ASSERT_EQ(0, object_resize(&self->other, 0));
		ASSERT_EQ(0, object_resize(&self->other, self->length));
	}
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
}

static int take_a_page(void *arg, struct turn *t)
{
	const FIXTURE_DATA(ahead) *self = arg;

	return turn_wait(t) || fill(&self->other, 1) != 1;
}

/* Mapped and all zeros, and looked at just as somebody stores to it. */
TEST_F(ahead, store_to_a_page_that_is_looked_at_is_kept)
{
	for (int i = 0; i < 20; i++) {
		struct child c = child_start(take_a_page, self);

		ASSERT_EQ(0, steps_wait(&self->step, "100000"));
		for (size_t j = 0; j < self->length; j += self->huge)
			ASSERT_EQ(0, *(volatile unsigned char *)(self->p + j));
		ASSERT_EQ(0, child_go(&c));
		usleep(10000);
		for (int j = 0; j < HUGES; j++)
			self->p[touched(self, j)] = stamp(j);
		ASSERT_EQ(0, knob_restore(&self->step));
		ASSERT_EQ(0, child_end(&c));
		ASSERT_EQ(0, object_resize(&self->other, 0));
		ASSERT_TRUE(as_touched(self));
		ASSERT_EQ(0, object_resize(&self->o, 0));
		ASSERT_EQ(0, object_resize(&self->other, self->length));
		ASSERT_EQ(0, object_resize(&self->o, self->length));
	}
}

/*
 * An object goes while another's pages are looked at, which takes long where somebody
 * has stored to all of them: only a debugging kernel's module waits between them.
 */
TEST_F(ahead, others_go_while_one_is_looked_at)
{
	bool meanwhile = !steps_possible();

	for (int i = 0; i < 10 && !meanwhile; i++) {
		struct child c = child_start(take_a_page, self);
		struct object goes = object_open(variant->kind);

		memset(self->p, 'x', self->length);
		ASSERT_EQ(0, steps_wait(&self->step, "100000"));
		ASSERT_EQ(0, child_go(&c));
		while (pagemap_present(self->p, 1))
			usleep(1000);
		object_close(&goes);
		meanwhile = pagemap_present(self->p + self->length -
					    self->huge, 1);
		ASSERT_EQ(0, knob_restore(&self->step));
		EXPECT_EQ(1, child_end(&c));	/* there was nothing for it */
		ASSERT_EQ(0, object_resize(&self->o, 0));
		ASSERT_EQ(0, object_resize(&self->o, self->length));
	}
	EXPECT_TRUE(meanwhile);
}

/* In a group with room for half of it: touch a page of each huge one, then more. */
static int touch_in_group(void *arg, struct turn *t)
{
	const FIXTURE_DATA(ahead) *self = arg;

	if (group_join())
		return 1;
	for (size_t i = 0; i < HUGES; i++)
		self->p[touched(self, i)] = stamp(i);
	for (size_t i = 0; i < self->length / 4; i += self->page)
		self->p[i] = 'x';
	return 0;
}

TEST_F(ahead, group_is_not_killed_for_pages_that_nobody_touched)
{
	if (!group_possible())
		SKIP(return, "no memory controller");
	ASSERT_EQ(0, group_make());
	ASSERT_EQ(0, group_limit(self->length / 2));
	/* What is left for others, as page tables, is another each time. */
	for (int i = 0; i < 8; i++) {
		EXPECT_EQ(0, child_run(touch_in_group, self));
		ASSERT_EQ(0, object_resize(&self->o, 0));
		ASSERT_EQ(0, object_resize(&self->o, self->length));
	}
	EXPECT_EQ(0, group_value("memory.events", "oom_kill"));
	close(self->file);
	object_close(&self->o);
	munmap(self->p, self->length);
	EXPECT_EQ(0, rmdir(GROUP));
}

#define STEP	(4L << 20)
#define LEFT	(96L << 20)	/* bytes of the machine's memory */
#define MADE	(64L << 20)	/* of which these are made ahead */

static long available(void)
{
	char line[128];
	long kib = -1;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f) &&
	       sscanf(line, "MemAvailable: %ld", &kib) != 1)
		;
	if (f)
		fclose(f);
	return kib * 1024;
}

/* Most of it at once, and without a touch, as pages for hugetlbfs: 0, or -1. */
static int reserve_most(struct knob *k, size_t huge)
{
	long bytes = available() - LEFT - MADE;
	char count[16];

	if (bytes < (long)huge)
		return 0;
	snprintf(count, sizeof(count), "%ld", bytes / (long)huge);
	return knob_set(k, "/proc/sys/vm/nr_hugepages", count) &&
	       errno != ENOENT ? -1 : 0;
}

/* Take what there is but LEFT; then, asked to go on, most of that, too. */
static int hog(void *arg, struct turn *t)
{
	int ends;

	if (file_write("/proc/self/oom_score_adj", "1000") || available() < 0)
		return 1;
	for (ends = 0; ends < 2; ends++) {
		long steps = ends ? LEFT / STEP - 2 : LONG_MAX;

		while (steps-- && (ends || available() > LEFT + STEP)) {
			if (mmap(NULL, STEP, RW, MAP_PRIVATE | MAP_ANONYMOUS |
				 MAP_POPULATE, -1, 0) == MAP_FAILED)
				return 2;
		}
		if (!ends && (turn_done(t) || turn_wait(t)))
			return 3;
	}
	return 0;
}

TEST_F(ahead, nobody_is_killed_for_pages_that_nobody_touched)
{
	unsigned char *p = address_aligned(MADE, self->huge);
	struct child c;

	ASSERT_EQ(0, limit_set(&self->limit, 0));
	ASSERT_EQ(0, object_resize(&self->o, MADE));
	p = object_map_at(&self->o, p, MADE, RW, MAP_SHARED | MAP_FIXED, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, madvise(p, MADE, MADV_HUGEPAGE));
	ASSERT_EQ(0, reserve_most(&self->reserved, self->huge));
	c = child_start(hog, NULL);
	ASSERT_EQ(0, child_done(&c));
	for (long i = 0; i < MADE; i += self->huge)
		p[i] = 'x';
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
	for (long i = 0; i < MADE; i += self->huge)
		EXPECT_EQ('x', p[i]);
}

TEST_HARNESS_MAIN
