// SPDX-License-Identifier: GPL-2.0
/*
 * Injection: which event of which page a rule acts on, how often, and what the
 * task that meets it sees.
 */
#include "harness.h"

#include <pthread.h>
#include <time.h>

#include <time.h>

#include "child.h"
#include "durable.h"
#include "hold.h"
#include "knob.h"
#include "slow.h"
#include "trap.h"

DURABLE_FIXTURE(inject);
DURABLE_VARIANT(inject, mmapdev_memory, .kind = MEMORY);
DURABLE_VARIANT(inject, mmapdev_on_tmpfs, .kind = ON_TMPFS);

/* The rule as the object has it; id 0 if it has none. */
static struct mmapdev_rule rule_get(const struct durable *d, uint64_t id)
{
	struct mmapdev_rule rule = { .id = id };

	if (ioctl(d->fd, MMAPDEV_IOC_GET_RULE, &rule))
		memset(&rule, 0, sizeof(rule));
	return rule;
}

/* Add it: 0, or an error number. */
static int rule_add(const struct durable *d, struct mmapdev_rule *rule)
{
	return ioctl(d->fd, MMAPDEV_IOC_ADD_RULE, rule) ? errno : 0;
}

/* Touching every page gives these: '.' for no signal, B for one as it should. */
static const char *touch_all(struct durable *d, unsigned char *p, bool store,
			     int code)
{
	static char seen[DURABLE_PAGES + 1];

	for (int i = 0; i < DURABLE_PAGES; i++) {
		unsigned char *at = p + i * getpagesize() + 7;
		struct trap t = store ? trap_store(at, 'x') : trap_load(at);

		if (!t.signo)
			seen[i] = '.';
		else
			seen[i] = t.signo == SIGBUS && t.code == code &&
				  t.addr == at ? 'B' : '?';
	}
	return seen;
}

/* No page of the object in memory, so that each load and store is a fault. */
static void drop_all(const struct durable *d)
{
	posix_fadvise(d->fd, 0, 0, POSIX_FADV_DONTNEED);
}

TEST_F(inject, bus_errors_at_the_first_load)
{
	int actions[] = { MMAPDEV_ACTION_SIGBUS, MMAPDEV_ACTION_EIO,
			  MMAPDEV_ACTION_ENOSPC };

	for (int i = 0; i < 3; i++) {
		drop_all(&self->d);
		ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_FAULT_READ,
					  actions[i], 2, 3));
		EXPECT_STREQ("..BBB...", touch_all(&self->d, self->p, false,
						   BUS_ADRERR));
		ASSERT_EQ(0, durable_unrule(&self->d, 0));
		EXPECT_STREQ("........", touch_all(&self->d, self->p, false,
						   BUS_ADRERR));
		madvise(self->p, self->length, MADV_DONTNEED);
	}
}

/* The page being in memory, from where neighbours are mapped unasked. */
TEST_F(inject, bus_errors_at_the_first_load_of_pages_in_memory)
{
	ASSERT_STREQ("cccccccc", durable_states(&self->d, DURABLE_PAGES));
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_FAULT_READ,
				  MMAPDEV_ACTION_SIGBUS, 2, 3));
	EXPECT_STREQ("..BBB...", touch_all(&self->d, self->p, false,
					   BUS_ADRERR));
}

TEST_F(inject, bus_errors_at_the_first_store)
{
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_FAULT_WRITE,
				  MMAPDEV_ACTION_SIGBUS, 0, 2));
	EXPECT_STREQ("BB......", touch_all(&self->d, self->p, true,
					   BUS_ADRERR));
	EXPECT_STREQ("ab??????", file_bytes(self->d.fd));
}

/* What is copied is only read, but the event is what the process does. */
TEST_F(inject, private_stores_are_stores_and_private_loads_are_loads)
{
	unsigned char *q = mmap(NULL, self->length, RW, MAP_PRIVATE,
				self->d.fd, 0);

	ASSERT_NE(MAP_FAILED, q);
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_FAULT_WRITE,
				  MMAPDEV_ACTION_SIGBUS, 2, 3));
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_FAULT_READ,
				  MMAPDEV_ACTION_SIGBUS, 6, 1));
	EXPECT_STREQ("..BBB...", touch_all(&self->d, q, true, BUS_ADRERR));
	EXPECT_EQ(0, madvise(q, self->length, MADV_DONTNEED));
	EXPECT_STREQ("......B.", touch_all(&self->d, q, false, BUS_ADRERR));
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
	munmap(q, self->length);
}

/* Out of space when a clean page becomes dirty; pages that are go on. */
TEST_F(inject, full_disk_at_mkwrite_is_sigbus)
{
	unsigned char *q = mmap(NULL, self->page, RW, MAP_SHARED, self->d.fd,
				0);

	ASSERT_NE(MAP_FAILED, q);
	self->p[0] = 'x';
	EXPECT_EQ('e', self->p[4 * self->page]);
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_MKWRITE,
				  MMAPDEV_ACTION_ENOSPC, 0, 0));
	EXPECT_STREQ(".BBBBBBB", touch_all(&self->d, self->p, true,
					   BUS_ADRERR));
	EXPECT_NO_TRAP(trap_store(q, 'x'));	/* the first by this mapping */
	EXPECT_STREQ("........", touch_all(&self->d, self->p, false,
					   BUS_ADRERR));
	EXPECT_STREQ("dccccccc", durable_states(&self->d, DURABLE_PAGES));
	EXPECT_STREQ("?bcdefgh", file_bytes(self->d.fd));
}

