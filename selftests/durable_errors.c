// SPDX-License-Identifier: GPL-2.0
/*
 * Errors on the way to the store: who hears of one, how often, and what becomes
 * of the page. On objects they are injected; ext4 has a disk that fails.
 */
#include "harness.h"

#include "child.h"
#include "drop_caches.h"
#include "durable.h"
#include "failing_disk.h"
#include "hold.h"
#include "poison.h"

static struct disk disk;

DURABLE_FIXTURE(errors);
ALL_KINDS(errors);

/*
 * Have nothing that is dirty, and no old error: syncfs tells, once, of what
 * failed anywhere in the file system, so the first may be of another test.
 */
static int settle(int fd)
{
	syncfs(fd);
	return syncfs(fd);
}

/* From now on these pages cannot be written: 0, or -1. */
static int break_pages(const struct durable *d, size_t first, size_t pages)
{
	unsigned long long per_page = getpagesize() / SECTOR;
	unsigned long long sector;

	if (d->kind != EXT4)
		return durable_rule(d, MMAPDEV_EVENT_WRITEBACK,
				    MMAPDEV_ACTION_EIO, first, pages) ? 0 : -1;
	sector = file_sector(d->fd);
	if (!sector || settle(d->fd))
		return -1;
	return disk_break(&disk, sector + first * per_page, pages * per_page);
}

static int break_flush(const struct durable *d)
{
	if (d->kind != EXT4)
		return durable_rule(d, MMAPDEV_EVENT_FLUSH, MMAPDEV_ACTION_EIO,
				    0, 0) ? 0 : -1;
	return settle(d->fd) ? -1 : disk_break_flush(&disk);
}

static int repair(const struct durable *d)
{
	return d->kind == EXT4 ? disk_repair(&disk) : durable_unrule(d, 0);
}

/* What a call told: an error number, or 0. */
static int sync_result(int ret)
{
	return ret ? errno : 0;
}

/* Write back what is dirty without anybody hearing of an error. */
static void write_back_unheard(void)
{
	sync();
}

TEST_F(errors, each_open_file_hears_once)
{
	int other = durable_open(&self->d, O_RDWR);

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, break_pages(&self->d, 0, DURABLE_PAGES));
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
	EXPECT_EQ(0, sync_result(fsync(self->d.fd)));
	EXPECT_EQ(EIO, sync_result(fdatasync(other)));
	EXPECT_EQ(0, sync_result(fdatasync(other)));
	EXPECT_EQ(0, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, repair(&self->d));
	close(other);
}

/* As of a file system: by the open file, whose object it may be or not. */
TEST_F(errors, syncfs_hears_once_of_what_was_not_written_back)
{
	int other = durable_open(&self->d, O_RDWR);

	ASSERT_GE(other, 0);
	settle(self->d.fd);
	settle(other);
	ASSERT_EQ(0, break_pages(&self->d, 0, DURABLE_PAGES));
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(EIO, sync_result(syncfs(self->d.fd)));
	ASSERT_EQ(0, repair(&self->d));
	EXPECT_EQ(0, sync_result(syncfs(self->d.fd)));
	EXPECT_EQ(EIO, sync_result(syncfs(other)));
	EXPECT_EQ(0, sync_result(syncfs(other)));
	close(other);
}

TEST_F(errors, syncfs_hears_of_an_error_that_an_fsync_has_told)
{
	settle(self->d.fd);
	ASSERT_EQ(0, break_pages(&self->d, 0, DURABLE_PAGES));
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, repair(&self->d));
	EXPECT_EQ(EIO, sync_result(syncfs(self->d.fd)));
	EXPECT_EQ(0, sync_result(syncfs(self->d.fd)));
}

