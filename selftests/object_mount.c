// SPDX-License-Identifier: GPL-2.0
/*
 * The file system "mmapdev": a directory that shows each named object as a
 * regular file, for programs that want a real path. mmapdev only.
 *
 * Each test is in a mount namespace of its own, which goes with it.
 */
#include "harness.h"

#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>

#include "bytes.h"
#include "child.h"
#include "name.h"
#include "user.h"

#define DIR_PATH	"/mnt"
#define FILE_PATH	DIR_PATH "/" NAME
#define SHM		"/dev/shm"
#define PAGES		4

static int mount_objects(const char *path, unsigned long flags)
{
	return mount("none", path, "mmapdev", flags, NULL);
}

/* Mounts of this process are seen by no other. */
static int unshare_mounts(void)
{
	return unshare(CLONE_NEWNS) ||
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ? -1 : 0;
}

/* An object of four pages of 'a' to 'd' named NAME, and a directory. */
FIXTURE(directory) {
	struct object o;
	size_t page;
	size_t length;
	long long objects;	/* before o */
};

FIXTURE_VARIANT(directory) {
	enum backend_kind kind;
};

MMAPDEV_VARIANTS(directory);

FIXTURE_SETUP(directory)
{
	self->page = getpagesize();
	self->length = PAGES * self->page;
	ASSERT_EQ(0, unshare_mounts());
	ASSERT_EQ(0, mount_objects(DIR_PATH, 0));
	self->objects = device_total("objects");
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
	ASSERT_EQ(0, name_give(&self->o, NAME));
}

FIXTURE_TEARDOWN_PARENT(directory)
{
	name_clean(NAME);
	name_clean(NAME_2);
}

/* How often the directory lists a name; any name if it is NULL. */
static int count_entries(const char *path, const char *name)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	int n = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		n += name ? !strcmp(entry->d_name, name) :
			    strcmp(entry->d_name, ".") &&
			    strcmp(entry->d_name, "..");
	closedir(dir);
	return n;
}

TEST_F(directory, lists_the_names_and_nothing_else)
{
	struct object other = object_open(variant->kind);
	struct object unnamed = object_open(OBJFILE);

	ASSERT_GE(other.fd, 0);
	ASSERT_GE(unnamed.fd, 0);
	EXPECT_EQ(1, count_entries(DIR_PATH, NULL));
	EXPECT_EQ(1, count_entries(DIR_PATH, NAME));
	EXPECT_EQ(1, count_entries(DIR_PATH, "."));
	EXPECT_EQ(1, count_entries(DIR_PATH, ".."));
	ASSERT_EQ(0, name_give(&other, NAME_2));
	EXPECT_EQ(2, count_entries(DIR_PATH, NULL));
	EXPECT_EQ(1, count_entries(DIR_PATH, NAME_2));
	ASSERT_EQ(0, name_remove(&self->o));
	EXPECT_EQ(1, count_entries(DIR_PATH, NULL));
	EXPECT_EQ(0, count_entries(DIR_PATH, NAME));
	ASSERT_EQ(0, name_remove(&other));
	EXPECT_EQ(0, count_entries(DIR_PATH, NULL));
}

/* It begins when it is mounted for the first time, which can be long ago. */
TEST_F(directory, tells_what_it_is)
{
	struct timespec now;
	struct statfs fs;
	struct stat st;

	clock_gettime(CLOCK_REALTIME, &now);
	ASSERT_EQ(0, stat(DIR_PATH, &st));
	EXPECT_EQ(S_IFDIR | 0755, st.st_mode);
	EXPECT_EQ(2, st.st_nlink);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, st.st_gid);
	EXPECT_EQ(1, st.st_ino);
	EXPECT_LT(0, st.st_mtim.tv_sec);
	EXPECT_EQ(st.st_mtim.tv_sec, st.st_ctim.tv_sec);
	EXPECT_EQ(st.st_mtim.tv_nsec, st.st_ctim.tv_nsec);
	EXPECT_LT(0, st.st_atim.tv_sec);
	EXPECT_GE(now.tv_sec, st.st_mtim.tv_sec);
	ASSERT_EQ(0, statfs(DIR_PATH, &fs));
	EXPECT_EQ(self->page, fs.f_bsize);
	EXPECT_EQ(MMAPDEV_NAME_MAX, fs.f_namelen);
}

