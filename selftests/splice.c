// SPDX-License-Identifier: GPL-2.0
/*
 * Moving bytes without a buffer of one's own: splice(2) to and from pipes,
 * sendfile(2), copy_file_range(2).
 */
#include "harness.h"

#include <sys/sendfile.h>
#include <sys/socket.h>

#include "bytes.h"
#include "device.h"

#define PAGES	4

/* An object of four pages of 'a' to 'd', the third of them punched out. */
FIXTURE(splice) {
	struct object o;
	size_t page;
	size_t length;
	int pipe[2];
};

FIXTURE_VARIANT(splice) {
	enum backend_kind kind;
};

FIXTURE_SETUP(splice)
{
	self->page = getpagesize();
	self->length = PAGES * self->page;
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_fill(&self->o, 2, 'a'));
	ASSERT_EQ(0, object_resize(&self->o, self->length));
	for (size_t i = 3 * self->page; i < self->length; i++)
		ASSERT_EQ(1, pwrite(self->o.fd, "d", 1, i));
	ASSERT_EQ(0, pipe(self->pipe));
	ASSERT_LE(self->length, fcntl(self->pipe[1], F_SETPIPE_SZ,
				      16 * self->page));
}

FIXTURE_TEARDOWN(splice)
{
	object_close(&self->o);
}

FILE_VARIANTS(splice);

/* What the object has at an offset. */
static unsigned char byte_at(size_t offset)
{
	static const unsigned char bytes[] = { 'a', 'b', 0, 'd' };

	return bytes[offset / getpagesize()];
}

/* Does the descriptor give the n bytes that the object has from offset on? */
static bool gives(int fd, size_t offset, size_t n)
{
	unsigned char bytes[n];
	size_t got = 0;

	while (got < n) {
		ssize_t ret = read(fd, bytes + got, n - got);

		if (ret <= 0)
			return false;
		got += ret;
	}
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != byte_at(offset + i))
			return false;
	return true;
}

/* Move n bytes into the pipe, in as many calls as it takes. */
static size_t splice_out(int fd, off_t *offset, int pipe, size_t n)
{
	size_t done = 0;
	ssize_t ret;

	while (done < n) {
		ret = splice(fd, offset, pipe, NULL, n - done, 0);
		if (ret <= 0)
			break;
		done += ret;
	}
	return done;
}

TEST_F(splice, object_goes_into_a_pipe_with_its_holes_as_zeros)
{
	off_t offset = 100;

	EXPECT_EQ(self->length - 100, splice_out(self->o.fd, &offset,
						 self->pipe[1], self->length));
	EXPECT_EQ(self->length, offset);
	EXPECT_EQ(0, lseek(self->o.fd, 0, SEEK_CUR));
	EXPECT_TRUE(gives(self->pipe[0], 100, self->length - 100));
	/* Looking at a hole makes no page. */
	EXPECT_EQ(3, object_resident(&self->o));
}

TEST_F(splice, position_moves_when_no_offset_is_given)
{
	ASSERT_EQ(self->page - 3, lseek(self->o.fd, self->page - 3, SEEK_SET));
	EXPECT_EQ(10, splice_out(self->o.fd, NULL, self->pipe[1], 10));
	EXPECT_EQ(self->page + 7, lseek(self->o.fd, 0, SEEK_CUR));
	EXPECT_TRUE(gives(self->pipe[0], self->page - 3, 10));
}

TEST_F(splice, at_and_past_the_end_nothing_moves)
{
	off_t offset = self->length;

	EXPECT_EQ(0, splice(self->o.fd, &offset, self->pipe[1], NULL, 10, 0));
	EXPECT_EQ(self->length, offset);
	offset = 10 * self->length;
	EXPECT_EQ(0, splice(self->o.fd, &offset, self->pipe[1], NULL, 10, 0));
	EXPECT_EQ(10 * self->length, offset);
}

TEST_F(splice, pipe_goes_into_the_object)
{
	off_t offset = 2 * self->page - 2;

	ASSERT_EQ(5, write(self->pipe[1], "hello", 5));
	EXPECT_EQ(5, splice(self->pipe[0], NULL, self->o.fd, &offset, 5, 0));
	EXPECT_EQ(2 * self->page + 3, offset);
	EXPECT_EQ('b', object_byte(&self->o, 2 * self->page - 3));
	EXPECT_EQ('h', object_byte(&self->o, 2 * self->page - 2));
	EXPECT_EQ('o', object_byte(&self->o, 2 * self->page + 2));
	EXPECT_EQ(0, object_byte(&self->o, 2 * self->page + 3));
	EXPECT_EQ(PAGES, object_resident(&self->o));
	EXPECT_EQ(0, lseek(self->o.fd, 0, SEEK_CUR));
}