/* Which call it is, and through which of a file's descriptors, is all one. */
TEST_F(errors, calls_and_descriptors_of_one_open_file_share_it)
{
	int same = dup(self->d.fd);

	ASSERT_EQ(0, break_pages(&self->d, 0, DURABLE_PAGES));
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(EIO, sync_result(msync(self->p, self->length, MS_SYNC)));
	EXPECT_EQ(0, sync_result(fsync(self->d.fd)));
	EXPECT_EQ(0, sync_result(fsync(same)));
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(EIO, sync_result(fsync(same)));
	EXPECT_EQ(0, sync_result(msync(self->p, self->length, MS_SYNC)));
	ASSERT_EQ(0, repair(&self->d));
	close(same);
}

TEST_F(errors, msync_hears_through_the_mapped_file_even_when_it_is_closed)
{
	int other = durable_open(&self->d, O_RDWR);
	unsigned char *q = mmap(NULL, self->length, RW, MAP_SHARED, other, 0);

	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(0, close(other));
	ASSERT_EQ(0, break_pages(&self->d, 0, DURABLE_PAGES));
	store_capitals(q, DURABLE_PAGES);
	EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
	EXPECT_EQ(EIO, sync_result(msync(q, self->length, MS_SYNC)));
	EXPECT_EQ(0, sync_result(msync(q, self->length, MS_SYNC)));
	EXPECT_EQ(0, sync_result(msync(self->p, self->length, MS_SYNC)));
	ASSERT_EQ(0, repair(&self->d));
	munmap(q, self->length);
}

TEST_F(errors, msync_of_one_page_hears_of_another_page)
{
	ASSERT_EQ(0, break_pages(&self->d, 6, 1));
	memset(self->p + 6 * self->page, 'x', self->page);
	write_back_unheard();
	EXPECT_EQ(EIO, sync_result(msync(self->p, self->page, MS_SYNC)));
	EXPECT_EQ(0, sync_result(msync(self->p, self->length, MS_SYNC)));
	ASSERT_EQ(0, repair(&self->d));
}

/* Not at the store, nor when the disk is well again by then. */
TEST_F(errors, background_error_is_told_by_the_next_sync)
{
	ASSERT_EQ(0, break_pages(&self->d, 0, DURABLE_PAGES));
	memset(self->p, 'x', self->page);
	write_back_unheard();
	ASSERT_EQ(0, repair(&self->d));
	memset(self->p, 'y', self->page);
	EXPECT_EQ(0, sync_result(msync(self->p, self->page, MS_ASYNC)));
	EXPECT_EQ(EIO, sync_result(msync(self->p, self->page, MS_SYNC)));
	EXPECT_EQ(0, sync_result(msync(self->p, self->page, MS_SYNC)));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ybcdefgh", file_bytes(self->d.fd));
}

TEST_F(errors, later_opener_hears_of_an_error_that_nobody_has_heard_of)
{
	int later, latest;

	ASSERT_EQ(0, break_pages(&self->d, 0, DURABLE_PAGES));
	store_capitals(self->p, DURABLE_PAGES);
	write_back_unheard();
	later = durable_open(&self->d, O_RDWR);
	ASSERT_GE(later, 0);
	EXPECT_EQ(EIO, sync_result(fsync(later)));
	latest = durable_open(&self->d, O_RDWR);
	ASSERT_GE(latest, 0);
	EXPECT_EQ(0, sync_result(fsync(latest)));
	EXPECT_EQ(0, sync_result(fsync(later)));
	EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, repair(&self->d));
	close(later);
	close(latest);
}

TEST_F(errors, close_and_munmap_tell_nothing_and_take_nothing_away)
{
	int other = durable_open(&self->d, O_RDWR);

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, break_pages(&self->d, 0, DURABLE_PAGES));
	store_capitals(self->p, DURABLE_PAGES);
	write_back_unheard();
	EXPECT_EQ(0, close(other));
	EXPECT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, repair(&self->d));
}

static int fsync_in_child(void *arg, struct turn *t)
{
	const struct durable *d = arg;

	return fsync(d->fd) ? errno : 0;
}