TEST_F(directory, entries_tell_number_and_kind)
{
	DIR *dir = opendir(DIR_PATH);
	struct dirent *entry;
	int seen = 0;
	struct stat st;

	ASSERT_EQ(0, stat(DIR_PATH, &st));
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, NAME)) {
			EXPECT_EQ(object_info(&self->o).object, entry->d_ino);
			EXPECT_EQ(DT_REG, entry->d_type);
			seen++;
		} else if (!strcmp(entry->d_name, ".")) {
			EXPECT_EQ(st.st_ino, entry->d_ino);
			EXPECT_EQ(DT_DIR, entry->d_type);
			seen++;
		}
	}
	EXPECT_EQ(2, seen);
	closedir(dir);
}

/* More names than one call lists, some of which go while it is read. */
#define MANY	24
#define AT_ONCE	512	/* bytes, for some ten names */

struct entry {	/* as getdents64(2) has it */
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

/* Which of the many names are in what a call has listed? */
static void count_many(int *seen, const char *listed, long length)
{
	const struct entry *entry;

	for (long at = 0; at < length; at += entry->length) {
		int i;

		entry = (const void *)(listed + at);
		if (sscanf(entry->name, "selftest-many-%d", &i) == 1)
			seen[i]++;
	}
}

TEST_F(directory, is_read_while_it_changes)
{
	struct object many[MANY];
	int seen[MANY] = {};
	char text[MMAPDEV_NAME_SIZE];
	char listed[AT_ONCE] __attribute__((aligned(8)));
	int calls = 0;
	long n;
	int dir, i;

	for (i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "selftest-many-%d", i);
		many[i] = object_open(MMAPDEV);
		ASSERT_EQ(0, name_give(&many[i], text));
	}
	EXPECT_EQ(MANY + 1, count_entries(DIR_PATH, NULL));
	/* Every second name goes once the first were seen. */
	dir = open(DIR_PATH, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_GE(dir, 0);
	while ((n = syscall(SYS_getdents64, dir, listed, AT_ONCE)) > 0) {
		count_many(seen, listed, n);
		for (i = 0; i < MANY; i += 2)
			name_remove(&many[i]);
		calls++;
	}
	EXPECT_EQ(0, n);
	EXPECT_LT(1, calls);
	close(dir);
	for (i = 1; i < MANY; i += 2) {
		EXPECT_EQ(1, seen[i]) TH_LOG("name %d", i);
	}
	for (i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "selftest-many-%d", i);
		name_clean(text);
	}
	EXPECT_EQ(1, count_entries(DIR_PATH, NULL));
}

TEST_F(directory, path_is_the_objects_file)
{
	int fd = object_file(self->o.fd, O_RDWR);
	struct stat file, path;
	struct object o = { .kind = OBJFILE };
	unsigned char *p;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, fstat(fd, &file));
	ASSERT_EQ(0, stat(FILE_PATH, &path));
	EXPECT_EQ(file.st_dev, path.st_dev);
	EXPECT_EQ(file.st_ino, path.st_ino);
	EXPECT_EQ(S_IFREG | 0600, path.st_mode);
	EXPECT_EQ(1, path.st_nlink);
	EXPECT_EQ(self->length, path.st_size);
	EXPECT_EQ(PAGES * self->page / 512, path.st_blocks);

	o.fd = open(FILE_PATH, O_RDWR);
	ASSERT_GE(o.fd, 0);
	p = object_map(&o, self->length, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(pages_follow(p, PAGES));
	p[0] = 'x';
	EXPECT_EQ('x', object_byte(&self->o, 0));
	EXPECT_EQ(1, pwrite(self->o.fd, "y", 1, 1));
	EXPECT_EQ('y', p[1]);
	EXPECT_EQ(object_info(&self->o).object, object_info(&o).object);
	ASSERT_EQ(0, truncate(FILE_PATH, self->page));
	EXPECT_EQ(self->page, object_size(&self->o));
	EXPECT_EQ(self->page, lseek(o.fd, 0, SEEK_HOLE));
	close(open(FILE_PATH, O_WRONLY | O_CREAT | O_TRUNC, 0600));
	EXPECT_EQ(0, object_size(&self->o));
	object_close(&o);
}

/* The path that a program finds out by itself leads there again. */
TEST_F(directory, open_file_knows_its_path)
{
	char link[64], path[64] = "", real[PATH_MAX];
	int fd = open(FILE_PATH, O_RDWR);

	ASSERT_GE(fd, 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ASSERT_LT(0, readlink(link, path, sizeof(path) - 1));
	EXPECT_STREQ(FILE_PATH, path);
	ASSERT_NE(NULL, realpath(FILE_PATH, real));
	EXPECT_STREQ(FILE_PATH, real);
	close(fd);
}

#define EXPECT_NOT_FOUND(path) do {					\
	struct stat st_;						\
	errno = 0;							\
	EXPECT_EQ(-1, stat(path, &st_));				\
	EXPECT_EQ(ENOENT, errno);					\
	errno = 0;							\
	EXPECT_EQ(-1, open(path, O_RDONLY));				\
	EXPECT_EQ(ENOENT, errno);					\
} while (0)

