// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl inject: a rule that fails or delays what happens to an object.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MILLION	1000000

static int parse_probability(const char *word, uint32_t *millionths)
{
	char *end;
	double part = strtod(word, &end);

	if (end == word || *end || !(part > 0 && part <= 1))
		return ctl_usage_error("'%s' is not a probability: more than 0, at most 1",
				       word);
	*millionths = part * MILLION + 0.5;
	if (!*millionths)
		return ctl_usage_error("'%s' is less than a millionth", word);
	return CTL_OK;
}

static int parse_pid(const char *word, int32_t *pid)
{
	uint64_t number;
	int status = number_parse(word, 1, INT32_MAX, &number);

	*pid = number;
	return status;
}

static int parse_option(int option, const char *word, struct mmapdev_rule *rule)
{
	uint64_t number;
	int status;

	switch (option) {
	case 'o':
		status = size_parse(word, &number);
		rule->offset = number;
		return status;
	case 'l':
		status = size_parse(word, &number);
		rule->length = number;
		return status;
	case 's':
		status = number_parse(word, 0, UINT64_MAX, &number);
		rule->skip = number;
		return status;
	case 'c':
		status = number_parse(word, 1, UINT64_MAX, &number);
		rule->count = number;
		return status;
	case 'p':
		return parse_probability(word, &rule->probability);
	case 'S':
		status = number_parse(word, 0, UINT64_MAX, &number);
		rule->seed = number;
		return status;
	case 'P':
		return parse_pid(word, &rule->pid);
	default:
		return ctl_usage_error("inject has no such option");
	}
}

static int explain(const char *name, const struct mmapdev_rule *rule)
{
	switch (errno) {
	case EINVAL:
		return ctl_error("no %s for %s: only for fault-read, fault-write and mkwrite",
				 rule_action(rule), rule_event(rule));
	case ESRCH:
		return ctl_error("there is no process %d", rule->pid);
	case ENOSPC:
		return ctl_error("'%s' has as many rules as an object can have",
				 name);
	case ENOTTY:
		return ctl_error("this version of " MODULE_NAME " has no rules");
	default:
		return ctl_error("cannot add a rule to '%s': %m", name);
	}
}

static int add(const char *name, struct mmapdev_rule *rule)
{
	int fd;
	int status = object_open(name, O_RDWR, &fd);

	if (status != CTL_OK)
		return status;
	if (ioctl(fd, MMAPDEV_IOC_ADD_RULE, rule))
		status = explain(name, rule);
	else
		printf("%" PRIu64 "\n", (uint64_t)rule->id);
	close(fd);
	return status;
}

int ctl_inject(int argc, char **argv)
{
	static const struct option options[] = {
		{ "offset", required_argument, NULL, 'o' },
		{ "length", required_argument, NULL, 'l' },
		{ "skip", required_argument, NULL, 's' },
		{ "count", required_argument, NULL, 'c' },
		{ "probability", required_argument, NULL, 'p' },
		{ "seed", required_argument, NULL, 'S' },
		{ "pid", required_argument, NULL, 'P' },
		{ }
	};
	struct mmapdev_rule rule = { };
	int status = CTL_OK;
	int option;

	while (status == CTL_OK &&
	       (option = getopt_long(argc, argv, "", options, NULL)) != -1)
		status = parse_option(option, optarg, &rule);
	if (status != CTL_OK)
		return status;
	if (argc - optind != 3)
		return ctl_usage_error("inject takes NAME, EVENT and ACTION");
	status = rule_parse_event(argv[optind + 1], &rule);
	if (status == CTL_OK)
		status = rule_parse_action(argv[optind + 2], &rule);
	return status == CTL_OK ? add(argv[optind], &rule) : status;
}
