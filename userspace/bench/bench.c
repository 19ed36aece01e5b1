// SPDX-License-Identifier: GPL-2.0
/*
 * bench: what memory costs, of mmapdev and of the kernel, in instructions a
 * page (under QEMU's -icount shift=0) or in nanoseconds.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "cases.h"
#include "mark.h"
#include "measure.h"
#include "report.h"
#include "touch.h"

#define LIST_MAX	32
#define SIZE_MIN	(1ULL << 20)
#define TRIES_WALL	5
#define TRIES_COUNTED	3
#define SHORT		20000000	/* instructions */

static const char usage[] =
"usage: bench [OPTION...]\n"
"  --wall           take the time: on real hardware, or a plain guest. Without\n"
"                   it the clock must count instructions (scripts/bench)\n"
"  --size LIST      sizes, with K, M or G (default 64M)\n"
"  --threads LIST   numbers of threads, where several can do it (default 1)\n"
"  --case LIST      only these cases\n"
"  --backend LIST   only these kinds of memory\n"
"  --repeat N       take the median of N runs (default 5; without --wall 3 of\n"
"                   what is short, and 1 of what is long)\n"
"  --ext4 DIR       a directory of ext4, on a ram disk, for durable cases\n"
"  --json FILE      write all figures there, too\n"
"  --list           tell what cases and kinds of memory there are\n"
"LIST is separated by commas.\n";

struct options {
	bool wall;
	uint64_t sizes[LIST_MAX];
	unsigned int size_count;
	uint64_t threads[LIST_MAX];
	unsigned int thread_count;
	const char *cases;
	const char *backends;
	unsigned int repeat;
	const char *json;
};

static void fail(const char *what, const char *word)
{
	fprintf(stderr, "bench: %s '%s'\n", what, word);
	exit(2);
}

/* A number with K, M or G after it, or nothing; true if it is one. */
static bool parse_number(const char *word, const char *end, uint64_t *number)
{
	static const char units[] = "KMG";
	const char *unit;
	char *rest;

	if (*word < '0' || *word > '9')
		return false;
	*number = strtoull(word, &rest, 10);
	if (rest == end)
		return true;
	unit = strchr(units, *rest);
	if (!unit || rest + 1 != end)
		return false;
	*number <<= 10 * (unit - units + 1);
	return true;
}

static unsigned int parse_list(const char *list, uint64_t *numbers,
			       uint64_t least, uint64_t most)
{
	const char *word = list;
	unsigned int count = 0;

	while (count < LIST_MAX) {
		const char *end = word + strcspn(word, ",");

		if (!parse_number(word, end, &numbers[count]) ||
		    numbers[count] < least || numbers[count] > most)
			fail("cannot use", list);
		count++;
		if (!*end)
			return count;
		word = end + 1;
	}
	fail("too many in", list);
	return 0;
}

/* Is the word in the list? In none, all are. */
static bool listed(const char *list, const char *word)
{
	size_t length = strlen(word);

	while (list && *list) {
		size_t n = strcspn(list, ",");

		if (n == length && !strncmp(list, word, n))
			return true;
		list += n + (list[n] == ',');
	}
	return !list;
}

static bool is_case(const char *word)
{
	unsigned int i;

	for (i = 0; i < case_count; i++)
		if (!strcmp(cases[i].name, word))
			return true;
	return false;
}

static bool is_backend(const char *word)
{
	unsigned int i;

	for (i = 0; i < backend_count; i++)
		if (!strcmp(backends[i].name, word))
			return true;
	return false;
}

static const char *check_list(const char *list, bool (*is)(const char *word))
{
	const char *at = list;
	char word[32];

	while (*at) {
		size_t n = strcspn(at, ",");

		snprintf(word, sizeof(word), "%.*s", (int)n, at);
		if (!is(word))
			fail("there is no", word);
		at += n + (at[n] == ',');
	}
	return list;
}

