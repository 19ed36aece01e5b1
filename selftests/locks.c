// SPDX-License-Identifier: GPL-2.0
/*
 * Locks on an object's file: flock(2), fcntl(2) of processes and of
 * descriptors. They are the file's: they bind all who have it open, however
 * they came by it, and nobody else; and they stop no one who does not ask.
 */
#include "harness.h"

#include <sys/file.h>

#include "bytes.h"
#include "child.h"
#include "device.h"

/* The same file once more: fd; and a file of another object: stranger. */
FIXTURE(locks) {
	struct object o;
	int fd;
	struct object stranger;
	size_t page;
};

FIXTURE_VARIANT(locks) {
	enum backend_kind kind;
	bool again_by_ioctl;	/* else by /proc/self/fd */
};

#define LOCKS_VARIANT(name, backend, by_ioctl)				\
	FIXTURE_VARIANT_ADD(locks, name) {				\
		.kind = backend, .again_by_ioctl = by_ioctl,		\
	}

LOCKS_VARIANT(object_file, OBJFILE, false);
LOCKS_VARIANT(object_file_twice, OBJFILE, true);
LOCKS_VARIANT(memfd, MEMFD, false);
LOCKS_VARIANT(tmpfs, TMPFS, false);

FIXTURE_SETUP(locks)
{
	self->page = getpagesize();
	self->o = object_open(variant->kind);
	self->stranger = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_GE(self->stranger.fd, 0);
	self->fd = variant->again_by_ioctl ? object_file(self->o.fd, O_RDWR) :
					     fd_reopen(self->o.fd, O_RDWR);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(locks)
{
	object_close(&self->o);
	object_close(&self->stranger);
	close(self->fd);
}

TEST_F(locks, flock_binds_other_descriptors_of_the_file)
{
	ASSERT_EQ(0, flock(self->o.fd, LOCK_EX));
	EXPECT_EQ(-1, flock(self->fd, LOCK_SH | LOCK_NB));
	EXPECT_EQ(EWOULDBLOCK, errno);
	EXPECT_EQ(0, flock(self->stranger.fd, LOCK_EX | LOCK_NB));
	ASSERT_EQ(0, flock(self->o.fd, LOCK_SH));
	EXPECT_EQ(0, flock(self->fd, LOCK_SH | LOCK_NB));
	EXPECT_EQ(-1, flock(self->fd, LOCK_EX | LOCK_NB));
	EXPECT_EQ(EWOULDBLOCK, errno);
	ASSERT_EQ(0, flock(self->o.fd, LOCK_UN));
	EXPECT_EQ(0, flock(self->fd, LOCK_EX | LOCK_NB));
}

TEST_F(locks, flock_goes_with_its_descriptor)
{
	ASSERT_EQ(0, flock(self->o.fd, LOCK_EX));
	object_close(&self->o);
	EXPECT_EQ(0, flock(self->fd, LOCK_EX | LOCK_NB));
}

/* fcntl(2) on one byte: 0, or the error. */
static int lock_byte(int fd, int command, short type, off_t at)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1,
	};

	return fcntl(fd, command, &lock) ? errno : 0;
}

TEST_F(locks, open_file_description_locks_bind_by_the_byte)
{
	ASSERT_EQ(0, lock_byte(self->o.fd, F_OFD_SETLK, F_WRLCK, 7));
	EXPECT_EQ(EAGAIN, lock_byte(self->fd, F_OFD_SETLK, F_WRLCK, 7));
	EXPECT_EQ(EAGAIN, lock_byte(self->fd, F_OFD_SETLK, F_RDLCK, 7));
	EXPECT_EQ(0, lock_byte(self->fd, F_OFD_SETLK, F_WRLCK, 8));
	EXPECT_EQ(0, lock_byte(self->stranger.fd, F_OFD_SETLK, F_WRLCK, 7));
	/* Bytes that are not there can be locked: the file is empty. */
	EXPECT_EQ(0, lock_byte(self->fd, F_OFD_SETLK, F_WRLCK, 1LL << 40));
	ASSERT_EQ(0, lock_byte(self->o.fd, F_OFD_SETLK, F_UNLCK, 7));
	EXPECT_EQ(0, lock_byte(self->fd, F_OFD_SETLK, F_RDLCK, 7));
	EXPECT_EQ(0, lock_byte(self->o.fd, F_OFD_SETLK, F_RDLCK, 7));
}

struct other {
	int fd;
	int stranger;
};

