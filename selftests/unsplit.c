// SPDX-License-Identifier: GPL-2.0
/*
 * A huge page that is pinned when the object is cut inside it stays whole. It must
 * show nothing past EOF, then or after a growth, even once the kernel has moved
 * it to other memory. mmapdev only.
 */
#include "harness.h"

#include <liburing.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "bytes.h"
#include "child.h"
#include "device.h"
#include "huge.h"
#include "steps.h"
#include "trap.h"

#define PINNED	300	/* the page that a pipe has pinned */

/* How the object grows over what was cut off. */
enum growth {
	BY_RESIZE,
	BY_WRITE,
	BY_FALLOCATE,
};

/*
 * An object of one huge page of 'X', cut at byte `end` while a pipe had a page of
 * it pinned. The pipe is gone, and so is the mapping that it pinned through.
 */
FIXTURE(cut) {
	struct object o;
	size_t page;
	size_t huge;
	unsigned char *p;	/* a new mapping */
	struct knob step;
};

FIXTURE_VARIANT(cut) {
	size_t end;
	enum growth growth;
};

#define CUT_VARIANT(name, ...)						\
	FIXTURE_VARIANT_ADD(cut, name) { __VA_ARGS__ }

CUT_VARIANT(aligned_resize, .end = 256 * 4096, .growth = BY_RESIZE);
CUT_VARIANT(aligned_write, .end = 256 * 4096, .growth = BY_WRITE);
CUT_VARIANT(aligned_fallocate, .end = 256 * 4096, .growth = BY_FALLOCATE);
CUT_VARIANT(inside_resize, .end = 5 * 4096 + 7, .growth = BY_RESIZE);
CUT_VARIANT(inside_write, .end = 5 * 4096 + 7, .growth = BY_WRITE);
CUT_VARIANT(inside_fallocate, .end = 5 * 4096 + 7, .growth = BY_FALLOCATE);

static unsigned char *map_whole(const struct object *o, size_t length)
{
	unsigned char *p = object_map(o, length, RW, MAP_SHARED);

	return p == MAP_FAILED || madvise(p, length, MADV_HUGEPAGE) ?
		MAP_FAILED : p;
}

/* Fill the object, cut it at end with a page pinned, map it anew: 0, or -1. */
static int cut_pinned(FIXTURE_DATA(cut) *self, size_t end)
{
	struct iovec vec = { self->p + PINNED * self->page, self->page };
	int ends[2];

	memset(self->p, 'X', self->huge);
	if (pipe(ends) ||
	    vmsplice(ends[1], &vec, 1, 0) != (ssize_t)self->page ||
	    object_resize(&self->o, end))
		return -1;
	close(ends[0]);
	close(ends[1]);
	munmap(self->p, self->huge);
	self->p = map_whole(&self->o, self->huge);
	return self->p == MAP_FAILED ? -1 : 0;
}

FIXTURE_SETUP(cut)
{
	self->page = getpagesize();
	self->huge = huge_bytes();
	if (!self->huge)
		SKIP(return, "no huge pages in this kernel");
	self->o = object_open(OBJFILE);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_resize(&self->o, self->huge));
	self->p = map_whole(&self->o, self->huge);
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_EQ(0, cut_pinned(self, variant->end));
	ASSERT_EQ(1, object_stats(&self->o).fault_shared_write);
}

FIXTURE_TEARDOWN(cut)
{
	EXPECT_EQ(0, knob_restore(&self->step));
	object_close(&self->o);
}

/* Grow to length: 0, or -1 with errno. */
static int grow(const struct object *o, enum growth how, size_t length)
{
	switch (how) {
	case BY_RESIZE:
		return object_resize(o, length);
	case BY_WRITE:
		return pwrite(o->fd, "", 1, length - 1) == 1 ? 0 : -1;
	case BY_FALLOCATE:
		return fallocate(o->fd, 0, length - 1, 1);
	}
	return -1;
}

