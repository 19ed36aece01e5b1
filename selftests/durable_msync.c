// SPDX-License-Identifier: GPL-2.0
/*
 * msync(2) of durable objects: which pages it makes durable, by whatever task
 * and in whatever way they were stored to, and what it costs.
 */
#include "harness.h"

#include <sys/uio.h>

#include "address.h"
#include "child.h"
#include "durable.h"
#include "nfs.h"

DURABLE_FIXTURE(msync);
ALL_KINDS(msync);
DURABLE_VARIANT(msync, mmapdev_on_nfs, .kind = ON_NFS);

TEST_F(msync, synced_pages_survive_and_the_others_have_older_bytes)
{
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, msync(self->p + 2 * self->page, 3 * self->page, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abCDEfgh", file_bytes(self->d.fd));
}

TEST_F(msync, range_is_rounded_up_to_whole_pages)
{
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, msync(self->p + 3 * self->page, self->page + 1, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcDEfgh", file_bytes(self->d.fd));
}

TEST_F(msync, what_is_stored_later_does_not_survive)
{
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	memset(self->p + self->page, 'x', 2 * self->page);
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.fd));
}

TEST_F(msync, store_of_one_byte_keeps_the_pages_other_bytes)
{
	unsigned char bytes[2];

	self->p[self->page + 17] = 'x';
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("a?cdefgh", file_bytes(self->d.fd));
	ASSERT_EQ(2, pread(self->d.fd, bytes, 2, self->page + 16));
	EXPECT_EQ('b', bytes[0]);
	EXPECT_EQ('x', bytes[1]);
}

TEST_F(msync, async_makes_nothing_durable)
{
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, msync(self->p, self->length, MS_ASYNC));
	ASSERT_EQ(0, msync(self->p, self->length, 0));
	ASSERT_EQ(0, msync(self->p, self->length, MS_INVALIDATE));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

TEST_F(msync, sync_and_async_together_are_refused_and_do_nothing)
{
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(-1, msync(self->p, self->length, MS_SYNC | MS_ASYNC));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

/* What is before the locked page is another mapping, and is synced. */
TEST_F(msync, invalidate_stops_at_a_locked_page)
{
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, mlock(self->p + 4 * self->page, self->page));
	EXPECT_EQ(-1, msync(self->p, self->length, MS_SYNC | MS_INVALIDATE));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABCDefgh", file_bytes(self->d.fd));
}

TEST_F(msync, locked_pages_are_synced)
{
	ASSERT_EQ(0, mlock(self->p, self->length));
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, msync(self->p, 4 * self->page, MS_SYNC));
	memset(self->p, 'x', self->page);	/* they stay mapped */
	ASSERT_EQ(0, msync(self->p, self->page, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("xBCDefgh", file_bytes(self->d.fd));
}

TEST_F(msync, hole_in_the_range_is_no_memory_but_the_rest_is_synced)
{
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, munmap(self->p + 3 * self->page, self->page));
	EXPECT_EQ(-1, msync(self->p, self->length, MS_SYNC));
	EXPECT_EQ(ENOMEM, errno);
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABCdEFGH", file_bytes(self->d.fd));
}

TEST_F(msync, private_stores_never_reach_the_object)
{
	unsigned char *own = mmap(NULL, self->length, RW, MAP_PRIVATE,
				  self->d.fd, 0);

	ASSERT_NE(MAP_FAILED, own);
	store_capitals(own, DURABLE_PAGES);
	EXPECT_EQ(0, msync(own, self->length, MS_SYNC));
	EXPECT_EQ(0, fsync(self->d.fd));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
	EXPECT_TRUE(page_is(own + 2 * self->page, 'C'));
}

