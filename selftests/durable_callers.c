// SPDX-License-Identifier: GPL-2.0
/*
 * The task that runs a sync decides nothing but how long it waits: its death, its
 * limits and its credentials take no byte from anybody. The store's file is
 * written with the rights of the task that made the object.
 */
#include "harness.h"

#include <sys/time.h>
#include <time.h>

#include "child.h"
#include "durable.h"
#include "file_limit.h"
#include "slow.h"
#include "user.h"

#define PAGES	72	/* more than a flush moves at a time */
/* Of two tasks, each in the other's way. */
#define ROUNDS	(slow_kernel() ? 40 : 100)

/* PAGES pages of zeros, durable, and a shared mapping of them. */
#define CALLERS_FIXTURE(name)						\
	FIXTURE(name) {							\
		struct durable d;					\
		size_t page;						\
		size_t length;						\
		unsigned char *p;					\
	};								\
	FIXTURE_VARIANT(name) {						\
		enum durable_kind kind;					\
	};								\
	FIXTURE_SETUP(name) {						\
		self->page = getpagesize();				\
		self->length = PAGES * self->page;			\
		if (!durable_possible(variant->kind)) {			\
			SKIP(, "no ext4 on a loop device");		\
		} else {						\
			self->d = durable_new(variant->kind,		\
					      self->length, 0);		\
			ASSERT_GE(self->d.fd, 0);			\
			self->p = mmap(NULL, self->length, RW,		\
				       MAP_SHARED, self->d.fd, 0);	\
			ASSERT_NE(MAP_FAILED, self->p);			\
		}							\
	}								\
	FIXTURE_TEARDOWN(name) {					\
		durable_close(&self->d);				\
	}

CALLERS_FIXTURE(callers);
ALL_KINDS(callers);

/* A number at both ends of each page. */
static void stamp_all(unsigned char *p, uint64_t number)
{
	size_t words = getpagesize() / sizeof(number);

	for (size_t i = 0; i < PAGES; i++) {
		uint64_t *at = (uint64_t *)p + i * words;

		at[0] = number;
		at[words - 1] = number;
	}
}

/* How many pages of a file have it. */
static int stamped(int fd, uint64_t number)
{
	size_t words = getpagesize() / sizeof(number);
	uint64_t bytes[words];
	int n = 0;

	for (size_t i = 0; i < PAGES; i++)
		n += pread(fd, bytes, sizeof(bytes), i * sizeof(bytes)) ==
			(ssize_t)sizeof(bytes) &&
		     bytes[0] == number && bytes[words - 1] == number;
	return n;
}

/* Cut the power; mappings of an object live on. 0, or -1. */
static int cut(struct durable *d)
{
	if (d->kind == EXT4)
		return durable_cut(d);
	return crash_call(d->fd, MMAPDEV_CRASH_REVERT) < 0 ? -1 : 0;
}

struct sync_task {
	struct durable *d;
	unsigned char *p;
	size_t length;
	long us;		/* of life, or 0 */
	int how;
};

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

/* Die after a while; SIGALRM kills a process that does not expect it. */
static int msync_and_die(void *arg, struct turn *t)
{
	struct sync_task *s = arg;
	struct itimerval when = {
		.it_value = { s->us / 1000000, s->us % 1000000 },
	};

	signal(SIGALRM, SIG_DFL);
	setitimer(ITIMER_REAL, &when, NULL);
	return msync(s->p, s->length, MS_SYNC) ? 1 : 0;
}

/* How long an msync of all pages takes, or -1. */
static long msync_us(unsigned char *p, size_t length)
{
	long start;

	stamp_all(p, 0);
	start = now_us();
	return msync(p, length, MS_SYNC) ? -1 : now_us() - start;
}

/*
 * From before the msync to after it. What it has written or not, the next fsync
 * that returns 0 has made everything durable.
 */
TEST_F(callers, msync_killed_at_any_moment_loses_nothing)
{
	struct sync_task s = { .p = self->p, .length = self->length };
	long most = msync_us(self->p, self->length);
	int moments = slow_kernel() ? 25 : variant->kind == EXT4 ? 40 : 200;
	int killed = 0;

	ASSERT_LE(0, most);
	for (int i = 0; i < moments; i++) {
		int status;

		s.us = 1 + most * i * 3 / 2 / moments;
		stamp_all(self->p, i + 1);
		status = child_run(msync_and_die, &s);
		ASSERT_TRUE(status == 0 || status == 128 + SIGALRM);
		killed += status != 0;
		ASSERT_EQ(0, fsync(self->d.fd));
		if (variant->kind == EXT4 && i < moments - 1)
			continue;	/* a cut costs a mount */
		ASSERT_EQ(0, cut(&self->d));
		ASSERT_EQ(PAGES, stamped(self->d.fd, i + 1));
	}
	EXPECT_LT(0, killed);
}

/* Add a rule that delays the next flush: its id, or 0. */
static uint64_t delay_flush(const struct durable *d, unsigned int us)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_FLUSH,
		.action = MMAPDEV_ACTION_DELAY,
		.delay_us = us,
		.count = 1,
	};

	return ioctl(d->fd, MMAPDEV_IOC_ADD_RULE, &rule) ? 0 : rule.id;
}

