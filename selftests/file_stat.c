// SPDX-License-Identifier: GPL-2.0
/*
 * What an object's file says of itself: kind, size, blocks, times, owner, file
 * system, and its name in /proc.
 */
#include "harness.h"

#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/fsuid.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "bytes.h"
#include "child.h"
#include "device.h"
#include "name.h"
#include "times.h"
#include "trap.h"
#include "user.h"

#define SUPER_MAGIC	0x6d6d6170

OBJECT_FIXTURE(file_stat);
REGULAR_VARIANTS(file_stat);

/* All zero, which no file has, if the call fails. */
static struct stat stat_of(int fd)
{
	struct stat st = {};

	if (fstat(fd, &st))
		memset(&st, 0, sizeof(st));
	return st;
}

TEST_F(file_stat, new_file_is_regular_and_empty)
{
	struct stat st = stat_of(self->o.fd);

	EXPECT_TRUE(S_ISREG(st.st_mode));
	EXPECT_EQ(0, st.st_size);
	EXPECT_EQ(0, st.st_blocks);
	EXPECT_EQ(self->page, st.st_blksize);
	EXPECT_EQ(geteuid(), st.st_uid);
	EXPECT_EQ(getegid(), st.st_gid);
}

#define EXPECT_SIZE_AND_PAGES(size, pages) do {				\
	struct stat st_ = stat_of(self->o.fd);				\
	EXPECT_EQ(size, st_.st_size);					\
	EXPECT_EQ((pages) * self->page / 512, st_.st_blocks);		\
} while (0)

TEST_F(file_stat, size_and_blocks_are_exact)
{
	volatile char *p;

	ASSERT_EQ(0, ftruncate(self->o.fd, 5 * self->page + 1));
	EXPECT_SIZE_AND_PAGES(5 * self->page + 1, 0);
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, self->page));
	EXPECT_SIZE_AND_PAGES(5 * self->page + 1, 1);
	p = object_map(&self->o, 6 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, (void *)p);
	p[5 * self->page] = 1;
	EXPECT_SIZE_AND_PAGES(5 * self->page + 1, 2);
	ASSERT_EQ(2, pwrite(self->o.fd, "ab", 2, 8 * self->page - 1));
	EXPECT_SIZE_AND_PAGES(8 * self->page + 1, 4);
	ASSERT_EQ(0, ftruncate(self->o.fd, 5 * self->page));
	EXPECT_SIZE_AND_PAGES(5 * self->page, 1);
	ASSERT_EQ(0, ftruncate(self->o.fd, 0));
	EXPECT_SIZE_AND_PAGES(0, 0);
}

TEST_F(file_stat, blocks_are_as_large_as_pages)
{
	int size = 0;

	EXPECT_EQ(self->page, stat_of(self->o.fd).st_blksize);
	ASSERT_EQ(0, ioctl(self->o.fd, FIGETBSZ, &size));
	EXPECT_EQ(self->page, size);
}

TEST_F(file_stat, bytes_left_to_read_are_told)
{
	int left = -1;

	ASSERT_EQ(0, ftruncate(self->o.fd, 1000));
	ASSERT_EQ(300, lseek(self->o.fd, 300, SEEK_SET));
	EXPECT_EQ(0, ioctl(self->o.fd, FIONREAD, &left));
	EXPECT_EQ(700, left);
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, 1099));
	EXPECT_EQ(0, ioctl(self->o.fd, FIONREAD, &left));
	EXPECT_EQ(800, left);
}

TEST_F(file_stat, mode_and_owner_are_set_for_all_descriptors)
{
	mode_t modes[] = { 0, 0400, 0640, 0777, 0600 };
	int other = fd_reopen(self->o.fd, O_RDONLY);

	ASSERT_GE(other, 0);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		ASSERT_EQ(0, fchmod(self->o.fd, modes[i]));
		EXPECT_EQ(S_IFREG | modes[i], stat_of(other).st_mode);
	}
	ASSERT_EQ(0, fchown(other, 12, 34));
	EXPECT_EQ(12, stat_of(self->o.fd).st_uid);
	EXPECT_EQ(34, stat_of(self->o.fd).st_gid);
	ASSERT_EQ(0, fchown(self->o.fd, -1, 56));
	EXPECT_EQ(12, stat_of(other).st_uid);
	EXPECT_EQ(56, stat_of(other).st_gid);
	EXPECT_EQ(S_IFREG | 0600, stat_of(other).st_mode);
	close(other);
}

