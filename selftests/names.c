// SPDX-License-Identifier: GPL-2.0
/*
 * Giving names to objects: which names there are, what appears in /dev, who may
 * do it. mmapdev only.
 */
#include "harness.h"

#include <dirent.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/sysmacros.h>

#include "bytes.h"
#include "child.h"
#include "name.h"
#include "user.h"

FIXTURE(names) {
	struct object o;
	size_t page;
};

FIXTURE_VARIANT(names) {
	enum backend_kind kind;
};

MMAPDEV_VARIANTS(names);

FIXTURE_SETUP(names)
{
	self->page = getpagesize();
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_FALSE(name_exists(NAME));
	ASSERT_FALSE(name_exists(NAME_2));
}

FIXTURE_TEARDOWN_PARENT(names)
{
	name_clean(NAME);
	name_clean(NAME_2);
}

/* How many names there are, or -1. */
static int count_names(void)
{
	DIR *dir = opendir(SYSFS);
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

TEST_F(names, node_has_the_mode_and_owner_asked_for)
{
	unsigned int modes[] = { 0600, 0001, 0640, 0777, 0444 };

	umask(077);	/* is about files that the process creates */
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct mmapdev_name name = name_plain(NAME);
		char dev[32], expected[32];
		struct stat st;

		name.mode = modes[i];
		name.uid = 12 + i;
		name.gid = 34 + i;
		ASSERT_EQ(0, name_set(self->o.fd, &name));
		ASSERT_EQ(0, stat(name_path(NAME), &st));
		EXPECT_EQ(S_IFCHR | modes[i], st.st_mode);
		EXPECT_EQ(12 + i, st.st_uid);
		EXPECT_EQ(34 + i, st.st_gid);
		snprintf(expected, sizeof(expected), "%u:%u",
			 major(st.st_rdev), minor(st.st_rdev));
		EXPECT_EQ(0, name_attribute(NAME, "dev", dev, sizeof(dev)));
		EXPECT_STREQ(expected, dev);
		ASSERT_EQ(0, name_remove(&self->o));
		EXPECT_FALSE(name_exists(NAME));
		EXPECT_EQ(-1, access(SYSFS NAME, F_OK));
		EXPECT_EQ(ENOENT, errno);
	}
}

