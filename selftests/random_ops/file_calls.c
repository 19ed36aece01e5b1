// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: reading and writing, and copies within the object.
 */
#include "call.h"

#include <sys/sendfile.h>

void run_write(struct run *r, const struct step *s)
{
	make_bytes(r, s, s->length);
	if (gave(r, s, s->length, pwrite(r->o.fd, r->buffer, s->length,
					 in_object(r, s->at))))
		model_write(&r->model, s->at, r->buffer, s->length);
}

void run_append(struct run *r, const struct step *s)
{
	size_t n = least(s->length, r->model.max - r->model.size);
	int fd = target_reopen(&r->o, O_WRONLY | O_APPEND);

	make_bytes(r, s, n);
	if (fd < 0)
		run_differs(r, "append: reopening: %s", strerror(errno));
	else if (gave(r, s, n, write(fd, r->buffer, n)))
		model_write(&r->model, r->model.size, r->buffer, n);
	close(fd);
}

void run_read(struct run *r, const struct step *s)
{
	size_t n = before(s, r->model.size);
	/* With ranges, the next begins where this one ends. */
	size_t asked = r->can & CAN_OWN_END ? s->length : n;

	if (gave(r, s, n, pread(r->o.fd, r->buffer, asked,
				in_object(r, s->at))))
		run_compare(r, "read", s->at, r->buffer,
			    r->model.bytes + s->at, n);
}

/* Copies within the object, of bytes before the end, to where they are not */

static size_t copied(const struct run *r, const struct step *s)
{
	size_t apart = s->at < s->to ? s->to - s->at : s->at - s->to;
	size_t n = least(before(s, r->model.size), r->model.max - s->to);

	return least(n, apart);
}

static void model_copy(struct run *r, const struct step *s, size_t n)
{
	model_write(&r->model, s->to, r->model.bytes + s->at, n);
}

void run_copy(struct run *r, const struct step *s)
{
	size_t n = copied(r, s);
	off_t from = in_object(r, s->at), to = in_object(r, s->to);
	size_t done = 0;
	ssize_t got = 0;

	for (; done < n; done += got) {
		got = copy_file_range(r->o.fd, &from, r->o.fd, &to, n - done,
				      0);
		if (got <= 0)
			break;
	}
	if (gave(r, s, n, done == n ? (ssize_t)n : got))
		model_copy(r, s, n);
}

void run_sendfile(struct run *r, const struct step *s)
{
	size_t n = copied(r, s);
	off_t from = in_object(r, s->at), to = in_object(r, s->to);
	size_t done = 0;
	ssize_t got = 0;

	if (!gave(r, s, to, lseek(r->o.fd, to, SEEK_SET)))
		return;
	for (; done < n; done += got) {
		got = sendfile(r->o.fd, r->o.fd, &from, n - done);
		if (got <= 0)
			break;
	}
	if (gave(r, s, n, done == n ? (ssize_t)n : got))
		model_copy(r, s, n);
}

/* Move up to n bytes through a pipe: how many, or -1. */
static ssize_t splice_some(struct run *r, int pipe[2], off_t *from, off_t *to,
			   size_t n)
{
	ssize_t in = splice(r->o.fd, from, pipe[1], NULL, n, 0);

	for (ssize_t left = in; left > 0; ) {
		ssize_t out = splice(pipe[0], NULL, r->o.fd, to, left, 0);

		if (out <= 0)
			return -1;
		left -= out;
	}
	return in;
}

void run_splice(struct run *r, const struct step *s)
{
	size_t n = copied(r, s);
	off_t from = in_object(r, s->at), to = in_object(r, s->to);
	size_t done = 0;
	ssize_t got = 0;
	int ends[2];

	if (!gave(r, s, 0, pipe2(ends, O_CLOEXEC)))
		return;
	for (; done < n; done += got) {
		got = splice_some(r, ends, &from, &to, n - done);
		if (got <= 0)
			break;
	}
	if (gave(r, s, n, done == n ? (ssize_t)n : got))
		model_copy(r, s, n);
	close(ends[0]);
	close(ends[1]);
}

/* write(2) from the mapping, whose pages it must fault in as it locks others */
void run_write_mapped(struct run *r, const struct step *s)
{
	size_t n = copied(r, s);

	if (gave(r, s, n, pwrite(r->o.fd, r->shared + s->at, n,
				 in_object(r, s->to))))
		model_copy(r, s, n);
}

void run_read_mapped(struct run *r, const struct step *s)
{
	size_t n = s->to < r->model.size ?
		least(copied(r, s), r->model.size - s->to) : 0;

	if (gave(r, s, n, pread(r->o.fd, r->shared + s->to, n,
				in_object(r, s->at))))
		model_copy(r, s, n);
}