TEST_F(errors, forked_child_shares_its_parents_open_file)
{
	ASSERT_EQ(0, break_pages(&self->d, 0, DURABLE_PAGES));
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(EIO, child_run(fsync_in_child, &self->d));
	EXPECT_EQ(0, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, repair(&self->d));
}

/* Memory and store differ, and no sync will ever tell again. */
TEST_F(errors, page_is_clean_after_the_error_and_not_tried_again)
{
	ASSERT_EQ(0, break_pages(&self->d, 2, 3));
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, repair(&self->d));
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.fd));
	EXPECT_EQ(0, sync_result(fsync(self->d.fd)));
	EXPECT_EQ(0, sync_result(msync(self->p, self->length, MS_SYNC)));
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABcdeFGH", file_bytes(self->d.fd));
}

TEST_F(errors, page_that_was_lost_comes_back_older_when_memory_is_needed)
{
	ASSERT_EQ(0, break_pages(&self->d, 2, 3));
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, repair(&self->d));
	EXPECT_EQ(0, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	ASSERT_EQ(0, drop_caches("1"));
	EXPECT_STREQ("ABcdeFGH", file_bytes(self->d.fd));
}

TEST_F(errors, page_stored_to_again_is_written_again)
{
	ASSERT_EQ(0, break_pages(&self->d, 2, 1));
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, repair(&self->d));
	self->p[2 * self->page] = 'C';
	EXPECT_EQ(0, sync_result(msync(self->p, self->length, MS_SYNC)));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.fd));
}

TEST_F(errors, synchronous_write_tells_its_own_error)
{
	int sync = durable_open(&self->d, O_RDWR | O_DSYNC);

	ASSERT_GE(sync, 0);
	ASSERT_EQ(0, break_pages(&self->d, 1, 1));
	EXPECT_EQ(-1, pwrite(sync, "x", 1, self->page));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, repair(&self->d));
	EXPECT_EQ(1, pwrite(sync, "x", 1, self->page));
	close(sync);
}

/* The error of the first mapping ends the call. */
TEST_F(errors, msync_stops_at_the_mapping_that_fails)
{
	unsigned char *q = self->p + 4 * self->page;

	ASSERT_EQ(0, break_pages(&self->d, 0, 2));
	/* The second half becomes the first, a mapping of its own. */
	ASSERT_EQ(q, mmap(q, 2 * self->page, RW, MAP_SHARED | MAP_FIXED,
			  self->d.fd, 6 * self->page));
	memset(self->p, 'x', self->page);
	memset(q, 'y', self->page);
	EXPECT_EQ(EIO, sync_result(msync(self->p, self->length, MS_SYNC)));
	ASSERT_EQ(0, repair(&self->d));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

/*
 * Nothing is lost by it: what was written waits for the next flush. With fsync,
 * ext4 would commit the new time of the file, and abort its journal.
 */
TEST_F(errors, flush_error_is_told_to_its_caller_and_the_next_flush_suffices)
{
	int other = durable_open(&self->d, O_RDWR);

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, break_flush(&self->d));
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(EIO, sync_result(msync(self->p, self->length, MS_SYNC)));
	EXPECT_EQ(EIO, sync_result(fdatasync(self->d.fd)));
	EXPECT_EQ(EIO, sync_result(fdatasync(other)));
	ASSERT_EQ(0, repair(&self->d));
	EXPECT_EQ(0, sync_result(fdatasync(self->d.fd)));
	EXPECT_EQ(0, sync_result(fdatasync(other)));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.fd));
	close(other);
}

TEST_F(errors, memory_error_in_a_dirty_page_is_told_by_the_next_sync)
{
	self->p[3 * self->page] = 'x';
	if (fail_memory(self->p + 3 * self->page, MADV_HWPOISON) == EINVAL)
		SKIP(return, "no MADV_HWPOISON");
	EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
	EXPECT_EQ(0, sync_result(fsync(self->d.fd)));
}

