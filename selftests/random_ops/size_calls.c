// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: the end of file, which pages there are, the file as a whole.
 */
#include "call.h"

#include "view.h"

void run_truncate(struct run *r, const struct step *s)
{
	if (gave(r, s, 0, object_resize(&r->o, s->to)))
		model_resize(&r->model, s->to);
}

void run_resize(struct run *r, const struct step *s)
{
	struct mmapdev_size size = { .size = s->to };

	if (gave(r, s, 0, ioctl(r->o.fd, MMAPDEV_IOC_SET_SIZE, &size)))
		model_resize(&r->model, s->to);
}

/* Pages that were allocated past the end go. */
void run_trim(struct run *r, const struct step *s)
{
	gave(r, s, 0, object_resize(&r->o, r->model.size));
}

void run_truncate_above(struct run *r, const struct step *s)
{
	gave(r, s, 0, object_resize(&r->o, r->ranges_end + s->to));
}

/* fallocate(2) */

static bool allocate(struct run *r, const struct step *s, int mode)
{
	return gave(r, s, 0, fallocate(r->o.fd, mode, in_object(r, s->at),
				       s->length));
}

static size_t pages_of(const struct run *r, const struct step *s)
{
	return (page_up(r, s->at + s->length) - page_down(r, s->at)) /
		r->model.page;
}

void run_allocate(struct run *r, const struct step *s)
{
	if (!allocate(r, s, 0))
		return;
	model_grow(&r->model, s->at + s->length);
	expect_resident(r, s, pages_of(r, s), r->model.max / r->model.page);
}

void run_allocate_keep(struct run *r, const struct step *s)
{
	if (allocate(r, s, FALLOC_FL_KEEP_SIZE))
		expect_resident(r, s, pages_of(r, s),
				r->model.max / r->model.page);
}

void run_punch(struct run *r, const struct step *s)
{
	if (!allocate(r, s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return;
	model_punch(&r->model, s->at, s->length);
	view_hole(r, s->at, s->length);
}

void run_punch_all(struct run *r, const struct step *s)
{
	if (!gave(r, s, 0, fallocate(r->o.fd, FALLOC_FL_PUNCH_HOLE |
				     FALLOC_FL_KEEP_SIZE, 0, r->model.max)))
		return;
	model_punch(&r->model, 0, r->model.max);
	expect_resident(r, s, 0, 0);
}

void run_remove(struct run *r, const struct step *s)
{
	size_t from = page_down(r, s->at);
	size_t n = page_up(r, s->at + s->length) - from;

	if (!gave(r, s, 0, madvise(r->shared + from, n, MADV_REMOVE)))
		return;
	model_punch(&r->model, from, n);
	view_hole(r, from, n);
}

void run_zero(struct run *r, const struct step *s)
{
	if (!allocate(r, s, FALLOC_FL_ZERO_RANGE))
		return;
	model_grow(&r->model, s->at + s->length);
	model_punch(&r->model, s->at, s->length);
}

void run_zero_keep(struct run *r, const struct step *s)
{
	if (allocate(r, s, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE))
		model_punch(&r->model, s->at, s->length);
}

void run_reopen(struct run *r, const struct step *s)
{
	int fd = target_reopen(&r->o, O_RDWR);

	(void)s;
	if (fd < 0) {
		run_differs(r, "reopen: %s", strerror(errno));
		return;
	}
	close(r->o.fd);
	r->o.fd = fd;
}

void run_stat(struct run *r, const struct step *s)
{
	expect_resident(r, s, 0, r->model.max / r->model.page);
}

/* The file and the object that it is of tell the same. */
void run_info(struct run *r, const struct step *s)
{
	struct mmapdev_info info = {};

	if (!gave(r, s, 0, ioctl(r->o.fd, MMAPDEV_IOC_GET_INFO, &info)))
		return;
	if (info.size != r->model.size)
		run_differs(r, "info: expected size %#zx, got %#llx",
			    r->model.size, info.size);
	if (!(r->can & CAN_BE_CUT)) {
		expect_resident(r, s, info.resident, info.resident);
		return;
	}
	if (info.durable_size != r->model.durable_size)
		run_differs(r, "info: expected durable size %#zx, got %#llx",
			    r->model.durable_size, info.durable_size);
}
