// SPDX-License-Identifier: GPL-2.0
/*
 * The store in a file: which descriptors it takes, what is in the file when, and
 * what becomes of an object whose file is full, cut short, or a block device.
 */
#include "harness.h"

#include <linux/falloc.h>

#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "child.h"
#include "device.h"
#include "durable.h"
#include "let_go.h"
#include "nfs.h"
#include "trap.h"
#include "user.h"

#define FILE_KINDS(name)						\
	DURABLE_VARIANT(name, mmapdev_on_tmpfs, .kind = ON_TMPFS);	\
	DURABLE_VARIANT(name, mmapdev_on_ext4, .kind = ON_EXT4);	\
	DURABLE_VARIANT(name, mmapdev_on_nfs, .kind = ON_NFS)

/* Creating a store of the descriptor must fail so, and leave it alone. */
#define EXPECT_NO_STORE(error, fd) do {					\
	int fd_ = (fd);							\
									\
	errno = 0;							\
	EXPECT_EQ(-1, durable_over(fd_, 0, 0));				\
	EXPECT_EQ((error), errno);					\
	EXPECT_TRUE(is_let_go(fd_));					\
} while (0)

TEST(descriptor_must_be_open_for_reading_and_writing)
{
	struct durable d = { .fd = image_new(4096) };
	int reads = durable_open(&d, O_RDONLY);
	int writes = durable_open(&d, O_WRONLY);
	int path = durable_open(&d, O_PATH);

	ASSERT_LE(0, path);
	EXPECT_NO_STORE(EBADF, reads);
	EXPECT_NO_STORE(EBADF, writes);
	EXPECT_EQ(-1, durable_over(path, 0, 0));
	EXPECT_EQ(EBADF, errno);
	errno = 0;
	EXPECT_EQ(-1, durable_over(1 << 20, 0, 0));	/* none */
	EXPECT_EQ(EBADF, errno);
	EXPECT_TRUE(is_let_go(d.fd));
}

TEST(descriptor_must_not_append)
{
	struct durable d = { .fd = image_new(4096) };

	EXPECT_NO_STORE(EINVAL, durable_open(&d, O_RDWR | O_APPEND));
}

/* The open file is the caller's; the store has one of its own. */
TEST(flags_that_are_set_later_do_not_count)
{
	int image = image_new(2 * getpagesize());
	int fd = durable_over(image, 0, 0);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, fcntl(image, F_SETFL, O_APPEND));
	ASSERT_EQ(0, page_write(fd, 1, 'x'));
	EXPECT_EQ(0, fsync(fd));
	EXPECT_STREQ("0x", file_bytes(image));
	close(fd);
	close(image);
}

TEST(descriptor_must_be_of_a_regular_file_or_a_block_device)
{
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	EXPECT_NO_STORE(EINVAL, open("/dev/shm", O_RDONLY | O_DIRECTORY));
	EXPECT_NO_STORE(EINVAL, ends[0]);
	EXPECT_NO_STORE(EINVAL, ends[1]);
	EXPECT_NO_STORE(EINVAL, open("/dev/null", O_RDWR));
	EXPECT_NO_STORE(EINVAL, open("/dev/zero", O_RDWR));
}

/*
 * Regular files by their mode, but what is written to them is not what is read:
 * they hold no bytes.
 */
TEST(descriptor_must_be_of_a_file_that_holds_bytes)
{
	static const char *const paths[] = {
		"/proc/sys/kernel/hostname",
		"/proc/self/oom_score_adj",
		"/proc/self/mem",
		"/sys/module/mmapdev/parameters/limit",
		"/sys/kernel/debug/fault_around_bytes",
	};

	for (int i = 0; i < 5; i++) {
		int fd = open(paths[i], O_RDWR | O_CLOEXEC);

		if (fd < 0)	/* not there, or only for reading */
			continue;
		EXPECT_NO_STORE(EINVAL, fd);
		close(fd);
	}
	EXPECT_EQ(0, access(paths[0], R_OK | W_OK));
}

