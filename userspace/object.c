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

static int explain_durable(const struct mmapdev_create *wanted,
			   const char *name)
{
	switch (errno) {
	case ENOTTY:
		return ctl_error("this version of " MODULE_NAME " has no durable objects");
	case EFBIG:
		return ctl_error("cannot size '%s': more than an object can be",
				 name);
	case EINVAL:
		if (wanted->store == MMAPDEV_STORE_FILE)
			return ctl_error("the store is neither a regular file nor a block device");
		break;
	case ELOOP:
		return ctl_error("an object cannot be the store of another");
	}
	return ctl_error("cannot create '%s': %m", name);
}

int object_open_durable(struct mmapdev_create *wanted, const char *name,
			int *fd)
{
	int device;
	int status = object_open_new(O_RDWR, &device);

	if (status != CTL_OK)
		return status;
	wanted->flags = O_RDWR | O_CLOEXEC;
	*fd = ioctl(device, MMAPDEV_IOC_CREATE, wanted);
	if (*fd < 0)
		status = explain_durable(wanted, name);
	close(device);
	return status;
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
