// SPDX-License-Identifier: GPL-2.0
/*
 * Many at once: first touches of the same pages, and touches while the end of
 * file moves. Work goes in rounds between barriers, so that what may be there
 * after a round is known exactly, whoever was first.
 */
#include "kselftest_harness.h"

#include <sched.h>

#include "backend.h"
#include "barrier.h"
#include "bytes.h"
#include "child.h"
#include "device.h"
#include "trap.h"

#define WORKERS	4	/* processes */

/* What all processes of a test share, apart from the object. */
struct race {
	struct object o;
	pthread_barrier_t barrier;
	int progress;		/* pages worked on in this round, by all */
};

static struct race *race_new(const struct object *o, int parties)
{
	struct race *r = mmap(NULL, sizeof(*r), RW, MAP_SHARED | MAP_ANONYMOUS,
			      -1, 0);

	if (r == MAP_FAILED)
		return NULL;
	r->o = *o;
	return barrier_init(&r->barrier, parties) ? NULL : r;
}

struct worker {
	struct race *race;
	int number;
	unsigned char *p;
};

static void workers_start(struct race *race, struct child *c,
			  int (*body)(void *arg, struct turn *t))
{
	for (int i = 0; i < WORKERS; i++) {
		struct worker w = { .race = race, .number = i };

		c[i] = child_start(body, &w);
	}
}

static void advance(struct race *race)
{
	__atomic_add_fetch(&race->progress, 1, __ATOMIC_RELAXED);
}

static void await_progress(struct race *race, int pages)
{
	while (__atomic_load_n(&race->progress, __ATOMIC_RELAXED) < pages)
		sched_yield();
}

/*
 * First touches. Each toucher has a byte of its own in every page, and one of
 * three ways to store to it: they must all end in the same page.
 */
#define TOUCHERS	(2 * WORKERS)	/* two threads in each process */
#define TOUCH_PAGES	64
#define TOUCH_ROUNDS	5

static int touch_page(const struct worker *w, int index, unsigned char byte)
{
	size_t at = index * getpagesize() + w->number;
	volatile unsigned char *p = w->p;

	switch (w->number % 3) {
	case 0:
		p[at] = byte;
		break;
	case 1:
		if (p[at])
			return 1;
		p[at] = byte;
		break;
	case 2:
		if (pwrite(w->race->o.fd, &byte, 1, at) != 1)
			return 2;
	}
	return p[at] == byte ? 0 : 3;
}

static void *touch(void *arg)
{
	const struct worker *w = arg;
	long failed = 0;

	for (int round = 1; round <= TOUCH_ROUNDS; round++) {
		barrier_wait(&w->race->barrier);
		for (int i = 0; i < TOUCH_PAGES; i++)
			failed = failed ?: touch_page(w, i, round);
		barrier_wait(&w->race->barrier);
	}
	return (void *)failed;
}

static int touch_by_two_threads(void *arg, struct turn *t)
{
	struct worker *w = arg;
	struct worker second = *w;
	pthread_t thread;
	void *failed;

	w->p = object_map(&w->race->o, TOUCH_PAGES * getpagesize(), RW,
			  MAP_SHARED);
	if (w->p == MAP_FAILED)
		return 10;
	second.p = w->p;
	second.number += WORKERS;
	if (pthread_create(&thread, NULL, touch, &second))
		return 11;
	if (touch(w))
		return 12;
	return pthread_join(thread, &failed) || failed ? 13 : 0;
}

OBJECT_FIXTURE(first_touch);
FILE_VARIANTS(first_touch);

TEST_F(first_touch, makes_one_page_and_loses_no_store)
{
	struct race *race = race_new(&self->o, TOUCHERS + 1);
	size_t length = TOUCH_PAGES * self->page;
	struct child c[WORKERS];
	unsigned char *p;

	ASSERT_NE(NULL, race);
	p = object_map(&self->o, length, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, object_resize(&self->o, length));
	workers_start(race, c, touch_by_two_threads);
	for (int round = 1; round <= TOUCH_ROUNDS; round++) {
		ASSERT_EQ(0, object_resize(&self->o, 0));
		ASSERT_EQ(0, object_resize(&self->o, length));
		barrier_wait(&race->barrier);
		barrier_wait(&race->barrier);
		EXPECT_EQ(TOUCH_PAGES, object_resident(&self->o));
		if (variant->kind == MMAPDEV)
			EXPECT_EQ(round * TOUCH_PAGES,
				  object_stats(&self->o).pages_allocated);
		for (int i = 0; i < TOUCH_PAGES; i++) {
			EXPECT_TRUE(bytes_are(p + i * self->page, round,
					      TOUCHERS));
			EXPECT_TRUE(bytes_are(p + i * self->page + TOUCHERS, 0,
					      self->page - TOUCHERS));
		}
	}
	for (int i = 0; i < WORKERS; i++)
		EXPECT_EQ(0, child_end(&c[i]));
}