/* It writes with the locks of two file systems, and reads without a page cache. */
TEST(descriptor_must_not_be_of_a_file_system_on_another)
{
	int fd;

	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_EQ(0, mount("none", "/mnt", "tmpfs", 0, NULL));
	ASSERT_EQ(0, mkdir("/mnt/lower", 0755));
	ASSERT_EQ(0, mkdir("/mnt/upper", 0755));
	ASSERT_EQ(0, mkdir("/mnt/work", 0755));
	ASSERT_EQ(0, mkdir("/mnt/all", 0755));
	ASSERT_EQ(0, mount("none", "/mnt/all", "overlay", 0,
			   "lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work"));
	fd = open("/mnt/all/store", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	EXPECT_NO_STORE(EINVAL, fd);
	close(fd);
	fd = open("/mnt/upper/store", O_RDWR | O_CLOEXEC);
	EXPECT_LE(0, durable_over(fd, 0, 0));
}

TEST(object_cannot_be_the_store_of_an_object)
{
	struct durable d = durable_new(MEMORY, 4096, 0);
	struct object o = object_open(MMAPDEV);
	struct mmapdev_file want = { .flags = O_RDWR };
	int file = ioctl(o.fd, MMAPDEV_IOC_GET_FILE, &want);

	ASSERT_GE(d.fd, 0);
	ASSERT_GE(file, 0);
	EXPECT_NO_STORE(ELOOP, d.fd);
	EXPECT_NO_STORE(ELOOP, file);
	EXPECT_NO_STORE(ELOOP, o.fd);
}

TEST(create_checks_every_field)
{
	int image = image_new(4096);
	struct mmapdev_create good = {
		.store = MMAPDEV_STORE_MEMORY,
		.flags = O_RDWR,
		.size = 4096,
		.fd = -1,
	};
	struct mmapdev_create in_file = {
		.store = MMAPDEV_STORE_FILE,
		.flags = O_RDWR,
		.fd = image,
	};
	struct mmapdev_create bad[20];
	int n = 0;

	for (int i = 0; i < 20; i++)
		bad[i] = i < 10 ? good : in_file;
	bad[n++].store = MMAPDEV_STORE_NONE;
	bad[n++].store = MMAPDEV_STORE_FILE + 1;
	bad[n++].flags = O_RDWR | O_TRUNC;
	bad[n++].flags = O_RDWR | O_DIRECT;
	bad[n++].flags = O_ACCMODE;
	bad[n++].after_error = MMAPDEV_AFTER_ERROR_REVERT + 1;
	bad[n++].reserved[0] = 1;
	bad[n++].reserved[4] = 1;
	bad[n++].fd = image;		/* memory has no file */
	bad[n++].fd = -2;
	bad[n++].size = 4096;		/* the file has one */
	bad[n++].store = MMAPDEV_STORE_FILE + 1;
	bad[n++].flags = O_RDWR | O_TRUNC;
	bad[n++].flags = O_ACCMODE;
	bad[n++].after_error = MMAPDEV_AFTER_ERROR_REVERT + 1;
	bad[n++].reserved[0] = 1;
	bad[n++].reserved[4] = 1;
	for (int i = 0; i < n; i++) {
		errno = 0;
		EXPECT_EQ(-1, create_call(&bad[i]));
		EXPECT_EQ(EINVAL, errno);
	}
	bad[0] = good;
	bad[0].size = 1ULL << 63;
	EXPECT_EQ(-1, create_call(&bad[0]));
	EXPECT_EQ(EFBIG, errno);
	bad[0].size = (1ULL << 63) - 1;	/* no whole pages */
	EXPECT_EQ(-1, create_call(&bad[0]));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_LE(0, create_call(&good));
	EXPECT_TRUE(is_let_go(image));
}

TEST(create_without_a_free_descriptor_leaves_no_object)
{
	long long objects = device_total("objects");
	struct mmapdev_create create = {
		.store = MMAPDEV_STORE_MEMORY,
		.flags = O_RDWR,
		.fd = -1,
	};
	struct rlimit old, limit;
	int fd = create_call(&create);

	ASSERT_LE(0, fd);
	ASSERT_EQ(objects + 1, device_total("objects"));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	limit = old;
	limit.rlim_cur = dup(fd);	/* the next one */
	close(limit.rlim_cur);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(-1, ioctl(fd, MMAPDEV_IOC_CREATE, &create));
	EXPECT_EQ(EMFILE, errno);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(objects + 1, device_total("objects"));
	close(fd);
	EXPECT_EQ(objects, device_total("objects"));
}

/* As a file belongs to whom the process is to file systems. */
static int create_as_nobody(void *arg, struct turn *t)
{
	struct mmapdev_create create = {
		.store = MMAPDEV_STORE_MEMORY,
		.flags = O_RDWR,
		.fd = -1,
	};
	struct stat st;
	int fd;

	setfsgid(NOBODY);
	setfsuid(NOBODY);
	fd = ioctl(*(int *)arg, MMAPDEV_IOC_CREATE, &create);
	setfsuid(0);
	if (fd < 0 || fstat(fd, &st))
		return 1;
	return st.st_uid == NOBODY && st.st_gid == NOBODY ? 0 : 2;
}

TEST(created_object_belongs_to_its_creator)
{
	int node = open(mmapdev_path(), O_RDWR);

	ASSERT_LE(0, node);
	EXPECT_EQ(0, child_run(create_as_nobody, &node));
}

/* The last thing that can go wrong: there is no descriptor for the object. */
TEST(file_is_let_go_where_no_descriptor_is_left)
{
	int image = image_new(4096);
	int node = open(mmapdev_path(), O_RDWR | O_CLOEXEC);
	struct mmapdev_create want = {
		.store = MMAPDEV_STORE_FILE,
		.flags = O_RDWR | O_CLOEXEC,
		.fd = image,
	};
	struct rlimit all, none;

	ASSERT_GE(image, 0);
	ASSERT_GE(node, 0);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &all));
	none = (struct rlimit){ 0, all.rlim_max };
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	errno = 0;
	EXPECT_EQ(-1, ioctl(node, MMAPDEV_IOC_CREATE, &want));
	EXPECT_EQ(EMFILE, errno);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &all));
	EXPECT_TRUE(is_let_go(image));
	close(node);
}

/* Is there no other open file of this one? Only then a lease is given. */
static bool is_only_one(int fd)
{
	return !fcntl(fd, F_SETLEASE, F_WRLCK) &&
	       !fcntl(fd, F_SETLEASE, F_UNLCK);
}

