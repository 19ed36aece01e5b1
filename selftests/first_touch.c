// SPDX-License-Identifier: GPL-2.0
/*
 * Many processes and threads touch the same new pages at once. Each has a byte
 * of its own in every page, and one of three ways to store to it: they must all
 * end in the same page.
 */
#include "harness.h"

#include "bytes.h"
#include "device.h"
#include "race.h"

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
		if (is_mmapdev(variant->kind))
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

TEST_HARNESS_MAIN
