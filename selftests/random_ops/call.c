// SPDX-License-Identifier: GPL-2.0
#include "call.h"

size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t page_down(const struct run *r, size_t n)
{
	return n / r->model.page * r->model.page;
}

size_t page_up(const struct run *r, size_t n)
{
	return page_down(r, n + r->model.page - 1);
}

size_t before(const struct step *s, size_t end)
{
	return s->at < end ? least(s->length, end - s->at) : 0;
}

off_t in_object(const struct run *r, size_t at)
{
	return r->base + at;
}

void make_bytes(struct run *r, const struct step *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		r->buffer[i] = 1 + (s->value + i) % 255;
}

bool gave(struct run *r, const struct step *s, ssize_t expected, ssize_t got)
{
	if (got == expected)
		return true;
	run_differs(r, "%s: expected %zd, got %zd (%s)", s->op->name, expected,
		    got, got < 0 ? strerror(errno) : "no error");
	return false;
}

void expect_resident(struct run *r, const struct step *s, size_t least,
		     size_t most)
{
	unsigned int needs = CAN_OWN_END | CAN_COUNT_PAGES;
	long pages = object_resident(&r->o);

	if ((r->can & needs) == needs &&
	    (pages < (long)least || pages > (long)most))
		run_differs(r, "%s: expected %zu to %zu pages, got %ld",
			    s->op->name, least, most, pages);
}