/*
 * Move the page at p to a memory node of another number: 0, or what move_pages(2)
 * says of it. ENODEV: there is one node.
 */
static int move_page(unsigned char *p)
{
	void *at = p;
	int node, status = -1;

	if (access("/sys/devices/system/node/node1", F_OK))
		return ENODEV;
	*(volatile unsigned char *)p;
	if (syscall(SYS_move_pages, 0, 1UL, &at, NULL, &status, 0))
		return errno;
	if (status < 0)
		return -status;
	node = !status;
	if (syscall(SYS_move_pages, 0, 1UL, &at, &node, &status, 1 << 1))
		return errno;
	return status == node ? 0 : EBUSY;
}

#define EXPECT_NOTHING_PAST_THE_END() do {				\
	size_t end_ = variant->end;					\
	unsigned char *past_ = self->p +				\
		(end_ + self->page - 1) / self->page * self->page;	\
	unsigned char *last_ = self->p + self->huge - 1;		\
									\
	EXPECT_TRUE(bytes_are(self->p, 'X', end_));			\
	EXPECT_TRAP(trap_store(past_, 'Y'), SIGBUS, BUS_ADRERR, past_);	\
	EXPECT_TRAP(trap_load(past_), SIGBUS, BUS_ADRERR, past_);	\
	EXPECT_TRAP(trap_store(last_, 'Y'), SIGBUS, BUS_ADRERR, last_);	\
	ASSERT_EQ(0, grow(&self->o, variant->growth, self->huge));	\
	EXPECT_TRUE(bytes_are(self->p, 'X', end_));			\
	EXPECT_TRUE(bytes_are(self->p + end_, 0, self->huge - end_));	\
} while (0)

TEST_F(cut, new_mapping_shows_nothing_past_the_end)
{
	self->p[0] = 'X';
	EXPECT_NOTHING_PAST_THE_END();
}

TEST_F(cut, load_maps_nothing_past_the_end)
{
	EXPECT_EQ('X', *(volatile unsigned char *)self->p);
	EXPECT_NOTHING_PAST_THE_END();
}

/* A mapping in which pages are not made ahead, whose loads the core maps around. */
TEST_F(cut, fault_around_maps_nothing_past_the_end)
{
	ASSERT_EQ(0, madvise(self->p, self->huge, MADV_NOHUGEPAGE));
	EXPECT_EQ('X', *(volatile unsigned char *)self->p);
	EXPECT_NOTHING_PAST_THE_END();
}

/* Move the pages to another node, and map them anew: 0 or an errno. */
static int remap_moved(FIXTURE_DATA(cut) *self)
{
	int err = move_page(self->p);

	if (err)
		return err;
	munmap(self->p, self->huge);
	self->p = map_whole(&self->o, self->huge);
	return self->p == MAP_FAILED ? errno : 0;
}

TEST_F(cut, migration_brings_nothing_past_the_end_back)
{
	int err = remap_moved(self);

	if (err == ENODEV)
		SKIP(return, "one memory node");
	ASSERT_EQ(0, err);
	self->p[0] = 'X';
	EXPECT_NOTHING_PAST_THE_END();
}

TEST_F(cut, loads_after_migration_map_nothing_past_the_end)
{
	int err = remap_moved(self);

	if (err == ENODEV)
		SKIP(return, "one memory node");
	ASSERT_EQ(0, err);
	EXPECT_EQ('X', *(volatile unsigned char *)self->p);
	EXPECT_NOTHING_PAST_THE_END();
}

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/*
 * From 7.x on the kernel maps any huge folio by one PMD if MADV_COLLAPSE asks for
 * it, without a look at EOF: then stores past EOF do not fault, but they are not
 * the object's all the same. Other kernels refuse.
 */
