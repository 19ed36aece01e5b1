// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: power cuts, and which pages one would change.
 */
#include "call.h"

#include "../trap.h"
#include "view.h"

/* Pages that a power cut would change, up to where the model knows them. */
static size_t differing(const struct run *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->model.max / r->model.page; i++)
		n += model_differs(&r->model, i);
	return n;
}

static bool cut(struct run *r, const struct step *s, unsigned int flags)
{
	struct mmapdev_crash crash = { .flags = flags };

	if (!gave(r, s, 0, ioctl(r->o.fd, MMAPDEV_IOC_CRASH, &crash)))
		return false;
	/* A page that was written and is as before by chance is lost, too. */
	if (crash.lost < differing(r))
		run_differs(r, "%s: expected at least %zu pages lost, got %llu",
			    s->op->name, differing(r), crash.lost);
	return true;
}

static void compare_all(struct run *r)
{
	view_read(r);
	view_seek(r);
	view_shared(r);
	view_private(r);
	view_store(r);
}

/* The mappings live on, and see what survived. */
void run_cut(struct run *r, const struct step *s)
{
	if (!cut(r, s, MMAPDEV_CRASH_REVERT))
		return;
	model_cut(&r->model);
	compare_all(r);
}

static void expect_dead(struct run *r, const char *how, int result)
{
	if (result >= 0 || errno != EIO)
		run_differs(r, "%s after a power cut: expected EIO, got %s",
			    how, result < 0 ? strerror(errno) : "no error");
}

static void expect_sigbus(struct run *r, const char *how, struct trap t)
{
	if (t.signo != SIGBUS || t.code != BUS_ADRERR)
		run_differs(r, "%s after a power cut: expected SIGBUS, got %s (code %d)",
			    how, t.signo ? strsignal(t.signo) : "no signal",
			    t.code);
}

/* A file and a mapping from before: neither sees or changes anything. */
static void try_dead(struct run *r, int fd, size_t at, unsigned int what)
{
	switch (what % 8) {
	case 0:
		expect_sigbus(r, "shared load", trap_load(r->shared + at));
		break;
	case 1:
		expect_sigbus(r, "shared store", trap_store(r->shared + at, 1));
		break;
	case 2:
		if (!r->model.copied[at / r->model.page])
			expect_sigbus(r, "private load",
				      trap_load(r->private + at));
		break;
	case 3:
		expect_dead(r, "read", pread(fd, r->buffer, 1, at));
		break;
	case 4:
		expect_dead(r, "write", pwrite(fd, "x", 1, at));
		break;
	case 5:
		expect_dead(r, "ftruncate", ftruncate(fd, at));
		break;
	case 6:
		expect_dead(r, "fallocate", fallocate(fd, 0, at, 1));
		break;
	default:
		expect_dead(r, "fsync", fsync(fd));
	}
}

/* Files and mappings die: what a new open shows is what survived. */
void run_cut_reopen(struct run *r, const struct step *s)
{
	int dead = r->o.fd;

	if (!cut(r, s, 0))
		return;
	model_cut(&r->model);
	r->o.fd = target_reopen(&r->o, O_RDWR);
	if (r->o.fd < 0) {
		run_differs(r, "%s: reopening: %s", s->op->name,
			    strerror(errno));
		r->o.fd = dead;
		return;
	}
	/* Before and after the pages come back to be found. */
	try_dead(r, dead, s->value * 64 % r->model.max, s->value);
	view_read(r);
	try_dead(r, dead, s->value * 64 % r->model.max, s->value);
	close(dead);
	run_unmap(r);
	if (run_map(r))
		compare_all(r);
}

static void compare_states(struct run *r, const unsigned char *states)
{
	for (size_t i = 0; i < r->model.max / r->model.page; i++) {
		bool dirty = states[i] & MMAPDEV_PAGE_DIRTY;
		bool differs = states[i] & MMAPDEV_PAGE_DIFFERS;

		if ((dirty || model_differs(&r->model, i)) && !differs)
			run_differs(r, "states: offset %#zx: would be lost, state %#x",
				    i * r->model.page, states[i]);
	}
}

void run_states(struct run *r, const struct step *s)
{
	struct mmapdev_pages pages = {
		.count = r->model.max / r->model.page,
		.states = (uintptr_t)r->buffer,
	};

	if (gave(r, s, 0, ioctl(r->o.fd, MMAPDEV_IOC_PAGES, &pages)))
		compare_states(r, r->buffer);
}
