// SPDX-License-Identifier: GPL-2.0
/*
 * Serving a file by a symbolic link, which opens it through /proc.
 */
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TARGET_SIZE	64

/* What a link names; empty if it is none. */
static void read_link(const char *path, char *target, size_t size)
{
	ssize_t length = readlink(path, target, size - 1);

	target[length > 0 ? length : 0] = '\0';
}

/* /proc's own number for this process: /proc may be of another namespace. */
static void make_target(int file, char target[TARGET_SIZE])
{
	char self[16];

	read_link("/proc/self", self, sizeof(self));
	snprintf(target, TARGET_SIZE, "/proc/%s/fd/%d", self, file);
}

bool link_leads_to(const char *path, int file)
{
	struct stat there, ours;

	return !stat(path, &there) && !fstat(file, &ours) &&
	       there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

/* A link that serve made: by a process that still does, or left by a killed? */
static int explain_link(const char *path, const char *target, int pid)
{
	char file[TARGET_SIZE];

	read_link(target, file, sizeof(file));
	if (!strncmp(file, "/" MODULE_NAME ":", strlen("/" MODULE_NAME ":")))
		return ctl_error("%s exists: process %d serves an object there",
				 path, pid);
	return ctl_error("%s exists: a link to %s, whose process was killed while it served; "
			 "remove it",
			 path, target);
}

int link_explain_taken(const char *path)
{
	char target[TARGET_SIZE];
	int pid, fd;

	read_link(path, target, sizeof(target));
	if (sscanf(target, "/proc/%d/fd/%d", &pid, &fd) == 2)
		return explain_link(path, target, pid);
	return ctl_error("%s exists", path);
}

int link_make(const char *path, int file)
{
	char target[TARGET_SIZE];

	make_target(file, target);
	if (symlink(target, path)) {
		if (errno == EEXIST)
			return link_explain_taken(path);
		return ctl_error("cannot make %s: %m", path);
	}
	if (link_leads_to(path, file))
		return CTL_OK;
	link_remove(path, file);
	return ctl_error("%s would not lead to the object: is /proc mounted?",
			 path);
}

/* What has taken the link's place since is not ours to remove. */
void link_remove(const char *path, int file)
{
	char expected[TARGET_SIZE];
	char target[TARGET_SIZE];

	make_target(file, expected);
	read_link(path, target, sizeof(target));
	if (!strcmp(target, expected))
		unlink(path);
}
