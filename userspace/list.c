// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl list: a line for each named object.
 */
#include "ctl.h"

#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROW	"%-*s %19s %12s %-9s %-6s %4s %-11s %19s\n"

/* An attribute's value, or "-" for an object that is just going. */
static const char *attribute(const char *directory, const char *name,
			     char line[24])
{
	return sysfs_read(directory, name, line, 24) && line[0] ? line : "-";
}

/* Names where there are some, as ls(1) shows them. */
static void describe_owner(const struct stat *st, char *text, size_t size)
{
	const struct passwd *user = getpwuid(st->st_uid);
	const struct group *group = getgrgid(st->st_gid);
	char uid[12], gid[12];

	snprintf(uid, sizeof(uid), "%u", st->st_uid);
	snprintf(gid, sizeof(gid), "%u", st->st_gid);
	snprintf(text, size, "%s:%s", user ? user->pw_name : uid,
		 group ? group->gr_name : gid);
}

/* The size that a power cut leaves, to those who may open the object. */
static void describe_durable(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct mmapdev_info info;

	if (fd < 0)
		return;
	if (!ioctl(fd, MMAPDEV_IOC_GET_INFO, &info))
		snprintf(text, size, "%" PRIu64, (uint64_t)info.durable_size);
	close(fd);
}

static void print_row(const char *name, int width)
{
	char directory[sizeof(NAMES_SYSFS "/") + 256];
	char path[sizeof(NODE_PREFIX) + 256];
	char size[24], resident[24], kind[24], store[24];
	char mode[8] = "-";
	char owner[128] = "-";
	char durable[24] = "-";
	struct stat st;

	snprintf(directory, sizeof(directory), NAMES_SYSFS "/%s", name);
	snprintf(path, sizeof(path), NODE_PREFIX "%s", name);
	/* /dev may be another's, in a container: then no node need be there. */
	if (!stat(path, &st) && st.st_rdev == sysfs_device(directory)) {
		snprintf(mode, sizeof(mode), "%04o", st.st_mode & 07777);
		describe_owner(&st, owner, sizeof(owner));
		if (!strcmp(attribute(directory, "kind", kind), "durable"))
			describe_durable(path, durable, sizeof(durable));
	}
	printf(ROW, width, name,
	       attribute(directory, "size", size),
	       attribute(directory, "resident", resident),
	       attribute(directory, "kind", kind),
	       attribute(directory, "store", store), mode, owner, durable);
}

int ctl_list(int argc, char **argv)
{
	static const struct option options[] = { { } };
	char **names;
	int width = strlen("NAME");
	int count;
	int i;

	if (getopt_long(argc, argv, "", options, NULL) != -1 || optind < argc)
		return ctl_usage_error("list takes no arguments");
	count = sysfs_names(&names);
	if (count < 0)
		return ctl_not_loaded();
	for (i = 0; i < count; i++) {
		int length = strlen(names[i]);

		width = length > width ? length : width;
	}
	printf(ROW, width, "NAME", "SIZE", "RESIDENT", "KIND", "STORE", "MODE",
	       "OWNER", "DURABLE");
	for (i = 0; i < count; i++)
		print_row(names[i], width);
	sysfs_names_free(names, count);
	return CTL_OK;
}