TEST_F(splice, pipe_that_goes_past_the_end_extends_the_object)
{
	ASSERT_EQ(self->length - 2,
		  lseek(self->o.fd, self->length - 2, SEEK_SET));
	ASSERT_EQ(5, write(self->pipe[1], "hello", 5));
	EXPECT_EQ(5, splice(self->pipe[0], NULL, self->o.fd, NULL, 5, 0));
	EXPECT_EQ(self->length + 3, object_size(&self->o));
	EXPECT_EQ(self->length + 3, lseek(self->o.fd, 0, SEEK_CUR));
	EXPECT_EQ('o', object_byte(&self->o, self->length + 2));
}

/* The pipe's page was the object's: a store of later must not show. */
TEST_F(splice, object_goes_through_a_pipe_into_another)
{
	struct object other = object_open(variant->kind);
	off_t from = 0, to = 0;

	ASSERT_GE(other.fd, 0);
	ASSERT_EQ(0, object_resize(&other, 0));
	ASSERT_EQ(self->length, splice_out(self->o.fd, &from, self->pipe[1],
					   self->length));
	while (to < (off_t)self->length) {
		ASSERT_LT(0, splice(self->pipe[0], NULL, other.fd, &to,
				    self->length, 0));
	}
	ASSERT_EQ(1, pwrite(self->o.fd, "x", 1, 0));
	EXPECT_EQ(self->length, object_size(&other));
	EXPECT_TRUE(gives(other.fd, 0, self->length));
	object_close(&other);
}

TEST_F(splice, access_modes_hold)
{
	struct object reader = object_open_flags(variant->kind, O_RDONLY);
	struct object writer = object_open_flags(variant->kind, O_WRONLY);

	ASSERT_GE(reader.fd, 0);
	ASSERT_GE(writer.fd, 0);
	ASSERT_EQ(5, write(self->pipe[1], "hello", 5));
	EXPECT_EQ(-1, splice(self->pipe[0], NULL, reader.fd, NULL, 5, 0));
	EXPECT_EQ(EBADF, errno);
	errno = 0;
	EXPECT_EQ(-1, splice(writer.fd, NULL, self->pipe[1], NULL, 5, 0));
	EXPECT_EQ(EBADF, errno);
	object_close(&reader);
	object_close(&writer);
}

/* sendfile(2) until nothing more goes. */
static size_t send_all(int to, int from, off_t *offset, size_t n)
{
	size_t done = 0;
	ssize_t ret;

	while (done < n) {
		ret = sendfile(to, from, offset, n - done);
		if (ret <= 0)
			break;
		done += ret;
	}
	return done;
}

TEST_F(splice, sendfile_fills_another_object)
{
	struct object other = object_open(variant->kind);
	off_t offset = 10;

	ASSERT_GE(other.fd, 0);
	ASSERT_EQ(0, object_resize(&other, 0));
	EXPECT_EQ(self->length - 10, send_all(other.fd, self->o.fd, &offset,
					      2 * self->length));
	EXPECT_EQ(self->length, offset);
	EXPECT_EQ(self->length - 10, object_size(&other));
	ASSERT_EQ(0, lseek(other.fd, 0, SEEK_SET));
	EXPECT_TRUE(gives(other.fd, 10, self->length - 10));
	EXPECT_EQ(3, object_resident(&self->o));
	object_close(&other);
}