TEST_F(file_stat, syncing_the_file_system_succeeds)
{
	EXPECT_EQ(0, syncfs(self->o.fd));
}

/* Times: a clock that ticks every 10 ms at least makes them. */
OBJECT_FIXTURE(times);
REGULAR_VARIANTS(times);

/* Do it, in a later tick than what was before. */
#define IN_A_LATER_TICK(what)						\
	struct stat before_ = stat_of(self->o.fd), after_;		\
	let_the_clock_tick();						\
	what;								\
	after_ = stat_of(self->o.fd)

#define EXPECT_TIME(one, is, other)					\
	EXPECT_##is(nanoseconds(one), nanoseconds(other))

/* The statement changes the bytes: both times are now, and equal. */
#define EXPECT_MODIFIED(what) do {					\
	IN_A_LATER_TICK(what);						\
	EXPECT_TIME(before_.st_ctim, LT, after_.st_ctim);		\
	EXPECT_TIME(after_.st_ctim, EQ, after_.st_mtim);		\
} while (0)

/* The statement changes what is known of the file: one time is now. */
#define EXPECT_CHANGED(what) do {					\
	IN_A_LATER_TICK(what);						\
	EXPECT_TIME(before_.st_ctim, LT, after_.st_ctim);		\
	EXPECT_TIME(before_.st_mtim, EQ, after_.st_mtim);		\
} while (0)

#define EXPECT_UNCHANGED(what) do {					\
	IN_A_LATER_TICK(what);						\
	EXPECT_TIME(before_.st_ctim, EQ, after_.st_ctim);		\
	EXPECT_TIME(before_.st_mtim, EQ, after_.st_mtim);		\
} while (0)

TEST_F(times, are_those_of_the_last_write_or_truncation)
{
	EXPECT_MODIFIED(ASSERT_EQ(1, write(self->o.fd, "a", 1)));
	EXPECT_MODIFIED(ASSERT_EQ(1, pwrite(self->o.fd, "b", 1, 0)));
	EXPECT_MODIFIED(ASSERT_EQ(0, ftruncate(self->o.fd, 5000)));
	EXPECT_MODIFIED(ASSERT_EQ(0, ftruncate(self->o.fd, 5000)));
	EXPECT_MODIFIED(ASSERT_EQ(0, ftruncate(self->o.fd, 10)));
	EXPECT_MODIFIED(close(fd_reopen(self->o.fd, O_RDWR | O_TRUNC)));
}

TEST_F(times, of_change_are_those_of_mode_and_owner_too)
{
	EXPECT_CHANGED(ASSERT_EQ(0, fchmod(self->o.fd, 0640)));
	EXPECT_CHANGED(ASSERT_EQ(0, fchown(self->o.fd, 1, 1)));
}

TEST_F(times, are_not_changed_by_looking_and_failing)
{
	int reader = fd_reopen(self->o.fd, O_RDONLY);
	char byte;

	ASSERT_GE(reader, 0);
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	EXPECT_UNCHANGED(EXPECT_EQ(1, pread(self->o.fd, &byte, 1, 0)));
	EXPECT_UNCHANGED(EXPECT_EQ(0, lseek(self->o.fd, 0, SEEK_SET)));
	EXPECT_UNCHANGED(EXPECT_EQ(0, pwrite(self->o.fd, "a", 0, 0)));
	EXPECT_UNCHANGED(EXPECT_EQ(-1, pwrite(self->o.fd, "a", 1, -1)));
	EXPECT_UNCHANGED(EXPECT_EQ(-1, pwrite(reader, "a", 1, 0)));
	EXPECT_UNCHANGED(EXPECT_EQ(-1, ftruncate(reader, 0)));
	EXPECT_UNCHANGED(EXPECT_EQ(0, fsync(self->o.fd)));
	close(reader);
}

