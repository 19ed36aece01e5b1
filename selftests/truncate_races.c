// SPDX-License-Identifier: GPL-2.0
/*
 * Bytes that come and go while others look: nobody sees what was never written,
 * nor what was dropped before the look began.
 */
#include "harness.h"

#include <linux/falloc.h>
#include <sched.h>

#include "bytes.h"
#include "durable.h"
#include "hold.h"
#include "race.h"
#include "slow.h"
#include "trap.h"

/*
 * Growing. The byte at each offset has one value that it can have; it is never
 * zero.
 */
#define APPENDS		400
#define APPEND_LENGTH	517	/* bytes: most pages take several */

static unsigned char byte_at(size_t offset)
{
	return offset % 251 + 1;
}

static bool bytes_at(const volatile unsigned char *p, size_t offset, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != byte_at(offset + i))
			return false;
	return true;
}

static bool done(const struct race *race)
{
	return __atomic_load_n(&race->done, __ATOMIC_ACQUIRE);
}

/* Read from the end that was seen last to the one that is there. */
static int follow_by_read(void *arg, struct turn *t)
{
	struct race *race = arg;
	unsigned char bytes[2 * getpagesize()];
	size_t offset = 0;
	bool last;

	do {
		ssize_t n;

		last = done(race);
		do {
			n = pread(race->o.fd, bytes, sizeof(bytes), offset);
			if (n < 0 || !bytes_at(bytes, offset, n))
				return 1;
			offset += n;
		} while (n);
	} while (!last);
	return offset == APPENDS * APPEND_LENGTH ? 0 : 2;
}

/* The same by a mapping: what is below the end can be touched. */
static int follow_by_mapping(void *arg, struct turn *t)
{
	struct race *race = arg;
	unsigned char *p = object_map(&race->o, APPENDS * APPEND_LENGTH,
				      PROT_READ, MAP_SHARED);
	size_t offset = 0;
	bool last;

	if (p == MAP_FAILED)
		return 10;
	do {
		size_t end;

		last = done(race);
		end = object_size(&race->o);
		/* Most often it is read page by page, and then byte by byte. */
		if (end > offset && trap_load(p + offset).signo)
			return 11;
		if (end > offset && trap_load(p + end - 1).signo)
			return 12;
		if (!bytes_at(p + offset, offset, end - offset))
			return 13;
		offset = end;
	} while (!last);
	return offset == APPENDS * APPEND_LENGTH ? 0 : 14;
}

OBJECT_FIXTURE(growing);
FILE_VARIANTS(growing);

/*
 * Let others run where a write makes a page: it has written what is before that
 * page, and is in the middle of its call. 0, or -1.
 */
static int slow_down(const struct object *o)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_ALLOCATE,
		.action = MMAPDEV_ACTION_DELAY,
		.delay_us = 2000,
	};

	return is_mmapdev(o->kind) ? ioctl(o->fd, MMAPDEV_IOC_ADD_RULE, &rule)
				   : 0;
}

TEST_F(growing, shows_no_byte_before_it_is_written)
{
	struct race *race = race_new(&self->o, 1);
	unsigned char bytes[APPEND_LENGTH];
	struct child c[2];
	size_t offset;

	ASSERT_NE(NULL, race);
	ASSERT_EQ(0, object_resize(&self->o, 0));
	ASSERT_EQ(0, slow_down(&self->o));
	c[0] = child_start(follow_by_read, race);
	c[1] = child_start(follow_by_mapping, race);
	for (int i = 0; i < APPENDS; i++) {
		offset = i * APPEND_LENGTH;
		for (size_t j = 0; j < APPEND_LENGTH; j++)
			bytes[j] = byte_at(offset + j);
		ASSERT_EQ(APPEND_LENGTH, pwrite(self->o.fd, bytes,
						APPEND_LENGTH, offset));
		if (i % 16 == 0)
			sched_yield();
	}
	__atomic_store_n(&race->done, true, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, child_end(&c[i]));
	}
}

/* Each writer has every fourth stripe, and writes them out of order. */
#define STRIPES		256
#define STRIPE_LENGTH	601

