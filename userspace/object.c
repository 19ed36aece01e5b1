// SPDX-License-Identifier: GPL-2.0
/*
 * Objects: opening them by name, and their size.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int object_check_name(const char *name)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t length = strlen(name);

	if (length && length <= MMAPDEV_NAME_MAX &&
	    strspn(name, allowed) == length &&
	    strcmp(name, ".") && strcmp(name, ".."))
		return CTL_OK;
	return ctl_usage_error("'%s' cannot be a name: that is 1 to %d of A-Z a-z 0-9 . _ -",
			       name, MMAPDEV_NAME_MAX);
}

static bool is_loaded(void)
{
	return !access(MODULE_SYSFS "/initstate", F_OK);
}

int object_open_new(int flags, int *fd)
{
	*fd = open(DEVICE_PATH, flags | O_CLOEXEC);
	if (*fd >= 0)
		return CTL_OK;
	if (!is_loaded())
		return ctl_not_loaded();
	return ctl_error("cannot open " DEVICE_PATH ": %m");
}

static int explain_open(const char *name, const char *path)
{
	int err = errno;

	if (!is_loaded())
		return ctl_not_loaded();
	/* ENXIO: the name was removed after the node was found. */
	if (err == ENOENT || err == ENXIO)
		return ctl_error("no object has the name '%s'; 'mmapdevctl list' shows the names",
				 name);
	return ctl_error("cannot open %s: %s", path, strerror(err));
}

/* A shell's redirection makes a file there when no object has the name. */
int object_open(const char *name, int flags, int *fd)
{
	char path[NODE_PATH_SIZE];
	struct mmapdev_info info;
	int status = object_check_name(name);

	if (status != CTL_OK)
		return status;
	snprintf(path, sizeof(path), NODE_PREFIX "%s", name);
	*fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0)
		return explain_open(name, path);
	if (!ioctl(*fd, MMAPDEV_IOC_GET_INFO, &info))
		return CTL_OK;
	close(*fd);
	if (!is_loaded())
		return ctl_not_loaded();
	return ctl_error("%s is not a device of " MODULE_NAME, path);
}

int object_resize(int fd, const char *name, uint64_t size)
{
	struct mmapdev_size new_size = { .size = size };

	/* RLIMIT_FSIZE is to be a message, not a death. */
	signal(SIGXFSZ, SIG_IGN);
	if (!ioctl(fd, MMAPDEV_IOC_SET_SIZE, &new_size))
		return CTL_OK;
	if (errno == EFBIG)
		return ctl_error("cannot size '%s': more than an object, or ulimit -f, allows",
				 name);
	return ctl_error("cannot size '%s': %m", name);
}
