// SPDX-License-Identifier: GPL-2.0
/*
 * Mapped pages are pages like all others: the kernel can take hold of them for
 * direct I/O, pipes and io_uring.
 */
#include "harness.h"

#include <liburing.h>
#include <sys/uio.h>

#include "backend.h"
#include "bytes.h"
#include "procfs.h"

#define PAGES	4

/* A disc for direct I/O, as tmpfs and 9p would copy. -1 if there is none. */
static int disc_open(void)
{
	const char *path = "/dev/ram0";

	if (access(path, F_OK) && system("modprobe brd rd_nr=1 rd_size=1024"))
		return -1;
	return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

FIXTURE(direct) {
	struct object o;
	size_t page;
	int disc;
	unsigned char *buffer;	/* PAGES pages of ordinary memory */
};

FIXTURE_VARIANT(direct) {
	enum backend_kind kind;
};

FIXTURE_SETUP(direct)
{
	self->page = getpagesize();
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
	self->disc = disc_open();
	if (self->disc < 0)
		SKIP(return, "no RAM disc: brd is not there");
	self->buffer = mmap(NULL, PAGES * self->page, RW,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->buffer);
}

FIXTURE_TEARDOWN(direct)
{
	close(self->disc);
	object_close(&self->o);
}

FILE_VARIANTS(direct);

/* Make the whole disc area d, and the buffer too. */
static bool disc_fill(int disc, unsigned char *buffer, unsigned char byte)
{
	size_t length = PAGES * getpagesize();

	memset(buffer, byte, length);
	return pwrite(disc, buffer, length, 0) == (ssize_t)length;
}

/* What pages of a mapping say to a direct write: old page, hole, new page. */
TEST_F(direct, write_takes_the_bytes_of_any_mapping)
{
	int flags[] = { MAP_SHARED, MAP_PRIVATE };
	size_t length = PAGES * self->page;

	ASSERT_EQ(0, object_fill(&self->o, 1, 'o'));
	ASSERT_EQ(0, object_resize(&self->o, length));
	for (int i = 0; i < 2; i++) {
		unsigned char *p;

		p = object_map(&self->o, length, RW, flags[i]);
		ASSERT_NE(MAP_FAILED, p);
		memset(p + 2 * self->page, 'm', self->page);
		ASSERT_EQ(0, mprotect(p, self->page, PROT_READ));
		ASSERT_TRUE(disc_fill(self->disc, self->buffer, 'd'));

		ASSERT_EQ(length, pwrite(self->disc, p, length, 0));
		ASSERT_EQ(length, pread(self->disc, self->buffer, length, 0));
		EXPECT_TRUE(page_is(self->buffer, 'o'));
		EXPECT_TRUE(page_is(self->buffer + self->page, 0));
		EXPECT_TRUE(page_is(self->buffer + 2 * self->page, 'm'));
		EXPECT_TRUE(page_is(self->buffer + 3 * self->page, 0));
	}
}

/* The pages before and after the two that are read into are left alone. */
TEST_F(direct, read_into_a_shared_mapping_fills_the_object)
{
	size_t page = self->page;
	unsigned char *p;
	unsigned char *q;

	p = object_map(&self->o, PAGES * page, RW, MAP_SHARED);
	q = object_map(&self->o, PAGES * page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	q[page] = 'x';		/* one page is there, one is a hole */
	ASSERT_TRUE(disc_fill(self->disc, self->buffer, 'd'));

	ASSERT_EQ(2 * page, pread(self->disc, p + page, 2 * page, 0));
	EXPECT_EQ(2, object_resident(&self->o));
	EXPECT_TRUE(bytes_are(q + page, 'd', 2 * page));
	EXPECT_TRUE(bytes_are(p + page, 'd', 2 * page));
	EXPECT_EQ('d', object_byte(&self->o, 3 * page - 1));
	EXPECT_TRUE(page_is(q, 0));
	EXPECT_TRUE(page_is(q + 3 * page, 0));
}

TEST_F(direct, read_into_a_private_mapping_leaves_the_object_alone)
{
	size_t page = self->page;
	unsigned char *p;
	unsigned char *s;

	p = object_map(&self->o, PAGES * page, RW, MAP_PRIVATE);
	s = object_map(&self->o, PAGES * page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, s);
	memset(s, 'o', 2 * page);
	EXPECT_EQ('o', p[0]);	/* one page mapped already, to be copied */
	ASSERT_TRUE(disc_fill(self->disc, self->buffer, 'd'));

	ASSERT_EQ(PAGES * page, pread(self->disc, p, PAGES * page, 0));
	EXPECT_TRUE(bytes_are(p, 'd', PAGES * page));
	EXPECT_TRUE(bytes_are(s, 'o', 2 * page));
	EXPECT_TRUE(bytes_are(s + 2 * page, 0, 2 * page));
}

TEST_F(direct, read_into_a_read_only_mapping_is_a_fault)
{
	int flags[] = { MAP_SHARED, MAP_PRIVATE };

	for (int i = 0; i < 2; i++) {
		unsigned char *p;

		p = object_map(&self->o, self->page, PROT_READ, flags[i]);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(-1, pread(self->disc, p, self->page, 0));
		EXPECT_EQ(EFAULT, errno);
	}
	EXPECT_EQ(0, object_byte(&self->o, 0));
}

TEST_F(direct, transfer_past_the_end_of_file_is_a_fault)
{
	unsigned char *p;

	p = object_map(&self->o, PAGES * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	EXPECT_EQ(-1, pread(self->disc, p + self->page, self->page, 0));
	EXPECT_EQ(EFAULT, errno);
	errno = 0;
	EXPECT_EQ(-1, pwrite(self->disc, p + self->page, self->page, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, object_resident(&self->o));
}

/* Buffers that io_uring pins once and keeps: pinned pages stay the object's. */
TEST_F(direct, pinned_buffer_and_mapping_are_the_same_bytes)
{
	size_t length = PAGES * self->page;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	struct iovec iov;
	unsigned char *p;
	unsigned char *q;
	int err;

	p = object_map(&self->o, length, RW, MAP_SHARED);
	q = object_map(&self->o, length, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	err = io_uring_queue_init(4, &ring, 0);
	if (err == -ENOSYS)
		SKIP(return, "no io_uring");
	ASSERT_EQ(0, err);
	iov = (struct iovec){ .iov_base = p, .iov_len = length };
	err = io_uring_register_buffers(&ring, &iov, 1);
	if (err == -EOPNOTSUPP && is_mmapdev(variant->kind))
		SKIP(return, "before 6.5 io_uring pins no file's pages but shmem's");
	ASSERT_EQ(0, err);
	EXPECT_EQ(PAGES, object_resident(&self->o));

	ASSERT_TRUE(disc_fill(self->disc, self->buffer, 'd'));
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read_fixed(sqe, self->disc, p, length, 0, 0);
	ASSERT_EQ(1, io_uring_submit_and_wait(&ring, 1));
	ASSERT_EQ(0, io_uring_peek_cqe(&ring, &cqe));
	EXPECT_EQ(length, cqe->res);
	io_uring_cqe_seen(&ring, cqe);
	EXPECT_TRUE(bytes_are(q, 'd', length));

	memset(q, 'q', length);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write_fixed(sqe, self->disc, p, length, 0, 0);
	ASSERT_EQ(1, io_uring_submit_and_wait(&ring, 1));
	ASSERT_EQ(0, io_uring_peek_cqe(&ring, &cqe));
	EXPECT_EQ(length, cqe->res);
	io_uring_cqe_seen(&ring, cqe);
	ASSERT_EQ(length, pread(self->disc, self->buffer, length, 0));
	EXPECT_TRUE(bytes_are(self->buffer, 'q', length));
	io_uring_queue_exit(&ring);
}

FIXTURE(page) {
	struct object o;
	size_t page;
	unsigned char *p;	/* PAGES pages, shared, none there yet */
	int pipe[2];
};

FIXTURE_VARIANT(page) {
	enum backend_kind kind;
};

FIXTURE_SETUP(page)
{
	self->page = getpagesize();
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
	self->p = object_map(&self->o, PAGES * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_EQ(0, pipe(self->pipe));
}

FIXTURE_TEARDOWN(page)
{
	object_close(&self->o);
}

FILE_VARIANTS(page);

TEST_F(page, is_one_frame_in_every_mapping_until_copied)
{
	unsigned char *twin;
	unsigned char *copy;
	uint64_t frame;

	twin = object_map(&self->o, self->page, RW, MAP_SHARED);
	copy = object_map(&self->o, self->page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, twin);
	ASSERT_NE(MAP_FAILED, copy);
	self->p[0] = 'x';
	EXPECT_EQ('x', twin[0]);
	EXPECT_EQ('x', *(volatile unsigned char *)copy);

	frame = PAGEMAP_PFN(pagemap_entry(self->p));
	EXPECT_NE(0, frame);
	EXPECT_EQ(frame, PAGEMAP_PFN(pagemap_entry(twin)));
	EXPECT_EQ(frame, PAGEMAP_PFN(pagemap_entry(copy)));
	EXPECT_EQ(PAGEMAP_PRESENT | PAGEMAP_FILE, pagemap_entry(self->p) &
		  (PAGEMAP_PRESENT | PAGEMAP_FILE));

	copy[0] = 'c';
	EXPECT_NE(frame, PAGEMAP_PFN(pagemap_entry(copy)));
	EXPECT_EQ(PAGEMAP_PRESENT, pagemap_entry(copy) &
		  (PAGEMAP_PRESENT | PAGEMAP_FILE));
	EXPECT_EQ(frame, PAGEMAP_PFN(pagemap_entry(self->p)));
}

static ssize_t splice_in(int pipe, void *p, size_t length)
{
	struct iovec iov = { .iov_base = p, .iov_len = length };

	return vmsplice(pipe, &iov, 1, 0);
}

/* The pipe has the page, not a copy: it sees what is stored later. */
TEST_F(page, in_a_pipe_is_the_page_itself)
{
	unsigned char bytes[4];

	memcpy(self->p, "abcd", 4);
	ASSERT_EQ(4, splice_in(self->pipe[1], self->p, 4));
	self->p[1] = 'X';
	ASSERT_EQ(4, read(self->pipe[0], bytes, 4));
	EXPECT_EQ(0, memcmp(bytes, "aXcd", 4));
}

/* Cut off, it keeps its bytes for the pipe, and the object has it no more. */
TEST_F(page, in_a_pipe_outlives_truncation)
{
	unsigned char bytes[self->page];

	memset(self->p, 'o', self->page);
	ASSERT_EQ(self->page, splice_in(self->pipe[1], self->p, self->page));
	ASSERT_EQ(0, object_resize(&self->o, 0));
	EXPECT_EQ(0, object_resident(&self->o));
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	EXPECT_TRUE(page_is(self->p, 0));
	self->p[0] = 'n';
	ASSERT_EQ(self->page, read(self->pipe[0], bytes, self->page));
	EXPECT_TRUE(page_is(bytes, 'o'));
	EXPECT_EQ('n', self->p[0]);
}

TEST_F(page, takes_bytes_from_a_pipe)
{
	ASSERT_EQ(4, write(self->pipe[1], "abcd", 4));
	ASSERT_EQ(4, splice_in(self->pipe[0], self->p + self->page - 2, 4));
	EXPECT_EQ(0, memcmp(self->p + self->page - 2, "abcd", 4));
	EXPECT_EQ('d', object_byte(&self->o, self->page + 1));
	EXPECT_EQ(2, object_resident(&self->o));
}

TEST_HARNESS_MAIN
