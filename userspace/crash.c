// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl crash: cut the power of a durable object.
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

static int explain(const char *name)
{
	switch (errno) {
	case EOPNOTSUPP:
		return ctl_error("'%s' is anonymous: it has no store that could survive",
				 name);
	case ENOTTY:
		return ctl_error("this version of " MODULE_NAME " has no power cuts");
	default:
		return ctl_error("cannot cut the power of '%s': %m", name);
	}
}

static int cut(int fd, const char *name, uint32_t flags)
{
	struct mmapdev_crash crash = { .flags = flags };
	char directory[NAME_SYSFS_SIZE];
	char before[24], after[24];
	bool sized;

	snprintf(directory, sizeof(directory), NAMES_SYSFS "/%s", name);
	sized = sysfs_read(directory, "size", before, sizeof(before));
	if (ioctl(fd, MMAPDEV_IOC_CRASH, &crash))
		return explain(name);
	printf("%" PRIu64 " page%s lost\n", (uint64_t)crash.lost,
	       crash.lost == 1 ? "" : "s");
	if (sized && sysfs_read(directory, "size", after, sizeof(after)) &&
	    strcmp(before, after))
		printf("the size is %s, and was %s\n", after, before);
	return CTL_OK;
}

int ctl_crash(int argc, char **argv)
{
	static const struct option options[] = {
		{ "revert", no_argument, NULL, 'r' },
		{ }
	};
	uint32_t flags = 0;
	int status;
	int option;
	int fd;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'r')
			return ctl_usage_error("crash takes NAME and --revert");
		flags |= MMAPDEV_CRASH_REVERT;
	}
	if (argc - optind != 1)
		return ctl_usage_error("crash takes one NAME");
	status = object_open(argv[optind], O_RDWR, &fd);
	if (status != CTL_OK)
		return status;
	status = cut(fd, argv[optind], flags);
	close(fd);
	return status;
}