/* Wait until it has acted: 0, or -1 if it does not. */
static int rule_met(const struct durable *d, uint64_t id)
{
	struct mmapdev_rule rule = { .id = id };

	for (int ms = 0; ms < CHILD_DEADLINE_MS; ms++) {
		if (ioctl(d->fd, MMAPDEV_IOC_GET_RULE, &rule))
			return -1;
		if (rule.hits)
			return 0;
		usleep(1000);
	}
	return -1;
}

static int msync_all(void *arg, struct turn *t)
{
	struct sync_task *s = arg;

	return msync(s->p, s->length, MS_SYNC) ? 1 : 0;
}

CALLERS_FIXTURE(killed);
OBJECT_KINDS(killed);

/* The same moment every time: the flush is about to begin. */
TEST_F(killed, caller_before_its_flush_loses_nothing)
{
	struct sync_task s = { .p = self->p, .length = self->length };
	uint64_t id = delay_flush(&self->d, 500000);
	struct child c;

	ASSERT_NE(0, id);
	stamp_all(self->p, 1);
	c = child_start(msync_all, &s);
	ASSERT_EQ(0, rule_met(&self->d, id));
	ASSERT_EQ(0, kill(c.pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_end(&c));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, cut(&self->d));
	EXPECT_EQ(PAGES, stamped(self->d.fd, 1));
}

/* The ways to sync. */
enum { BY_SYNC, BY_SYNCFS, BY_FSYNC, BY_MSYNC, BY_WAYS };

static int sync_by(struct sync_task *s)
{
	switch (s->how) {
	case BY_SYNC:
		sync();
		return 0;
	case BY_SYNCFS:
		return syncfs(s->d->fd);
	case BY_FSYNC:
		return fsync(s->d->fd);
	default:
		return msync(s->p, s->length, MS_SYNC);
	}
}

/* Statuses: 1 no such process, 2 the sync failed, 3 it was sent SIGXFSZ. */
static int sync_limited(void *arg, struct turn *t)
{
	if (limit_file_size(0) || become_nobody())
		return 1;
	if (sync_by(arg))
		return 2;
	return sigxfsz_sent() ? 3 : 0;
}

/* RLIMIT_FSIZE is about the files that a process writes: it writes none. */
TEST_F(callers, sync_of_a_process_that_may_write_no_file_loses_nothing)
{
	struct sync_task s = {
		.d = &self->d, .p = self->p, .length = self->length,
	};

	for (s.how = 0; s.how < BY_WAYS; s.how++) {
		stamp_all(self->p, s.how + 1);
		EXPECT_EQ(0, child_run(sync_limited, &s));
		if (variant->kind == EXT4 && s.how < BY_WAYS - 1)
			continue;
		ASSERT_EQ(0, cut(&self->d));
		EXPECT_EQ(PAGES, stamped(self->d.fd, s.how + 1));
	}
}

/* The store in a file, of which the opener is root. */
CALLERS_FIXTURE(file);
DURABLE_VARIANT(file, mmapdev_on_tmpfs, .kind = ON_TMPFS);
DURABLE_VARIANT(file, mmapdev_on_ext4, .kind = ON_EXT4);

static int last_close_limited(void *arg, struct turn *t)
{
	struct sync_task *s = arg;

	if (limit_file_size(0) || become_nobody() || turn_wait(t))
		return 1;
	close(s->d->fd);
	munmap(s->p, s->length);
	if (turn_done(t))
		return 2;
	return sigxfsz_sent() ? 3 : 0;
}

TEST_F(file, last_close_in_a_process_that_may_write_no_file_loses_nothing)
{
	struct sync_task s = {
		.d = &self->d, .p = self->p, .length = self->length,
	};
	struct child c = child_start(last_close_limited, &s);

	stamp_all(self->p, 1);
	ASSERT_EQ(0, munmap(self->p, self->length));
	ASSERT_EQ(0, close(self->d.fd));
	self->d.fd = -1;
	EXPECT_EQ(0, stamped(self->d.backing, 1));
	EXPECT_EQ(0, child_turn(&c));
	EXPECT_EQ(0, child_end(&c));
	EXPECT_EQ(PAGES, stamped(self->d.backing, 1));
}

static int sync_as_nobody(void *arg, struct turn *t)
{
	if (become_nobody())
		return 1;
	return sync_by(arg) ? 2 : 0;
}

/* A write by a user without rights would take the bits away. */
TEST_F(file, sync_of_another_user_leaves_the_files_mode)
{
	struct sync_task s = {
		.d = &self->d, .p = self->p, .length = self->length,
	};
	struct stat st;

	ASSERT_EQ(0, fchmod(self->d.backing, 06755));
	for (s.how = 0; s.how < BY_WAYS; s.how++) {
		stamp_all(self->p, s.how + 1);
		EXPECT_EQ(0, child_run(sync_as_nobody, &s));
		ASSERT_EQ(0, fstat(self->d.backing, &st));
		EXPECT_EQ(06755, st.st_mode & 07777);
		EXPECT_EQ(PAGES, stamped(self->d.backing, s.how + 1));
	}
}

