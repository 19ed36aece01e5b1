// SPDX-License-Identifier: GPL-2.0
/*
 * Serving a file by a bind mount, for programs that want a path of its own.
 *
 * The mount is of the file system that shows all named objects. It is mounted
 * on a directory of ours for as long as it takes to bind one file of it.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* The empty file that the mount is on. */
static struct stat placeholder;

static int make_placeholder(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0) {
		if (errno == EEXIST)
			return link_explain_taken(path);
		return ctl_error("cannot make %s: %m", path);
	}
	fstat(fd, &placeholder);
	close(fd);
	return CTL_OK;
}

/* What has taken its place since is not ours to remove. */
static void remove_placeholder(const char *path)
{
	struct stat st;

	if (!lstat(path, &st) && st.st_dev == placeholder.st_dev &&
	    st.st_ino == placeholder.st_ino)
		unlink(path);
}

static int explain_mount(void)
{
	switch (errno) {
	case EPERM:
		return ctl_error("not permitted to mount (CAP_SYS_ADMIN); "
				 "try as root, or without --bind");
	case ENODEV:
		return ctl_error("this version of " MODULE_NAME " has no file system");
	default:
		return ctl_error("cannot mount the file system of " MODULE_NAME ": %m");
	}
}

static int bind_file(const char *directory, const char *path, const char *name,
		     int file, bool read_only)
{
	char from[PATH_MAX];

	snprintf(from, sizeof(from), "%s/%s", directory, name);
	/* The name may have gone, and come again for another object. */
	if (!link_leads_to(from, file))
		return ctl_error("'%s' is no longer the object's name", name);
	if (mount(from, path, NULL, MS_BIND, NULL))
		return ctl_error("cannot bind the file to %s: %m", path);
	if (!read_only)
		return CTL_OK;
	if (!mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY |
		   MS_NOSUID | MS_NODEV, NULL))
		return CTL_OK;
	ctl_error("cannot make %s read-only: %m", path);
	umount2(path, MNT_DETACH);
	return CTL_ERROR;
}

static int mount_and_bind(const char *directory, const char *path,
			  const char *name, int file, bool read_only)
{
	int status;

	if (mount(MODULE_NAME, directory, MODULE_NAME, MS_NOSUID | MS_NODEV,
		  NULL))
		return explain_mount();
	status = bind_file(directory, path, name, file, read_only);
	umount2(directory, MNT_DETACH);
	return status;
}

int bind_make(const char *path, const char *name, int file, bool read_only)
{
	char directory[] = P_tmpdir "/mmapdevctl.XXXXXX";
	int status;

	status = make_placeholder(path);
	if (status != CTL_OK)
		return status;
	if (mkdtemp(directory)) {
		status = mount_and_bind(directory, path, name, file, read_only);
		rmdir(directory);
	} else {
		status = ctl_error("cannot make a directory in " P_tmpdir ": %m");
	}
	if (status != CTL_OK)
		remove_placeholder(path);
	return status;
}

void bind_remove(const char *path, int file)
{
	if (link_leads_to(path, file))
		umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	remove_placeholder(path);
}
