// SPDX-License-Identifier: GPL-2.0
/*
 * Trace events: what happens to an object, line by line. mmapdev only.
 */
#include "harness.h"

#include <linux/falloc.h>
#include <stdarg.h>

#include "bytes.h"
#include "device.h"
#include "huge.h"
#include "trap.h"

/* A buffer of its own, so that nobody else's tracing is disturbed. */
#define INSTANCE	"/sys/kernel/tracing/instances/mmapdev-selftest"
#define EVENTS		INSTANCE "/events/mmapdev"

#define PAGES		32
#define MAX_LINES	64

FIXTURE(tracepoints) {
	struct object o;
	size_t page;
	unsigned long object;	/* its number */
	struct knob around;
	bool tracing;
};

FIXTURE_VARIANT(tracepoints) {
	enum backend_kind kind;
};

OBJECT_VARIANT(tracepoints, mmapdev, MMAPDEV);

FIXTURE_SETUP(tracepoints)
{
	char filter[64];

	self->page = getpagesize();
	rmdir(INSTANCE);	/* there only if a run was killed */
	if (mkdir(INSTANCE, 0755))
		SKIP(return, "no tracing instances in /sys/kernel/tracing");
	self->tracing = true;
	ASSERT_EQ(0, knob_set(&self->around, AROUND_KNOB, "65536"));
	self->o = object_open(MMAPDEV);
	ASSERT_GE(self->o.fd, 0);
	self->object = object_info(&self->o).object;
	snprintf(filter, sizeof(filter), "common_pid == %d", getpid());
	ASSERT_EQ(0, file_write(EVENTS "/filter", filter));
	ASSERT_EQ(0, file_write(EVENTS "/enable", "1"));
}

/* An instance takes its events with it. */
FIXTURE_TEARDOWN_PARENT(tracepoints)
{
	EXPECT_EQ(0, knob_restore(&self->around));
	if (self->tracing)
		EXPECT_EQ(0, rmdir(INSTANCE));
}

struct lines {
	int n;
	char text[MAX_LINES][160];
};

/* What was traced since the last time, from the event's name on. */
static void traced(struct lines *l)
{
	FILE *file = fopen(INSTANCE "/trace", "r");
	char line[512];

	l->n = 0;
	while (file && l->n < MAX_LINES && fgets(line, sizeof(line), file)) {
		char *event = line[0] == '#' ? NULL : strstr(line, ": mmapdev_");

		if (!event)
			continue;
		event[strcspn(event, "\n")] = '\0';
		snprintf(l->text[l->n++], sizeof(l->text[0]), "%s", event + 2);
	}
	if (file)
		fclose(file);
	file_write(INSTANCE "/trace", "");
}

/* The line must begin so; what it ends with is where the page is. */
static bool begins(const char *line, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool begins(const char *line, const char *format, ...)
{
	char expected[160];
	va_list args;

	va_start(args, format);
	vsnprintf(expected, sizeof(expected), format, args);
	va_end(args);
	if (!strncmp(line, expected, strlen(expected)))
		return true;
	fprintf(stderr, "# line '%s' does not begin with '%s'\n", line,
		expected);
	return false;
}

static unsigned long pfn_of(const char *line)
{
	const char *at = strstr(line, " pfn=0x");

	return at ? strtoul(at + 7, NULL, 16) : 0;
}

#define EXPECT_LINES(expected)						\
	ASSERT_EQ(expected, lines.n)					\
		for (int i_ = 0; i_ < lines.n; i_++)			\
			TH_LOG("%s", lines.text[i_])

#define EXPECT_LINE(n, ...)						\
	EXPECT_TRUE(begins(lines.text[n], __VA_ARGS__))

#define EXPECT_FAULT(n, index, at, kind, result) do {			\
	char line_[160];						\
									\
	snprintf(line_, sizeof(line_), "mmapdev_fault: object=%lu "	\
		 "index=%lu address=0x%lx kind=%s result=%s",		\
		 self->object, (unsigned long)(index),			\
		 (unsigned long)(at), kind, result);			\
	EXPECT_STREQ(line_, lines.text[n]);				\
} while (0)

#define EXPECT_AROUND(n, index, from, to, resolved) do {		\
	char line_[160];						\
									\
	snprintf(line_, sizeof(line_), "mmapdev_fault_around: object=%lu " \
		 "index=%lu start=%lu end=%lu resolved=%d",		\
		 self->object, (unsigned long)(index),			\
		 (unsigned long)(from), (unsigned long)(to), resolved);	\
	EXPECT_STREQ(line_, lines.text[n]);				\
} while (0)

