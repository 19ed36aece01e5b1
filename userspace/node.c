// SPDX-License-Identifier: GPL-2.0
/*
 * Nodes of devices in /dev.
 */
#include "ctl.h"

#include <sys/stat.h>
#include <time.h>

#define DEADLINE_MS	5000

/* The kernel does not replace what is there when it makes a device's node. */
int node_is_free(const char *path, const char *directory)
{
	struct stat st;

	if (!sysfs_device(directory) && !lstat(path, &st))
		return ctl_error("%s is in the way, and is not the device; remove it",
				 path);
	return CTL_OK;
}

/* The node is made by the kernel (devtmpfs), or a little later by udev. */
int node_wait(const char *path, const char *directory)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	dev_t device = sysfs_device(directory);
	struct stat st;
	int i;

	for (i = 0; i < DEADLINE_MS / 10; i++) {
		if (device && !stat(path, &st) &&
		    S_ISCHR(st.st_mode) && st.st_rdev == device)
			return CTL_OK;
		nanosleep(&pause, NULL);
		if (!device)
			device = sysfs_device(directory);
	}
	return ctl_error("it is done, but %s did not appear in %d s; is /dev a devtmpfs?",
			 path, DEADLINE_MS / 1000);
}
