// SPDX-License-Identifier: GPL-2.0
/*
 * An object and its pages live exactly as long as somebody has it open or
 * mapped, as the device's counts tell.
 */
#include "harness.h"

#include "backend.h"
#include "child.h"
#include "device.h"

#define PAGES	4

FIXTURE(object_life) {
	struct object o;
	size_t page;
	unsigned char *p;	/* PAGES pages of o, shared, all there */
	long long objects;	/* before o */
	long long pages;
};

FIXTURE_VARIANT(object_life) {
	enum backend_kind kind;
};

FIXTURE_SETUP(object_life)
{
	self->page = getpagesize();
	self->objects = device_total("objects");
	self->pages = device_total("pages");
	ASSERT_GE(self->objects, 0);
	ASSERT_GE(self->pages, 0);
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
	self->p = object_map(&self->o, PAGES * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, self->p);
	memset(self->p, 'x', PAGES * self->page);
}

FIXTURE_TEARDOWN(object_life)
{
	object_close(&self->o);
}

MMAPDEV_VARIANTS(object_life);

TEST_F(object_life, descriptor_alone_keeps_the_object)
{
	EXPECT_ALIVE(PAGES);
	ASSERT_EQ(0, munmap(self->p, PAGES * self->page));
	EXPECT_ALIVE(PAGES);
	object_close(&self->o);
	EXPECT_GONE();
}

TEST_F(object_life, any_part_of_a_mapping_alone_keeps_the_object)
{
	object_close(&self->o);
	EXPECT_ALIVE(PAGES);
	ASSERT_EQ(0, munmap(self->p, self->page));
	ASSERT_EQ(0, munmap(self->p + 2 * self->page, 2 * self->page));
	EXPECT_ALIVE(PAGES);
	EXPECT_EQ('x', self->p[self->page]);
	ASSERT_EQ(0, munmap(self->p + self->page, self->page));
	EXPECT_GONE();
}

TEST_F(object_life, private_mapping_alone_keeps_the_object)
{
	unsigned char *p;

	p = object_map(&self->o, PAGES * self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, munmap(self->p, PAGES * self->page));
	object_close(&self->o);
	p[0] = 'p';
	EXPECT_EQ('x', p[self->page]);
	EXPECT_ALIVE(PAGES);
	ASSERT_EQ(0, munmap(p, PAGES * self->page));
	EXPECT_GONE();
}

/* Answer turns, without the descriptor, until told to go. */
static int hold_mapping(void *arg, struct turn *t)
{
	volatile unsigned char *p = arg;

	while (!turn_wait(t) && p[0] == 'x')
		if (turn_done(t))
			return 2;
	return 3;
}

/* The parent lets go; the child still has the mapping that fork gave it. */
static void let_go(struct object *o, void *p)
{
	object_close(o);
	munmap(p, PAGES * getpagesize());
}

static int close_and_hold(void *arg, struct turn *t)
{
	struct object *o = arg;
	void *p = object_map(o, PAGES * getpagesize(), RW, MAP_SHARED);

	object_close(o);
	return p == MAP_FAILED ? 1 : hold_mapping(p, t);
}

TEST_F(object_life, mapping_of_another_process_keeps_the_object)
{
	struct child c = child_start(close_and_hold, &self->o);

	ASSERT_EQ(0, child_turn(&c));
	let_go(&self->o, self->p);
	ASSERT_EQ(0, child_turn(&c));
	EXPECT_ALIVE(PAGES);
	ASSERT_EQ(0, kill(c.pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_end(&c));
	EXPECT_GONE();
}

/* Become cat, which answers turns by itself: an answer tells of the exec. */
static int become_cat(void *arg, struct turn *t)
{
	if (turn_wait(t) || turn_done(t) || turn_wait(t))
		return 1;
	if (dup2(t->wait, STDIN_FILENO) < 0 || dup2(t->done, STDOUT_FILENO) < 0)
		return 2;
	close(t->wait);
	close(t->done);
	execlp("cat", "cat", NULL);
	return 3;
}

TEST_F(object_life, exec_drops_mappings_and_descriptors)
{
	struct child c = child_start(become_cat, self->p);

	ASSERT_EQ(0, child_turn(&c));
	let_go(&self->o, self->p);
	EXPECT_ALIVE(PAGES);			/* by the child, which is not yet cat */
	ASSERT_EQ(0, child_go(&c));
	ASSERT_EQ(0, child_turn(&c));
	EXPECT_GONE();
	EXPECT_EQ(0, child_end(&c));	/* cat was there all the time */
}

TEST_HARNESS_MAIN
