/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Named devices: giving an object a name, finding it by the name. mmapdev only.
 */
#ifndef _SELFTESTS_NAME_H
#define _SELFTESTS_NAME_H

#include "device.h"

#define NAME	"selftest"	/* of most objects that get one */
#define NAME_2	"selftest-2"
#define SYSFS	"/sys/class/mmapdev/"

/* The caller's own, and for no one else. */
static inline struct mmapdev_name name_plain(const char *text)
{
	struct mmapdev_name name = { .mode = 0600, .uid = -1, .gid = -1 };
	size_t n = strlen(text);

	/* One that is too long has no end. */
	memcpy(name.name, text, n < sizeof(name.name) ? n : sizeof(name.name));
	return name;
}

/* Each is 0, or -1 with errno. */
static inline int name_set(int fd, const struct mmapdev_name *name)
{
	return ioctl(fd, MMAPDEV_IOC_SET_NAME, name);
}

static inline int name_give(const struct object *o, const char *text)
{
	struct mmapdev_name name = name_plain(text);

	return name_set(o->fd, &name);
}

static inline int name_remove(const struct object *o)
{
	return ioctl(o->fd, MMAPDEV_IOC_REMOVE_NAME);
}

/* Where the node of a name is; good until the next call. */
static inline const char *name_path(const char *text)
{
	static char path[64];

	snprintf(path, sizeof(path), "/dev/mmapdev-%.40s", text);
	return path;
}

/* The object of a name, as any process would open it; fd -1 with errno. */
static inline struct object name_open(const char *text, int flags)
{
	return (struct object) {
		.kind = MMAPDEV,
		.fd = open(name_path(text), flags | O_CLOEXEC),
	};
}

/* Is there such a node? */
static inline bool name_exists(const char *text)
{
	return !access(name_path(text), F_OK);
}

/* A file of the name's in sysfs, without its newline: 0, or -1 with errno. */
static inline int name_attribute(const char *text, const char *which,
				 char *value, size_t size)
{
	char path[128];

	snprintf(path, sizeof(path), SYSFS "%.40s/%s", text, which);
	return file_read(path, value, size);
}

/* The same, as a number, or -1. */
static inline long long name_number(const char *text, const char *which)
{
	char value[32];

	return name_attribute(text, which, value, sizeof(value)) ?
		-1 : atoll(value);
}

/* Take away what a test that died has left. */
static inline void name_clean(const char *text)
{
	struct object o = name_open(text, O_RDWR);

	if (o.fd >= 0)
		name_remove(&o);
	object_close(&o);
}

#endif /* _SELFTESTS_NAME_H */
