// SPDX-License-Identifier: GPL-2.0
/*
 * Memory comes back: a reference leaked per fault would show in no counter of
 * the device, only in what the machine has left.
 */
#include "kselftest_harness.h"

#include "backend.h"

#define MIB	(1L << 20)
#define SIZE	(16 * MIB)
#define ROUNDS	4

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

/*
 * A leak costs SIZE each round. MemFree leaves out what CPUs keep at hand of
 * freed pages, some 25 MiB here: allow for it.
 */
#define ALLOWED	(2 * SIZE)

/* Each round touches SIZE bytes anew and drops them by shrinking. */
static void rounds(struct __test_metadata *_metadata, struct object *o,
		   int flags)
{
	long before;
	char *p;

	ASSERT_EQ(0, object_resize(o, SIZE));
	p = object_map(o, SIZE, RW, flags);
	ASSERT_NE(MAP_FAILED, p);
	before = mem_free();
	for (int i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, object_resize(o, SIZE));
		memset(p, i + 1, SIZE);
		ASSERT_EQ(0, object_resize(o, 0));
	}
	EXPECT_LT(before - mem_free(), ALLOWED);
}

TEST_F(give_back, dropped_shared_pages_are_free_again)
{
	rounds(_metadata, &self->o, MAP_SHARED);
}

TEST_F(give_back, dropped_private_copies_are_free_again)
{
	rounds(_metadata, &self->o, MAP_PRIVATE);
}

/* Copying takes a reference to the object's page, for the time of the copy. */
TEST_F(give_back, private_copies_of_present_pages_are_free_again)
{
	long before = mem_free();

	for (int i = 0; i < ROUNDS; i++) {
		char *p;

		ASSERT_EQ(0, object_resize(&self->o, SIZE));
		p = object_map(&self->o, SIZE, RW, MAP_SHARED | MAP_POPULATE);
		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(0, munmap(p, SIZE));
		p = object_map(&self->o, SIZE, RW, MAP_PRIVATE);
		ASSERT_NE(MAP_FAILED, p);
		memset(p, i + 1, SIZE);
		ASSERT_EQ(0, munmap(p, SIZE));
		ASSERT_EQ(0, object_resize(&self->o, 0));
	}
	EXPECT_LT(before - mem_free(), ALLOWED);
}

TEST_HARNESS_MAIN
