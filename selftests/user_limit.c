// SPDX-License-Identifier: GPL-2.0
/*
 * What the stores of one user may hold: mmapdev only.
 *
 * Over it, stores to memory are SIGBUS and writes ENOSPC, on objects of that user;
 * those of others, and root's, are not in the way.
 */
#include "harness.h"

#include <sched.h>
#include <sys/fsuid.h>

#include "child.h"
#include "device.h"
#include "durable.h"
#include "knob.h"
#include "trap.h"

#define KNOB	"/sys/module/mmapdev/parameters/user_limit"
#define PAGES	16
#define LIMIT	8	/* pages */
#define USER	1000
#define ANOTHER	1001

/* An object of a user's, and a mapping of it. */
struct owned {
	struct durable d;
	char *p;
};

FIXTURE(user_limit) {
	struct knob limit;
	size_t page;
	int node;
	struct owned o;
};

FIXTURE_VARIANT(user_limit) {
	enum durable_kind kind;
};

DURABLE_VARIANT(user_limit, mmapdev_memory, .kind = MEMORY);
DURABLE_VARIANT(user_limit, mmapdev_on_tmpfs, .kind = ON_TMPFS);

/* PAGES pages of zeros, made by a user on root's descriptor; p NULL: errno. */
static struct owned owned_by(int node, uid_t uid, enum durable_kind kind)
{
	size_t length = PAGES * getpagesize();
	struct owned o = { .d = { .kind = kind, .backing = -1 } };
	struct mmapdev_create want = {
		.store = MMAPDEV_STORE_MEMORY,
		.flags = O_RDWR | O_CLOEXEC,
		.size = length,
		.fd = -1,
	};

	if (kind == ON_TMPFS) {
		o.d.backing = image_new(length);
		want.store = MMAPDEV_STORE_FILE;
		want.size = 0;
		want.fd = o.d.backing;
	}
	setfsuid(uid);
	o.d.fd = ioctl(node, MMAPDEV_IOC_CREATE, &want);
	setfsuid(0);
	o.p = mmap(NULL, length, RW, MAP_SHARED, o.d.fd, 0);
	if (o.p == MAP_FAILED)
		o.p = NULL;
	return o;
}

static void owned_close(struct owned *o)
{
	munmap(o->p, PAGES * getpagesize());
	durable_close(&o->d);
}

/* Store to all pages, as far as that goes. How many. */
static int store_all(const struct owned *o)
{
	int n;

	for (n = 0; n < PAGES; n++)
		if (trap_store(o->p + n * getpagesize(), 'x').signo)
			break;
	return n;
}

FIXTURE_SETUP(user_limit)
{
	char text[32];

	self->page = getpagesize();
	snprintf(text, sizeof(text), "%zu", LIMIT * self->page);
	ASSERT_EQ(0, knob_set(&self->limit, KNOB, text));
	self->node = open(mmapdev_path(), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->node);
	self->o = owned_by(self->node, USER, variant->kind);
	ASSERT_NE(NULL, self->o.p);
}

/* In the parent, so that a test that dies leaves no limit behind. */
FIXTURE_TEARDOWN_PARENT(user_limit)
{
	EXPECT_EQ(0, knob_restore(&self->limit));
}

TEST_F(user_limit, store_over_it_is_sigbus_and_write_no_space)
{
	char *over = self->o.p + LIMIT * self->page;

	EXPECT_EQ(LIMIT, store_all(&self->o));
	EXPECT_TRAP(trap_store(over + 5, 'x'), SIGBUS, BUS_ADRERR, over + 5);
	EXPECT_EQ(-1, pwrite(self->o.d.fd, "x", 1, LIMIT * self->page));
	EXPECT_EQ(ENOSPC, errno);
	/* What is there stays, and can be stored to. */
	EXPECT_EQ(0, trap_store(self->o.p, 'y').signo);
	EXPECT_EQ(0, msync(self->o.p, self->page, MS_SYNC));
	EXPECT_EQ(0, *over);
}

TEST_F(user_limit, objects_of_a_user_count_together)
{
	struct owned second = owned_by(self->node, USER, variant->kind);

	ASSERT_NE(NULL, second.p);
	EXPECT_EQ(0, trap_store(second.p, 'x').signo);
	EXPECT_EQ(LIMIT - 1, store_all(&self->o));
	owned_close(&second);
	EXPECT_EQ(LIMIT, store_all(&self->o));
}

TEST_F(user_limit, others_and_root_are_not_in_the_way)
{
	struct owned another = owned_by(self->node, ANOTHER, variant->kind);
	struct owned root = owned_by(self->node, 0, variant->kind);

	ASSERT_NE(NULL, another.p);
	ASSERT_NE(NULL, root.p);
	EXPECT_EQ(LIMIT, store_all(&self->o));
	EXPECT_EQ(LIMIT, store_all(&another));
	EXPECT_EQ(PAGES, store_all(&root));
	owned_close(&root);
	owned_close(&another);
}

