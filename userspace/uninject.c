// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl uninject: remove a rule of an object, or all.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int ctl_uninject(int argc, char **argv)
{
	static const struct option options[] = { { } };
	struct mmapdev_rule rule = { };	/* 0: all */
	uint64_t id;
	int status;
	int fd;

	if (getopt_long(argc, argv, "", options, NULL) != -1 ||
	    argc - optind != 2)
		return ctl_usage_error("uninject takes NAME, and ID or all");
	if (strcmp(argv[optind + 1], "all")) {
		status = number_parse(argv[optind + 1], 1, UINT64_MAX, &id);
		if (status != CTL_OK)
			return status;
		rule.id = id;
	}
	status = object_open(argv[optind], O_RDWR, &fd);
	if (status != CTL_OK)
		return status;
	if (ioctl(fd, MMAPDEV_IOC_REMOVE_RULE, &rule))
		status = errno == ENOENT ?
			 ctl_error("'%s' has no rule %s; 'mmapdevctl rules' shows them",
				   argv[optind], argv[optind + 1]) :
			 ctl_error("cannot remove rules of '%s': %m",
				   argv[optind]);
	close(fd);
	return status;
}