/* A process with the same file: what it can lock while the parent has byte 7. */
static int lock_in_child(void *arg, struct turn *t)
{
	const struct other *other = arg;
	struct flock lock = { .l_type = F_WRLCK, .l_len = 100 };

	if (lock_byte(other->fd, F_SETLK, F_RDLCK, 7) != EAGAIN)
		return 1;
	if (lock_byte(other->fd, F_SETLK, F_WRLCK, 8))
		return 2;
	if (lock_byte(other->stranger, F_SETLK, F_WRLCK, 7))
		return 3;
	if (fcntl(other->fd, F_GETLK, &lock) || lock.l_pid != getppid() ||
	    lock.l_start != 7 || lock.l_len != 1 || lock.l_type != F_WRLCK)
		return 4;
	if (turn_done(t) || turn_wait(t))
		return 5;
	return lock_byte(other->fd, F_SETLK, F_WRLCK, 7);
}

TEST_F(locks, process_locks_bind_other_processes)
{
	struct other other = { self->fd, self->stranger.fd };
	struct child c;

	ASSERT_EQ(0, lock_byte(self->o.fd, F_SETLK, F_WRLCK, 7));
	/* Not oneself, by whatever descriptor. */
	EXPECT_EQ(0, lock_byte(self->fd, F_SETLK, F_WRLCK, 7));
	c = child_start(lock_in_child, &other);
	ASSERT_EQ(0, child_done(&c));
	ASSERT_EQ(0, lock_byte(self->o.fd, F_SETLK, F_UNLCK, 7));
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
}

static int lock_without_waiting(void *arg, struct turn *t)
{
	return lock_byte(*(int *)arg, F_SETLK, F_WRLCK, 7);
}

/* POSIX: any descriptor of the file that is closed takes them all away. */
TEST_F(locks, process_locks_go_when_any_descriptor_does)
{
	ASSERT_EQ(0, lock_byte(self->o.fd, F_SETLK, F_WRLCK, 7));
	EXPECT_EQ(EAGAIN, child_run(lock_without_waiting, &self->fd));
	close(fd_reopen(self->o.fd, O_RDONLY));
	EXPECT_EQ(0, child_run(lock_without_waiting, &self->fd));
}

static int wait_for_lock(void *arg, struct turn *t)
{
	if (turn_done(t))
		return 1;
	return lock_byte(*(int *)arg, F_SETLKW, F_WRLCK, 7);
}

TEST_F(locks, waiting_ends_when_the_lock_does)
{
	struct child c;

	ASSERT_EQ(0, lock_byte(self->o.fd, F_SETLK, F_WRLCK, 7));
	c = child_start(wait_for_lock, &self->fd);
	ASSERT_EQ(0, child_done(&c));
	usleep(20000);
	EXPECT_EQ(0, waitpid(c.pid, NULL, WNOHANG));
	ASSERT_EQ(0, lock_byte(self->o.fd, F_SETLK, F_UNLCK, 7));
	EXPECT_EQ(0, child_end(&c));
}

TEST_F(locks, need_the_access_that_they_are_for)
{
	int reader = fd_reopen(self->o.fd, O_RDONLY);
	int writer = fd_reopen(self->o.fd, O_WRONLY);

	ASSERT_GE(reader, 0);
	ASSERT_GE(writer, 0);
	EXPECT_EQ(EBADF, lock_byte(reader, F_SETLK, F_WRLCK, 7));
	EXPECT_EQ(0, lock_byte(reader, F_SETLK, F_RDLCK, 7));
	EXPECT_EQ(EBADF, lock_byte(writer, F_SETLK, F_RDLCK, 7));
	EXPECT_EQ(0, lock_byte(writer, F_SETLK, F_WRLCK, 7));
	EXPECT_EQ(0, flock(reader, LOCK_EX | LOCK_NB));
	close(reader);
	close(writer);
}

TEST_F(locks, stop_nobody_who_does_not_lock)
{
	unsigned char *p;

	ASSERT_EQ(0, flock(self->o.fd, LOCK_EX));
	ASSERT_EQ(0, lock_byte(self->o.fd, F_OFD_SETLK, F_WRLCK, 7));
	EXPECT_EQ(1, pwrite(self->fd, "x", 1, 7));
	EXPECT_EQ('x', object_byte(&self->o, 7));
	p = mmap(NULL, self->page, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	p[7] = 'y';
	EXPECT_EQ('y', object_byte(&self->o, 7));
	EXPECT_EQ(0, ftruncate(self->fd, 0));
}

TEST_HARNESS_MAIN
