/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What mmapdev tells about itself: for tests that no other backend can run.
 */
#ifndef _SELFTESTS_DEVICE_H
#define _SELFTESTS_DEVICE_H

#include "address.h"
#include "backend.h"
#include "knob.h"

#define LIMIT_KNOB	"/sys/module/mmapdev/parameters/limit"
#define AROUND_KNOB	"/sys/kernel/debug/fault_around_bytes"

/* All zero, which no object has, if the call fails. */
static inline struct mmapdev_info object_info(const struct object *o)
{
	struct mmapdev_info info = {};

	if (ioctl(o->fd, MMAPDEV_IOC_GET_INFO, &info))
		memset(&info, 0, sizeof(info));
	return info;
}

/* All ones, which no object has, if the call fails. */
static inline struct mmapdev_stats object_stats(const struct object *o)
{
	struct mmapdev_stats stats;

	if (ioctl(o->fd, MMAPDEV_IOC_GET_STATS, &stats))
		memset(&stats, 0xff, sizeof(stats));
	return stats;
}

/* A total of all objects, as in sysfs, or -1. */
static inline long long device_total(const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/class/misc/mmapdev/stats/%s", name);
	return file_number(path);
}

/* Limit what all objects together hold, in bytes: 0, or -1 with errno. */
static inline int limit_set(struct knob *limit, uint64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	return knob_set(limit, LIMIT_KNOB, text);
}

/*
 * For fixtures that note in objects and pages what all objects were before
 * their own: it lives and holds n pages; it is gone.
 */
#define EXPECT_ALIVE(n) do {						\
	EXPECT_EQ(self->objects + 1, device_total("objects"));		\
	EXPECT_EQ(self->pages + (n), device_total("pages"));		\
} while (0)

#define EXPECT_GONE() do {						\
	EXPECT_EQ(self->objects, device_total("objects"));		\
	EXPECT_EQ(self->pages, device_total("pages"));			\
} while (0)

/* What fault-around maps at once when AROUND_KNOB says so; the usual value. */
#define AROUND_BYTES	65536

/* Map the object's first pages so that windows of fault-around begin at 0. */
static inline void *object_map_aligned(const struct object *o, size_t pages,
				       int flags)
{
	size_t length = pages * getpagesize();
	void *at = address_aligned(length, AROUND_BYTES);

	if (at == MAP_FAILED)
		return at;
	return object_map_at(o, at, length, RW, flags | MAP_FIXED, 0);
}

#endif /* _SELFTESTS_DEVICE_H */
