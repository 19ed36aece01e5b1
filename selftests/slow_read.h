/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A direct read of zeros into a page of a mapping, which its disk keeps waiting: the
 * page is pinned meanwhile, and becomes dirty behind the driver's back.
 */
#ifndef _SELFTESTS_SLOW_READ_H
#define _SELFTESTS_SLOW_READ_H

#include "child.h"
#include "durable.h"
#include "failing_disk.h"
#include "slow.h"

struct slow_read {
	int from;		/* slow_open() */
	unsigned char *to;	/* a page */
};

static inline int slow_open(const struct disk *disk)
{
	return open(disk->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
}

static inline int slow_read_page(void *arg, struct turn *t)
{
	struct slow_read *r = arg;
	ssize_t page = getpagesize();
	off_t unused = EXT4_BYTES - 8 * page;	/* by the file system */

	return pread(r->from, r->to, page, unused) == page ? 0 : 1;
}

/* Begin one into page 1 of an object, which is synced before it ends. */
static inline struct child slow_begin(const struct durable *d, struct disk *disk,
				      struct slow_read *r)
{
	struct child c = { .pid = -1 };

	memset(r->to, 'x', getpagesize());
	if (fsync(d->fd) || disk_stop(disk))
		return c;
	c = child_start(slow_read_page, r);
	WAIT_UNTIL(durable_states(d, 2)[1] == 'd');
	usleep(slow_kernel() ? 200000 : 20000);		/* then it is pinned */
	if (fsync(d->fd))
		kill(c.pid, SIGKILL);
	return c;
}

/*
 * A page is synced while it is pinned by a direct read: when that comes to its end the
 * page is dirty again, and has nothing reserved. If the sync comes between the fault for
 * the pin and the pin, there is another fault, which reserves: then try again. 0, or -1.
 */
static inline int dirty_unreserved(const struct durable *d, struct disk *disk,
				   struct slow_read *r)
{
	for (int tries = 0; tries < 20; tries++) {
		struct child c = slow_begin(d, disk, r);

		if (disk_go(disk) || child_end(&c))
			return -1;
		if (!strcmp(durable_states(d, 2), "cd") &&
		    !strcmp(durable_unsynced(d, 2), ".."))
			return 0;
	}
	return -1;
}

#endif /* _SELFTESTS_SLOW_READ_H */
