// SPDX-License-Identifier: GPL-2.0
/*
 * Rules of injection: names of what can happen, and of what a rule does to it.
 */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

#define DELAY	"delay="

static const char * const events[] = {
	[MMAPDEV_EVENT_FAULT_READ] = "fault-read",
	[MMAPDEV_EVENT_FAULT_WRITE] = "fault-write",
	[MMAPDEV_EVENT_MKWRITE] = "mkwrite",
	[MMAPDEV_EVENT_WRITEBACK] = "writeback",
	[MMAPDEV_EVENT_FLUSH] = "flush",
	[MMAPDEV_EVENT_ALLOCATE] = "allocate",
};

static const char * const actions[] = {
	[MMAPDEV_ACTION_SIGBUS] = "sigbus",
	[MMAPDEV_ACTION_HWPOISON] = "hwpoison",
	[MMAPDEV_ACTION_EIO] = "eio",
	[MMAPDEV_ACTION_ENOSPC] = "enospc",
	[MMAPDEV_ACTION_ENOMEM] = "enomem",
};

#define COUNT_OF(names)	(sizeof(names) / sizeof((names)[0]))

/* The number of a name; 0 for none. */
static uint32_t find(const char * const *names, size_t count, const char *word)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (names[i] && !strcmp(names[i], word))
			return i;
	return 0;
}

int rule_parse_event(const char *word, struct mmapdev_rule *rule)
{
	rule->event = find(events, COUNT_OF(events), word);
	if (rule->event)
		return CTL_OK;
	return ctl_usage_error("'%s' is no event; 'mmapdevctl inject --help' tells them",
			       word);
}

int rule_parse_action(const char *word, struct mmapdev_rule *rule)
{
	uint64_t delay;
	int status;

	rule->action = find(actions, COUNT_OF(actions), word);
	if (rule->action)
		return CTL_OK;
	if (strncmp(word, DELAY, strlen(DELAY)))
		return ctl_usage_error("'%s' is no action; 'mmapdevctl inject --help' tells them",
				       word);
	status = number_parse(word + strlen(DELAY), 1, MMAPDEV_DELAY_MAX,
			      &delay);
	rule->action = MMAPDEV_ACTION_DELAY;
	rule->delay_us = delay;
	return status;
}

/* A newer module can have more than this program knows. */
static const char *name_of(const char * const *names, size_t count,
			   uint32_t number)
{
	return number < count && names[number] ? names[number] : "?";
}

const char *rule_event(const struct mmapdev_rule *rule)
{
	return name_of(events, COUNT_OF(events), rule->event);
}

const char *rule_action(const struct mmapdev_rule *rule)
{
	static char delay[sizeof(DELAY) + 10];

	if (rule->action != MMAPDEV_ACTION_DELAY)
		return name_of(actions, COUNT_OF(actions), rule->action);
	snprintf(delay, sizeof(delay), DELAY "%u", rule->delay_us);
	return delay;
}
