// SPDX-License-Identifier: GPL-2.0
/*
 * The power cut: who is dead after it, what is there, and that it is atomic
 * against everything else.
 */
#include "harness.h"

#include <linux/falloc.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "child.h"
#include "durable.h"
#include "hold.h"
#include "slow.h"
#include "trap.h"

#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

#define WRITE_AND_WAIT	(SYNC_FILE_RANGE_WAIT_BEFORE |			\
			 SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)

DURABLE_FIXTURE(crash);
OBJECT_KINDS(crash);

/* The call must give -1 and EIO. */
#define EXPECT_DEAD(call) do {						\
	errno = 0;							\
	EXPECT_EQ(-1, (call));						\
	EXPECT_EQ(EIO, errno);						\
} while (0)

TEST_F(crash, every_call_on_a_file_from_before_gives_eio)
{
	struct mmapdev_file file = { .flags = O_RDWR };
	struct iovec iov = { self->p, self->page };
	char byte = 'x';
	loff_t zero = 0;
	int ends[2];
	int other;

	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(1, write(ends[1], "x", 1));
	other = memfd_create("other", MFD_CLOEXEC);
	ASSERT_GE(other, 0);
	ASSERT_EQ(1, write(other, "x", 1));
	iov.iov_base = &byte;
	iov.iov_len = 1;
	ASSERT_EQ(0, crash_call(self->d.fd, 0));

	EXPECT_DEAD(read(self->d.fd, &byte, 1));
	EXPECT_DEAD(pread(self->d.fd, &byte, 1, 0));
	EXPECT_DEAD(readv(self->d.fd, &iov, 1));
	EXPECT_DEAD(write(self->d.fd, &byte, 1));
	EXPECT_DEAD(pwrite(self->d.fd, &byte, 1, 0));
	EXPECT_DEAD(writev(self->d.fd, &iov, 1));
	EXPECT_DEAD(fsync(self->d.fd));
	EXPECT_DEAD(fdatasync(self->d.fd));
	EXPECT_DEAD(ftruncate(self->d.fd, 0));
	EXPECT_DEAD(ftruncate(self->d.fd, self->length));
	EXPECT_DEAD(fallocate(self->d.fd, 0, 0, self->page));
	EXPECT_DEAD(fallocate(self->d.fd, PUNCH, 0, self->page));
	EXPECT_DEAD(sendfile(other, self->d.fd, &zero, 1));
	zero = 0;
	EXPECT_DEAD(sendfile(self->d.fd, other, &zero, 1));
	zero = 0;
	EXPECT_DEAD(splice(self->d.fd, &zero, ends[1], NULL, 1, 0));
	zero = 0;
	EXPECT_DEAD(splice(ends[0], NULL, self->d.fd, &zero, 1, 0));
	EXPECT_DEAD(ioctl(self->d.fd, MMAPDEV_IOC_GET_FILE, &file));
	EXPECT_DEAD(crash_call(self->d.fd, 0));
	EXPECT_DEAD(crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_DEAD(durable_unrule(&self->d, 0));
	EXPECT_EQ(0, durable_rule(&self->d, MMAPDEV_EVENT_FLUSH,
				  MMAPDEV_ACTION_EIO, 0, 0));
	EXPECT_EQ(EIO, errno);
}

TEST_F(crash, file_from_before_cannot_be_mapped)
{
	ASSERT_EQ(0, crash_call(self->d.fd, 0));
	FOR_SHARED_AND_PRIVATE(flags) {
		errno = 0;
		EXPECT_EQ(MAP_FAILED, mmap(NULL, self->page, PROT_READ, flags,
					   self->d.fd, 0));
		EXPECT_EQ(EIO, errno);
	}
}

/* A dead file does not see the survivors, nor what later writers do. */
TEST_F(crash, dead_file_changes_nothing)
{
	int dead = dup(self->d.fd);

	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_EQ(-1, page_write(dead, 2, 'x'));
	EXPECT_EQ(-1, ftruncate(dead, 0));
	EXPECT_EQ(-1, fallocate(dead, PUNCH, 0, self->length));
	EXPECT_EQ(0, close(dead));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

TEST_F(crash, mappings_from_before_give_sigbus_at_the_address)
{
	unsigned char *only_read = mmap(NULL, self->length, PROT_READ,
					MAP_SHARED, self->d.fd, 0);

	ASSERT_NE(MAP_FAILED, only_read);
	self->p[0] = 'x';			/* dirty */
	EXPECT_EQ('b', self->p[self->page]);	/* clean */
	EXPECT_EQ('a' + 4, only_read[4 * self->page]);
	ASSERT_EQ(1, crash_call(self->d.fd, 0));
	for (int i = 0; i < DURABLE_PAGES; i++) {
		unsigned char *at = self->p + i * self->page + 3 * i;

		EXPECT_TRAP(trap_load(at), SIGBUS, BUS_ADRERR, at);
		EXPECT_TRAP(trap_store(at, 'x'), SIGBUS, BUS_ADRERR, at);
		at = only_read + i * self->page + 5 * i;
		EXPECT_TRAP(trap_load(at), SIGBUS, BUS_ADRERR, at);
	}
	EXPECT_DEAD(msync(self->p, self->length, MS_SYNC));
	EXPECT_EQ(0, msync(self->p, self->length, MS_ASYNC));
}

/* Also where the new file's mapping has just brought the pages in again. */
TEST_F(crash, mappings_from_before_stay_dead_while_others_use_the_pages)
{
	unsigned char *q;

	ASSERT_EQ(0, durable_cut(&self->d));
	q = mmap(NULL, self->length, RW, MAP_SHARED, self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	for (int i = 0; i < DURABLE_PAGES; i++) {
		unsigned char *at = self->p + i * self->page;

		EXPECT_EQ('a' + i, q[i * self->page]);
		q[i * self->page] = 'x';
		EXPECT_TRAP(trap_load(at), SIGBUS, BUS_ADRERR, at);
		EXPECT_TRAP(trap_store(at, 'y'), SIGBUS, BUS_ADRERR, at);
		EXPECT_EQ('x', q[i * self->page]);
	}
}

TEST_F(crash, system_calls_on_a_dead_mapping_give_efault)
{
	int other = memfd_create("other", MFD_CLOEXEC);

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, crash_call(self->d.fd, 0));
	EXPECT_EQ(-1, write(other, self->p, 1));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(1, pwrite(other, "x", 1, 0));
	EXPECT_EQ(-1, pread(other, self->p, 1, 0));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(crash, private_copies_stay_and_the_rest_of_their_mapping_is_dead)
{
	unsigned char *own = mmap(NULL, self->length, RW, MAP_PRIVATE,
				  self->d.fd, 0);
	unsigned char *at;

	ASSERT_NE(MAP_FAILED, own);
	memset(own + self->page, 'x', self->page);
	EXPECT_EQ('c', own[2 * self->page]);
	ASSERT_EQ(0, crash_call(self->d.fd, 0));
	EXPECT_TRUE(page_is(own + self->page, 'x'));
	EXPECT_NO_TRAP(trap_store(own + self->page, 'y'));
	for (int i = 2; i < 4; i++) {
		at = own + i * self->page;
		EXPECT_TRAP(trap_load(at), SIGBUS, BUS_ADRERR, at);
		EXPECT_TRAP(trap_store(at, 'z'), SIGBUS, BUS_ADRERR, at);
	}
}

TEST_F(crash, new_open_sees_what_survived_by_proc_and_by_name)
{
	struct mmapdev_name name = {
		.mode = 0600,
		.uid = -1,
		.gid = -1,
	};
	char path[64];
	int before, fd;

	snprintf(name.name, sizeof(name.name), "crash-%d", getpid());
	snprintf(path, sizeof(path), "/dev/mmapdev-%s", name.name);
	ASSERT_EQ(0, ioctl(self->d.fd, MMAPDEV_IOC_SET_NAME, &name));
	before = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_GE(before, 0);
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, msync(self->p, 3 * self->page, MS_SYNC));
	ASSERT_EQ(5, crash_call(before, 0));

	EXPECT_EQ('!', file_bytes(before)[0]);
	EXPECT_EQ('!', file_bytes(self->d.fd)[0]);
	fd = durable_open(&self->d, O_RDWR);
	ASSERT_GE(fd, 0);
	EXPECT_STREQ("ABCdefgh", file_bytes(fd));
	close(self->d.fd);
	self->d.fd = fd;
	fd = open(path, O_RDWR | O_CLOEXEC);
	EXPECT_EQ(0, ioctl(self->d.fd, MMAPDEV_IOC_REMOVE_NAME));
	ASSERT_GE(fd, 0);
	EXPECT_STREQ("ABCdefgh", file_bytes(fd));

	/* It is the same object: what one writes the other sees. */
	ASSERT_EQ(0, page_write(fd, 7, 'x'));
	EXPECT_STREQ("ABCdefgx", file_bytes(self->d.fd));
	close(before);
	close(fd);
}

TEST_F(crash, second_cut_kills_who_came_after_the_first)
{
	ASSERT_EQ(0, durable_cut(&self->d));
	ASSERT_EQ(0, page_write(self->d.fd, 1, 'x'));
	ASSERT_EQ(1, crash_call(self->d.fd, 0));
	EXPECT_DEAD(fsync(self->d.fd));
	EXPECT_DEAD(crash_call(self->d.fd, 0));
}

TEST_F(crash, revert_keeps_files_and_mappings_and_shows_what_survived)
{
	store_capitals(self->p, DURABLE_PAGES);
	ASSERT_EQ(0, msync(self->p, 3 * self->page, MS_SYNC));
	ASSERT_EQ(5, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("ABCdefgh", file_bytes(self->d.fd));
	for (int i = 0; i < DURABLE_PAGES; i++)
		EXPECT_TRUE(page_is(self->p + i * self->page,
				    "ABCdefgh"[i]));
	memset(self->p + 5 * self->page, 'x', self->page);
	EXPECT_EQ(0, msync(self->p, self->length, MS_SYNC));
	EXPECT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_STREQ("ABCdexgh", file_bytes(self->d.fd));
}

TEST_F(crash, revert_after_growth_is_sigbus_past_the_old_end)
{
	unsigned char *q;

	ASSERT_EQ(0, ftruncate(self->d.fd, 10 * self->page));
	q = mmap(NULL, 10 * self->page, RW, MAP_SHARED, self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	q[9 * self->page] = 'x';
	ASSERT_EQ(1, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_EQ(self->length, file_size(self->d.fd));
	EXPECT_TRAP(trap_load(q + 9 * self->page + 1), SIGBUS, BUS_ADRERR,
		    q + 9 * self->page + 1);
	EXPECT_EQ('h', q[7 * self->page]);
}

TEST_F(crash, revert_undoes_shrink_and_punch_for_mappings)
{
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, self->page, self->page));
	ASSERT_EQ(0, ftruncate(self->d.fd, 5 * self->page));
	EXPECT_EQ(0, self->p[self->page]);
	EXPECT_TRAP(trap_load(self->p + 6 * self->page), SIGBUS, BUS_ADRERR,
		    self->p + 6 * self->page);
	ASSERT_LE(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_EQ('b', self->p[self->page]);
	EXPECT_EQ('g', self->p[6 * self->page]);
}

/* A touch that waits on its way while the power is cut. */
struct touch {
	const struct durable *d;
	unsigned int event;
	int flags;	/* of the mapping */
	bool loaded;	/* the page is mapped already, to be read */
};

static const struct touch touches[] = {
	{ .event = MMAPDEV_EVENT_FAULT_READ, .flags = MAP_SHARED },
	{ .event = MMAPDEV_EVENT_FAULT_READ, .flags = MAP_PRIVATE },
	{ .event = MMAPDEV_EVENT_FAULT_WRITE, .flags = MAP_SHARED },
	{ .event = MMAPDEV_EVENT_FAULT_WRITE, .flags = MAP_PRIVATE },
	{ .event = MMAPDEV_EVENT_MKWRITE, .flags = MAP_SHARED },
	{ .event = MMAPDEV_EVENT_MKWRITE, .flags = MAP_SHARED, .loaded = true },
};

#define TOUCHES	(sizeof(touches) / sizeof(touches[0]))

/* 0 if it goes through, 2 for SIGBUS at the address. */
static int touch_result(struct trap t, const void *at)
{
	if (!t.signo)
		return 0;
	return t.signo == SIGBUS && t.code == BUS_ADRERR && t.addr == at ? 2 :
									   3;
}

/* Touch the third page as the event wants it. */
static int touch_page(void *arg, struct turn *t)
{
	const struct touch *touch = arg;
	unsigned char *p = mmap(NULL, DURABLE_PAGES * getpagesize(), RW,
				touch->flags, touch->d->fd, 0);
	unsigned char *at = p + 2 * getpagesize() + 5;

	if (p == MAP_FAILED || (touch->loaded && *at != 'c'))
		return 1;
	if (turn_done(t) || turn_wait(t))
		return 1;
	return touch_result(touch->event == MMAPDEV_EVENT_FAULT_READ ?
			    trap_load(at) : trap_store(at, 'x'), at);
}

TEST_F(crash, touches_that_wait_meanwhile_give_sigbus_and_change_nothing)
{
	for (size_t i = 0; i < TOUCHES; i++) {
		struct touch touch = touches[i];
		bool in_time = false;
		int status = -1;
		struct hold h;

		touch.d = &self->d;
		FOR_LONGER_HOLDS(ms) {
			ASSERT_EQ(0, hold_start(&h, self->d.fd, touch.event, ms,
						touch_page, &touch));
			ASSERT_LE(0, crash_call(self->d.fd, 0));
			in_time = hold_lasts(&h);
			status = hold_end(&h);
			ASSERT_EQ(0, durable_revive(&self->d));
			if (in_time)
				break;
		}
		ASSERT_TRUE(in_time);
		ASSERT_EQ(2, status) TH_LOG("touch %zu", i);
		EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
		EXPECT_STREQ("cccccccc", durable_states(&self->d,
							DURABLE_PAGES));
		EXPECT_STREQ("........", durable_unsynced(&self->d,
							  DURABLE_PAGES));
	}
}

struct waiting {
	const struct durable *d;
	struct object source;
};

/* Write from a page that is held as it is loaded: nobody else changes the object. */
static int write_slowly(void *arg, struct turn *t)
{
	const struct waiting *w = arg;
	size_t page = getpagesize();
	void *p = object_map(&w->source, page, PROT_READ, MAP_SHARED);

	if (p == MAP_FAILED || turn_done(t) || turn_wait(t))
		return 1;
	return pwrite(w->d->fd, p, page, 0) == (ssize_t)page ? 0 : 2;
}

static int cut_power(void *arg, struct turn *t)
{
	const struct waiting *w = arg;

	(void)t;
	return crash_call(w->d->fd, 0) < 0;
}

static int truncate_all(void *arg, struct turn *t)
{
	const struct waiting *w = arg;

	(void)t;
	return ftruncate(w->d->fd, 0) && errno != EIO;
}

/* It was called before the cut: after it, nothing of it may happen. */
TEST_F(crash, truncation_that_waits_meanwhile_changes_nothing)
{
	struct waiting w = { .d = &self->d, .source = object_open(MMAPDEV) };

	ASSERT_EQ(0, object_resize(&w.source, getpagesize()));
	for (int i = 0; i < 3; i++) {
		struct child cut, truncation;
		struct hold h;

		ASSERT_EQ(0, hold_start(&h, w.source.fd,
					MMAPDEV_EVENT_FAULT_READ, 200,
					write_slowly, &w));
		cut = child_start(cut_power, &w);
		usleep(50000);
		truncation = child_start(truncate_all, &w);
		EXPECT_EQ(0, hold_end(&h));
		EXPECT_EQ(0, child_end(&cut));
		EXPECT_EQ(0, child_end(&truncation));
		ASSERT_EQ(0, durable_revive(&self->d));
		EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
	}
	object_close(&w.source);
}

/* After a revert they go on: what is stored was stored after the cut. */
TEST_F(crash, touches_that_wait_meanwhile_go_on_after_a_revert)
{
	for (size_t i = 0; i < TOUCHES; i++) {
		struct touch touch = touches[i];
		bool stores = touch.flags == MAP_SHARED &&
			      touch.event != MMAPDEV_EVENT_FAULT_READ;
		bool in_time = false;
		struct hold h;

		touch.d = &self->d;
		FOR_LONGER_HOLDS(ms) {
			ASSERT_EQ(0, hold_start(&h, self->d.fd, touch.event, ms,
						touch_page, &touch));
			ASSERT_LE(0, crash_call(self->d.fd,
						MMAPDEV_CRASH_REVERT));
			in_time = hold_lasts(&h);
			EXPECT_EQ(0, hold_end(&h));
			if (in_time)
				break;
			ASSERT_LE(0, crash_call(self->d.fd,
						MMAPDEV_CRASH_REVERT));
		}
		ASSERT_TRUE(in_time);
		EXPECT_STREQ(stores ? "ab?defgh" : "abcdefgh",
			     file_bytes(self->d.fd));
		EXPECT_STREQ(stores ? "..d....." : "........",
			     durable_unsynced(&self->d, DURABLE_PAGES));
		EXPECT_EQ(stores, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
		EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
	}
}

/*
 * A touch that brings a page into memory: it comes before the cut, or does not go
 * through. Exits with what a second one gives, which comes after the cut.
 */
static int touch_and_look(void *arg, struct turn *t)
{
	const struct touch *touch = arg;
	unsigned char *p = mmap(NULL, DURABLE_PAGES * getpagesize(), RW,
				touch->flags, touch->d->fd, 0);
	unsigned char *at = p + 2 * getpagesize() + 5;

	if (p == MAP_FAILED || turn_done(t) || turn_wait(t) ||
	    touch_result(trap_load(at), at) == 3 || turn_done(t) ||
	    turn_wait(t))
		return 1;
	return touch_result(trap_load(at), at);
}

TEST_F(crash, touches_that_load_a_page_meanwhile_leave_none_mapped)
{
	ASSERT_EQ(0, munmap(self->p, self->length));
	self->p = NULL;
	FOR_SHARED_AND_PRIVATE(flags) {
		struct touch touch = { .d = &self->d, .flags = flags };
		struct hold h;

		ASSERT_EQ(0, posix_fadvise(self->d.fd, 0, 0,
					   POSIX_FADV_DONTNEED));
		ASSERT_EQ(0, hold_start(&h, self->d.fd, MMAPDEV_EVENT_ALLOCATE,
					100, touch_and_look, &touch));
		ASSERT_EQ(0, crash_call(self->d.fd, 0));
		/* The cut has waited for the touch. */
		EXPECT_FALSE(hold_lasts(&h));
		ASSERT_EQ(0, child_done(&h.c));
		ASSERT_EQ(0, child_go(&h.c));
		EXPECT_EQ(2, hold_end(&h));
		ASSERT_EQ(0, durable_revive(&self->d));
		EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
	}
}

/* Calls that promise what a cut, while they are at it, takes. */
enum promise { MSYNC, FSYNC, FDATASYNC, DSYNC_WRITE, PROMISES };

struct promising {
	struct durable d;
	unsigned char *p;
	enum promise promise;
};

/* The error number that the call gives, or 0. */
static int promise_page(void *arg, struct turn *t)
{
	struct promising *w = arg;
	int fd = durable_open(&w->d, O_RDWR | O_DSYNC);
	int ret;

	if (fd < 0 || turn_done(t) || turn_wait(t))
		return 127;
	switch (w->promise) {
	case MSYNC:
		ret = msync(w->p, getpagesize(), MS_SYNC);
		break;
	case FSYNC:
		ret = fsync(fd);
		break;
	case FDATASYNC:
		ret = fdatasync(fd);
		break;
	default:
		ret = page_write(fd, 0, 'x');
	}
	return ret ? errno : 0;
}

TEST_F(crash, sync_that_a_revert_comes_into_gives_eio)
{
	unsigned int events[] = { MMAPDEV_EVENT_WRITEBACK,
				  MMAPDEV_EVENT_FLUSH };

	for (int i = 0; i < 2 * PROMISES; i++) {
		struct promising w = { self->d, self->p, i / 2 };
		int status = -1;
		struct hold h;
		long lost = 0;

		FOR_LONGER_HOLDS(ms) {
			memset(self->p, 'x', self->page);
			ASSERT_EQ(0, hold_start(&h, self->d.fd, events[i % 2],
						ms, promise_page, &w));
			lost = crash_call(self->d.fd, MMAPDEV_CRASH_REVERT);
			status = hold_end(&h);
			/* Else the sync was over before the cut began. */
			if (lost)
				break;
			memset(self->p, 'a', self->page);
			ASSERT_EQ(0, fsync(self->d.fd));
		}
		ASSERT_EQ(1, lost);
		EXPECT_EQ(EIO, status) TH_LOG("call %d", i);
		EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
		/* It is told once, to that call. */
		EXPECT_EQ(0, fsync(self->d.fd));
	}
}

/* What a cut says it lost, in each way that a page can be not durable. */
TEST_F(crash, lost_counts_exactly_the_pages_that_were_not_durable)
{
	int revert = MMAPDEV_CRASH_REVERT;

	EXPECT_EQ(0, crash_call(self->d.fd, revert));
	store_capitals(self->p, 3);				/* dirty */
	ASSERT_EQ(0, page_write(self->d.fd, 3, 'x'));
	EXPECT_EQ(4, crash_call(self->d.fd, revert));
	store_capitals(self->p, 2);				/* pending */
	ASSERT_EQ(0, sync_file_range(self->d.fd, 0, 0, WRITE_AND_WAIT));
	EXPECT_STREQ("pp", durable_states(&self->d, 2));
	EXPECT_EQ(2, crash_call(self->d.fd, revert));
	store_capitals(self->p, 2);				/* both */
	ASSERT_EQ(0, sync_file_range(self->d.fd, 0, 0, WRITE_AND_WAIT));
	store_capitals(self->p, 2);
	EXPECT_EQ(2, crash_call(self->d.fd, revert));
	ASSERT_EQ(0, fallocate(self->d.fd, PUNCH, self->page,
			       3 * self->page));		/* taken away */
	EXPECT_EQ(3, crash_call(self->d.fd, revert));
	ASSERT_EQ(0, ftruncate(self->d.fd, 2 * self->page));
	EXPECT_EQ(6, crash_call(self->d.fd, revert));
	store_capitals(self->p, DURABLE_PAGES);			/* durable */
	ASSERT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(0, crash_call(self->d.fd, revert));
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.fd));
}

/* A cut reads nothing, writes nothing, and leaves what was durable in memory. */
TEST_F(crash, pages_that_were_durable_stay_and_nothing_is_written)
{
	struct mmapdev_stats before, after;

	store_capitals(self->p, 3);
	before = durable_stats(&self->d);
	ASSERT_EQ(3, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	after = durable_stats(&self->d);
	EXPECT_EQ(before.crashes + 1, after.crashes);
	EXPECT_EQ(before.writebacks, after.writebacks);
	EXPECT_EQ(before.flushes, after.flushes);
	EXPECT_EQ(before.pages_allocated, after.pages_allocated);
	EXPECT_EQ(DURABLE_PAGES - 3, durable_info(&self->d).resident);
	EXPECT_STREQ("...ccccc", durable_states(&self->d, DURABLE_PAGES));
}

TEST_F(crash, errors_are_forgotten)
{
	int actions[] = { MMAPDEV_ACTION_EIO, MMAPDEV_ACTION_ENOSPC };
	int fd;

	for (int i = 0; i < 2; i++) {
		ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_WRITEBACK,
					  actions[i], 0, 0));
		store_capitals(self->p, DURABLE_PAGES);
		sync();
		ASSERT_EQ(0, durable_unrule(&self->d, 0));
		ASSERT_LE(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
		EXPECT_EQ(0, fsync(self->d.fd));
		fd = durable_open(&self->d, O_RDWR);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(0, fsync(fd));
		EXPECT_EQ(0, msync(self->p, self->length, MS_SYNC));
		EXPECT_STREQ("abcdefgh", file_bytes(fd));
		close(fd);
	}
}

/* What an error had taken, and what it had not, is equally not durable. */
TEST_F(crash, errors_after_a_cut_are_told_as_before)
{
	ASSERT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_WRITEBACK,
				  MMAPDEV_ACTION_EIO, 0, 0));
	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_DEAD(msync(self->p, self->length, MS_SYNC));
	EXPECT_EQ(0, fsync(self->d.fd));
}

TEST_F(crash, bad_arguments_are_refused_and_cut_nothing)
{
	struct mmapdev_crash crash = { .flags = 2 };
	int fd = durable_open(&self->d, O_RDONLY);

	store_capitals(self->p, DURABLE_PAGES);
	EXPECT_EQ(-1, ioctl(self->d.fd, MMAPDEV_IOC_CRASH, &crash));
	EXPECT_EQ(EINVAL, errno);
	crash.flags = 0;
	crash.reserved = 1;
	errno = 0;
	EXPECT_EQ(-1, ioctl(self->d.fd, MMAPDEV_IOC_CRASH, &crash));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, ioctl(self->d.fd, MMAPDEV_IOC_CRASH, NULL));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_GE(fd, 0);
	errno = 0;
	EXPECT_EQ(-1, crash_call(fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.fd));
	EXPECT_EQ(0, fsync(self->d.fd));
	close(fd);
}

