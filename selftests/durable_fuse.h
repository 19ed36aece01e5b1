/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A durable object whose store is a file of a FUSE server in this program, which can
 * hang, fail, and have the file written past its page cache.
 */
#ifndef _SELFTESTS_DURABLE_FUSE_H
#define _SELFTESTS_DURABLE_FUSE_H

#include "durable.h"
#include "fuse.h"

#define PAGES	8	/* of the file */

FIXTURE(fuse) {
	struct fuse_server server;
	struct durable d;
	int file;
	size_t page;
};

FIXTURE_VARIANT(fuse) {
	int open_flags;
};

FIXTURE_VARIANT_ADD(fuse, cached) { .open_flags = 0 };
FIXTURE_VARIANT_ADD(fuse, direct) { .open_flags = FOPEN_DIRECT_IO };

FIXTURE_SETUP(fuse)
{
	self->page = getpagesize();
	if (fuse_start(&self->server, PAGES * self->page))
		SKIP(return, "no FUSE: %s", strerror(errno));
	self->server.state->open_flags = variant->open_flags;
	self->file = openat(self->server.root, "f", O_RDWR);
	ASSERT_GE(self->file, 0) TH_LOG("%s", strerror(errno));
	self->d.kind = ON_EXT4;
	self->d.backing = -1;
	self->d.fd = durable_over(self->file, 0, 0);
	ASSERT_GE(self->d.fd, 0) TH_LOG("%s", strerror(errno));
}

FIXTURE_TEARDOWN(fuse)
{
	if (self->server.pid <= 0)
		return;
	self->server.state->hold = 0;
	durable_close(&self->d);
	close(self->file);
	fuse_stop(&self->server);
}

#endif /* _SELFTESTS_DURABLE_FUSE_H */
