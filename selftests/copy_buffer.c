// SPDX-License-Identifier: GPL-2.0
/*
 * The buffers of read(2) and write(2): mappings of the same object, pages that
 * are not there, and pages that may not be touched.
 */
#include "harness.h"

#include <sys/uio.h>

#include "address.h"
#include "bytes.h"
#include "device.h"

/* An object of 16 pages, its mapping of either kind, all holes. */
FIXTURE(copy_buffer) {
	struct object o;
	size_t page;
	char *p;
};

FIXTURE_VARIANT(copy_buffer) {
	enum backend_kind kind;
	int flags;
};

#define COPY_VARIANT(name, backend, map_flags)				\
	FIXTURE_VARIANT_ADD(copy_buffer, name) {			\
		.kind = backend, .flags = map_flags,			\
	}

COPY_VARIANT(mmapdev_shared, MMAPDEV, MAP_SHARED);
COPY_VARIANT(mmapdev_private, MMAPDEV, MAP_PRIVATE);
COPY_VARIANT(object_file_shared, OBJFILE, MAP_SHARED);
COPY_VARIANT(object_file_private, OBJFILE, MAP_PRIVATE);
COPY_VARIANT(memfd_shared, MEMFD, MAP_SHARED);
COPY_VARIANT(memfd_private, MEMFD, MAP_PRIVATE);
COPY_VARIANT(tmpfs_shared, TMPFS, MAP_SHARED);
COPY_VARIANT(tmpfs_private, TMPFS, MAP_PRIVATE);

FIXTURE_SETUP(copy_buffer)
{
	self->page = getpagesize();
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_resize(&self->o, 16 * self->page));
	self->p = object_map(&self->o, 16 * self->page, RW, variant->flags);
	ASSERT_NE(MAP_FAILED, self->p);
}

FIXTURE_TEARDOWN(copy_buffer)
{
	object_close(&self->o);
}

/* The source can be faulted in only while the page is not locked. */
TEST_F(copy_buffer, page_is_written_from_its_own_mapping)
{
	ASSERT_EQ(4, pwrite(self->o.fd, "abcd", 4, 100));
	EXPECT_EQ(4, pwrite(self->o.fd, self->p + 100, 4, 200));
	EXPECT_EQ('d', object_byte(&self->o, 203));
	EXPECT_EQ(self->page, pwrite(self->o.fd, self->p, self->page, 0));
	EXPECT_EQ('d', object_byte(&self->o, 203));
}

TEST_F(copy_buffer, hole_is_written_from_its_own_mapping)
{
	EXPECT_EQ(self->page, pwrite(self->o.fd, self->p, self->page, 0));
	EXPECT_EQ(0, object_byte(&self->o, 0));
	EXPECT_EQ(1, object_resident(&self->o));
	EXPECT_EQ(100, pwrite(self->o.fd, self->p + 3 * self->page + 100, 100,
			      3 * self->page + 200));
	EXPECT_EQ(2, object_resident(&self->o));
}

/* Source and destination begin in the middle of pages, each at another. */
TEST_F(copy_buffer, pages_are_written_from_pages_of_the_same_object)
{
	size_t n = 6 * self->page;

	for (size_t i = 0; i < n; i += 64)
		ASSERT_EQ(1, pwrite(self->o.fd, &(char){ i / 64 }, 1,
				    100 + i));
	EXPECT_EQ(n, pwrite(self->o.fd, self->p + 100, n,
			    8 * self->page + 300));
	EXPECT_EQ(0, memcmp(self->p + 100, self->p + 8 * self->page + 300, n));
}

TEST_F(copy_buffer, mapping_is_read_into_from_its_own_pages)
{
	ASSERT_EQ(4, pwrite(self->o.fd, "abcd", 4, 100));
	EXPECT_EQ(4, pread(self->o.fd, self->p + 200, 4, 100));
	EXPECT_EQ(0, memcmp(self->p + 200, "abcd", 5));
	EXPECT_EQ(variant->flags == MAP_SHARED ? 'd' : 0,
		  object_byte(&self->o, 203));
	/* Holes into holes. */
	EXPECT_EQ(2 * self->page, pread(self->o.fd, self->p + 5 * self->page,
					2 * self->page, 5 * self->page));
	EXPECT_TRUE(bytes_are(self->p + 5 * self->page, 0, 2 * self->page));
}

OBJECT_FIXTURE(bad_buffer);
FILE_VARIANTS(bad_buffer);

