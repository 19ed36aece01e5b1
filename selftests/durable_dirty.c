// SPDX-License-Identifier: GPL-2.0
/*
 * Which pages of durable objects are dirty, whatever stores to them and whatever
 * happens to their mappings and to their memory: those that were stored to, and
 * no others. Dirty pages reach the store at the next sync, from wherever they
 * are by then.
 *
 * A file of ext4 does not tell which of its pages are dirty, but the bytes that
 * survive must be the same.
 */
#include "harness.h"

#include <liburing.h>
#include <linux/falloc.h>
#include <sys/uio.h>

#include "address.h"
#include "child.h"
#include "drop_caches.h"
#include "durable.h"
#include "knob.h"
#include "procfs.h"
#include "slow.h"
#include "times.h"

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

#define EXPECT_STATES(states) do {					\
	if (self->d.kind != EXT4) {					\
		EXPECT_STREQ(states,					\
			     durable_states(&self->d, DURABLE_PAGES));	\
	}								\
} while (0)

/* What the mapping's pages hold is durable after a sync. */
#define EXPECT_DURABLE(bytes) do {					\
	EXPECT_STREQ(bytes, file_bytes(self->d.fd));			\
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));		\
	ASSERT_EQ(0, durable_cut(&self->d));				\
	EXPECT_STREQ(bytes, file_bytes(self->d.fd));			\
} while (0)

/* These pages are dirty, clean after a sync, and then durable. */
#define EXPECT_DIRTY(states, bytes) do {				\
	EXPECT_STATES(states);						\
	EXPECT_STREQ(bytes, file_bytes(self->d.fd));			\
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));		\
	EXPECT_STATES("cccccccc");					\
	ASSERT_EQ(0, durable_cut(&self->d));				\
	EXPECT_STREQ(bytes, file_bytes(self->d.fd));			\
} while (0)

static void *map_again(const struct durable *d, int flags)
{
	return mmap(NULL, DURABLE_PAGES * getpagesize(), RW, flags, d->fd, 0);
}

/* Load from each page of a mapping. */
static void load_all(const volatile unsigned char *p)
{
	for (size_t i = 0; i < DURABLE_PAGES; i++)
		(void)p[i * getpagesize()];
}

DURABLE_FIXTURE(dirty_times);
ALL_KINDS(dirty_times);

/* Modified and changed later than the test's last look? */
static bool is_newer(int fd, struct stat *last)
{
	struct stat was = *last;

	let_the_clock_tick();
	if (fstat(fd, last))
		return false;
	return nanoseconds(was.st_mtim) < nanoseconds(last->st_mtim) &&
	       nanoseconds(was.st_ctim) < nanoseconds(last->st_ctim);
}

TEST_F(dirty_times, are_those_of_the_store_that_makes_a_page_dirty)
{
	struct stat last;

	load_all(self->p);
	ASSERT_EQ(0, fstat(self->d.fd, &last));
	for (int i = 0; i < 3; i++) {
		let_the_clock_tick();
		self->p[self->page] = 'X';	/* mapped, and read-only */
		EXPECT_TRUE(is_newer(self->d.fd, &last));
		EXPECT_FALSE(is_newer(self->d.fd, &last));
		ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
		EXPECT_FALSE(is_newer(self->d.fd, &last));
	}
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_DONTNEED));
	let_the_clock_tick();
	self->p[2 * self->page] = 'X';		/* not mapped */
	EXPECT_TRUE(is_newer(self->d.fd, &last));
}

/* fork(2) */
DURABLE_FIXTURE(dirty_fork);
ALL_KINDS(dirty_fork);

static int load_inherited(void *arg, struct turn *t)
{
	load_all(arg);
	return 0;
}

TEST_F(dirty_fork, loads_of_a_child_leave_pages_as_they_are)
{
	memset(self->p + 2 * self->page, 'X', self->page);
	ASSERT_EQ(0, child_run(load_inherited, self->p));
	EXPECT_DIRTY("ccdccccc", "abXdefgh");
}