/* The store has the file open from its creation to its end. */
TEST(file_is_let_go_with_the_object)
{
	int image = image_new(4096);
	int other = fd_reopen(image, O_RDONLY);
	int fd = durable_over(image, 0, 0);
	void *p = mmap(NULL, 4096, RW, MAP_SHARED, fd, 0);

	ASSERT_GE(fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	close(image);
	close(fd);
	EXPECT_FALSE(is_only_one(other));
	ASSERT_EQ(0, munmap(p, 4096));
	EXPECT_TRUE(is_only_one(other));
	close(other);
}

DURABLE_FIXTURE(file_store);
FILE_KINDS(file_store);
DURABLE_VARIANT(file_store, mmapdev_on_device, .kind = ON_DEVICE);

/* How many pages are as expected, once no page is in memory. */
static int drop_and_load(const struct durable *d, const char *expected)
{
	const char *shown;
	int n = 0;

	posix_fadvise(d->fd, 0, 0, POSIX_FADV_DONTNEED);
	shown = file_bytes(d->fd);
	while (expected[n] && shown[n] == expected[n])
		n++;
	return n;
}

TEST_F(file_store, info_tells_the_kind_and_the_files_size)
{
	struct mmapdev_info info = durable_info(&self->d);

	EXPECT_EQ(MMAPDEV_STORE_FILE, info.store);
	EXPECT_EQ(self->length, info.size);
	EXPECT_EQ(self->length, info.durable_size);
}

TEST_F(file_store, pages_are_loaded_when_they_are_needed)
{
	int fd = durable_over(self->d.backing, 0, 0);
	struct durable d = { .kind = ON_TMPFS, .fd = fd, .backing = -1 };
	unsigned char byte;
	unsigned char *p;

	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, durable_info(&d).resident);
	ASSERT_EQ(1, pread(fd, &byte, 1, 3 * self->page));
	EXPECT_EQ('d', byte);
	EXPECT_STREQ("...c....", durable_states(&d, DURABLE_PAGES));
	p = mmap(NULL, self->length, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ('f', p[5 * self->page]);
	EXPECT_STREQ("...c.c..", durable_states(&d, DURABLE_PAGES));
	p[6 * self->page] = 'g';
	EXPECT_STREQ("...c.cd.", durable_states(&d, DURABLE_PAGES));
	close(fd);
}

/* A fresh object has no page in memory, only in the file. */
TEST_F(file_store, private_stores_copy_the_files_bytes)
{
	struct durable d = { .fd = durable_over(self->d.backing, 0, 0) };
	unsigned char *p;

	ASSERT_GE(d.fd, 0);
	p = mmap(NULL, self->length, RW, MAP_PRIVATE, d.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < DURABLE_PAGES; i += 3) {
		unsigned char *at = p + i * self->page;

		at[self->page - 1] = 'z';
		EXPECT_TRUE(bytes_are(at, 'a' + i, self->page - 1));
		EXPECT_EQ('z', at[self->page - 1]);
	}
	EXPECT_EQ(0, durable_stats(&d).fault_cow_hole);
	EXPECT_STREQ("c..c..c.", durable_states(&d, DURABLE_PAGES));
	EXPECT_STREQ("abcdefgh", file_bytes(d.fd));
	close(d.fd);
}

TEST_F(file_store, file_has_the_bytes_after_the_sync_and_not_before)
{
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.backing));
	ASSERT_EQ(0, sync_file_range(self->d.fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.backing));
	ASSERT_EQ(0, msync(self->p + self->page, 2 * self->page, MS_SYNC));
	EXPECT_STREQ("aBCdefgh", file_bytes(self->d.backing));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.backing));
}

TEST_F(file_store, file_keeps_what_a_cut_leaves)
{
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, msync(self->p, 3 * self->page, MS_SYNC));
	ASSERT_EQ(0, ftruncate(self->d.fd, self->page));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABCdefgh", file_bytes(self->d.backing));
	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	ASSERT_EQ(0, close(self->d.fd));
	self->d.fd = -1;
	EXPECT_STREQ("ABCdefgh", file_bytes(self->d.backing));
}

TEST_F(file_store, mapping_keeps_the_object_from_its_last_close)
{
	ASSERT_EQ(0, close(self->d.fd));
	self->d.fd = -1;
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.backing));
	ASSERT_EQ(0, msync(self->p, self->page, MS_SYNC));
	EXPECT_STREQ("Abcdefgh", file_bytes(self->d.backing));
	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.backing));
}

/* The descriptor is the caller's: what it is made to do is its own affair. */
TEST_F(file_store, flags_set_later_on_the_descriptor_change_nothing)
{
	int flags[] = { O_APPEND, O_NONBLOCK, O_DIRECT };
	int found = fcntl(self->d.backing, F_GETFL);
	int fd = fd_reopen(self->d.backing, O_RDONLY);

	ASSERT_GE(fd, 0);
	for (int i = 0; i < 3; i++) {
		char expected[DURABLE_PAGES + 1] = "";

		if (fcntl(self->d.backing, F_SETFL, found | flags[i]))
			continue;	/* tmpfs has no direct I/O here */
		for (int j = 0; j < DURABLE_PAGES; j++) {
			expected[j] = 'A' + DURABLE_PAGES * i + j;
			memset(self->p + j * self->page, expected[j],
			       self->page);
		}
		EXPECT_EQ(0, msync(self->p, self->length, MS_SYNC));
		EXPECT_STREQ(expected, file_bytes(fd));
		EXPECT_EQ(self->length, lseek(fd, 0, SEEK_END));
		EXPECT_EQ(DURABLE_PAGES, drop_and_load(&self->d, expected));
	}
	close(fd);
}