TEST_F(inject, memory_errors_are_told_as_such_with_their_size)
{
	int events[] = { MMAPDEV_EVENT_FAULT_READ, MMAPDEV_EVENT_FAULT_WRITE,
			 MMAPDEV_EVENT_MKWRITE };
	struct trap t;

	for (int i = 0; i < 3; i++) {
		madvise(self->p, self->length, MADV_DONTNEED);
		drop_all(&self->d);
		ASSERT_NE(0, durable_rule(&self->d, events[i],
					  MMAPDEV_ACTION_HWPOISON, 3, 1));
		t = events[i] == MMAPDEV_EVENT_FAULT_READ ?
			trap_load(self->p + 3 * self->page + 5) :
			trap_store(self->p + 3 * self->page + 5, 'x');
		EXPECT_TRAP(t, SIGBUS, BUS_MCEERR_AR,
			    self->p + 3 * self->page + 5);
		EXPECT_EQ(12, t.lsb);
		ASSERT_EQ(0, durable_unrule(&self->d, 0));
		EXPECT_NO_TRAP(trap_load(self->p + 3 * self->page + 5));
	}
}

TEST_F(inject, writeback_error_is_the_sync_calls)
{
	struct { int action, error; } cases[] = {
		{ MMAPDEV_ACTION_EIO, EIO },
		{ MMAPDEV_ACTION_ENOSPC, ENOSPC },
	};

	for (int i = 0; i < 2; i++) {
		uint64_t id = durable_rule(&self->d, MMAPDEV_EVENT_WRITEBACK,
					   cases[i].action, 1, 1);

		ASSERT_NE(0, id);
		store_capitals(self->p, 3);
		errno = 0;
		EXPECT_EQ(-1, msync(self->p, self->length, MS_SYNC));
		EXPECT_EQ(cases[i].error, errno);
		EXPECT_EQ(1, rule_get(&self->d, id).hits);
		EXPECT_EQ(0, fsync(self->d.fd));
		ASSERT_EQ(0, durable_unrule(&self->d, id));
	}
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("AbCdefgh", file_bytes(self->d.fd));
}

/* An error that files have no word for: an input/output error, as on Linux. */
TEST_F(inject, writeback_out_of_memory_is_eio_or_enomem)
{
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_WRITEBACK,
				  MMAPDEV_ACTION_ENOMEM, 0, 0));
	self->p[0] = 'x';
	EXPECT_EQ(-1, msync(self->p, self->length, MS_SYNC));
	EXPECT_TRUE(errno == EIO || errno == ENOMEM);
	EXPECT_EQ(0, fsync(self->d.fd));
}

TEST_F(inject, flush_error_is_its_callers_and_the_next_flush_has_it_all)
{
	struct { int action, error; } cases[] = {
		{ MMAPDEV_ACTION_EIO, EIO },
		{ MMAPDEV_ACTION_ENOSPC, ENOSPC },
		{ MMAPDEV_ACTION_ENOMEM, ENOMEM },
	};

	store_capitals(self->p, DURABLE_PAGES);
	for (int i = 0; i < 3; i++) {
		ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_FLUSH,
					  cases[i].action, 0, 0));
		errno = 0;
		EXPECT_EQ(-1, fsync(self->d.fd));
		EXPECT_EQ(cases[i].error, errno);
		ASSERT_EQ(0, durable_unrule(&self->d, 0));
	}
	EXPECT_STREQ("pppppppp", durable_states(&self->d, DURABLE_PAGES));
	EXPECT_EQ(0, fsync(self->d.fd));
	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_STREQ("ABCDEFGH", file_bytes(self->d.fd));
}

/* A flush is at the first byte of its range. */
TEST_F(inject, flush_rule_acts_by_where_the_range_begins)
{
	uint64_t id = durable_rule(&self->d, MMAPDEV_EVENT_FLUSH,
				   MMAPDEV_ACTION_EIO, 2, 2);

	ASSERT_NE(0, id);
	EXPECT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(0, msync(self->p + self->page, 3 * self->page, MS_SYNC));
	EXPECT_EQ(-1, msync(self->p + 2 * self->page, self->page, MS_SYNC));
	EXPECT_EQ(-1, msync(self->p + 3 * self->page, self->page, MS_SYNC));
	EXPECT_EQ(0, msync(self->p + 4 * self->page, self->page, MS_SYNC));
	EXPECT_EQ(2, rule_get(&self->d, id).hits);
}

TEST_F(inject, allocation_error_is_the_writes_or_sigbus)
{
	struct { int action, error; } cases[] = {
		{ MMAPDEV_ACTION_EIO, EIO },
		{ MMAPDEV_ACTION_ENOSPC, ENOSPC },
		{ MMAPDEV_ACTION_ENOMEM, ENOMEM },
	};
	unsigned char *at = self->p + 5;

	ASSERT_EQ(0, ftruncate(self->d.fd, 0));
	ASSERT_EQ(0, ftruncate(self->d.fd, self->length));
	for (int i = 0; i < 3; i++) {
		ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_ALLOCATE,
					  cases[i].action, 0, 0));
		errno = 0;
		EXPECT_EQ(-1, pwrite(self->d.fd, "x", 1, 0));
		EXPECT_EQ(cases[i].error, errno);
		if (cases[i].error != ENOMEM) {
			EXPECT_TRAP(trap_store(at, 'x'), SIGBUS, BUS_ADRERR,
				    at);
		}
		ASSERT_EQ(0, durable_unrule(&self->d, 0));
	}
	EXPECT_NO_TRAP(trap_store(at, 'x'));
}