#define EXPECT_ADD(n, index)						\
	EXPECT_LINE(n, "mmapdev_folio_add: object=%lu index=%lu order=0 pfn=0x", \
		    self->object, (unsigned long)(index))

#define EXPECT_FREE(n, index, pfn) do {					\
	EXPECT_LINE(n, "mmapdev_folio_free: index=%lu order=0 pfn=0x",	\
		    (unsigned long)(index));				\
	EXPECT_EQ(pfn, pfn_of(lines.text[n]));				\
} while (0)

TEST_F(tracepoints, shared_store_adds_a_page)
{
	struct lines lines;
	char *p = object_map_aligned(&self->o, PAGES, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	p[3 * self->page + 5] = 1;
	traced(&lines);
	EXPECT_LINES(2);
	EXPECT_ADD(0, 3);
	EXPECT_NE(0, pfn_of(lines.text[0]));
	/* The core rounds the address down to the page. */
	EXPECT_FAULT(1, 3, p + 3 * self->page, "shared_write", "LOCKED");
	p[3 * self->page] = 1;
	traced(&lines);
	EXPECT_LINES(0);
}

TEST_F(tracepoints, loads_of_holes_try_around_and_add_a_page)
{
	static const char *const kinds[] = { "shared_read", "private_read" };
	struct lines lines;

	for (int i = 0; i < 2; i++) {
		char *p = object_map_aligned(&self->o, PAGES, i ? MAP_PRIVATE : MAP_SHARED);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_NO_TRAP(trap_load(p + 17 * self->page));
		traced(&lines);
		EXPECT_LINES(3);
		EXPECT_AROUND(0, 17, 16, 31, 0);
		EXPECT_ADD(1, 17);
		EXPECT_FAULT(2, 17, p + 17 * self->page, kinds[i], "LOCKED");
		ASSERT_EQ(0, object_resize(&self->o, 0));
		ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
		traced(&lines);
	}
}

TEST_F(tracepoints, loads_of_pages_are_resolved_around)
{
	struct lines lines;
	char *p = object_map_aligned(&self->o, PAGES, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(2, pwrite(self->o.fd, "ab", 2, 5 * self->page - 1));
	traced(&lines);
	EXPECT_LINES(2);
	EXPECT_ADD(0, 4);
	EXPECT_ADD(1, 5);
	EXPECT_EQ('b', p[5 * self->page]);
	EXPECT_EQ('a', p[5 * self->page - 1]);
	traced(&lines);
	EXPECT_LINES(1);
	EXPECT_AROUND(0, 5, 0, 15, 1);
}

TEST_F(tracepoints, private_stores_take_their_source)
{
	struct lines lines;
	char *p = object_map_aligned(&self->o, PAGES, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, self->page));
	traced(&lines);
	p[self->page] = 1;
	p[2 * self->page] = 1;		/* over a hole: no page is added */
	traced(&lines);
	EXPECT_LINES(2);
	EXPECT_FAULT(0, 1, p + self->page, "cow_source", "LOCKED");
	EXPECT_FAULT(1, 2, p + 2 * self->page, "cow_source", "LOCKED");
}

TEST_F(tracepoints, touches_past_the_end_result_in_sigbus)
{
	struct lines lines;
	char *p = object_map_aligned(&self->o, PAGES, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	traced(&lines);
	EXPECT_EQ(SIGBUS, trap_store(p + self->page, 1).signo);
	EXPECT_EQ(SIGBUS, trap_load(p + 20 * self->page).signo);
	traced(&lines);
	EXPECT_LINES(3);
	EXPECT_FAULT(0, 1, p + self->page, "shared_write", "SIGBUS");
	EXPECT_AROUND(1, 20, 16, 31, 0);
	EXPECT_FAULT(2, 20, p + 20 * self->page, "shared_read", "SIGBUS");
}

TEST_F(tracepoints, resizing_frees_the_pages_that_were_added)
{
	unsigned long pfn[4];
	struct lines lines;

	ASSERT_EQ(0, object_fill(&self->o, 4, 1));
	traced(&lines);
	EXPECT_LINES(5);
	EXPECT_LINE(0, "mmapdev_resize: object=%lu from=%llu to=%zu",
		    self->object, object_info(&self->o).max_size,
		    4 * self->page);
	for (int i = 0; i < 4; i++) {
		EXPECT_ADD(i + 1, i);
		pfn[i] = pfn_of(lines.text[i + 1]);
	}
	ASSERT_EQ(0, object_resize(&self->o, 2 * self->page));
	traced(&lines);
	EXPECT_LINES(3);
	EXPECT_FREE(0, 2, pfn[2]);
	EXPECT_FREE(1, 3, pfn[3]);
	EXPECT_LINE(2, "mmapdev_resize: object=%lu from=%zu to=%zu",
		    self->object, 4 * self->page, 2 * self->page);
	object_close(&self->o);
	traced(&lines);
	EXPECT_LINES(2);
	EXPECT_FREE(0, 0, pfn[0]);
	EXPECT_FREE(1, 1, pfn[1]);
}

static int durable_object(void)
{
	int node = open(mmapdev_path(), O_RDWR | O_CLOEXEC);
	struct mmapdev_create create = {
		.store = MMAPDEV_STORE_MEMORY,
		.flags = O_RDWR | O_CLOEXEC,
		.size = PAGES * getpagesize(),
		.fd = -1,
	};
	int fd = ioctl(node, MMAPDEV_IOC_CREATE, &create);

	close(node);
	return fd;
}

static struct object durable_as_object(int fd)
{
	return (struct object) { .kind = OBJFILE, .fd = fd };
}

TEST_F(tracepoints, way_to_the_store_is_numbered)
{
	struct mmapdev_crash crash = {};
	struct lines lines;
	unsigned long object;
	struct object o;
	char *p;
	int fd;

	fd = durable_object();
	ASSERT_LE(0, fd);
	o = durable_as_object(fd);
	object = object_info(&o).object;
	p = object_map_aligned(&o, PAGES, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	p[3 * self->page] = 1;
	EXPECT_EQ(0, msync(p, PAGES * self->page, MS_SYNC));
	EXPECT_EQ(0, ioctl(fd, MMAPDEV_IOC_CRASH, &crash));
	EXPECT_EQ(-1, msync(p, self->page, MS_SYNC));
	traced(&lines);
	EXPECT_LINES(6);
	EXPECT_LINE(0, "mmapdev_folio_add: object=%lu index=3 ", object);
	EXPECT_LINE(1, "mmapdev_fault: object=%lu index=3 ", object);
	EXPECT_LINE(2, "mmapdev_mkwrite: object=%lu index=3 address=0x%lx %s",
		    object, (unsigned long)p + 3 * self->page,
		    "sequence=1 result=LOCKED");
	EXPECT_LINE(3, "mmapdev_writeback: object=%lu index=3 %s", object,
		    "sequence=2 result=0");
	EXPECT_LINE(4, "mmapdev_flush: object=%lu from=0 to=%ld %s", object,
		    PAGES * self->page - 1, "sequence=3 result=0");
	EXPECT_LINE(5, "mmapdev_crash: object=%lu lost=0 flags=0x0 sequence=4",
		    object);
	munmap(p, PAGES * self->page);
	close(fd);
}

TEST_F(tracepoints, failed_way_to_the_store_tells_its_error)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_WRITEBACK,
		.action = MMAPDEV_ACTION_EIO,
	};
	struct lines lines;
	unsigned long object;
	struct object o;
	int fd;

	fd = durable_object();
	ASSERT_LE(0, fd);
	o = durable_as_object(fd);
	object = object_info(&o).object;
	ASSERT_EQ(0, ioctl(fd, MMAPDEV_IOC_ADD_RULE, &rule));
	ASSERT_EQ(1, pwrite(fd, "x", 1, 0));
	EXPECT_EQ(-1, fsync(fd));
	traced(&lines);
	EXPECT_LINES(4);
	EXPECT_LINE(1, "mmapdev_inject: object=%lu pos=0 rule=1 %s", object,
		    "event=4 action=3");
	EXPECT_LINE(2, "mmapdev_writeback: object=%lu index=0 %s", object,
		    "sequence=1 result=-5");
	EXPECT_LINE(3, "mmapdev_flush: object=%lu from=0 ", object);
	close(fd);
}

TEST_F(tracepoints, power_cut_tells_its_flags_and_what_was_lost)
{
	struct mmapdev_crash crash = { .flags = MMAPDEV_CRASH_REVERT };
	int fd = durable_object();
	struct object o = durable_as_object(fd);
	struct lines lines;

	ASSERT_LE(0, fd);
	ASSERT_EQ(1, pwrite(fd, "x", 1, 0));
	ASSERT_EQ(1, pwrite(fd, "x", 1, 7 * self->page));
	traced(&lines);
	EXPECT_LINES(2);
	EXPECT_EQ(0, ioctl(fd, MMAPDEV_IOC_CRASH, &crash));
	EXPECT_EQ(2, crash.lost);
	traced(&lines);
	ASSERT_LT(0, lines.n);
	EXPECT_LINE(lines.n - 1, "mmapdev_crash: object=%lu lost=2 %s",
		    (unsigned long)object_info(&o).object,
		    "flags=0x1 sequence=1");
	close(fd);
}

TEST_F(tracepoints, fallocate_tells_range_mode_and_result)
{
	struct mmapdev_rule rule = {
		.event = MMAPDEV_EVENT_ALLOCATE,
		.action = MMAPDEV_ACTION_ENOSPC,
		.offset = 5 * self->page,
		.length = self->page,
	};
	int fd = object_file(self->o.fd, O_RDWR);
	struct lines lines;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, object_resize(&self->o, 0));
	traced(&lines);
	ASSERT_EQ(0, fallocate(fd, 0, 1, self->page));
	traced(&lines);
	EXPECT_LINES(3);
	EXPECT_ADD(0, 0);
	EXPECT_ADD(1, 1);
	EXPECT_LINE(2, "mmapdev_fallocate: object=%lu offset=1 len=%zu %s",
		    self->object, self->page, "mode= result=0");
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       self->page, 2 * self->page));
	traced(&lines);
	EXPECT_LINES(2);
	EXPECT_LINE(0, "mmapdev_folio_free: index=1 ");
	EXPECT_LINE(1, "mmapdev_fallocate: object=%lu offset=%zu len=%zu %s",
		    self->object, self->page, 2 * self->page,
		    "mode=KEEP_SIZE|PUNCH_HOLE result=0");
	ASSERT_EQ(0, ioctl(fd, MMAPDEV_IOC_ADD_RULE, &rule));
	EXPECT_EQ(-1, fallocate(fd, FALLOC_FL_ZERO_RANGE, 4 * self->page,
				3 * self->page));
	traced(&lines);
	EXPECT_LINES(4);
	EXPECT_ADD(0, 4);
	EXPECT_LINE(1, "mmapdev_inject: object=%lu pos=%zu rule=1 %s",
		    self->object, 5 * self->page, "event=6 action=4");
	EXPECT_LINE(2, "mmapdev_folio_free: index=4 ");
	EXPECT_LINE(3, "mmapdev_fallocate: object=%lu offset=%zu len=%zu %s",
		    self->object, 4 * self->page, 3 * self->page,
		    "mode=ZERO_RANGE result=-28");
	close(fd);
}