/* Stores and loads of words that may get a SIGBUS, without much ado. */
static bool word_store(volatile uint32_t *at, uint32_t value)
{
	if (sigsetjmp(trap_env, 1))
		return false;
	*at = value;
	return true;
}

static bool word_load(volatile uint32_t *at, uint32_t *value)
{
	if (sigsetjmp(trap_env, 1))
		return false;
	*value = *at;
	return true;
}

/*
 * The moving end. In each round every worker stores the round's number to a
 * word of its own in both halves of every page, while the end of file moves to
 * the middle of page KEPT and back. Then a word below the end has this round's
 * number; any other has it too or is zero: it has never an earlier one, which
 * the end has passed over.
 */
#define PAGES		12
#define KEPT		4
#define MOVES		3	/* of the end, in a round */
#define SHARED_ROUNDS	25
#define PRIVATE_ROUNDS	100

static uint32_t *word_of(unsigned char *p, int index, int half, int worker)
{
	size_t page = getpagesize();

	return (uint32_t *)(p + index * page + half * page / 2) + worker;
}

static bool word_is_kept(int index, int half)
{
	return index < KEPT || (index == KEPT && half == 0);
}

/* Store to a word; one below the end must take it, and show it at once. */
static int store_word(uint32_t *word, uint32_t round, bool kept)
{
	bool stored = word_store(word, round);
	uint32_t seen;

	if (!kept)
		return 0;
	if (!stored)
		return 1;
	return word_load(word, &seen) && seen == round ? 0 : 2;
}

static int store_round(struct worker *w, uint32_t round)
{
	int failed = 0;

	for (int i = PAGES - 1; i >= 0; i--) {
		for (int half = 0; half < 2; half++) {
			int err = store_word(word_of(w->p, i, half, w->number),
					     round, word_is_kept(i, half));

			failed = failed ?: err;
		}
		advance(w->race);
	}
	return failed;
}

/* Does this process's mapping show what read(2) does, words of all workers? */
static int compare_with_read(struct worker *w)
{
	size_t page = getpagesize();
	unsigned char bytes[page];

	for (int i = 0; i < PAGES; i++)
		if (pread(w->race->o.fd, bytes, page, i * page) !=
		    (ssize_t)page || memcmp(bytes, w->p + i * page, page))
			return 3;
	return 0;
}

static int store_in_rounds(void *arg, struct turn *t)
{
	struct sigaction bus, segv;
	struct worker *w = arg;
	int failed = 0;

	w->p = object_map(&w->race->o, PAGES * getpagesize(), RW, MAP_SHARED);
	if (w->p == MAP_FAILED)
		return 10;
	trap_signals(&bus, &segv);
	for (int round = 1; round <= SHARED_ROUNDS; round++) {
		barrier_wait(&w->race->barrier);
		failed = failed ?: store_round(w, round);
		barrier_wait(&w->race->barrier);
		failed = failed ?: compare_with_read(w);
		barrier_wait(&w->race->barrier);
	}
	return failed;
}

/* How many words are not as a round must leave them. */
static int wrong_words(unsigned char *p, uint32_t round)
{
	int wrong = 0;

	for (int i = 0; i < PAGES; i++)
		for (int half = 0; half < 2; half++)
			for (int n = 0; n < WORKERS; n++) {
				uint32_t seen = *word_of(p, i, half, n);

				if (seen != round &&
				    (seen || word_is_kept(i, half)))
					wrong++;
			}
	return wrong;
}

/* Pages that the device lists, which must be as many as it counts. */
static long pages_listed(const struct object *o)
{
	unsigned char states[PAGES];
	struct mmapdev_pages pages = {
		.count = PAGES, .states = (uintptr_t)states,
	};
	long n = 0;

	if (ioctl(o->fd, MMAPDEV_IOC_PAGES, &pages))
		return -1;
	for (int i = 0; i < PAGES; i++)
		n += MMAPDEV_PAGE_RESIDENT(states[i]);
	return n;
}

OBJECT_FIXTURE(moving_end);
FILE_VARIANTS(moving_end);

