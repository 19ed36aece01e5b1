// SPDX-License-Identifier: GPL-2.0
/*
 * read(2) and write(2) see the pages that mappings see, holes as zeros.
 */
#include "harness.h"

#include <sys/uio.h>

#include "bytes.h"
#include "device.h"

OBJECT_FIXTURE(file_io);
FILE_VARIANTS(file_io);

/* A byte that tells its offset, for objects of many pages. */
static unsigned char pattern(size_t offset)
{
	return offset * 31 + offset / 251;
}

TEST_F(file_io, what_is_written_shows_in_mappings)
{
	char *p;

	ASSERT_EQ(0, object_resize(&self->o, 4 * self->page));
	p = object_map(&self->o, 4 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	p[10] = 'x';
	ASSERT_EQ(3, pwrite(self->o.fd, "abc", 3, 11));
	ASSERT_EQ(3, pwrite(self->o.fd, "def", 3, 2 * self->page - 1));
	EXPECT_EQ(0, memcmp(p + 10, "xabc", 5));
	EXPECT_EQ(0, memcmp(p + 2 * self->page - 1, "def", 4));
}

TEST_F(file_io, what_mappings_store_is_read)
{
	char bytes[8];
	char *p;

	ASSERT_EQ(0, object_resize(&self->o, 4 * self->page));
	p = object_map(&self->o, 4 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	memcpy(p + self->page - 3, "storing", 7);
	EXPECT_EQ(8, pread(self->o.fd, bytes, 8, self->page - 3));
	EXPECT_EQ(0, memcmp(bytes, "storing", 8));
}

/* What a private mapping stores is its own. */
TEST_F(file_io, private_copies_are_not_read)
{
	char *p;

	ASSERT_EQ(0, object_fill(&self->o, 2, 1));
	p = object_map(&self->o, 2 * self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	p[0] = 9;
	EXPECT_EQ(1, object_byte(&self->o, 0));
	ASSERT_EQ(1, pwrite(self->o.fd, "\7", 1, 1));
	EXPECT_EQ(1, p[1]);
}

TEST_F(file_io, reading_holes_gives_zeros_and_allocates_nothing)
{
	char bytes[8 * self->page];

	ASSERT_EQ(0, object_resize(&self->o, 8 * self->page));
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, 3 * self->page));
	memset(bytes, 9, sizeof(bytes));
	EXPECT_EQ(sizeof(bytes), pread(self->o.fd, bytes, sizeof(bytes), 0));
	EXPECT_TRUE(bytes_are(bytes, 0, 3 * self->page));
	EXPECT_EQ('a', bytes[3 * self->page]);
	EXPECT_TRUE(bytes_are(bytes + 3 * self->page + 1, 0,
			      5 * self->page - 1));
	EXPECT_EQ(1, object_resident(&self->o));
}

TEST_F(file_io, reading_stops_at_the_end_of_file)
{
	char bytes[2 * self->page];
	size_t end = self->page + 100;

	ASSERT_EQ(0, object_fill(&self->o, 2, 1));
	ASSERT_EQ(0, object_resize(&self->o, end));
	memset(bytes, 9, sizeof(bytes));
	EXPECT_EQ(150, pread(self->o.fd, bytes, 300, end - 150));
	EXPECT_TRUE(bytes_are(bytes, 1, 50));
	EXPECT_TRUE(bytes_are(bytes + 50, 2, 100));
	EXPECT_TRUE(bytes_are(bytes + 150, 9, 150));
	EXPECT_EQ(1, pread(self->o.fd, bytes, 2, end - 1));
	EXPECT_EQ(0, pread(self->o.fd, bytes, 1, end));
	EXPECT_EQ(0, pread(self->o.fd, bytes, 1, end + 10 * self->page));
	EXPECT_EQ(-1, pread(self->o.fd, bytes, 1, -1));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(file_io, moving_nothing_changes_nothing)
{
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	EXPECT_EQ(0, pwrite(self->o.fd, "a", 0, 0));
	EXPECT_EQ(0, pwrite(self->o.fd, "a", 0, 3 * self->page));
	EXPECT_EQ(0, pread(self->o.fd, NULL, 0, 0));
	EXPECT_EQ(0, write(self->o.fd, NULL, 0));
	EXPECT_EQ(self->page, object_size(&self->o));
	EXPECT_EQ(0, object_resident(&self->o));
	EXPECT_EQ(0, lseek(self->o.fd, 0, SEEK_CUR));
}

TEST_F(file_io, reading_and_writing_move_the_position)
{
	char bytes[8];

	ASSERT_EQ(0, object_resize(&self->o, 6));
	EXPECT_EQ(4, write(self->o.fd, "abcd", 4));
	EXPECT_EQ(4, lseek(self->o.fd, 0, SEEK_CUR));
	EXPECT_EQ(2, read(self->o.fd, bytes, sizeof(bytes)));
	EXPECT_EQ(0, memcmp(bytes, "\0", 2));
	EXPECT_EQ(6, lseek(self->o.fd, 0, SEEK_CUR));
	EXPECT_EQ(0, read(self->o.fd, bytes, sizeof(bytes)));
	/* These do not. */
	EXPECT_EQ(2, pread(self->o.fd, bytes, 2, 1));
	EXPECT_EQ(0, memcmp(bytes, "bc", 2));
	EXPECT_EQ(1, pwrite(self->o.fd, "x", 1, 0));
	EXPECT_EQ(6, lseek(self->o.fd, 0, SEEK_CUR));
}

TEST_F(file_io, duplicates_share_the_position)
{
	int copy = dup(self->o.fd);

	ASSERT_GE(copy, 0);
	ASSERT_EQ(0, object_resize(&self->o, 100));
	EXPECT_EQ(3, write(self->o.fd, "abc", 3));
	EXPECT_EQ(3, lseek(copy, 0, SEEK_CUR));
	EXPECT_EQ(2, write(copy, "de", 2));
	EXPECT_EQ(5, lseek(self->o.fd, 0, SEEK_CUR));
	EXPECT_EQ('e', object_byte(&self->o, 4));
	close(copy);
}

TEST_F(file_io, writing_past_the_end_extends_with_zeros_between)
{
	size_t at = 5 * self->page + 7;

	ASSERT_EQ(0, object_resize(&self->o, 0));
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, 0));
	EXPECT_EQ(1, object_size(&self->o));
	ASSERT_EQ(2, pwrite(self->o.fd, "bc", 2, at));
	EXPECT_EQ(at + 2, object_size(&self->o));
	for (size_t i = 1; i < at; i++)
		if (object_byte(&self->o, i)) {
			EXPECT_EQ(at, i);
			break;
		}
	EXPECT_EQ('b', object_byte(&self->o, at));
	EXPECT_EQ(2, object_resident(&self->o));
}