TEST_F(directory, path_is_gone_with_the_name)
{
	struct object o = { .kind = OBJFILE };
	struct stat st;

	EXPECT_NOT_FOUND(DIR_PATH "/" NAME_2);
	ASSERT_EQ(0, stat(FILE_PATH, &st));
	o.fd = open(FILE_PATH, O_RDWR);
	ASSERT_GE(o.fd, 0);
	ASSERT_EQ(0, name_remove(&self->o));
	EXPECT_NOT_FOUND(FILE_PATH);
	/* Who has it open has it still. */
	EXPECT_EQ('a', object_byte(&o, 0));
	EXPECT_EQ(1, pwrite(o.fd, "x", 1, 0));
	EXPECT_EQ('x', object_byte(&self->o, 0));
	object_close(&o);
	EXPECT_NOT_FOUND(FILE_PATH);
}

/* How many mounts there are at a path. */
static int mounts_at(const char *path)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "r");
	char line[4096], at[4096];
	int n = 0;

	if (!mounts)
		return -1;
	while (fgets(line, sizeof(line), mounts))
		n += sscanf(line, "%*s %*s %*s %*s %4095s", at) == 1 &&
		     !strncmp(at, path, strlen(path));
	fclose(mounts);
	return n;
}

TEST_F(directory, what_is_mounted_on_a_path_goes_with_the_name)
{
	struct stat st;
	int fd;

	ASSERT_EQ(0, mount("/dev/null", FILE_PATH, NULL, MS_BIND, NULL));
	EXPECT_EQ(1, mounts_at(FILE_PATH));
	fd = open(FILE_PATH, O_RDWR);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, name_remove(&self->o));
	EXPECT_EQ(0, mounts_at(FILE_PATH));
	EXPECT_NOT_FOUND(FILE_PATH);
	EXPECT_EQ(1, write(fd, "", 1));
	close(fd);
	ASSERT_EQ(0, name_give(&self->o, NAME));
	ASSERT_EQ(0, stat(FILE_PATH, &st));
	EXPECT_EQ(object_info(&self->o).object, st.st_ino);
	EXPECT_EQ(0, umount(DIR_PATH));
}

TEST_F(directory, path_leads_to_the_object_that_has_the_name_now)
{
	struct object other = object_open(variant->kind);
	struct stat first, second;

	ASSERT_GE(other.fd, 0);
	EXPECT_NOT_FOUND(DIR_PATH "/" NAME_2);
	ASSERT_EQ(0, name_give(&other, NAME_2));
	ASSERT_EQ(0, stat(DIR_PATH "/" NAME_2, &second));
	EXPECT_EQ(object_info(&other).object, second.st_ino);
	ASSERT_EQ(0, name_remove(&other));
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(0, stat(FILE_PATH, &first));
		EXPECT_EQ(object_info(&self->o).object, first.st_ino);
		ASSERT_EQ(0, name_remove(&self->o));
		ASSERT_EQ(0, name_give(&other, NAME));
		ASSERT_EQ(0, stat(FILE_PATH, &second));
		EXPECT_EQ(object_info(&other).object, second.st_ino);
		ASSERT_EQ(0, name_remove(&other));
		EXPECT_NOT_FOUND(FILE_PATH);
		ASSERT_EQ(0, name_give(&self->o, NAME));
	}
	ASSERT_EQ(0, name_remove(&self->o));
	object_close(&other);
}

TEST_F(directory, path_that_was_looked_up_keeps_no_object)
{
	struct stat st;

	ASSERT_EQ(0, stat(FILE_PATH, &st));
	close(open(FILE_PATH, O_RDONLY));
	object_close(&self->o);
	EXPECT_EQ(self->objects + 1, device_total("objects"));
	self->o = name_open(NAME, O_RDWR);
	ASSERT_EQ(0, name_remove(&self->o));
	object_close(&self->o);
	EXPECT_EQ(self->objects, device_total("objects"));
}

TEST_F(directory, file_opened_by_its_path_keeps_the_object)
{
	struct object o = { .kind = OBJFILE, .fd = open(FILE_PATH, O_RDWR) };

	ASSERT_GE(o.fd, 0);
	ASSERT_EQ(0, name_remove(&self->o));
	object_close(&self->o);
	EXPECT_EQ(self->objects + 1, device_total("objects"));
	EXPECT_EQ('b', object_byte(&o, self->page));
	object_close(&o);
	EXPECT_EQ(self->objects, device_total("objects"));
}