TEST_F(inject, allocation_error_is_the_reads)
{
	struct { int action, error; } cases[] = {
		{ MMAPDEV_ACTION_EIO, EIO },
		{ MMAPDEV_ACTION_ENOSPC, ENOSPC },
		{ MMAPDEV_ACTION_ENOMEM, ENOMEM },
	};
	char bytes[4 * self->page];

	for (int i = 0; i < 3; i++) {
		drop_all(&self->d);
		ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_ALLOCATE,
					  cases[i].action, 2, 1));
		EXPECT_EQ(2 * self->page,
			  pread(self->d.fd, bytes, sizeof(bytes), 0));
		EXPECT_EQ('b', bytes[2 * self->page - 1]);
		errno = 0;
		EXPECT_EQ(-1, pread(self->d.fd, bytes, sizeof(bytes),
				    2 * self->page));
		EXPECT_EQ(cases[i].error, errno);
		ASSERT_EQ(0, durable_unrule(&self->d, 0));
	}
	EXPECT_STREQ("abcdefgh", file_bytes(self->d.fd));
}

/* The kernel tries again what was out of memory, for ever. */
TEST_F(inject, fault_out_of_memory_is_tried_again)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_FAULT_WRITE,
		.action = MMAPDEV_ACTION_ENOMEM,
		.count = 3,
	};

	ASSERT_EQ(0, rule_add(&self->d, &rule));
	EXPECT_NO_TRAP(trap_store(self->p, 'x'));
	rule = rule_get(&self->d, rule.id);
	EXPECT_EQ(3, rule.hits);
	EXPECT_EQ(4, rule.matches);
}

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* Each is a fault of its kind; a bus error is counted, no other failure is. */
TEST_F(inject, faults_that_rules_fail_are_counted)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_FAULT_WRITE,
		.action = MMAPDEV_ACTION_ENOMEM,
		.count = 3,
	};
	struct mmapdev_stats before = durable_stats(&self->d), after;
	unsigned char *copy = mmap(NULL, self->length, RW, MAP_PRIVATE,
				   self->d.fd, 0);
	unsigned char *at = self->p + 3 * self->page;

	ASSERT_NE(MAP_FAILED, copy);
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_FAULT_READ,
				  MMAPDEV_ACTION_SIGBUS, 1, 1));
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_FAULT_WRITE,
				  MMAPDEV_ACTION_EIO, 2, 1));
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_MKWRITE,
				  MMAPDEV_ACTION_ENOSPC, 3, 1));
	EXPECT_STREQ(".B......", touch_all(&self->d, copy, false, BUS_ADRERR));
	EXPECT_EQ(0, madvise(copy, self->length, MADV_DONTNEED));
	EXPECT_STREQ("..B.....", touch_all(&self->d, copy, true, BUS_ADRERR));
	EXPECT_TRAP(trap_store(at, 'x'), SIGBUS, BUS_ADRERR, at);
	ASSERT_EQ(0, rule_add(&self->d, &rule));
	EXPECT_NO_TRAP(trap_store(self->p, 'x'));
	after = durable_stats(&self->d);
	EXPECT_EQ(8, after.fault_private_read - before.fault_private_read);
	EXPECT_EQ(8, after.fault_cow_source - before.fault_cow_source);
	EXPECT_EQ(0, after.fault_shared_read - before.fault_shared_read);
	EXPECT_EQ(1 + 4, after.fault_shared_write - before.fault_shared_write);
	EXPECT_EQ(3, after.sigbus - before.sigbus);
	EXPECT_EQ(1, after.mkwrites - before.mkwrites);
	munmap(copy, self->length);
}

TEST_F(inject, delays_of_different_events_last_at_least_as_long)
{
	int events[] = { MMAPDEV_EVENT_MKWRITE, MMAPDEV_EVENT_FLUSH,
			 MMAPDEV_EVENT_WRITEBACK };
	long long before;

	for (int i = 0; i < 3; i++) {
		struct mmapdev_rule rule = {
			.event = events[i],
			.action = MMAPDEV_ACTION_DELAY,
			.delay_us = 20000 * (i + 1),
		};

		ASSERT_EQ(0, rule_add(&self->d, &rule));
	}
	before = now_us();
	self->p[0] = 'x';
	EXPECT_LE(20000, now_us() - before);
	before = now_us();
	EXPECT_EQ(0, msync(self->p, self->page, MS_SYNC));
	EXPECT_LE(100000, now_us() - before);
	EXPECT_STREQ("?bcdefgh", file_bytes(self->d.fd));
}

#define DELAYS		8
#define DELAY_US	40000

/* Add rules that delay an event: the first one's id; the others follow. 0: no. */
static uint64_t add_delays(const struct durable *d, int event)
{
	uint64_t first = 0;

	for (int i = 0; i < DELAYS; i++) {
		struct mmapdev_rule rule = {
			.event = event,
			.action = MMAPDEV_ACTION_DELAY,
			.delay_us = DELAY_US,
		};

		if (rule_add(d, &rule))
			return 0;
		first = first ?: rule.id;
	}
	return first;
}

/* How many of the rules from an id on have acted once; those after it, never. */
static int acted_once(const struct durable *d, uint64_t first, int rules)
{
	int n = 0;

	while (n < rules && rule_get(d, first + n).hits == 1)
		n++;
	for (int i = n; i < rules; i++)
		if (rule_get(d, first + i).matches)
			return -1;
	return n;
}

