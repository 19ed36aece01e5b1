// SPDX-License-Identifier: GPL-2.0
/*
 * For load_loop.sh: programs that use the module, and one that unloads it.
 *
 *   module_race map     hold mappings, and no open file, in two processes until
 *                       standard input ends; then exit, which unmaps
 *   module_race open    open and close the device until it is gone
 *   module_race unload TRIES
 *                       unload the module, TRIES times at most
 *
 * Each says "ready" when it is at it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEVICE	"/dev/mmapdev"
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

/* Map a new object, with pages in it; NULL if that fails. */
static void *map_new(void)
{
	size_t page = getpagesize();
	int fd = open(DEVICE, O_RDWR);
	volatile char *p;

	if (fd < 0)
		return NULL;
	p = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return NULL;
	for (int i = 0; i < PAGES; i++)
		p[i * page] = 1;
	return (void *)p;
}

/*
 * One object that both processes map, and one that only the parent does. They
 * unmap at the same time: either can be the last user of the module.
 */
static int map(void)
{
	size_t length = PAGES * getpagesize();
	void *first = map_new();
	void *second;
	pid_t child;
	int status;
	char byte;

	if (!first)
		return fail("the first mapping");
	child = fork();
	if (child < 0)
		return fail("fork");
	if (child == 0)
		return read(STDIN_FILENO, &byte, 1) != 0;
	second = map_new();
	if (!second)
		return fail("the second mapping");
	ready();
	if (read(STDIN_FILENO, &byte, 1) != 0 || munmap(second, length) ||
	    munmap(first, length))
		return fail("unmapping");
	return waitpid(child, &status, 0) != child || status != 0;
}

static int open_close(void)
{
	int fd = open(DEVICE, O_RDWR);

	if (fd < 0)
		return fail(DEVICE);
	ready();
	for (; fd >= 0; fd = open(DEVICE, O_RDWR))
		close(fd);
	/* The node, its number or its driver is gone: by when it was asked. */
	if (errno != ENOENT && errno != ENXIO && errno != ENODEV)
		return fail("opening what is being unloaded");
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
	if (argc == 2 && !strcmp(argv[1], "map"))
		return map();
	if (argc == 2 && !strcmp(argv[1], "open"))
		return open_close();
	if (argc == 3 && !strcmp(argv[1], "unload"))
		return unload(atoi(argv[2]));
	fprintf(stderr, "usage: module_race map|open|unload TRIES\n");
	return 2;
}