TEST_F(moving_end, drops_all_above_and_nothing_below)
{
	struct race *race = race_new(&self->o, WORKERS + 1);
	size_t end = KEPT * self->page + self->page / 2;
	size_t length = PAGES * self->page;
	long long pages = device_total("pages");
	struct child c[WORKERS];
	unsigned char *p;

	ASSERT_NE(NULL, race);
	ASSERT_EQ(0, object_resize(&self->o, length));
	p = object_map(&self->o, length, PROT_READ, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	workers_start(race, c, store_in_rounds);
	for (int round = 1; round <= SHARED_ROUNDS; round++) {
		race->progress = 0;
		barrier_wait(&race->barrier);
		for (int move = 1; move <= MOVES; move++) {
			await_progress(race, WORKERS * PAGES * move /
				       (MOVES + 1) + round % PAGES);
			EXPECT_EQ(0, object_resize(&self->o, end));
			EXPECT_EQ(0, object_resize(&self->o, length));
		}
		barrier_wait(&race->barrier);
		if (variant->kind == MMAPDEV)
			EXPECT_EQ(object_resident(&self->o),
				  pages_listed(&self->o));
		EXPECT_EQ(0, wrong_words(p, round));
		barrier_wait(&race->barrier);
	}
	for (int i = 0; i < WORKERS; i++)
		EXPECT_EQ(0, child_end(&c[i]));
	ASSERT_EQ(0, object_resize(&self->o, 0));
	EXPECT_EQ(0, object_resident(&self->o));
	EXPECT_EQ(pages, device_total("pages"));
}

/*
 * Private copies over holes: nothing in the object stands for them, yet they
 * go when the end of file passes over them.
 */
static int store_private(struct worker *w, uint32_t round)
{
	int failed = 0;

	for (int i = PAGES - 1; i >= 0; i--) {
		int err = store_word(word_of(w->p, i, 0, 0), round, i < KEPT);

		failed = failed ?: err;
		advance(w->race);
	}
	return failed;
}

/* Past the end there is nothing, below it the copies are as they were. */
static int check_cut_off(struct worker *w, uint32_t round)
{
	uint32_t seen;

	for (int i = 0; i < PAGES; i++) {
		bool there = word_load(word_of(w->p, i, 0, 0), &seen);

		if (there != (i < KEPT))
			return 3;
		if (there && seen != round)
			return 4;
		if (!there && (trap_seen.signo != SIGBUS ||
			       trap_seen.code != BUS_ADRERR))
			return 5;
	}
	return 0;
}

static int check_grown(struct worker *w)
{
	for (int i = KEPT; i < PAGES; i++)
		if (*word_of(w->p, i, 0, 0))
			return 6;
	return 0;
}

static int store_private_in_rounds(void *arg, struct turn *t)
{
	struct sigaction bus, segv;
	struct worker *w = arg;
	int failed = 0;

	w->p = object_map(&w->race->o, PAGES * getpagesize(), RW, MAP_PRIVATE);
	if (w->p == MAP_FAILED)
		return 10;
	trap_signals(&bus, &segv);
	for (int round = 1; round <= PRIVATE_ROUNDS; round++) {
		barrier_wait(&w->race->barrier);
		failed = failed ?: store_private(w, round);
		barrier_wait(&w->race->barrier);
		failed = failed ?: check_cut_off(w, round);
		barrier_wait(&w->race->barrier);
		barrier_wait(&w->race->barrier);	/* it has grown again */
		failed = failed ?: check_grown(w);
		barrier_wait(&w->race->barrier);
	}
	return failed;
}

TEST_F(moving_end, takes_private_copies_over_holes_along)
{
	struct race *race = race_new(&self->o, WORKERS + 1);
	size_t length = PAGES * self->page;
	size_t kept = KEPT * self->page;
	struct child c[WORKERS];

	ASSERT_NE(NULL, race);
	ASSERT_EQ(0, object_resize(&self->o, length));
	workers_start(race, c, store_private_in_rounds);
	for (int round = 1; round <= PRIVATE_ROUNDS; round++) {
		race->progress = 0;
		barrier_wait(&race->barrier);
		await_progress(race, round % (WORKERS * (PAGES - KEPT)));
		EXPECT_EQ(0, object_resize(&self->o, kept));
		barrier_wait(&race->barrier);
		barrier_wait(&race->barrier);
		EXPECT_EQ(0, object_resize(&self->o, length));
		barrier_wait(&race->barrier);
		barrier_wait(&race->barrier);
		/* make holes of what the look at the grown object filled */
		EXPECT_EQ(0, object_resize(&self->o, kept));
		EXPECT_EQ(0, object_resize(&self->o, length));
	}
	for (int i = 0; i < WORKERS; i++)
		EXPECT_EQ(0, child_end(&c[i]));
}

TEST_HARNESS_MAIN
