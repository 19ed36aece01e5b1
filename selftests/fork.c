// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings across fork and vfork: shared stays shared, private parts.
 */
#include "harness.h"

#include "backend.h"
#include "bytes.h"
#include "child.h"

#define PAGES	4

FIXTURE(fork_shared) {
	struct object o;
	size_t page;
	unsigned char *p;	/* PAGES pages, inherited by every child */
};

FIXTURE_VARIANT(fork_shared) {
	enum backend_kind kind;
};

FIXTURE_SETUP(fork_shared)
{
	self->page = getpagesize();
	self->o = object_open(variant->kind);
	ASSERT_EQ(variant->kind == ANON, self->o.fd < 0);
	ASSERT_EQ(0, object_size_for(&self->o, PAGES * self->page));
	self->p = object_map(&self->o, PAGES * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, self->p);
}

FIXTURE_TEARDOWN(fork_shared)
{
	object_close(&self->o);
}

MEMORY_VARIANTS(fork_shared);

/* See 'p' in the first two pages; answer in the first and in the third. */
static int see_and_answer(void *arg, struct turn *t)
{
	volatile unsigned char *p = arg;
	size_t page = getpagesize();

	if (turn_wait(t) || p[0] != 'p' || p[page] != 'p')
		return 1;
	p[0] = 'c';
	p[2 * page] = 'c';
	return turn_done(t) ? 2 : 0;
}

/* The first page is there before the fork, the others are not. */
TEST_F(fork_shared, parent_and_child_see_each_other)
{
	struct child c;

	self->p[0] = 'x';
	c = child_start(see_and_answer, self->p);
	self->p[0] = 'p';
	self->p[self->page] = 'p';
	EXPECT_EQ(0, child_turn(&c));
	EXPECT_EQ('c', self->p[0]);
	EXPECT_EQ('c', self->p[2 * self->page]);
	EXPECT_EQ(0, child_end(&c));
}

static int grandchild(void *arg, struct turn *t)
{
	volatile unsigned char *p = arg;

	if (p[0] != 'p' || p[1] != 'c')
		return 3;
	p[2] = 'g';
	p[getpagesize()] = 'g';
	return 0;
}

static int child_with_child(void *arg, struct turn *t)
{
	volatile unsigned char *p = arg;

	p[1] = 'c';
	return child_run(grandchild, arg);
}

TEST_F(fork_shared, grandchild_and_grandparent_see_each_other)
{
	self->p[0] = 'p';
	EXPECT_EQ(0, child_run(child_with_child, self->p));
	EXPECT_EQ('g', self->p[2]);
	EXPECT_EQ('g', self->p[self->page]);
}

static int unmap_and_exit(void *arg, struct turn *t)
{
	return munmap(arg, PAGES * getpagesize()) ? 1 : 0;
}

TEST_F(fork_shared, child_that_unmaps_leaves_the_parents_mapping)
{
	self->p[0] = 'p';
	EXPECT_EQ(0, child_run(unmap_and_exit, self->p));
	EXPECT_EQ('p', self->p[0]);
	EXPECT_EQ(0, self->p[self->page]);
}

TEST_F(fork_shared, closing_the_descriptor_leaves_the_mapping)
{
	struct child c;

	self->p[0] = 'x';
	object_close(&self->o);
	EXPECT_EQ('x', self->p[0]);
	EXPECT_EQ(0, self->p[self->page]);
	c = child_start(see_and_answer, self->p);
	self->p[0] = 'p';
	self->p[self->page] = 'p';
	EXPECT_EQ(0, child_turn(&c));
	EXPECT_EQ('c', self->p[2 * self->page]);
	EXPECT_EQ(0, child_end(&c));
}

