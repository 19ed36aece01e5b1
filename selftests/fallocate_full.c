// SPDX-License-Identifier: GPL-2.0
/*
 * fallocate(2) where there is too little room: it makes all pages or none, and
 * loses no byte of what others store meanwhile. The room is the module's limit, or
 * a small tmpfs.
 */
#include "harness.h"

#include <limits.h>
#include <linux/falloc.h>
#include <sched.h>
#include <sys/mount.h>

#include "bytes.h"
#include "child.h"
#include "device.h"
#include "durable.h"
#include "trap.h"

#define ROOM	16	/* pages that can be there */

FIXTURE(room) {
	struct object o;
	size_t page;
	struct knob limit;
};

FIXTURE_VARIANT(room) {
	enum backend_kind kind;
};

OBJECT_VARIANT(room, object_file, OBJFILE);
OBJECT_VARIANT(room, tmpfs, TMPFS);

/* A file of a tmpfs that only this process sees, and that goes with it. */
static int small_tmpfs_file(void)
{
	char options[32];

	snprintf(options, sizeof(options), "size=%d", ROOM * getpagesize());
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("small", "/dev/shm", "tmpfs", 0, options))
		return -1;
	return open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

FIXTURE_SETUP(room)
{
	uint64_t used;

	self->page = getpagesize();
	self->o.kind = variant->kind;
	if (variant->kind == TMPFS) {
		self->o.fd = small_tmpfs_file();
		ASSERT_GE(self->o.fd, 0);
		return;
	}
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	used = object_info(&self->o).used;
	ASSERT_EQ(0, limit_set(&self->limit, used + ROOM * self->page));
}

FIXTURE_TEARDOWN_PARENT(room)
{
	EXPECT_EQ(0, knob_restore(&self->limit));
}

TEST_F(room, allocation_of_all_of_it_succeeds)
{
	EXPECT_EQ(0, fallocate(self->o.fd, 0, 0, ROOM * self->page));
	EXPECT_EQ(ROOM, object_resident(&self->o));
	EXPECT_EQ(0, fallocate(self->o.fd, 0, 0, ROOM * self->page));
	EXPECT_EQ(-1, fallocate(self->o.fd, 0, ROOM * self->page, 1));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(ROOM, object_resident(&self->o));
	EXPECT_EQ(ROOM * self->page, object_size(&self->o));
}

/* Pages that are there, before, in and after the range, stay as they are. */
TEST_F(room, allocation_over_it_makes_no_page)
{
	int modes[] = { 0, FALLOC_FL_KEEP_SIZE };
	size_t size = 40 * self->page;
	unsigned char bytes[self->page];

	memset(bytes, 'x', self->page);
	ASSERT_EQ(0, object_resize(&self->o, size));
	for (int i = 0; i < 40; i += 10) {
		ASSERT_EQ(self->page, pwrite(self->o.fd, bytes, self->page,
					     i * self->page));
	}
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		/* Twelve holes would do, thirteen are too many. */
		EXPECT_EQ(-1, fallocate(self->o.fd, modes[i], 5 * self->page,
					15 * self->page));
		EXPECT_EQ(ENOSPC, errno);
		EXPECT_EQ(4, object_resident(&self->o));
		EXPECT_EQ(-1, fallocate(self->o.fd, modes[i], 5 * self->page,
					size));
		EXPECT_EQ(ENOSPC, errno);
		EXPECT_EQ(4, object_resident(&self->o));
		EXPECT_EQ(size, object_size(&self->o));
	}
	for (int i = 0; i < 40; i++) {
		EXPECT_EQ(i % 10 ? 0 : 'x',
			  object_byte(&self->o, i * self->page + 9));
	}
	/* The room is there still, all of it. */
	EXPECT_EQ(0, fallocate(self->o.fd, 0, 5 * self->page,
			       13 * self->page));
	EXPECT_EQ(ROOM, object_resident(&self->o));
	EXPECT_EQ('x', object_byte(&self->o, 10 * self->page));
}

TEST_F(room, huge_allocation_fails_soon)
{
	EXPECT_EQ(-1, fallocate(self->o.fd, 0, 0, 1LL << 50));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(0, object_resident(&self->o));
	EXPECT_EQ(0, object_size(&self->o));
}