TEST(crash_of_an_anonymous_object_is_not_supported)
{
	struct object o = object_open(MMAPDEV);

	ASSERT_GE(o.fd, 0);
	EXPECT_EQ(-1, crash_call(o.fd, 0));
	EXPECT_EQ(EOPNOTSUPP, errno);
	object_close(&o);
}

/* Nodes of the kernel's trees that are in use, or -1. */
static long tree_nodes(void)
{
	FILE *file = fopen("/proc/slabinfo", "r");
	char line[512];
	long nodes = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "radix_tree_node %ld", &nodes) == 1)
			break;
	if (file)
		fclose(file);
	return nodes;
}

/* Each so far from others as to have its own nodes. */
#define LOST_PAGES	(slow_kernel() ? 200 : 2000)

/* Else an object that is cut again and again fills the memory. */
TEST(places_of_pages_that_were_lost_are_given_back)
{
	size_t page = getpagesize();
	struct durable d = durable_new(MEMORY, page << 30, 0);
	long before, after = -1;

	if (tree_nodes() < 0)
		SKIP(return, "no /proc/slabinfo");
	ASSERT_GE(d.fd, 0);
	before = tree_nodes();
	for (off_t i = 0; i < LOST_PAGES; i++) {
		ASSERT_EQ(1, pwrite(d.fd, "x", 1, (i * page) << 12));
		if (i % 50 == 49)
			ASSERT_EQ(50, crash_call(d.fd, MMAPDEV_CRASH_REVERT));
	}
	/* They are freed a while after they are given back; by KASAN, much later. */
	for (int ms = 0; ms < 10000 && !slow_kernel(); ms += 10) {
		after = tree_nodes();
		if (after - before < LOST_PAGES / 2)
			break;
		usleep(10000);
	}
	if (!slow_kernel()) {
		EXPECT_GT(LOST_PAGES / 2, after - before);
	}
	durable_close(&d);
}

