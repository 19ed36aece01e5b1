/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A disk that fails where it is told to: a device-mapper device over a loop
 * device, with the kernel's error and flakey targets. It goes with its last user.
 */
#ifndef _SELFTESTS_FAILING_DISK_H
#define _SELFTESTS_FAILING_DISK_H

#include <linux/dm-ioctl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>

#include "mount.h"

#define SECTOR		512
#define DISK_TAIL	8	/* sectors at its end that no one uses */

struct disk {
	char name[32];
	char loop[32];
	char path[32];
	unsigned long long sectors;
};

/* A part of the disk, in sectors, and what becomes of requests for it. */
struct disk_part {
	unsigned long long first;
	unsigned long long count;
	const char *target;
	const char *arguments;	/* after the device and the offset */
};

struct dm_request {
	struct dm_ioctl head;
	char data[2048];
};

static inline int dm_call(const struct disk *disk, unsigned long command,
			  unsigned int flags, struct dm_request *r)
{
	int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	int ret;

	r->head.version[0] = DM_VERSION_MAJOR;
	r->head.data_size = sizeof(*r);
	r->head.data_start = sizeof(r->head);
	r->head.flags = flags;
	snprintf(r->head.name, sizeof(r->head.name), "%s", disk->name);
	ret = fd < 0 ? -1 : ioctl(fd, command, r);
	close(fd);
	return ret;
}

/* Let the disk have these parts from now on; those of no sectors are left out. */
static inline int disk_load(const struct disk *disk,
			    const struct disk_part *parts, int n)
{
	struct dm_request r = {};
	char *at = r.data;

	for (int i = 0; i < n; i++) {
		struct dm_target_spec *spec = (void *)at;
		char *text = at + sizeof(*spec);

		if (!parts[i].count)
			continue;
		spec->sector_start = parts[i].first;
		spec->length = parts[i].count;
		strcpy(spec->target_type, parts[i].target);
		if (strcmp(parts[i].target, "error"))
			sprintf(text, "%s %llu%s", disk->loop, parts[i].first,
				parts[i].arguments);
		at = text + (strlen(text) / 8 + 1) * 8;
		spec->next = at - (char *)spec;
		r.head.target_count++;
	}
	if (dm_call(disk, DM_TABLE_LOAD, 0, &r))
		return -1;
	memset(&r, 0, sizeof(r));
	return dm_call(disk, DM_DEV_SUSPEND, DM_SKIP_LOCKFS_FLAG, &r);
}

/* Requests for a range of sectors fail; for none, all is well. */
static inline int disk_break(const struct disk *disk, unsigned long long first,
			     unsigned long long count)
{
	struct disk_part parts[] = {
		{ 0, first, "linear", "" },
		{ first, count, "error", "" },
		{ first + count, disk->sectors - first - count, "linear", "" },
	};

	return disk_load(disk, parts, 3);
}

static inline int disk_repair(const struct disk *disk)
{
	return disk_break(disk, 0, 0);
}

/* Requests wait until it goes on: 0, or -1. */
static inline int disk_stop(const struct disk *disk)
{
	struct dm_request r = {};

	return dm_call(disk, DM_DEV_SUSPEND,
		       DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG, &r);
}

static inline int disk_go(const struct disk *disk)
{
	struct dm_request r = {};

	return dm_call(disk, DM_DEV_SUSPEND, DM_SKIP_LOCKFS_FLAG, &r);
}

/* Flushes fail, and nothing else: a flush goes to every part, even its tail. */
static inline int disk_break_flush(const struct disk *disk)
{
	unsigned long long most = disk->sectors - DISK_TAIL;
	struct disk_part parts[] = {
		{ 0, most, "linear", "" },
		{ most, DISK_TAIL, "flakey", " 0 60 1 error_writes" },
	};

	return disk_load(disk, parts, 2);
}

/* Where the bytes of a file are that has them in one piece; 0: it has not. */
static inline unsigned long long file_sector(int fd)
{
	char room[sizeof(struct fiemap) + sizeof(struct fiemap_extent)] = {};
	struct fiemap *map = (void *)room;

	map->fm_length = FIEMAP_MAX_OFFSET;
	map->fm_flags = FIEMAP_FLAG_SYNC;
	map->fm_extent_count = 1;
	if (ioctl(fd, FS_IOC_FIEMAP, map) || map->fm_mapped_extents != 1 ||
	    !(map->fm_extents[0].fe_flags & FIEMAP_EXTENT_LAST))
		return 0;
	return map->fm_extents[0].fe_physical / SECTOR;
}

/* A disk with the bytes of a file, all well: 0, or -1 with errno. */
static inline int disk_new(struct disk *disk, int image)
{
	struct dm_request r = {};
	int loop = loop_open(image, disk->loop, sizeof(disk->loop));
	int ret = -1;

	if (loop < 0)
		return -1;
	disk->sectors = lseek(image, 0, SEEK_END) / SECTOR;
	snprintf(disk->name, sizeof(disk->name), "selftest-%d", getpid());
	if (!dm_call(disk, DM_DEV_CREATE, 0, &r)) {
		snprintf(disk->path, sizeof(disk->path), "/dev/dm-%u",
			 (unsigned int)((r.head.dev & 0xff) |
					((r.head.dev >> 12) & 0xfff00)));
		ret = disk_repair(disk);
	}
	close(loop);	/* the table has it now */
	return ret;
}

/* From now on it goes with its last user. */
static inline int disk_forget(const struct disk *disk)
{
	struct dm_request r = {};

	return dm_call(disk, DM_DEV_REMOVE, DM_DEFERRED_REMOVE, &r);
}

/* An ext4 on a new disk, of a new image: a descriptor of its root, or -1. */
static inline int failing_ext4(struct disk *disk, int *image, off_t size)
{
	int root;

	*image = image_new(size);
	if (*image < 0 || ext4_make(*image, true) ||
	    ftruncate(*image, size + DISK_TAIL * SECTOR) ||
	    disk_new(disk, *image))
		return -1;
	root = mount_new("ext4", "source", disk->path);
	disk_forget(disk);
	return root;
}

#endif /* _SELFTESTS_FAILING_DISK_H */