TEST_F(room, punched_pages_can_be_had_again)
{
	ASSERT_EQ(0, fallocate(self->o.fd, 0, 0, ROOM * self->page));
	ASSERT_EQ(0, fallocate(self->o.fd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       self->page, 3 * self->page));
	EXPECT_EQ(0, fallocate(self->o.fd, 0, 100 * self->page,
			       3 * self->page));
	EXPECT_EQ(ROOM, object_resident(&self->o));
}

TEST_F(room, zero_range_over_it_zeroes_nothing)
{
	size_t length = (ROOM + 1) * self->page;

	if (variant->kind != OBJFILE)	/* tmpfs has no such thing */
		return;
	ASSERT_EQ(0, object_fill(&self->o, 2, 'a'));
	EXPECT_EQ(-1, fallocate(self->o.fd, FALLOC_FL_ZERO_RANGE, 0, length));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(2 * self->page, object_size(&self->o));
	EXPECT_EQ(2, object_resident(&self->o));
	EXPECT_EQ('a', object_byte(&self->o, 0));
	EXPECT_EQ('b', object_byte(&self->o, 2 * self->page - 1));
}

/*
 * A failing allocation that takes its pages back must not take those that
 * others stored to. Each storer has one page, stores to it, and looks.
 */
#define STORERS		2
#define STORES		100	/* that each does at least */
#define FAILURES	300

struct storer {
	volatile unsigned char *p;
	int index;
	int *stored;	/* how often, shared with the test */
};

static int store_and_look(void *arg, struct turn *t)
{
	struct storer *s = arg;
	size_t page = getpagesize();
	volatile unsigned char *at = s->p + s->index * page;
	struct pollfd go = { .fd = t->wait, .events = POLLIN };
	unsigned char seen = 0, value;

	while (poll(&go, 1, 0) == 0) {
		seen = seen % 250 + 1;
		/* The allocation may have all the room, for a moment. */
		if (trap_store(at, seen).signo)
			continue;
		__atomic_add_fetch(s->stored, 1, __ATOMIC_RELAXED);
		for (int look = 0; look < 50; look++)
			if (trap_touch(at, 0, &value).signo || value != seen)
				return 3;
		if (madvise((void *)at, page, MADV_REMOVE))
			return 4;
	}
	return 0;
}

static int least_stored(const int *stored)
{
	int least = INT_MAX;

	for (int i = 0; i < STORERS; i++) {
		int n = __atomic_load_n(stored + i, __ATOMIC_RELAXED);

		least = n < least ? n : least;
	}
	return least;
}

TEST_F(room, failing_allocations_lose_no_store)
{
	int *stored = mmap(NULL, self->page, RW, MAP_SHARED | MAP_ANONYMOUS,
			   -1, 0);
	struct child c[STORERS];
	struct storer s;

	ASSERT_NE(MAP_FAILED, stored);
	ASSERT_EQ(0, object_resize(&self->o, 2 * ROOM * self->page));
	s.p = object_map(&self->o, 2 * ROOM * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, (void *)s.p);
	for (int i = 0; i < STORERS; i++) {
		s.index = i;
		s.stored = stored + i;
		c[i] = child_start(store_and_look, &s);
	}
	for (int i = 0; i < FAILURES || least_stored(stored) < STORES; i++) {
		EXPECT_EQ(-1, fallocate(self->o.fd, 0, 0,
					2 * ROOM * self->page));
		EXPECT_EQ(ENOSPC, errno);
	}
	for (int i = 0; i < STORERS; i++) {
		child_go(&c[i]);
		EXPECT_EQ(0, child_end(&c[i]));
	}
	EXPECT_GE(STORERS, object_resident(&self->o));
}

/*
 * Durable objects: what was reserved for pages that are not given is given back.
 * They have stored pages, one that is dirty, holes, and a hole with a page of
 * zeros in memory.
 */
FIXTURE(durable_room) {
	struct durable d;
	size_t page;
	struct knob limit;
};

FIXTURE_VARIANT(durable_room) {
	enum durable_kind kind;
};

DURABLE_VARIANT(durable_room, mmapdev_memory, .kind = MEMORY);
DURABLE_VARIANT(durable_room, mmapdev_on_tmpfs, .kind = ON_TMPFS);

#define STORED		4	/* pages, the first of which is dirty */
#define WHOLE		40	/* pages of the size */

