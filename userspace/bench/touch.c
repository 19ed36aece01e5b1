// SPDX-License-Identifier: GPL-2.0
/*
 * Touching pages, in some order, by one thread or several.
 */
#include "touch.h"

#include <pthread.h>
#include <stddef.h>

#include "measure.h"

#define ORDER_MAX	(4ULL << 20)	/* 16 GiB of pages */

/* Not malloc(3)ed: no mapping shall come and go beside those measured. */
static uint32_t order[ORDER_MAX];

static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

const uint32_t *touch_order(uint64_t pages)
{
	uint32_t state = 0x2545f491;
	uint64_t i;

	if (pages > ORDER_MAX)
		return NULL;
	for (i = 0; i < pages; i++)
		order[i] = i;
	for (i = pages; i-- > 1;) {
		uint64_t other = random_next(&state) % (i + 1);
		uint32_t page = order[i];

		order[i] = order[other];
		order[other] = page;
	}
	return order;
}

static void touch_part(volatile char *map, const struct touch *t,
		       uint64_t first, uint64_t end)
{
	uint64_t i;

	if (t->order && t->store)
		for (i = first; i < end; i++)
			map[t->order[i] * t->stride] = 1;
	else if (t->order)
		for (i = first; i < end; i++)
			(void)map[t->order[i] * t->stride];
	else if (t->store)
		for (i = first; i < end; i++)
			map[i * t->stride] = 1;
	else
		for (i = first; i < end; i++)
			(void)map[i * t->stride];
}

struct worker {
	pthread_t thread;
	pthread_barrier_t *start;
	const struct touch *touch;
	char *map;
	uint64_t first;
	uint64_t last;
	uint64_t begin;
	uint64_t end;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	pthread_barrier_wait(w->start);
	w->begin = measure_now();
	touch_part(w->map, w->touch, w->first, w->last);
	w->end = measure_now();
	return NULL;
}

static uint64_t touch_together(char *map, const struct touch *t)
{
	static struct worker workers[TOUCH_THREADS_MAX];
	uint64_t begin = UINT64_MAX;
	pthread_barrier_t start;
	uint64_t end = 0;
	unsigned int i;

	pthread_barrier_init(&start, NULL, t->threads);
	for (i = 0; i < t->threads; i++) {
		workers[i] = (struct worker){
			.start = &start,
			.touch = t,
			.map = map,
			.first = t->pages * i / t->threads,
			.last = t->pages * (i + 1) / t->threads,
		};
		/* Those that wait for one more wait until the program ends. */
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return UINT64_MAX;
	}
	for (i = 0; i < t->threads; i++) {
		pthread_join(workers[i].thread, NULL);
		if (workers[i].begin < begin)
			begin = workers[i].begin;
		if (workers[i].end > end)
			end = workers[i].end;
	}
	pthread_barrier_destroy(&start);
	return end - begin;
}

void touch(void *map, const struct touch *t)
{
	touch_part(map, t, 0, t->pages);
}

uint64_t touch_timed(void *map, const struct touch *t)
{
	uint64_t begin;

	if (t->threads > 1)
		return touch_together(map, t);
	begin = measure_begin();
	touch(map, t);
	return measure_since(begin);
}
