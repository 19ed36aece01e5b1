// SPDX-License-Identifier: GPL-2.0
#include "view.h"

void view_read(struct run *r)
{
	const struct model *m = &r->model;
	/* With ranges, the next begins where this one ends. */
	size_t asked = r->can & CAN_OWN_END ? m->max : m->size;
	ssize_t got = pread(r->o.fd, r->buffer, asked, r->base);

	if (got != (ssize_t)m->size)
		run_differs(r, "read all: expected %zu, got %zd (%s)", m->size,
			    got, got < 0 ? strerror(errno) : "short");
	else
		run_compare(r, "read all", 0, r->buffer, m->bytes, m->size);
}

static size_t visible(const struct run *r, size_t at, size_t n)
{
	size_t end = model_visible(&r->model);

	if (at >= end)
		return 0;
	return n < end - at ? n : end - at;
}

/* A copy is compared: what is said of it is what was seen. */
void view_shared_range(struct run *r, size_t at, size_t n)
{
	n = visible(r, at, n);
	memcpy(r->buffer, r->shared + at, n);
	run_compare(r, "shared mapping", at, r->buffer, r->model.bytes + at, n);
}

void view_private_range(struct run *r, size_t at, size_t n)
{
	size_t page = r->model.page;

	n = visible(r, at, n);
	memcpy(r->buffer, r->private + at, n);
	for (size_t done = 0, part; done < n; done += part) {
		part = page - (at + done) % page;
		part = part < n - done ? part : n - done;
		run_compare(r, "private mapping", at + done, r->buffer + done,
			    model_private_bytes(&r->model, at + done), part);
	}
}

void view_shared(struct run *r)
{
	view_shared_range(r, 0, r->model.max);
}

void view_private(struct run *r)
{
	view_private_range(r, 0, r->model.max);
}

/* lseek(2) in the range: size where it finds nothing before the range's end. */
static size_t seek(struct run *r, size_t at, int whence)
{
	off_t found = lseek(r->o.fd, r->base + at, whence);

	if (found < 0 && errno != ENXIO)
		run_differs(r, "lseek: offset %#zx: %s", at, strerror(errno));
	if (found < 0 || found > (off_t)(r->base + r->model.size))
		return r->model.size;
	if (found < (off_t)(r->base + at))
		run_differs(r, "lseek: offset %#zx: went back", at);
	return found - r->base;
}

/* Nothing may be in the hole from..end. */
static void compare_hole(struct run *r, size_t from, size_t end)
{
	memset(r->buffer, 0, end - from);
	run_compare(r, "hole by lseek", from, r->buffer, r->model.bytes + from,
		    end - from);
}

void view_seek(struct run *r)
{
	size_t size = r->model.size;

	for (size_t at = 0; at < size && !r->differs; ) {
		size_t data = seek(r, at, SEEK_DATA);
		size_t hole = seek(r, data, SEEK_HOLE);

		if (data > at && !r->differs)
			compare_hole(r, at, data);
		if (data < size && hole <= data)
			run_differs(r, "lseek: offset %#zx: data and a hole",
				    data);
		at = hole;
	}
}

void view_store(struct run *r)
{
	const struct model *m = &r->model;
	ssize_t got;

	if (r->store < 0 || !(r->can & CAN_OWN_END))
		return;
	got = pread(r->store, r->buffer, m->max, 0);
	if (got != (ssize_t)m->durable_size)
		run_differs(r, "store: expected size %#zx, got %#zx (%s)",
			    m->durable_size, got,
			    got < 0 ? strerror(errno) : "no error");
	else
		run_compare(r, "store", 0, r->buffer, m->durable, got);
}

void view_hole(struct run *r, size_t at, size_t n)
{
	size_t page = r->model.page;
	size_t from = (at + page - 1) / page * page;
	size_t end = (at + n) / page * page;
	size_t data;

	/* Another process may sync at any time. */
	if (r->can & CAN_SHARE_END && !(r->can & CAN_KEEP_HOLES))
		return;
	/* lseek(2) knows nothing past the end of file. */
	if (end > r->model.size)
		end = r->model.size;
	if (from >= end)
		return;
	data = seek(r, from, SEEK_DATA);
	if (data < end)
		run_differs(r, "lseek: offset %#zx: data, expected a hole up to %#zx",
			    data, end);
}