/* Far more than one of them, however slow the machine is. */
TEST_F(inject, delays_of_one_event_add_up)
{
	uint64_t store = add_delays(&self->d, MMAPDEV_EVENT_MKWRITE);
	uint64_t flush = add_delays(&self->d, MMAPDEV_EVENT_FLUSH);
	long long before = now_us();

	ASSERT_NE(0, store);
	ASSERT_NE(0, flush);
	EXPECT_NO_TRAP(trap_store(self->p, 'x'));
	EXPECT_LE(DELAYS * DELAY_US, now_us() - before);
	EXPECT_EQ(DELAYS, acted_once(&self->d, store, DELAYS));
	EXPECT_EQ(0, acted_once(&self->d, flush, DELAYS));
	before = now_us();
	EXPECT_EQ(0, msync(self->p, self->page, MS_SYNC));
	EXPECT_LE(DELAYS * DELAY_US, now_us() - before);
	EXPECT_EQ(DELAYS, acted_once(&self->d, store, DELAYS));
	EXPECT_EQ(DELAYS, acted_once(&self->d, flush, DELAYS));
}

/* An error that comes after delays comes late; it ends the search for more. */
TEST_F(inject, delays_before_an_error_delay_it_and_those_after_do_not)
{
	uint64_t first = add_delays(&self->d, MMAPDEV_EVENT_FLUSH);
	uint64_t error = durable_rule(&self->d, MMAPDEV_EVENT_FLUSH,
				      MMAPDEV_ACTION_ENOSPC, 0, 0);
	uint64_t after = add_delays(&self->d, MMAPDEV_EVENT_FLUSH);
	long long before = now_us();

	ASSERT_NE(0, first);
	ASSERT_NE(0, error);
	ASSERT_NE(0, after);
	errno = 0;
	EXPECT_EQ(-1, fsync(self->d.fd));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_LE(DELAYS * DELAY_US, now_us() - before);
	EXPECT_EQ(DELAYS, acted_once(&self->d, first, DELAYS));
	EXPECT_EQ(1, acted_once(&self->d, error, 1));
	EXPECT_EQ(0, acted_once(&self->d, after, DELAYS));
}

TEST_F(inject, delay_leaves_a_page_in_writeback_to_be_seen)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_WRITEBACK,
		.action = MMAPDEV_ACTION_DELAY,
		.delay_us = 1000000,
	};
	bool seen = false;
	int status;
	pid_t pid;

	ASSERT_EQ(0, rule_add(&self->d, &rule));
	self->p[0] = 'x';
	pid = fork();
	if (!pid)
		_exit(msync(self->p, self->page, MS_SYNC) ? 1 : 0);
	while (!seen && !waitpid(pid, &status, WNOHANG)) {
		seen = durable_states(&self->d, 1)[0] == 'w';
		usleep(2000);
	}
	ASSERT_TRUE(seen);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_STREQ("c", durable_states(&self->d, 1));
}

/* Sync one page again and again; F for a failure, '.' for none. */
static const char *sync_rounds(struct durable *d, unsigned char *p, int rounds)
{
	static char seen[65];

	for (int i = 0; i < rounds; i++) {
		p[0]++;
		seen[i] = msync(p, getpagesize(), MS_SYNC) ? 'F' : '.';
	}
	seen[rounds] = '\0';
	return seen;
}

/* Calls that make all pages of an object which has none. */
static int read_all(int fd)
{
	static char bytes[DURABLE_PAGES * 65536];

	return pread(fd, bytes, DURABLE_PAGES * getpagesize(), 0) > 0;
}

static int write_all(int fd)
{
	static char bytes[DURABLE_PAGES * 65536];

	return pwrite(fd, bytes, DURABLE_PAGES * getpagesize(), 0) > 0;
}

static int allocate_all(int fd)
{
	return !fallocate(fd, 0, 0, DURABLE_PAGES * getpagesize());
}

/* Kill a process that makes all pages while it waits for the third. */
static bool kill_at_third_page(const struct durable *d, int (*make_all)(int))
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_ALLOCATE,
		.action = MMAPDEV_ACTION_DELAY,
		.delay_us = 1000000,
		.offset = 2 * getpagesize(),
		.length = getpagesize(),
	};
	bool reached = false;
	int status;
	pid_t pid;

	if (rule_add(d, &rule))
		return false;
	pid = fork();
	if (!pid)
		_exit(make_all(d->fd));
	for (int i = 0; i < 60000 && !reached; i++) {
		usleep(1000);
		reached = rule_get(d, rule.id).hits;
	}
	kill(pid, SIGKILL);
	return waitpid(pid, &status, 0) == pid && reached &&
	       WIFSIGNALED(status) && !durable_unrule(d, rule.id);
}

TEST_F(inject, killed_read_goes_no_further)
{
	drop_all(&self->d);
	ASSERT_STREQ("........", durable_states(&self->d, DURABLE_PAGES));
	ASSERT_TRUE(kill_at_third_page(&self->d, read_all));
	EXPECT_STREQ("ccc.....", durable_states(&self->d, DURABLE_PAGES));
}

TEST_F(inject, killed_write_goes_no_further)
{
	ASSERT_EQ(0, ftruncate(self->d.fd, 0));
	ASSERT_TRUE(kill_at_third_page(&self->d, write_all));
	EXPECT_EQ(3 * self->page, file_size(self->d.fd));
	EXPECT_STREQ("ddd-----", durable_states(&self->d, DURABLE_PAGES));
}

