// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's memory for what is not durable: it is for pages, not for sizes,
 * and goes with them.
 */
#include "harness.h"

#include <linux/falloc.h>

#include "durable.h"
#include "slow.h"

/* What the kernel has allocated for itself in small pieces, in kB, or -1. */
static long kernel_kb(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	long kb = -1, value;
	char line[128];

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Slab: %ld", &value) == 1)
			kb = value;
	fclose(file);
	return kb;
}

/*
 * Has it grown by more than a megabyte since? What was freed may take a while to
 * be given back.
 */
static bool has_grown(long before_kb)
{
	for (int ms = 0; ms < 5000; ms += 50) {
		if (kernel_kb() <= before_kb + 1024)
			return false;
		usleep(50000);
	}
	return true;
}

#define SMALL_HOLE	(2LL << 30)

/*
 * A file that is one hole: taking it away costs nothing, whatever its size. The
 * smaller one comes first: with a cost for each of its pages, the others would
 * not come to an end.
 */
TEST(shrinking_a_sparse_file_costs_nothing_for_its_holes)
{
	off_t sizes[] = { SMALL_HOLE, 1LL << 40, 1LL << 62 };
	size_t page = getpagesize();

	for (int i = 0; i < 3; i++) {
		struct durable d = { .kind = ON_TMPFS, .backing = image_new(0) };
		long before = kernel_kb();

		ASSERT_EQ(0, ftruncate(d.backing, sizes[i]));
		ASSERT_EQ(0, page_write(d.backing, 0, 'a'));
		ASSERT_EQ(0, page_write(d.backing, 1, 'b'));
		d.fd = durable_over(d.backing, 0, 0);
		ASSERT_GE(d.fd, 0);
		ASSERT_EQ(sizes[i], file_size(d.fd));
		ASSERT_EQ(0, fallocate(d.fd, FALLOC_FL_PUNCH_HOLE |
				       FALLOC_FL_KEEP_SIZE, 1,
				       sizes[i] / 2));
		ASSERT_FALSE(has_grown(before));
		ASSERT_EQ(0, ftruncate(d.fd, 1));
		ASSERT_FALSE(has_grown(before));
		ASSERT_LE(0, crash_call(d.fd, MMAPDEV_CRASH_REVERT));
		EXPECT_TRUE(file_size(d.fd) == sizes[i] ||
			    file_size(d.fd) == 1);
		ASSERT_EQ(0, ftruncate(d.fd, page));
		ASSERT_EQ(0, fsync(d.fd));
		EXPECT_EQ(page, file_size(d.backing));
		durable_close(&d);
	}
}

/* A store in memory, and one in a file. */
/* In a file all pages are there, so that it has nothing to do; 2^50 pages are many. */
TEST(allocation_in_a_sparse_file_costs_nothing_for_what_is_there)
{
	struct durable d = { .kind = ON_TMPFS, .backing = image_new(1LL << 62) };
	long before = kernel_kb();

	ASSERT_LE(0, d.backing);
	d.fd = durable_over(d.backing, 0, 0);
	ASSERT_GE(d.fd, 0);
	ASSERT_EQ(0, page_write(d.fd, 1, 'b'));
	ASSERT_EQ(0, fallocate(d.fd, 0, 0, 1LL << 62));
	ASSERT_FALSE(has_grown(before));
	EXPECT_STREQ(".d", durable_unsynced(&d, 2));
	durable_close(&d);
}

FIXTURE(sparse) {
	struct durable d;
};

FIXTURE_VARIANT(sparse) {
	enum durable_kind kind;
};

DURABLE_VARIANT(sparse, mmapdev_memory, .kind = MEMORY);
DURABLE_VARIANT(sparse, mmapdev_on_tmpfs, .kind = ON_TMPFS);

FIXTURE_SETUP(sparse)
{
	self->d = durable_new(variant->kind, 0, 0);
	ASSERT_GE(self->d.fd, 0);
}

FIXTURE_TEARDOWN(sparse)
{
	durable_close(&self->d);
}

#define FAR	(1LL << 30)	/* from each write to the next */

/* Write far from everything else, and truncate; round after round: 0, or -1. */
static int write_and_truncate(int fd, int rounds, int sync_every)
{
	for (int i = 1; i <= rounds; i++)
		if (pwrite(fd, "x", 1, i * FAR) != 1 ||
		    (i % sync_every == 0 && fsync(fd)) || ftruncate(fd, 0))
			return -1;
	return 0;
}

TEST_F(sparse, writes_and_truncations_leave_nothing_behind)
{
	int rounds = slow_kernel() ? 500 : 2000;
	uint64_t used = durable_info(&self->d).used;
	long before;

	ASSERT_EQ(0, write_and_truncate(self->d.fd, 100, rounds));
	before = kernel_kb();
	ASSERT_EQ(0, write_and_truncate(self->d.fd, rounds, rounds + 1));
	EXPECT_EQ(used, durable_info(&self->d).used);
	/* KASAN keeps what is freed for a long time. */
	EXPECT_FALSE(!slow_kernel() && has_grown(before));
	ASSERT_EQ(0, write_and_truncate(self->d.fd, rounds / 10, 1));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(used, durable_info(&self->d).used);
	EXPECT_FALSE(!slow_kernel() && has_grown(before));
}

int main(int argc, char **argv)
{
	return test_harness_run(argc, argv);
}
