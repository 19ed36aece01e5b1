// SPDX-License-Identifier: GPL-2.0
/*
 * A store that does not answer, since its file system is frozen, and rules that
 * delay: who waits for them, and who must not. A wait ends with the task, and
 * nobody waits for another object's store.
 */
#include "harness.h"

#include <linux/fs.h>
#include <time.h>

#include "child.h"
#include "durable.h"
#include "user.h"

/* An object in a file of an ext4 of its own, and one in memory. */
FIXTURE(frozen) {
	struct durable d;
	struct durable other;
	int root;
	size_t page;
	size_t length;
	unsigned char *p;
};

FIXTURE_SETUP(frozen)
{
	int image, mount;

	if (!durable_possible(EXT4))
		SKIP(return, "no ext4 on a loop device");
	self->page = getpagesize();
	self->length = DURABLE_PAGES * self->page;
	image = image_new(8 << 20);
	ASSERT_GE(image, 0);
	ASSERT_EQ(0, ext4_make(image, true));
	mount = mount_image(image, "ext4");
	ASSERT_GE(mount, 0);
	/* That one is only a path. */
	self->root = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_GE(self->root, 0);
	close(mount);
	self->d.kind = ON_EXT4;
	self->d.backing = file_new(self->root, "store", self->length);
	ASSERT_GE(self->d.backing, 0);
	self->d.fd = durable_over(self->d.backing, 0, 0);
	ASSERT_GE(self->d.fd, 0);
	ASSERT_EQ(0, durable_fill(&self->d, DURABLE_PAGES));
	self->other = durable_new(MEMORY, self->length, 0);
	ASSERT_GE(self->other.fd, 0);
	self->p = mmap(NULL, self->length, RW, MAP_SHARED, self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
}

/* It must not stay frozen, or nothing of it could go. */
FIXTURE_TEARDOWN(frozen)
{
	ioctl(self->root, FITHAW, 0);
	if (self->p)
		munmap(self->p, self->length);
	durable_close(&self->d);
	durable_close(&self->other);
	close(self->root);
}

#define FREEZE()	ASSERT_EQ(0, ioctl(self->root, FIFREEZE, 0))
#define THAW()		ASSERT_EQ(0, ioctl(self->root, FITHAW, 0))

/* A task that syncs once it is told to, and says when that is over. */
struct sync_task {
	int fd;			/* or -1: sync(2) */
	int result;
};

static int sync_once(void *arg, struct turn *t)
{
	struct sync_task *s = arg;

	if (turn_wait(t))
		return 1;
	if (s->fd < 0)
		sync();
	else if (fsync(s->fd))
		return 2;
	return turn_done(t) ? 3 : 0;
}

static int syncfs_once(void *arg, struct turn *t)
{
	struct sync_task *s = arg;

	if (turn_wait(t))
		return 1;
	if (syncfs(s->fd))
		return 2;
	return turn_done(t) ? 3 : 0;
}

/* Does a child end its turn within seconds, which are more than it takes? */
#define SOON	20	/* seconds: for ever, unless the machine is very slow */

/* The child must end its turn; if it does not, let it go on before it is left. */
#define EXPECT_SOON(c) do {						\
	EXPECT_TRUE(ends_within((c), SOON));				\
	ioctl(self->root, FITHAW, 0);					\
	EXPECT_EQ(0, child_done(c));					\
	EXPECT_EQ(0, child_end(c));					\
} while (0)

TEST_F(frozen, store_of_a_clean_object_does_not_hold_up_sync)
{
	struct sync_task s = { .fd = -1 };
	struct child c = child_start(sync_once, &s);

	FREEZE();
	ASSERT_EQ(0, child_go(&c));
	EXPECT_SOON(&c);
}

TEST_F(frozen, store_of_a_clean_object_does_not_hold_up_its_fsync)
{
	struct sync_task s = { .fd = self->d.fd };
	struct child c = child_start(sync_once, &s);

	FREEZE();
	ASSERT_EQ(0, child_go(&c));
	EXPECT_SOON(&c);
}

static int close_last(void *arg, struct turn *t)
{
	struct durable *d = arg;

	if (turn_wait(t))
		return 1;
	close(d->fd);
	return turn_done(t) ? 3 : 0;
}

