// SPDX-License-Identifier: GPL-2.0
/*
 * Who has the device open or mapped, as far as /proc shows it.
 */
#include "ctl.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAX_SHOWN	10

/* Does an open file of the process lead to the device? */
static bool has_open(const char *pid, dev_t device)
{
	struct dirent *entry;
	struct stat st;
	char path[32];
	DIR *directory;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%.10s/fd", pid);
	directory = opendir(path);
	if (!directory)
		return false;
	while (!found && (entry = readdir(directory))) {
		if (fstatat(dirfd(directory), entry->d_name, &st, 0))
			continue;
		found = S_ISCHR(st.st_mode) && st.st_rdev == device;
	}
	closedir(directory);
	return found;
}

/* A mapping keeps the file open after close(2); maps tells the node's inode. */
static bool has_mapped(const char *pid, const struct stat *node)
{
	unsigned int major, minor;
	uint64_t inode;
	char path[32];
	char *line = NULL;
	size_t size = 0;
	FILE *file;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%.10s/maps", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && getline(&line, &size, file) > 0) {
		if (sscanf(line, "%*s %*s %*s %x:%x %" SCNu64,
			   &major, &minor, &inode) != 3)
			continue;
		found = inode == node->st_ino &&
			makedev(major, minor) == node->st_dev;
	}
	free(line);
	fclose(file);
	return found;
}

static void print_process(const char *pid)
{
	char directory[32];
	char comm[64];

	snprintf(directory, sizeof(directory), "/proc/%.10s", pid);
	if (!sysfs_read(directory, "comm", comm, sizeof(comm)))
		return;		/* it has just ended */
	fprintf(stderr, "  process %s (%s)\n", pid, comm);
}

void holders_print(void)
{
	dev_t device = sysfs_device();
	struct dirent *entry;
	struct stat node;
	DIR *proc = opendir("/proc");
	bool has_node = !stat(DEVICE_PATH, &node);
	int found = 0;

	if (!proc)
		return;
	while ((entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		if (pid <= 0 || pid == getpid())
			continue;
		if (!has_open(entry->d_name, device) &&
		    !(has_node && has_mapped(entry->d_name, &node)))
			continue;
		if (++found <= MAX_SHOWN)
			print_process(entry->d_name);
	}
	closedir(proc);
	if (found > MAX_SHOWN)
		fprintf(stderr, "  and %d more\n", found - MAX_SHOWN);
	if (!found)
		fputs("  no process that /proc shows; "
		      "perhaps a descriptor on its way through a socket\n",
		      stderr);
}