TEST_F(bad_buffer, writing_from_an_unmapped_page_is_efault)
{
	char *edge = address_edge(1);

	ASSERT_NE(MAP_FAILED, edge);
	ASSERT_EQ(0, object_fill(&self->o, 2, 1));
	EXPECT_EQ(-1, pwrite(self->o.fd, edge, 100, 50));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, pwrite(self->o.fd, NULL, 3 * self->page, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(2 * self->page, object_size(&self->o));
	for (size_t i = 0; i < 2 * self->page; i++)
		ASSERT_EQ(1 + i / self->page, object_byte(&self->o, i));
}

/* A newer tmpfs makes the page, and grows, before it looks at the source. */
TEST_F(bad_buffer, writing_from_an_unmapped_page_does_not_grow_mmapdev)
{
	char *edge = address_edge(1);

	ASSERT_NE(MAP_FAILED, edge);
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	EXPECT_EQ(-1, pwrite(self->o.fd, edge, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, pwrite(self->o.fd, edge, 1, 9 * self->page));
	EXPECT_EQ(EFAULT, errno);
	if (is_mmapdev(variant->kind)) {
		EXPECT_EQ(0, object_resident(&self->o));
		EXPECT_EQ(self->page, object_size(&self->o));
	}
}

TEST_F(bad_buffer, writing_stops_where_the_source_ends)
{
	size_t inside = self->page + 10;
	char *edge = address_edge(inside);

	ASSERT_NE(MAP_FAILED, edge);
	memset(edge - inside, 'a', inside);
	ASSERT_EQ(0, object_resize(&self->o, 0));
	EXPECT_EQ(inside, write(self->o.fd, edge - inside, 4 * self->page));
	EXPECT_EQ(inside, object_size(&self->o));
	EXPECT_EQ(inside, lseek(self->o.fd, 0, SEEK_CUR));
	EXPECT_EQ('a', object_byte(&self->o, inside - 1));
	EXPECT_EQ(-1, object_byte(&self->o, inside));
}

TEST_F(bad_buffer, writing_stops_at_the_vector_that_is_not_there)
{
	char *edge = address_edge(1);
	struct iovec v[] = { { "abc", 3 }, { edge, 5 }, { "def", 3 } };

	ASSERT_NE(MAP_FAILED, edge);
	ASSERT_EQ(0, object_fill(&self->o, 1, 1));
	EXPECT_EQ(3, pwritev(self->o.fd, v, 3, 10));
	EXPECT_EQ('c', object_byte(&self->o, 12));
	EXPECT_EQ(1, object_byte(&self->o, 13));
	EXPECT_EQ(1, object_byte(&self->o, 18));
}

TEST_F(bad_buffer, reading_into_an_unmapped_page_is_efault)
{
	char *edge = address_edge(1);

	ASSERT_NE(MAP_FAILED, edge);
	ASSERT_EQ(0, object_fill(&self->o, 1, 1));
	ASSERT_EQ(0, object_resize(&self->o, 2 * self->page));
	EXPECT_EQ(-1, pread(self->o.fd, edge, 10, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, pread(self->o.fd, edge, 10, self->page));	/* a hole */
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, read(self->o.fd, edge, 10));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, lseek(self->o.fd, 0, SEEK_CUR));
	/* At the end there is nothing to copy. */
	EXPECT_EQ(0, pread(self->o.fd, edge, 10, 2 * self->page));
}

TEST_F(bad_buffer, reading_stops_where_the_destination_ends)
{
	size_t inside = self->page + 10;
	char *edge = address_edge(inside);

	ASSERT_NE(MAP_FAILED, edge);
	ASSERT_EQ(0, object_fill(&self->o, 4, 1));
	EXPECT_EQ(inside, read(self->o.fd, edge - inside, 4 * self->page));
	EXPECT_EQ(inside, lseek(self->o.fd, 0, SEEK_CUR));
	EXPECT_TRUE(bytes_are(edge - inside, 1, self->page));
	EXPECT_TRUE(bytes_are(edge - 10, 2, 10));
	/* The same over holes. */
	ASSERT_EQ(0, object_resize(&self->o, 0));
	ASSERT_EQ(0, object_resize(&self->o, 4 * self->page));
	EXPECT_EQ(inside, pread(self->o.fd, edge - inside, 4 * self->page, 0));
	EXPECT_TRUE(bytes_are(edge - inside, 0, inside));
}

TEST_HARNESS_MAIN
