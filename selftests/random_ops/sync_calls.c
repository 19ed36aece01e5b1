// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: what makes bytes durable, what only seems to, and what makes the
 * kernel forget those that are stored.
 *
 * Each is for any target; the model of one that is not durable has an image that
 * nobody looks at.
 */
#include "call.h"

#include <sys/uio.h>

#include "view.h"

/* The store changes in these calls alone, and in them at once. */
static void synced(struct run *r)
{
	model_sync(&r->model);
	view_store(r);
}

static void synced_range(struct run *r, size_t from, size_t end)
{
	model_sync_range(&r->model, from, end);
	view_store(r);
}

void run_msync(struct run *r, const struct step *s)
{
	size_t from = page_down(r, s->at);
	size_t end = s->at + s->length;
	int flags = s->value % 2 ? MS_SYNC : MS_ASYNC;

	if (s->value % 4 / 2)
		flags |= MS_INVALIDATE;
	if (gave(r, s, 0, msync(r->shared + from, end - from, flags)) &&
	    flags & MS_SYNC)
		synced_range(r, from, end);
}

void run_fsync(struct run *r, const struct step *s)
{
	if (gave(r, s, 0, fsync(r->o.fd)))
		synced(r);
}

void run_fdatasync(struct run *r, const struct step *s)
{
	if (gave(r, s, 0, fdatasync(r->o.fd)))
		synced(r);
}

void run_syncfs(struct run *r, const struct step *s)
{
	if (gave(r, s, 0, syncfs(r->o.fd)))
		synced(r);
}

/* Writes back, and flushes nothing. */
void run_sync_range(struct run *r, const struct step *s)
{
	unsigned int flags = SYNC_FILE_RANGE_WRITE;

	if (s->value % 2)
		flags |= SYNC_FILE_RANGE_WAIT_BEFORE |
			 SYNC_FILE_RANGE_WAIT_AFTER;
	if (gave(r, s, 0, sync_file_range(r->o.fd, in_object(r, s->at),
					  s->length, flags)))
		view_store(r);
}

void run_write_through(struct run *r, const struct step *s)
{
	struct iovec iov = { .iov_base = r->buffer, .iov_len = s->length };
	int how = s->value % 2 ? RWF_SYNC : RWF_DSYNC;

	make_bytes(r, s, s->length);
	if (!gave(r, s, s->length, pwritev2(r->o.fd, &iov, 1,
					    in_object(r, s->at), how)))
		return;
	model_write(&r->model, s->at, r->buffer, s->length);
	synced_range(r, s->at, s->at + s->length);
}

/* Pages that are clean and not mapped go, others are written back at most. */
void run_forget(struct run *r, const struct step *s)
{
	/* This one returns its error. */
	if (gave(r, s, 0, -posix_fadvise(r->o.fd, in_object(r, s->at),
					 s->length, POSIX_FADV_DONTNEED)))
		view_store(r);
}

/*
 * Mapped pages are not forgotten. Without the mappings all pages go that can be
 * had from the store again; what touches them first has to do so.
 */
void run_uncache(struct run *r, const struct step *s)
{
	run_unmap(r);
	gave(r, s, 0, -posix_fadvise(r->o.fd, in_object(r, 0), r->model.max,
				     POSIX_FADV_DONTNEED));
	view_store(r);
	if (!run_map(r))
		return;
	switch (s->value % 4) {
	case 0:
		run_private_store(r, s);
		break;
	case 1:
		run_private_load(r, s);
		break;
	case 2:
		run_store(r, s);
		break;
	}
}

/* It takes long, and all that the machine has cached: once in a while. */
#define DROP_IN	64

void run_drop_caches(struct run *r, const struct step *s)
{
	int fd;

	if (s->value % DROP_IN)
		return;
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		gave(r, s, 1, write(fd, "1", 1));
	close(fd);
}
