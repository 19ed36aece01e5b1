// SPDX-License-Identifier: GPL-2.0
/*
 * A write whose source does not come, since its file system hangs, holds up tasks that write
 * to the same object, until they are killed, and nobody else. mmapdev only.
 */
#include "harness.h"

#include <linux/falloc.h>
#include <sched.h>
#include <sys/mount.h>

#include "child.h"
#include "device.h"
#include "fuse.h"
#include "name.h"

#define DIR_PATH	"/mnt"
#define SECONDS		20	/* nobody waits that long */

FIXTURE(held) {
	struct fuse_server server;
	struct object o;	/* is written to */
	struct object other;
	int file;		/* of o */
	char *source;
	struct child writer;
};

static int write_from_source(void *arg, struct turn *t)
{
	FIXTURE_DATA(held) *self = arg;

	return write(self->file, self->source, 1) != 1;
}

FIXTURE_SETUP(held)
{
	int file;

	if (fuse_start(&self->server, getpagesize()))
		SKIP(return, "no FUSE: %s", strerror(errno));
	file = openat(self->server.root, "f", O_RDWR);
	ASSERT_LE(0, file);
	self->source = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, self->source);
	close(file);
	self->o = object_open(MMAPDEV);
	self->other = object_open(MMAPDEV);
	ASSERT_LE(0, self->o.fd);
	ASSERT_LE(0, self->other.fd);
	ASSERT_EQ(0, name_give(&self->o, NAME));
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_EQ(0, mount("none", DIR_PATH, "mmapdev", 0, NULL));
	self->file = object_file(self->o.fd, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->file);

	self->server.state->hold = FUSE_READ;
	self->writer = child_start(write_from_source, self);
	while (!self->server.state->held)
		usleep(1000);
	usleep(100000);		/* not only readahead has come there */
}

/* The write, once it goes on, is as any other. */
FIXTURE_TEARDOWN(held)
{
	if (self->server.pid <= 0)
		return;
	self->server.state->hold = 0;
	EXPECT_EQ(0, child_end(&self->writer));
	munmap(self->source, getpagesize());
	close(self->file);
	umount(DIR_PATH);
	name_remove(&self->o);
	object_close(&self->o);
	object_close(&self->other);
	fuse_stop(&self->server);
	name_clean(NAME_2);
}

static bool hold_is_on(const struct fuse_server *server)
{
	return server->state->held;
}

static int look_up(void *arg, struct turn *t)
{
	struct mmapdev_info info;
	struct object o;
	int fd;

	fd = open(DIR_PATH "/" NAME, O_RDWR);
	if (fd < 0 || ioctl(fd, MMAPDEV_IOC_GET_INFO, &info) ||
	    strcmp(info.name, NAME))
		return 1;
	close(fd);
	o = name_open(NAME, O_RDWR);
	fd = object_file(o.fd, O_RDWR);
	if (fd < 0 || ioctl(o.fd, MMAPDEV_IOC_GET_INFO, &info))
		return 2;
	close(fd);
	object_close(&o);
	return turn_done(t);
}

TEST_F(held, nobody_who_looks_the_object_up)
{
	struct child c = child_start(look_up, NULL);

	EXPECT_TRUE(ends_within(&c, SECONDS));
	EXPECT_TRUE(hold_is_on(&self->server));
	EXPECT_EQ(0, child_end(&c));
}

static int name_other(void *arg, struct turn *t)
{
	FIXTURE_DATA(held) *self = arg;
	struct mmapdev_info info;
	struct object o;

	if (name_give(&self->other, NAME_2))
		return 1;
	o = name_open(NAME_2, O_RDWR);
	if (o.fd < 0 || ioctl(o.fd, MMAPDEV_IOC_GET_INFO, &info) ||
	    strcmp(info.name, NAME_2) || name_remove(&o))
		return 2;
	return turn_done(t);
}

TEST_F(held, nobody_who_looks_others_up)
{
	struct child looks = child_start(look_up, NULL);
	struct child c;

	usleep(100000);
	c = child_start(name_other, self);
	EXPECT_TRUE(ends_within(&c, SECONDS));
	EXPECT_TRUE(hold_is_on(&self->server));
	self->server.state->hold = 0;
	EXPECT_EQ(0, child_end(&c));
	EXPECT_EQ(0, child_done(&looks));
	EXPECT_EQ(0, child_end(&looks));
}

static int rename_it(void *arg, struct turn *t)
{
	FIXTURE_DATA(held) *self = arg;

	if (name_remove(&self->o) || name_exists(NAME) ||
	    !access(DIR_PATH "/" NAME, F_OK) || name_give(&self->o, NAME) ||
	    access(DIR_PATH "/" NAME, F_OK))
		return 1;
	return turn_done(t);
}

TEST_F(held, nobody_who_names_it)
{
	struct child c = child_start(rename_it, self);

	EXPECT_TRUE(ends_within(&c, SECONDS));
	EXPECT_TRUE(hold_is_on(&self->server));
	EXPECT_EQ(0, child_end(&c));
}

static int write_too(FIXTURE_DATA(held) *self)
{
	return write(self->file, "x", 1);
}

static int truncate_too(FIXTURE_DATA(held) *self)
{
	struct mmapdev_size size = { .size = 1 };

	return ioctl(self->o.fd, MMAPDEV_IOC_SET_SIZE, &size);
}

static int seek_too(FIXTURE_DATA(held) *self)
{
	return lseek(self->file, 0, SEEK_HOLE);
}

static int allocate_too(FIXTURE_DATA(held) *self)
{
	return fallocate(self->file, 0, 0, 1);
}

struct call {
	FIXTURE_DATA(held) *self;
	int (*run)(FIXTURE_DATA(held) *self);
};

static int call(void *arg, struct turn *t)
{
	struct call *c = arg;

	if (turn_done(t))
		return 1;
	c->run(c->self);
	turn_done(t);
	return 0;
}

TEST_F(held, nobody_who_is_killed)
{
	int (*const runs[])(FIXTURE_DATA(held) *self) = {
		write_too, truncate_too, seek_too, allocate_too,
	};

	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		struct call it = { self, runs[i] };
		struct child c = child_start(call, &it);

		ASSERT_EQ(0, child_done(&c));
		EXPECT_FALSE(ends_within(&c, 1)) TH_LOG("call %zu", i);
		kill(c.pid, SIGKILL);
		ASSERT_TRUE(dies_within(&c, SECONDS)) TH_LOG("call %zu", i);
		ASSERT_TRUE(hold_is_on(&self->server));
		EXPECT_EQ(128 + SIGKILL, child_end(&c));
	}
}

TEST_HARNESS_MAIN