#define EXPECT_REFUSED(expected, call) do {				\
	errno = 0;							\
	EXPECT_EQ(-1, call);						\
	EXPECT_EQ(expected, errno);					\
} while (0)

/* Names come and go by the ioctls alone; ENOENT is what /proc says, too. */
TEST_F(directory, takes_no_change_from_outside)
{
	const char *none = DIR_PATH "/none";

	EXPECT_REFUSED(ENOENT, open(none, O_RDWR | O_CREAT, 0600));
	EXPECT_REFUSED(EEXIST, open(FILE_PATH, O_RDWR | O_CREAT | O_EXCL,
				    0600));
	EXPECT_REFUSED(EOPNOTSUPP, open(DIR_PATH, O_RDWR | O_TMPFILE, 0600));
	EXPECT_REFUSED(ENOENT, mkdir(none, 0700));
	EXPECT_REFUSED(ENOENT, mknod(none, S_IFIFO | 0600, 0));
	EXPECT_REFUSED(ENOENT, symlink("target", none));
	EXPECT_REFUSED(ENOENT, link(FILE_PATH, none));
	EXPECT_REFUSED(ENOENT, rename(FILE_PATH, none));
	EXPECT_REFUSED(EPERM, unlink(FILE_PATH));
	EXPECT_REFUSED(ENOTDIR, rmdir(FILE_PATH));
	EXPECT_EQ(1, count_entries(DIR_PATH, NULL));
	EXPECT_EQ(1, count_entries(DIR_PATH, NAME));
	EXPECT_TRUE(name_exists(NAME));
}

static int open_as_nobody(void *arg, struct turn *t)
{
	const bool *readable = arg;
	struct stat st;
	int fd;

	if (become_nobody())
		return 1;
	if (stat(FILE_PATH, &st))
		return 2;
	fd = open(FILE_PATH, O_RDONLY);
	if (*readable ? fd < 0 : fd >= 0 || errno != EACCES)
		return 3;
	errno = 0;
	if (open(FILE_PATH, O_RDWR) >= 0 || errno != EACCES)
		return 4;
	errno = 0;
	if (!truncate(FILE_PATH, 0) || errno != EACCES)
		return 5;
	return 0;
}

TEST_F(directory, files_let_in_whom_the_name_lets_in)
{
	struct mmapdev_name name = name_plain(NAME);
	bool readable = false;

	EXPECT_EQ(0, child_run(open_as_nobody, &readable));
	ASSERT_EQ(0, name_remove(&self->o));
	name.mode = 0644;
	ASSERT_EQ(0, name_set(self->o.fd, &name));
	readable = true;
	EXPECT_EQ(0, child_run(open_as_nobody, &readable));
	EXPECT_EQ(self->length, object_size(&self->o));
}