/* Files can be longer and shorter, devices cannot. */
DURABLE_FIXTURE(sized);
FILE_KINDS(sized);

TEST_F(sized, file_has_everything_after_the_last_close)
{
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, ftruncate(self->d.fd, 9 * self->page + 7));
	ASSERT_EQ(1, pwrite(self->d.fd, "x", 1, 9 * self->page));
	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.backing));
	ASSERT_EQ(0, close(self->d.fd));
	self->d.fd = -1;
	EXPECT_EQ(9 * self->page + 7, file_size(self->d.backing));
	EXPECT_STREQ("ABCDEFGH0?", file_bytes(self->d.backing));
}

TEST_F(sized, size_need_not_be_whole_pages)
{
	off_t size = 5 * self->page + 123;

	ASSERT_EQ(0, ftruncate(self->d.fd, size));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(size, file_size(self->d.backing));
	memset(self->p + 5 * self->page, 'x', self->page);
	ASSERT_EQ(0, msync(self->p, self->length, MS_SYNC));
	EXPECT_EQ(size, file_size(self->d.backing));
	EXPECT_STREQ("abcdex", file_bytes(self->d.backing));
	ASSERT_EQ(1, pwrite(self->d.fd, "x", 1, size));
	ASSERT_EQ(0, fdatasync(self->d.fd));
	EXPECT_EQ(size + 1, file_size(self->d.backing));
	EXPECT_STREQ("abcdex", file_bytes(self->d.backing));
}

TEST_F(sized, odd_file_is_loaded_to_its_end_and_zeros_follow)
{
	struct durable d = { .backing = -1 };
	unsigned char *p;

	ASSERT_EQ(0, ftruncate(self->d.backing, 2 * self->page + 10));
	d.fd = durable_over(self->d.backing, 0, 0);
	ASSERT_GE(d.fd, 0);
	EXPECT_EQ(2 * self->page + 10, file_size(d.fd));
	EXPECT_STREQ("abc", file_bytes(d.fd));
	p = mmap(NULL, 3 * self->page, RW, MAP_SHARED, d.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(bytes_are(p + 2 * self->page, 'c', 10));
	EXPECT_TRUE(bytes_are(p + 2 * self->page + 10, 0, self->page - 10));
	close(d.fd);
}

/* Bytes that the file has lost are an error, never zeros. */
TEST_F(sized, file_cut_short_is_an_error_where_bytes_are_missing)
{
	int fd = durable_over(self->d.backing, 0, 0);
	unsigned char *p, *at, byte;

	ASSERT_GE(fd, 0);
	p = mmap(NULL, self->length, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ('g', p[6 * self->page]);	/* that one is in memory */
	ASSERT_EQ(0, ftruncate(self->d.backing, 4 * self->page + 1));
	for (int i = 0; i < DURABLE_PAGES; i++) {
		at = p + i * self->page;
		errno = 0;
		if (i < 4 || i == 6) {
			EXPECT_NO_TRAP(trap_load(at));
			EXPECT_EQ('a' + i, *at);
			continue;
		}
		EXPECT_TRAP(trap_load(at), SIGBUS, BUS_ADRERR, at);
		EXPECT_TRAP(trap_store(at, 'x'), SIGBUS, BUS_ADRERR, at);
		EXPECT_EQ(-1, pread(fd, &byte, 1, i * self->page));
		EXPECT_EQ(EIO, errno);
		EXPECT_EQ(-1, pwrite(fd, "x", 1, i * self->page));
	}
	/* What is there is still synced. */
	p[self->page] = 'x';
	EXPECT_EQ(0, msync(p, 2 * self->page, MS_SYNC));
	ASSERT_EQ(1, pread(self->d.backing, &byte, 1, self->page));
	EXPECT_EQ('x', byte);
	/* And no sync turns what is missing into zeros. */
	at = p + 5 * self->page;
	EXPECT_TRAP(trap_load(at), SIGBUS, BUS_ADRERR, at);
	close(fd);
}

/* Nothing is written past the end that it has, and its end stays there. */
TEST_F(sized, sync_past_the_end_of_a_file_cut_short_is_eio)
{
	/* All of it is in memory, and dirty. */
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, ftruncate(self->d.backing, 4 * self->page));
	errno = 0;
	EXPECT_EQ(-1, msync(self->p + 6 * self->page, self->page, MS_SYNC));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(4 * self->page, file_size(self->d.backing));
	/* But for the page that continues it. */
	EXPECT_EQ(0, msync(self->p + 4 * self->page, self->page, MS_SYNC));
	EXPECT_EQ(5 * self->page, file_size(self->d.backing));
	EXPECT_EQ(0, msync(self->p, 2 * self->page, MS_SYNC));
	EXPECT_STREQ("ABcdE", file_bytes(self->d.backing));
	/* The object cannot become larger. */
	ASSERT_EQ(0, ftruncate(self->d.fd, 9 * self->page));
	errno = 0;
	EXPECT_EQ(-1, fsync(self->d.fd));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(self->length, durable_info(&self->d).durable_size);
	EXPECT_GT(self->length, file_size(self->d.backing));
}

/* What is in its file past the end of an object is not the object's. */
TEST_F(sized, bytes_that_come_after_the_end_in_the_file_are_not_loaded)
{
	struct durable d = { .backing = -1 };
	off_t end = 2 * self->page + 10;
	unsigned char *p;

	ASSERT_EQ(0, ftruncate(self->d.backing, end));
	d.fd = durable_over(self->d.backing, 0, 0);
	ASSERT_GE(d.fd, 0);
	ASSERT_EQ(0, page_write(self->d.backing, 3, 'x'));
	ASSERT_EQ(20, pwrite(self->d.backing, "yyyyyyyyyyyyyyyyyyyy", 20, end));
	p = mmap(NULL, 4 * self->page, RW, MAP_SHARED, d.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(bytes_are(p + 2 * self->page, 'c', 10));
	EXPECT_TRUE(bytes_are(p + end, 0, self->page - 10));
	ASSERT_EQ(0, ftruncate(d.fd, 4 * self->page));
	EXPECT_TRUE(bytes_are(p + end, 0, self->page - 10));
	EXPECT_TRUE(page_is(p + 3 * self->page, 0));
	munmap(p, 4 * self->page);
	close(d.fd);
}

TEST_F(sized, pages_far_past_the_end_of_the_file_are_zeros)
{
	size_t far = 100000;
	unsigned char *p;

	ASSERT_EQ(0, ftruncate(self->d.fd, (far + 1) * self->page));
	p = mmap(NULL, self->page, RW, MAP_SHARED, self->d.fd,
		 far * self->page);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(page_is(p, 0));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.backing));
	munmap(p, self->page);
}

