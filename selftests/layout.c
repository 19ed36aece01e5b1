// SPDX-License-Identifier: GPL-2.0
/*
 * The interface's structures: no padding, and the same for 32-bit callers.
 *
 * The calls are made once through the 64-bit entry of the kernel and once
 * through the 32-bit one, which a 64-bit process reaches with int 0x80, and
 * must answer alike.
 */
#include "harness.h"

#include <stddef.h>
#include <sys/syscall.h>

#include "bytes.h"
#include "device.h"
#include "trap.h"

#define ASSERT_FIELD(type, field, offset, bytes)			\
	_Static_assert(offsetof(struct type, field) == (offset) &&	\
		       sizeof(((struct type *)0)->field) == (bytes),	\
		       #type "." #field)

_Static_assert(sizeof(struct mmapdev_info) == 128, "mmapdev_info");
ASSERT_FIELD(mmapdev_info, abi_version, 0, 4);
ASSERT_FIELD(mmapdev_info, page_size, 4, 4);
ASSERT_FIELD(mmapdev_info, features, 8, 8);
ASSERT_FIELD(mmapdev_info, object, 16, 8);
ASSERT_FIELD(mmapdev_info, size, 24, 8);
ASSERT_FIELD(mmapdev_info, max_size, 32, 8);
ASSERT_FIELD(mmapdev_info, resident, 40, 8);
ASSERT_FIELD(mmapdev_info, limit, 48, 8);
ASSERT_FIELD(mmapdev_info, used, 56, 8);
ASSERT_FIELD(mmapdev_info, name, 64, 40);
ASSERT_FIELD(mmapdev_info, durable_size, 104, 8);
ASSERT_FIELD(mmapdev_info, store, 112, 4);
ASSERT_FIELD(mmapdev_info, reserved, 116, 12);

_Static_assert(sizeof(struct mmapdev_size) == 16, "mmapdev_size");
ASSERT_FIELD(mmapdev_size, size, 0, 8);
ASSERT_FIELD(mmapdev_size, reserved, 8, 8);

_Static_assert(sizeof(struct mmapdev_stats) == 128, "mmapdev_stats");
ASSERT_FIELD(mmapdev_stats, fault_shared_read, 0, 8);
ASSERT_FIELD(mmapdev_stats, fault_shared_write, 8, 8);
ASSERT_FIELD(mmapdev_stats, fault_private_read, 16, 8);
ASSERT_FIELD(mmapdev_stats, fault_cow_source, 24, 8);
ASSERT_FIELD(mmapdev_stats, fault_cow_hole, 32, 8);
ASSERT_FIELD(mmapdev_stats, fault_around, 40, 8);
ASSERT_FIELD(mmapdev_stats, sigbus, 48, 8);
ASSERT_FIELD(mmapdev_stats, pages_allocated, 56, 8);
ASSERT_FIELD(mmapdev_stats, pages_freed, 64, 8);
ASSERT_FIELD(mmapdev_stats, mkwrites, 72, 8);
ASSERT_FIELD(mmapdev_stats, writebacks, 80, 8);
ASSERT_FIELD(mmapdev_stats, flushes, 88, 8);
ASSERT_FIELD(mmapdev_stats, crashes, 96, 8);
ASSERT_FIELD(mmapdev_stats, bytes_flushed, 104, 8);
ASSERT_FIELD(mmapdev_stats, reserved, 112, 16);

_Static_assert(sizeof(struct mmapdev_pages) == 32, "mmapdev_pages");
ASSERT_FIELD(mmapdev_pages, offset, 0, 8);
ASSERT_FIELD(mmapdev_pages, count, 8, 8);
ASSERT_FIELD(mmapdev_pages, states, 16, 8);
ASSERT_FIELD(mmapdev_pages, flags, 24, 4);
ASSERT_FIELD(mmapdev_pages, reserved, 28, 4);

_Static_assert(sizeof(struct mmapdev_name) == 56, "mmapdev_name");
ASSERT_FIELD(mmapdev_name, name, 0, 40);
ASSERT_FIELD(mmapdev_name, mode, 40, 4);
ASSERT_FIELD(mmapdev_name, uid, 44, 4);
ASSERT_FIELD(mmapdev_name, gid, 48, 4);
ASSERT_FIELD(mmapdev_name, reserved, 52, 4);

_Static_assert(sizeof(struct mmapdev_file) == 8, "mmapdev_file");
ASSERT_FIELD(mmapdev_file, flags, 0, 4);
ASSERT_FIELD(mmapdev_file, reserved, 4, 4);

_Static_assert(sizeof(struct mmapdev_create) == 64, "mmapdev_create");
ASSERT_FIELD(mmapdev_create, store, 0, 4);
ASSERT_FIELD(mmapdev_create, flags, 4, 4);
ASSERT_FIELD(mmapdev_create, size, 8, 8);
ASSERT_FIELD(mmapdev_create, fd, 16, 4);
ASSERT_FIELD(mmapdev_create, after_error, 20, 4);
ASSERT_FIELD(mmapdev_create, reserved, 24, 40);

_Static_assert(sizeof(struct mmapdev_crash) == 16, "mmapdev_crash");
ASSERT_FIELD(mmapdev_crash, flags, 0, 4);
ASSERT_FIELD(mmapdev_crash, reserved, 4, 4);
ASSERT_FIELD(mmapdev_crash, lost, 8, 8);

_Static_assert(sizeof(struct mmapdev_unsynced_page) == 24, "mmapdev_unsynced_page");
ASSERT_FIELD(mmapdev_unsynced_page, offset, 0, 8);
ASSERT_FIELD(mmapdev_unsynced_page, age, 8, 8);
ASSERT_FIELD(mmapdev_unsynced_page, why, 16, 4);
ASSERT_FIELD(mmapdev_unsynced_page, reserved, 20, 4);

_Static_assert(sizeof(struct mmapdev_unsynced) == 32, "mmapdev_unsynced");
ASSERT_FIELD(mmapdev_unsynced, offset, 0, 8);
ASSERT_FIELD(mmapdev_unsynced, count, 8, 8);
ASSERT_FIELD(mmapdev_unsynced, pages, 16, 8);
ASSERT_FIELD(mmapdev_unsynced, reserved, 24, 8);

_Static_assert(sizeof(struct mmapdev_rule) == 88, "mmapdev_rule");
ASSERT_FIELD(mmapdev_rule, id, 0, 8);
ASSERT_FIELD(mmapdev_rule, offset, 8, 8);
ASSERT_FIELD(mmapdev_rule, length, 16, 8);
ASSERT_FIELD(mmapdev_rule, event, 24, 4);
ASSERT_FIELD(mmapdev_rule, action, 28, 4);
ASSERT_FIELD(mmapdev_rule, delay_us, 32, 4);
ASSERT_FIELD(mmapdev_rule, probability, 36, 4);
ASSERT_FIELD(mmapdev_rule, pid, 40, 4);
ASSERT_FIELD(mmapdev_rule, reserved, 44, 4);
ASSERT_FIELD(mmapdev_rule, skip, 48, 8);
ASSERT_FIELD(mmapdev_rule, count, 56, 8);
ASSERT_FIELD(mmapdev_rule, seed, 64, 8);
ASSERT_FIELD(mmapdev_rule, matches, 72, 8);
ASSERT_FIELD(mmapdev_rule, hits, 80, 8);

_Static_assert(MMAPDEV_IOC_GET_INFO == 0x8080b710, "GET_INFO");
_Static_assert(MMAPDEV_IOC_SET_SIZE == 0x4010b711, "SET_SIZE");
_Static_assert(MMAPDEV_IOC_GET_STATS == 0x8080b712, "GET_STATS");
_Static_assert(MMAPDEV_IOC_PAGES == 0x4020b713, "PAGES");
_Static_assert(MMAPDEV_IOC_SET_NAME == 0x4038b714, "SET_NAME");
_Static_assert(MMAPDEV_IOC_REMOVE_NAME == 0x0000b715, "REMOVE_NAME");
_Static_assert(MMAPDEV_IOC_GET_FILE == 0x4008b716, "GET_FILE");
_Static_assert(MMAPDEV_IOC_CREATE == 0x4040b717, "CREATE");
_Static_assert(MMAPDEV_IOC_CRASH == 0xc010b718, "CRASH");
_Static_assert(MMAPDEV_IOC_ADD_RULE == 0xc058b719, "ADD_RULE");
_Static_assert(MMAPDEV_IOC_GET_RULE == 0xc058b71a, "GET_RULE");
_Static_assert(MMAPDEV_IOC_REMOVE_RULE == 0x4058b71b, "REMOVE_RULE");
_Static_assert(MMAPDEV_IOC_UNSYNCED == 0xc020b71c, "UNSYNCED");

enum entry { ENTRY_64, ENTRY_32 };

#ifdef __x86_64__
#define NR_32_GETPID	20
#define NR_32_IOCTL	54

static long syscall_32(int nr, unsigned int a, unsigned int b, unsigned int c)
{
	long ret;

	asm volatile("int $0x80"
		     : "=a"(ret)
		     : "0"(nr), "b"(a), "c"(b), "d"(c)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}
#else
#define NR_32_GETPID	0
#define NR_32_IOCTL	0
#define MAP_32BIT	0

static long syscall_32(int nr, unsigned int a, unsigned int b, unsigned int c)
{
	return -ENOSYS;
}
#endif

/* A kernel without the 32-bit entry answers with SIGSEGV. */
static bool have_entry_32(void)
{
	struct sigaction old_bus, old_segv;
	volatile bool have = false;

	trap_signals(&old_bus, &old_segv);
	if (!sigsetjmp(trap_env, 1))
		have = syscall_32(NR_32_GETPID, 0, 0, 0) == getpid();
	sigaction(SIGBUS, &old_bus, NULL);
	sigaction(SIGSEGV, &old_segv, NULL);
	return have;
}

FIXTURE(layout) {
	struct object o;
	size_t page;
	char *low;	/* a page below 4 GiB, before one that is not mapped */
};

FIXTURE_VARIANT(layout) {
	enum entry entry;
};

FIXTURE_VARIANT_ADD(layout, entry_64) { .entry = ENTRY_64 };
FIXTURE_VARIANT_ADD(layout, entry_32) { .entry = ENTRY_32 };

FIXTURE_SETUP(layout)
{
	if (variant->entry == ENTRY_32 && !have_entry_32())
		SKIP(return, "no 32-bit system calls (IA32_EMULATION)");
	self->page = getpagesize();
	self->o = object_open(MMAPDEV);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_fill(&self->o, 4, 1));
	self->low = mmap(NULL, 2 * self->page, RW,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, self->low);
	ASSERT_EQ(0, munmap(self->low + self->page, self->page));
}

FIXTURE_TEARDOWN(layout)
{
	object_close(&self->o);
}

/* The ioctl through the variant's entry: what it returns, or -errno. */
static long call(enum entry entry, int fd, unsigned int cmd, void *arg)
{
	long ret;

	if (entry == ENTRY_32)
		return syscall_32(NR_32_IOCTL, fd, cmd, (uintptr_t)arg);
	ret = syscall(SYS_ioctl, fd, cmd, arg);
	return ret < 0 ? -errno : ret;
}

TEST_F(layout, info_has_the_same_bytes)
{
	struct mmapdev_info expected = object_info(&self->o);
	struct mmapdev_info *info = (void *)self->low;

	ASSERT_EQ(MMAPDEV_ABI_VERSION, expected.abi_version);
	memset(info, 0xff, sizeof(*info));
	EXPECT_EQ(0, call(variant->entry, self->o.fd, MMAPDEV_IOC_GET_INFO,
			  info));
	EXPECT_EQ(0, memcmp(&expected, info, sizeof(*info)));
}

TEST_F(layout, stats_have_the_same_bytes)
{
	struct mmapdev_stats expected = object_stats(&self->o);
	struct mmapdev_stats *stats = (void *)self->low;

	ASSERT_EQ(4, expected.pages_allocated);
	memset(stats, 0xff, sizeof(*stats));
	EXPECT_EQ(0, call(variant->entry, self->o.fd, MMAPDEV_IOC_GET_STATS,
			  stats));
	EXPECT_EQ(0, memcmp(&expected, stats, sizeof(*stats)));
}

/* More than 32 bits of size arrive. */
TEST_F(layout, sizes_over_4_gib_are_set)
{
	struct mmapdev_size *s = (void *)self->low;

	s->size = (5ULL << 32) + 7;
	EXPECT_EQ(0, call(variant->entry, self->o.fd, MMAPDEV_IOC_SET_SIZE, s));
	EXPECT_EQ((5ULL << 32) + 7, object_size(&self->o));
}

TEST_F(layout, states_over_4_gib_are_told)
{
	struct mmapdev_pages *p = (void *)self->low;
	unsigned char *states = (void *)(p + 1);

	ASSERT_EQ(0, object_resize(&self->o, 6ULL << 32));
	ASSERT_EQ(1, pwrite(self->o.fd, "", 1, (5ULL << 32) + self->page));
	memset(states, 9, 4);
	p->offset = 5ULL << 32;
	p->count = 3;
	p->states = (uintptr_t)states;
	EXPECT_EQ(0, call(variant->entry, self->o.fd, MMAPDEV_IOC_PAGES, p));
	EXPECT_EQ(0, states[0]);
	EXPECT_EQ(1, states[1]);
	EXPECT_EQ(0, states[2]);
	EXPECT_EQ(9, states[3]);
}

TEST_F(layout, files_are_given)
{
	struct mmapdev_file *file = (void *)self->low;
	struct stat st = {};
	long fd;

	file->flags = O_RDWR | O_CLOEXEC;
	file->reserved = 0;
	fd = call(variant->entry, self->o.fd, MMAPDEV_IOC_GET_FILE, file);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(4 * self->page, st.st_size);
	close(fd);
}

TEST_F(layout, names_are_given_and_taken)
{
	struct mmapdev_name *name = (void *)self->low;

	*name = (struct mmapdev_name) { .name = "layout", .mode = 0600,
					.uid = -1, .gid = -1 };
	EXPECT_EQ(0, call(variant->entry, self->o.fd, MMAPDEV_IOC_SET_NAME,
			  name));
	EXPECT_STREQ("layout", object_info(&self->o).name);
	EXPECT_EQ(0, call(variant->entry, self->o.fd, MMAPDEV_IOC_REMOVE_NAME,
			  NULL));
	EXPECT_STREQ("", object_info(&self->o).name);
}

TEST_F(layout, durable_objects_are_created_and_cut)
{
	struct mmapdev_create *create = (void *)self->low;
	struct mmapdev_unsynced *unsynced = (void *)self->low;
	struct mmapdev_unsynced_page *pages = (void *)(unsynced + 1);
	struct mmapdev_crash *crash = (void *)self->low;
	long fd;

	*create = (struct mmapdev_create) {
		.store = MMAPDEV_STORE_MEMORY,
		.flags = O_RDWR | O_CLOEXEC,
		.size = 6ULL << 32,
		.fd = -1,
		.after_error = MMAPDEV_AFTER_ERROR_CLEAN,
	};
	fd = call(variant->entry, self->o.fd, MMAPDEV_IOC_CREATE, create);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, pwrite(fd, "", 1, (5ULL << 32) + self->page));
	*unsynced = (struct mmapdev_unsynced) {
		.offset = 5ULL << 32,
		.count = 2,
		.pages = (uintptr_t)pages,
	};
	EXPECT_EQ(0, call(variant->entry, fd, MMAPDEV_IOC_UNSYNCED, unsynced));
	EXPECT_EQ(1, unsynced->count);
	EXPECT_EQ((5ULL << 32) + self->page, pages[0].offset);
	*crash = (struct mmapdev_crash) {};
	EXPECT_EQ(0, call(variant->entry, fd, MMAPDEV_IOC_CRASH, crash));
	EXPECT_EQ(1, crash->lost);
	close(fd);
}

