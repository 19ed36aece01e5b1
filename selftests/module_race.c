// SPDX-License-Identifier: GPL-2.0
/*
 * For load_loop.sh and unload.sh: programs that use the module, and those that
 * load and unload it.
 *
 *   module_race hold KIND
 *                       hold uses of the module, of a kind, in two processes
 *                       until standard input ends; then exit, dropping them:
 *                       node      an open /dev/mmapdev
 *                       map       a mapping of it, and nothing open
 *                       file      an open object file, and not the node
 *                       path      the same, by O_PATH
 *                       map_file  a mapping of an object file, and nothing open
 *   module_race come KIND
 *                       begin and end a use again and again until the module
 *                       is gone: node, file, name (/dev/mmapdev-race), mount
 *   module_race watch NAME
 *                       try to open /dev/mmapdev-NAME until standard input
 *                       ends; fail if it could be opened
 *   module_race load FILE PARAMETERS
 *   module_race unload TRIES
 *                       unload the module, TRIES times at most
 *
 * All but load say "ready" when they are at it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mmapdev.h"

#define DEVICE	"/dev/mmapdev"
#define NAMED	"/dev/mmapdev-race"
#define PAGES	64

static void ready(void)
{
	puts("ready");
	fflush(stdout);
}

static int fail(const char *what)
{
	perror(what);
	return 1;
}

/* Has standard input ended? */
static bool input_ended(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&in, 1, 0) == 1;
}

/* The file of a new object of PAGES pages; -1 with errno. */
static int file_new(void)
{
	struct mmapdev_file file = { .flags = O_RDWR | O_CLOEXEC };
	int node = open(DEVICE, O_RDWR);
	int fd, err;

	if (node < 0)
		return -1;
	fd = ioctl(node, MMAPDEV_IOC_GET_FILE, &file);
	err = errno;
	close(node);
	errno = err;
	if (fd >= 0 && ftruncate(fd, PAGES * getpagesize()))
		return -1;
	return fd;
}

/* A use of the module: an open file or a mapping. */
struct use {
	int fd;
	void *p;
};

/* Map what is open, with pages in it, and close it: 0, or -1 with errno. */
static int use_map(struct use *u)
{
	size_t page = getpagesize();
	volatile char *p;

	p = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
		 0);
	close(u->fd);
	u->fd = -1;
	if (p == MAP_FAILED)
		return -1;
	for (int i = 0; i < PAGES; i++)
		p[i * page] = 1;
	u->p = (void *)p;
	return 0;
}

/* Begin a use of a new object: 0, or -1 with errno. */
static int use_begin(const char *kind, struct use *u)
{
	bool file = strcmp(kind, "node") && strcmp(kind, "map");
	char path[64];
	int fd = file ? file_new() : open(DEVICE, O_RDWR);

	*u = (struct use) { .fd = fd };
	if (fd < 0)
		return -1;
	if (!strncmp(kind, "map", 3))
		return use_map(u);
	if (file && write(fd, "a", 1) != 1)
		return -1;
	if (!strcmp(kind, "path")) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		u->fd = open(path, O_PATH);
		close(fd);
	}
	return u->fd < 0 ? -1 : 0;
}

static int use_end(const struct use *u)
{
	return u->p ? munmap(u->p, PAGES * getpagesize()) : close(u->fd);
}

/*
 * One object that both processes use, and one that only the parent does. They
 * let go at the same time: either can be the last user of the module.
 */
static int hold(const char *kind)
{
	struct use first, second;
	pid_t child;
	int status;
	char byte;

	if (use_begin(kind, &first))
		return fail("the first use");
	child = fork();
	if (child < 0)
		return fail("fork");
	if (child == 0)
		return read(STDIN_FILENO, &byte, 1) != 0;
	if (use_begin(kind, &second))
		return fail("the second use");
	ready();
	if (read(STDIN_FILENO, &byte, 1) != 0 || use_end(&second) ||
	    use_end(&first))
		return fail("letting go");
	return waitpid(child, &status, 0) != child || status != 0;
}

static int open_close(const char *path)
{
	int fd = open(path, O_RDWR);

	return fd < 0 ? -1 : close(fd);
}

static int file_close(void)
{
	int fd = file_new();

	return fd < 0 ? -1 : close(fd);
}

/* In a mount namespace of our own. */
static int mount_unmount(void)
{
	if (mount("none", "/mnt", "mmapdev", 0, NULL))
		return -1;
	open_close("/mnt/race");
	return umount("/mnt");
}

static int come_once(const char *kind)
{
	if (!strcmp(kind, "file"))
		return file_close();
	if (!strcmp(kind, "mount"))
		return mount_unmount();
	return open_close(strcmp(kind, "name") ? DEVICE : NAMED);
}

static int come(const char *kind)
{
	if (!strcmp(kind, "mount") &&
	    (unshare(CLONE_NEWNS) ||
	     mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)))
		return fail("unshare");
	if (come_once(kind))
		return fail(kind);
	ready();
	while (!come_once(kind))
		;
	/* The node, its number or its driver is gone: by when it was asked. */
	if (errno != ENOENT && errno != ENXIO && errno != ENODEV)
		return fail("using what is being unloaded");
	return 0;
}

static int watch(const char *name)
{
	char path[64];
	int opened = 0;

	snprintf(path, sizeof(path), "/dev/mmapdev-%s", name);
	ready();
	while (!input_ended())
		opened += !open_close(path);
	if (opened)
		fprintf(stderr, "%s could be opened, %d times\n", path, opened);
	return opened != 0;
}

static int load(const char *file, const char *parameters)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, parameters, 0))
		return fail("finit_module");
	return 0;
}

/* As rmmod, without looking first whether the module is in use. */
static int unload(int tries)
{
	int refused = 0;

	while (syscall(SYS_delete_module, "mmapdev", O_NONBLOCK)) {
		if (errno != EWOULDBLOCK)
			return fail("delete_module");
		if (++refused == 1)
			ready();
		if (refused >= tries)
			return fail("delete_module");
		sched_yield();
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "hold"))
		return hold(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "come"))
		return come(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "watch"))
		return watch(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "load"))
		return load(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "unload"))
		return unload(atoi(argv[2]));
	fprintf(stderr, "usage: at the top of module_race.c\n");
	return 2;
}