/* Two stores to the second page, with a turn in between. */
static int store_twice(void *arg, struct turn *t)
{
	unsigned char *p = arg;
	size_t page = getpagesize();

	memset(p + page, 'X', page);
	if (turn_done(t) || turn_wait(t))
		return 1;
	memset(p + page, 'Y', page);
	return 0;
}

TEST_F(dirty_fork, store_of_a_child_is_seen_and_after_a_sync_again)
{
	struct child c = child_start(store_twice, self->p);

	ASSERT_EQ(0, child_done(&c));
	EXPECT_STATES("cdcccccc");
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	EXPECT_STATES("cccccccc");
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
	EXPECT_DIRTY("cdcccccc", "aYcdefgh");
}

/* The page is writable in both page tables when the sync begins. */
TEST_F(dirty_fork, store_to_a_page_that_was_dirty_before_is_seen_too)
{
	struct child c;

	memset(self->p + self->page, 'W', self->page);
	c = child_start(store_twice, self->p);
	ASSERT_EQ(0, child_done(&c));
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	EXPECT_STATES("cccccccc");
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
	EXPECT_DIRTY("cdcccccc", "aYcdefgh");
}

/* In a private mapping that is inherited with a copy in it. */
static int store_privately(void *arg, struct turn *t)
{
	unsigned char *q = arg;
	size_t page = getpagesize();

	memset(q, 'y', 2 * page);
	return page_is(q, 'y') && page_is(q + 2 * page, 'c') ? 0 : 1;
}

TEST_F(dirty_fork, private_stores_of_both_make_nothing_dirty)
{
	unsigned char *q = map_again(&self->d, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, q);
	memset(q, 'z', self->page);
	memset(self->p + 2 * self->page, 'c', self->page);
	ASSERT_EQ(0, child_run(store_privately, q));
	memset(q + 3 * self->page, 'z', self->page);
	EXPECT_TRUE(page_is(q, 'z'));
	EXPECT_TRUE(page_is(q + self->page, 'b'));
	EXPECT_DIRTY("ccdccccc", "abcdefgh");
}

/* mremap(2) */
DURABLE_FIXTURE(dirty_mremap);
ALL_KINDS(dirty_mremap);

#define MOVE(p, length, how) ({						\
	void *at_ = address_hole(length);				\
	at_ == MAP_FAILED ? at_ :					\
		mremap(p, length, length, MREMAP_MAYMOVE | MREMAP_FIXED | \
		       (how), at_);					\
})

