// SPDX-License-Identifier: GPL-2.0
#include "generator.h"

/* Lanes: independent draws for one step. */
enum lane { OPERATION, AT, LENGTH, TO, VALUE };

/* Each bit of the result depends on each of x (the finalizer of splitmix64). */
static uint64_t scramble(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t draw(const struct generator *g, uint64_t k, enum lane lane)
{
	uint64_t key = scramble(g->seed + 0x9e3779b97f4a7c15);

	return scramble(scramble(key + k) + lane);
}

static unsigned int weight(const struct generator *g,
			   const struct operation *op)
{
	bool out = op->needs & ~g->can || g->without >> (op - g->table) & 1;

	return out ? 0 : op->weight;
}

static uint64_t weights(const struct generator *g)
{
	uint64_t sum = 0;

	for (const struct operation *op = g->table; op->name; op++)
		sum += weight(g, op);
	return sum;
}

bool generator_has_any(const struct generator *g)
{
	return weights(g);
}

static const struct operation *pick(const struct generator *g, uint64_t r)
{
	const struct operation *op;

	r %= weights(g);
	for (op = g->table; r >= weight(g, op); op++)
		r -= weight(g, op);
	return op;
}

/*
 * From 0 to max, mostly where bugs live: at, and on both sides of, the ends of
 * pages; and often in the first pages, so that steps meet each other.
 */
static uint64_t place(const struct generator *g, uint64_t r)
{
	uint64_t any = (r >> 8) % (g->max + 1);
	uint64_t boundary = (r >> 8) % (g->max / g->page + 1) * g->page;
	uint64_t near = boundary + (r >> 4) % 16;

	switch (r % 8) {
	case 0:
	case 1:
		return any;
	case 2:
	case 3:
		return boundary;
	case 4:
	case 5:
		near = near < 8 ? near : near - 8;
		return near < g->max ? near : g->max;
	default:
		return any % (4 * g->page) % (g->max + 1);
	}
}

static uint64_t extent(const struct generator *g, uint64_t r)
{
	uint64_t any = r >> 8;

	switch (r % 8) {
	case 0:
		return 1 + any % 16;
	case 1:
	case 2:
		return 1 + any % g->page;
	case 3:
	case 4:
		return (1 + any % 4) * g->page;
	case 5:
		return g->page - 8 + any % 16;
	case 6:
		return 1 + any % (4 * g->page);
	default:
		return 1 + any % g->max;
	}
}

struct step generator_step(const struct generator *g, uint64_t k)
{
	struct step s = {
		.op = pick(g, draw(g, k, OPERATION)),
		.at = place(g, draw(g, k, AT)),
		.length = extent(g, draw(g, k, LENGTH)),
		.to = place(g, draw(g, k, TO)),
		.value = draw(g, k, VALUE) % 256,
	};

	if (s.at == g->max)
		s.at = 0;
	if (s.length > g->max - s.at)
		s.length = g->max - s.at;
	return s;
}