/* What is not given in full is not given at all. */
TEST_F(inject, killed_allocation_gives_nothing)
{
	struct object o = object_open(OBJFILE);
	struct durable anonymous = { .fd = o.fd };

	ASSERT_EQ(0, ftruncate(self->d.fd, 0));
	ASSERT_TRUE(kill_at_third_page(&self->d, allocate_all));
	EXPECT_EQ(0, file_size(self->d.fd));
	EXPECT_STREQ("--------", durable_states(&self->d, DURABLE_PAGES));

	ASSERT_GE(o.fd, 0);
	ASSERT_TRUE(kill_at_third_page(&anonymous, allocate_all));
	EXPECT_EQ(0, object_size(&o));
	EXPECT_EQ(0, object_resident(&o));
	object_close(&o);
}

TEST_F(inject, skip_and_count_choose_which_events)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_FLUSH,
		.action = MMAPDEV_ACTION_EIO,
		.skip = 2,
		.count = 3,
	};

	ASSERT_EQ(0, rule_add(&self->d, &rule));
	EXPECT_STREQ("..FFF...", sync_rounds(&self->d, self->p, 8));
	rule = rule_get(&self->d, rule.id);
	EXPECT_EQ(8, rule.matches);
	EXPECT_EQ(3, rule.hits);
	EXPECT_EQ(2, rule.skip);
	EXPECT_EQ(3, rule.count);
}

/* The numbers of rules differ, and with them the choices: a new object each. */
static int choices(uint64_t seed, unsigned int probability, char *seen)
{
	struct durable d = durable_new(MEMORY, getpagesize(), 0);
	unsigned char *p = mmap(NULL, getpagesize(), RW, MAP_SHARED, d.fd, 0);
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_FLUSH,
		.action = MMAPDEV_ACTION_EIO,
		.probability = probability,
		.seed = seed,
	};

	if (p == MAP_FAILED || rule_add(&d, &rule))
		return -1;
	strcpy(seen, sync_rounds(&d, p, 64));
	munmap(p, getpagesize());
	rule = rule_get(&d, rule.id);
	durable_close(&d);
	return rule.matches == 64 ? (int)rule.hits : -1;
}

TEST(same_seed_makes_the_same_choices)
{
	char first[65], second[65], other[65], rest[65];
	int hits = choices(7, 250000, first);

	/* 16 are expected, with a deviation of 3.5. */
	EXPECT_LE(4, hits);
	EXPECT_GE(32, hits);
	EXPECT_EQ(hits, choices(7, 250000, second));
	EXPECT_STREQ(first, second);
	EXPECT_LE(1, choices(8, 250000, other));
	EXPECT_STRNE(first, other);
	EXPECT_EQ(64, choices(7, 1000000, rest));
	EXPECT_EQ(64, choices(7, 0, rest));
	EXPECT_GE(4, choices(7, 1, rest));
}

/* How many of 1000 flushes a rule acts on. */
static long hits_of_1000(struct durable *d, uint64_t seed,
			 unsigned int probability)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_FLUSH,
		.action = MMAPDEV_ACTION_EIO,
		.probability = probability,
		.seed = seed,
	};

	if (rule_add(d, &rule))
		return -1;
	for (int i = 0; i < 1000; i++)
		fdatasync(d->fd);
	rule = rule_get(d, rule.id);
	if (durable_unrule(d, rule.id))
		return -1;
	return rule.matches == 1000 ? (long)rule.hits : -1;
}

/* Within five deviations, or more. */
TEST(probability_is_in_millionths)
{
	struct durable d = durable_new(MEMORY, getpagesize(), 0);
	long hits;

	ASSERT_GE(d.fd, 0);
	hits = hits_of_1000(&d, 1, 100000);
	EXPECT_LE(50, hits);
	EXPECT_GE(150, hits);
	hits = hits_of_1000(&d, 2, 500000);
	EXPECT_LE(420, hits);
	EXPECT_GE(580, hits);
	hits = hits_of_1000(&d, 3, 900000);
	EXPECT_LE(850, hits);
	EXPECT_GE(950, hits);
	EXPECT_EQ(1000, hits_of_1000(&d, 4, 1000000));
	durable_close(&d);
}

/* Else they would fail together always, or never. */
TEST_F(inject, rules_with_the_same_seed_choose_on_their_own)
{
	struct mmapdev_rule rules[2];
	int only[2] = {};

	for (int i = 0; i < 2; i++) {
		rules[i] = (struct mmapdev_rule){
			.event = MMAPDEV_EVENT_FLUSH,
			.action = MMAPDEV_ACTION_DELAY,
			.delay_us = 1,
			.probability = 500000,
			.seed = 7,
		};
		ASSERT_EQ(0, rule_add(&self->d, &rules[i]));
	}
	for (int round = 0; round < 64; round++) {
		uint64_t acted[2];

		ASSERT_EQ(0, fsync(self->d.fd));
		for (int i = 0; i < 2; i++) {
			uint64_t before = rules[i].hits;

			rules[i] = rule_get(&self->d, rules[i].id);
			EXPECT_EQ(round + 1, rules[i].matches);
			acted[i] = rules[i].hits - before;
		}
		only[0] += acted[0] && !acted[1];
		only[1] += acted[1] && !acted[0];
	}
	EXPECT_LE(4, only[0]);
	EXPECT_LE(4, only[1]);
}

static int sync_page(void *arg, struct turn *t)
{
	unsigned char *p = arg;

	return turn_wait(t) ? 1 : msync(p, getpagesize(), MS_SYNC) ? 2 : 3;
}

