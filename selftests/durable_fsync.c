// SPDX-License-Identifier: GPL-2.0
/*
 * What else makes an object durable, and what does not: sync calls, synchronous
 * writes, the ends of mappings, files and processes; and the size, with what is
 * on either side of it.
 */
#include "harness.h"

#include <linux/falloc.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "child.h"
#include "drop_caches.h"
#include "durable.h"
#include "hold.h"

DURABLE_FIXTURE(fsync);
ALL_KINDS(fsync);

/* Every page and the size, dirtied by stores and by writes. */
static int change_all(unsigned char *p, int fd)
{
	store_capitals(p, DURABLE_PAGES / 2);
	for (int i = DURABLE_PAGES / 2; i < DURABLE_PAGES + 2; i++)
		if (page_write(fd, i, 'A' + i))
			return -1;
	return 0;
}

#define ALL_CHANGED	"ABCDEFGHIJ"

TEST_F(fsync, fsync_makes_all_pages_and_the_size_durable)
{
	ASSERT_EQ(0, change_all(self->p, self->d.fd));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ(ALL_CHANGED, file_bytes(self->d.fd));
}

TEST_F(fsync, fdatasync_makes_all_pages_and_the_size_durable)
{
	ASSERT_EQ(0, change_all(self->p, self->d.fd));
	ASSERT_EQ(0, fdatasync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ(ALL_CHANGED, file_bytes(self->d.fd));
}

TEST_F(fsync, sync_makes_all_pages_and_the_size_durable)
{
	ASSERT_EQ(0, change_all(self->p, self->d.fd));
	sync();
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ(ALL_CHANGED, file_bytes(self->d.fd));
}

TEST_F(fsync, syncfs_makes_all_pages_and_the_size_durable)
{
	ASSERT_EQ(0, change_all(self->p, self->d.fd));
	ASSERT_EQ(0, syncfs(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ(ALL_CHANGED, file_bytes(self->d.fd));
}

TEST_F(fsync, descriptor_that_only_reads_syncs_all_the_same)
{
	int fd = durable_open(&self->d, O_RDONLY);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, change_all(self->p, self->d.fd));
	ASSERT_EQ(0, fsync(fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ(ALL_CHANGED, file_bytes(self->d.fd));
	close(fd);
}

TEST_F(fsync, no_sync_call_makes_nothing_durable)
{
	ASSERT_EQ(0, change_all(self->p, self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

TEST_F(fsync, writes_of_a_synchronous_file_are_durable_and_no_more)
{
	int flags[] = { O_DSYNC, O_SYNC };

	store_capitals(self->p, DURABLE_PAGES);
	for (int i = 0; i < 2; i++) {
		int fd = durable_open(&self->d, O_RDWR | flags[i]);

		ASSERT_GE(fd, 0);
		ASSERT_EQ(0, page_write(fd, 2 + 2 * i, 'x' + i));
		close(fd);
	}
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abxdyfgh", file_bytes(self->d.fd));
}

TEST_F(fsync, synchronous_write_past_the_end_makes_the_size_durable)
{
	int fd = durable_open(&self->d, O_RDWR | O_DSYNC);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(1, pwrite(fd, "x", 1, self->length));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_EQ(self->length + 1, file_size(self->d.fd));
	EXPECT_STREQ("abcdefghx", file_bytes(self->d.fd));
	close(fd);
}

TEST_F(fsync, single_writes_can_be_synchronous)
{
	int flags[] = { RWF_DSYNC, RWF_SYNC };
	unsigned char bytes[self->page];
	struct iovec iov = { bytes, self->page };

	for (int i = 0; i < 2; i++) {
		memset(bytes, 'x' + i, self->page);
		ASSERT_EQ(self->page,
			  pwritev2(self->d.fd, &iov, 1, 3 * i * self->page,
				   flags[i]));
	}
	memset(bytes, 'z', self->page);
	ASSERT_EQ(self->page,
		  pwritev2(self->d.fd, &iov, 1, 5 * self->page, 0));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("xbcyefgh", file_bytes(self->d.fd));
}

TEST_F(fsync, stores_through_a_synchronous_files_mapping_are_not_durable)
{
	int fd = durable_open(&self->d, O_RDWR | O_SYNC);
	unsigned char *q;

	ASSERT_GE(fd, 0);
	q = mmap(NULL, self->length, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	store_capitals(q, DURABLE_PAGES);
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
	munmap(q, self->length);
	close(fd);
}

TEST_F(fsync, munmap_and_close_lose_nothing_and_promise_nothing)
{
	int fd = durable_open(&self->d, O_RDWR);
	unsigned char *q;

	ASSERT_GE(fd, 0);
	q = mmap(NULL, self->length, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	store_capitals(q, DURABLE_PAGES);
	ASSERT_EQ(0, munmap(q, self->length));
	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	ASSERT_EQ(0, close(fd));
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

/* In a child: store through a mapping of its own, and wait to be killed. */
static int store_own(void *arg, struct turn *t)
{
	const struct durable *d = arg;
	int fd = durable_open(d, O_RDWR);
	unsigned char *q = mmap(NULL, DURABLE_PAGES * getpagesize(), RW,
				MAP_SHARED, fd, 0);

	if (q == MAP_FAILED)
		return 1;
	store_capitals(q, DURABLE_PAGES);
	return turn_done(t) || turn_wait(t);
}

TEST_F(fsync, exit_loses_nothing_and_promises_nothing)
{
	struct child c = child_start(store_own, &self->d);

	ASSERT_EQ(0, child_done(&c));
	ASSERT_EQ(0, child_go(&c));
	ASSERT_EQ(0, child_end(&c));
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

TEST_F(fsync, kill_loses_nothing_and_promises_nothing)
{
	struct child c = child_start(store_own, &self->d);

	ASSERT_EQ(0, child_done(&c));
	ASSERT_EQ(0, kill(c.pid, SIGKILL));
	ASSERT_EQ(128 + SIGKILL, child_end(&c));
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.fd));
	ASSERT_EQ(0, msync(self->p, 2 * self->page, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABcdefgh", file_bytes(self->d.fd));
}

/* Pages that are only in the store come back as they were. */
TEST_F(fsync, dropped_caches_change_no_byte)
{
	store_capitals(self->p, 2);
	ASSERT_EQ(0, msync(self->p, self->page, MS_SYNC));
	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	ASSERT_EQ(0, drop_caches("3"));
	EXPECT_STREQ("ABcdefgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	ASSERT_EQ(0, drop_caches("3"));
	EXPECT_STREQ("Abcdefgh", file_bytes(self->d.fd));
}

/* Only an object tells what is written back but not durable. */
DURABLE_FIXTURE(pending);
OBJECT_KINDS(pending);

#define WRITE_AND_WAIT	(SYNC_FILE_RANGE_WAIT_BEFORE |			\
			 SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)

TEST_F(pending, sync_file_range_writes_but_promises_nothing)
{
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, sync_file_range(self->d.fd, 2 * self->page,
				     4 * self->page, WRITE_AND_WAIT));
	EXPECT_STREQ("ddppppdd", durable_states(&self->d, DURABLE_PAGES));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

TEST_F(pending, what_is_written_back_is_durable_after_a_sync_of_its_range)
{
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, sync_file_range(self->d.fd, 0, 0, WRITE_AND_WAIT));
	EXPECT_STREQ("pppppppp", durable_states(&self->d, DURABLE_PAGES));
	ASSERT_EQ(0, msync(self->p + self->page, 2 * self->page, MS_SYNC));
	EXPECT_STREQ("pccppppp", durable_states(&self->d, DURABLE_PAGES));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("aBCdefgh", file_bytes(self->d.fd));
}

TEST_F(pending, what_is_written_back_is_read_after_the_cache_was_dropped)
{
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, sync_file_range(self->d.fd, 0, 0, WRITE_AND_WAIT));
	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	ASSERT_EQ(0, drop_caches("3"));
	EXPECT_EQ(0, durable_info(&self->d).resident);
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.fd));
}

TEST_F(pending, dirty_again_after_writeback_survives_as_synced_last)
{
	memset(self->p, 'x', self->page);
	ASSERT_EQ(0, sync_file_range(self->d.fd, 0, 0, WRITE_AND_WAIT));
	memset(self->p, 'y', self->page);
	EXPECT_STREQ("dccccccc", durable_states(&self->d, DURABLE_PAGES));
	ASSERT_EQ(0, msync(self->p, self->page, MS_SYNC));
	memset(self->p, 'z', self->page);
	ASSERT_EQ(0, sync_file_range(self->d.fd, 0, 0, WRITE_AND_WAIT));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ybcdefgh", file_bytes(self->d.fd));
}

TEST_F(pending, durable_size_is_told)
{
	EXPECT_EQ(self->length, durable_info(&self->d).durable_size);
	ASSERT_EQ(0, ftruncate(self->d.fd, 3 * self->page + 1));
	EXPECT_EQ(3 * self->page + 1, durable_info(&self->d).size);
	EXPECT_EQ(self->length, durable_info(&self->d).durable_size);
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(3 * self->page + 1, durable_info(&self->d).durable_size);
}

/* Several objects, each with a dirty page, one of them with a name. */
#define SEVERAL	4

struct several {
	struct durable d[SEVERAL];
};

static int several_new(struct several *s, enum durable_kind kind)
{
	struct mmapdev_name name = { .mode = 0600, .uid = -1, .gid = -1 };

	snprintf(name.name, sizeof(name.name), "several-%d", getpid());
	for (int i = 0; i < SEVERAL; i++) {
		s->d[i] = durable_new(kind, getpagesize(), 0);
		if (s->d[i].fd < 0 || page_write(s->d[i].fd, 0, 'A' + i))
			return -1;
	}
	return ioctl(s->d[1].fd, MMAPDEV_IOC_SET_NAME, &name);
}

/* What the objects hold after a power cut each. */
static const char *several_survivors(struct several *s)
{
	static char bytes[SEVERAL + 1];

	ioctl(s->d[1].fd, MMAPDEV_IOC_REMOVE_NAME);
	for (int i = 0; i < SEVERAL; i++) {
		bytes[i] = durable_cut(&s->d[i]) ? '!' :
						   *file_bytes(s->d[i].fd);
		durable_close(&s->d[i]);
	}
	return bytes;
}

TEST_F(pending, sync_is_of_every_object)
{
	struct several s;

	self->p[0] = 'x';
	ASSERT_EQ(0, several_new(&s, variant->kind));
	sync();
	EXPECT_STREQ("ABCD", several_survivors(&s));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("?bcdefgh", file_bytes(self->d.fd));
}

/* By an object's descriptor, whichever it is. */
TEST_F(pending, syncfs_is_of_every_object)
{
	for (int i = 0; i < SEVERAL; i += SEVERAL - 1) {
		struct several s;

		self->p[i * self->page] = 'x';
		ASSERT_EQ(0, several_new(&s, variant->kind));
		ASSERT_EQ(0, syncfs(s.d[i].fd));
		EXPECT_STREQ("ABCD", several_survivors(&s));
		ASSERT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	}
	EXPECT_STREQ("?bc?efgh", file_bytes(self->d.fd));
}

/* The end of file, and pages taken away. */
DURABLE_FIXTURE(size);
ALL_KINDS(size);

TEST_F(size, growth_is_lost_when_not_synced)
{
	ASSERT_EQ(0, ftruncate(self->d.fd, 12 * self->page));
	EXPECT_STREQ("abcdefgh0000", file_bytes(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_EQ(self->length, file_size(self->d.fd));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

TEST_F(size, growth_is_durable_after_fsync_and_reads_as_zeros)
{
	ASSERT_EQ(0, ftruncate(self->d.fd, 10 * self->page + 1));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_EQ(10 * self->page + 1, file_size(self->d.fd));
	EXPECT_STREQ("abcdefgh000", file_bytes(self->d.fd));
}

TEST_F(size, growth_is_durable_after_fdatasync)
{
	ASSERT_EQ(0, ftruncate(self->d.fd, 10 * self->page + 1));
	ASSERT_EQ(0, fdatasync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_EQ(10 * self->page + 1, file_size(self->d.fd));
}

/* At least as far as what was synced reaches. */
TEST_F(size, growth_is_durable_after_msync_over_the_new_part)
{
	unsigned char *q;

	ASSERT_EQ(0, ftruncate(self->d.fd, 12 * self->page));
	q = mmap(NULL, 12 * self->page, RW, MAP_SHARED, self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	memset(q + 8 * self->page, 'x', 2 * self->page);
	ASSERT_EQ(0, msync(q + 8 * self->page, 2 * self->page, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_LE(10 * self->page, file_size(self->d.fd));
	EXPECT_EQ(0, strncmp("abcdefghxx00", file_bytes(self->d.fd), 10));
	munmap(q, 12 * self->page);
}

/* One page is synced, of which a part is before the new end. */
TEST_F(size, growth_within_a_page_is_durable_after_msync_of_it)
{
	unsigned char *q;

	ASSERT_EQ(0, ftruncate(self->d.fd, 8 * self->page + 100));
	q = mmap(NULL, 9 * self->page, RW, MAP_SHARED, self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	memset(q + 8 * self->page, 'x', 100);
	ASSERT_EQ(0, msync(q + 8 * self->page, 1, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_EQ(8 * self->page + 100, file_size(self->d.fd));
	EXPECT_STREQ("abcdefghx", file_bytes(self->d.fd));
	munmap(q, 9 * self->page);
}

TEST_F(size, unsynced_pages_of_synced_growth_are_zeros)
{
	unsigned char *q;

	ASSERT_EQ(0, ftruncate(self->d.fd, 12 * self->page));
	ASSERT_EQ(0, fsync(self->d.fd));
	q = mmap(NULL, 12 * self->page, RW, MAP_SHARED, self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	memset(q + 8 * self->page, 'x', 4 * self->page);
	ASSERT_EQ(0, msync(q + 9 * self->page, self->page, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh0x00", file_bytes(self->d.fd));
	munmap(q, 12 * self->page);
}

TEST_F(size, unsynced_shrink_is_undone_with_the_old_bytes)
{
	ASSERT_EQ(0, ftruncate(self->d.fd, 3 * self->page + 100));
	EXPECT_STREQ("abcd", file_bytes(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_EQ(self->length, file_size(self->d.fd));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

TEST_F(size, synced_shrink_is_durable)
{
	ASSERT_EQ(0, ftruncate(self->d.fd, 3 * self->page + 100));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_EQ(3 * self->page + 100, file_size(self->d.fd));
	EXPECT_STREQ("abcd", file_bytes(self->d.fd));
	ASSERT_EQ(0, ftruncate(self->d.fd, self->length));
	EXPECT_STREQ("abc?0000", file_bytes(self->d.fd));
}

TEST_F(size, shrink_and_growth_leave_zeros_never_the_old_bytes)
{
	unsigned char bytes[200];

	ASSERT_EQ(0, ftruncate(self->d.fd, 3 * self->page + 100));
	ASSERT_EQ(0, ftruncate(self->d.fd, self->length));
	EXPECT_STREQ("abc?0000", file_bytes(self->d.fd));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abc?0000", file_bytes(self->d.fd));
	ASSERT_EQ(200, pread(self->d.fd, bytes, 200, 3 * self->page));
	EXPECT_TRUE(bytes_are(bytes, 'd', 100));
	EXPECT_TRUE(bytes_are(bytes + 100, 0, 100));
}

TEST_F(size, shrink_to_nothing_is_undone_or_durable)
{
	ASSERT_EQ(0, ftruncate(self->d.fd, 0));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, ftruncate(self->d.fd, 0));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_EQ(0, file_size(self->d.fd));
}

#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

#define EXPECT_PAGES(n) do {						\
	struct stat st_;						\
									\
	ASSERT_EQ(0, fstat(self->d.fd, &st_));				\
	EXPECT_EQ((n) * self->page / 512, st_.st_blocks);		\
} while (0)

/* In a file every page counts once it is flushed: it is not asked for its holes. */
TEST_F(pending, blocks_are_of_what_there_is_flushed_or_not)
{
	bool memory = variant->kind == MEMORY;

	EXPECT_PAGES(8);
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, self->page, 2 * self->page));
	EXPECT_PAGES(6);
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, 2 * self->page,
			       2 * self->page));
	EXPECT_PAGES(5);
	ASSERT_EQ(0, page_write(self->d.fd, 1, 'x'));
	EXPECT_PAGES(6);
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_PAGES(memory ? 6 : 8);
	ASSERT_EQ(0, ftruncate(self->d.fd, 4 * self->page));
	EXPECT_PAGES(memory ? 2 : 4);
	ASSERT_LE(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_PAGES(memory ? 6 : 8);
	ASSERT_EQ(0, ftruncate(self->d.fd, 12 * self->page));
	ASSERT_EQ(0, page_write(self->d.fd, 10, 'x'));
	EXPECT_PAGES(memory ? 7 : 9);
	ASSERT_EQ(0, sync_file_range(self->d.fd, 0, 0, WRITE_AND_WAIT));
	ASSERT_EQ(0, page_write(self->d.fd, 10, 'y'));
	EXPECT_PAGES(memory ? 7 : 9);
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_PAGES(memory ? 7 : 12);
}

static int allocate_past_the_end(void *arg, struct turn *t)
{
	const struct durable *d = arg;
	size_t page = getpagesize();

	if (turn_done(t) || turn_wait(t))
		return 1;
	return fallocate(d->fd, FALLOC_FL_KEEP_SIZE, DURABLE_PAGES * page, page)
	       ? 2 : 0;
}

/* No flush begins while an allocation is at work. */
TEST_F(pending, sync_waits_until_it_is_done)
{
	struct hold h;

	self->p[0] = 'x';
	ASSERT_EQ(0, hold_start(&h, self->d.fd, MMAPDEV_EVENT_ALLOCATE, 2000,
				allocate_past_the_end, &self->d));
	sync();
	EXPECT_FALSE(hold_lasts(&h));
	EXPECT_EQ('.', *durable_unsynced(&self->d, DURABLE_PAGES + 1));
	EXPECT_EQ(0, hold_end(&h));
}

/* How many pages more than at the start all objects have. */
#define EXPECT_MORE(n)							\
	EXPECT_EQ(used + (n) * (long)self->page, durable_info(&self->d).used)

/* Dirty again after it was written back, a page has two that the image has not. */
static void store_twice(unsigned char *p, const struct durable *d)
{
	*p = 'x';
	sync_file_range(d->fd, 0, 0, WRITE_AND_WAIT);
	*p = 'y';
}

TEST_F(pending, room_is_given_back_by_whatever_ends_what_is_pending)
{
	int image = variant->kind == MEMORY ? -1 : 0;
	uint64_t used = durable_info(&self->d).used;

	store_twice(self->p, &self->d);
	EXPECT_MORE(2);
	ASSERT_EQ(0, sync_file_range(self->d.fd, 0, 0, WRITE_AND_WAIT));
	EXPECT_MORE(1);
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_MORE(0);
	store_twice(self->p, &self->d);
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, 0, self->page));
	EXPECT_MORE(0);
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_MORE(image);
	store_twice(self->p, &self->d);
	EXPECT_MORE(image + 2);
	ASSERT_EQ(1, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_MORE(image);
}

TEST_F(pending, room_of_many_pages_is_given_back_by_their_flush)
{
	uint64_t used = durable_info(&self->d).used;

	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_MORE(DURABLE_PAGES);
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_MORE(0);
}

/* Where no page is to be written, a sync of everything has something to do. */
TEST_F(pending, sync_is_of_what_was_taken_away_and_of_the_size)
{
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, 2 * self->page, self->page));
	sync();
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ab0defgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, ftruncate(self->d.fd, 10 * self->page));
	sync();
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ab0defgh00", file_bytes(self->d.fd));
	ASSERT_EQ(0, ftruncate(self->d.fd, 4 * self->page));
	sync();
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ab0d", file_bytes(self->d.fd));
}

TEST_F(size, unsynced_punch_is_undone_and_a_synced_one_durable)
{
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, 2 * self->page,
			       3 * self->page));
	EXPECT_STREQ("ab000fgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, 2 * self->page,
			       3 * self->page));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ab000fgh", file_bytes(self->d.fd));
}

TEST_F(size, punch_of_parts_of_pages_is_durable_when_synced)
{
	unsigned char bytes[2];

	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, 2 * self->page + 100,
			       3 * self->page));
	EXPECT_STREQ("ab?00?gh", file_bytes(self->d.fd));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ab?00?gh", file_bytes(self->d.fd));
	ASSERT_EQ(2, pread(self->d.fd, bytes, 2, 2 * self->page + 99));
	EXPECT_EQ('c', bytes[0]);
	EXPECT_EQ(0, bytes[1]);
	ASSERT_EQ(2, pread(self->d.fd, bytes, 2, 5 * self->page + 99));
	EXPECT_EQ(0, bytes[0]);
	EXPECT_EQ('f', bytes[1]);
}

TEST_F(size, madv_remove_is_a_punch)
{
	ASSERT_EQ(0, madvise(self->p + self->page, self->page, MADV_REMOVE));
	EXPECT_STREQ("a0cdefgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

TEST_F(size, store_into_a_punched_page_survives_alone)
{
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, self->page, 2 * self->page));
	self->p[self->page] = 'x';
	EXPECT_STREQ("a?0defgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, fsync(self->d.fd));
	memset(self->p + 2 * self->page, 'y', self->page);
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("a?0defgh", file_bytes(self->d.fd));
}

TEST_F(size, zero_range_is_durable_when_synced)
{
	ASSERT_EQ(0, fallocate(self->d.fd, FALLOC_FL_ZERO_RANGE, self->page,
			       2 * self->page));
	EXPECT_STREQ("a00defgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, fallocate(self->d.fd, FALLOC_FL_ZERO_RANGE, self->page,
			       2 * self->page));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("a00defgh", file_bytes(self->d.fd));
}

TEST_F(size, fallocate_grows_with_zeros_and_keeps_what_is_there)
{
	ASSERT_EQ(0, fallocate(self->d.fd, 0, 6 * self->page, 4 * self->page));
	EXPECT_STREQ("abcdefgh00", file_bytes(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, fallocate(self->d.fd, 0, 6 * self->page, 4 * self->page));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh00", file_bytes(self->d.fd));
}

/*
 * Bytes that are no part of the object, in a page that is: none may get to the
 * store, and none of those there stay. A file is cut off at the object's end; a
 * block device, and an image in memory, have the whole page.
 */
DURABLE_FIXTURE(rest);
ALL_KINDS(rest);
DURABLE_VARIANT(rest, mmapdev_on_device, .kind = ON_DEVICE);

/* Is page 7 of a file, as far as it goes, one byte up to `kept`, then zeros? */
static bool rest_is_zero(int fd, unsigned char byte, size_t kept)
{
	size_t page = getpagesize();
	unsigned char bytes[page];
	ssize_t n = pread(fd, bytes, page, 7 * page);

	return n >= (ssize_t)kept && bytes_are(bytes, byte, kept) &&
	       bytes_are(bytes + kept, 0, n - kept);
}

/* No page in memory: what is read from now on was stored. 0, or -1. */
static int forget(const struct durable *d, unsigned char **p, size_t length)
{
	if (*p && munmap(*p, length))
		return -1;
	*p = NULL;
	if (posix_fadvise(d->fd, 0, 0, POSIX_FADV_DONTNEED))
		return -1;
	return d->kind == EXT4 || !durable_info(d).resident ? 0 : -1;
}

/* The store has the page so, before and after a cut, when it is all there again. */
#define EXPECT_REST_IS_ZERO(byte, kept) do {				\
	if (self->d.backing >= 0)					\
		EXPECT_TRUE(rest_is_zero(self->d.backing, byte, kept));	\
	for (int cut_ = 0; cut_ < 2; cut_++) {				\
		off_t end_ = file_size(self->d.fd);			\
									\
		ASSERT_EQ(0, forget(&self->d, &self->p, self->length));	\
		ASSERT_EQ(0, ftruncate(self->d.fd, self->length));	\
		EXPECT_TRUE(rest_is_zero(self->d.fd, byte, kept));	\
		ASSERT_EQ(0, ftruncate(self->d.fd, end_));		\
		ASSERT_EQ(0, durable_cut(&self->d));			\
		EXPECT_EQ(end_, file_size(self->d.fd));			\
	}								\
} while (0)

/* A mapping can store past the end, in the last page; nobody may keep it. */
TEST_F(rest, of_the_last_page_is_never_stored)
{
	ASSERT_EQ(0, ftruncate(self->d.fd, 7 * self->page + 100));
	memset(self->p + 7 * self->page, 'x', self->page);
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_REST_IS_ZERO('x', 100);
}

TEST_F(rest, of_a_page_that_is_cut_off_is_zero_in_the_store)
{
	ASSERT_EQ(0, ftruncate(self->d.fd, 7 * self->page + 100));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_REST_IS_ZERO('h', 100);
}

TEST_F(rest, of_a_page_that_is_cut_off_unseen_is_zero_in_the_store)
{
	ASSERT_EQ(0, forget(&self->d, &self->p, self->length));
	ASSERT_EQ(0, ftruncate(self->d.fd, 7 * self->page + 100));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_REST_IS_ZERO('h', 100);
}

TEST_F(rest, of_a_page_that_is_punched_is_zero_in_the_store)
{
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, 7 * self->page + 200,
			       self->page - 200));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_REST_IS_ZERO('h', 200);
}

TEST_F(rest, of_a_page_that_is_zeroed_is_zero_in_the_store)
{
	ASSERT_EQ(0, fallocate(self->d.fd, FALLOC_FL_ZERO_RANGE,
			       7 * self->page + 300, self->page - 300));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_REST_IS_ZERO('h', 300);
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