TEST_F(frozen, store_of_a_clean_object_does_not_hold_up_its_last_close)
{
	struct child c = child_start(close_last, &self->d);

	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	ASSERT_EQ(0, close(self->d.fd));
	self->d.fd = -1;
	FREEZE();
	ASSERT_EQ(0, child_go(&c));
	EXPECT_SOON(&c);
}

/* A task syncs the object whose store is frozen, and waits. */
static struct child sync_stuck(struct sync_task *s)
{
	struct child c = child_start(sync_once, s);

	child_go(&c);
	return c;
}

TEST_F(frozen, store_that_a_sync_waits_for_holds_up_no_other_objects_fsync)
{
	struct sync_task stuck = { .fd = self->d.fd };
	struct sync_task s = { .fd = self->other.fd };
	struct child waits, c;

	FREEZE();
	store_capitals(self->p, DURABLE_PAGES);
	waits = sync_stuck(&stuck);
	EXPECT_FALSE(ends_within(&waits, 1));
	ASSERT_EQ(0, page_write(self->other.fd, 3, 'x'));
	c = child_start(sync_once, &s);
	ASSERT_EQ(0, child_go(&c));
	EXPECT_SOON(&c);
	EXPECT_EQ(0, child_done(&waits));
	EXPECT_EQ(0, child_end(&waits));
	ASSERT_EQ(0, durable_cut(&self->other));
	EXPECT_STREQ("000x0000", file_bytes(self->other.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.fd));
}

/* What is in memory is read and stored to while a sync waits for the store. */
static int touch_all(void *arg, struct turn *t)
{
	unsigned char *p = arg;

	if (turn_wait(t))
		return 1;
	for (int i = 0; i < DURABLE_PAGES; i++)
		if (p[i * getpagesize()] != 'A' + i)
			return 2;
	store_capitals(p, DURABLE_PAGES);
	return turn_done(t) ? 3 : 0;
}

TEST_F(frozen, store_that_a_sync_waits_for_holds_up_no_load_and_no_store)
{
	struct sync_task stuck = { .fd = self->d.fd };
	struct child waits, c;

	FREEZE();
	store_capitals(self->p, DURABLE_PAGES);
	waits = sync_stuck(&stuck);
	EXPECT_FALSE(ends_within(&waits, 1));
	c = child_start(touch_all, self->p);
	ASSERT_EQ(0, child_go(&c));
	EXPECT_SOON(&c);
	EXPECT_EQ(0, child_done(&waits));
	EXPECT_EQ(0, child_end(&waits));
}

/* Is it gone within seconds? It has been killed. */
TEST_F(frozen, store_is_waited_for_by_no_task_that_was_killed)
{
	struct sync_task s = { .fd = self->d.fd };
	struct child waits;

	FREEZE();
	store_capitals(self->p, DURABLE_PAGES);
	waits = sync_stuck(&s);
	EXPECT_FALSE(ends_within(&waits, 1));
	ASSERT_EQ(0, kill(waits.pid, SIGKILL));
	EXPECT_TRUE(dies_within(&waits, SOON));
	THAW();
	EXPECT_EQ(128 + SIGKILL, child_end(&waits));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.fd));
}

/* Two objects in memory, and rules for one of them. */
FIXTURE(delayed) {
	struct durable d;
	struct durable other;
	size_t page;
	unsigned char *p;
};