/* What an object can be asked to do with such pages. */
DURABLE_FIXTURE(after_error);

#define AFTER_ERROR(name, the_kind)					\
	DURABLE_VARIANT(after_error, mmapdev_##name##_dirty,		\
			.kind = the_kind,				\
			.after_error = MMAPDEV_AFTER_ERROR_DIRTY);	\
	DURABLE_VARIANT(after_error, mmapdev_##name##_revert,		\
			.kind = the_kind,				\
			.after_error = MMAPDEV_AFTER_ERROR_REVERT)

AFTER_ERROR(memory, MEMORY);
AFTER_ERROR(on_tmpfs, ON_TMPFS);

TEST_F(after_error, page_is_kept_dirty_or_reverted)
{
	bool dirty = variant->after_error == MMAPDEV_AFTER_ERROR_DIRTY;

	ASSERT_EQ(0, break_pages(&self->d, 2, 3));
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
	EXPECT_STREQ(dirty ? "ABCDEFGH" : "ABcdeFGH", file_bytes(self->d.fd));
	EXPECT_STREQ(dirty ? "ccdddccc" : "cccccccc",
		     durable_states(&self->d, DURABLE_PAGES));
	EXPECT_EQ(dirty ? 'C' : 'c', self->p[2 * self->page]);

	/* Tried again, it fails again; or there is nothing to try. */
	EXPECT_EQ(dirty ? EIO : 0, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, repair(&self->d));
	EXPECT_EQ(0, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ(dirty ? "ABCDEFGH" : "ABcdeFGH", file_bytes(self->d.fd));
}

/*
 * The same for real: the file that is the store is on the disk that fails. It
 * takes the pages, and only its fsync says that some of them are lost.
 */
DURABLE_FIXTURE(failing_store);
DURABLE_VARIANT(failing_store, mmapdev_clean, .kind = ON_EXT4);
DURABLE_VARIANT(failing_store, mmapdev_dirty, .kind = ON_EXT4,
		.after_error = MMAPDEV_AFTER_ERROR_DIRTY);
DURABLE_VARIANT(failing_store, mmapdev_revert, .kind = ON_EXT4,
		.after_error = MMAPDEV_AFTER_ERROR_REVERT);

/* What the disk has, and not only the memory of its file system. */
static const char *disk_bytes(int fd)
{
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return file_bytes(fd);
}

TEST_F(failing_store, pages_are_lost_tried_again_or_shown_as_the_file_has_them)
{
	unsigned long long per_page = self->page / SECTOR;
	bool dirty = variant->after_error == MMAPDEV_AFTER_ERROR_DIRTY;
	bool revert = variant->after_error == MMAPDEV_AFTER_ERROR_REVERT;
	unsigned long long sector = file_sector(self->d.backing);
	int other = durable_open(&self->d, O_RDWR);

	ASSERT_GE(other, 0);
	ASSERT_LT(0, sector);
	ASSERT_EQ(0, settle(self->d.backing));
	ASSERT_EQ(0, disk_break(&disk, sector + 2 * per_page, 3 * per_page));
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, disk_repair(&disk));
	EXPECT_STREQ("ABcdeFGH", disk_bytes(self->d.backing));
	EXPECT_STREQ(revert ? "........" : "pppppppp",
		     durable_states(&self->d, DURABLE_PAGES));
	EXPECT_STREQ(revert ? "ABcdeFGH" : "ABCDEFGH", file_bytes(self->d.fd));

	EXPECT_EQ(0, sync_result(fsync(self->d.fd)));
	EXPECT_EQ(EIO, sync_result(fsync(other)));
	EXPECT_STREQ(dirty ? "ABCDEFGH" : "ABcdeFGH",
		     disk_bytes(self->d.backing));
	EXPECT_STREQ(dirty || revert ? "cccccccc" : "pppppppp",
		     durable_states(&self->d, DURABLE_PAGES));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ(dirty ? "ABCDEFGH" : "ABcdeFGH", file_bytes(self->d.fd));
	close(other);
}