TEST_F(times, are_not_changed_by_private_and_by_failing_stores)
{
	char *copy = object_map(&self->o, 3 * self->page, RW, MAP_PRIVATE);
	char *p = object_map(&self->o, 3 * self->page, RW, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, copy);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, 0));
	ASSERT_EQ(0, object_resize(&self->o, 2 * self->page));
	EXPECT_UNCHANGED(EXPECT_NO_TRAP(trap_store(copy, 'x')));
	EXPECT_UNCHANGED(EXPECT_NO_TRAP(trap_store(copy + self->page, 'x')));
	EXPECT_UNCHANGED(EXPECT_NO_TRAP(trap_load(p)));
	EXPECT_UNCHANGED(EXPECT_NO_TRAP(trap_load(p + self->page)));
	p += 2 * self->page;
	EXPECT_UNCHANGED(EXPECT_TRAP(trap_store(p, 'x'), SIGBUS, BUS_ADRERR,
				     p));
}

TEST_F(times, of_access_is_that_of_the_last_read)
{
	char byte;

	ASSERT_EQ(2, pwrite(self->o.fd, "ab", 2, 0));
	for (int i = 0; i < 2; i++) {
		IN_A_LATER_TICK(ASSERT_EQ(1, pread(self->o.fd, &byte, 1, i)));
		EXPECT_TIME(before_.st_atim, LT, after_.st_atim);
		EXPECT_TIME(before_.st_mtim, EQ, after_.st_mtim);
		EXPECT_TIME(before_.st_ctim, EQ, after_.st_ctim);
		ASSERT_EQ(1, pwrite(self->o.fd, "b", 1, 0));
	}
}

TEST_F(times, are_set_to_the_nanosecond)
{
	struct timespec set[2] = { { 1, 123456789 }, { 2000000000, 1 } };
	struct timespec omit[2] = { { 0, UTIME_OMIT }, { 3, 999999999 } };
	struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_OMIT } };
	struct stat st;

	let_the_clock_tick();
	ASSERT_EQ(0, futimens(self->o.fd, set));
	st = stat_of(self->o.fd);
	EXPECT_EQ(nanoseconds(set[0]), nanoseconds(st.st_atim));
	EXPECT_EQ(nanoseconds(set[1]), nanoseconds(st.st_mtim));
	EXPECT_NE(nanoseconds(set[1]), nanoseconds(st.st_ctim));
	ASSERT_EQ(0, futimens(self->o.fd, omit));
	st = stat_of(self->o.fd);
	EXPECT_EQ(nanoseconds(set[0]), nanoseconds(st.st_atim));
	EXPECT_EQ(nanoseconds(omit[1]), nanoseconds(st.st_mtim));
	ASSERT_EQ(0, futimens(self->o.fd, now));
	st = stat_of(self->o.fd);
	EXPECT_EQ(nanoseconds(st.st_ctim), nanoseconds(st.st_atim));
	EXPECT_EQ(nanoseconds(omit[1]), nanoseconds(st.st_mtim));
}

/* What only mmapdev says. */
OBJECT_FIXTURE(object_file);
OBJECT_VARIANT(object_file, object_file, OBJFILE);

TEST_F(object_file, is_its_owners_and_has_one_link)
{
	struct stat st = stat_of(self->o.fd);

	EXPECT_EQ(S_IFREG | 0600, st.st_mode);
	EXPECT_EQ(1, st.st_nlink);
}

static int open_with_another_group(void *arg, struct turn *t)
{
	struct stat st;
	int fd, err;

	setfsgid(NOBODY);
	fd = object_file_new(O_RDWR);
	setfsgid(0);
	st = stat_of(fd);
	err = fd < 0 || st.st_uid != 0 || st.st_gid != NOBODY;
	return err;
}

TEST_F(object_file, belongs_to_who_made_the_object)
{
	EXPECT_EQ(0, child_run(open_with_another_group, NULL));
}

static int ask_as_nobody(void *arg, struct turn *t)
{
	const struct object *o = arg;
	int fd;

	if (become_nobody())
		return 1;
	fd = object_file(o->fd, O_RDWR);
	return fd < 0 || stat_of(fd).st_uid != 0 || stat_of(fd).st_gid != 0;
}

TEST_F(object_file, belongs_to_no_one_else_who_asks_for_it)
{
	EXPECT_EQ(0, child_run(ask_as_nobody, &self->o));
}

