// SPDX-License-Identifier: GPL-2.0
/*
 * The module's own allocations: each that it makes is refused, and is seen to
 * have been. mmapdev only.
 *
 * The kernel refuses what the module asks for, and nobody else: it looks for
 * the module's code on the allocating task's stack.
 */
#include "harness.h"

#include <sched.h>
#include <sys/resource.h>

#include "bytes.h"
#include "device.h"
#include "refuse.h"
#include "trap.h"

FIXTURE(fail_alloc) {
	struct object o;
	size_t page;
	long long objects;
	long long pages;
	struct knobs knobs;
};

FIXTURE_VARIANT(fail_alloc) {
	enum backend_kind kind;
};

OBJECT_VARIANT(fail_alloc, mmapdev, MMAPDEV);

/* Where the module's code is: 0, or -1 if the kernel does not tell. */
static int module_code(unsigned long *start, unsigned long *end)
{
	FILE *file = fopen("/proc/modules", "r");
	char text[32], name[64];
	unsigned long size = 0;

	if (!file)
		return -1;
	while (fscanf(file, "%63s %lu%*[^\n]", name, &size) == 2 &&
	       strcmp(name, "mmapdev"))
		size = 0;
	fclose(file);
	if (file_read("/sys/module/mmapdev/sections/.text", text, sizeof(text)))
		return -1;
	*start = strtoul(text, NULL, 16);
	*end = *start + size;
	return *start && size ? 0 : -1;
}

/* Where a function of the kernel is: up to the next. 0, or -1. */
static int function_code(const char *name, unsigned long *start,
			 unsigned long *end)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	unsigned long address;
	char symbol[512];

	*start = 0;
	*end = 0;
	while (file && !*end &&
	       fscanf(file, "%lx %*c %511s%*[^\n]", &address, symbol) == 2) {
		if (!*start && !strcmp(symbol, name))
			*start = address;
		else if (*start && address > *start)
			*end = address;
	}
	if (file)
		fclose(file);
	return *start && *end ? 0 : -1;
}

FIXTURE_SETUP(fail_alloc)
{
	unsigned long start, end;

	if (access(REFUSE_SLAB "require-start", W_OK))
		SKIP(return, "no filter by stack (FAULT_INJECTION_STACKTRACE_FILTER)");
	self->page = getpagesize();
	ASSERT_EQ(0, module_code(&start, &end));
	ASSERT_EQ(0, refuse_any(&self->knobs));
	ASSERT_EQ(0, refuse_below(&self->knobs, REFUSE_SLAB, start, end));
	ASSERT_EQ(0, refuse_below(&self->knobs, REFUSE_PAGE, start, end));
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	self->objects = device_total("objects");
	self->pages = device_total("pages");
}

FIXTURE_TEARDOWN_PARENT(fail_alloc)
{
	EXPECT_EQ(0, knobs_restore(&self->knobs));
}

TEST_F(fail_alloc, object_that_is_refused_is_enomem)
{
	struct object other;

	ASSERT_EQ(0, refuse_next(&self->knobs, REFUSE_SLAB, 1));
	other = object_open(MMAPDEV);
	EXPECT_EQ(-1, other.fd);
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(0, refuse_left(REFUSE_SLAB));
	EXPECT_EQ(self->objects, device_total("objects"));
	other = object_open(MMAPDEV);
	EXPECT_LE(0, other.fd);
	EXPECT_EQ(self->objects + 1, device_total("objects"));
	object_close(&other);
	EXPECT_EQ(self->objects, device_total("objects"));
}

TEST_F(fail_alloc, object_that_is_refused_leaves_its_stores_file_alone)
{
	struct mmapdev_create want = {
		.store = MMAPDEV_STORE_FILE,
		.flags = O_RDWR | O_CLOEXEC,
		.fd = memfd_create("store", MFD_CLOEXEC),
	};
	unsigned long start, end;
	struct stat st;

	ASSERT_LE(0, want.fd);
	ASSERT_EQ(0, ftruncate(want.fd, 5000));
	ASSERT_EQ(0, function_code("new_inode", &start, &end));
	ASSERT_EQ(0, refuse_below(&self->knobs, REFUSE_SLAB, start, end));
	ASSERT_EQ(0, refuse_next(&self->knobs, REFUSE_SLAB, 1));
	EXPECT_EQ(-1, ioctl(self->o.fd, MMAPDEV_IOC_CREATE, &want));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(0, refuse_left(REFUSE_SLAB));
	EXPECT_EQ(self->objects, device_total("objects"));
	ASSERT_EQ(0, fstat(want.fd, &st));
	EXPECT_EQ(5000, st.st_size);
	close(want.fd);
}