/* A private mapping's msync names its range of the file all the same. */
TEST_F(msync, through_a_private_mapping_syncs_nothing_that_is_shared)
{
	unsigned char *own = mmap(NULL, self->length, RW, MAP_PRIVATE,
				  self->d.fd, 0);

	ASSERT_NE(MAP_FAILED, own);
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(0, msync(own, self->length, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

static int store_inherited(void *arg, struct turn *t)
{
	unsigned char *p = arg;

	store_capitals(p, 2);
	return 0;
}

TEST_F(msync, forked_childs_stores_are_synced_by_its_parent)
{
	ASSERT_EQ(0, child_run(store_inherited, self->p));
	ASSERT_EQ(0, msync(self->p + self->page, self->page, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("aBcdefgh", file_bytes(self->d.fd));
}

struct sync_child {
	unsigned char *p;
	size_t length;
};

static int sync_inherited(void *arg, struct turn *t)
{
	struct sync_child *c = arg;

	return msync(c->p, c->length, MS_SYNC) ? errno : 0;
}

TEST_F(msync, parents_stores_are_synced_by_its_child)
{
	struct sync_child c = { self->p, 2 * self->page };

	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, child_run(sync_inherited, &c));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABcdefgh", file_bytes(self->d.fd));
}

TEST_F(msync, stores_through_another_mapping_are_synced)
{
	int fd = durable_open(&self->d, O_RDWR);
	unsigned char *q;

	ASSERT_GE(fd, 0);
	q = mmap(NULL, 4 * self->page, RW, MAP_SHARED, fd, 2 * self->page);
	ASSERT_NE(MAP_FAILED, q);
	close(fd);
	memset(q, 'x', 2 * self->page);
	ASSERT_EQ(0, msync(self->p, 3 * self->page, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abxdefgh", file_bytes(self->d.fd));
}

TEST_F(msync, moved_mapping_is_synced_where_it_is_now)
{
	unsigned char *at = address_hole(self->length);
	unsigned char *q;

	ASSERT_NE(MAP_FAILED, at);
	memset(self->p, 'A', self->page);
	q = mremap(self->p, self->length, self->length,
		   MREMAP_MAYMOVE | MREMAP_FIXED, at);
	ASSERT_EQ(at, q);
	self->p = q;
	memset(q + self->page, 'B', self->page);
	memset(q + 2 * self->page, 'C', self->page);
	ASSERT_EQ(0, msync(q, 2 * self->page, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABcdefgh", file_bytes(self->d.fd));
}

TEST_F(msync, stores_before_protection_was_taken_away_are_synced)
{
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, mprotect(self->p, 2 * self->page, PROT_NONE));
	ASSERT_EQ(0, mprotect(self->p + 2 * self->page, 2 * self->page,
			      PROT_READ));
	ASSERT_EQ(0, msync(self->p, 4 * self->page, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABCDefgh", file_bytes(self->d.fd));
}

TEST_F(msync, stores_before_the_pages_were_dropped_are_synced)
{
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_DONTNEED));
	EXPECT_EQ('B', self->p[self->page]);
	ASSERT_EQ(0, msync(self->p, 4 * self->page, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABCDefgh", file_bytes(self->d.fd));
}

/* The kernel stores through a pin here, not through the page table. */
TEST_F(msync, direct_read_into_the_mapping_is_synced)
{
	int source;

	if (!durable_possible(EXT4))
		SKIP(return, "no ext4 on a loop device to read from");
	source = ext4_digits();
	ASSERT_GE(source, 0);
	ASSERT_EQ(2 * self->page, pread(source, self->p + 3 * self->page,
					2 * self->page, self->page));
	EXPECT_STREQ("abc23fgh", file_bytes(self->d.fd));
	ASSERT_EQ(0, msync(self->p, 4 * self->page, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abc2efgh", file_bytes(self->d.fd));
	close(source);
}

TEST_F(msync, process_vm_writev_into_the_mapping_is_synced)
{
	unsigned char bytes[self->page];
	struct iovec from = { bytes, self->page };
	struct iovec to = { self->p + self->page, self->page };

	memset(bytes, 'x', self->page);
	ASSERT_EQ(self->page, process_vm_writev(getpid(), &from, 1, &to, 1, 0));
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("axcdefgh", file_bytes(self->d.fd));
}

TEST_F(msync, vmsplice_into_the_mapping_is_synced)
{
	unsigned char bytes[self->page];
	struct iovec to = { self->p + self->page, self->page };
	int ends[2];

	memset(bytes, 'x', self->page);
	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(self->page, write(ends[1], bytes, self->page));
	ASSERT_EQ(self->page, vmsplice(ends[0], &to, 1, 0));
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("axcdefgh", file_bytes(self->d.fd));
}

TEST_F(msync, every_round_of_store_and_sync_survives)
{
	for (int round = 0; round < 3; round++) {
		memset(self->p + 5 * self->page, '1' + round, self->page);
		ASSERT_EQ(0, msync(self->p + 5 * self->page, self->page,
				   MS_SYNC));
	}
	memset(self->p + 5 * self->page, '4', self->page);
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("abcde3gh", file_bytes(self->d.fd));
}

/* What the device tells about its pages. */
DURABLE_FIXTURE(tracking);
OBJECT_KINDS(tracking);

TEST_F(tracking, first_store_to_a_clean_page_is_one_mkwrite)
{
	unsigned long long before = durable_stats(&self->d).mkwrites;

	self->p[0] = 'x';
	EXPECT_EQ(before + 1, durable_stats(&self->d).mkwrites);
	self->p[1] = 'x';
	self->p[self->page - 1] = 'x';
	EXPECT_EQ(before + 1, durable_stats(&self->d).mkwrites);
	EXPECT_STREQ("dccccccc", durable_states(&self->d, DURABLE_PAGES));
}

TEST_F(tracking, first_store_to_a_clean_page_changes_the_time)
{
	const struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	struct stat st;

	ASSERT_EQ(0, futimens(self->d.fd, old));
	EXPECT_EQ('a', self->p[0]);
	ASSERT_EQ(0, fstat(self->d.fd, &st));
	EXPECT_EQ(1, st.st_mtime);
	self->p[0] = 'x';
	ASSERT_EQ(0, fstat(self->d.fd, &st));
	EXPECT_LT(1, st.st_mtime);
	EXPECT_EQ(st.st_mtim.tv_sec, st.st_ctim.tv_sec);
	EXPECT_EQ(st.st_mtim.tv_nsec, st.st_ctim.tv_nsec);
}

TEST_F(tracking, loads_make_nothing_dirty_and_the_store_after_is_a_mkwrite)
{
	unsigned long long before = durable_stats(&self->d).mkwrites;

	for (int i = 0; i < DURABLE_PAGES; i++)
		EXPECT_EQ('a' + i, self->p[i * self->page]);
	EXPECT_EQ(before, durable_stats(&self->d).mkwrites);
	EXPECT_STREQ("cccccccc", durable_states(&self->d, DURABLE_PAGES));
	self->p[2 * self->page] = 'x';
	EXPECT_EQ(before + 1, durable_stats(&self->d).mkwrites);
	EXPECT_STREQ("ccdccccc", durable_states(&self->d, DURABLE_PAGES));
}

#define MANY	40

/* MMAPDEV_IOC_UNSYNCED: how many there are, or -1 with errno. */
static long unsynced(int fd, uint64_t offset, uint64_t count,
		     struct mmapdev_unsynced_page *pages)
{
	struct mmapdev_unsynced want = {
		.offset = offset, .count = count, .pages = (uintptr_t)pages,
	};

	memset(pages, 0x77, (MANY + 1) * sizeof(*pages));
	return ioctl(fd, MMAPDEV_IOC_UNSYNCED, &want) ? -1 : (long)want.count;
}

TEST_F(tracking, unsynced_pages_are_told_in_order_as_many_as_fit)
{
	struct mmapdev_unsynced bad = { .reserved = 1 };
	struct mmapdev_unsynced_page pages[MANY + 1];
	struct object anonymous = object_open(MMAPDEV);
	uint64_t counts[] = { 0, 1, 15, 16, 17, 20, 21, MANY };

	ASSERT_EQ(0, ftruncate(self->d.fd, MANY * self->page));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(0, unsynced(self->d.fd, 0, MANY, pages));
	for (size_t i = 0; i < MANY; i += 2)
		ASSERT_EQ(0, page_write(self->d.fd, i, 'x'));
	ASSERT_EQ(0, fallocate(self->d.fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, 4 * self->page, self->page));
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		size_t n = counts[i] < MANY / 2 ? counts[i] : MANY / 2;

		ASSERT_EQ(n, unsynced(self->d.fd, 0, counts[i], pages));
		for (size_t j = 0; j < n; j++) {
			EXPECT_EQ(2 * j * self->page, pages[j].offset);
			EXPECT_EQ(j == 2 ? MMAPDEV_UNSYNCED_HOLE :
					   MMAPDEV_UNSYNCED_DIRTY,
				  pages[j].why);
			EXPECT_EQ(0, pages[j].reserved);
		}
		EXPECT_EQ(0x77777777, pages[n].why);
	}
	EXPECT_EQ(3, unsynced(self->d.fd, 33 * self->page, MANY, pages));
	EXPECT_EQ(34 * self->page, pages[0].offset);
	errno = 0;
	EXPECT_EQ(-1, unsynced(self->d.fd, 1, MANY, pages));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, ioctl(self->d.fd, MMAPDEV_IOC_UNSYNCED, &bad));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(0, unsynced(self->d.fd, 0, MANY, pages));
	EXPECT_EQ(1, pwrite(anonymous.fd, "x", 1, 0));
	EXPECT_EQ(0, unsynced(anonymous.fd, 0, MANY, pages));
	object_close(&anonymous);
}

TEST_F(tracking, page_is_clean_and_write_protected_after_msync)
{
	unsigned long long before = durable_stats(&self->d).mkwrites;

	for (int round = 1; round <= 3; round++) {
		self->p[self->page] = 'x';
		EXPECT_EQ(before + round, durable_stats(&self->d).mkwrites);
		EXPECT_STREQ("cdcccccc",
			     durable_states(&self->d, DURABLE_PAGES));
		ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
		EXPECT_STREQ("cccccccc",
			     durable_states(&self->d, DURABLE_PAGES));
	}
}

TEST_F(tracking, msync_writes_only_the_dirty_pages_of_its_range)
{
	struct mmapdev_stats before = durable_stats(&self->d);
	struct mmapdev_stats after;

	for (int i = 1; i < DURABLE_PAGES; i += 2)
		self->p[i * self->page] = 'x';
	ASSERT_EQ(0, msync(self->p, 4 * self->page, MS_SYNC));
	after = durable_stats(&self->d);
	EXPECT_EQ(before.writebacks + 2, after.writebacks);
	EXPECT_EQ(before.bytes_flushed + 2 * self->page, after.bytes_flushed);
	EXPECT_STREQ("cccccdcd", durable_states(&self->d, DURABLE_PAGES));
}

TEST_F(tracking, msync_of_clean_pages_writes_nothing)
{
	unsigned long long before;

	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	before = durable_stats(&self->d).writebacks;
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	EXPECT_EQ(before, durable_stats(&self->d).writebacks);
}

TEST_F(tracking, async_writes_nothing_and_flushes_nothing)
{
	struct mmapdev_stats before, after;

	store_capitals(self->p, DURABLE_PAGES);
	before = durable_stats(&self->d);
	ASSERT_EQ(0, msync(self->p, self->length, MS_ASYNC));
	after = durable_stats(&self->d);
	EXPECT_EQ(before.writebacks, after.writebacks);
	EXPECT_EQ(before.flushes, after.flushes);
	EXPECT_STREQ("dddddddd", durable_states(&self->d, DURABLE_PAGES));
}

TEST_F(tracking, write_makes_dirty_without_a_mkwrite)
{
	unsigned long long before = durable_stats(&self->d).mkwrites;

	ASSERT_EQ(1, pwrite(self->d.fd, "x", 1, 3 * self->page));
	EXPECT_EQ(before, durable_stats(&self->d).mkwrites);
	EXPECT_STREQ("cccdcccc", durable_states(&self->d, DURABLE_PAGES));
}

TEST_F(tracking, private_stores_are_no_mkwrites)
{
	unsigned long long before = durable_stats(&self->d).mkwrites;
	unsigned char *own = mmap(NULL, self->length, RW, MAP_PRIVATE,
				  self->d.fd, 0);

	ASSERT_NE(MAP_FAILED, own);
	store_capitals(own, DURABLE_PAGES);
	EXPECT_EQ(before, durable_stats(&self->d).mkwrites);
	EXPECT_STREQ("cccccccc", durable_states(&self->d, DURABLE_PAGES));
}

TEST_F(tracking, store_after_msync_through_any_mapping_is_seen)
{
	unsigned char *q = mmap(NULL, self->length, RW, MAP_SHARED,
				self->d.fd, 0);

	ASSERT_NE(MAP_FAILED, q);
	self->p[0] = 'x';
	q[0] = 'y';
	ASSERT_EQ(0, msync(self->p, self->page, MS_SYNC));
	EXPECT_STREQ("cccccccc", durable_states(&self->d, DURABLE_PAGES));
	q[0] = 'z';
	EXPECT_STREQ("dccccccc", durable_states(&self->d, DURABLE_PAGES));
	ASSERT_EQ(0, msync(self->p, self->page, MS_SYNC));
	self->p[0] = 'x';
	EXPECT_STREQ("dccccccc", durable_states(&self->d, DURABLE_PAGES));
}

TEST_F(tracking, locked_page_is_write_protected_by_msync_too)
{
	unsigned long long before;

	ASSERT_EQ(0, mlock(self->p, self->length));
	self->p[0] = 'x';
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	before = durable_stats(&self->d).mkwrites;
	self->p[0] = 'y';
	EXPECT_EQ(before + 1, durable_stats(&self->d).mkwrites);
	EXPECT_STREQ("dccccccc", durable_states(&self->d, DURABLE_PAGES));
}

/* A pin through which the kernel stores makes the page dirty again. */
TEST_F(tracking, direct_read_after_msync_makes_dirty_again)
{
	int source;

	if (!durable_possible(EXT4))
		SKIP(return, "no ext4 on a loop device to read from");
	source = ext4_digits();
	ASSERT_GE(source, 0);
	self->p[0] = 'x';
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	ASSERT_EQ(self->page, pread(source, self->p, self->page, 0));
	EXPECT_STREQ("dccccccc", durable_states(&self->d, DURABLE_PAGES));
	/* The kernel can do so once more, soon after it has woken us. */
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("1bcdefgh", file_bytes(self->d.fd));
	close(source);
}

int main(int argc, char **argv)
{
	ext4_prepare();
	nfs_prepare();
	return test_harness_run(argc, argv);
}