TEST_F(names, node_is_the_callers_unless_told_otherwise)
{
	struct stat st;

	setfsgid(NOBODY);
	ASSERT_EQ(0, name_give(&self->o, NAME));
	setfsgid(0);
	ASSERT_EQ(0, stat(name_path(NAME), &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(NOBODY, st.st_gid);
	ASSERT_EQ(0, name_remove(&self->o));
}

TEST_F(names, file_has_the_mode_and_owner_of_the_name)
{
	struct mmapdev_name name = name_plain(NAME);
	int before = object_file(self->o.fd, O_RDWR);
	struct stat st;
	int after;

	ASSERT_GE(before, 0);
	name.mode = 0624;
	name.uid = 12;
	name.gid = 34;
	ASSERT_EQ(0, name_set(self->o.fd, &name));
	after = object_file(self->o.fd, O_RDWR);
	ASSERT_GE(after, 0);
	ASSERT_EQ(0, fstat(before, &st));
	EXPECT_EQ(S_IFREG | 0624, st.st_mode);
	EXPECT_EQ(12, st.st_uid);
	EXPECT_EQ(34, st.st_gid);
	ASSERT_EQ(0, fstat(after, &st));
	EXPECT_EQ(S_IFREG | 0624, st.st_mode);
	EXPECT_EQ(12, st.st_uid);
	EXPECT_EQ(34, st.st_gid);
	close(before);
	close(after);
	/* The object has it, too: a file that is made anew is the same. */
	after = object_file(self->o.fd, O_RDWR);
	ASSERT_GE(after, 0);
	ASSERT_EQ(0, fstat(after, &st));
	EXPECT_EQ(S_IFREG | 0624, st.st_mode);
	EXPECT_EQ(12, st.st_uid);
	EXPECT_EQ(34, st.st_gid);
	ASSERT_EQ(0, name_remove(&self->o));
}

TEST_F(names, name_is_told_to_every_descriptor)
{
	int file = object_file(self->o.fd, O_RDONLY);
	struct object other = { .kind = OBJFILE, .fd = file };
	struct object named;

	ASSERT_GE(file, 0);
	EXPECT_STREQ("", object_info(&self->o).name);
	ASSERT_EQ(0, name_give(&self->o, NAME));
	named = name_open(NAME, O_RDONLY);
	ASSERT_GE(named.fd, 0);
	EXPECT_STREQ(NAME, object_info(&self->o).name);
	EXPECT_STREQ(NAME, object_info(&other).name);
	EXPECT_STREQ(NAME, object_info(&named).name);
	EXPECT_TRUE(bytes_are(object_info(&named).name + strlen(NAME), 0,
			      MMAPDEV_NAME_SIZE - strlen(NAME)));
	EXPECT_EQ(object_info(&self->o).object, object_info(&named).object);
	ASSERT_EQ(0, name_remove(&named));	/* open for reading, but root */
	EXPECT_STREQ("", object_info(&self->o).name);
	EXPECT_STREQ("", object_info(&named).name);
	object_close(&other);
	object_close(&named);
}

TEST_F(names, every_name_that_is_allowed_is_given)
{
	static const char * const good[] = {
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345",	/* 32 characters */
		"abcdefghijklmnopqrstuvwxyz6789._",
		"-------------------------------_",
		"a", "0", "-", "_", "...", ".a", "a.", "-rf", "mmapdev",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct object named;

		ASSERT_EQ(0, name_give(&self->o, good[i]))
			TH_LOG("name '%s'", good[i]);
		EXPECT_STREQ(good[i], object_info(&self->o).name);
		named = name_open(good[i], O_RDWR);
		EXPECT_LE(0, named.fd);
		EXPECT_EQ(object_info(&self->o).object,
			  object_info(&named).object);
		object_close(&named);
		ASSERT_EQ(0, name_remove(&self->o));
		EXPECT_FALSE(name_exists(good[i]));
	}
}

/* Nothing appears by a call that fails. */
#define EXPECT_NO_NAME(expected, fd, asked) do {			\
	int names_ = count_names();					\
	errno = 0;							\
	EXPECT_EQ(-1, name_set(fd, asked));				\
	EXPECT_EQ(expected, errno)					\
		TH_LOG("name '%.40s'", (asked)->name);			\
	EXPECT_EQ(names_, count_names());				\
} while (0)

TEST_F(names, other_names_are_einval)
{
	static const char * const bad[] = {
		"", ".", "..", "a/b", "/", "../null", "a b", " ", "a\n", "\t",
		"a!", "a:b", "a,b", "a*", "a\\", "a\x7f", "\x01", "caf\xc3\xa9",
		"\xff", "a\x80", "a=b", "a@b", "a[b", "a`b", "a{b", "a+b",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456",	/* 33 characters */
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abc",	/* 39 */
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcd",	/* no NUL */
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct mmapdev_name name = name_plain(bad[i]);

		EXPECT_NO_NAME(EINVAL, self->o.fd, &name);
	}
	EXPECT_STREQ("", object_info(&self->o).name);
}

TEST_F(names, bytes_after_the_end_of_the_name_must_be_nul)
{
	for (size_t i = strlen(NAME) + 1; i < MMAPDEV_NAME_SIZE; i++) {
		struct mmapdev_name name = name_plain(NAME);

		name.name[i] = 'x';
		EXPECT_NO_NAME(EINVAL, self->o.fd, &name);
	}
}

TEST_F(names, other_modes_and_reserved_bits_are_einval)
{
	struct mmapdev_name name = name_plain(NAME);

	name.mode = 0;
	EXPECT_NO_NAME(EINVAL, self->o.fd, &name);
	for (int bit = 9; bit < 32; bit++) {
		name.mode = 0600 | 1U << bit;
		EXPECT_NO_NAME(EINVAL, self->o.fd, &name);
		name.mode = 1U << bit;
		EXPECT_NO_NAME(EINVAL, self->o.fd, &name);
	}
	name.mode = 0600;
	for (int bit = 0; bit < 32; bit++) {
		name.reserved = 1U << bit;
		EXPECT_NO_NAME(EINVAL, self->o.fd, &name);
	}
}

TEST_F(names, taken_name_is_eexist)
{
	struct object other = object_open(variant->kind);
	struct mmapdev_name name = name_plain(NAME);

	ASSERT_GE(other.fd, 0);
	ASSERT_EQ(0, name_give(&self->o, NAME));
	EXPECT_NO_NAME(EEXIST, other.fd, &name);
	EXPECT_STREQ("", object_info(&other).name);
	/* One name begins as the other does. */
	EXPECT_EQ(0, name_give(&other, NAME_2));
	ASSERT_EQ(0, name_remove(&self->o));
	EXPECT_STREQ(NAME_2, object_info(&other).name);
	EXPECT_EQ(0, name_give(&self->o, NAME));
	ASSERT_EQ(0, name_remove(&other));
	ASSERT_EQ(0, name_remove(&self->o));
	object_close(&other);
}

TEST_F(names, second_name_is_ebusy)
{
	struct mmapdev_name same = name_plain(NAME);
	struct mmapdev_name other = name_plain(NAME_2);

	ASSERT_EQ(0, name_give(&self->o, NAME));
	EXPECT_NO_NAME(EBUSY, self->o.fd, &same);
	EXPECT_NO_NAME(EBUSY, self->o.fd, &other);
	EXPECT_STREQ(NAME, object_info(&self->o).name);
	ASSERT_EQ(0, name_remove(&self->o));
	EXPECT_EQ(0, name_give(&self->o, NAME_2));
	EXPECT_STREQ(NAME_2, object_info(&self->o).name);
	ASSERT_EQ(0, name_remove(&self->o));
}

TEST_F(names, removal_of_no_name_is_enoent)
{
	EXPECT_EQ(-1, name_remove(&self->o));
	EXPECT_EQ(ENOENT, errno);
	ASSERT_EQ(0, name_give(&self->o, NAME));
	ASSERT_EQ(0, name_remove(&self->o));
	errno = 0;
	EXPECT_EQ(-1, name_remove(&self->o));
	EXPECT_EQ(ENOENT, errno);
}

/* Expects EPERM for both calls, the object of the second has a name. */
static int refused(const struct object *unnamed, const struct object *named)
{
	if (!name_give(unnamed, NAME_2) || errno != EPERM)
		return 11;
	errno = 0;
	if (!name_remove(named) || errno != EPERM)
		return 12;
	return 0;
}

static int without_mknod(void *arg, struct turn *t)
{
	struct object *o = arg;

	return drop_capability(CAP_MKNOD) ? 1 : refused(o, o + 1);
}

static int nobody(void *arg, struct turn *t)
{
	struct object *o = arg;

	return become_nobody() ? 1 : refused(o, o + 1);
}

/* Root of a user namespace has every capability there, and may make no node. */
static int root_of_a_user_namespace(void *arg, struct turn *t)
{
	struct object *o = arg;

	if (become_nobody())
		return 1;
	return unshare(CLONE_NEWUSER) ? 2 : refused(o, o + 1);
}

TEST_F(names, are_given_and_taken_by_who_may_make_nodes)
{
	struct object pair[2] = { self->o, object_open(variant->kind) };

	ASSERT_GE(pair[1].fd, 0);
	ASSERT_EQ(0, name_give(&pair[1], NAME));
	EXPECT_EQ(0, child_run(without_mknod, pair));
	EXPECT_EQ(0, child_run(nobody, pair));
	EXPECT_EQ(0, child_run(root_of_a_user_namespace, pair));
	EXPECT_FALSE(name_exists(NAME_2));
	EXPECT_TRUE(name_exists(NAME));
	ASSERT_EQ(0, name_remove(&pair[1]));
	object_close(&pair[1]);
}

static int without_chown(void *arg, struct turn *t)
{
	const struct object *o = arg;
	struct mmapdev_name name = name_plain(NAME);

	if (drop_capability(CAP_CHOWN))
		return 1;
	name.uid = NOBODY;
	if (!name_set(o->fd, &name) || errno != EPERM)
		return 2;
	name.uid = 0;
	name.gid = NOBODY;
	errno = 0;
	if (!name_set(o->fd, &name) || errno != EPERM)
		return 3;
	name.gid = 0;
	if (name_set(o->fd, &name) || name_remove(o))
		return 4;
	if (name_give(o, NAME) || name_remove(o))
		return 5;
	/* As for chown(2): any group that the process is in will do. */
	name.gid = NOBODY;
	if (setgroups(1, &name.gid))
		return 6;
	return name_set(o->fd, &name) || name_remove(o) ? 7 : 0;
}

TEST_F(names, are_given_to_others_by_who_may_change_owners)
{
	EXPECT_EQ(0, child_run(without_chown, &self->o));
	EXPECT_FALSE(name_exists(NAME));
}

/* As nobody: the node's permissions are all that counts. */
static int open_private_node(void *arg, struct turn *t)
{
	if (become_nobody())
		return 1;
	return name_open(NAME, O_RDONLY).fd < 0 && errno == EACCES ? 0 : 2;
}

static int open_readable_node(void *arg, struct turn *t)
{
	struct object o;

	if (become_nobody())
		return 1;
	if (name_open(NAME, O_RDWR).fd >= 0 || errno != EACCES)
		return 2;
	if (name_open(NAME, O_RDONLY | O_TRUNC).fd >= 0 || errno != EACCES)
		return 3;
	o = name_open(NAME, O_RDONLY);
	if (object_byte(&o, 0) != 'a')
		return 4;
	if (object_file(o.fd, O_RDWR) >= 0 || errno != EACCES)
		return 5;
	return object_file(o.fd, O_RDONLY) < 0 ? 6 : 0;
}

TEST_F(names, let_in_whom_the_mode_lets_in)
{
	struct mmapdev_name name = name_plain(NAME);

	ASSERT_EQ(0, object_fill(&self->o, 1, 'a'));
	ASSERT_EQ(0, name_give(&self->o, NAME));
	EXPECT_EQ(0, child_run(open_private_node, NULL));
	ASSERT_EQ(0, name_remove(&self->o));
	name.mode = 0644;
	ASSERT_EQ(0, name_set(self->o.fd, &name));
	EXPECT_EQ(0, child_run(open_readable_node, NULL));
	EXPECT_EQ(self->page, object_size(&self->o));
	ASSERT_EQ(0, name_remove(&self->o));
}

TEST_HARNESS_MAIN