FIXTURE_SETUP(delayed)
{
	self->page = getpagesize();
	self->d = durable_new(MEMORY, DURABLE_PAGES * self->page, 0);
	ASSERT_GE(self->d.fd, 0);
	ASSERT_EQ(0, durable_fill(&self->d, DURABLE_PAGES));
	self->other = durable_new(MEMORY, DURABLE_PAGES * self->page, 0);
	ASSERT_GE(self->other.fd, 0);
	self->p = mmap(NULL, DURABLE_PAGES * self->page, RW, MAP_SHARED,
		       self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
}

FIXTURE_TEARDOWN(delayed)
{
	durable_unrule(&self->d, 0);
	munmap(self->p, DURABLE_PAGES * self->page);
	durable_close(&self->d);
	durable_close(&self->other);
}

/* Add rules of MMAPDEV_DELAY_MAX each: the last one, or id 0 with errno. */
static struct mmapdev_rule delays_add(const struct durable *d, int event,
				      int rules)
{
	struct mmapdev_rule rule = {};

	while (rules--) {
		rule = (struct mmapdev_rule) {
			.event = event,
			.action = MMAPDEV_ACTION_DELAY,
			.delay_us = MMAPDEV_DELAY_MAX,
		};
		if (ioctl(d->fd, MMAPDEV_IOC_ADD_RULE, &rule))
			return (struct mmapdev_rule) {};
	}
	return rule;
}

/* Wait until it has been met: 0, or -1 if it is not. */
static int rule_met(const struct durable *d, struct mmapdev_rule *rule)
{
	for (int ms = 0; !rule->hits; ms++) {
		if (ms == CHILD_DEADLINE_MS ||
		    ioctl(d->fd, MMAPDEV_IOC_GET_RULE, rule))
			return -1;
		usleep(1000);
	}
	return 0;
}

struct touch_task {
	struct durable *d;
	unsigned char *p;
	int event;
};

static int meet_event(void *arg, struct turn *t)
{
	struct touch_task *s = arg;

	switch (s->event) {
	case MMAPDEV_EVENT_FAULT_READ:
		return s->p[0] ? 0 : 1;
	case MMAPDEV_EVENT_FAULT_WRITE:
	case MMAPDEV_EVENT_MKWRITE:
		s->p[0] = 'x';
		return 0;
	default:
		s->p[0] = 'x';
		return fsync(s->d->fd) ? 1 : 0;
	}
}

/* The delays are longer than the deadline, which is longer than dying takes. */
TEST_F(delayed, task_that_is_killed_does_not_wait)
{
	int events[] = {
		MMAPDEV_EVENT_FAULT_READ, MMAPDEV_EVENT_FAULT_WRITE,
		MMAPDEV_EVENT_MKWRITE, MMAPDEV_EVENT_FLUSH,
	};

	for (int i = 0; i < 4; i++) {
		struct touch_task s = {
			.d = &self->d, .p = self->p, .event = events[i],
		};
		struct mmapdev_rule rule;
		struct child c;

		/* What the one before it stored is dirty, and meets no mkwrite. */
		ASSERT_EQ(0, fsync(self->d.fd));
		rule = delays_add(&self->d, events[i], 3);
		ASSERT_NE(0, rule.id);
		c = child_start(meet_event, &s);
		ASSERT_EQ(0, rule_met(&self->d, &rule));
		ASSERT_EQ(0, kill(c.pid, SIGKILL));
		EXPECT_TRUE(dies_within(&c, SOON))
			TH_LOG("event %d", events[i]);
		EXPECT_EQ(128 + SIGKILL, child_end(&c));
		ASSERT_EQ(0, durable_unrule(&self->d, 0));
	}
}

static int sync_as_nobody(void *arg, struct turn *t)
{
	return become_nobody() ? 1 : sync_once(arg, t);
}

/* A dirty object with rules is in the way of nobody else's syncs. */
TEST_F(delayed, other_users_sync_does_not_wait)
{
	struct sync_task s = { .fd = -1 };
	struct child c = child_start(sync_as_nobody, &s);

	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_NE(0, delays_add(&self->d, MMAPDEV_EVENT_FLUSH, 3).id);
	ASSERT_NE(0, delays_add(&self->d, MMAPDEV_EVENT_WRITEBACK, 3).id);
	ASSERT_EQ(0, child_go(&c));
	EXPECT_TRUE(ends_within(&c, SOON));
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	EXPECT_EQ(0, child_done(&c));
	EXPECT_EQ(0, child_end(&c));
}

TEST_F(delayed, syncfs_by_another_objects_file_does_not_wait)
{
	struct sync_task s = { .fd = self->other.fd };
	struct child c = child_start(syncfs_once, &s);

	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_NE(0, delays_add(&self->d, MMAPDEV_EVENT_FLUSH, 3).id);
	ASSERT_EQ(0, child_go(&c));
	EXPECT_TRUE(ends_within(&c, SOON));
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	EXPECT_EQ(0, child_done(&c));
	EXPECT_EQ(0, child_end(&c));
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
