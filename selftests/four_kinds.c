// SPDX-License-Identifier: GPL-2.0
/*
 * The four kinds of mapping: shared or private, of one object or of objects of
 * one's own. Who sees whose stores.
 */
#include "harness.h"

#include <sys/socket.h>

#include "backend.h"
#include "bytes.h"
#include "child.h"

#define PAGES	4

/* Put one byte into the object by pwrite(2): 0, or -1. */
static int object_put(const struct object *o, off_t offset, unsigned char byte)
{
	return pwrite(o->fd, &byte, 1, offset) == 1 ? 0 : -1;
}

OBJECT_FIXTURE(shared);
FILE_VARIANTS(shared);

TEST_F(shared, two_mappings_see_each_other_at_once)
{
	size_t length = PAGES * self->page;
	unsigned char *a;
	unsigned char *b;

	ASSERT_EQ(0, object_resize(&self->o, length));
	a = object_map(&self->o, length, RW, MAP_SHARED);
	b = object_map(&self->o, length, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	for (size_t at = 0; at < length; at += 511) {
		a[at] = at % 251 + 1;
		ASSERT_EQ(at % 251 + 1, b[at]);
		b[at]++;
		ASSERT_EQ(at % 251 + 2, a[at]);
	}
}

TEST_F(shared, mappings_that_overlap_in_part_share_that_part)
{
	size_t page = self->page;
	unsigned char *a;
	unsigned char *b;

	ASSERT_EQ(0, object_resize(&self->o, 8 * page));
	a = object_map_at(&self->o, NULL, 6 * page, RW, MAP_SHARED, 0);
	b = object_map_at(&self->o, NULL, 6 * page, RW, MAP_SHARED, 2 * page);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	for (int i = 0; i < 6; i++)
		a[i * page] = 'a' + i;
	for (int i = 0; i < 4; i++)
		EXPECT_EQ('c' + i, b[i * page]);
	EXPECT_EQ(0, b[4 * page]);
}

TEST_F(shared, read_and_write_meet_the_mapping)
{
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
	p = object_map(&self->o, PAGES * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	p[self->page + 7] = 'm';
	EXPECT_EQ('m', object_byte(&self->o, self->page + 7));
	EXPECT_EQ(0, object_put(&self->o, self->page + 8, 'w'));
	EXPECT_EQ('w', p[self->page + 8]);
	EXPECT_EQ(0, object_put(&self->o, 3 * self->page, 'h'));
	EXPECT_EQ('h', p[3 * self->page]);
}

TEST_F(shared, read_only_mapping_sees_stores)
{
	unsigned char *r;
	unsigned char *w;

	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
	r = object_map(&self->o, PAGES * self->page, PROT_READ, MAP_SHARED);
	w = object_map(&self->o, PAGES * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, r);
	ASSERT_NE(MAP_FAILED, w);
	EXPECT_EQ(0, r[0]);
	w[0] = 'x';
	EXPECT_EQ('x', r[0]);
	w[self->page] = 'y';
	EXPECT_EQ('y', r[self->page]);
}

TEST_F(shared, validate_is_shared_and_checks_flags)
{
	unsigned char *a;
	unsigned char *b;

	ASSERT_EQ(0, object_resize(&self->o, self->page));
	a = object_map(&self->o, self->page, RW, MAP_SHARED_VALIDATE);
	b = object_map(&self->o, self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	a[0] = 'x';
	EXPECT_EQ('x', b[0]);
	EXPECT_EQ('x', object_byte(&self->o, 0));
	b[1] = 'y';
	EXPECT_EQ('y', a[1]);

	EXPECT_EQ(MAP_FAILED, object_map(&self->o, self->page, RW,
					 MAP_SHARED_VALIDATE | MAP_SYNC));
	EXPECT_EQ(EOPNOTSUPP, errno);
}

TEST_F(shared, duplicated_descriptor_is_the_same_object)
{
	struct object twin = self->o;
	unsigned char *a;
	unsigned char *b;

	ASSERT_EQ(0, object_resize(&self->o, self->page));
	twin.fd = dup(self->o.fd);
	ASSERT_GE(twin.fd, 0);
	a = object_map(&self->o, self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, a);
	a[0] = 'a';
	object_close(&self->o);
	b = object_map(&twin, self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ('a', b[0]);
	b[1] = 'b';
	EXPECT_EQ('b', a[1]);
	object_close(&twin);
}

/*
 * The other process: map the object by itself; see 'p' in the first page,
 * store 'c' in it and in the second, which is still a hole; then see 'q'.
 */
static int other_process(const struct object *o, struct turn *t)
{
	size_t page = getpagesize();
	volatile unsigned char *p;

	p = object_map(o, PAGES * page, RW, MAP_SHARED);
	if (p == MAP_FAILED)
		return 1;
	if (turn_wait(t) || p[0] != 'p')
		return 2;
	p[1] = 'c';
	p[page] = 'c';
	if (turn_done(t) || turn_wait(t))
		return 3;
	return p[2] == 'q' && p[2 * page] == 'q' ? 0 : 4;
}

/* The first process's side of other_process(): 0, or what went wrong. */
static int this_process(const struct object *o, struct child *c)
{
	size_t page = getpagesize();
	volatile unsigned char *p;

	p = object_map(o, PAGES * page, RW, MAP_SHARED);
	if (p == MAP_FAILED)
		return 11;
	p[0] = 'p';
	if (child_turn(c) || p[1] != 'c' || p[page] != 'c')
		return 12;
	p[2] = 'q';
	p[2 * page] = 'q';
	return child_go(c) ? 13 : 0;
}

static int map_inherited(void *arg, struct turn *t)
{
	return other_process(arg, t);
}

TEST_F(shared, two_processes_see_each_other)
{
	struct child c;

	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
	c = child_start(map_inherited, &self->o);
	EXPECT_EQ(0, this_process(&self->o, &c));
	EXPECT_EQ(0, child_end(&c));
}

static int send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = {};
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(socket, &msg, 0) == 1 ? 0 : -1;
}

static int receive_fd(int socket)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	int fd;

	if (recvmsg(socket, &msg, 0) != 1)
		return -1;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

struct sender {
	enum backend_kind kind;
	int socket;
};

/* Open an object that the parent has never had, and send it. */
static int send_object(void *arg, struct turn *t)
{
	const struct sender *s = arg;
	struct object o = object_open(s->kind);

	if (o.fd < 0 || object_resize(&o, PAGES * getpagesize()))
		return 21;
	if (send_fd(s->socket, o.fd))
		return 22;
	return other_process(&o, t);
}

TEST_F(shared, received_descriptor_is_the_same_object)
{
	struct sender s = { .kind = variant->kind };
	struct object got = { .kind = variant->kind };
	struct child c;
	int pair[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	s.socket = pair[1];
	c = child_start(send_object, &s);
	close(pair[1]);
	got.fd = receive_fd(pair[0]);
	ASSERT_GE(got.fd, 0);
	EXPECT_EQ(PAGES * self->page, object_size(&got));
	EXPECT_EQ(0, this_process(&got, &c));
	EXPECT_EQ(0, child_end(&c));
	object_close(&got);
}

OBJECT_FIXTURE(own);
MEMORY_VARIANTS(own);

/* A bug here shows one user's bytes to another. */
TEST_F(own, objects_of_two_opens_are_separate)
{
	int flags[] = { MAP_SHARED, MAP_PRIVATE };
	struct object other = object_open(variant->kind);

	ASSERT_EQ(0, object_size_for(&self->o, self->page));
	ASSERT_EQ(0, object_size_for(&other, self->page));
	for (int i = 0; i < 2; i++) {
		unsigned char *a;
		unsigned char *b;

		a = object_map(&self->o, self->page, RW, flags[i]);
		b = object_map(&other, self->page, RW, flags[i]);
		ASSERT_NE(MAP_FAILED, a);
		ASSERT_NE(MAP_FAILED, b);
		EXPECT_EQ(0, b[0]);
		a[0] = 'a';
		EXPECT_EQ(0, b[0]);
		b[1] = 'b';
		EXPECT_EQ(0, a[1]);
		EXPECT_EQ('a', a[0]);
		a[0] = 0;
	}
	object_close(&other);
}

TEST_F(own, private_mappings_are_isolated)
{
	unsigned char *a;
	unsigned char *b;

	ASSERT_EQ(0, object_size_for(&self->o, 2 * self->page));
	a = object_map(&self->o, 2 * self->page, RW, MAP_PRIVATE);
	b = object_map(&self->o, 2 * self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	a[0] = 'a';
	b[1] = 'b';
	EXPECT_EQ('a', a[0]);
	EXPECT_EQ(0, a[1]);
	EXPECT_EQ(0, b[0]);
	EXPECT_EQ('b', b[1]);
	/* and with the second page read by both before */
	EXPECT_EQ(0, a[self->page] + b[self->page]);
	a[self->page] = 'a';
	EXPECT_EQ(0, b[self->page]);
}

TEST_HARNESS_MAIN