TEST_F(dirty_mremap, moved_page_stays_dirty_and_moved_mapping_is_tracked)
{
	memset(self->p + self->page, 'X', self->page);
	self->p = MOVE(self->p, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	EXPECT_STATES("cdcccccc");
	memset(self->p + 3 * self->page, 'Y', self->page);
	EXPECT_DIRTY("cdcdcccc", "aXcYefgh");
}

/* What was writable, is clean, and moves must not be writable there. */
TEST_F(dirty_mremap, store_after_a_sync_and_a_move_is_seen)
{
	memset(self->p + self->page, 'X', self->page);
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	self->p = MOVE(self->p, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	EXPECT_STATES("cccccccc");
	memset(self->p + self->page, 'Y', self->page);
	EXPECT_DIRTY("cdcccccc", "aYcdefgh");
}

TEST_F(dirty_mremap, sync_write_protects_where_the_mapping_is_now)
{
	memset(self->p + self->page, 'X', self->page);
	self->p = MOVE(self->p, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	EXPECT_STATES("cccccccc");
	memset(self->p + self->page, 'Y', self->page);
	EXPECT_DIRTY("cdcccccc", "aYcdefgh");
}

TEST_F(dirty_mremap, second_mapping_made_by_mremap_is_tracked)
{
	unsigned char *q;

	memset(self->p + self->page, 'X', self->page);
	q = mremap(self->p, 0, self->length, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_STATES("cdcccccc");
	memset(q + 2 * self->page, 'Y', self->page);
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	EXPECT_STATES("cccccccc");
	memset(self->p + 2 * self->page, 'Z', self->page);
	memset(q + 3 * self->page, 'Y', self->page);
	EXPECT_DIRTY("ccddcccc", "aXZYefgh");
}

/* The old mapping stays, empty. */
TEST_F(dirty_mremap, mapping_that_is_left_behind_is_tracked)
{
	unsigned char *q;

	memset(self->p + self->page, 'X', self->page);
	q = MOVE(self->p, self->length, MREMAP_DONTUNMAP);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_STATES("cdcccccc");
	EXPECT_TRUE(page_is(self->p + self->page, 'X'));
	memset(self->p + 2 * self->page, 'Y', self->page);
	memset(q + 3 * self->page, 'Z', self->page);
	EXPECT_DIRTY("cdddcccc", "aXYZefgh");
}

TEST_F(dirty_mremap, page_cut_off_the_mapping_stays_dirty)
{
	memset(self->p + 6 * self->page, 'X', self->page);
	ASSERT_EQ(self->p, mremap(self->p, self->length, 4 * self->page, 0));
	EXPECT_STATES("ccccccdc");
	EXPECT_STREQ("abcdefXh", file_bytes(self->d.fd));
	/* The mapping has none of it, so not its msync. */
	ASSERT_EQ(0, msync(self->p, 4 * self->page, MS_SYNC));
	EXPECT_STATES("ccccccdc");
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefXh", file_bytes(self->d.fd));
}

/* Private mappings */
DURABLE_FIXTURE(dirty_private);
ALL_KINDS(dirty_private);

TEST_F(dirty_private, copies_leave_the_page_as_it_is_dirty_or_clean)
{
	unsigned char *q = map_again(&self->d, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, q);
	memset(self->p + self->page, 'X', self->page);
	load_all(q);
	q[self->page] = 'z';
	q[2 * self->page] = 'z';
	EXPECT_DIRTY("cdcccccc", "aXcdefgh");
	EXPECT_EQ('z', q[self->page]);
	EXPECT_TRUE(bytes_are(q + self->page + 1, 'X', self->page - 1));
}

#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

#define WRITE_AND_WAIT	(SYNC_FILE_RANGE_WAIT_BEFORE |			\
			 SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)

/* Pages in the store alone: flushed, written back only, new; and a hole. */
TEST_F(dirty_private, copies_of_pages_that_are_not_cached_have_what_is_stored)
{
	static const char stored[] = "aX0defghI";
	struct mmapdev_stats before, after;
	unsigned char *q;

	memset(self->p + self->page, 'X', self->page);
	ASSERT_EQ(0, page_write(self->d.fd, DURABLE_PAGES, 'I'));
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, 2 * self->page, self->page));
	ASSERT_EQ(0, sync_file_range(self->d.fd, 0, 0, WRITE_AND_WAIT));
	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	ASSERT_EQ(0, drop_caches("3"));
	if (self->d.kind != EXT4) {
		ASSERT_EQ(0, durable_info(&self->d).resident);
		before = durable_stats(&self->d);
	}
	q = mmap(NULL, self->length + self->page, RW, MAP_PRIVATE, self->d.fd,
		 0);
	ASSERT_NE(MAP_FAILED, q);
	for (int i = 0; i <= DURABLE_PAGES; i++)
		q[i * self->page + 9] = 'z';
	for (int i = 0; i <= DURABLE_PAGES; i++) {
		unsigned char *at = q + i * self->page;
		unsigned char byte = stored[i] == '0' ? 0 : stored[i];

		EXPECT_TRUE(bytes_are(at, byte, 9));
		EXPECT_EQ('z', at[9]);
		EXPECT_TRUE(bytes_are(at + 10, byte, self->page - 10));
	}
	EXPECT_STREQ(stored, file_bytes(self->d.fd));
	if (self->d.kind != EXT4) {
		after = durable_stats(&self->d);
		EXPECT_EQ(1, after.fault_cow_hole - before.fault_cow_hole);
		EXPECT_EQ(DURABLE_PAGES + 1,
			  after.fault_cow_source - before.fault_cow_source);
		EXPECT_STREQ("cp-cccccp", durable_states(&self->d, 9));
	}
}

/* The kernel's store to a private mapping takes the same way. */
TEST_F(dirty_private, kernels_stores_copy_what_is_stored)
{
	unsigned char *q;

	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	ASSERT_EQ(0, drop_caches("3"));
	q = map_again(&self->d, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, q);
	for (int i = 0; i < 2; i++) {
		unsigned char *at = q + i * self->page;

		ASSERT_EQ(1, pread(self->d.fd, at + 9, 1, 4 * self->page));
		EXPECT_TRUE(bytes_are(at, 'a' + i, 9));
		EXPECT_EQ('e', at[9]);
		EXPECT_TRUE(bytes_are(at + 10, 'a' + i, self->page - 10));
	}
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

TEST_F(dirty_private, kernels_stores_make_nothing_dirty)
{
	unsigned char *q = map_again(&self->d, MAP_PRIVATE);
	unsigned char bytes[self->page];
	struct iovec from = { bytes, self->page };
	struct iovec to = { q + self->page, self->page };

	ASSERT_NE(MAP_FAILED, q);
	memset(bytes, 'x', self->page);
	memset(self->p, 'X', self->page);
	ASSERT_EQ(self->page, process_vm_writev(getpid(), &from, 1, &to, 1, 0));
	ASSERT_EQ(self->page, pread(self->d.fd, q + 2 * self->page, self->page,
				    0));
	EXPECT_TRUE(page_is(q + self->page, 'x'));
	EXPECT_TRUE(page_is(q + 2 * self->page, 'X'));
	EXPECT_DIRTY("dccccccc", "Xbcdefgh");
}

/* mlock(2), and filling page tables ahead */
DURABLE_FIXTURE(dirty_locked);
ALL_KINDS(dirty_locked);

TEST_F(dirty_locked, locking_and_populating_to_read_make_nothing_dirty)
{
	unsigned char *q = map_again(&self->d, MAP_SHARED | MAP_POPULATE);

	ASSERT_NE(MAP_FAILED, q);
	EXPECT_STATES("cccccccc");
	ASSERT_EQ(0, mlock(self->p, self->length));
	EXPECT_STATES("cccccccc");
	self->p[4 * self->page] = 'X';
	EXPECT_STATES("ccccdccc");
	ASSERT_EQ(0, munlock(self->p, self->length));
	memset(self->p + 4 * self->page, 'X', self->page);
	EXPECT_DIRTY("ccccdccc", "abcdXfgh");
}

TEST_F(dirty_locked, populating_to_write_makes_just_those_dirty)
{
	ASSERT_EQ(0, madvise(self->p + 2 * self->page, 2 * self->page,
			     MADV_POPULATE_WRITE));
	EXPECT_DIRTY("ccddcccc", "abcdefgh");
}

TEST_F(dirty_locked, dirty_page_that_is_locked_and_unlocked_stays_dirty)
{
	memset(self->p + 5 * self->page, 'X', self->page);
	ASSERT_EQ(0, mlock(self->p, self->length));
	EXPECT_STATES("cccccdcc");
	memset(self->p + 6 * self->page, 'Y', self->page);
	ASSERT_EQ(0, munlock(self->p, self->length));
	EXPECT_STATES("cccccddc");
	/* Not even so does anybody lose what was stored. */
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_DONTNEED));
	EXPECT_DIRTY("cccccddc", "abcdeXYh");
}