TEST_F(splice, sendfile_fills_a_socket_and_a_pipe)
{
	off_t offset = 0;
	int pair[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	EXPECT_EQ(self->length, send_all(pair[0], self->o.fd, &offset,
					 self->length));
	EXPECT_TRUE(gives(pair[1], 0, self->length));
	offset = self->page - 1;
	EXPECT_EQ(2, send_all(self->pipe[1], self->o.fd, &offset, 2));
	EXPECT_TRUE(gives(self->pipe[0], self->page - 1, 2));
	close(pair[0]);
	close(pair[1]);
}

TEST_F(splice, sendfile_moves_the_position_when_no_offset_is_given)
{
	ASSERT_EQ(5, lseek(self->o.fd, 5, SEEK_SET));
	EXPECT_EQ(10, sendfile(self->pipe[1], self->o.fd, NULL, 10));
	EXPECT_EQ(15, lseek(self->o.fd, 0, SEEK_CUR));
	EXPECT_EQ(0, sendfile(self->pipe[1], self->o.fd,
			      &(off_t){ self->length }, 10));
}

/* copy_file_range(2) is for regular files: the same object, four pages. */
FIXTURE(copy_range) {
	struct object o;
	struct object to;	/* another, empty */
	size_t page;
	size_t length;
};

FIXTURE_VARIANT(copy_range) {
	enum backend_kind kind;
};

FIXTURE_SETUP(copy_range)
{
	self->page = getpagesize();
	self->length = PAGES * self->page;
	self->o = object_open(variant->kind);
	self->to = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_GE(self->to.fd, 0);
	ASSERT_EQ(0, object_fill(&self->o, 2, 'a'));
	ASSERT_EQ(0, object_resize(&self->o, self->length));
	for (size_t i = 3 * self->page; i < self->length; i++)
		ASSERT_EQ(1, pwrite(self->o.fd, "d", 1, i));
}

FIXTURE_TEARDOWN(copy_range)
{
	object_close(&self->o);
	object_close(&self->to);
}

REGULAR_VARIANTS(copy_range);

/* copy_file_range(2) until nothing more goes. */
static size_t copy_all(int from, off_t *offset, int to, off_t *to_offset,
		       size_t n)
{
	size_t done = 0;
	ssize_t ret;

	while (done < n) {
		ret = copy_file_range(from, offset, to, to_offset, n - done, 0);
		if (ret <= 0)
			break;
		done += ret;
	}
	return done;
}

TEST_F(copy_range, copies_one_object_to_another)
{
	off_t from = 7, to = 1000;

	EXPECT_EQ(self->length - 7, copy_all(self->o.fd, &from, self->to.fd,
					     &to, 2 * self->length));
	EXPECT_EQ(self->length, from);
	EXPECT_EQ(self->length - 7 + 1000, to);
	EXPECT_EQ(to, object_size(&self->to));
	EXPECT_EQ(0, object_byte(&self->to, 999));
	ASSERT_EQ(1000, lseek(self->to.fd, 1000, SEEK_SET));
	EXPECT_TRUE(gives(self->to.fd, 7, self->length - 7));
	EXPECT_EQ(3, object_resident(&self->o));
}

TEST_F(copy_range, copies_within_one_object)
{
	off_t from = 10, to = self->length - 5;

	EXPECT_EQ(self->page, copy_all(self->o.fd, &from, self->o.fd, &to,
				       self->page));
	EXPECT_EQ(self->length - 5 + self->page, object_size(&self->o));
	ASSERT_EQ(self->length - 5,
		  lseek(self->o.fd, self->length - 5, SEEK_SET));
	EXPECT_TRUE(gives(self->o.fd, 10, self->page));
	EXPECT_EQ('d', object_byte(&self->o, self->length - 6));
}

/* However the two descriptors came to be. */
TEST_F(copy_range, ranges_that_overlap_are_einval)
{
	int again = fd_reopen(self->o.fd, O_RDWR);
	off_t from = 0, to = self->page - 1;

	ASSERT_GE(again, 0);
	EXPECT_EQ(-1, copy_file_range(self->o.fd, &from, self->o.fd, &to,
				      self->page, 0));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, copy_file_range(self->o.fd, &to, again, &from,
				      self->page, 0));
	EXPECT_EQ(EINVAL, errno);
	if (variant->kind == OBJFILE) {
		int file = object_file(self->o.fd, O_RDWR);

		errno = 0;
		EXPECT_EQ(-1, copy_file_range(self->o.fd, &to, file, &from,
					      self->page, 0));
		EXPECT_EQ(EINVAL, errno);
		close(file);
	}
	EXPECT_EQ(self->page - 1, copy_all(self->o.fd, &from, again, &to,
					   self->page - 1));
	close(again);
}

TEST_F(copy_range, at_and_past_the_end_nothing_moves)
{
	off_t from = self->length, to = 0;

	EXPECT_EQ(0, copy_file_range(self->o.fd, &from, self->to.fd, &to, 10,
				     0));
	from = 10 * self->length;
	EXPECT_EQ(0, copy_file_range(self->o.fd, &from, self->to.fd, &to, 10,
				     0));
	EXPECT_EQ(0, object_size(&self->to));
}

TEST_F(copy_range, to_and_from_another_file_system_is_exdev)
{
	enum backend_kind kind = variant->kind == OBJFILE ? TMPFS : OBJFILE;
	struct object other = object_open(kind);
	off_t from = 0, to = 0;

	if (other.fd < 0 && variant->kind != OBJFILE)
		SKIP(return, "no other file system: mmapdev is not loaded");
	ASSERT_GE(other.fd, 0);
	EXPECT_EQ(-1, copy_file_range(self->o.fd, &from, other.fd, &to, 10,
				      0));
	EXPECT_EQ(EXDEV, errno);
	ASSERT_EQ(0, object_fill(&other, 1, 'x'));
	errno = 0;
	EXPECT_EQ(-1, copy_file_range(other.fd, &from, self->o.fd, &to, 10,
				      0));
	EXPECT_EQ(EXDEV, errno);
	object_close(&other);
}

TEST_F(copy_range, access_modes_and_append_hold)
{
	struct object reader = object_open_flags(variant->kind, O_RDONLY);
	struct object writer = object_open_flags(variant->kind, O_WRONLY);
	struct object adder = object_open_flags(variant->kind,
						O_RDWR | O_APPEND);

	EXPECT_EQ(-1, copy_file_range(self->o.fd, NULL, reader.fd, NULL, 1,
				      0));
	EXPECT_EQ(EBADF, errno);
	errno = 0;
	EXPECT_EQ(-1, copy_file_range(writer.fd, NULL, self->o.fd, NULL, 1,
				      0));
	EXPECT_EQ(EBADF, errno);
	errno = 0;
	EXPECT_EQ(-1, copy_file_range(self->o.fd, NULL, adder.fd, NULL, 1, 0));
	EXPECT_EQ(EBADF, errno);
	object_close(&reader);
	object_close(&writer);
	object_close(&adder);
}

TEST_HARNESS_MAIN
