// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl remove: take an object's name away.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int explain(const char *name)
{
	switch (errno) {
	case EPERM:
		return ctl_error("not permitted to remove nodes of /dev (CAP_MKNOD); try as root");
	case ENOENT:	/* another was faster */
		return ctl_error("no object has the name '%s' any more", name);
	default:
		return ctl_error("cannot remove '%s': %m", name);
	}
}

int ctl_remove(int argc, char **argv)
{
	static const struct option options[] = { { } };
	int status;
	int fd;

	if (getopt_long(argc, argv, "", options, NULL) != -1 ||
	    argc - optind != 1)
		return ctl_usage_error("remove takes one NAME");
	status = object_open(argv[optind], O_RDONLY, &fd);
	if (status != CTL_OK)
		return status;
	if (ioctl(fd, MMAPDEV_IOC_REMOVE_NAME))
		status = explain(argv[optind]);
	close(fd);
	return status;
}