static int write_stripes(void *arg, struct turn *t)
{
	struct worker *w = arg;
	unsigned char bytes[STRIPE_LENGTH];

	memset(bytes, w->number + 1, sizeof(bytes));
	barrier_wait(&w->race->barrier);
	for (int i = w->number; i < STRIPES; i += WORKERS) {
		int stripe = i ^ 3 * WORKERS;

		if (pwrite(w->race->o.fd, bytes, sizeof(bytes),
			   stripe * STRIPE_LENGTH) != sizeof(bytes))
			return 1;
	}
	return 0;
}

TEST_F(growing, by_many_at_once_loses_nothing)
{
	struct race *race = race_new(&self->o, WORKERS);
	size_t size = STRIPES * STRIPE_LENGTH;
	struct child c[WORKERS];
	unsigned char *p;

	ASSERT_NE(NULL, race);
	ASSERT_EQ(0, object_resize(&self->o, 0));
	workers_start(race, c, write_stripes);
	for (int i = 0; i < WORKERS; i++) {
		EXPECT_EQ(0, child_end(&c[i]));
	}
	ASSERT_EQ(size, object_size(&self->o));
	p = object_map(&self->o, size, PROT_READ, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < STRIPES; i++) {
		ASSERT_TRUE(bytes_are(p + i * STRIPE_LENGTH, i % WORKERS + 1,
				      STRIPE_LENGTH)) TH_LOG("stripe %d", i);
	}
}

/*
 * Dropping. In each round all pages are filled with the round's number, then
 * dropped in some way. Who looks after that sees zeros or a later number, or
 * nothing where there is an end of file: of a page that stayed mapped beside
 * the object, the old number would be seen for ever.
 */
#define PAGES	6
#define ROUNDS	(slow_kernel() ? 40 : 100)

struct drop {
	struct race race;
	int floor;	/* rounds before this one are over */
	int ceiling;	/* rounds after this one have not begun */
};

/* Look at a byte: -1 if it is not there. */
typedef int (*look_fn)(const struct drop *d, unsigned char *p, size_t offset);

static int look_by_read(const struct drop *d, unsigned char *p, size_t offset)
{
	return object_byte(&d->race.o, offset);
}

static int look_by_mapping(const struct drop *d, unsigned char *p,
			   size_t offset)
{
	unsigned char value;

	return trap_touch(p + offset, 0, &value).signo ? -1 : value;
}

/* Look at all pages in turn, at one byte of them or another. */
static int look(struct drop *d, unsigned char *p, look_fn look_at)
{
	size_t page = getpagesize();

	for (unsigned int i = 0; !done(&d->race); i++) {
		size_t offset = i % PAGES * page + i * 509 % page;
		int floor = __atomic_load_n(&d->floor, __ATOMIC_ACQUIRE);
		int seen = look_at(d, p, offset);
		int ceiling = __atomic_load_n(&d->ceiling, __ATOMIC_ACQUIRE);

		if (seen > 0 && (seen < floor || seen > ceiling))
			return 1;
	}
	return 0;
}

static int look_at_file(void *arg, struct turn *t)
{
	return look(arg, NULL, look_by_read);
}

static int look_at_mapping(void *arg, int flags)
{
	struct drop *d = arg;
	unsigned char *p = object_map(&d->race.o, PAGES * getpagesize(), RW,
				      flags);

	return p == MAP_FAILED ? 10 : look(d, p, look_by_mapping);
}

static int look_at_shared(void *arg, struct turn *t)
{
	return look_at_mapping(arg, MAP_SHARED);
}

static int look_at_private(void *arg, struct turn *t)
{
	return look_at_mapping(arg, MAP_PRIVATE);
}

/* Fill the pages, by write(2) and stores in turn: 0, or -1. */
static int fill_round(const struct object *o, unsigned char *p, int round)
{
	size_t length = PAGES * getpagesize();
	unsigned char bytes[length];

	memset(bytes, round, length);
	if (round % 2)
		return pwrite(o->fd, bytes, length, 0) == (ssize_t)length ?
			0 : -1;
	if (object_size(o) != length && object_resize(o, length))
		return -1;
	memset(p, round, length);
	return 0;
}