TEST_F(dirty_locked, locked_page_is_seen_again_after_each_sync)
{
	ASSERT_EQ(0, mlock(self->p, self->length));
	for (int i = 0; i < 3; i++) {
		memset(self->p + 3 * self->page, 'X' + i, self->page);
		EXPECT_STATES("cccdcccc");
		ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
		EXPECT_STATES("cccccccc");
	}
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcZefgh", file_bytes(self->d.fd));
}

/* The kernel stores for a program: through its address, or through a pin. */
DURABLE_FIXTURE(dirty_kernel);
ALL_KINDS(dirty_kernel);

TEST_F(dirty_kernel, read_from_a_pipe_dirties_the_pages_it_touches)
{
	unsigned char bytes[self->page];
	int ends[2];

	memset(bytes, 'x', self->page);
	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(self->page, write(ends[1], bytes, self->page));
	ASSERT_EQ(self->page, read(ends[0], self->p + 2 * self->page,
				   self->page));
	EXPECT_DIRTY("ccdccccc", "abxdefgh");
}

TEST_F(dirty_kernel, process_vm_writev_dirties_the_pages_it_touches)
{
	unsigned char bytes[self->page];
	struct iovec from = { bytes, self->page };
	struct iovec to = { self->p + 2 * self->page + 1, self->page };

	memset(bytes, 'x', self->page);
	ASSERT_EQ(self->page, process_vm_writev(getpid(), &from, 1, &to, 1, 0));
	EXPECT_EQ('c', self->p[2 * self->page]);
	EXPECT_EQ('x', self->p[3 * self->page]);
	EXPECT_EQ('d', self->p[3 * self->page + 1]);
	memset(self->p + 2 * self->page, 'x', self->page);
	memset(self->p + 3 * self->page, 'y', self->page);
	EXPECT_DIRTY("ccddcccc", "abxyefgh");
}

