// SPDX-License-Identifier: GPL-2.0
/*
 * One-line files of sysfs, and the directories of named objects.
 */
#include "ctl.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
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

dev_t sysfs_device(const char *directory)
{
	unsigned int major, minor;
	char line[32];

	if (!sysfs_read(directory, "dev", line, sizeof(line)) ||
	    sscanf(line, "%u:%u", &major, &minor) != 2)
		return 0;
	return makedev(major, minor);
}

/* A name may begin with a dot. */
static int is_name(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

int sysfs_names(char ***names)
{
	struct dirent **entries;
	int count = scandir(NAMES_SYSFS, &entries, is_name, alphasort);
	int i;

	if (count < 0)
		return -1;
	*names = calloc(count + 1, sizeof(**names));
	for (i = 0; i < count; i++) {
		if (*names)
			(*names)[i] = strdup(entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return *names ? count : -1;
}

void sysfs_names_free(char **names, int count)
{
	int i;

	for (i = 0; i < count; i++)
		free(names[i]);
	free(names);
}