/* A way to drop all that is there: 0, or -1 with errno. */
typedef int (*drop_fn)(const struct object *o, size_t length);

static int drop_by_truncation(const struct object *o, size_t length)
{
	return object_resize(o, 0) ?: object_resize(o, length);
}

static int drop_by_punching(const struct object *o, size_t length)
{
	return fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			 length);
}

static int drop_by_zeroing(const struct object *o, size_t length)
{
	return fallocate(o->fd, FALLOC_FL_ZERO_RANGE, 0, length);
}

static int drop_by_o_trunc(const struct object *o, size_t length)
{
	int fd = fd_reopen(o->fd, O_RDWR | O_TRUNC);

	return fd < 0 ? -1 : close(fd);
}

static void expect_nothing_comes_back(struct __test_metadata *_metadata,
				      const struct object *o, drop_fn drop)
{
	size_t length = PAGES * getpagesize();
	unsigned char *p;
	struct child c[3];
	struct drop *d;

	d = mmap(NULL, sizeof(*d), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, d);
	ASSERT_EQ(0, object_resize(o, length));
	p = object_map(o, length, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	d->race.o = *o;
	c[0] = child_start(look_at_file, d);
	c[1] = child_start(look_at_shared, d);
	c[2] = child_start(look_at_private, d);
	for (int round = 1; round <= ROUNDS; round++) {
		__atomic_store_n(&d->ceiling, round, __ATOMIC_RELEASE);
		ASSERT_EQ(0, fill_round(o, p, round));
		ASSERT_EQ(0, drop(o, length));
		__atomic_store_n(&d->floor, round + 1, __ATOMIC_RELEASE);
		if (round % 8 == 0)
			sched_yield();
	}
	__atomic_store_n(&d->race.done, true, __ATOMIC_RELEASE);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, child_end(&c[i])) TH_LOG("looker %d", i);
	}
}

OBJECT_FIXTURE(dropping);
FILE_VARIANTS(dropping);

TEST_F(dropping, by_truncation_is_for_good)
{
	expect_nothing_comes_back(_metadata, &self->o, drop_by_truncation);
}

/* As a file: what the device node cannot do. */
OBJECT_FIXTURE(dropping_file);
REGULAR_VARIANTS(dropping_file);

TEST_F(dropping_file, by_punching_is_for_good)
{
	expect_nothing_comes_back(_metadata, &self->o, drop_by_punching);
}

TEST_F(dropping_file, by_o_trunc_is_for_good)
{
	expect_nothing_comes_back(_metadata, &self->o, drop_by_o_trunc);
}

TEST_F(dropping_file, by_zeroing_is_for_good)
{
	if (variant->kind == OBJFILE)	/* tmpfs has no such call */
		expect_nothing_comes_back(_metadata, &self->o,
					  drop_by_zeroing);
}

