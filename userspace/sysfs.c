// SPDX-License-Identifier: GPL-2.0
/*
 * One-line files of sysfs.
 */
#include "ctl.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

bool sysfs_read(const char *directory, const char *name, char *line,
		size_t size)
{
	char path[512];
	FILE *file;
	bool done;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	done = fgets(line, size, file);
	fclose(file);
	if (done)
		line[strcspn(line, "\n")] = '\0';
	return done;
}

dev_t sysfs_device(void)
{
	unsigned int major, minor;
	char line[32];

	if (!sysfs_read(CLASS_SYSFS, "dev", line, sizeof(line)) ||
	    sscanf(line, "%u:%u", &major, &minor) != 2)
		return 0;
	return makedev(major, minor);
}