TEST_F(layout, rules_are_added_found_and_removed)
{
	struct mmapdev_rule *rule = (void *)self->low;
	struct mmapdev_rule wanted = {
		.offset = 5ULL << 32,
		.length = 6ULL << 32,
		.event = MMAPDEV_EVENT_FAULT_WRITE,
		.action = MMAPDEV_ACTION_SIGBUS,
		.probability = 7,
		.pid = getpid(),
		.skip = 8ULL << 32,
		.count = 9ULL << 32,
		.seed = 10ULL << 32,
	};
	int fd = self->o.fd;

	*rule = wanted;
	EXPECT_EQ(0, call(variant->entry, fd, MMAPDEV_IOC_ADD_RULE, rule));
	wanted.id = 1;
	EXPECT_EQ(0, memcmp(&wanted, rule, sizeof(*rule)));
	*rule = (struct mmapdev_rule) { .id = 1 };
	EXPECT_EQ(0, call(variant->entry, fd, MMAPDEV_IOC_GET_RULE, rule));
	EXPECT_EQ(0, memcmp(&wanted, rule, sizeof(*rule)));
	*rule = (struct mmapdev_rule) { .id = 1 };
	EXPECT_EQ(0, call(variant->entry, fd, MMAPDEV_IOC_REMOVE_RULE, rule));
	EXPECT_EQ(-ENOENT, call(variant->entry, fd, MMAPDEV_IOC_GET_RULE, rule));
}

TEST_F(layout, errors_are_the_same)
{
	struct mmapdev_size *s = (void *)self->low;
	char *end = self->low + self->page;
	int fd = self->o.fd;

	s->size = UINT64_MAX;
	EXPECT_EQ(-EFBIG, call(variant->entry, fd, MMAPDEV_IOC_SET_SIZE, s));
	s->size = 0;
	s->reserved = 1ULL << 63;
	EXPECT_EQ(-EINVAL, call(variant->entry, fd, MMAPDEV_IOC_SET_SIZE, s));
	EXPECT_EQ(-ENOTTY, call(variant->entry, fd,
				_IO(MMAPDEV_IOC_MAGIC, 0x11), s));
	EXPECT_EQ(-EFAULT, call(variant->entry, fd, MMAPDEV_IOC_SET_SIZE,
				NULL));
	EXPECT_EQ(-EFAULT, call(variant->entry, fd, MMAPDEV_IOC_SET_SIZE,
				end - sizeof(*s) + 1));
	EXPECT_EQ(-EFAULT, call(variant->entry, fd, MMAPDEV_IOC_GET_INFO,
				end));
	EXPECT_EQ(4 * self->page, object_size(&self->o));
}

TEST_HARNESS_MAIN