/* A private copy of a hole is the storer's: no punch beside it takes it. */
TEST_F(dropping_file, by_punching_leaves_private_stores)
{
	struct race *race = race_new(&self->o, 1);
	size_t length = PAGES * self->page;
	struct child c;
	unsigned char *p;

	ASSERT_NE(NULL, race);
	ASSERT_EQ(0, object_resize(&self->o, length));
	p = object_map(&self->o, length, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	race->p = object_map(&self->o, length, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, race->p);
	c.pid = fork();
	if (!c.pid) {
		int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
		bool ok = true;

		while (ok && !done(race)) {
			race->p[0] = 's';
			race->p[self->page] = 's';
			ok = !fallocate(self->o.fd, mode, 0, length);
		}
		_exit(!ok);
	}
	for (int round = 1; round <= ROUNDS; round++) {
		for (int i = 0; i < PAGES; i++)
			p[i * self->page + 1] = round;
		for (int i = 0; i < PAGES; i++) {
			ASSERT_EQ(round, p[i * self->page + 1]);
		}
		ASSERT_EQ(0, madvise(p, length, MADV_DONTNEED));
	}
	__atomic_store_n(&race->done, true, __ATOMIC_RELEASE);
	c.to = -1;
	c.from = -1;
	EXPECT_EQ(0, child_end(&c));
	/* Neither are they the object's: pages of it have no such byte. */
	for (int i = 0; i < PAGES; i++) {
		EXPECT_EQ(0, object_byte(&self->o, i * self->page + 1));
	}
}

/*
 * Touches that are held on their way while the end of file moves below their
 * page. Whether they come first or last, the page is neither mapped nor kept.
 */
FIXTURE(held) {
	struct durable d;
	struct object o;	/* the same, to be resized */
	size_t page;
};

FIXTURE_VARIANT(held) {
	bool durable;
	enum durable_kind store;
	enum backend_kind kind;
};

FIXTURE_VARIANT_ADD(held, mmapdev) { .kind = MMAPDEV };
FIXTURE_VARIANT_ADD(held, object_file) { .kind = OBJFILE };
FIXTURE_VARIANT_ADD(held, mmapdev_memory) {
	.kind = OBJFILE, .durable = true, .store = MEMORY };
FIXTURE_VARIANT_ADD(held, mmapdev_on_tmpfs) {
	.kind = OBJFILE, .durable = true, .store = ON_TMPFS };

FIXTURE_SETUP(held)
{
	self->page = getpagesize();
	if (variant->durable)
		self->d = durable_new(variant->store, 0, 0);
	else
		self->d = (struct durable) {
			.fd = object_open(variant->kind).fd,
			.backing = -1,
		};
	ASSERT_GE(self->d.fd, 0);
	self->o = (struct object) { .kind = variant->kind, .fd = self->d.fd };
}

FIXTURE_TEARDOWN(held)
{
	durable_close(&self->d);
}

struct held_touch {
	const struct object *o;
	unsigned int event;
	int flags;
	bool store;
};

#define HELD_PAGE	4	/* of PAGES */

/*
 * The touch that is held may go through or not: it does if it comes before the
 * end moves. Those of the next turn come after that. Exits with what the first
 * gave: 0 or 2, or with another number if something was wrong.
 */
static int touch_held(void *arg, struct turn *t)
{
	const struct held_touch *touch = arg;
	unsigned char *p = object_map(touch->o, PAGES * getpagesize(), RW,
				      touch->flags);
	unsigned char *at = p + HELD_PAGE * getpagesize() + 5;
	struct trap first, seen;

	if (p == MAP_FAILED || turn_done(t) || turn_wait(t))
		return 10;
	first = touch->store ? trap_store(at, 'x') : trap_load(at);
	if (turn_done(t) || turn_wait(t))
		return 11;
	for (int store = 0; store < 2; store++) {
		seen = store ? trap_store(at, 'x') : trap_load(at);
		if (seen.signo != SIGBUS || seen.code != BUS_ADRERR ||
		    seen.addr != at)
			return 12 + store;
	}
	return first.signo ? 2 : 0;
}

/* Pages that are stored, if there is a store, and none of them in memory. */
static int held_prepare(const struct durable *d, const struct object *o)
{
	if (object_resize(o, 0) || object_resize(o, PAGES * getpagesize()))
		return -1;
	if (!durable_info(d).store)
		return 0;
	if (durable_fill(d, PAGES))
		return -1;
	return posix_fadvise(d->fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* Nothing is past the end, or comes to be seen when that moves back. */
#define EXPECT_CUT_OFF() do {						\
	EXPECT_EQ(PAGES - HELD_PAGE,					\
		  strspn(durable_states(&self->d, PAGES) + HELD_PAGE,	\
			 ".-"));					\
	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));	\
	for (int i_ = HELD_PAGE; i_ < PAGES; i_++)			\
		EXPECT_EQ(0, object_byte(&self->o,			\
					 i_ * self->page + 5));		\
} while (0)

