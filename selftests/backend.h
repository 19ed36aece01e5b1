/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests map: mmapdev, by its node and by an object file, and the
 * kernel's own memory beside it.
 *
 * A test is a claim about the kernel's contract. Its fixture runs it once for
 * each backend that can do what the test needs, so that the claim is checked
 * against memfd, tmpfs, /dev/zero and MAP_ANONYMOUS too, and a wrong claim
 * fails there. Include this after harness.h.
 */
#ifndef _SELFTESTS_BACKEND_H
#define _SELFTESTS_BACKEND_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mmapdev.h"

enum backend_kind { MMAPDEV, OBJFILE, MEMFD, TMPFS, ZERO, ANON };

/* An object under test: fd is -1 for ANON, and each mapping of ZERO is new. */
struct object {
	enum backend_kind kind;
	int fd;
};

static inline const char *mmapdev_path(void)
{
	const char *path = getenv("MMAPDEV");

	return path ? path : "/dev/mmapdev";
}

/* Is the module behind it? Then the ioctls work, and it makes the promises. */
static inline bool is_mmapdev(enum backend_kind kind)
{
	return kind == MMAPDEV || kind == OBJFILE;
}

/* Open the file of a descriptor anew, as others would. -1 with errno. */
static inline int fd_reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

/* A new descriptor of an object's file; flags as for open(2). -1 with errno. */
static inline int object_file(int fd, int flags)
{
	struct mmapdev_file file = { .flags = flags };

	return ioctl(fd, MMAPDEV_IOC_GET_FILE, &file);
}

/* The file of a fresh object, which is empty as new files are. */
static inline int object_file_new(int flags)
{
	int node = open(mmapdev_path(), O_RDWR | O_TRUNC | O_CLOEXEC);
	int fd, err;

	if (node < 0)
		return -1;
	fd = object_file(node, flags | O_CLOEXEC);
	err = errno;
	close(node);
	errno = err;
	return fd;
}

/* A fresh object, opened with flags (O_RDWR, O_RDONLY...); fd -1: errno. */
static inline struct object object_open_flags(enum backend_kind kind, int flags)
{
	struct object o = { .kind = kind, .fd = -1 };
	int fd = -1;

	switch (kind) {
	case MMAPDEV:
		o.fd = open(mmapdev_path(), flags | O_CLOEXEC);
		return o;
	case OBJFILE:
		o.fd = object_file_new(flags);
		return o;
	case ZERO:
		o.fd = open("/dev/zero", flags | O_CLOEXEC);
		return o;
	case ANON:
		return o;
	case MEMFD:
		fd = memfd_create("selftest", MFD_CLOEXEC);
		break;
	case TMPFS:
		fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		break;
	}
	if (fd < 0 || flags == O_RDWR) {
		o.fd = fd;
		return o;
	}
	o.fd = fd_reopen(fd, flags);
	close(fd);
	return o;
}

static inline struct object object_open(enum backend_kind kind)
{
	return object_open_flags(kind, O_RDWR);
}

static inline void object_close(struct object *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
}

/* Set the end of file: 0, or -1 with errno. Not for ZERO and ANON. */
static inline int object_resize(const struct object *o, uint64_t size)
{
	struct mmapdev_size s = { .size = size };

	if (o->kind == MMAPDEV)
		return ioctl(o->fd, MMAPDEV_IOC_SET_SIZE, &s);
	return ftruncate(o->fd, size);
}

/* The end of file, or UINT64_MAX with errno. */
static inline uint64_t object_size(const struct object *o)
{
	struct mmapdev_info info;
	struct stat st;

	if (o->kind == MMAPDEV)
		return ioctl(o->fd, MMAPDEV_IOC_GET_INFO, &info) ? UINT64_MAX
								 : info.size;
	return fstat(o->fd, &st) ? UINT64_MAX : (uint64_t)st.st_size;
}

/* Pages that the object holds, or -1 with errno. Not for ZERO and ANON. */
static inline long object_resident(const struct object *o)
{
	struct mmapdev_info info;
	struct stat st;

	if (o->kind == MMAPDEV)
		return ioctl(o->fd, MMAPDEV_IOC_GET_INFO, &info) ?
			-1 : (long)info.resident;
	return fstat(o->fd, &st) ? -1 : st.st_blocks * 512 / getpagesize();
}

/* mmap(2) of the object: flags are MAP_SHARED, MAP_PRIVATE and others. */
static inline void *object_map_at(const struct object *o, void *addr,
				  size_t length, int prot, int flags,
				  off_t offset)
{
	if (o->kind == ANON)
		flags |= MAP_ANONYMOUS;
	return mmap(addr, length, prot, flags, o->fd, offset);
}

static inline void *object_map(const struct object *o, size_t length,
			       int prot, int flags)
{
	return object_map_at(o, NULL, length, prot, flags, 0);
}

#define RW (PROT_READ | PROT_WRITE)

/* Run the statement after it with flags MAP_SHARED, then MAP_PRIVATE. */
#define FOR_SHARED_AND_PRIVATE(flags)					\
	for (int flags = MAP_SHARED; flags;				\
	     flags = flags == MAP_SHARED ? MAP_PRIVATE : 0)

/* A fixture with one object `o`, unsized: size it with object_resize(). */
#define OBJECT_FIXTURE(name)						\
	FIXTURE(name) {							\
		struct object o;					\
		size_t page;						\
	};								\
	FIXTURE_VARIANT(name) {						\
		enum backend_kind kind;					\
	};								\
	FIXTURE_SETUP(name) {						\
		self->page = getpagesize();				\
		self->o = object_open(variant->kind);			\
		if (variant->kind != ANON)				\
			ASSERT_GE(self->o.fd, 0);			\
	}								\
	FIXTURE_TEARDOWN(name) {					\
		object_close(&self->o);					\
	}

#define OBJECT_VARIANT(name, variant_name, backend)			\
	FIXTURE_VARIANT_ADD(name, variant_name) { .kind = backend }

/* What only mmapdev has, or promises. */
#define MMAPDEV_VARIANTS(name)						\
	OBJECT_VARIANT(name, mmapdev, MMAPDEV);				\
	OBJECT_VARIANT(name, object_file, OBJFILE)

/* Backends that can do everything a file can: sizes, read(2), many mappings. */
#define FILE_VARIANTS(name)						\
	MMAPDEV_VARIANTS(name);						\
	OBJECT_VARIANT(name, memfd, MEMFD);				\
	OBJECT_VARIANT(name, tmpfs, TMPFS)

/* Backends that are regular files to the VFS: not the device node. */
#define REGULAR_VARIANTS(name)						\
	OBJECT_VARIANT(name, object_file, OBJFILE);			\
	OBJECT_VARIANT(name, memfd, MEMFD);				\
	OBJECT_VARIANT(name, tmpfs, TMPFS)

/* Backends that need only be mapped, once. */
#define MEMORY_VARIANTS(name)						\
	FILE_VARIANTS(name);						\
	OBJECT_VARIANT(name, zero, ZERO);				\
	OBJECT_VARIANT(name, anonymous, ANON)

/* Make the object size bytes long, if its kind has a size. 0, or -1. */
static inline int object_size_for(const struct object *o, uint64_t size)
{
	return o->kind == ZERO || o->kind == ANON ? 0 : object_resize(o, size);
}

#endif /* _SELFTESTS_BACKEND_H */