/* As debuggers store. */
TEST_F(dirty_kernel, proc_mem_dirties_the_page_it_touches)
{
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	unsigned char bytes[self->page];

	ASSERT_GE(mem, 0);
	memset(bytes, 'x', self->page);
	ASSERT_EQ(self->page, pwrite(mem, bytes, self->page,
				     (uintptr_t)self->p + 5 * self->page));
	EXPECT_DIRTY("cccccdcc", "abcdexgh");
	close(mem);
}

TEST_F(dirty_kernel, reads_through_pins_make_nothing_dirty)
{
	unsigned char bytes[self->page];
	struct iovec to = { bytes, self->page };
	struct iovec from = { self->p + self->page, self->page };
	int ends[2], disc;

	if (!durable_possible(EXT4))
		SKIP(return, "no ext4 on a loop device to write to");
	disc = ext4_digits();
	ASSERT_GE(disc, 0);
	ASSERT_EQ(self->page, process_vm_readv(getpid(), &to, 1, &from, 1, 0));
	EXPECT_TRUE(page_is(bytes, 'b'));
	ASSERT_EQ(self->page, pwrite(disc, self->p, self->page, 0));
	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(self->page, vmsplice(ends[1], &from, 1, 0));
	EXPECT_DIRTY("cccccccc", "abcdefgh");
	close(disc);
}

/*
 * The kernel wakes the reader before it sees that the pages are still dirty:
 * it can make them dirty again right after a sync.
 */
TEST_F(dirty_kernel, direct_read_dirties_the_pages_it_touches)
{
	int disc;

	if (!durable_possible(EXT4))
		SKIP(return, "no ext4 on a loop device to read from");
	disc = ext4_digits();
	ASSERT_GE(disc, 0);
	ASSERT_EQ(2 * self->page, pread(disc, self->p + 4 * self->page,
					2 * self->page, 0));
	EXPECT_STATES("ccccddcc");
	EXPECT_DURABLE("abcd12gh");
	close(disc);
}

TEST_F(dirty_kernel, direct_read_by_io_uring_dirties_the_pages_it_touches)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int disc, err;

	if (!durable_possible(EXT4))
		SKIP(return, "no ext4 on a loop device to read from");
	disc = ext4_digits();
	ASSERT_GE(disc, 0);
	err = io_uring_queue_init(4, &ring, 0);
	if (err == -ENOSYS)
		SKIP(return, "no io_uring");
	ASSERT_EQ(0, err);
	io_uring_prep_read(io_uring_get_sqe(&ring), disc,
			   self->p + 3 * self->page, self->page, self->page);
	ASSERT_EQ(1, io_uring_submit_and_wait(&ring, 1));
	ASSERT_EQ(0, io_uring_peek_cqe(&ring, &cqe));
	EXPECT_EQ(self->page, cqe->res);
	io_uring_cqe_seen(&ring, cqe);
	EXPECT_STATES("cccdcccc");
	EXPECT_DURABLE("abc2efgh");
	io_uring_queue_exit(&ring);
	close(disc);
}