TEST_F(inject, rule_with_a_pid_is_for_that_process_only)
{
	struct child c = child_start(sync_page, self->p);
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_FLUSH,
		.action = MMAPDEV_ACTION_EIO,
		.pid = c.pid,
	};

	ASSERT_EQ(0, rule_add(&self->d, &rule));
	EXPECT_EQ(0, msync(self->p, self->page, MS_SYNC));
	EXPECT_EQ(0, rule_get(&self->d, rule.id).matches);
	ASSERT_EQ(0, child_go(&c));
	EXPECT_EQ(2, child_end(&c));
	EXPECT_EQ(1, rule_get(&self->d, rule.id).hits);
	EXPECT_EQ(0, msync(self->p, self->page, MS_SYNC));

	rule = (struct mmapdev_rule){
		.event = MMAPDEV_EVENT_FLUSH,
		.action = MMAPDEV_ACTION_EIO,
		.pid = c.pid,	/* which is gone */
	};
	EXPECT_EQ(ESRCH, rule_add(&self->d, &rule));
}

static void *sync_thread(void *arg)
{
	return (void *)(long)(msync(arg, getpagesize(), MS_SYNC) ? errno : 0);
}

TEST_F(inject, rule_with_a_pid_is_for_all_threads_of_that_process)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_FLUSH,
		.action = MMAPDEV_ACTION_EIO,
		.pid = getpid(),
	};
	pthread_t thread;
	void *error;

	ASSERT_EQ(0, rule_add(&self->d, &rule));
	ASSERT_EQ(0, pthread_create(&thread, NULL, sync_thread, self->p));
	ASSERT_EQ(0, pthread_join(thread, &error));
	EXPECT_EQ(EIO, (long)error);
	EXPECT_EQ(1, rule_get(&self->d, rule.id).hits);
}

TEST_F(inject, rules_are_listed_in_order_and_removed_one_by_one)
{
	struct mmapdev_rule rule = { .id = 0 };
	uint64_t id[3];

	EXPECT_EQ(-1, ioctl(self->d.fd, MMAPDEV_IOC_GET_RULE, &rule));
	EXPECT_EQ(ENOENT, errno);
	for (int i = 0; i < 3; i++) {
		id[i] = durable_rule(&self->d, MMAPDEV_EVENT_FLUSH + i % 2,
				     MMAPDEV_ACTION_EIO, i, 1);
		ASSERT_NE(0, id[i]);
	}
	EXPECT_LT(id[0], id[1]);
	EXPECT_LT(id[1], id[2]);
	for (int i = 0; i < 3; i++) {
		rule = rule_get(&self->d, i ? id[i - 1] + 1 : 0);
		EXPECT_EQ(id[i], rule.id);
		EXPECT_EQ(i * self->page, rule.offset);
		EXPECT_EQ(self->page, rule.length);
		EXPECT_EQ(MMAPDEV_EVENT_FLUSH + i % 2, rule.event);
		EXPECT_EQ(MMAPDEV_ACTION_EIO, rule.action);
	}
	ASSERT_EQ(0, durable_unrule(&self->d, id[1]));
	EXPECT_EQ(id[2], rule_get(&self->d, id[1]).id);
	errno = 0;
	EXPECT_EQ(-1, durable_unrule(&self->d, id[1]));
	EXPECT_EQ(ENOENT, errno);
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	EXPECT_EQ(0, rule_get(&self->d, 0).id);
	EXPECT_EQ(0, durable_unrule(&self->d, 0));
}

TEST_F(inject, rule_that_cannot_be_told_is_not_added)
{
	struct mmapdev_rule *rule = mmap(NULL, self->page, RW, MAP_PRIVATE |
					 MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, rule);
	rule->event = MMAPDEV_EVENT_FLUSH;
	rule->action = MMAPDEV_ACTION_EIO;
	ASSERT_EQ(0, mprotect(rule, self->page, PROT_READ));
	errno = 0;
	EXPECT_EQ(-1, ioctl(self->d.fd, MMAPDEV_IOC_ADD_RULE, rule));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, rule_get(&self->d, 0).id);
	EXPECT_EQ(0, fsync(self->d.fd));
	/* Nor is one that is there given to a task that cannot take it. */
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_FLUSH,
				  MMAPDEV_ACTION_EIO, 0, 0));
	errno = 0;
	EXPECT_EQ(-1, ioctl(self->d.fd, MMAPDEV_IOC_GET_RULE, rule));
	EXPECT_EQ(EFAULT, errno);
	munmap(rule, self->page);
}

TEST_F(inject, bad_rules_are_refused)
{
	struct mmapdev_rule good = {
		.event = MMAPDEV_EVENT_FAULT_READ,
		.action = MMAPDEV_ACTION_EIO,
	};
	struct mmapdev_rule bad[20];
	int n = 0;

	for (int i = 0; i < 20; i++)
		bad[i] = good;
	bad[n++].event = 0;
	bad[n++].event = MMAPDEV_EVENT_ALLOCATE + 1;
	bad[n++].action = 0;
	bad[n++].action = MMAPDEV_ACTION_DELAY + 1;
	bad[n++].action = MMAPDEV_ACTION_DELAY;		/* of nothing */
	bad[n].action = MMAPDEV_ACTION_DELAY;
	bad[n++].delay_us = MMAPDEV_DELAY_MAX + 1;
	bad[n++].delay_us = 1;				/* but no delay */
	bad[n++].probability = 1000001;
	bad[n++].pid = -1;
	bad[n++].reserved = 1;
	bad[n++].id = 1;
	bad[n++].matches = 1;
	bad[n++].hits = 1;
	for (int event = MMAPDEV_EVENT_WRITEBACK;
	     event <= MMAPDEV_EVENT_ALLOCATE; event++) {
		bad[n].event = event;			/* no fault */
		bad[n++].action = MMAPDEV_ACTION_SIGBUS;
		bad[n].event = event;
		bad[n++].action = MMAPDEV_ACTION_HWPOISON;
	}
	for (int i = 0; i < n; i++) {
		EXPECT_EQ(EINVAL, rule_add(&self->d, &bad[i]));
	}
	EXPECT_EQ(EFAULT, rule_add(&self->d, NULL));
	EXPECT_EQ(0, rule_get(&self->d, 0).id);
	EXPECT_EQ(0, rule_add(&self->d, &good));
	/* The most that is allowed. */
	good.id = 0;
	good.action = MMAPDEV_ACTION_DELAY;
	good.delay_us = MMAPDEV_DELAY_MAX;
	good.probability = 1000000;
	EXPECT_EQ(0, rule_add(&self->d, &good));
}