/* A path of one's choice: what programs are given that resolve links. */
TEST_F(directory, file_can_be_bound_to_a_path)
{
	const char *bound = SHM "/bound";
	char link[64], real[PATH_MAX], path[64] = "";
	struct object o = { .kind = OBJFILE };
	struct stat st;

	ASSERT_EQ(0, mount("none", SHM, "tmpfs", 0, NULL));
	close(open(bound, O_RDWR | O_CREAT, 0600));
	ASSERT_EQ(0, mount(FILE_PATH, bound, NULL, MS_BIND, NULL));
	ASSERT_NE(NULL, realpath(bound, real));
	EXPECT_STREQ(bound, real);
	o.fd = open(bound, O_RDWR);
	ASSERT_GE(o.fd, 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", o.fd);
	ASSERT_LT(0, readlink(link, path, sizeof(path) - 1));
	EXPECT_STREQ(bound, path);
	ASSERT_EQ(0, fstat(o.fd, &st));
	EXPECT_EQ(object_info(&self->o).object, st.st_ino);
	EXPECT_EQ('a', object_byte(&o, 0));

	/* Once bound, it needs neither the directory nor the name. */
	ASSERT_EQ(0, umount(DIR_PATH));
	ASSERT_EQ(0, name_remove(&self->o));
	object_close(&self->o);
	EXPECT_EQ(1, pwrite(o.fd, "x", 1, 0));
	object_close(&o);
	o.fd = open(bound, O_RDWR);
	ASSERT_GE(o.fd, 0);
	EXPECT_EQ('x', object_byte(&o, 0));
	object_close(&o);
	EXPECT_EQ(self->objects + 1, device_total("objects"));
	ASSERT_EQ(0, umount(bound));
	EXPECT_EQ(self->objects, device_total("objects"));
}

TEST_F(directory, can_be_mounted_more_than_once)
{
	struct stat first, second;

	ASSERT_EQ(0, mount("none", SHM, "mmapdev", 0, NULL));
	ASSERT_EQ(0, stat(FILE_PATH, &first));
	ASSERT_EQ(0, stat(SHM "/" NAME, &second));
	EXPECT_EQ(first.st_dev, second.st_dev);
	EXPECT_EQ(first.st_ino, second.st_ino);
	ASSERT_EQ(0, umount(DIR_PATH));
	EXPECT_EQ(1, count_entries(SHM, NAME));
	ASSERT_EQ(0, name_remove(&self->o));
	EXPECT_NOT_FOUND(SHM "/" NAME);
}

TEST_F(directory, is_busy_while_a_file_is_open)
{
	int fd = open(FILE_PATH, O_RDONLY);

	ASSERT_GE(fd, 0);
	EXPECT_REFUSED(EBUSY, umount(DIR_PATH));
	close(fd);
	EXPECT_EQ(0, umount(DIR_PATH));
	EXPECT_TRUE(name_exists(NAME));
}

TEST_F(directory, has_no_options)
{
	EXPECT_REFUSED(EINVAL, mount("none", SHM, "mmapdev", 0, "size=1M"));
}

/* Those who have the object otherwise are not made read-only with it. */
TEST_F(directory, mounted_read_only_concerns_only_its_paths)
{
	int fd;

	if (variant->kind == OBJFILE)	/* it has the file system mounted */
		return;
	ASSERT_EQ(0, umount(DIR_PATH));
	ASSERT_EQ(0, mount_objects(DIR_PATH, MS_RDONLY));
	EXPECT_REFUSED(EROFS, open(FILE_PATH, O_RDWR));
	EXPECT_REFUSED(EROFS, truncate(FILE_PATH, 0));
	fd = object_file(self->o.fd, O_RDWR);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, fchmod(fd, 0640));
	EXPECT_EQ(0, ftruncate(fd, 10));
	EXPECT_EQ(1, pwrite(fd, "x", 1, 0));
	EXPECT_LE(0, fd_reopen(fd, O_RDWR));
	ASSERT_EQ(0, mount("none", SHM, "mmapdev", 0, NULL));
	EXPECT_LE(0, open(SHM "/" NAME, O_RDWR));
}

TEST_F(directory, remounted_read_only_concerns_only_its_paths)
{
	int fd = object_file(self->o.fd, O_RDWR);
	int again;

	ASSERT_GE(fd, 0);
	if (mount("none", DIR_PATH, NULL, MS_REMOUNT | MS_RDONLY, NULL)) {
		EXPECT_EQ(EINVAL, errno);	/* refused is as good */
	} else {
		EXPECT_REFUSED(EROFS, open(FILE_PATH, O_RDWR));
	}
	EXPECT_EQ(0, fchmod(fd, 0640));
	again = fd_reopen(fd, O_RDWR);
	EXPECT_LE(0, again);
}

/* The new way to mount: 0, or an error number. */
static int create_mount(const char *type)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC);
	int err = 0;

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		err = errno;
	close(fs);
	return err;
}

/* As root of a user namespace of one's own, which anybody can become. */
static int mount_in_user_namespace(void *arg, struct turn *t)
{
	const bool *is_nobody = arg;

	if (*is_nobody && become_nobody())
		return 1;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return 2;
	/* What may be mounted there can be: it is not for want of rights. */
	if (mount("none", SHM, "tmpfs", 0, NULL))
		return 3;
	if (create_mount("tmpfs"))
		return 4;
	errno = 0;
	if (!mount_objects(SHM, 0) || errno != EPERM)
		return 5;
	if (create_mount("mmapdev") != EPERM)
		return 6;
	/* Nor is it reached from there: what is mounted stays as it is. */
	errno = 0;
	if (!mount("none", DIR_PATH, NULL, MS_REMOUNT | MS_RDONLY, NULL) ||
	    errno != EPERM)
		return 7;
	errno = 0;
	if (!umount(DIR_PATH) || errno != EINVAL)
		return 8;
	return 0;
}

TEST_F(directory, is_not_mounted_in_a_user_namespace)
{
	bool is_nobody = false;

	EXPECT_EQ(0, child_run(mount_in_user_namespace, &is_nobody));
	is_nobody = true;
	EXPECT_EQ(0, child_run(mount_in_user_namespace, &is_nobody));
	EXPECT_EQ(1, count_entries(DIR_PATH, NAME));
}

TEST_HARNESS_MAIN
