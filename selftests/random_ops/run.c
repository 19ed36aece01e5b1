// SPDX-License-Identifier: GPL-2.0
#include "run.h"

#include <inttypes.h>
#include <stdarg.h>

#include "../trap.h"
#include "view.h"

bool run_init(struct run *r, const struct object *o, unsigned int can,
	      uint64_t base, uint64_t ranges_end, size_t max)
{
	memset(r, 0, sizeof(*r));
	r->o = *o;
	r->store = -1;
	r->can = can;
	r->base = base;
	r->ranges_end = ranges_end;
	r->shared = MAP_FAILED;
	r->private = MAP_FAILED;
	r->buffer = malloc(max);
	if (!r->buffer || !model_init(&r->model, getpagesize(), max)) {
		free(r->buffer);
		return false;
	}
	/* There is a page to touch past the end, wherever that is. */
	r->mapped = max;
	if (can & CAN_OWN_END)
		r->mapped += r->model.page;
	else
		model_resize(&r->model, max);
	return true;
}

void run_free(struct run *r)
{
	run_unmap(r);
	free(r->buffer);
	model_free(&r->model);
}

bool run_map(struct run *r)
{
	r->shared = object_map_at(&r->o, NULL, r->mapped, RW, MAP_SHARED,
				  r->base);
	r->private = object_map_at(&r->o, NULL, r->mapped, RW, MAP_PRIVATE,
				   r->base);
	if (r->shared == MAP_FAILED || r->private == MAP_FAILED)
		run_differs(r, "mmap: %s", strerror(errno));
	model_private_forget(&r->model, 0, r->model.max);
	return !r->differs;
}

void run_unmap(struct run *r)
{
	if (r->shared != MAP_FAILED)
		munmap(r->shared, r->mapped);
	if (r->private != MAP_FAILED)
		munmap(r->private, r->mapped);
	r->shared = MAP_FAILED;
	r->private = MAP_FAILED;
}

void run_differs(struct run *r, const char *format, ...)
{
	va_list args;

	if (r->differs)
		return;
	r->differs = true;
	va_start(args, format);
	vsnprintf(r->difference, sizeof(r->difference), format, args);
	va_end(args);
}

void run_compare(struct run *r, const char *how, size_t at, const void *got,
		 const void *expected, size_t n)
{
	const unsigned char *g = got, *e = expected;
	size_t first = 0, others = 0;

	if (!memcmp(g, e, n))
		return;
	while (g[first] == e[first])
		first++;
	for (size_t i = first + 1; i < n; i++)
		others += g[i] != e[i];
	run_differs(r, "%s: offset %#zx: expected 0x%02x, got 0x%02x (%zu more up to %#zx)",
		    how, at + first, e[first], g[first], others, at + n);
}

static void compare_size(struct run *r)
{
	uint64_t size = object_size(&r->o);

	if (r->can & CAN_OWN_END && size != r->model.size)
		run_differs(r, "size: expected %#zx, got %#" PRIx64,
			    r->model.size, size);
	if (r->can & CAN_SHARE_END && size < r->ranges_end)
		run_differs(r, "size: expected at least %#" PRIx64 ", got %#" PRIx64,
			    r->ranges_end, size);
}

/* What was touched, as an offset in the range. */
static void signalled(struct run *r)
{
	struct trap t = trap_last();
	unsigned char *at = t.addr;
	const char *name = strsignal(t.signo);

	if (at >= r->shared && at < r->shared + r->mapped)
		run_differs(r, "shared mapping: offset %#tx: %s",
			    at - r->shared, name);
	else if (at >= r->private && at < r->private + r->mapped)
		run_differs(r, "private mapping: offset %#tx: %s",
			    at - r->private, name);
	else
		run_differs(r, "address %p: %s", at, name);
}

/* Call the function; a signal that it gets is a difference. */
static bool guarded(struct run *r, void (*call)(struct run *r, const void *arg),
		    const void *arg)
{
	struct sigaction bus, segv;

	trap_signals(&bus, &segv);
	if (!sigsetjmp(trap_env, 1))
		call(r, arg);
	else
		signalled(r);
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);
	return !r->differs;
}

static void step(struct run *r, const void *arg)
{
	const struct step *s = arg;

	s->op->run(r, s);
	compare_size(r);
}

bool run_step(struct run *r, const struct step *s)
{
	return guarded(r, step, s);
}

static void compare_all(struct run *r, const void *arg)
{
	(void)arg;
	compare_size(r);
	view_read(r);
	view_seek(r);
	view_shared(r);
	view_private(r);
	view_store(r);
}

bool run_compare_all(struct run *r)
{
	return guarded(r, compare_all, NULL);
}