/* The page is being made; the end cannot move until it is mapped. */
TEST_F(held, touches_that_make_a_page_leave_none_past_the_end)
{
	struct held_touch touches[] = {
		{ .flags = MAP_SHARED },
		{ .flags = MAP_PRIVATE },
		{ .flags = MAP_SHARED, .store = true },
		/* Without a store there is a hole, which makes no page. */
		{ .flags = MAP_PRIVATE, .store = true },
	};
	int n = variant->durable ? 4 : 3;

	for (int i = 0; i < n; i++) {
		struct hold h;
		int status;

		touches[i].o = &self->o;
		ASSERT_EQ(0, held_prepare(&self->d, &self->o));
		ASSERT_EQ(0, hold_start(&h, self->d.fd, MMAPDEV_EVENT_ALLOCATE,
					100, touch_held, &touches[i]));
		ASSERT_EQ(0, object_resize(&self->o, HELD_PAGE * self->page));
		EXPECT_FALSE(hold_lasts(&h));
		ASSERT_EQ(0, child_done(&h.c));
		ASSERT_EQ(0, child_go(&h.c));
		status = hold_end(&h);
		EXPECT_TRUE(status == 0 || status == 2)
			TH_LOG("touch %d: %d", i, status);
		EXPECT_CUT_OFF();
	}
}

/* The touch has not looked where the end is. */
TEST_F(held, touches_that_come_after_the_end_has_moved_give_sigbus)
{
	struct held_touch touches[] = {
		{ .event = MMAPDEV_EVENT_FAULT_READ, .flags = MAP_SHARED },
		{ .event = MMAPDEV_EVENT_FAULT_READ, .flags = MAP_PRIVATE },
		{ .event = MMAPDEV_EVENT_FAULT_WRITE, .flags = MAP_SHARED,
		  .store = true },
		{ .event = MMAPDEV_EVENT_FAULT_WRITE, .flags = MAP_PRIVATE,
		  .store = true },
		/* Without a store nobody needs to know. */
		{ .event = MMAPDEV_EVENT_MKWRITE, .flags = MAP_SHARED,
		  .store = true },
	};
	int n = variant->durable ? 5 : 4;

	for (int i = 0; i < n; i++) {
		bool in_time = false;
		struct hold h;
		int status;

		touches[i].o = &self->o;
		FOR_LONGER_HOLDS(ms) {
			ASSERT_EQ(0, held_prepare(&self->d, &self->o));
			ASSERT_EQ(0, hold_start(&h, self->d.fd,
						touches[i].event, ms,
						touch_held, &touches[i]));
			ASSERT_EQ(0, object_resize(&self->o,
						   HELD_PAGE * self->page));
			in_time = hold_lasts(&h);
			ASSERT_EQ(0, child_done(&h.c));
			ASSERT_EQ(0, child_go(&h.c));
			status = hold_end(&h);
			if (in_time)
				break;
		}
		EXPECT_TRUE(in_time);
		EXPECT_EQ(2, status) TH_LOG("touch %d", i);
		EXPECT_CUT_OFF();
	}
}

/* The page that waits to become dirty goes, and another comes in its place. */
static int store_held(void *arg, struct turn *t)
{
	const struct object *o = arg;
	unsigned char *p = object_map(o, PAGES * getpagesize(), RW, MAP_SHARED);

	if (p == MAP_FAILED || turn_done(t) || turn_wait(t))
		return 1;
	memset(p + HELD_PAGE * getpagesize(), 'x', getpagesize());
	return 0;
}

TEST_F(held, store_goes_to_the_page_that_is_there_now)
{
	char expected[PAGES + 1] = "000000";
	bool in_time = false;
	struct hold h;

	if (!variant->durable)
		return;
	expected[HELD_PAGE] = 'x';
	FOR_LONGER_HOLDS(ms) {
		ASSERT_EQ(0, held_prepare(&self->d, &self->o));
		ASSERT_EQ(0, hold_start(&h, self->d.fd, MMAPDEV_EVENT_MKWRITE,
					ms, store_held, &self->o));
		ASSERT_EQ(0, object_resize(&self->o, 0));
		ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
		in_time = hold_lasts(&h);
		EXPECT_EQ(0, hold_end(&h));
		if (in_time)
			break;
	}
	EXPECT_TRUE(in_time);
	EXPECT_STREQ(expected, file_bytes(self->d.fd));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ(expected, file_bytes(self->d.fd));
	self->o.fd = self->d.fd;
}

TEST_HARNESS_MAIN
