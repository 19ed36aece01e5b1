// SPDX-License-Identifier: GPL-2.0
#include "target.h"

#define CAN_AS_A_FILE	(CAN_BE_REGULAR | CAN_ALLOCATE)

/*
 * tmpfs has no FALLOC_FL_ZERO_RANGE, and may show what mappings stored past
 * the end.
 */
const struct target targets[] = {
	{ "object_file", OBJFILE,
	  CAN_AS_A_FILE | CAN_ZERO_RANGE | CAN_ZERO_TAIL | CAN_COUNT_PAGES |
	  CAN_IOCTL, false },
	{ "mmapdev", MMAPDEV, CAN_ZERO_TAIL | CAN_COUNT_PAGES, false },
	{ "memfd", MEMFD, CAN_AS_A_FILE | CAN_COUNT_PAGES, false },
	{ "tmpfs", TMPFS, CAN_AS_A_FILE | CAN_COUNT_PAGES, false },
	/* Sized, and asked for its size, as a tmpfs file is. */
	{ "file", TMPFS, CAN_AS_A_FILE | CAN_ZERO_RANGE | CAN_ZERO_TAIL, true },
	{ }
};

const struct target *target_find(const char *name)
{
	for (const struct target *t = targets; t->name; t++)
		if (!strcmp(t->name, name))
			return t;
	return NULL;
}

struct object target_open(const struct target *t, const char *path)
{
	struct object o = { .kind = t->kind, .fd = -1 };
	int err;

	if (t->has_path)
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
