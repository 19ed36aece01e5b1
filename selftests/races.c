// SPDX-License-Identifier: GPL-2.0
/*
 * Stores of many processes while the end of file moves. Work goes in rounds
 * between barriers, so that what may be there after a round is known exactly,
 * in whatever order they came.
 */
#include "harness.h"

#include <sched.h>

#include "device.h"
#include "procfs.h"
#include "race.h"
#include "slow.h"
#include "trap.h"

static void advance(struct race *race)
{
	__atomic_add_fetch(&race->progress, 1, __ATOMIC_RELAXED);
}

static void await_progress(struct race *race, int pages)
{
	while (__atomic_load_n(&race->progress, __ATOMIC_RELAXED) < pages)
		sched_yield();
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
 * In each round every worker stores the round's number to a
 * word of its own in both halves of every page, while the end of file moves to
 * the middle of page KEPT and back. Then a word below the end has this round's
 * number; any other has it too or is zero: it has never an earlier one, which
 * the end has passed over.
 */
#define PAGES		12
#define KEPT		4
#define MOVES		3	/* of the end, in a round */
#define SHARED_ROUNDS	(slow_kernel() ? 12 : 25)
#define PRIVATE_ROUNDS	(slow_kernel() ? 10 : 25)

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

/* How many pages the device lists, one by one. */
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
		EXPECT_EQ(0, wrong_words(p, round));
		barrier_wait(&race->barrier);
		/* All have looked at all pages: there is one for each. */
		EXPECT_EQ(PAGES, object_resident(&self->o));
		if (is_mmapdev(variant->kind))
			EXPECT_EQ(PAGES, pages_listed(&self->o));
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

/* Stay on the first CPU, or on the last: two that race need one each. */
static void stay_on_cpu(bool last)
{
	cpu_set_t allowed;
	cpu_set_t one;
	int chosen = -1;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && (last || chosen < 0))
			chosen = cpu;
	CPU_ZERO(&one);
	CPU_SET(chosen, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* Make private copies of a hole, one after the other, until told to stop. */
static int copy_until_done(void *arg, struct turn *t)
{
	struct sigaction bus, segv;
	struct race *race = arg;

	stay_on_cpu(true);
	trap_signals(&bus, &segv);
	while (!__atomic_load_n(&race->done, __ATOMIC_RELAXED)) {
		word_store((uint32_t *)race->p, 1);
		madvise(race->p, getpagesize(), MADV_DONTNEED);
	}
	return 0;
}

/*
 * Looked at from outside, in the page table, from the moment that the end has
 * moved. The race is between finding a hole and mapping its copy, a matter of
 * microseconds. In the middle of it sits mmapdev's trace event: taking a stack
 * trace there makes it wider.
 */
#define FAULT_TRIGGER "/sys/kernel/tracing/events/mmapdev/mmapdev_fault/trigger"

TEST_F(moving_end, leaves_no_private_copy_of_a_hole_mapped)
{
	int moves = is_mmapdev(variant->kind) && !slow_kernel() ? 6000 : 1500;
	struct race *race = race_new(&self->o, 1);
	uint64_t entry;
	int mapped = 0;
	char path[64];
	struct child c;
	int pagemap;

	ASSERT_NE(NULL, race);
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	race->p = object_map(&self->o, self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, race->p);
	if (is_mmapdev(variant->kind))
		ASSERT_EQ(0, file_write(FAULT_TRIGGER, "stacktrace"));
	c = child_start(copy_until_done, race);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", c.pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	stay_on_cpu(false);
	for (int move = 0; move < moves; move++) {
		EXPECT_EQ(0, object_resize(&self->o, 0));
		EXPECT_EQ(sizeof(entry),
			  pread(pagemap, &entry, sizeof(entry),
				(uintptr_t)race->p / self->page * 8));
		mapped += !!(entry & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED));
		EXPECT_EQ(0, object_resize(&self->o, self->page));
		/* let it be somewhere else each time */
		for (volatile int n = 0; n < move % 64 * 200; n++)
			;
	}
	EXPECT_EQ(0, mapped);
	race->done = true;
	EXPECT_EQ(0, child_end(&c));
	close(pagemap);
	if (is_mmapdev(variant->kind))
		EXPECT_EQ(0, file_write(FAULT_TRIGGER, "!stacktrace"));
}

TEST_HARNESS_MAIN