static void list_all(void)
{
	unsigned int i;

	printf("cases:\n");
	for (i = 0; i < case_count; i++)
		printf("  %-14s %s\n", cases[i].name, cases[i].what);
	printf("kinds of memory:\n");
	for (i = 0; i < backend_count; i++)
		printf("  %-14s %s\n", backends[i].name, backends[i].what);
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "wall", no_argument, NULL, 'w' },
		{ "size", required_argument, NULL, 's' },
		{ "threads", required_argument, NULL, 't' },
		{ "case", required_argument, NULL, 'c' },
		{ "backend", required_argument, NULL, 'b' },
		{ "repeat", required_argument, NULL, 'r' },
		{ "ext4", required_argument, NULL, 'e' },
		{ "json", required_argument, NULL, 'j' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	uint64_t repeat[LIST_MAX];
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'w':
			o->wall = true;
			break;
		case 's':
			o->size_count = parse_list(optarg, o->sizes, SIZE_MIN,
						   UINT64_MAX >> 8);
			break;
		case 't':
			o->thread_count = parse_list(optarg, o->threads, 1,
						     TOUCH_THREADS_MAX);
			break;
		case 'c':
			o->cases = check_list(optarg, is_case);
			break;
		case 'b':
			o->backends = check_list(optarg, is_backend);
			break;
		case 'r':
			parse_list(optarg, repeat, 1, LIST_MAX);
			o->repeat = repeat[0];
			break;
		case 'e':
			backend_ext4 = optarg;
			break;
		case 'j':
			o->json = optarg;
			break;
		case 'l':
			list_all();
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
	if (optind != argc)
		fail("cannot use", argv[optind]);
}

static int by_time(const void *one, const void *other)
{
	const struct run *a = one;
	const struct run *b = other;

	return (a->time > b->time) - (a->time < b->time);
}

/*
 * Of some tries, if all succeed: by the clock the median, of instructions the
 * least, since what comes between can only add.
 */
static void measure(const struct options *o, const struct bench_case *c,
		    const struct run *what)
{
	unsigned int most = o->repeat ? o->repeat :
			    o->wall ? TRIES_WALL : TRIES_COUNTED;
	struct run tries[LIST_MAX];
	unsigned int i;
	int failed;

	for (i = 0; i < most; i++) {
		tries[i] = *what;
		failed = c->run(&tries[i]);
		MARK(MARK_CASE);
		if (failed) {
			fprintf(stderr, "bench: %s of %s: %m\n", c->name,
				what->backend->name);
			return;
		}
		/* A tick more or less is nothing to what takes long. */
		if (!o->wall && !o->repeat && tries[i].time > SHORT)
			most = i + 1;
	}
	qsort(tries, most, sizeof(tries[0]), by_time);
	if (!report_add(c, &tries[o->wall ? most / 2 : 0]))
		fprintf(stderr, "bench: too many figures\n");
}

static void measure_backends(const struct options *o,
			     const struct bench_case *c, uint64_t size,
			     unsigned int threads)
{
	unsigned int i;

	for (i = 0; i < backend_count; i++) {
		const struct backend *backend = &backends[i];

		if (!listed(o->backends, backend->name) ||
		    !case_fits(c, backend) ||
		    (!strcmp(backend->name, "ext4") && !backend_ext4))
			continue;
		measure(o, c, &(struct run){
			.backend = backend, .size = size, .threads = threads,
		});
	}
}

static void measure_cases(const struct options *o, uint64_t size,
			  unsigned int threads)
{
	unsigned int i;

	for (i = 0; i < case_count; i++)
		if (listed(o->cases, cases[i].name) &&
		    (threads == 1 || cases[i].threads))
			measure_backends(o, &cases[i], size, threads);
}

int main(int argc, char **argv)
{
	struct options o = {
		.sizes = { 64ULL << 20 },
		.size_count = 1,
		.threads = { 1 },
		.thread_count = 1,
	};
	struct report report;
	unsigned int i, j;

	parse(argc, argv, &o);
	if (!o.wall && !measure_counts_instructions()) {
		fputs("bench: the clock does not count instructions; take the time with --wall\n",
		      stderr);
		return 1;
	}
	for (i = 0; i < o.size_count; i++)
		for (j = 0; j < o.thread_count; j++)
			measure_cases(&o, o.sizes[i], o.threads[j]);
	report = (struct report){ .wall = o.wall, .page = measure_page() };
	report_print(&report);
	if (o.json && report_write(&report, o.json)) {
		fprintf(stderr, "bench: cannot write %s: %m\n", o.json);
		return 1;
	}
	return 0;
}