TEST_F(inject, descriptor_that_only_reads_can_look_but_not_touch)
{
	struct durable reader = { .fd = durable_open(&self->d, O_RDONLY) };
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_FLUSH,
		.action = MMAPDEV_ACTION_EIO,
	};

	ASSERT_GE(reader.fd, 0);
	EXPECT_EQ(EINVAL, rule_add(&reader, &rule));
	ASSERT_EQ(0, rule_add(&self->d, &rule));
	EXPECT_EQ(rule.id, rule_get(&reader, 0).id);
	errno = 0;
	EXPECT_EQ(-1, durable_unrule(&reader, rule.id));
	EXPECT_EQ(EINVAL, errno);
	close(reader.fd);
}

TEST_F(inject, object_has_room_for_64_rules)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_FLUSH,
		.action = MMAPDEV_ACTION_EIO,
	};
	uint64_t last = 0;

	for (int i = 0; i < 64; i++) {
		last = durable_rule(&self->d, MMAPDEV_EVENT_FLUSH,
				    MMAPDEV_ACTION_EIO, 0, 0);
		ASSERT_NE(0, last);
	}
	EXPECT_EQ(ENOSPC, rule_add(&self->d, &rule));
	ASSERT_EQ(0, durable_unrule(&self->d, last));
	EXPECT_EQ(0, rule_add(&self->d, &rule));
	EXPECT_LT(last, rule.id);
}

/* Several of the longest are as long as one. */
TEST(delays_add_up_to_ten_seconds_at_most)
{
	struct durable d = durable_new(MEMORY, getpagesize(), 0);
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_FLUSH,
		.action = MMAPDEV_ACTION_DELAY,
		.delay_us = MMAPDEV_DELAY_MAX,
	};
	long long before;

	ASSERT_GE(d.fd, 0);
	for (int i = 0; i < 6; i++) {
		rule.id = 0;
		ASSERT_EQ(0, rule_add(&d, &rule));
	}
	before = now_us();
	EXPECT_EQ(0, fsync(d.fd));
	EXPECT_LE(MMAPDEV_DELAY_MAX, now_us() - before);
	EXPECT_GT(5 * MMAPDEV_DELAY_MAX, now_us() - before);
	durable_close(&d);
}

/* The first error ends the search; what is behind it has not matched. */
TEST_F(inject, first_rule_that_fails_wins)
{
	uint64_t first = durable_rule(&self->d, MMAPDEV_EVENT_FLUSH,
				      MMAPDEV_ACTION_ENOSPC, 0, 0);
	uint64_t second = durable_rule(&self->d, MMAPDEV_EVENT_FLUSH,
				       MMAPDEV_ACTION_EIO, 0, 0);

	EXPECT_EQ(-1, fsync(self->d.fd));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(1, rule_get(&self->d, first).hits);
	EXPECT_EQ(0, rule_get(&self->d, second).matches);
	ASSERT_EQ(0, durable_unrule(&self->d, first));
	EXPECT_EQ(-1, fsync(self->d.fd));
	EXPECT_EQ(EIO, errno);
}

TEST_F(inject, rules_are_of_one_object_and_end_with_it)
{
	struct durable other = durable_new(MEMORY, self->length, 0);

	ASSERT_GE(other.fd, 0);
	ASSERT_NE(0, durable_rule(&other, MMAPDEV_EVENT_FLUSH,
				  MMAPDEV_ACTION_EIO, 0, 0));
	EXPECT_EQ(0, fsync(self->d.fd));
	EXPECT_EQ(-1, fsync(other.fd));
	durable_close(&other);
	other = durable_new(MEMORY, self->length, 0);
	EXPECT_EQ(0, rule_get(&other, 0).id);
	EXPECT_EQ(0, fsync(other.fd));
	durable_close(&other);
}

TEST_F(inject, rules_stay_through_a_power_cut)
{
	uint64_t id = durable_rule(&self->d, MMAPDEV_EVENT_FLUSH,
				   MMAPDEV_ACTION_EIO, 0, 0);

	ASSERT_EQ(0, durable_cut(&self->d));
	EXPECT_EQ(id, rule_get(&self->d, 0).id);
	EXPECT_EQ(-1, fsync(self->d.fd));
	EXPECT_EQ(EIO, errno);
}