#define MANY	8192

/*
 * The per-CPU allocator asks for pages only when those it has are full, and
 * has a worker that sees to it that there are some: open many objects, and
 * keep the worker from running. Objects need pages too: refuse only its own.
 */
TEST_F(fail_alloc, counters_that_are_refused_are_enomem)
{
	struct sched_param fifo = { .sched_priority = 1 };
	struct rlimit files = { MANY + 64, MANY + 64 };
	unsigned long start, end;
	static int fds[MANY];
	cpu_set_t here;
	int n, err;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(here), &here));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	ASSERT_EQ(0, function_code("pcpu_alloc_noprof", &start, &end));
	ASSERT_EQ(0, refuse_below(&self->knobs, REFUSE_PAGE, start, end));
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_FIFO, &fifo));
	ASSERT_EQ(0, refuse_next(&self->knobs, REFUSE_PAGE, -1));
	for (n = 0; n < MANY; n++) {
		fds[n] = open(mmapdev_path(), O_RDWR | O_CLOEXEC);
		if (fds[n] < 0)
			break;
	}
	err = errno;
	ASSERT_EQ(0, refuse_next(&self->knobs, REFUSE_PAGE, 0));
	ASSERT_GT(MANY, n);
	EXPECT_EQ(ENOMEM, err);
	EXPECT_EQ(self->objects + n, device_total("objects"));
	fds[n] = open(mmapdev_path(), O_RDWR | O_CLOEXEC);
	EXPECT_LE(0, fds[n]);
	for (; n >= 0; n--)
		close(fds[n]);
	EXPECT_EQ(self->objects, device_total("objects"));
}

TEST_F(fail_alloc, page_that_is_refused_is_enomem)
{
	ASSERT_EQ(0, refuse_next(&self->knobs, REFUSE_PAGE, 1));
	EXPECT_EQ(-1, pwrite(self->o.fd, "a", 1, 0));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(0, refuse_left(REFUSE_PAGE));
	EXPECT_EQ(self->pages, device_total("pages"));
	EXPECT_EQ(0, object_resident(&self->o));
	EXPECT_EQ(1, pwrite(self->o.fd, "a", 1, 0));
	EXPECT_EQ(self->pages + 1, device_total("pages"));
}

/* The page is there, but no node of the tree to put it in. */
TEST_F(fail_alloc, page_that_cannot_be_added_is_freed)
{
	off_t at = 100000 * self->page;

	ASSERT_EQ(0, refuse_next(&self->knobs, REFUSE_SLAB, -1));
	EXPECT_EQ(-1, pwrite(self->o.fd, "a", 1, at));
	EXPECT_EQ(ENOMEM, errno);
	ASSERT_EQ(0, refuse_next(&self->knobs, REFUSE_SLAB, 0));
	EXPECT_EQ(self->pages, device_total("pages"));
	EXPECT_EQ(0, object_stats(&self->o).pages_allocated);
	EXPECT_EQ(0, object_resident(&self->o));
	EXPECT_EQ(1, pwrite(self->o.fd, "a", 1, at));
	EXPECT_EQ('a', object_byte(&self->o, at));
}

/* A fault that the kernel tries again counts again. */
TEST_F(fail_alloc, touch_is_tried_again_until_there_is_a_page)
{
	struct mmapdev_stats stats;
	char *p = object_map(&self->o, self->page, RW, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, refuse_next(&self->knobs, REFUSE_PAGE, 5));
	EXPECT_NO_TRAP(trap_store(p, 'a'));
	EXPECT_EQ(0, refuse_left(REFUSE_PAGE));
	stats = object_stats(&self->o);
	EXPECT_EQ(6, stats.fault_shared_write);
	EXPECT_EQ(1, stats.pages_allocated);
	EXPECT_EQ(0, stats.sigbus);
	EXPECT_EQ('a', object_byte(&self->o, 0));
}

TEST_F(fail_alloc, touch_is_tried_again_until_the_page_can_be_added)
{
	struct mmapdev_stats stats;
	char *p = object_map_at(&self->o, NULL, self->page, RW, MAP_SHARED,
				100000 * self->page);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, refuse_next(&self->knobs, REFUSE_SLAB, 4));
	EXPECT_NO_TRAP(trap_store(p, 'a'));
	EXPECT_EQ(0, refuse_left(REFUSE_SLAB));
	stats = object_stats(&self->o);
	EXPECT_LT(1, stats.fault_shared_write);
	EXPECT_EQ(1, stats.pages_allocated);
	EXPECT_EQ(self->pages + 1, device_total("pages"));
}

TEST_HARNESS_MAIN
