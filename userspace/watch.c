// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl watch: an object's map again and again, with rates of its events.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "map.h"

#define INTERVAL_MAX	86400
#define LINES_BESIDE	4	/* that are no rows of cells */

/* What is shown as a rate: the sum of some of the counters. */
static const struct {
	const char *name;
	const char *files[5];
} rates[] = {
	{ "faults", { "fault_shared_read", "fault_shared_write",
		      "fault_private_read", "fault_cow_source",
		      "fault_around" } },
	{ "mkwrites", { "mkwrites" } },
	{ "writebacks", { "writebacks" } },
	{ "flushes", { "flushes" } },
};

#define RATES	(sizeof(rates) / sizeof(rates[0]))

struct sample {
	struct timespec at;
	uint64_t counts[RATES];
};

struct watch {
	const char *name;
	double interval;	/* seconds */
	uint64_t count;		/* of pictures; 0: until a signal comes */
	struct screen screen;
	struct map map;
	sigset_t signals;
};

static uint64_t count_of(const char *directory, size_t rate)
{
	uint64_t count = 0;
	char line[24];
	size_t i;

	for (i = 0; i < 5 && rates[rate].files[i]; i++)
		if (sysfs_read(directory, rates[rate].files[i], line,
			       sizeof(line)))
			count += strtoull(line, NULL, 10);
	return count;
}

static void take_sample(const char *name, struct sample *sample)
{
	char directory[NAME_SYSFS_SIZE + sizeof("/stats")];
	size_t i;

	snprintf(directory, sizeof(directory), NAMES_SYSFS "/%s/stats", name);
	clock_gettime(CLOCK_MONOTONIC, &sample->at);
	for (i = 0; i < RATES; i++)
		sample->counts[i] = count_of(directory, i);
}

static double seconds(const struct timespec *from, const struct timespec *to)
{
	return to->tv_sec - from->tv_sec + (to->tv_nsec - from->tv_nsec) / 1e9;
}

/* How many so far, and how many a second since the last picture, if any. */
static void print_rates(const struct sample *before, const struct sample *now)
{
	size_t i;

	for (i = 0; i < RATES; i++) {
		uint64_t count = now->counts[i];

		printf("%s%s %" PRIu64, i ? "  " : "", rates[i].name, count);
		/* Less than before: of another object, by the same name. */
		if (before && count >= before->counts[i])
			printf(" (%.0f/s)", (count - before->counts[i]) /
			       seconds(&before->at, &now->at));
	}
}

static int draw(struct watch *watch, const struct sample *before,
		struct sample *now)
{
	/* The picture before is written over, without a flicker. */
	const char *eol = watch->screen.terminal ? "\033[K\n" : "\n";
	int status;
	int fd;

	/* Opened each time: a power cut leaves older files dead. */
	status = object_open(watch->name, O_RDONLY, &fd);
	if (status != CTL_OK)
		return status;
	status = map_take(&watch->map, fd, watch->name);
	close(fd);
	if (status != CTL_OK)
		return status;
	take_sample(watch->name, now);
	if (watch->screen.terminal)
		printf(before ? "\033[H" : "\033[H\033[J");
	map_print(&watch->map, &watch->screen, watch->name, eol);
	print_rates(before, now);
	fputs(eol, stdout);
	fputs(watch->screen.terminal ? "\033[J" : "\n", stdout);
	if (fflush(stdout) || ferror(stdout))
		return ctl_error("cannot write the output: %m");
	return CTL_OK;
}

/* Until the next picture; false if a signal ends it. */
static bool wait_interval(const struct watch *watch)
{
	struct timespec timeout = {
		.tv_sec = watch->interval,
		.tv_nsec = (watch->interval - (time_t)watch->interval) * 1e9,
	};
	int signo = sigtimedwait(&watch->signals, NULL, &timeout);

	return signo < 0 || signo == SIGWINCH;
}

static int run(struct watch *watch)
{
	struct sample samples[2];
	uint64_t i;
	int status;

	for (i = 0; !watch->count || i < watch->count; i++) {
		if (i && !wait_interval(watch))
			return CTL_OK;
		screen_get(&watch->screen);
		map_layout(&watch->map, &watch->screen, 0,
			   watch->screen.rows - LINES_BESIDE);
		status = draw(watch, i ? &samples[(i + 1) % 2] : NULL,
			      &samples[i % 2]);
		if (status != CTL_OK)
			return status;
	}
	return CTL_OK;
}

static int parse_interval(const char *word, double *interval)
{
	char *end;

	*interval = strtod(word, &end);
	if (end != word && !*end && *interval >= 0.01 &&
	    *interval <= INTERVAL_MAX)
		return CTL_OK;
	return ctl_usage_error("'%s' is not an interval: 0.01 to %d seconds",
			       word, INTERVAL_MAX);
}

static void block_signals(struct watch *watch)
{
	sigemptyset(&watch->signals);
	sigaddset(&watch->signals, SIGINT);
	sigaddset(&watch->signals, SIGTERM);
	sigaddset(&watch->signals, SIGWINCH);
	sigprocmask(SIG_BLOCK, &watch->signals, NULL);
}

int ctl_watch(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "count", required_argument, NULL, 'c' },
		{ }
	};
	static struct watch watch = { .interval = 1 };
	int status = CTL_OK;
	int option;

	while (status == CTL_OK &&
	       (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'i':
			status = parse_interval(optarg, &watch.interval);
			break;
		case 'c':
			status = number_parse(optarg, 1, UINT64_MAX,
					      &watch.count);
			break;
		default:
			return ctl_usage_error("watch takes NAME, --interval and --count");
		}
	}
	if (status != CTL_OK)
		return status;
	if (argc - optind != 1)
		return ctl_usage_error("watch takes one NAME");
	watch.name = argv[optind];
	block_signals(&watch);
	return run(&watch);
}