/* Where pages would be made and mapped ahead. */
TEST(rules_ask_page_by_page_where_a_huge_page_fits)
{
	struct object o = object_open(MMAPDEV);
	struct durable d = { .fd = o.fd };
	size_t length = 4 << 20;
	unsigned char *p = object_map(&o, length, RW, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	madvise(p, length, MADV_HUGEPAGE);
	ASSERT_NE(0, durable_rule(&d, MMAPDEV_EVENT_FAULT_WRITE,
				  MMAPDEV_ACTION_SIGBUS, 5, 1));
	ASSERT_NE(0, durable_rule(&d, MMAPDEV_EVENT_ALLOCATE,
				  MMAPDEV_ACTION_ENOSPC, 7, 1));
	EXPECT_STREQ(".....B.B", touch_all(&d, p, true, BUS_ADRERR));
	EXPECT_EQ(6, object_resident(&o));
	munmap(p, length);
	object_close(&o);
}

static int remove_on(void *arg, struct turn *t)
{
	const struct durable *d = arg;
	struct pollfd stop = { .fd = t->wait, .events = POLLIN };

	if (turn_done(t))
		return 1;
	while (!poll(&stop, 1, 0))
		if (durable_unrule(d, 0))
			return 2;
	return 0;
}

#define TAINTED_BY_WARNING	(1 << 9)

static bool kernel_has_warned(void)
{
	return file_number("/proc/sys/kernel/tainted") & TAINTED_BY_WARNING;
}

/* One process adds rules, another removes all that it sees. */
TEST_F(inject, rules_are_added_beside_their_removal)
{
	int rounds = slow_kernel() ? 200 : 2000;
	bool warned = kernel_has_warned();
	struct child c = child_start(remove_on, &self->d);

	ASSERT_EQ(0, child_done(&c));
	for (int i = 0; i < rounds; i++) {
		struct mmapdev_rule rule = {
			.event = MMAPDEV_EVENT_FLUSH,
			.action = MMAPDEV_ACTION_EIO,
		};
		int err = rule_add(&self->d, &rule);

		ASSERT_TRUE(!err || err == ENOSPC);
	}
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
	EXPECT_EQ(warned, kernel_has_warned());

	/* And rules still act. */
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	EXPECT_EQ(0, fsync(self->d.fd));
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_FLUSH,
				  MMAPDEV_ACTION_EIO, 0, 0));
	EXPECT_EQ(-1, fsync(self->d.fd));
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	EXPECT_EQ(0, fsync(self->d.fd));
}

/* Without a store, too. */
TEST(anonymous_object_has_faults_and_allocations)
{
	struct object o = object_open(MMAPDEV);
	struct durable d = { .fd = o.fd };
	size_t page = getpagesize();
	unsigned char *p;

	ASSERT_EQ(0, object_resize(&o, DURABLE_PAGES * page));
	p = object_map(&o, DURABLE_PAGES * page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(0, durable_rule(&d, MMAPDEV_EVENT_FAULT_READ,
				  MMAPDEV_ACTION_SIGBUS, 1, 2));
	ASSERT_NE(0, durable_rule(&d, MMAPDEV_EVENT_FAULT_WRITE,
				  MMAPDEV_ACTION_HWPOISON, 4, 1));
	ASSERT_NE(0, durable_rule(&d, MMAPDEV_EVENT_ALLOCATE,
				  MMAPDEV_ACTION_ENOSPC, 6, 1));
	EXPECT_STREQ(".BB...B.", touch_all(&d, p, false, BUS_ADRERR));
	madvise(p, DURABLE_PAGES * page, MADV_DONTNEED);
	EXPECT_STREQ("....B.?.", touch_all(&d, p, true, BUS_MCEERR_AR));
	object_close(&o);
}

TEST_F(inject, delay_is_waited_for_before_the_error_of_another_rule)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_FLUSH,
		.action = MMAPDEV_ACTION_DELAY,
		.delay_us = 30000,
	};
	long long before;

	ASSERT_EQ(0, rule_add(&self->d, &rule));
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_FLUSH,
				  MMAPDEV_ACTION_EIO, 0, 0));
	before = now_us();
	EXPECT_EQ(-1, fsync(self->d.fd));
	EXPECT_EQ(EIO, errno);
	EXPECT_LE(30000, now_us() - before);
	EXPECT_EQ(1, rule_get(&self->d, rule.id).hits);
}

static int msync_first(void *arg, struct turn *t)
{
	unsigned char *p = arg;

	if (turn_done(t) || turn_wait(t))
		return 1;
	return msync(p, getpagesize(), MS_SYNC) ? 2 : 0;
}

/* It may have locks that others wait for. */
TEST_F(inject, delay_ends_when_its_task_is_killed)
{
	long long before = now_us();
	struct hold h;

	self->p[0] = 'x';
	ASSERT_EQ(0, hold_start(&h, self->d.fd, MMAPDEV_EVENT_FLUSH,
				MMAPDEV_DELAY_MAX / 1000, msync_first, self->p));
	ASSERT_EQ(0, kill(h.c.pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, hold_end(&h));
	EXPECT_GT(MMAPDEV_DELAY_MAX, now_us() - before);
}

/* One object's rules do not slow down those who sync everybody's. */
TEST_F(inject, delays_are_not_for_a_sync_of_everything)
{
	int events[] = { MMAPDEV_EVENT_WRITEBACK, MMAPDEV_EVENT_FLUSH };
	uint64_t id[2];

	for (int i = 0; i < 2; i++) {
		struct mmapdev_rule rule = {
			.event = events[i],
			.action = MMAPDEV_ACTION_DELAY,
			.delay_us = 1000000,
		};

		ASSERT_EQ(0, rule_add(&self->d, &rule));
		id[i] = rule.id;
	}
	self->p[0] = 'x';
	sync();
	EXPECT_STREQ("........", durable_unsynced(&self->d, DURABLE_PAGES));
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, rule_get(&self->d, id[i]).hits);
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