/* The same pages, of which there is nothing in memory any more. */
TEST_F(failing_store, pages_not_in_memory_are_tried_again_or_as_the_file_has_them)
{
	unsigned long long per_page = self->page / SECTOR;
	bool dirty = variant->after_error == MMAPDEV_AFTER_ERROR_DIRTY;
	bool clean = variant->after_error == MMAPDEV_AFTER_ERROR_CLEAN;
	unsigned long long sector = file_sector(self->d.backing);

	ASSERT_LT(0, sector);
	ASSERT_EQ(0, settle(self->d.backing));
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	ASSERT_EQ(0, sync_file_range(self->d.fd, 0, 0,
				     SYNC_FILE_RANGE_WRITE |
				     SYNC_FILE_RANGE_WAIT_AFTER));
	posix_fadvise(self->d.fd, 0, 0, POSIX_FADV_DONTNEED);
	ASSERT_STREQ("--------", durable_states(&self->d, DURABLE_PAGES));
	ASSERT_EQ(0, disk_break(&disk, sector + 2 * per_page, 3 * per_page));
	EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, disk_repair(&disk));
	EXPECT_STREQ("ABcdeFGH", disk_bytes(self->d.backing));
	EXPECT_STREQ(dirty ? "ABCDEFGH" : "ABcdeFGH", file_bytes(self->d.fd));
	EXPECT_EQ(0, sync_result(fsync(self->d.fd)));
	/* Only with the default anything is left that a cut would count. */
	EXPECT_EQ(clean ? DURABLE_PAGES : 0,
		  crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ(dirty ? "ABCDEFGH" : "ABcdeFGH", file_bytes(self->d.fd));
	EXPECT_STREQ(dirty ? "ABCDEFGH" : "ABcdeFGH",
		     disk_bytes(self->d.backing));
}

/*
 * A hole is tried again whatever becomes of pages: nobody could store it again.
 * Before ext4 makes one, it writes what is dirty there, which its disk refuses.
 */
TEST_F(failing_store, hole_that_the_file_did_not_take_is_tried_again)
{
	unsigned long long per_page = self->page / SECTOR;
	unsigned long long sector = file_sector(self->d.backing);

	ASSERT_LT(0, sector);
	ASSERT_EQ(0, settle(self->d.backing));
	ASSERT_EQ(0, disk_break(&disk, sector + 3 * per_page, per_page));
	ASSERT_EQ(0, page_write(self->d.backing, 3, 'x'));
	ASSERT_EQ(0, fallocate(self->d.fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, 3 * self->page,
			       self->page));
	memset(self->p + 5 * self->page, 'F', self->page);
	if (!sync_result(fsync(self->d.fd))) {
		disk_repair(&disk);
		SKIP(return, "this ext4 drops what is dirty in a hole");
	}
	ASSERT_EQ(0, disk_repair(&disk));
	EXPECT_EQ('-', durable_unsynced(&self->d, DURABLE_PAGES)[3]);
	EXPECT_STREQ("abc0eFgh", file_bytes(self->d.fd));

	EXPECT_EQ(0, sync_result(fsync(self->d.fd)));
	EXPECT_EQ('.', durable_unsynced(&self->d, DURABLE_PAGES)[3]);
	EXPECT_EQ('0', disk_bytes(self->d.backing)[3]);
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_EQ('0', file_bytes(self->d.fd)[3]);
}

static int fsync_held(void *arg, struct turn *t)
{
	const struct durable *d = arg;

	if (turn_done(t) || turn_wait(t))
		return 127;
	return fsync(d->fd) ? errno : 0;
}

