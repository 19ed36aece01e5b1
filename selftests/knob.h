/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's knobs: small files below /proc and /sys, put back as found.
 */
#ifndef _SELFTESTS_KNOB_H
#define _SELFTESTS_KNOB_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a file says, up to its first newline: 0, or -1 with errno. */
static inline int file_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

/* Write text to a file that exists: 0, or -1 with errno. */
static inline int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	ssize_t n;
	int err;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	err = errno;
	close(fd);
	errno = err;
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* The number in a file, or -1 with errno. */
static inline long long file_number(const char *path)
{
	char text[32];

	return file_read(path, text, sizeof(text)) ? -1 : atoll(text);
}

/* A knob that a test turned. A zeroed one has nothing to put back. */
struct knob {
	char path[96];
	char found[32];
};

/* Turn the knob at path: 0, or -1 with errno if the kernel has none. */
static inline int knob_set(struct knob *k, const char *path, const char *text)
{
	char found[sizeof(k->found)];

	if (!k->path[0]) {
		if (file_read(path, found, sizeof(found)))
			return -1;
		strcpy(k->found, found);
		snprintf(k->path, sizeof(k->path), "%s", path);
	}
	return file_write(path, text);
}

static inline int knob_restore(struct knob *k)
{
	int ret = k->path[0] ? file_write(k->path, k->found) : 0;

	k->path[0] = '\0';
	return ret;
}

/* Several knobs, put back in the reverse order. */
struct knobs {
	int n;
	struct knob knob[24];
};

static inline int knobs_set(struct knobs *k, const char *path, const char *text)
{
	int i = 0;

	while (i < k->n && strcmp(k->knob[i].path, path))
		i++;
	if (i == (int)(sizeof(k->knob) / sizeof(k->knob[0]))) {
		errno = ENOSPC;
		return -1;
	}
	if (knob_set(&k->knob[i], path, text))
		return -1;
	if (i == k->n)
		k->n++;
	return 0;
}

static inline int knobs_restore(struct knobs *k)
{
	int ret = 0;

	while (k->n)
		ret |= knob_restore(&k->knob[--k->n]);
	return ret;
}

#endif /* _SELFTESTS_KNOB_H */
