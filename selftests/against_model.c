// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations: whatever is done to an object, in whatever order, its bytes
 * and its size are those of a model in plain memory.
 *
 * RANDOM_OPS is how many operations a test does (default 3000, and 1000 where
 * the kernel is slow), RANDOM_SEED says which (default 1). The program
 * random_ops does the same by hand, and runs again the steps that a failure
 * prints.
 */
#include "harness.h"

#include "random_ops/generator.h"
#include "random_ops/hunt.h"
#include "random_ops/operation.h"
#include "random_ops/run.h"
#include "random_ops/shrink.h"
#include "slow.h"

#define PROCESSES	4
#define LONGEST		7200	/* seconds, for when RANDOM_OPS is large */

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* As many steps in all, of any number of processes. */
static struct plan plan_of(const char *target, unsigned int processes)
{
	return (struct plan) {
		.table = operations,
		.target = target_find(target),
		.max = 32 * getpagesize(),
		.processes = processes,
		.count = setting("RANDOM_OPS", slow_kernel() ? 1000 : 3000) /
			 processes,
		.seed = setting("RANDOM_SEED", 1),
		.progress = true,
	};
}

FIXTURE(against_model) {
};

FIXTURE_VARIANT(against_model) {
	const char *target;
};

FIXTURE_SETUP(against_model)
{
}

FIXTURE_TEARDOWN(against_model)
{
}

FIXTURE_VARIANT_ADD(against_model, mmapdev) { "mmapdev" };
FIXTURE_VARIANT_ADD(against_model, object_file) { "object_file" };
FIXTURE_VARIANT_ADD(against_model, durable_memory) { "durable_memory" };
FIXTURE_VARIANT_ADD(against_model, durable_file) { "durable_file" };
FIXTURE_VARIANT_ADD(against_model, memfd) { "memfd" };
FIXTURE_VARIANT_ADD(against_model, tmpfs) { "tmpfs" };

TEST_F_TIMEOUT(against_model, one_process_sees_no_difference, LONGEST)
{
	struct plan p = plan_of(variant->target, 1);
	size_t left;

	ASSERT_TRUE(hunt(&p, &left));
	EXPECT_EQ(0, left);
}

TEST_F_TIMEOUT(against_model, processes_on_ranges_of_their_own_see_none,
	       LONGEST)
{
	struct plan p = plan_of(variant->target, PROCESSES);
	size_t left;

	ASSERT_TRUE(hunt(&p, &left));
	EXPECT_EQ(0, left);
}

/* The checker itself: what it must find is planted in its own operations. */

#define MOST_ROWS	64

FIXTURE(checker) {
	struct operation table[MOST_ROWS];
	struct plan plan;
};

FIXTURE_SETUP(checker)
{
	struct operation *row = self->table;

	for (const struct operation *op = operations; op->name; op++) {
		ASSERT_LT(row - self->table, MOST_ROWS - 1);
		*row++ = *op;
	}
	*row = (struct operation) {};
	self->plan = plan_of("memfd", 1);
	self->plan.table = self->table;
	self->plan.count = 10000;
}

FIXTURE_TEARDOWN(checker)
{
}

/* The row, as a bit. */
static uint64_t row(const struct operation *table, const char *name)
{
	return 1ULL << (operation_find(table, name, strlen(name)) - table);
}

/* Replace a row's function. */
static bool plant(struct operation *table, const char *name,
		  void (*run)(struct run *r, const struct step *s))
{
	struct operation *op = (void *)operation_find(table, name,
						      strlen(name));

	if (op)
		op->run = run;
	return op;
}

/* Leaves the last byte. */
static void punch_short(struct run *r, const struct step *s)
{
	if (s->length > 1 &&
	    fallocate(r->o.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      s->at, s->length - 1))
		run_differs(r, "punch: %s", strerror(errno));
	model_zero(&r->model, s->at, s->length);
}

TEST_F(checker, finds_a_byte_that_a_punch_has_left)
{
	size_t left;

	ASSERT_TRUE(plant(self->table, "punch", punch_short));
	ASSERT_TRUE(hunt(&self->plan, &left));
	EXPECT_EQ(2, left);	/* what made the byte, and the punch */
}