/* Write the first half of the object, by its mapping, to the file's other half. */
static int write_to_the_file(void *arg, struct turn *t)
{
	struct sync_task *s = arg;
	size_t half = s->length / 2;

	if (turn_wait(t))
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		/* So that the write, which holds the file's lock, faults. */
		if (madvise(s->p, half, MADV_DONTNEED) ||
		    pwrite(s->d->backing, s->p, half, half) != (ssize_t)half)
			return 2;
	}
	return turn_done(t);
}

static int store_and_msync(void *arg, struct turn *t)
{
	struct sync_task *s = arg;
	size_t page = getpagesize();

	if (turn_wait(t))
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		for (size_t at = 0; at < s->length / 2; at += page)
			memset(s->p + at, 'a' + i % 26, page);
		if (msync(s->p, s->length / 2, MS_SYNC))
			return 2;
	}
	return turn_done(t);
}

/*
 * One has the file's lock and waits for a page of the object; the other must not
 * have the page and wait for the file's lock. If it does both are unkillable.
 */
TEST_F(file, write_from_the_mapping_to_the_store_goes_on_beside_msync)
{
	struct sync_task s = {
		.d = &self->d, .p = self->p, .length = self->length,
	};
	struct child writer = child_start(write_to_the_file, &s);
	struct child syncer = child_start(store_and_msync, &s);
	char last[PAGES / 2];

	ASSERT_EQ(0, child_go(&writer));
	ASSERT_EQ(0, child_go(&syncer));
	ASSERT_EQ(0, child_done(&syncer));
	ASSERT_EQ(0, child_done(&writer));
	EXPECT_EQ(0, child_end(&syncer));
	EXPECT_EQ(0, child_end(&writer));
	ASSERT_EQ(0, cut(&self->d));
	memset(last, 'a' + (ROUNDS - 1) % 26, sizeof(last));
	EXPECT_EQ(0, memcmp(last, file_bytes(self->d.fd), sizeof(last)));
}

/* Make an object in a file that is open to all, and sync a page. */
static int store_as_nobody(void *arg, struct turn *t)
{
	int node = open(mmapdev_path(), O_RDWR | O_CLOEXEC);
	struct mmapdev_create want = {
		.store = MMAPDEV_STORE_FILE,
		.flags = O_RDWR | O_CLOEXEC,
	};
	int fd;

	if (node < 0 || become_nobody())
		return 1;
	want.fd = fd_reopen(*(int *)arg, O_RDWR);
	if (want.fd < 0)
		return 2;
	fd = ioctl(node, MMAPDEV_IOC_CREATE, &want);
	return fd < 0 || page_write(fd, 0, 'x') || fsync(fd) ? 3 : 0;
}

/* Neither those of the task that syncs, nor the kernel's own. */
TEST(flush_has_the_rights_of_the_opener)
{
	int image = image_new(getpagesize());
	struct stat st;

	ASSERT_GE(image, 0);
	ASSERT_EQ(0, fchmod(image, 06777));
	EXPECT_EQ(0, child_run(store_as_nobody, &image));
	EXPECT_STREQ("x", file_bytes(image));
	ASSERT_EQ(0, fstat(image, &st));
	EXPECT_EQ(0777, st.st_mode & 07777);
	close(image);
}

static int fill_as_nobody(void *arg, struct turn *t)
{
	int fd = *(int *)arg;
	char bytes[4096] = { 'f' };

	if (become_nobody())
		return 1;
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	return errno == ENOSPC && !fsync(fd) ? 0 : 2;
}

/* ext4's last blocks are root's: so of objects that root has made. */
TEST(sync_of_another_user_has_the_openers_reserved_blocks)
{
	int image = durable_possible(EXT4) ? image_new(8 << 20) : -1;
	size_t length = PAGES * getpagesize() / 2;
	struct durable d;
	struct sync_task s = { .d = &d, .length = length, .how = BY_FSYNC };
	char written[PAGES / 2];
	int root, filler;

	if (image < 0)
		SKIP(return, "no ext4 on a loop device");
	ASSERT_EQ(0, ext4_make(image, false));
	root = mount_image(image, "ext4");
	ASSERT_GE(root, 0);
	d.kind = ON_EXT4;
	d.backing = file_new(root, "store", length);
	d.fd = durable_over(d.backing, 0, 0);
	ASSERT_GE(d.fd, 0);
	filler = file_new(root, "filler", 0);
	ASSERT_GE(filler, 0);
	ASSERT_EQ(0, child_run(fill_as_nobody, &filler));
	for (int i = 0; i < PAGES / 2; i++)
		ASSERT_EQ(0, page_write(d.fd, i, 'x'));
	memset(written, 'x', PAGES / 2);
	EXPECT_EQ(0, child_run(sync_as_nobody, &s));
	EXPECT_EQ(0, memcmp(written, file_bytes(d.backing), PAGES / 2));
	durable_close(&d);
	close(filler);
	close(root);
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
