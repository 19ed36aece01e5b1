// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl resize: set the end of a named object.
 */
#include "ctl.h"

#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

int ctl_resize(int argc, char **argv)
{
	static const struct option options[] = { { } };
	uint64_t size;
	int status;
	int fd;

	if (getopt_long(argc, argv, "", options, NULL) != -1 ||
	    argc - optind != 2)
		return ctl_usage_error("resize takes NAME and SIZE");
	status = size_parse(argv[optind + 1], &size);
	if (status == CTL_OK)
		status = object_open(argv[optind], O_RDWR, &fd);
	if (status != CTL_OK)
		return status;
	status = object_resize(fd, argv[optind], size);
	close(fd);
	return status;
}