/* What is stored while older bytes are on their way does not fail with them. */
TEST_F(failing_store, page_that_is_dirty_again_is_written_after_a_flush_that_failed)
{
	unsigned long long per_page = self->page / SECTOR;
	bool dirty = variant->after_error == MMAPDEV_AFTER_ERROR_DIRTY;
	unsigned long long sector = file_sector(self->d.backing);
	unsigned char *p = self->p + 3 * self->page;
	bool in_time = false;
	struct hold h;

	ASSERT_LT(0, sector);
	ASSERT_EQ(0, settle(self->d.backing));
	ASSERT_EQ(0, disk_break(&disk, sector + 3 * per_page, per_page));
	FOR_LONGER_HOLDS(ms) {
		memset(p, 'x', self->page);
		ASSERT_EQ(0, hold_start(&h, self->d.fd, MMAPDEV_EVENT_FLUSH, ms,
					fsync_held, &self->d));
		memset(p, 'y', self->page);
		in_time = hold_lasts(&h);
		EXPECT_EQ(EIO, hold_end(&h));
		if (in_time)
			break;
	}
	EXPECT_TRUE(in_time);
	ASSERT_EQ(0, disk_repair(&disk));
	EXPECT_EQ('d', durable_states(&self->d, DURABLE_PAGES)[3]);
	EXPECT_EQ(dirty ? 'p' : 'd',	/* what failed is to be tried again */
		  durable_unsynced(&self->d, DURABLE_PAGES)[3]);
	EXPECT_EQ(0, sync_result(fsync(self->d.fd)));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcyefgh", file_bytes(self->d.fd));
}

/* With the default, states tell that a power cut would change the page. */
DURABLE_FIXTURE(lost);
OBJECT_KINDS(lost);

TEST_F(lost, page_that_was_lost_is_seen_in_its_state_and_counted_by_a_cut)
{
	unsigned long long written = durable_stats(&self->d).writebacks;

	ASSERT_EQ(0, break_pages(&self->d, 2, 3));
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
	EXPECT_EQ(written + DURABLE_PAGES,	/* with an error or without */
		  durable_stats(&self->d).writebacks);
	EXPECT_STREQ("ccpppccc", durable_states(&self->d, DURABLE_PAGES));
	EXPECT_EQ(0, sync_result(fsync(self->d.fd)));
	EXPECT_STREQ("ccpppccc", durable_states(&self->d, DURABLE_PAGES));
	EXPECT_EQ(3, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("ABcdeFGH", file_bytes(self->d.fd));
}

/* A cut forgets errors, but not who has heard of which. */
TEST_F(lost, error_after_a_cut_is_heard_by_all_that_live_on)
{
	int other = durable_open(&self->d, O_RDWR);
	int late;

	ASSERT_GE(other, 0);
	for (int round = 0; round < 3; round++) {
		ASSERT_EQ(0, break_pages(&self->d, 2, 1));
		self->p[2 * self->page] = 'x';
		EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
		/* The other one has not heard of it, and never will. */
		EXPECT_EQ(1, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
		ASSERT_EQ(0, repair(&self->d));
		late = durable_open(&self->d, O_RDWR);
		EXPECT_EQ(0, sync_result(fsync(late)));
		EXPECT_EQ(0, sync_result(fsync(other)));
		EXPECT_EQ(0, sync_result(fsync(self->d.fd)));

		ASSERT_EQ(0, break_pages(&self->d, 2, 1));
		self->p[2 * self->page] = 'y';
		EXPECT_EQ(EIO, sync_result(fsync(other)));
		EXPECT_EQ(EIO, sync_result(fsync(self->d.fd)));
		EXPECT_EQ(EIO, sync_result(fsync(late)));
		ASSERT_EQ(0, repair(&self->d));
		close(late);
	}
	close(other);
}

int main(int argc, char **argv)
{
	mount_modules();
	ext4_root = failing_ext4(&disk, &ext4_image, EXT4_BYTES);
	return test_harness_run(argc, argv);
}
