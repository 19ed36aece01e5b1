// SPDX-License-Identifier: GPL-2.0
/*
 * Sizes, truncations, punched and zeroed ranges as events in one order: what a
 * power cut leaves is a prefix of them, at least as long as the last completed
 * sync needs.
 *
 * Each test lists every state that is legal after its cut. A truncation that
 * survived took the older bytes of all its pages; one that did not took none.
 */
#include "harness.h"

#include <linux/falloc.h>

#include "child.h"
#include "durable.h"

#define KEEP	FALLOC_FL_KEEP_SIZE
#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO_IT	FALLOC_FL_ZERO_RANGE

/* Pages 'a' to 'h', durable, in self->p. */
DURABLE_FIXTURE(events);
ALL_KINDS(events);

/* Is it one of these, which end with NULL? */
static bool is_among(const char *state, const char *const *legal)
{
	while (*legal && strcmp(*legal, state))
		legal++;
	return *legal;
}

/* Cut the power; what is left must be one of the states, in file_bytes()'s form. */
#define EXPECT_LEFT(...) do {						\
	static const char *const legal_[] = { __VA_ARGS__, NULL };	\
	const char *left_;						\
	ASSERT_EQ(0, durable_cut(&self->d));				\
	left_ = file_bytes(self->d.fd);					\
	EXPECT_TRUE(is_among(left_, legal_))				\
		TH_LOG("left: %s", left_);				\
} while (0)

/* Make the file this many pages long. */
#define RESIZE(pages)							\
	ASSERT_EQ(0, ftruncate(self->d.fd, (pages) * self->page))

#define FALLOCATE(mode, first, pages)					\
	ASSERT_EQ(0, fallocate(self->d.fd, mode, (first) * self->page,	\
			       (pages) * self->page))

/* Store to a page of a file, by a mapping, and msync just that page; 0 or -1. */
static int store_and_msync(int fd, size_t index, unsigned char byte)
{
	size_t page = getpagesize();
	unsigned char *p = mmap(NULL, page, RW, MAP_SHARED, fd, index * page);
	int ret;

	if (p == MAP_FAILED)
		return -1;
	memset(p, byte, page);
	ret = msync(p, page, MS_SYNC);
	munmap(p, page);
	return ret;
}

#define STORE_AND_MSYNC(index, byte)					\
	ASSERT_EQ(0, store_and_msync(self->d.fd, index, byte))

TEST_F(events, shrink_before_an_msync_survives_with_all_it_took_or_takes_nothing)
{
	RESIZE(1);
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	EXPECT_LEFT("a", "abcdefgh");
}

TEST_F(events, msync_of_what_is_left_by_a_shrink_does_not_halve_it)
{
	RESIZE(2);
	STORE_AND_MSYNC(0, 'A');
	EXPECT_LEFT("Ab", "Abcdefgh");
}

/* Of the page with the new end, the tail is cut off or is not. */
TEST_F(events, shrink_into_a_page_before_its_msync_takes_its_tail_or_nothing)
{
	off_t size = 3 * self->page + self->page / 2;
	const char *left;

	ASSERT_EQ(0, ftruncate(self->d.fd, size));
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	left = file_bytes(self->d.fd);
	EXPECT_STREQ(file_size(self->d.fd) == size ? "abcd" : "abcdefgh", left);
}

TEST_F(events, size_that_was_never_set_is_never_left)
{
	RESIZE(20);
	STORE_AND_MSYNC(12, 'X');
	EXPECT_LEFT("abcdefgh0000X0000000");
}

TEST_F(events, size_set_after_the_msync_is_left_or_the_one_before)
{
	RESIZE(12);
	STORE_AND_MSYNC(9, 'X');
	RESIZE(16);
	EXPECT_LEFT("abcdefgh0X00", "abcdefgh0X000000");
}

TEST_F(events, sizes_before_the_one_that_is_needed_are_not_left)
{
	RESIZE(10);
	RESIZE(14);
	STORE_AND_MSYNC(9, 'X');	/* 10 pages are enough for it */
	EXPECT_LEFT("abcdefgh0X", "abcdefgh0X0000");
}

TEST_F(events, any_size_that_was_set_is_left_without_a_sync)
{
	RESIZE(1);
	RESIZE(4);
	EXPECT_LEFT("abcdefgh", "a", "a000");
}

/* To read the synced page takes the growth, which comes after the shrink. */
TEST_F(events, msync_in_the_regrown_part_takes_the_shrink_before_it)
{
	RESIZE(2);
	RESIZE(8);
	STORE_AND_MSYNC(5, 'X');
	EXPECT_LEFT("ab000X00");
}

TEST_F(events, msync_of_a_page_that_was_never_cut_off_needs_no_shrink)
{
	RESIZE(2);
	RESIZE(8);
	STORE_AND_MSYNC(1, 'B');
	EXPECT_LEFT("aBcdefgh", "aB", "aB000000");
}

TEST_F(events, page_cut_off_after_its_msync_is_left_or_not)
{
	STORE_AND_MSYNC(5, 'F');
	RESIZE(2);
	RESIZE(4);
	EXPECT_LEFT("abcdeFgh", "ab", "ab00");
}