TEST_F(object_file, has_the_objects_number)
{
	struct object other = object_open(OBJFILE);
	struct stat st = stat_of(self->o.fd);
	int again = object_file(self->o.fd, O_RDONLY);
	int reopened = fd_reopen(self->o.fd, O_RDONLY);

	ASSERT_GE(other.fd, 0);
	ASSERT_GE(again, 0);
	ASSERT_GE(reopened, 0);
	EXPECT_EQ(object_info(&self->o).object, st.st_ino);
	EXPECT_EQ(st.st_ino, stat_of(again).st_ino);
	EXPECT_EQ(st.st_dev, stat_of(again).st_dev);
	EXPECT_EQ(st.st_ino, stat_of(reopened).st_ino);
	EXPECT_EQ(st.st_dev, stat_of(reopened).st_dev);
	EXPECT_NE(st.st_ino, stat_of(other.fd).st_ino);
	EXPECT_EQ(st.st_dev, stat_of(other.fd).st_dev);
	object_close(&other);
	close(again);
	close(reopened);
}

/* All descriptors may have been closed in between: the object knows. */
TEST_F(object_file, mode_owner_and_times_outlive_it)
{
	struct timespec set[2] = { { 1, 2 }, { 3, 4 } };
	struct object node = object_open(MMAPDEV);
	struct stat before, after;
	int fd;

	ASSERT_GE(node.fd, 0);
	fd = object_file(node.fd, O_RDWR);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ftruncate(fd, 100));
	ASSERT_EQ(0, fchmod(fd, 0444));
	ASSERT_EQ(0, fchown(fd, 5, 6));
	ASSERT_EQ(0, futimens(fd, set));
	before = stat_of(fd);
	close(fd);
	fd = object_file(node.fd, O_RDONLY);
	ASSERT_GE(fd, 0);
	after = stat_of(fd);
	EXPECT_EQ(S_IFREG | 0444, after.st_mode);
	EXPECT_EQ(5, after.st_uid);
	EXPECT_EQ(6, after.st_gid);
	EXPECT_EQ(100, after.st_size);
	EXPECT_EQ(1000000002, nanoseconds(after.st_atim));
	EXPECT_EQ(3000000004, nanoseconds(after.st_mtim));
	EXPECT_EQ(nanoseconds(before.st_ctim), nanoseconds(after.st_ctim));
	EXPECT_EQ(before.st_ino, after.st_ino);
	close(fd);
	object_close(&node);
}

TEST_F(object_file, shows_what_the_node_changes)
{
	struct object node = object_open(MMAPDEV);
	int fd;

	ASSERT_GE(node.fd, 0);
	fd = object_file(node.fd, O_RDWR);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(object_info(&node).max_size, stat_of(fd).st_size);
	object_close(&self->o);
	self->o.kind = OBJFILE;
	self->o.fd = fd;
	EXPECT_MODIFIED(ASSERT_EQ(0, object_resize(&node, 3 * self->page)));
	EXPECT_SIZE_AND_PAGES(3 * self->page, 0);
	EXPECT_UNCHANGED(ASSERT_EQ(0, object_resize(&node, 3 * self->page)));
	EXPECT_MODIFIED(ASSERT_EQ(1, pwrite(node.fd, "a", 1, 0)));
	EXPECT_SIZE_AND_PAGES(3 * self->page, 1);
	ASSERT_EQ(1, pwrite(node.fd, "a", 1, 4 * self->page));
	EXPECT_SIZE_AND_PAGES(4 * self->page + 1, 2);
	object_close(&node);
}

TEST_F(object_file, times_are_those_of_the_last_fallocate)
{
	int modes[] = {
		0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_MODIFIED(ASSERT_EQ(0, fallocate(self->o.fd, modes[i], 0,
						       self->page)));
	}
	EXPECT_UNCHANGED(EXPECT_EQ(-1, fallocate(self->o.fd, 0, 0, 0)));
}

TEST_F(object_file, time_of_change_is_that_of_its_naming_too)
{
	EXPECT_CHANGED(ASSERT_EQ(0, name_give(&self->o, NAME)));
	EXPECT_UNCHANGED(ASSERT_EQ(0, name_remove(&self->o)));
}