/* Growing must not bring back what a shrink has dropped. */
TEST_F(file_io, writing_past_the_end_does_not_bring_dropped_bytes_back)
{
	char bytes[2 * self->page];

	ASSERT_EQ(0, object_fill(&self->o, 2, 1));
	ASSERT_EQ(0, object_resize(&self->o, 100));
	ASSERT_EQ(1, pwrite(self->o.fd, "b", 1, 2 * self->page - 1));
	EXPECT_EQ(sizeof(bytes), pread(self->o.fd, bytes, sizeof(bytes), 0));
	EXPECT_TRUE(bytes_are(bytes, 1, 100));
	EXPECT_TRUE(bytes_are(bytes + 100, 0, 2 * self->page - 101));
	EXPECT_EQ('b', bytes[2 * self->page - 1]);
}

/* Tail to tail: the write ends within the page that the old end was in. */
TEST_F(file_io, appending_keeps_what_was_before_the_end)
{
	char *p;

	ASSERT_EQ(0, object_resize(&self->o, 0));
	for (int i = 0; i < 1000; i++)
		ASSERT_EQ(7, pwrite(self->o.fd, "sevenby", 7, 7 * i));
	EXPECT_EQ(7000, object_size(&self->o));
	p = object_map(&self->o, 7000, PROT_READ, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < 1000; i++)
		ASSERT_EQ(0, memcmp(p + 7 * i, "sevenby", 7));
	EXPECT_TRUE(bytes_are(p + 7000, 0, 2 * self->page - 7000));
}

