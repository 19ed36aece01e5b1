// SPDX-License-Identifier: GPL-2.0
/*
 * The device node: an object without an end until it is sized, and what the
 * VFS says of a character device. mmapdev only.
 */
#include "harness.h"

#include <sys/uio.h>

#include "bytes.h"
#include "device.h"

OBJECT_FIXTURE(node);
OBJECT_VARIANT(node, mmapdev, MMAPDEV);

TEST_F(node, object_never_sized_is_as_large_as_can_be)
{
	struct mmapdev_info info = object_info(&self->o);

	EXPECT_EQ(info.max_size, info.size);
	EXPECT_EQ(INT64_MAX - (int64_t)self->page + 1, info.max_size);
	EXPECT_EQ(info.max_size, lseek(self->o.fd, 0, SEEK_END));
	EXPECT_EQ(0, info.resident);
}

TEST_F(node, object_never_sized_reads_zeros_up_to_its_end)
{
	uint64_t max = object_info(&self->o).max_size;
	off_t places[] = { 0, 12345, 1LL << 40, max - self->page };
	char bytes[self->page];

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		memset(bytes, 9, sizeof(bytes));
		EXPECT_EQ(sizeof(bytes), pread(self->o.fd, bytes,
					       sizeof(bytes), places[i]));
		EXPECT_TRUE(bytes_are(bytes, 0, sizeof(bytes)));
	}
	EXPECT_EQ(10, pread(self->o.fd, bytes, sizeof(bytes), max - 10));
	EXPECT_EQ(0, pread(self->o.fd, bytes, 1, max));
	EXPECT_EQ(0, object_resident(&self->o));
}

TEST_F(node, object_never_sized_is_written_anywhere)
{
	uint64_t max = object_info(&self->o).max_size;

	EXPECT_EQ(1, pwrite(self->o.fd, "a", 1, 1LL << 40));
	EXPECT_EQ('a', object_byte(&self->o, 1LL << 40));
	EXPECT_EQ(1, pwrite(self->o.fd, "z", 1, max - 1));
	EXPECT_EQ('z', object_byte(&self->o, max - 1));
	EXPECT_EQ(2, object_resident(&self->o));
	EXPECT_EQ(max, object_size(&self->o));
	EXPECT_EQ(1LL << 40, lseek(self->o.fd, 0, SEEK_DATA));
	EXPECT_EQ((1LL << 40) + self->page,
		  lseek(self->o.fd, 1LL << 40, SEEK_HOLE));
	EXPECT_EQ(max - self->page,
		  lseek(self->o.fd, (1LL << 40) + self->page, SEEK_DATA));
	EXPECT_EQ(max, lseek(self->o.fd, max - 1, SEEK_HOLE));
}

TEST_F(node, writing_past_the_largest_size_is_cut_short_then_efbig)
{
	uint64_t max = object_info(&self->o).max_size;

	EXPECT_EQ(2, pwrite(self->o.fd, "abcd", 4, max - 2));
	EXPECT_EQ('b', object_byte(&self->o, max - 1));
	EXPECT_EQ(-1, pwrite(self->o.fd, "a", 1, max));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_EQ(1, object_resident(&self->o));
}

TEST_F(node, appending_to_an_object_never_sized_is_efbig)
{
	struct object o = object_open_flags(MMAPDEV, O_RDWR | O_APPEND);

	ASSERT_GE(o.fd, 0);
	EXPECT_EQ(-1, write(o.fd, "a", 1));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_EQ(0, object_resident(&o));
	object_close(&o);
}

TEST_F(node, positions_past_the_largest_size_are_einval)
{
	uint64_t max = object_info(&self->o).max_size;

	EXPECT_EQ(max, lseek(self->o.fd, max, SEEK_SET));
	EXPECT_EQ(-1, lseek(self->o.fd, max + 1, SEEK_SET));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(self->o.fd, 1, SEEK_END));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(max, lseek(self->o.fd, 0, SEEK_CUR));
}

TEST_F(node, o_trunc_opens_an_empty_object)
{
	struct object o = object_open_flags(MMAPDEV,
					    O_RDWR | O_CREAT | O_TRUNC);
	char byte;

	ASSERT_GE(o.fd, 0);
	EXPECT_EQ(0, object_size(&o));
	EXPECT_EQ(0, read(o.fd, &byte, 1));
	EXPECT_EQ(3, write(o.fd, "abc", 3));
	EXPECT_EQ(3, object_size(&o));
	object_close(&o);
}

/* The shell's own way to empty a file, and the way dd writes to one. */
TEST_F(node, shell_redirects_to_the_node)
{
	long long opens = device_total("opens");
	char command[256];

	snprintf(command, sizeof(command),
		 ": > %s && printf abc | dd of=%s bs=1 2>/dev/null",
		 mmapdev_path(), mmapdev_path());
	EXPECT_EQ(0, system(command));
	EXPECT_EQ(opens + 2, device_total("opens"));
}

TEST_F(node, opens_have_nothing_in_common)
{
	struct object other = object_open(MMAPDEV);

	ASSERT_GE(other.fd, 0);
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, 0));
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	EXPECT_EQ(0, object_byte(&other, 0));
	EXPECT_EQ(object_info(&other).max_size, object_size(&other));
	object_close(&other);
}

TEST_F(node, vfs_answers_as_for_any_character_device)
{
	struct stat st;

	ASSERT_EQ(0, object_fill(&self->o, 4, 1));
	ASSERT_EQ(0, fstat(self->o.fd, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0, st.st_size);
	EXPECT_EQ(-1, ftruncate(self->o.fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, fallocate(self->o.fd, 0, 0, self->page));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(4 * self->page, object_size(&self->o));
	EXPECT_EQ(4, object_resident(&self->o));
}

TEST_F(node, syncing_succeeds_and_changes_nothing)
{
	ASSERT_EQ(0, object_fill(&self->o, 4, 1));
	EXPECT_EQ(0, fsync(self->o.fd));
	EXPECT_EQ(0, fdatasync(self->o.fd));
	EXPECT_EQ(4, object_resident(&self->o));
	EXPECT_EQ(4, object_byte(&self->o, 3 * self->page));
}

/* What the device does not do it says at once, and moves nothing. */
TEST_F(node, flags_that_the_device_cannot_do_are_eopnotsupp)
{
	int atomic = 0x40, dontcache = 0x80;	/* as in linux/fs.h since 6.14 */
	int flags[] = { RWF_NOWAIT, atomic, dontcache };
	char bytes[4096] = "x";
	struct iovec v = { bytes, sizeof(bytes) };

	ASSERT_EQ(0, object_fill(&self->o, 1, 'a'));
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		EXPECT_EQ(-1, preadv2(self->o.fd, &v, 1, 0, flags[i]));
		EXPECT_EQ(EOPNOTSUPP, errno);
		EXPECT_EQ(-1, pwritev2(self->o.fd, &v, 1, 0, flags[i]));
		EXPECT_EQ(EOPNOTSUPP, errno);
	}
	EXPECT_EQ('x', bytes[0]);
	EXPECT_EQ('a', object_byte(&self->o, 0));
}

TEST_HARNESS_MAIN
