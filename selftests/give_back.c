// SPDX-License-Identifier: GPL-2.0
/*
 * Memory comes back: a reference leaked per fault would show in no counter of
 * the device, only in what the machine has left.
 */
#include "harness.h"

#include <limits.h>

#include "durable.h"

#define MIB	(1L << 20)
#define SIZE	(16 * MIB)
#define ROUNDS	8

/* What the machine has left, in bytes, or -1. */
static long mem_free(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = -1;

	while (file && kib < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "MemFree: %ld kB", &kib);
	if (file)
		fclose(file);
	return kib < 0 ? -1 : kib * 1024;
}

OBJECT_FIXTURE(give_back);
OBJECT_VARIANT(give_back, mmapdev, MMAPDEV);
OBJECT_VARIANT(give_back, memfd, MEMFD);

/* What a round does: take SIZE bytes, full of a byte, and give them back. */
typedef int (*round_fn)(const struct object *o, int byte);

/*
 * The least that a round cost, of as many as it takes to be less than enough;
 * LONG_MAX if one failed. A leak costs SIZE in every round. What CPUs keep at hand
 * of freed pages, some 25 MiB, and what others take, costs something in some
 * rounds only.
 */
static long least_loss(round_fn round, const struct object *o, long enough)
{
	long before = mem_free(), least = LONG_MAX;

	for (int i = 0; i < ROUNDS && least >= enough; i++) {
		long after = round(o, i + 1) ? -1 : mem_free();

		if (before < 0 || after < 0)
			return LONG_MAX;
		if (least > before - after)
			least = before - after;
		before = after;
	}
	return least;
}

/* Fill a new mapping of it. 0, or -1. */
static int fill(const struct object *o, int flags, int byte, bool shrink)
{
	char *p = object_map(o, SIZE, RW, flags);

	if (p == MAP_FAILED)
		return -1;
	memset(p, byte, SIZE);
	if (shrink && object_resize(o, 0))
		return -1;
	return munmap(p, SIZE);
}

static int drop_shared(const struct object *o, int byte)
{
	return object_resize(o, SIZE) || fill(o, MAP_SHARED, byte, true);
}

static int drop_private(const struct object *o, int byte)
{
	return object_resize(o, SIZE) || fill(o, MAP_PRIVATE, byte, true);
}

/* Copying takes a reference to the object's page, for the time of the copy. */
static int drop_copies(const struct object *o, int byte)
{
	return object_resize(o, SIZE) ||
	       fill(o, MAP_SHARED, byte, false) ||
	       fill(o, MAP_PRIVATE, byte, false) || object_resize(o, 0);
}

TEST_F(give_back, dropped_shared_pages_are_free_again)
{
	EXPECT_LT(least_loss(drop_shared, &self->o, SIZE / 2), SIZE / 2);
}

TEST_F(give_back, dropped_private_copies_are_free_again)
{
	EXPECT_LT(least_loss(drop_private, &self->o, SIZE / 2), SIZE / 2);
}

TEST_F(give_back, private_copies_of_present_pages_are_free_again)
{
	EXPECT_LT(least_loss(drop_copies, &self->o, SIZE / 2), SIZE / 2);
}

#define STORED	(8 * MIB)

/* Have the page cache drop all that is clean, and read every page again. */
static int load_all(const struct object *o)
{
	char byte;

	if (posix_fadvise(o->fd, 0, 0, POSIX_FADV_DONTNEED))
		return -1;
	for (off_t at = 0; at < STORED; at += getpagesize())
		if (pread(o->fd, &byte, 1, at) != 1)
			return -1;
	return 0;
}

/* Pages of a store, loaded from where they are pending, then from the image. */
static int drop_stored(const struct object *o, int byte)
{
	for (off_t i = 0; i < STORED / getpagesize(); i++)
		if (page_write(o->fd, i, byte))
			return -1;
	return sync_file_range(o->fd, 0, 0, SYNC_FILE_RANGE_WRITE |
			       SYNC_FILE_RANGE_WAIT_AFTER) ?:
	       load_all(o) ?: fsync(o->fd) ?: load_all(o) ?:
	       ftruncate(o->fd, 0) ?: fsync(o->fd);
}

/* The store's own pages are on no list, and only in memory are they its own. */
TEST(mmapdev_stored_pages_are_free_again)
{
	struct durable d = durable_new(MEMORY, 0, 0);
	struct object o = { .kind = OBJFILE, .fd = d.fd };

	ASSERT_GE(d.fd, 0);
	EXPECT_LT(least_loss(drop_stored, &o, STORED / 2), STORED / 2);
	durable_close(&d);
}

TEST_HARNESS_MAIN