FIXTURE_SETUP(durable_room)
{
	unsigned char *p;

	self->page = getpagesize();
	self->d = durable_new(variant->kind, STORED * self->page, 0);
	ASSERT_GE(self->d.fd, 0);
	ASSERT_EQ(0, durable_fill(&self->d, STORED));
	ASSERT_EQ(0, ftruncate(self->d.fd, WHOLE * self->page));
	p = mmap(NULL, WHOLE * self->page, RW, MAP_SHARED, self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'A', self->page);
	EXPECT_EQ(0, p[5 * self->page]);
	ASSERT_EQ(0, munmap(p, WHOLE * self->page));
}

FIXTURE_TEARDOWN_PARENT(durable_room)
{
	EXPECT_EQ(0, knob_restore(&self->limit));
}

static long file_blocks(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_blocks;
}

/* The call must give this error, and change nothing that can be counted. */
#define EXPECT_NOTHING_KEPT(error, call) do {				\
	uint64_t used_ = durable_info(&self->d).used;			\
	long blocks_ = file_blocks(self->d.fd);				\
									\
	errno = 0;							\
	EXPECT_EQ(-1, (call));						\
	EXPECT_EQ((error), errno);					\
	EXPECT_EQ(used_, durable_info(&self->d).used);			\
	EXPECT_EQ(blocks_, file_blocks(self->d.fd));			\
	EXPECT_STREQ("d.......................................",	\
		     durable_unsynced(&self->d, WHOLE));		\
	EXPECT_EQ(WHOLE * self->page, file_size(self->d.fd));		\
	EXPECT_STREQ("Abcd000000000000000000000000000000000000",	\
		     file_bytes(self->d.fd));				\
} while (0)

TEST_F(durable_room, allocation_over_the_limit_keeps_no_reservation)
{
	int modes[] = { 0, FALLOC_FL_KEEP_SIZE };
	uint64_t used = durable_info(&self->d).used;

	ASSERT_EQ(0, limit_set(&self->limit, used + ROOM * self->page));
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		EXPECT_NOTHING_KEPT(ENOSPC, fallocate(self->d.fd, modes[i], 0,
						      WHOLE * self->page));
	/* The room is there still, all of it and no more. */
	EXPECT_EQ(-1, fallocate(self->d.fd, 0, STORED * self->page,
				(ROOM + 1) * self->page));
	EXPECT_EQ(0, fallocate(self->d.fd, 0, STORED * self->page,
			       ROOM * self->page));
	EXPECT_EQ(used + ROOM * self->page, durable_info(&self->d).used);
	EXPECT_EQ(0, fsync(self->d.fd));
}

TEST_F(durable_room, allocation_that_fails_half_way_keeps_no_reservation)
{
	struct { int action, error; } cases[] = {
		{ MMAPDEV_ACTION_EIO, EIO },
		{ MMAPDEV_ACTION_ENOSPC, ENOSPC },
		{ MMAPDEV_ACTION_ENOMEM, ENOMEM },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_ALLOCATE,
					  cases[i].action, 20, 1));
		EXPECT_NOTHING_KEPT(cases[i].error,
				    fallocate(self->d.fd, 0, 0,
					      WHOLE * self->page));
		ASSERT_EQ(0, durable_unrule(&self->d, 0));
	}
}

/* What is left of a page at the new end has to be stored with zeros after it. */
TEST_F(durable_room, truncation_within_a_page_over_the_limit_changes_nothing)
{
	uint64_t used = durable_info(&self->d).used;

	ASSERT_EQ(0, limit_set(&self->limit, used));
	EXPECT_NOTHING_KEPT(ENOSPC, ftruncate(self->d.fd, 2 * self->page + 9));
	/* Of a page that is dirty there is room for what is left. */
	EXPECT_EQ(0, ftruncate(self->d.fd, 9));
	EXPECT_EQ(9, file_size(self->d.fd));
	EXPECT_EQ(0, fsync(self->d.fd));
}

TEST_F(durable_room, zero_range_that_fails_half_way_keeps_no_reservation)
{
	int mode = FALLOC_FL_ZERO_RANGE;

	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_ALLOCATE,
				  MMAPDEV_ACTION_ENOSPC, 20, 1));
	EXPECT_NOTHING_KEPT(ENOSPC, fallocate(self->d.fd, mode, 0,
					      WHOLE * self->page));
}

TEST_HARNESS_MAIN