/* Does not grow what it ends past the end of. */
static void write_without_growing(struct run *r, const struct step *s)
{
	size_t n = s->at < r->model.size ? r->model.size - s->at : 0;

	n = n < s->length ? n : s->length;
	memset(r->buffer, s->value, s->length);
	if (pwrite(r->o.fd, r->buffer, n, s->at) != (ssize_t)n)
		run_differs(r, "write: %s", strerror(errno));
	model_write(&r->model, s->at, r->buffer, s->length);
}

TEST_F(checker, finds_a_write_that_does_not_grow)
{
	size_t left;

	ASSERT_TRUE(plant(self->table, "write", write_without_growing));
	ASSERT_TRUE(hunt(&self->plan, &left));
	EXPECT_EQ(1, left);
}

/* Goes to the range of the next process, if there is one. */
static void store_in_next_range(struct run *r, const struct step *s)
{
	uint64_t next = (r->base + r->model.max) % r->ranges_end;

	if (pwrite(r->o.fd, "x", 1, next + s->at) != 1)
		run_differs(r, "store: %s", strerror(errno));
}

TEST_F(checker, finds_what_one_process_does_to_anothers_range)
{
	size_t left;

	self->plan.processes = PROCESSES;
	/* No other operation, which could write over it in time. */
	self->plan.without = ~(row(self->table, "store") |
			       row(self->table, "compare_read"));
	ASSERT_TRUE(plant(self->table, "store", store_in_next_range));
	ASSERT_TRUE(hunt(&self->plan, &left));
	/* Processes run as they like: a busy machine can keep more steps. */
	EXPECT_LE(1, left);
	EXPECT_GE(20, left);
}

/* Only says so. */
static void sync_nothing(struct run *r, const struct step *s)
{
	model_sync(&r->model);
}

TEST_F(checker, finds_a_sync_that_does_nothing)
{
	size_t left;

	self->plan.target = target_find("durable_memory");
	ASSERT_TRUE(plant(self->table, "fsync", sync_nothing));
	ASSERT_TRUE(hunt(&self->plan, &left));
	EXPECT_EQ(3, left);	/* what is lost, the sync, and the cut */
}

/* Goes past the end. */
static void load_nothing(struct run *r, const struct step *s)
{
	(void)s;
	*(volatile unsigned char *)r->buffer =
		r->shared[model_touchable(&r->model)];
}

TEST_F(checker, survives_a_signal)
{
	size_t left;

	ASSERT_TRUE(plant(self->table, "load", load_nothing));
	ASSERT_TRUE(hunt(&self->plan, &left));
	EXPECT_EQ(1, left);
}

TEST_F(checker, reads_the_steps_that_it_prints)
{
	struct generator g = {
		.table = operations,
		.can = ~0U,
		.seed = 1,
		.max = self->plan.max,
		.page = getpagesize(),
	};

	for (uint64_t k = 0; k < 10000; k++) {
		struct step s = generator_step(&g, k), again;
		char line[128], second[128];

		step_print(&s, line, sizeof(line));
		ASSERT_TRUE(step_parse(operations, line, &again));
		step_print(&again, second, sizeof(second));
		ASSERT_STREQ(line, second);
		ASSERT_EQ(s.op, again.op);
	}
}

/* A list fails if these are in it. */
static bool has_all_three(void *arg, const struct step *steps, size_t n)
{
	const uint64_t wanted[] = { 100, 500, 9000 };
	size_t seen = 0;

	++*(size_t *)arg;
	for (size_t i = 0; i < n; i++) {
		if (seen < 3 && steps[i].at == wanted[seen])
			seen++;
	}
	return seen == 3;
}

TEST_F(checker, shrinks_to_the_steps_that_matter)
{
	size_t n = 10000, trials = 0;
	struct step *steps = calloc(n, sizeof(*steps));

	ASSERT_NE(NULL, steps);
	for (size_t i = 0; i < n; i++)
		steps[i].at = i;
	ASSERT_EQ(3, shrink(steps, n, has_all_three, &trials));
	EXPECT_EQ(100, steps[0].at);
	EXPECT_EQ(500, steps[1].at);
	EXPECT_EQ(9000, steps[2].at);
	EXPECT_LT(trials, 200);
	free(steps);
}

TEST_HARNESS_MAIN