TEST_F(fork_shared, vfork_child_is_in_the_same_mapping)
{
	volatile unsigned char *p = self->p;
	int status;
	pid_t pid;

	p[0] = 'p';
	pid = vfork();
	if (pid == 0) {
		p[1] = p[0];
		p[self->page] = 'c';
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ('p', p[1]);
	EXPECT_EQ('c', p[self->page]);
}

TEST_F(fork_shared, exec_after_vfork_leaves_the_parents_mapping)
{
	volatile unsigned char *p = self->p;
	int status;
	pid_t pid;

	p[0] = 'p';
	pid = vfork();
	if (pid == 0) {
		execlp("true", "true", NULL);
		_exit(127);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ('p', p[0]);
	p[self->page] = 'q';
	EXPECT_EQ('q', p[self->page]);
}

/*
 * Private memory: page i of the mapping is row i of this table, which says what
 * the parent did to it before the fork, and who stores to it first after.
 */
enum before { UNTOUCHED, READ, WRITTEN };
enum first { PARENT, CHILD };

static const struct fork_row {
	enum before before;
	enum first first;
	const char *bug;	/* what a failure of this row would show */
} fork_rows[] = {
	{ UNTOUCHED, PARENT, "a page of the parent's alone is the child's too" },
	{ UNTOUCHED, CHILD, "a page of the child's alone is the parent's too" },
	{ READ, PARENT, "the object's page is written in place by the parent" },
	{ READ, CHILD, "the object's page is written in place by the child" },
	{ WRITTEN, PARENT, "fork leaves the parent's copy writable" },
	{ WRITTEN, CHILD, "fork gives the child a writable page" },
};

#define ROWS (sizeof(fork_rows) / sizeof(fork_rows[0]))

FIXTURE(fork_private) {
	struct object o;
	size_t page;
	unsigned char *p;	/* a page for each row */
};

FIXTURE_VARIANT(fork_private) {
	enum backend_kind kind;
};

FIXTURE_SETUP(fork_private)
{
	self->page = getpagesize();
	self->o = object_open(variant->kind);
	ASSERT_EQ(variant->kind == ANON, self->o.fd < 0);
	ASSERT_EQ(0, object_size_for(&self->o, ROWS * self->page));
	self->p = object_map(&self->o, ROWS * self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, self->p);
}

FIXTURE_TEARDOWN(fork_private)
{
	object_close(&self->o);
}

MEMORY_VARIANTS(fork_private);

static void before_fork(volatile unsigned char *p)
{
	size_t page = getpagesize();

	for (int i = 0; i < ROWS; i++) {
		if (fork_rows[i].before == READ)
			(void)p[i * page];
		if (fork_rows[i].before == WRITTEN)
			memset((void *)(p + i * page), 'w', page);
	}
}

static unsigned char byte_before(int row)
{
	return fork_rows[row].before == WRITTEN ? 'w' : 0;
}

/* Row by row: 0, or 1 + the first row that is not as it should be. */
static int check_rows(volatile unsigned char *p, enum first who,
		      unsigned char others_rows, unsigned char own_rows)
{
	size_t page = getpagesize();

	for (int i = 0; i < ROWS; i++) {
		unsigned char want = fork_rows[i].first == who ? own_rows
							       : others_rows;

		if (p[i * page] != (want ?: byte_before(i)) ||
		    p[i * page + 1] != byte_before(i))
			return 1 + i;
	}
	return 0;
}

static void store_rows(volatile unsigned char *p, enum first which,
		       unsigned char byte)
{
	for (int i = 0; i < ROWS; i++)
		if (fork_rows[i].first == which)
			p[i * getpagesize()] = byte;
}

/* Store, each time, once the parent has; and see nothing of what it stored. */
static int private_child(void *arg, struct turn *t)
{
	int bad;

	if (turn_wait(t))	/* the parent stored to its rows */
		return 101;
	bad = check_rows(arg, CHILD, 0, 0);
	if (bad)
		return bad;
	store_rows(arg, CHILD, 'c');
	if (turn_done(t) || turn_wait(t))	/* and then to the child's */
		return 102;
	bad = check_rows(arg, CHILD, 0, 'c');
	if (bad)
		return 20 + bad;
	store_rows(arg, PARENT, 'd');
	bad = check_rows(arg, CHILD, 'd', 'c');
	if (bad)
		return 40 + bad;
	return turn_done(t) ? 103 : 0;
}

TEST_F(fork_private, parent_and_child_part_at_the_first_store)
{
	struct child c;
	int status;
	int bad;

	before_fork(self->p);
	c = child_start(private_child, self->p);
	store_rows(self->p, PARENT, 'p');
	EXPECT_EQ(0, child_turn(&c));
	bad = check_rows(self->p, PARENT, 0, 'p');
	EXPECT_EQ(0, bad) TH_LOG("bug: %s", fork_rows[bad - 1].bug);
	store_rows(self->p, CHILD, 'q');
	EXPECT_EQ(0, child_turn(&c));
	bad = check_rows(self->p, PARENT, 'q', 'p');
	EXPECT_EQ(0, bad) TH_LOG("bug: %s", fork_rows[bad - 1].bug);
	status = child_end(&c);
	EXPECT_EQ(0, status) {
		if (status > 0 && status <= 40 + ROWS)
			TH_LOG("child, bug: %s",
			       fork_rows[(status - 1) % 20].bug);
	}
}

TEST_F(fork_private, vfork_child_stores_to_the_parents_copy)
{
	volatile unsigned char *p = self->p;
	int status;
	pid_t pid;

	p[0] = 'p';
	pid = vfork();
	if (pid == 0) {
		p[1] = p[0];
		p[self->page] = 'c';
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ('p', p[1]);
	EXPECT_EQ('c', p[self->page]);
}

OBJECT_FIXTURE(fork_object);
FILE_VARIANTS(fork_object);

/* Neither parent's nor child's private stores are anybody else's bytes. */
TEST_F(fork_object, private_stores_of_neither_reach_the_object)
{
	size_t length = ROWS * self->page;
	struct child c;
	unsigned char *p;
	unsigned char *s;

	ASSERT_EQ(0, object_resize(&self->o, length));
	p = object_map(&self->o, length, RW, MAP_PRIVATE);
	s = object_map(&self->o, length, PROT_READ, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, s);
	before_fork(p);
	c = child_start(private_child, p);
	store_rows(p, PARENT, 'p');
	EXPECT_EQ(0, child_turn(&c));
	EXPECT_TRUE(bytes_are(s, 0, length));
	store_rows(p, CHILD, 'q');
	EXPECT_EQ(0, child_turn(&c));
	EXPECT_EQ(0, child_end(&c));
	EXPECT_TRUE(bytes_are(s, 0, length));
}

TEST_HARNESS_MAIN