TEST_F(tracepoints, huge_page_is_added_and_freed_in_one)
{
	size_t huge = huge_bytes();
	unsigned long pfn;
	struct lines lines;
	char *p;

	if (!huge)
		SKIP(return, "no huge pages in this kernel");
	p = object_map(&self->o, huge, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, madvise(p, huge, MADV_HUGEPAGE));
	p[3 * self->page] = 1;
	traced(&lines);
	EXPECT_LINES(2);
	EXPECT_LINE(0, "mmapdev_folio_add: object=%lu index=0 order=%d pfn=0x",
		    self->object, huge_order());
	pfn = pfn_of(lines.text[0]);
	EXPECT_LINE(1, "mmapdev_fault: object=%lu index=3 address=0x%lx %s",
		    self->object, (unsigned long)p + 3 * self->page,
		    "kind=shared_write ");
	munmap(p, huge);
	object_close(&self->o);
	traced(&lines);
	EXPECT_LINES(1);
	EXPECT_LINE(0, "mmapdev_folio_free: index=0 order=%d pfn=0x%lx",
		    huge_order(), pfn);
}

TEST_F(tracepoints, reading_adds_nothing)
{
	struct lines lines;
	char bytes[64];

	ASSERT_EQ(64, pread(self->o.fd, bytes, 64, 0));
	traced(&lines);
	EXPECT_LINES(0);
}

TEST_HARNESS_MAIN