TEST_F(cut, collapse_brings_nothing_past_the_end_into_the_object)
{
	unsigned char *last = self->p + self->huge - 1;
	size_t end = variant->end;

	EXPECT_EQ('X', *(volatile unsigned char *)self->p);
	if (madvise(self->p, self->huge, MADV_COLLAPSE)) {
		EXPECT_NOTHING_PAST_THE_END();
		return;
	}
	trap_store(last, 'Y');
	ASSERT_EQ(0, grow(&self->o, variant->growth, self->huge));
	EXPECT_TRUE(bytes_are(self->p, 'X', end));
	EXPECT_TRUE(bytes_are(self->p + end, 0, self->huge - end));
}

TEST_F(cut, whole_page_is_mapped_at_once_after_growth)
{
	unsigned long before;

	ASSERT_EQ(0, object_resize(&self->o, self->huge));
	before = object_stats(&self->o).fault_shared_write;
	memset(self->p, 'Z', self->huge);
	EXPECT_EQ(before + 1, object_stats(&self->o).fault_shared_write);
}

static void *touch(void *p)
{
	*(volatile unsigned char *)p = 'X';
	return NULL;
}

/*
 * The first thread to touch it finds EOF in the huge page, and the second does not: the
 * kernel must not be asked for a page table where it has mapped the whole by then, of
 * which it would complain in its log.
 */
TEST_F(cut, growth_comes_between_two_first_touches)
{
	size_t end = variant->end;

	for (int i = 0; i < 8; i++) {
		pthread_t first;

		ASSERT_EQ(0, steps_wait(&self->step, "100000"));
		ASSERT_EQ(0, pthread_create(&first, NULL, touch, self->p));
		usleep(3000);
		ASSERT_EQ(0, grow(&self->o, variant->growth, self->huge));
		touch(self->p + self->page);
		pthread_join(first, NULL);
		ASSERT_EQ(0, knob_restore(&self->step));
		ASSERT_TRUE(bytes_are(self->p, 'X', end));
		ASSERT_TRUE(bytes_are(self->p + end, 0, self->huge - end));
		ASSERT_EQ(0, cut_pinned(self, end));
	}
}

/*
 * io_uring has all pages of the object pinned for as long as it likes, and writes
 * to those that were cut off.
 */
TEST(bytes_of_a_pin_past_the_end_are_not_the_objects)
{
	size_t page = getpagesize(), huge = huge_bytes();
	struct object o = object_open(OBJFILE);
	struct object source = object_open(MEMFD);
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	unsigned char *p;
	struct iovec iov;
	int err;

	if (!huge)
		SKIP(return, "no huge pages in this kernel");
	ASSERT_GE(o.fd, 0);
	ASSERT_EQ(0, object_resize(&o, huge));
	ASSERT_EQ(0, object_fill(&source, 1, 'Y'));
	p = map_whole(&o, huge);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'X', huge);
	err = io_uring_queue_init(4, &ring, 0);
	if (err == -ENOSYS)
		SKIP(return, "no io_uring");
	ASSERT_EQ(0, err);
	iov = (struct iovec){ .iov_base = p, .iov_len = huge };
	err = io_uring_register_buffers(&ring, &iov, 1);
	if (err == -EOPNOTSUPP)
		SKIP(return, "before 6.5 io_uring pins no file's pages but shmem's");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, object_resize(&o, 256 * page));
	io_uring_prep_read_fixed(io_uring_get_sqe(&ring), source.fd,
				 p + PINNED * page, page, 0, 0);
	ASSERT_EQ(1, io_uring_submit_and_wait(&ring, 1));
	ASSERT_EQ(0, io_uring_peek_cqe(&ring, &cqe));
	EXPECT_EQ(page, cqe->res);
	ASSERT_EQ(0, object_resize(&o, huge));
	EXPECT_TRUE(bytes_are(p, 'X', 256 * page));
	EXPECT_TRUE(bytes_are(p + 256 * page, 0, huge - 256 * page));
	io_uring_queue_exit(&ring);
	object_close(&source);
	object_close(&o);
}

TEST_HARNESS_MAIN