/* 1 TiB with two pages in it. */
TEST(crash_costs_by_pages_not_by_size)
{
	struct durable d = durable_new(MEMORY, 1ULL << 40, 0);
	size_t page = getpagesize();
	unsigned char *p;

	ASSERT_GE(d.fd, 0);
	p = mmap(NULL, 1ULL << 40, RW, MAP_SHARED | MAP_NORESERVE, d.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	p[0] = 'x';
	p[(1ULL << 40) - page] = 'y';
	EXPECT_EQ(2, crash_call(d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_EQ(0, p[0]);
	p[(1ULL << 40) - page] = 'y';
	EXPECT_EQ(0, msync(p + (1ULL << 40) - page, page, MS_SYNC));
	EXPECT_EQ(0, crash_call(d.fd, MMAPDEV_CRASH_REVERT));
	EXPECT_EQ('y', p[(1ULL << 40) - page]);
	durable_close(&d);
}

/*
 * Cuts at any moment of a program that stores a number, syncs it, and then says
 * so. What it has said must be there.
 */
enum sync_way { BY_MSYNC, BY_FSYNC, BY_DSYNC };

struct witness {
	long said;		/* synced, by the calls' word */
	enum sync_way way;
	struct durable *d;
};

FIXTURE(acknowledged) {
	struct durable d;
	struct witness *w;
	size_t page;
};

FIXTURE_VARIANT(acknowledged) {
	enum durable_kind kind;
	enum sync_way way;
};

#define ACKNOWLEDGED(way_name, the_way)					\
	DURABLE_VARIANT(acknowledged, mmapdev_memory_##way_name,	\
			.kind = MEMORY, .way = the_way);		\
	DURABLE_VARIANT(acknowledged, mmapdev_on_ext4_##way_name,	\
			.kind = ON_EXT4, .way = the_way)

ACKNOWLEDGED(msync, BY_MSYNC);
ACKNOWLEDGED(fsync, BY_FSYNC);
ACKNOWLEDGED(dsync, BY_DSYNC);

FIXTURE_SETUP(acknowledged)
{
	if (!durable_possible(variant->kind))
		SKIP(return, "no ext4 on a loop device");
	self->page = getpagesize();
	self->d = durable_new(variant->kind, DURABLE_PAGES * self->page, 0);
	ASSERT_GE(self->d.fd, 0);
	self->w = mmap(NULL, sizeof(*self->w), RW, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	ASSERT_NE(MAP_FAILED, self->w);
	self->w->way = variant->way;
	self->w->d = &self->d;
}

FIXTURE_TEARDOWN(acknowledged)
{
	durable_close(&self->d);
}

static int put(struct witness *w, int fd, unsigned char *p, int i, long value)
{
	size_t at = i * getpagesize() + 8 * i;

	if (w->way != BY_MSYNC)
		return pwrite(fd, &value, sizeof(value), at) !=
		       sizeof(value);
	*(volatile long *)(p + at) = value;
	return 0;
}

/* Until the power is cut: that is EIO, or death of SIGBUS. */
static int say_what_is_synced(void *arg, struct turn *t)
{
	struct witness *w = arg;
	size_t length = DURABLE_PAGES * getpagesize();
	int fd = durable_open(w->d, w->way == BY_DSYNC ? O_RDWR | O_DSYNC
						       : O_RDWR);
	unsigned char *p = mmap(NULL, length, RW, MAP_SHARED, fd, 0);

	signal(SIGBUS, SIG_DFL);
	if (p == MAP_FAILED || turn_done(t))
		return 1;
	for (long value = w->said + 1;; value++) {
		for (int i = 0; i < DURABLE_PAGES; i++)
			if (put(w, fd, p, i, value))
				return errno == EIO ? 0 : 2;
		if (w->way == BY_MSYNC ? msync(p, length, MS_SYNC) :
		    w->way == BY_FSYNC ? fsync(fd) : 0)
			return errno == EIO ? 0 : 3;
		__atomic_store_n(&w->said, value, __ATOMIC_SEQ_CST);
	}
}

/* Every few rounds, however slow the kernel is, something has been said. */
static void wait_for_word(const struct witness *w, int round)
{
	long before = w->said;

	for (int ms = 0; round % 4 == 3 && ms < 10000; ms++) {
		if (__atomic_load_n(&w->said, __ATOMIC_SEQ_CST) != before)
			return;
		usleep(1000);
	}
}

/* A repeatable time to wait, in microseconds. */
static void wait_some(unsigned int *seed)
{
	*seed = *seed * 1103515245 + 12345;
	usleep((*seed >> 16) % 3000);
}

#define CUTS	(slow_kernel() ? 10 : 25)

TEST_F(acknowledged, numbers_survive_cuts_at_any_moment)
{
	unsigned int seed = 1;
	long most = 0;

	for (int round = 0; round < CUTS; round++) {
		struct child c = child_start(say_what_is_synced, self->w);
		int status;

		ASSERT_EQ(0, child_done(&c));
		wait_for_word(self->w, round);
		wait_some(&seed);
		ASSERT_EQ(0, durable_cut(&self->d));
		status = child_end(&c);
		EXPECT_TRUE(status == 0 || status == 128 + SIGBUS);
		for (int i = 0; i < DURABLE_PAGES; i++) {
			long value = -1;

			ASSERT_EQ(sizeof(value),
				  pread(self->d.fd, &value, sizeof(value),
					i * self->page + 8 * i));
			EXPECT_LE(self->w->said, value);
			EXPECT_GE(self->w->said + 1, value);
		}
		most = self->w->said;
	}
	EXPECT_LT(0, most);
}

/*
 * Cuts among faults, stores, writeback, syncs, truncation and punches by other
 * processes: nothing but what was stored at a place is ever seen there.
 */
FIXTURE(storm) {
	struct durable d;
	size_t page;
};

FIXTURE_VARIANT(storm) {
	enum durable_kind kind;
};

OBJECT_KINDS(storm);

#define STORM_PAGES	64
#define STORM_CUTS	(slow_kernel() ? 20 : 60)

FIXTURE_SETUP(storm)
{
	if (!durable_possible(variant->kind))
		SKIP(return, "no ext4 on a loop device");
	self->page = getpagesize();
	self->d = durable_new(variant->kind, STORM_PAGES * self->page, 0);
	ASSERT_GE(self->d.fd, 0);
}

FIXTURE_TEARDOWN(storm)
{
	durable_close(&self->d);
}

/* What a page may hold: zeros, or its number in every byte. */
static bool storm_page_is_sane(const unsigned char *bytes, int i)
{
	for (int n = 0; n < getpagesize(); n++)
		if (bytes[n] && bytes[n] != i + 1)
			return false;
	return true;
}

struct storm_worker {
	struct durable *d;
	int number;
};

static bool told_to_stop(struct turn *t)
{
	struct pollfd p = { .fd = t->wait, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static void storm_syscalls(int fd, int i)
{
	size_t page = getpagesize();

	switch (i % 8) {
	case 0:
		fsync(fd);
		break;
	case 1:
		sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		break;
	case 2:
		ftruncate(fd, (STORM_PAGES - i % 24) * page - i % 100);
		break;
	case 3:
		ftruncate(fd, STORM_PAGES * page);
		break;
	case 4:
		fallocate(fd, PUNCH, i % STORM_PAGES * page + i % 100,
			  5 * page);
		break;
	case 5:
		page_write(fd, i % STORM_PAGES, i % STORM_PAGES + 1);
		break;
	case 6:
		fdatasync(fd);
		break;
	case 7:
		fallocate(fd, FALLOC_FL_ZERO_RANGE, i % STORM_PAGES * page,
			  page);
		break;
	}
}

/* Even workers use memory, odd ones calls. */
static int storm(void *arg, struct turn *t)
{
	struct storm_worker *w = arg;
	size_t page = getpagesize();
	int fd = durable_open(w->d, O_RDWR);
	unsigned char *p = mmap(NULL, STORM_PAGES * page, RW, MAP_SHARED, fd,
				0);
	unsigned int i = w->number * 17;

	if (p == MAP_FAILED)
		return 1;
	for (; !told_to_stop(t); i += 7) {
		int n = i % STORM_PAGES;

		if (w->number % 2) {
			storm_syscalls(fd, i);
			continue;
		}
		trap_store(p + n * page + i % page, n + 1);
		trap_load(p + (n * 5 % STORM_PAGES) * page);
		if (i % 11 == 0)
			msync(p + n * page, page, MS_SYNC);
	}
	return 0;
}

#define STORM_WORKERS	4

TEST_F(storm, cuts_leave_only_what_was_stored)
{
	struct child c[STORM_WORKERS];
	unsigned char bytes[self->page];
	unsigned int seed = 7;

	for (int i = 0; i < STORM_WORKERS; i++) {
		struct storm_worker w = { &self->d, i };

		c[i] = child_start(storm, &w);
	}
	for (int round = 0; round < STORM_CUTS; round++) {
		wait_some(&seed);
		ASSERT_LE(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
		for (int i = round % 8; i < STORM_PAGES; i += 8) {
			memset(bytes, 0, self->page);
			ASSERT_LE(0, pread(self->d.fd, bytes, self->page,
					   i * self->page));
			ASSERT_TRUE(storm_page_is_sane(bytes, i));
		}
	}
	for (int i = 0; i < STORM_WORKERS; i++)
		EXPECT_EQ(0, child_go(&c[i]));
	for (int i = 0; i < STORM_WORKERS; i++)
		EXPECT_EQ(0, child_end(&c[i]));

	/* All at rest: what is synced now is what a cut leaves. */
	ASSERT_EQ(0, ftruncate(self->d.fd, STORM_PAGES * self->page));
	for (int i = 0; i < STORM_PAGES; i++)
		ASSERT_EQ(0, page_write(self->d.fd, i, i + 1));
	ASSERT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, crash_call(self->d.fd, MMAPDEV_CRASH_REVERT));
	for (int i = 0; i < STORM_PAGES; i++) {
		ASSERT_EQ(self->page, pread(self->d.fd, bytes, self->page,
					    i * self->page));
		EXPECT_TRUE(page_is(bytes, i + 1));
	}
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