TEST_F(object_file, time_of_birth_is_when_it_was_opened)
{
	struct timespec start, end, set[2] = {};
	struct object o;
	struct statx stx = {};
	long long birth;

	clock_gettime(CLOCK_REALTIME_COARSE, &start);
	let_the_clock_tick();
	o = object_open(OBJFILE);
	ASSERT_GE(o.fd, 0);
	let_the_clock_tick();
	clock_gettime(CLOCK_REALTIME_COARSE, &end);
	ASSERT_EQ(1, write(o.fd, "a", 1));
	ASSERT_EQ(0, futimens(o.fd, set));
	ASSERT_EQ(0, statx(o.fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS |
			   STATX_BTIME, &stx));
	EXPECT_EQ(STATX_BASIC_STATS | STATX_BTIME,
		  stx.stx_mask & (STATX_BASIC_STATS | STATX_BTIME));
	birth = stx.stx_btime.tv_sec * 1000000000LL + stx.stx_btime.tv_nsec;
	EXPECT_LT(nanoseconds(start), birth);
	EXPECT_GT(nanoseconds(end), birth);
	EXPECT_EQ(1, stx.stx_size);
	EXPECT_EQ(1, stx.stx_nlink);
	EXPECT_EQ(self->page / 512, stx.stx_blocks);
	EXPECT_EQ(major(stat_of(o.fd).st_dev), stx.stx_dev_major);
	EXPECT_EQ(minor(stat_of(o.fd).st_dev), stx.stx_dev_minor);
	object_close(&o);
}

TEST_F(object_file, link_in_proc_names_the_object)
{
	char link[64], path[64] = "", expected[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", self->o.fd);
	snprintf(expected, sizeof(expected), "/mmapdev:%llu (deleted)",
		 (unsigned long long)object_info(&self->o).object);
	ASSERT_LT(0, readlink(link, path, sizeof(path) - 1));
	EXPECT_STREQ(expected, path);
}

TEST_F(object_file, cannot_be_sealed)
{
	EXPECT_EQ(-1, fcntl(self->o.fd, F_GET_SEALS));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, fcntl(self->o.fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(EINVAL, errno);
}

/* The file system's blocks are the limit's pages. */
FIXTURE(file_system) {
	struct object o;
	size_t page;
	uint64_t used;		/* pages */
	struct knob limit;
};

FIXTURE_VARIANT(file_system) {
	enum backend_kind kind;
};

OBJECT_VARIANT(file_system, object_file, OBJFILE);

FIXTURE_SETUP(file_system)
{
	self->page = getpagesize();
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	self->used = object_info(&self->o).used / self->page;
}

FIXTURE_TEARDOWN_PARENT(file_system)
{
	EXPECT_EQ(0, knob_restore(&self->limit));
}

TEST_F(file_system, tells_the_limit_and_what_is_left)
{
	struct statfs fs;
	uint64_t blocks = self->used + 100;

	ASSERT_EQ(0, limit_set(&self->limit, blocks * self->page + 1));
	ASSERT_EQ(0, object_fill(&self->o, 3, 'a'));
	ASSERT_EQ(0, fstatfs(self->o.fd, &fs));
	EXPECT_EQ(SUPER_MAGIC, fs.f_type);
	EXPECT_EQ(self->page, fs.f_bsize);
	EXPECT_EQ(blocks, fs.f_blocks);
	EXPECT_EQ(97, fs.f_bfree);
	EXPECT_EQ(97, fs.f_bavail);
	EXPECT_EQ(MMAPDEV_NAME_MAX, fs.f_namelen);
}

TEST_F(file_system, has_nothing_left_under_a_limit_below_what_is_used)
{
	struct statfs fs;

	ASSERT_EQ(0, object_fill(&self->o, 3, 'a'));
	ASSERT_EQ(0, limit_set(&self->limit, self->page));
	ASSERT_EQ(0, fstatfs(self->o.fd, &fs));
	EXPECT_EQ(1, fs.f_blocks);
	EXPECT_EQ(0, fs.f_bfree);
	EXPECT_EQ(0, fs.f_bavail);
}

/* As a tmpfs without a size says. */
TEST_F(file_system, has_no_blocks_without_a_limit)
{
	struct statfs fs;

	ASSERT_EQ(0, limit_set(&self->limit, 0));
	ASSERT_EQ(0, fstatfs(self->o.fd, &fs));
	EXPECT_EQ(0, fs.f_blocks);
	EXPECT_EQ(0, fs.f_bfree);
	EXPECT_EQ(0, fs.f_bavail);
}

TEST_HARNESS_MAIN
