// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: the mappings.
 */
#include "call.h"

#include "../trap.h"
#include "view.h"

void run_load(struct run *r, const struct step *s)
{
	view_shared_range(r, s->at, s->length);
}

void run_store(struct run *r, const struct step *s)
{
	size_t n = before(s, r->model.size);

	make_bytes(r, s, n);
	memcpy(r->shared + s->at, r->buffer, n);
	model_write(&r->model, s->at, r->buffer, n);
}

void run_store_tail(struct run *r, const struct step *s)
{
	size_t size = r->model.size;

	memset(r->shared + size, s->value,
	       model_touchable(&r->model) - size);
	model_store_tail(&r->model);
}

void run_private_load(struct run *r, const struct step *s)
{
	view_private_range(r, s->at, s->length);
}

void run_private_store(struct run *r, const struct step *s)
{
	struct model *m = &r->model;
	/* Who copies a page with an unknown tail has an unknown copy. */
	size_t end = m->tail_stored ? page_down(r, m->size)
				    : model_touchable(m);
	size_t n = before(s, end);

	make_bytes(r, s, n);
	memcpy(r->private + s->at, r->buffer, n);
	model_private_store(m, s->at, r->buffer, n);
}

static void expect_sigbus(struct run *r, const char *how, struct trap t)
{
	if (t.signo != SIGBUS || t.code != BUS_ADRERR)
		run_differs(r, "%s past the end: expected SIGBUS, got %s (code %d)",
			    how, t.signo ? strsignal(t.signo) : "no signal",
			    t.code);
}

void run_past_end(struct run *r, const struct step *s)
{
	size_t end = model_touchable(&r->model);

	switch (s->value % 4) {
	case 0:
		expect_sigbus(r, "shared load", trap_load(r->shared + end));
		break;
	case 1:
		expect_sigbus(r, "shared store", trap_store(r->shared + end, 1));
		break;
	case 2:
		expect_sigbus(r, "private load", trap_load(r->private + end));
		break;
	default:
		expect_sigbus(r, "private store",
			      trap_store(r->private + end, 1));
	}
}

void run_dontneed(struct run *r, const struct step *s)
{
	size_t from = page_down(r, s->at);

	gave(r, s, 0, madvise(r->shared + from, s->at + s->length - from,
			      MADV_DONTNEED));
}

void run_private_dontneed(struct run *r, const struct step *s)
{
	size_t from = page_down(r, s->at);
	size_t end = page_up(r, s->at + s->length);

	if (gave(r, s, 0, madvise(r->private + from, end - from,
				  MADV_DONTNEED)))
		model_private_forget(&r->model, from, end);
}

/* Cut a mapping off at a page, let it grow back, and move it elsewhere. */
static bool cut_and_move(struct run *r, unsigned char **mapping, size_t kept)
{
	void *at = mremap(*mapping, r->mapped, kept, 0);
	void *elsewhere;

	if (at != MAP_FAILED)
		at = mremap(at, kept, r->mapped, MREMAP_MAYMOVE);
	if (at == MAP_FAILED)
		return false;
	*mapping = at;
	elsewhere = mmap(NULL, r->mapped, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (elsewhere == MAP_FAILED)
		return false;
	at = mremap(at, r->mapped, r->mapped, MREMAP_MAYMOVE | MREMAP_FIXED,
		    elsewhere);
	if (at == MAP_FAILED)
		return false;
	*mapping = at;
	return true;
}

void run_mremap(struct run *r, const struct step *s)
{
	bool private = s->value % 2;
	size_t kept = page_down(r, s->at) + r->model.page;

	if (!cut_and_move(r, private ? &r->private : &r->shared, kept))
		run_differs(r, "mremap: %s", strerror(errno));
	else if (private)
		model_private_forget(&r->model, kept, r->model.max);
}

void run_remap(struct run *r, const struct step *s)
{
	(void)s;
	run_unmap(r);
	run_map(r);
}
