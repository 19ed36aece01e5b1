// SPDX-License-Identifier: GPL-2.0
#include "model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

bool model_init(struct model *m, size_t page, size_t max)
{
	memset(m, 0, sizeof(*m));
	m->page = page;
	m->max = max;
	m->bytes = mmap(NULL, max, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m->bytes == MAP_FAILED)
		return false;
	m->copied = calloc(max / page, sizeof(*m->copied));
	m->copies = malloc(max);
	m->durable = calloc(1, max);
	if (m->copied && m->copies && m->durable)
		return true;
	model_free(m);
	return false;
}

void model_free(struct model *m)
{
	munmap(m->bytes, m->max);
	free(m->copied);
	free(m->copies);
	free(m->durable);
}

static size_t round_up(const struct model *m, size_t n)
{
	return (n + m->page - 1) / m->page * m->page;
}

size_t model_touchable(const struct model *m)
{
	return round_up(m, m->size);
}

size_t model_visible(const struct model *m)
{
	return m->tail_stored ? m->size : model_touchable(m);
}

void model_resize(struct model *m, size_t size)
{
	if (size < m->size) {
		m->taken = true;
		memset(m->bytes + size, 0, m->size - size);
		model_private_forget(m, round_up(m, size), m->max);
	}
	if (size < m->size || size / m->page != m->size / m->page)
		m->tail_stored = false;
	m->size = size;
}

void model_grow(struct model *m, size_t size)
{
	if (size > m->size)
		model_resize(m, size);
}

void model_write(struct model *m, size_t at, const void *bytes, size_t n)
{
	if (!n)
		return;
	model_grow(m, at + n);
	memmove(m->bytes + at, bytes, n);
}

void model_zero(struct model *m, size_t at, size_t n)
{
	memset(m->bytes + at, 0, n);
}

void model_punch(struct model *m, size_t at, size_t n)
{
	model_zero(m, at, n);
	m->taken = true;
}

void model_store_tail(struct model *m)
{
	m->tail_stored = m->size % m->page;
}

static void copy_page(struct model *m, size_t page)
{
	if (m->copied[page])
		return;
	memcpy(m->copies + page * m->page, m->bytes + page * m->page, m->page);
	m->copied[page] = true;
}

void model_private_store(struct model *m, size_t at, const void *bytes,
			 size_t n)
{
	if (!n)
		return;
	for (size_t i = at / m->page; i * m->page < at + n; i++)
		copy_page(m, i);
	memcpy(m->copies + at, bytes, n);
}

void model_private_forget(struct model *m, size_t from, size_t end)
{
	for (size_t i = from / m->page; i * m->page < end; i++)
		m->copied[i] = false;
}

void model_sync(struct model *m)
{
	memcpy(m->durable, m->bytes, m->max);
	m->durable_size = m->size;
	m->taken = false;
}

/* The size, if the pages need it to be read. */
void model_sync_range(struct model *m, size_t from, size_t end)
{
	size_t needed = round_up(m, end);

	if (m->taken) {
		model_sync(m);
		return;
	}
	from = from / m->page * m->page;
	memcpy(m->durable + from, m->bytes + from, needed - from);
	if (needed > m->size)
		needed = m->size;
	if (needed > m->durable_size)
		m->durable_size = m->size;
}

void model_cut(struct model *m)
{
	model_resize(m, m->durable_size);
	memcpy(m->bytes, m->durable, m->max);
	m->tail_stored = false;
	m->taken = false;
}

bool model_differs(const struct model *m, size_t page)
{
	size_t at = page * m->page;

	return memcmp(m->bytes + at, m->durable + at, m->page);
}

const unsigned char *model_private_bytes(const struct model *m, size_t at)
{
	return (m->copied[at / m->page] ? m->copies : m->bytes) + at;
}
