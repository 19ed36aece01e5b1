/* SPDX-License-Identifier: GPL-2.0 */
/*
 * File systems for one program: an ext4 on a loop device in memory, and a small
 * tmpfs. Nothing of them has a path, so that nothing is left when the program
 * ends, however it ends: the images are unlinked files, the loop devices let go
 * by themselves, and the mounts are descriptors.
 */
#ifndef _SELFTESTS_MOUNT_H
#define _SELFTESTS_MOUNT_H

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A file in memory, full of zeros, or -1 with errno. */
static inline int image_new(off_t size)
{
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 && ftruncate(fd, size)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The same bytes in a file of its own, or -1: what a disk has just now. */
static inline int image_copy(int from)
{
	static char chunk[1 << 16];
	off_t end = lseek(from, 0, SEEK_END);
	int fd = image_new(end);
	off_t at = 0;

	/* Holes stay holes: an image is mostly that. */
	while (fd >= 0 && (at = lseek(from, at, SEEK_DATA)) >= 0 && at < end) {
		ssize_t n = pread(from, chunk, sizeof(chunk), at);

		if (n <= 0 || pwrite(fd, chunk, n, at) != n) {
			close(fd);
			return -1;
		}
		at += n;
	}
	return fd;
}

/*
 * Run a program to its end, without its output: 0 if it says so. The arguments
 * after its path, of which the first is its name, end with NULL.
 */
static inline int run(const char *path, ...)
{
	char *argv[24];
	int status, n = 0;
	va_list args;
	pid_t pid;

	va_start(args, path);
	do {
		argv[n] = va_arg(args, char *);
	} while (argv[n] && ++n < 23);
	argv[n] = NULL;
	va_end(args);
	pid = fork();
	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		execv(path, argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status ? -1 : 0;
}

/*
 * A loop device over a file, its path in `path`, open for reading and writing;
 * it is gone with its last user. -1 with errno.
 */
static inline int loop_open(int image, char *path, size_t size)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_config config = {
		.fd = image,
		.info = { .lo_flags = LO_FLAGS_AUTOCLEAR },
	};
	int fd = -1;

	for (int tries = 0; control >= 0 && tries < 16; tries++) {
		int n = ioctl(control, LOOP_CTL_GET_FREE);

		snprintf(path, size, "/dev/loop%d", n);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && !ioctl(fd, LOOP_CONFIGURE, &config))
			break;
		close(fd);	/* someone else was quicker */
		fd = -1;
	}
	close(control);
	return fd;
}

/* Mount without a path: a descriptor of the root, or -1 with errno. */
static inline int mount_new(const char *type, const char *key,
			    const char *value)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC);
	int fd = -1;

	if (fs < 0)
		return -1;
	if (!fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) &&
	    !fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
	return fd;
}

/* The same of an image with a file system. */
static inline int mount_image(int image, const char *type)
{
	char path[32];
	int loop = loop_open(image, path, sizeof(path));
	int fd = loop < 0 ? -1 : mount_new(type, "source", path);

	close(loop);
	return fd;
}

/* Make an ext4 in a file: 0, or -1. */
static inline int ext4_make(int image, bool journal)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), image);
	return run("/sbin/mkfs.ext4", "mkfs.ext4", "-q", "-F", "-b", "4096",
		   "-N", "256", "-E", "lazy_itable_init=0,nodiscard", "-O",
		   journal ? "has_journal" : "^has_journal", path, NULL);
}

/* Have those of the kernel's parts that are modules; the others load by use. */
static inline void mount_modules(void)
{
	if (access("/dev/loop-control", F_OK) ||
	    access("/dev/mapper/control", F_OK))
		run("/sbin/modprobe", "modprobe", "-qa", "loop", "ext4",
		    "dm-mod", "dm-flakey", NULL);
}

#endif /* _SELFTESTS_MOUNT_H */
