// SPDX-License-Identifier: GPL-2.0
/*
 * The clock, and what clearing and copying a page cost by it.
 */
#include "measure.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "mark.h"

#define PAGE	4096
#define PAGES	16	/* few enough for a cache */
#define TRIES	32

static char from[PAGES][PAGE] __attribute__((aligned(PAGE)));
static char to[PAGES][PAGE] __attribute__((aligned(PAGE)));

uint64_t measure_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static uint64_t clock_cost(void)
{
	static uint64_t cost = UINT64_MAX;
	int i;

	if (cost != UINT64_MAX)
		return cost;
	for (i = 0; i < TRIES; i++) {
		uint64_t begin = measure_now();
		uint64_t took = measure_now() - begin;

		if (took < cost)
			cost = took;
	}
	return cost;
}

uint64_t measure_begin(void)
{
	uint64_t begin = measure_now();

	MARK(MARK_BEGIN);
	return begin;
}

uint64_t measure_since(uint64_t begin)
{
	uint64_t cost, took;

	MARK(MARK_END);
	took = measure_now() - begin;
	cost = clock_cost();
	return took > cost ? took - cost : 0;
}

/* The least of some tries: what comes between can only add. */
static uint64_t least(void (*run)(void))
{
	uint64_t best = UINT64_MAX;
	int i;

	for (i = 0; i < TRIES; i++) {
		uint64_t begin = measure_now();
		uint64_t took;

		run();
		took = measure_since(begin);
		if (took < best)
			best = took;
	}
	return best;
}

#ifdef __x86_64__

#define LOOPS	100000UL

static void loop(void)
{
	unsigned long n = LOOPS;

	asm volatile("1: dec %0\n\tjnz 1b" : "+r"(n) : : "cc");
}

/* No CPU takes a nanosecond for each of these two: a gigahertz is two or more. */
bool measure_counts_instructions(void)
{
	uint64_t took = least(loop);

	return took > 1.98 * LOOPS && took < 2.02 * LOOPS;
}

static bool cpu_has(const char *flag)
{
	static char flags[8192];
	FILE *f = fopen("/proc/cpuinfo", "r");
	char word[32];

	snprintf(word, sizeof(word), " %s ", flag);
	while (f && fgets(flags, sizeof(flags), f))
		if (!strncmp(flags, "flags", 5))
			break;
	if (f)
		fclose(f);
	return strstr(flags, word);
}

static void clear_bytes(void)
{
	int i;

	for (i = 0; i < PAGES; i++) {
		unsigned long n = PAGE;
		void *p = to[i];

		asm volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(0)
			     : "memory");
	}
}

static void clear_words(void)
{
	int i;

	for (i = 0; i < PAGES; i++) {
		unsigned long n = PAGE / 8;
		void *p = to[i];

		asm volatile("rep stosq" : "+D"(p), "+c"(n) : "a"(0UL)
			     : "memory");
	}
}

static void copy_words(void)
{
	int i;

	for (i = 0; i < PAGES; i++) {
		unsigned long n = PAGE / 8;
		void *p = to[i];
		void *q = from[i];

		asm volatile("rep movsq" : "+D"(p), "+S"(q), "+c"(n)
			     : : "memory");
	}
}

struct measure_page measure_page(void)
{
	void (*clear)(void) = cpu_has("erms") ? clear_bytes : clear_words;

	return (struct measure_page){
		.clear = (double)least(clear) / PAGES,
		.copy = (double)least(copy_words) / PAGES,
	};
}

#else

bool measure_counts_instructions(void)
{
	return false;
}

static void clear(void)
{
	memset(to, 0, sizeof(to));
}

static void copy(void)
{
	memcpy(to, from, sizeof(to));
}

struct measure_page measure_page(void)
{
	return (struct measure_page){
		.clear = (double)least(clear) / PAGES,
		.copy = (double)least(copy) / PAGES,
	};
}

#endif