/*
 * A pin that is kept would store to pages after they were written back, unseen:
 * the kernel gives none where stores are to be seen. Before 6.5 it gave none for
 * any file, and had made the pages dirty by then.
 */
TEST_F(dirty_kernel, io_uring_gets_no_pins_to_keep)
{
	struct iovec iov = { self->p, self->length };
	struct io_uring ring;
	int err;

	err = io_uring_queue_init(4, &ring, 0);
	if (err == -ENOSYS)
		SKIP(return, "no io_uring");
	ASSERT_EQ(0, err);
	err = io_uring_register_buffers(&ring, &iov, 1);
	EXPECT_TRUE(err == -EFAULT || err == -EOPNOTSUPP) {
		TH_LOG("%d", err);
	}
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	EXPECT_STATES("cccccccc");
	memset(self->p + 3 * self->page, 'X', self->page);
	EXPECT_DIRTY("cccdcccc", "abcXefgh");
	io_uring_queue_exit(&ring);
}

/* The page's memory moves elsewhere. */
DURABLE_FIXTURE(dirty_moved);
ALL_KINDS(dirty_moved);

static uint64_t frame_of(const volatile unsigned char *p)
{
	(void)*p;
	return PAGEMAP_PFN(pagemap_entry((const void *)p));
}

/*
 * Move what is mapped at p to other memory: 0, or the error. A page that mlock
 * has left in a batch of another CPU is busy for a while.
 */
static int move_memory(unsigned char *p)
{
	for (int tries = 0; tries < 100; tries++) {
		if (!madvise(p, getpagesize(), MADV_SOFT_OFFLINE))
			return 0;
		if (errno != EBUSY)
			break;
		usleep(10000);
	}
	return errno;
}

TEST_F(dirty_moved, dirty_page_stays_dirty_and_keeps_its_bytes)
{
	uint64_t before;
	int err;

	memset(self->p + 3 * self->page, 'X', self->page);
	before = frame_of(self->p + 3 * self->page);
	err = move_memory(self->p + 3 * self->page);
	if (err == EINVAL)
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	ASSERT_EQ(0, err);
	EXPECT_STATES("cccdcccc");
	EXPECT_TRUE(page_is(self->p + 3 * self->page, 'X'));
	EXPECT_NE(0, before);
	EXPECT_NE(before, frame_of(self->p + 3 * self->page));
	EXPECT_DIRTY("cccdcccc", "abcXefgh");
}

TEST_F(dirty_moved, locked_dirty_page_stays_dirty_and_keeps_its_bytes)
{
	int err;

	ASSERT_EQ(0, mlock(self->p, self->length));
	memset(self->p + 3 * self->page, 'X', self->page);
	err = move_memory(self->p + 3 * self->page);
	if (err == EINVAL)
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	ASSERT_EQ(0, err);
	EXPECT_DIRTY("cccdcccc", "abcXefgh");
}

/* In two page tables, of which one has written to it. */
TEST_F(dirty_moved, store_after_it_through_any_mapping_is_seen)
{
	unsigned char *q = map_again(&self->d, MAP_SHARED);
	int err;

	ASSERT_NE(MAP_FAILED, q);
	memset(self->p + 3 * self->page, 'X', self->page);
	load_all(q);
	err = move_memory(q + 3 * self->page);
	if (err == EINVAL)
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	EXPECT_STATES("cccccccc");
	memset(self->p + 3 * self->page, 'Y', self->page);
	EXPECT_STATES("cccdcccc");
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	memset(q + 3 * self->page, 'Z', self->page);
	EXPECT_DIRTY("cccdcccc", "abcZefgh");
}