/* A file that refuses: the call tells its error, and the object what it lost. */
TEST(file_that_is_sealed_takes_nothing)
{
	size_t page = getpagesize();
	int file = memfd_create("store", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct durable d = { .backing = -1 };

	ASSERT_GE(file, 0);
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, page_write(file, i, 'a' + i));
	d.fd = durable_over(file, 0, 0);
	ASSERT_GE(d.fd, 0);

	ASSERT_EQ(0, fcntl(file, F_ADD_SEALS, F_SEAL_GROW));
	ASSERT_EQ(0, ftruncate(d.fd, 5 * page));
	errno = 0;
	EXPECT_EQ(-1, fsync(d.fd));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(4 * page, durable_info(&d).durable_size);
	ASSERT_LE(0, crash_call(d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("abcd", file_bytes(d.fd));

	ASSERT_EQ(0, fcntl(file, F_ADD_SEALS, F_SEAL_WRITE));
	ASSERT_EQ(0, fallocate(d.fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, page, page));
	errno = 0;
	EXPECT_EQ(-1, fsync(d.fd));
	EXPECT_EQ(EPERM, errno);
	EXPECT_STREQ("abcd", file_bytes(file));
	EXPECT_EQ(1, crash_call(d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("abcd", file_bytes(d.fd));
	ASSERT_EQ(0, page_write(d.fd, 2, 'x'));
	errno = 0;
	EXPECT_EQ(-1, fsync(d.fd));
	EXPECT_EQ(EPERM, errno);
	EXPECT_STREQ("p", durable_states(&d, 3) + 2);
	EXPECT_EQ(1, crash_call(d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("abcd", file_bytes(d.fd));
	close(d.fd);
	close(file);
}

/* ramfs cannot punch: zeros are written instead. */
TEST(holes_are_zeros_in_a_file_that_cannot_have_them)
{
	int root = mount_new("ramfs", "mode", "0700");
	size_t page = getpagesize();
	struct durable d = { .backing = file_new(root, "store", 6 * page) };

	ASSERT_GE(d.backing, 0);
	ASSERT_EQ(-1, fallocate(d.backing, FALLOC_FL_PUNCH_HOLE |
				FALLOC_FL_KEEP_SIZE, 0, page));
	ASSERT_EQ(EOPNOTSUPP, errno);
	d.fd = durable_over(d.backing, 0, 0);
	ASSERT_GE(d.fd, 0);
	ASSERT_EQ(0, durable_fill(&d, 6));
	ASSERT_EQ(0, fallocate(d.fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, page, 3 * page));
	ASSERT_EQ(0, page_write(d.fd, 4, 'x'));
	ASSERT_EQ(0, fsync(d.fd));
	EXPECT_STREQ("a000xf", file_bytes(d.backing));
	EXPECT_EQ(0, crash_call(d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("a000xf", file_bytes(d.fd));
	durable_close(&d);
	close(root);
}

/* ext4's files have 2^32 - 1 blocks at most. */
TEST(page_that_the_file_can_never_have_is_no_space)
{
	off_t last = ((1LL << 32) - 2) * 4096;
	struct durable d;

	if (!durable_possible(ON_EXT4))
		SKIP(return, "%s", durable_lacks(ON_EXT4));
	d = durable_new(ON_EXT4, getpagesize(), 0);
	ASSERT_GE(d.fd, 0);
	errno = 0;
	EXPECT_EQ(-1, pwrite(d.fd, "x", 1, last + 4096));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(1, pwrite(d.fd, "x", 1, last));
	EXPECT_EQ(1, crash_call(d.fd, MMAPDEV_CRASH_REVERT));
	durable_close(&d);
}

/* What it was given before it refused must not come back when it grows. */
TEST(size_that_the_file_refuses_leaves_nothing_behind)
{
	size_t page = getpagesize();
	struct durable d;

	if (!durable_possible(ON_EXT4))
		SKIP(return, "%s", durable_lacks(ON_EXT4));
	d = durable_new(ON_EXT4, 8 * page, 0);
	ASSERT_GE(d.fd, 0);
	ASSERT_EQ(0, durable_fill(&d, 8));
	errno = 0;
	EXPECT_EQ(-1, ftruncate(d.fd, 1LL << 44));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_EQ(8 * page, file_size(d.fd));
	ASSERT_EQ(0, fsync(d.fd));
	EXPECT_EQ(8 * page, durable_info(&d).durable_size);
	EXPECT_STREQ("abcdefgh", file_bytes(d.fd));
	EXPECT_STREQ("abcdefgh", file_bytes(d.backing));
	durable_close(&d);
}

/* The power goes for the file system below, too. */
TEST(file_has_what_was_synced_after_a_power_cut_of_its_own)
{
	size_t page = getpagesize();
	struct durable d, below = { .kind = EXT4, .fd = -1, .backing = -1 };

	if (!durable_possible(ON_EXT4))
		SKIP(return, "%s", durable_lacks(ON_EXT4));
	for (int way = 0; way < 3; way++) {
		int copy, root;

		d = durable_new(ON_EXT4, 8 * page, 0);
		ASSERT_GE(d.fd, 0);
		ASSERT_EQ(0, durable_fill(&d, 8));
		ASSERT_EQ(0, way == 0 ? ftruncate(d.fd, 12 * page) :
			     way == 1 ? ftruncate(d.fd, 3 * page + 5) :
			     page_write(d.fd, 1, 'x'));
		ASSERT_EQ(0, fsync(d.fd));
		copy = image_copy(ext4_image);
		ASSERT_GE(copy, 0);
		root = mount_image(copy, "ext4");
		ASSERT_GE(root, 0);
		below.fd = openat(root, "store", O_RDWR | O_CLOEXEC);
		ASSERT_GE(below.fd, 0);
		EXPECT_EQ(file_size(d.fd), file_size(below.fd));
		EXPECT_STREQ(way == 0 ? "abcdefgh0000" :
			     way == 1 ? "abcd" : "axcdefgh",
			     file_bytes(below.fd));
		close(below.fd);
		close(root);
		close(copy);
		durable_close(&d);
	}
}

/*
 * A file system that is full: the store's file has holes, and there is no page
 * for them. A fixture of its own, with a small tmpfs or ext4.
 */
FIXTURE(full) {
	struct durable d;
	int root;
	size_t page;
	size_t length;
	unsigned char *p;
};

FIXTURE_VARIANT(full) {
	bool ext4;
	int after_error;
};

DURABLE_VARIANT(full, mmapdev_on_tmpfs, .ext4 = false);
DURABLE_VARIANT(full, mmapdev_on_ext4, .ext4 = true);
DURABLE_VARIANT(full, mmapdev_on_tmpfs_tried_again,
		.after_error = MMAPDEV_AFTER_ERROR_DIRTY);
DURABLE_VARIANT(full, mmapdev_on_ext4_tried_again, .ext4 = true,
		.after_error = MMAPDEV_AFTER_ERROR_DIRTY);

static int small_file_system(bool ext4)
{
	int image;

	if (!ext4)
		return mount_new("tmpfs", "size", "256k");
	image = image_new(2 << 20);
	return image < 0 || ext4_make(image, false) ? -1 :
		mount_image(image, "ext4");
}

/* Take what there is. */
static int fill_up(int root)
{
	int fd = openat(root, "filler", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char bytes[4096] = { 'f' };

	while (write(fd, bytes, sizeof(bytes)) > 0 || errno == EINTR)
		;
	if (errno != ENOSPC || fsync(fd))
		return -1;
	return close(fd);
}

FIXTURE_SETUP(full)
{
	if (variant->ext4 && !durable_possible(EXT4))
		SKIP(return, "no ext4 on a loop device");
	self->page = getpagesize();
	self->length = DURABLE_PAGES * self->page;
	self->root = small_file_system(variant->ext4);
	ASSERT_GE(self->root, 0);
	self->d.backing = openat(self->root, "store",
				 O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_GE(self->d.backing, 0);
	ASSERT_EQ(0, page_write(self->d.backing, 0, 'a'));
	ASSERT_EQ(0, page_write(self->d.backing, 1, 'b'));
	ASSERT_EQ(0, ftruncate(self->d.backing, self->length));
	ASSERT_EQ(0, fsync(self->d.backing));
	ASSERT_EQ(0, fill_up(self->root));
	self->d.fd = durable_over(self->d.backing, 0, variant->after_error);
	ASSERT_GE(self->d.fd, 0);
	self->p = mmap(NULL, self->length, RW, MAP_SHARED, self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
}

FIXTURE_TEARDOWN(full)
{
	if (self->p)
		munmap(self->p, self->length);
	durable_close(&self->d);
	close(self->root);
}

TEST_F(full, sync_is_enospc_and_nothing_else_is_lost)
{
	memset(self->p, 'A', self->page);
	ASSERT_EQ(0, msync(self->p, self->page, MS_SYNC));
	memset(self->p + 4 * self->page, 'E', 2 * self->page);
	errno = 0;
	EXPECT_EQ(-1, msync(self->p + 4 * self->page, 2 * self->page, MS_SYNC));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_STREQ("Ab00EE00", file_bytes(self->d.fd));
	EXPECT_STREQ("Ab000000", file_bytes(self->d.backing));

	/* With pages that have their place it goes on. */
	fsync(self->d.fd);	/* whose error has been told or is again */
	memset(self->p + self->page, 'B', self->page);
	EXPECT_EQ(0, msync(self->p + self->page, self->page, MS_SYNC));
	EXPECT_STREQ("AB000000", file_bytes(self->d.backing));

	/* And with room again, so do the others. */
	ASSERT_EQ(0, unlinkat(self->root, "filler", 0));
	if (variant->after_error == MMAPDEV_AFTER_ERROR_CLEAN)
		memset(self->p + 4 * self->page, 'E', 2 * self->page);
	EXPECT_EQ(0, msync(self->p, self->length, MS_SYNC));
	EXPECT_STREQ("AB00EE00", file_bytes(self->d.backing));
	EXPECT_EQ(0, fsync(self->d.fd));
}

/* The first page of a sync has no room; what comes after it has. */
TEST_F(full, page_without_room_takes_no_other_with_it)
{
	ASSERT_EQ(0, fallocate(self->d.backing, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, 0, self->page));
	ASSERT_EQ(0, fsync(self->d.backing));
	ASSERT_EQ(0, fill_up(self->root));
	memset(self->p, 'A', self->page);
	memset(self->p + self->page, 'B', self->page);
	errno = 0;
	EXPECT_EQ(-1, msync(self->p, 2 * self->page, MS_SYNC));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_STREQ("0B000000", file_bytes(self->d.backing));
	EXPECT_STREQ("pc", durable_states(&self->d, 2));
	EXPECT_EQ(1, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("0B000000", file_bytes(self->d.fd));
}

/* The same of one call for both, which has taken the first. */
TEST_F(full, page_with_room_is_kept_when_the_next_has_none)
{
	unsigned long long flushed = durable_stats(&self->d).bytes_flushed;
	int other = durable_open(&self->d, O_RDWR);

	ASSERT_GE(other, 0);
	memset(self->p + self->page, 'B', 2 * self->page);
	errno = 0;
	EXPECT_EQ(-1, msync(self->p, 4 * self->page, MS_SYNC));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_STREQ("aB000000", file_bytes(self->d.backing));
	EXPECT_STREQ(".cp", durable_states(&self->d, 3));
	EXPECT_EQ(flushed + self->page, durable_stats(&self->d).bytes_flushed);
	/* Who else has it open hears of it, too. */
	errno = 0;
	EXPECT_EQ(-1, fsync(other));
	EXPECT_EQ(ENOSPC, errno);
	if (variant->after_error == MMAPDEV_AFTER_ERROR_CLEAN)
		EXPECT_EQ(0, fsync(other));
	close(other);
	EXPECT_EQ(1, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("aB000000", file_bytes(self->d.fd));
}

/* No space for one page, and another past the end of a file cut short. */
TEST_F(full, first_of_several_errors_is_told)
{
	memset(self->p + 2 * self->page, 'x', self->page);
	memset(self->p + 6 * self->page, 'y', self->page);
	ASSERT_EQ(0, ftruncate(self->d.backing, 4 * self->page));
	errno = 0;
	EXPECT_EQ(-1, msync(self->p, self->length, MS_SYNC));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_STREQ("ab00", file_bytes(self->d.backing));
}

/* A block device, with and without its cache, which then counts the writes. */
FIXTURE(device) {
	struct durable d;
	char path[32];
	size_t page;
	unsigned char *p;
};

FIXTURE_VARIANT(device) {
	int flags;
};

FIXTURE_VARIANT_ADD(device, mmapdev_cached) { .flags = O_RDWR };
FIXTURE_VARIANT_ADD(device, mmapdev_direct) { .flags = O_RDWR | O_DIRECT };

#define DEVICE_PAGES	256

FIXTURE_SETUP(device)
{
	int image = image_new(DEVICE_PAGES * getpagesize());
	int loop;

	if (!durable_possible(EXT4))
		SKIP(return, "no loop device");
	self->page = getpagesize();
	loop = loop_open(image, self->path, sizeof(self->path));
	ASSERT_GE(loop, 0);
	self->d.backing = open(self->path, variant->flags | O_CLOEXEC);
	ASSERT_GE(self->d.backing, 0);
	close(loop);
	self->d.fd = durable_over(self->d.backing, 0, 0);
	ASSERT_GE(self->d.fd, 0);
	self->p = mmap(NULL, DEVICE_PAGES * self->page, RW, MAP_SHARED,
		       self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
}

FIXTURE_TEARDOWN(device)
{
	if (self->p)
		munmap(self->p, DEVICE_PAGES * self->page);
	durable_close(&self->d);
}

TEST_F(device, has_the_bytes_after_the_sync)
{
	int fd = open(self->path, O_RDONLY | O_CLOEXEC);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(DEVICE_PAGES * self->page, file_size(self->d.fd));
	store_capitals(self->p, 8);
	ASSERT_EQ(0, msync(self->p, 3 * self->page, MS_SYNC));
	EXPECT_EQ(0, strncmp(file_bytes(fd), "ABC00000", 8));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_EQ(0, strncmp(file_bytes(self->d.fd), "ABC00000", 8));
	close(fd);
}

TEST_F(device, punched_pages_are_zeros_on_it)
{
	int fd = open(self->path, O_RDONLY | O_CLOEXEC);

	ASSERT_GE(fd, 0);
	store_capitals(self->p, 8);
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, madvise(self->p + self->page, 2 * self->page,
			     MADV_REMOVE));
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(0, strncmp(file_bytes(fd), "A00DEFGH", 8));
	close(fd);
}

/* It cannot grow: the page past its end is a full disk's. */
TEST_F(device, what_is_past_its_end_has_no_space)
{
	size_t end = DEVICE_PAGES * self->page;

	EXPECT_EQ(-1, pwrite(self->d.fd, "x", 1, end));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(-1, ftruncate(self->d.fd, end + 1));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_EQ(-1, fallocate(self->d.fd, 0, end, 1));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_EQ(end, file_size(self->d.fd));
	ASSERT_EQ(0, ftruncate(self->d.fd, end - self->page));
	EXPECT_EQ(0, ftruncate(self->d.fd, end));
}

/* A byte by read(2), or -1: an error. */
static int byte_at(int fd, off_t offset)
{
	unsigned char byte;

	return pread(fd, &byte, 1, offset) == 1 ? byte : -1;
}

/* Either it cannot be made longer, or what is past its end are zeros for good. */
TEST_F(device, object_longer_than_it_has_the_same_zeros_after_a_sync)
{
	size_t end = DEVICE_PAGES * self->page;
	int before, synced;

	if (ftruncate(self->d.fd, end + self->page)) {
		EXPECT_TRUE(errno == ENOSPC || errno == EFBIG);
		EXPECT_EQ(end, file_size(self->d.fd));
		return;
	}
	before = byte_at(self->d.fd, end + 5);
	synced = fsync(self->d.fd);
	EXPECT_EQ(before, byte_at(self->d.fd, end + 5));
	EXPECT_EQ(0, synced);
	posix_fadvise(self->d.fd, 0, 0, POSIX_FADV_DONTNEED);
	EXPECT_EQ(before, byte_at(self->d.fd, end + 5));
}

/* Devices are whole sectors, not whole pages. */
TEST(page_at_the_end_of_a_device_need_not_be_whole)
{
	size_t page = getpagesize();
	size_t length = 3 * page + 512;
	struct durable d = { .kind = ON_DEVICE };
	char path[32], byte = 0;
	unsigned char *p;
	int image, fd;

	if (!durable_possible(EXT4))
		SKIP(return, "no loop device");
	image = image_new(length);
	d.backing = loop_open(image, path, sizeof(path));
	ASSERT_GE(d.backing, 0);
	d.fd = durable_over(d.backing, 0, 0);
	ASSERT_GE(d.fd, 0);
	EXPECT_EQ(length, file_size(d.fd));
	p = mmap(NULL, 4 * page, RW, MAP_SHARED, d.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_NO_TRAP(trap_store(p + 3 * page + 511, 'x'));
	EXPECT_EQ(0, msync(p, 4 * page, MS_SYNC));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(1, pread(fd, &byte, 1, 3 * page + 511));
	EXPECT_EQ('x', byte);
	ASSERT_EQ(0, durable_cut(&d));
	EXPECT_EQ(1, pread(d.fd, &byte, 1, 3 * page + 511));
	EXPECT_EQ('x', byte);
	EXPECT_EQ(0, pread(d.fd, &byte, 1, length));
	close(fd);
	durable_close(&d);
	close(image);
}

/* Requests to write that the device has had, or -1. */
static long device_writes(const char *path)
{
	unsigned long v[5];
	char stat[64];
	FILE *file;
	int n;

	snprintf(stat, sizeof(stat), "/sys/block/%s/stat", path + 5);
	file = fopen(stat, "r");
	if (!file)
		return -1;
	n = fscanf(file, "%lu %lu %lu %lu %lu", &v[0], &v[1], &v[2], &v[3],
		   &v[4]);
	fclose(file);
	return n == 5 ? (long)v[4] : -1;
}

/* 256 pages that are adjacent take a few writes, not one each. */
TEST_F(device, adjacent_pages_are_written_together)
{
	long before;

	memset(self->p, 'x', DEVICE_PAGES * self->page);
	before = device_writes(self->path);
	ASSERT_LE(0, before);
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_LT(before, device_writes(self->path));
	EXPECT_GE(before + DEVICE_PAGES / 32, device_writes(self->path));
}

int main(int argc, char **argv)
{
	ext4_prepare();
	nfs_prepare();
	return test_harness_run(argc, argv);
}
