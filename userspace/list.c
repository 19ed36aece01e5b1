// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl list: a line for each named object.
 */
#include "ctl.h"

#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ROW	"%-*s %19s %12s %-9s %-5s %4s %s\n"

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

static void print_row(const char *name, int width)
{
	char directory[sizeof(NAMES_SYSFS "/") + 256];
	char path[sizeof(NODE_PREFIX) + 256];
	char size[24], resident[24], kind[24], store[24];
	char mode[8] = "-";
	char owner[128] = "-";
	struct stat st;

	snprintf(directory, sizeof(directory), NAMES_SYSFS "/%s", name);
	snprintf(path, sizeof(path), NODE_PREFIX "%s", name);
	/* /dev may be another's, in a container: then no node need be there. */
	if (!stat(path, &st) && st.st_rdev == sysfs_device(directory)) {
		snprintf(mode, sizeof(mode), "%04o", st.st_mode & 07777);
		describe_owner(&st, owner, sizeof(owner));
	}
	printf(ROW, width, name,
	       attribute(directory, "size", size),
	       attribute(directory, "resident", resident),
	       attribute(directory, "kind", kind),
	       attribute(directory, "store", store), mode, owner);
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
	       "OWNER");
	for (i = 0; i < count; i++)
		print_row(names[i], width);
	sysfs_names_free(names, count);
	return CTL_OK;
}
