/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file system of one file, served by a process of ours: it can be told to fail
 * a write, and to keep an answer back.
 */
#ifndef _SELFTESTS_FUSE_H
#define _SELFTESTS_FUSE_H

#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include "mount.h"

#define FUSE_BYTES	(1 << 20)	/* the file at most */
#define FUSE_REQUEST	(1 << 18)

/* Shared with the server. */
struct fuse_state {
	volatile uint64_t size;
	volatile int write_error;	/* errno for writes from now on */
	volatile int fsync_error;
	volatile int open_flags;	/* FOPEN_* */
	volatile int hold;		/* opcode whose answers wait, or 0 */
	volatile int held;		/* how many wait */
	volatile int writes;
	volatile int fsyncs;
	unsigned char bytes[FUSE_BYTES];
};

struct fuse_server {
	struct fuse_state *state;
	pid_t pid;
	int root;
};

static inline void fuse_answer(int dev, uint64_t unique, int err,
			       const void *data, size_t n)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + (err ? 0 : n),
		.error = -err,
		.unique = unique,
	};
	struct iovec v[2] = { { &out, sizeof(out) }, { (void *)data, n } };

	if (writev(dev, v, err || !n ? 1 : 2) < 0)
		return;
}

static inline struct fuse_attr fuse_attr_of(struct fuse_state *s, uint64_t node)
{
	struct fuse_attr a = {
		.ino = node,
		.size = node == 1 ? 0 : s->size,
		.mode = node == 1 ? 040777 : 0100666,
		.nlink = 1,
		.blksize = 4096,
	};

	return a;
}

static inline void fuse_one(struct fuse_state *s, int dev, char *request)
{
	struct fuse_in_header *in = (void *)request;
	void *arg = in + 1;

	switch (in->opcode) {
	case FUSE_INIT: {
		struct fuse_init_out o = {
			.major = 7, .minor = 31, .max_write = 1 << 17,
			.flags = FUSE_BIG_WRITES, .max_pages = 32,
			.time_gran = 1, .max_background = 16,
			.congestion_threshold = 12,
		};
		fuse_answer(dev, in->unique, 0, &o, sizeof(o));
		break;
	}
	case FUSE_LOOKUP: {
		struct fuse_entry_out o = {
			.nodeid = 2, .attr = fuse_attr_of(s, 2),
			.entry_valid = 1000,
		};
		fuse_answer(dev, in->unique, strcmp(arg, "f") ? ENOENT : 0, &o,
			    sizeof(o));
		break;
	}
	case FUSE_SETATTR: {
		struct fuse_setattr_in *set = arg;
		struct fuse_attr_out o = {};

		if (set->valid & FATTR_SIZE) {
			if (set->size < s->size)
				memset(s->bytes + set->size, 0,
				       s->size - set->size);
			s->size = set->size;
		}
		o.attr = fuse_attr_of(s, in->nodeid);
		fuse_answer(dev, in->unique, 0, &o, sizeof(o));
		break;
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out o = { .attr = fuse_attr_of(s, in->nodeid) };

		fuse_answer(dev, in->unique, 0, &o, sizeof(o));
		break;
	}
	case FUSE_OPEN: {
		struct fuse_open_out o = { .fh = 1, .open_flags = s->open_flags };

		fuse_answer(dev, in->unique, 0, &o, sizeof(o));
		break;
	}
	case FUSE_READ: {
		struct fuse_read_in *r = arg;
		size_t n = r->offset >= s->size ? 0 : s->size - r->offset;

		fuse_answer(dev, in->unique, 0, s->bytes + r->offset,
			    n < r->size ? n : r->size);
		break;
	}
	case FUSE_WRITE: {
		struct fuse_write_in *w = arg;
		struct fuse_write_out o = { .size = w->size };

		s->writes++;
		if (!s->write_error) {
			memcpy(s->bytes + w->offset, w + 1, w->size);
			if (w->offset + w->size > s->size)
				s->size = w->offset + w->size;
		}
		fuse_answer(dev, in->unique, s->write_error, &o, sizeof(o));
		break;
	}
	case FUSE_FSYNC:
		s->fsyncs++;
		fuse_answer(dev, in->unique, s->fsync_error, NULL, 0);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		fuse_answer(dev, in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		fuse_answer(dev, in->unique, ENOSYS, NULL, 0);
	}
}

static inline void fuse_serve(struct fuse_state *s, int dev)
{
	static char requests[8][FUSE_REQUEST];
	int held = 0;

	for (;;) {
		struct pollfd p = { .fd = dev, .events = POLLIN };
		char *request = requests[held];
		ssize_t n;

		while (held && !s->hold) {
			fuse_one(s, dev, requests[--held]);
			s->held = held;
		}
		request = requests[held];
		if (poll(&p, 1, 5) != 1)
			continue;
		n = read(dev, request, FUSE_REQUEST);
		if (n < 0 && errno == ENODEV)
			_exit(0);
		if (n < (ssize_t)sizeof(struct fuse_in_header))
			continue;
		if (s->hold == (int)((struct fuse_in_header *)request)->opcode &&
		    held < 7)
			s->held = ++held;
		else
			fuse_one(s, dev, request);
	}
}

/* 0, or -1. */
static inline int fuse_start(struct fuse_server *f, uint64_t size)
{
	char number[16];
	int dev, fs;

	run("/sbin/modprobe", "modprobe", "-q", "fuse", NULL);
	f->root = -1;
	f->pid = -1;
	f->state = mmap(NULL, sizeof(*f->state), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	fs = fsopen("fuse", FSOPEN_CLOEXEC);
	if (f->state == MAP_FAILED || dev < 0 || fs < 0)
		return -1;
	f->state->size = size;
	snprintf(number, sizeof(number), "%d", dev);
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", "ours", 0) ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "fd", number, 0) ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "rootmode", "40000", 0) ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "user_id", "0", 0) ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "group_id", "0", 0) ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -1;
	f->pid = fork();
	if (!f->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fs);
		fuse_serve(f->state, dev);
	}
	close(dev);
	f->root = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
	return f->root < 0 ? -1 : 0;
}

static inline void fuse_stop(struct fuse_server *f)
{
	if (f->pid > 0) {
		kill(f->pid, SIGKILL);
		waitpid(f->pid, NULL, 0);
	}
	close(f->root);
	munmap(f->state, sizeof(*f->state));
}

#endif /* _SELFTESTS_FUSE_H */
