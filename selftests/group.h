/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A memory control group, one at a time: made by the test, joined by a child.
 */
#ifndef _SELFTESTS_GROUP_H
#define _SELFTESTS_GROUP_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "knob.h"

#define GROUP_ROOT	"/sys/fs/cgroup"
#define GROUP		GROUP_ROOT "/mmapdev-selftest"

static inline bool group_controller(const char *name)
{
	char controllers[256];

	return !file_read(GROUP_ROOT "/cgroup.controllers", controllers,
			  sizeof(controllers)) &&
	       strstr(controllers, name);
}

static inline bool group_possible(void)
{
	return group_controller("memory");
}

/* Are its dirty pages counted, and kept to a part of it (CGROUP_WRITEBACK)? */
static inline bool group_throttles(void)
{
	return group_controller("memory") && group_controller("io");
}

/* An empty group, without a limit: 0, or -1 with errno. */
static inline int group_make(void)
{
	if (file_write(GROUP_ROOT "/cgroup.subtree_control", "+memory"))
		return -1;
	rmdir(GROUP);	/* there only if a run was killed */
	return mkdir(GROUP, 0755);
}

/* Limit its memory, in bytes, and give it no swap: 0, or -1 with errno. */
static inline int group_limit(long bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", bytes);
	if (file_write(GROUP "/memory.swap.max", "0"))
		return -1;
	return file_write(GROUP "/memory.max", text);
}

/* Be in it from now on: 0, or -1 with errno. */
static inline int group_join(void)
{
	return file_write(GROUP "/cgroup.procs", "0");
}

/* A line of one of its flat files ("memory.events", "oom_kill"), or -1. */
static inline long group_value(const char *file, const char *name)
{
	char path[128], key[64];
	long value;
	FILE *f;

	snprintf(path, sizeof(path), GROUP "/%s", file);
	f = fopen(path, "r");
	if (!f)
		return -1;
	while (fscanf(f, "%63s %ld", key, &value) == 2) {
		if (!strcmp(key, name)) {
			fclose(f);
			return value;
		}
	}
	fclose(f);
	return -1;
}

#endif /* _SELFTESTS_GROUP_H */
