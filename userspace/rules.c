// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl rules: a line for each rule of an object.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ROW	"%4s %-11s %-14s %12s %12s %6s %6s %8s %6s %7s %8s %8s\n"

/* A number, or "-" for 0 where that is "any" or "none". */
static const char *number(uint64_t value, bool dash, char text[24])
{
	if (dash && !value)
		return "-";
	snprintf(text, 24, "%" PRIu64, value);
	return text;
}

static const char *probability(uint32_t millionths, char text[24])
{
	if (!millionths)
		return "1";
	/* As short as it is exact. */
	snprintf(text, 24, "%.6g", millionths / 1e6);
	return text;
}

static void print_row(const struct mmapdev_rule *rule)
{
	char id[24], offset[24], length[24], skip[24], count[24], part[24];
	char seed[24], pid[24], matches[24], hits[24];

	printf(ROW, number(rule->id, false, id), rule_event(rule),
	       rule_action(rule), number(rule->offset, false, offset),
	       number(rule->length, true, length),
	       number(rule->skip, false, skip),
	       number(rule->count, true, count),
	       probability(rule->probability, part),
	       number(rule->seed, false, seed), number(rule->pid, true, pid),
	       number(rule->matches, false, matches),
	       number(rule->hits, false, hits));
}

static int print_rules(int fd, const char *name)
{
	struct mmapdev_rule rule = { };

	printf(ROW, "ID", "EVENT", "ACTION", "OFFSET", "LENGTH", "SKIP",
	       "COUNT", "CHANCE", "SEED", "PID", "MATCHES", "HITS");
	for (;;) {
		/* Only the number counts: the rest must be zero. */
		struct mmapdev_rule next = { .id = rule.id + 1 };

		if (ioctl(fd, MMAPDEV_IOC_GET_RULE, &next))
			break;
		rule = next;
		print_row(&rule);
	}
	return errno == ENOENT ? CTL_OK :
	       ctl_error("cannot ask for the rules of '%s': %m", name);
}

int ctl_rules(int argc, char **argv)
{
	static const struct option options[] = { { } };
	int status;
	int fd;

	if (getopt_long(argc, argv, "", options, NULL) != -1 ||
	    argc - optind != 1)
		return ctl_usage_error("rules takes one NAME");
	status = object_open(argv[optind], O_RDONLY, &fd);
	if (status != CTL_OK)
		return status;
	status = print_rules(fd, argv[optind]);
	close(fd);
	return status;
}
