// SPDX-License-Identifier: GPL-2.0
/*
 * Running out of memory: names, object files, paths to them, fallocate.
 */
#include "harness.h"

#include <sched.h>
#include <sys/mount.h>

#include "bytes.h"
#include "fail_each.h"
#include "let_go.h"
#include "name.h"

#define DIR_PATH	"/mnt"
#define REFCNT		"/sys/module/mmapdev/refcnt"

/* What holds the module, the object's own descriptors included. */
static long long holders(void)
{
	return file_number(REFCNT);
}

static int run_give(FIXTURE_DATA(fail_nth) *self)
{
	return name_give(&self->o, NAME) ? errno : 0;
}

static void undo_give(FIXTURE_DATA(fail_nth) *self)
{
	name_remove(&self->o);
}

TEST_F(fail_nth, giving_a_name_succeeds_or_is_enomem)
{
	struct outcome seen;
	long long before = holders();

	name_clean(NAME);
	seen = fail_each(_metadata, self,
			 (struct operation){ run_give, undo_give });
	EXPECT_LT(0, seen.enomem);
	EXPECT_FALSE(name_exists(NAME));
	EXPECT_EQ(before, holders());
	/* What failed has left nothing in the name's way. */
	EXPECT_EQ(0, name_give(&self->o, NAME));
	EXPECT_EQ(0, name_remove(&self->o));
}

static void undo_remove(FIXTURE_DATA(fail_nth) *self)
{
	name_give(&self->o, NAME);
}

static int run_remove(FIXTURE_DATA(fail_nth) *self)
{
	int err = name_remove(&self->o) ? errno : 0;

	return name_exists(NAME) == !!err ? err : EPROTO;
}

TEST_F(fail_nth, name_is_taken_away_with_its_node_or_stays)
{
	struct outcome seen;
	long long before = holders();

	ASSERT_EQ(0, name_give(&self->o, NAME));
	seen = fail_each(_metadata, self,
			 (struct operation){ run_remove, undo_remove });
	EXPECT_LT(0, seen.enomem);
	EXPECT_EQ(0, name_remove(&self->o));
	EXPECT_EQ(before, holders());
}

static int run_file(FIXTURE_DATA(fail_nth) *self)
{
	self->file = object_file(self->o.fd, O_RDWR | O_CLOEXEC);
	return self->file < 0 ? errno : 0;
}

static void undo_file(FIXTURE_DATA(fail_nth) *self)
{
	close(self->file);
}

TEST_F(fail_nth, getting_a_file_succeeds_or_is_enomem)
{
	struct outcome seen;
	long long before = holders();

	seen = fail_each(_metadata, self,
			 (struct operation){ run_file, undo_file });
	EXPECT_LT(0, seen.enomem);
	EXPECT_EQ(before, holders());
}

/* An object with a store in a file, which is at index. */
static int run_create(FIXTURE_DATA(fail_nth) *self)
{
	struct mmapdev_create want = {
		.store = MMAPDEV_STORE_FILE,
		.flags = O_RDWR | O_CLOEXEC,
		.fd = self->index,
	};

	self->file = ioctl(self->o.fd, MMAPDEV_IOC_CREATE, &want);
	return self->file < 0 ? errno : 0;
}

TEST_F(fail_nth, creating_lets_the_stores_file_go_where_it_is_enomem)
{
	int file = memfd_create("store", MFD_CLOEXEC);
	long long before = holders();
	struct outcome seen;

	ASSERT_LE(0, file);
	self->index = file;
	seen = fail_each(_metadata, self,
			 (struct operation){ run_create, undo_file });
	EXPECT_LT(1, seen.enomem);
	EXPECT_EQ(before, holders());
	EXPECT_TRUE(is_let_go(file));
}

static int run_path(FIXTURE_DATA(fail_nth) *self)
{
	self->file = open(DIR_PATH "/" NAME, O_RDWR | O_CLOEXEC);
	return self->file < 0 ? errno : 0;
}

TEST_F(fail_nth, opening_a_path_succeeds_or_is_enomem)
{
	struct outcome seen;
	long long before = holders();

	ASSERT_EQ(0, name_give(&self->o, NAME));
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_EQ(0, mount("none", DIR_PATH, "mmapdev", 0, NULL));
	seen = fail_each(_metadata, self,
			 (struct operation){ run_path, undo_file });
	EXPECT_LT(0, seen.enomem);
	EXPECT_EQ(0, umount(DIR_PATH));
	EXPECT_EQ(0, name_remove(&self->o));
	EXPECT_EQ(before, holders());
}

/* Eight pages, in tree nodes of their own. */
static int run_fallocate(FIXTURE_DATA(fail_nth) *self)
{
	off_t at = self->index * self->page;

	return fallocate(self->file, 0, at, 8 * self->page) ? errno : 0;
}

static void next_range(FIXTURE_DATA(fail_nth) *self)
{
	self->index += 513;
}

TEST_F(fail_nth, fallocate_gives_all_pages_or_none)
{
	struct outcome seen;

	self->file = object_file(self->o.fd, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->file);
	seen = fail_each(_metadata, self,
			 (struct operation){ run_fallocate, next_range });
	EXPECT_LT(0, seen.enomem);
	EXPECT_EQ(8 * (1 + seen.injected - seen.enomem),
		  object_resident(&self->o));
	close(self->file);
}

TEST_HARNESS_MAIN
