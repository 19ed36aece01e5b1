// SPDX-License-Identifier: GPL-2.0
/*
 * Running out of memory: opening, mapping, touching, reading, writing.
 */
#include "harness.h"

#include "bytes.h"
#include "fail_each.h"
#include "trap.h"

static int run_open(FIXTURE_DATA(fail_nth) *self)
{
	struct object o = object_open(MMAPDEV);
	int err = o.fd < 0 ? errno : 0;

	object_close(&o);
	return err;
}

TEST_F(fail_nth, opening_succeeds_or_is_enomem)
{
	struct outcome seen = fail_each(_metadata, self,
					(struct operation){ .run = run_open });

	EXPECT_LT(0, seen.enomem);
}

#define MAPPED	(64UL << 20)

static int map(FIXTURE_DATA(fail_nth) *self, int flags)
{
	self->p = object_map(&self->o, MAPPED, RW, flags);
	return self->p == MAP_FAILED ? errno : 0;
}

static int run_map_shared(FIXTURE_DATA(fail_nth) *self)
{
	return map(self, MAP_SHARED);
}

static int run_map_private(FIXTURE_DATA(fail_nth) *self)
{
	return map(self, MAP_PRIVATE);
}

static void undo_map(FIXTURE_DATA(fail_nth) *self)
{
	munmap(self->p, MAPPED);
}

TEST_F(fail_nth, mapping_succeeds_or_is_enomem)
{
	struct outcome seen;

	seen = fail_each(_metadata, self,
			 (struct operation){ run_map_shared, undo_map });
	EXPECT_LT(0, seen.enomem);
	seen = fail_each(_metadata, self,
			 (struct operation){ run_map_private, undo_map });
	EXPECT_LT(0, seen.enomem);
}

/* Touch the next page, each time with page tables and tree nodes of its own. */
static int run_store(FIXTURE_DATA(fail_nth) *self)
{
	return trap_store(self->p + self->index * self->page, 'a').signo;
}

static int run_load(FIXTURE_DATA(fail_nth) *self)
{
	return trap_load(self->p + self->index * self->page).signo;
}

static void next_page(FIXTURE_DATA(fail_nth) *self)
{
	self->index += 513;
}

/* The kernel tries again: a touch has no way to say that memory is out. */
TEST_F(fail_nth, touching_a_hole_always_succeeds)
{
	struct operation operations[] = { { run_store, next_page },
					  { run_load, next_page } };

	for (int i = 0; i < 4; i++) {
		struct operation op = operations[i / 2];
		size_t first = self->index;
		long resident = object_resident(&self->o);
		struct outcome seen;
		int flags = i % 2 ? MAP_PRIVATE : MAP_SHARED;
		bool stored = op.run == run_store;
		bool kept = flags == MAP_SHARED || !stored;

		self->p = object_map(&self->o, MAPPED * 32, RW,
				     flags | MAP_NORESERVE);
		ASSERT_NE(MAP_FAILED, self->p);
		seen = fail_each(_metadata, self, op);
		EXPECT_LT(0, seen.injected);
		EXPECT_EQ(0, seen.enomem);
		EXPECT_EQ(resident + (kept ? seen.injected + 1 : 0),
			  object_resident(&self->o));
		for (size_t at = first; at < self->index; at += 513) {
			EXPECT_EQ(stored ? 'a' : 0, self->p[at * self->page]);
			EXPECT_EQ(stored && kept ? 'a' : 0,
				  object_byte(&self->o, at * self->page));
		}
	}
}

TEST_F(fail_nth, storing_privately_over_a_page_always_succeeds)
{
	struct outcome seen;

	for (size_t i = 0; i < 64; i++)
		ASSERT_EQ(1, pwrite(self->o.fd, "b", 1,
				    (1 + 513 * i) * self->page));
	self->p = object_map(&self->o, MAPPED * 4, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, self->p);
	seen = fail_each(_metadata, self,
			 (struct operation){ run_store, next_page });
	EXPECT_LT(0, seen.injected);
	EXPECT_GT(64, seen.injected);
	EXPECT_EQ(0, seen.enomem);
	EXPECT_EQ(64, object_resident(&self->o));
	EXPECT_EQ('a', self->p[self->page]);
	EXPECT_EQ('b', object_byte(&self->o, self->page));
}

static int run_write(FIXTURE_DATA(fail_nth) *self)
{
	return pwrite(self->o.fd, "a", 1, self->index * self->page) == 1 ?
		0 : errno;
}

TEST_F(fail_nth, writing_a_page_succeeds_or_is_enomem)
{
	struct outcome seen = fail_each(_metadata, self,
					(struct operation){ run_write,
							    next_page });

	EXPECT_LT(0, seen.enomem);
	/* Those that failed left a hole, and the size as it was. */
	EXPECT_EQ(1 + seen.injected - seen.enomem, object_resident(&self->o));
	EXPECT_EQ(object_info(&self->o).max_size, object_size(&self->o));
	EXPECT_EQ('a', object_byte(&self->o, self->page));
}

/* What could be written before memory was out is said by a short count. */
static int run_write_many(FIXTURE_DATA(fail_nth) *self)
{
	size_t length = 8 * self->page;
	off_t at = self->index * self->page;
	long resident = object_resident(&self->o);
	ssize_t n = pwrite(self->o.fd, self->p, length, at);

	if (n < 0)
		return errno;
	if (n == 0 || n % self->page ||
	    object_resident(&self->o) - resident != n / (long)self->page)
		return EPROTO;
	return 0;
}

TEST_F(fail_nth, writing_many_pages_is_cut_short_at_a_page)
{
	struct outcome seen;

	self->p = mmap(NULL, 8 * self->page, RW,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	seen = fail_each(_metadata, self,
			 (struct operation){ run_write_many, next_page });
	EXPECT_LT(0, seen.enomem);
	EXPECT_LT(seen.enomem + 6, seen.injected);
}

static int run_read(FIXTURE_DATA(fail_nth) *self)
{
	char byte;

	return pread(self->o.fd, &byte, 1, self->index * self->page) == 1 ?
		0 : errno;
}

static int run_resize(FIXTURE_DATA(fail_nth) *self)
{
	return object_resize(&self->o, 100 * self->page + 1) ||
		object_resize(&self->o, 2 * self->page + 1) ||
		object_resize(&self->o, 200 * self->page) ? errno : 0;
}

static int run_tell(FIXTURE_DATA(fail_nth) *self)
{
	unsigned char states[300];
	struct mmapdev_pages pages = { .count = sizeof(states),
				       .states = (uintptr_t)states };
	struct mmapdev_stats stats;

	return ioctl(self->o.fd, MMAPDEV_IOC_PAGES, &pages) ||
		ioctl(self->o.fd, MMAPDEV_IOC_GET_STATS, &stats) ||
		!object_info(&self->o).abi_version ||
		lseek(self->o.fd, 0, SEEK_DATA) < 0 ? errno : 0;
}

TEST_F(fail_nth, what_needs_no_memory_always_succeeds)
{
	struct operation operations[] = {
		{ .run = run_read }, { .run = run_resize }, { .run = run_tell },
	};

	ASSERT_EQ(0, object_fill(&self->o, 150, 1));
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
		EXPECT_EQ(0, fail_each(_metadata, self, operations[i]).enomem);
}

TEST_HARNESS_MAIN