/* A file takes pages off the user's hands, memory does not; neither goes alone. */
/* A user of a user namespace, who stores all that it can and keeps it for a turn. */
struct inside {
	int node;
	enum durable_kind kind;
	uid_t maker;		/* of the namespace */
	uid_t uid;		/* in it */
	struct child c;
};

static int store_inside(void *arg, struct turn *t)
{
	struct inside *in = arg;
	struct owned o;
	int n;

	if (setresuid(in->maker, in->maker, in->maker) ||
	    unshare(CLONE_NEWUSER) || turn_done(t) || turn_wait(t) ||
	    setresuid(in->uid, in->uid, in->uid))
		return 100;
	o = owned_by(in->node, in->uid, in->kind);
	n = o.p ? store_all(&o) : 101;
	return turn_done(t) || turn_wait(t) ? 102 : n;
}

/* Ids 0 to 9 in it are 100000 and on, as newuidmap gives them. 0, or -1. */
static int inside_start(struct inside *in)
{
	char path[64];

	in->c = child_start(store_inside, in);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", in->c.pid);
	return child_done(&in->c) || file_write(path, "0 100000 10") ||
	       child_turn(&in->c) ? -1 : 0;
}

static int inside_end(struct inside *in)
{
	return child_go(&in->c) ? -1 : child_end(&in->c);
}

/* However many ids it has there. */
TEST_F(user_limit, users_of_a_namespace_count_for_its_maker)
{
	struct inside in = {
		.node = self->node, .kind = variant->kind,
		.maker = USER, .uid = 1,
	};

	EXPECT_EQ(0, trap_store(self->o.p, 'x').signo);
	ASSERT_EQ(0, inside_start(&in));
	EXPECT_EQ(LIMIT - 1, inside_end(&in));
	EXPECT_EQ(LIMIT, store_all(&self->o));
}

/* As of a container that root has made: together, and nobody outside of it. */
TEST_F(user_limit, users_of_a_namespace_of_roots_count_for_its_own_root)
{
	struct inside first = {
		.node = self->node, .kind = variant->kind,
		.maker = 0, .uid = 1,
	};
	struct inside second = {
		.node = self->node, .kind = variant->kind,
		.maker = 0, .uid = 2,
	};

	ASSERT_EQ(0, inside_start(&first));
	ASSERT_EQ(0, inside_start(&second));
	EXPECT_EQ(LIMIT, store_all(&self->o));
	EXPECT_EQ(LIMIT, inside_end(&first));
	EXPECT_EQ(0, inside_end(&second));
}

TEST_F(user_limit, synced_pages_are_where_the_store_is)
{
	EXPECT_EQ(LIMIT, store_all(&self->o));
	ASSERT_EQ(0, fsync(self->o.d.fd));
	EXPECT_EQ(variant->kind == MEMORY ? 0 : LIMIT, store_all(&self->o));
	ASSERT_EQ(0, ftruncate(self->o.d.fd, 0));
	ASSERT_EQ(0, fsync(self->o.d.fd));
	ASSERT_EQ(0, ftruncate(self->o.d.fd, PAGES * self->page));
	EXPECT_EQ(LIMIT, store_all(&self->o));
}

/* What a flush replaced in memory is kept for a while, and in nobody's way. */
TEST_F(user_limit, what_a_flush_replaced_does_not_count)
{
	struct owned second = owned_by(self->node, USER, variant->kind);

	ASSERT_NE(NULL, second.p);
	for (int i = 0; i < 3; i++) {
		memset(self->o.p, 'a' + i, 2 * self->page);
		ASSERT_EQ(0, msync(self->o.p, 2 * self->page, MS_SYNC));
	}
	EXPECT_EQ(variant->kind == MEMORY ? LIMIT - 2 : LIMIT,
		  store_all(&second));
	owned_close(&second);
}

TEST_F(user_limit, power_cut_gives_room_back)
{
	EXPECT_EQ(LIMIT, store_all(&self->o));
	EXPECT_EQ(LIMIT, crash_call(self->o.d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_EQ(LIMIT, store_all(&self->o));
}

TEST_F(user_limit, zero_means_none)
{
	EXPECT_EQ(LIMIT, store_all(&self->o));
	ASSERT_EQ(0, file_write(KNOB, "0"));
	EXPECT_EQ(PAGES, store_all(&self->o));
}

TEST_F(user_limit, values_that_are_not_are_einval_and_change_nothing)
{
	EXPECT_EQ(-1, file_write(KNOB, "junk"));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(LIMIT * self->page, file_number(KNOB));
}

TEST_HARNESS_MAIN