TEST_F(file_io, writes_across_many_pages_arrive_whole)
{
	size_t from = self->page - 5, n = 256 * self->page + 11;
	unsigned char *bytes = malloc(n);
	unsigned char *p;

	ASSERT_NE(NULL, bytes);
	for (size_t i = 0; i < n; i++)
		bytes[i] = pattern(i);
	ASSERT_EQ(0, object_resize(&self->o, 0));
	ASSERT_EQ(n, pwrite(self->o.fd, bytes, n, from));
	EXPECT_EQ(from + n, object_size(&self->o));
	EXPECT_EQ(258, object_resident(&self->o));
	p = object_map(&self->o, from + n, PROT_READ, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_TRUE(bytes_are(p, 0, from));
	EXPECT_EQ(0, memcmp(p + from, bytes, n));
	memset(bytes, 0, n);
	ASSERT_EQ(n, pread(self->o.fd, bytes, n, from));
	EXPECT_EQ(0, memcmp(p + from, bytes, n));
	free(bytes);
}

TEST_F(file_io, vectors_are_one_after_the_other)
{
	char bytes[2 * self->page], a[3], b[4];
	struct iovec out[] = { { "ab", 2 }, { NULL, 0 },
			       { bytes, self->page }, { "cd", 2 } };
	struct iovec in[] = { { a, 3 }, { b, 4 } };

	memset(bytes, '-', sizeof(bytes));
	ASSERT_EQ(0, object_resize(&self->o, 0));
	EXPECT_EQ(self->page + 4, writev(self->o.fd, out, 4));
	EXPECT_EQ(self->page + 4, object_size(&self->o));
	EXPECT_EQ(self->page - 1, lseek(self->o.fd, self->page - 1, SEEK_SET));
	EXPECT_EQ(5, readv(self->o.fd, in, 2));
	EXPECT_EQ(0, memcmp(a, "---", 3));
	EXPECT_EQ(0, memcmp(b, "cd", 2));
	EXPECT_EQ(4, pwritev(self->o.fd, (struct iovec[]){ out[0], out[3] }, 2,
			     1));
	EXPECT_EQ(7, preadv(self->o.fd, in, 2, 0));
	EXPECT_EQ(0, memcmp(a, "aab", 3));
	EXPECT_EQ(0, memcmp(b, "cd--", 4));
}

TEST_F(file_io, o_append_writes_at_the_end_wherever_the_position_is)
{
	struct object o = object_open_flags(variant->kind, O_RDWR | O_APPEND);

	ASSERT_GE(o.fd, 0);
	ASSERT_EQ(0, object_resize(&o, self->page - 1));
	EXPECT_EQ(3, write(o.fd, "abc", 3));
	EXPECT_EQ(self->page + 2, object_size(&o));
	EXPECT_EQ(self->page + 2, lseek(o.fd, 0, SEEK_CUR));
	EXPECT_EQ(0, lseek(o.fd, 0, SEEK_SET));
	EXPECT_EQ(1, write(o.fd, "d", 1));
	EXPECT_EQ(1, pwrite(o.fd, "e", 1, 0));	/* Linux appends here too */
	EXPECT_EQ(self->page + 4, object_size(&o));
	EXPECT_EQ('a', object_byte(&o, self->page - 1));
	EXPECT_EQ('d', object_byte(&o, self->page + 2));
	EXPECT_EQ('e', object_byte(&o, self->page + 3));
	EXPECT_EQ(0, object_byte(&o, 0));
	object_close(&o);
}

TEST_F(file_io, rwf_append_writes_at_the_end)
{
	struct iovec v = { "abc", 3 };

	ASSERT_EQ(0, object_resize(&self->o, 10));
	EXPECT_EQ(3, pwritev2(self->o.fd, &v, 1, 0, RWF_APPEND));
	EXPECT_EQ(13, object_size(&self->o));
	EXPECT_EQ('a', object_byte(&self->o, 10));
	EXPECT_EQ(3, pwritev2(self->o.fd, &v, 1, 0, RWF_SYNC));
	EXPECT_EQ('a', object_byte(&self->o, 0));
}

TEST_F(file_io, unknown_rwf_flags_are_eopnotsupp_and_move_nothing)
{
	char byte = 'x';
	struct iovec v = { &byte, 1 };

	ASSERT_EQ(0, object_fill(&self->o, 1, 'a'));
	EXPECT_EQ(-1, pwritev2(self->o.fd, &v, 1, 0, 0x40000000));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(-1, preadv2(self->o.fd, &v, 1, 0, 0x40000000));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ('x', byte);
	EXPECT_EQ('a', object_byte(&self->o, 0));
}

TEST_F(file_io, access_modes_hold)
{
	struct object reader = object_open_flags(variant->kind, O_RDONLY);
	struct object writer = object_open_flags(variant->kind, O_WRONLY);
	char byte;

	ASSERT_GE(reader.fd, 0);
	ASSERT_GE(writer.fd, 0);
	EXPECT_EQ(-1, write(reader.fd, "a", 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, read(writer.fd, &byte, 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(1, write(writer.fd, "a", 1));
	object_close(&reader);
	object_close(&writer);
}

/* POSIX wants zeros there; the tmpfs of older kernels shows what was stored. */
OBJECT_FIXTURE(eof_tail);
MMAPDEV_VARIANTS(eof_tail);

TEST_F(eof_tail, bytes_stored_past_the_end_are_gone_when_a_write_extends)
{
	size_t half = self->page / 2;
	char *p;

	ASSERT_EQ(0, object_resize(&self->o, half));
	p = object_map(&self->o, self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 1, self->page);
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, self->page - 10));
	EXPECT_TRUE(bytes_are(p, 1, half));
	EXPECT_TRUE(bytes_are(p + half, 0, self->page - 10 - half));
	EXPECT_EQ('a', p[self->page - 10]);

	memset(p + self->page - 9, 1, 9);
	ASSERT_EQ(1, pwrite(self->o.fd, "b", 1, 3 * self->page));
	EXPECT_EQ('a', object_byte(&self->o, self->page - 10));
	EXPECT_TRUE(bytes_are(p + self->page - 9, 0, 9));
}

TEST_F(eof_tail, bytes_stored_past_the_end_are_never_read)
{
	char bytes[self->page];
	char *p;

	ASSERT_EQ(0, object_resize(&self->o, 10));
	p = object_map(&self->o, self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 1, self->page);
	memset(bytes, 9, sizeof(bytes));
	EXPECT_EQ(10, pread(self->o.fd, bytes, sizeof(bytes), 0));
	EXPECT_TRUE(bytes_are(bytes, 1, 10));
	EXPECT_TRUE(bytes_are(bytes + 10, 9, self->page - 10));
}

TEST_HARNESS_MAIN