/* A clean page may be dropped instead, to be read again. */
TEST_F(dirty_moved, clean_page_stays_clean_and_keeps_its_bytes)
{
	int err;

	load_all(self->p);
	err = move_memory(self->p + 3 * self->page);
	if (err == EINVAL)
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	ASSERT_EQ(0, err);
	EXPECT_TRUE(page_is(self->p + 3 * self->page, 'd'));
	EXPECT_STATES("cccccccc");
	memset(self->p + 3 * self->page, 'X', self->page);
	EXPECT_DIRTY("cccdcccc", "abcXefgh");
}

TEST_F(dirty_moved, page_that_is_written_but_not_flushed_is_durable_after_it)
{
	int err;

	memset(self->p + 3 * self->page, 'X', self->page);
	ASSERT_EQ(0, sync_file_range(self->d.fd, 0, self->length,
				     SYNC_FILE_RANGE_WRITE |
				     SYNC_FILE_RANGE_WAIT_AFTER));
	EXPECT_STATES("cccpcccc");
	err = move_memory(self->p + 3 * self->page);
	if (err == EINVAL)
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	ASSERT_EQ(0, err);
	EXPECT_TRUE(page_is(self->p + 3 * self->page, 'X'));
	EXPECT_DIRTY("cccpcccc", "abcXefgh");
}

/* Until told to stop: move all memory that can be moved. */
static int compact(void *arg, struct turn *t)
{
	struct pollfd stop = { .fd = t->wait, .events = POLLIN };

	do {
		if (file_write("/proc/sys/vm/compact_memory", "1"))
			return 1;
		if (!*(int *)arg) {
			if (turn_done(t))
				return 2;
			*(int *)arg = 1;
		}
	} while (!poll(&stop, 1, 0));
	return 0;
}

TEST_F(dirty_moved, stores_and_syncs_beside_compaction_lose_nothing)
{
	int rounds = slow_kernel() ? 50 : 300;
	int went = 0;
	struct child c;

	if (access("/proc/sys/vm/compact_memory", W_OK))
		SKIP(return, "no CONFIG_COMPACTION");
	c = child_start(compact, &went);
	ASSERT_EQ(0, child_done(&c));
	for (int i = 0; i < rounds; i++) {
		for (size_t n = 0; n < DURABLE_PAGES; n++)
			memset(self->p + n * self->page, 'A' + (i + n) % 26,
			       self->page);
		ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
		for (size_t n = 0; n < DURABLE_PAGES; n++) {
			ASSERT_TRUE(page_is(self->p + n * self->page,
					    'A' + (i + n) % 26));
		}
		/* What was synced is what the store has, and nothing else. */
		if (self->d.kind != EXT4 && i % 10 == 9) {
			memset(self->p + i % DURABLE_PAGES * self->page, '-',
			       self->page);
			ASSERT_LE(1, crash_call(self->d.fd,
						MMAPDEV_CRASH_REVERT));
			for (size_t n = 0; n < DURABLE_PAGES; n++) {
				ASSERT_TRUE(page_is(self->p + n * self->page,
						    'A' + (i + n) % 26));
			}
		}
	}
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
}

/* The kernel is asked to take the page's memory away. */
DURABLE_FIXTURE(dirty_reclaimed);
ALL_KINDS(dirty_reclaimed);

TEST_F(dirty_reclaimed, advice_to_page_out_loses_nothing)
{
	memset(self->p + 3 * self->page, 'X', self->page);
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_PAGEOUT));
	EXPECT_STREQ("abcXefgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcXefgh", file_bytes(self->d.fd));
}

TEST_F(dirty_reclaimed, dropped_caches_leave_dirty_pages_where_they_are)
{
	memset(self->p + 3 * self->page, 'X', self->page);
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_DONTNEED));
	ASSERT_EQ(0, drop_caches("1"));
	EXPECT_STATES("...d....");
	EXPECT_STREQ("abcXefgh", file_bytes(self->d.fd));
	EXPECT_DIRTY("cccdcccc", "abcXefgh");
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
