// SPDX-License-Identifier: GPL-2.0
#include "target.h"

#define CAN_AS_A_FILE	(CAN_BE_REGULAR | CAN_ALLOCATE | CAN_KEEP_HOLES)
#define CAN_AS_DURABLE	(CAN_BE_REGULAR | CAN_ALLOCATE | CAN_ZERO_RANGE | \
			 CAN_ZERO_TAIL | CAN_COUNT_PAGES | CAN_IOCTL | \
			 CAN_BE_CUT)

/*
 * tmpfs has no FALLOC_FL_ZERO_RANGE, and may show what mappings stored past
 * the end.
 */
const struct target targets[] = {
	{ "object_file", OBJFILE,
	  CAN_AS_A_FILE | CAN_ZERO_RANGE | CAN_ZERO_TAIL | CAN_COUNT_PAGES |
	  CAN_IOCTL, NO_PATH, 0 },
	{ "durable_memory", OBJFILE,
	  CAN_AS_DURABLE | CAN_KEEP_HOLES, NO_PATH, MMAPDEV_STORE_MEMORY },
	{ "durable_file", OBJFILE, CAN_AS_DURABLE, MAY_HAVE_PATH,
	  MMAPDEV_STORE_FILE },
	{ "mmapdev", MMAPDEV, CAN_ZERO_TAIL | CAN_COUNT_PAGES, NO_PATH,
	  0 },
	{ "memfd", MEMFD, CAN_AS_A_FILE | CAN_COUNT_PAGES, NO_PATH, 0 },
	{ "tmpfs", TMPFS, CAN_AS_A_FILE | CAN_COUNT_PAGES, NO_PATH, 0 },
	/* Sized, and asked for its size, as a tmpfs file is. */
	{ "file", TMPFS, CAN_AS_A_FILE | CAN_ZERO_RANGE | CAN_ZERO_TAIL,
	  HAS_PATH, 0 },
	{ }
};

const struct target *target_find(const char *name)
{
	for (const struct target *t = targets; t->name; t++)
		if (!strcmp(t->name, name))
			return t;
	return NULL;
}

/* Without a path, one that is gone with its last user. */
static int open_store(const char *path)
{
	int fd;

	if (!path)
		return open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && ftruncate(fd, 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int open_durable(const struct target *t, const char *path, int *store)
{
	int node = open(mmapdev_path(), O_RDWR | O_CLOEXEC);
	struct mmapdev_create want = {
		.store = t->store,
		.flags = O_RDWR | O_CLOEXEC,
		.fd = -1,
	};
	int fd, err;

	if (node < 0)
		return -1;
	if (t->store == MMAPDEV_STORE_FILE)
		want.fd = *store = open_store(path);
	fd = ioctl(node, MMAPDEV_IOC_CREATE, &want);
	err = errno;
	close(node);
	errno = err;
	return fd;
}

struct object target_open(const struct target *t, const char *path, int *store)
{
	struct object o = { .kind = t->kind, .fd = -1 };
	int err;

	*store = -1;
	if (t->store)
		o.fd = open_durable(t, path, store);
	else if (t->path == HAS_PATH)
		o.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	else
		o = object_open(t->kind);
	if (o.fd >= 0 && object_resize(&o, 0)) {
		err = errno;
		object_close(&o);
		errno = err;
	}
	return o;
}

int target_reopen(const struct object *o, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", o->fd);
	return open(path, flags | O_CLOEXEC);
}