TEST_F(events, fsync_needs_all_before_it)
{
	RESIZE(1);
	RESIZE(4);
	ASSERT_EQ(0, fsync(self->d.fd));
	RESIZE(6);
	RESIZE(2);
	EXPECT_LEFT("a000", "a00000", "a0");
}

TEST_F(events, fdatasync_needs_all_before_it)
{
	FALLOCATE(PUNCH, 1, 2);
	RESIZE(6);
	RESIZE(9);
	ASSERT_EQ(0, fdatasync(self->d.fd));
	FALLOCATE(PUNCH, 3, 1);
	EXPECT_LEFT("a00def000", "a000ef000");
}

TEST_F(events, punch_beside_an_msync_survives_whole_or_not_at_all)
{
	FALLOCATE(PUNCH, 2, 3);
	STORE_AND_MSYNC(6, 'G');
	EXPECT_LEFT("abcdefGh", "ab000fGh");
}

TEST_F(events, msync_of_a_punched_page_takes_all_of_the_punch)
{
	FALLOCATE(PUNCH, 2, 3);
	ASSERT_EQ(0, msync(self->p + 3 * self->page, self->page, MS_SYNC));
	EXPECT_LEFT("ab000fgh");
}

/* What was stored since a punch is not durable without it. */
TEST_F(events, msync_of_a_page_stored_to_since_its_punch_takes_all_of_the_punch)
{
	FALLOCATE(PUNCH, 2, 3);
	STORE_AND_MSYNC(3, 'X');
	EXPECT_LEFT("ab0X0fgh");
}

TEST_F(events, msync_takes_what_was_punched_before_the_punch_it_needs)
{
	FALLOCATE(PUNCH, 0, 1);
	FALLOCATE(PUNCH, 2, 3);
	STORE_AND_MSYNC(3, 'X');
	FALLOCATE(PUNCH, 6, 1);
	EXPECT_LEFT("0b0X0fgh", "0b0X0f0h");
}

TEST_F(events, shrink_before_the_punch_that_is_needed_survives)
{
	RESIZE(6);
	FALLOCATE(PUNCH, 2, 2);
	STORE_AND_MSYNC(3, 'X');
	EXPECT_LEFT("ab0Xef");
}

TEST_F(events, msync_of_a_zeroed_page_takes_all_of_the_zeroing)
{
	FALLOCATE(ZERO_IT | KEEP, 2, 3);
	ASSERT_EQ(0, msync(self->p + 3 * self->page, self->page, MS_SYNC));
	EXPECT_LEFT("ab000fgh");
}

TEST_F(events, msync_of_an_allocated_page_takes_the_size_of_the_allocation)
{
	FALLOCATE(0, 8, 6);
	STORE_AND_MSYNC(9, 'X');
	EXPECT_LEFT("abcdefgh0X0000");
}

/* Pages that a write adds: each of its bytes, or zeros, or some of each. */
static bool are_added(const char *state, const char *written)
{
	for (; *state; state++, written++)
		if (!*written || (*state != *written && *state != '0' &&
				  *state != '?'))
			return false;
	return true;
}

/* A write past the end adds page by page, as ext4's size moves by writeback. */
TEST_F(events, write_past_the_end_leaves_any_whole_number_of_its_pages)
{
	const char *left;

	for (int i = 8; i < 12; i++)
		ASSERT_EQ(0, page_write(self->d.fd, i, 'a' + i));
	ASSERT_EQ(0, durable_cut(&self->d));
	left = file_bytes(self->d.fd);
	EXPECT_EQ(0, strncmp("abcdefgh", left, 8))
		TH_LOG("left: %s", left);
	EXPECT_TRUE(are_added(left + 8, "ijkl"))
		TH_LOG("left: %s", left);
	EXPECT_EQ(0, file_size(self->d.fd) % self->page);
}

TEST_F(events, msync_of_a_written_page_takes_the_sizes_up_to_it)
{
	unsigned char bytes[4 * self->page];
	unsigned char *p;
	const char *left;

	for (int i = 0; i < 4; i++)
		memset(bytes + i * self->page, 'i' + i, self->page);
	ASSERT_EQ(sizeof(bytes), pwrite(self->d.fd, bytes, sizeof(bytes),
					8 * self->page));
	p = mmap(NULL, self->page, RW, MAP_SHARED, self->d.fd, 9 * self->page);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, msync(p, self->page, MS_SYNC));
	munmap(p, self->page);
	ASSERT_EQ(0, durable_cut(&self->d));
	left = file_bytes(self->d.fd);
	EXPECT_EQ(0, strncmp("abcdefgh", left, 8))
		TH_LOG("left: %s", left);
	EXPECT_LE(10, strlen(left));
	EXPECT_EQ('j', left[9]);
	EXPECT_TRUE(are_added(left + 8, "ijkl"))
		TH_LOG("left: %s", left);
	EXPECT_EQ(0, file_size(self->d.fd) % self->page);
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
