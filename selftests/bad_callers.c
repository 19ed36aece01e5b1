// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that must fail do so with the documented errno, and leave no trace.
 */
#include "harness.h"

#include "address.h"
#include "bytes.h"
#include "device.h"
#include "file_limit.h"

#define KERNEL_ADDRESS	((void *)0xffff888000000000UL)

/*
 * An object of four pages, the second one resident; whatever a test does to
 * it fails, and the teardown finds it as it was, and working.
 */
FIXTURE(bad_callers) {
	struct object o;
	size_t page;
	struct mmapdev_info info;
	struct mmapdev_stats stats;
};

FIXTURE_VARIANT(bad_callers) {
	enum backend_kind kind;
};

MMAPDEV_VARIANTS(bad_callers);

FIXTURE_SETUP(bad_callers)
{
	self->page = getpagesize();
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_resize(&self->o, 4 * self->page));
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, self->page));
	self->info = object_info(&self->o);
	self->stats = object_stats(&self->o);
}

FIXTURE_TEARDOWN(bad_callers)
{
	struct mmapdev_info info = object_info(&self->o);
	struct mmapdev_stats stats = object_stats(&self->o);
	volatile unsigned char *p;

	EXPECT_EQ(0, memcmp(&self->info, &info, sizeof(info)));
	EXPECT_EQ(0, memcmp(&self->stats, &stats, sizeof(stats)));
	EXPECT_EQ('a', object_byte(&self->o, self->page));

	EXPECT_EQ(0, object_resize(&self->o, 8 * self->page));
	p = object_map(&self->o, 8 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ('a', p[self->page]);
	p[7 * self->page] = 'b';
	EXPECT_EQ('b', object_byte(&self->o, 7 * self->page));
	EXPECT_EQ(2, object_resident(&self->o));
	object_close(&self->o);
}

#define EXPECT_IOCTL_FAILS(expected, fd, cmd, arg) do {			\
	EXPECT_EQ(-1, ioctl(fd, cmd, arg));				\
	EXPECT_EQ(expected, errno);					\
} while (0)

#define EXPECT_IOCTL(fd, cmd, arg)					\
	EXPECT_EQ(0, ioctl(fd, cmd, arg))

static const struct call {
	unsigned int cmd;
	size_t size;
} calls[] = {
	{ MMAPDEV_IOC_GET_INFO, sizeof(struct mmapdev_info) },
	{ MMAPDEV_IOC_SET_SIZE, sizeof(struct mmapdev_size) },
	{ MMAPDEV_IOC_GET_STATS, sizeof(struct mmapdev_stats) },
	{ MMAPDEV_IOC_PAGES, sizeof(struct mmapdev_pages) },
	{ MMAPDEV_IOC_SET_NAME, sizeof(struct mmapdev_name) },
	{ MMAPDEV_IOC_REMOVE_NAME, 0 },
	{ MMAPDEV_IOC_GET_FILE, sizeof(struct mmapdev_file) },
	{ MMAPDEV_IOC_CREATE, sizeof(struct mmapdev_create) },
	{ MMAPDEV_IOC_CRASH, sizeof(struct mmapdev_crash) },
	{ MMAPDEV_IOC_ADD_RULE, sizeof(struct mmapdev_rule) },
	{ MMAPDEV_IOC_GET_RULE, sizeof(struct mmapdev_rule) },
	{ MMAPDEV_IOC_REMOVE_RULE, sizeof(struct mmapdev_rule) },
	{ MMAPDEV_IOC_UNSYNCED, sizeof(struct mmapdev_unsynced) },
};

static bool is_call(unsigned int cmd)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i].cmd == cmd)
			return true;
	return false;
}

TEST_F(bad_callers, unknown_numbers_of_our_magic_are_enotty)
{
	char arg[256] = {};

	for (unsigned int dir = 0; dir < 4; dir++)
		for (unsigned int nr = 0; nr < 256; nr++) {
			unsigned int cmd = _IOC(dir, MMAPDEV_IOC_MAGIC, nr, 16);

			if (!is_call(cmd))
				EXPECT_IOCTL_FAILS(ENOTTY, self->o.fd, cmd, arg);
		}
}

TEST_F(bad_callers, known_numbers_of_another_size_or_direction_are_enotty)
{
	char arg[256] = {};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		for (unsigned int dir = 0; dir < 4; dir++)
			for (size_t size = 0; size <= sizeof(arg); size++) {
				unsigned int cmd = _IOC(dir, MMAPDEV_IOC_MAGIC,
							_IOC_NR(calls[i].cmd),
							size);

				if (cmd != calls[i].cmd)
					EXPECT_IOCTL_FAILS(ENOTTY, self->o.fd,
							   cmd, arg);
			}
}

TEST_F(bad_callers, known_numbers_of_another_magic_are_enotty)
{
	char arg[256] = {};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		EXPECT_IOCTL_FAILS(ENOTTY, self->o.fd, calls[i].cmd ^ 0x100,
				   arg);
	EXPECT_FALSE(isatty(self->o.fd));
	EXPECT_EQ(ENOTTY, errno);
}

TEST_F(bad_callers, structs_that_are_not_there_are_efault)
{
	char *edge = address_edge(1);

	ASSERT_NE(MAP_FAILED, edge);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		unsigned int cmd = calls[i].cmd;

		if (!calls[i].size)
			continue;
		EXPECT_IOCTL_FAILS(EFAULT, self->o.fd, cmd, NULL);
		EXPECT_IOCTL_FAILS(EFAULT, self->o.fd, cmd, KERNEL_ADDRESS);
		EXPECT_IOCTL_FAILS(EFAULT, self->o.fd, cmd, (void *)-8L);
		EXPECT_IOCTL_FAILS(EFAULT, self->o.fd, cmd, edge);
	}
}

/* All but the last byte can be touched: the size that is set must not be. */
TEST_F(bad_callers, structs_that_reach_an_unmapped_page_are_efault)
{
	char *edge = address_edge(1);

	ASSERT_NE(MAP_FAILED, edge);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		for (size_t inside = 1; inside < calls[i].size; inside++)
			EXPECT_IOCTL_FAILS(EFAULT, self->o.fd, calls[i].cmd,
					   edge - inside);
}

TEST_F(bad_callers, structs_in_read_only_memory_cannot_be_filled)
{
	void *p = mmap(NULL, self->page, PROT_READ,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_IOCTL_FAILS(EFAULT, self->o.fd, MMAPDEV_IOC_GET_INFO, p);
	EXPECT_IOCTL_FAILS(EFAULT, self->o.fd, MMAPDEV_IOC_GET_STATS, p);
}

TEST_F(bad_callers, every_reserved_byte_of_set_size_must_be_zero)
{
	for (size_t i = 0; i < sizeof(uint64_t); i++) {
		struct mmapdev_size s = { .size = 16 * self->page };

		((unsigned char *)&s.reserved)[i] = 1;
		EXPECT_IOCTL_FAILS(EINVAL, self->o.fd, MMAPDEV_IOC_SET_SIZE,
				   &s);
	}
}

TEST_F(bad_callers, every_reserved_byte_and_flag_of_pages_must_be_zero)
{
	unsigned char states[4] = { 9, 9, 9, 9 };

	for (size_t bit = 0; bit < 64; bit++) {
		struct mmapdev_pages p = {
			.count = 4, .states = (uintptr_t)states,
			.flags = bit < 32 ? 1U << bit : 0,
			.reserved = bit < 32 ? 0 : 1U << (bit - 32),
		};

		EXPECT_IOCTL_FAILS(EINVAL, self->o.fd, MMAPDEV_IOC_PAGES, &p);
	}
	EXPECT_TRUE(bytes_are(states, 9, 4));
}

TEST_F(bad_callers, reserved_fields_come_back_zero)
{
	struct mmapdev_info info;
	struct mmapdev_stats stats;

	memset(&info, 0xff, sizeof(info));
	memset(&stats, 0xff, sizeof(stats));
	EXPECT_IOCTL(self->o.fd, MMAPDEV_IOC_GET_INFO, &info);
	EXPECT_IOCTL(self->o.fd, MMAPDEV_IOC_GET_STATS, &stats);
	EXPECT_TRUE(bytes_are(info.reserved, 0, sizeof(info.reserved)));
	EXPECT_TRUE(bytes_are(stats.reserved, 0, sizeof(stats.reserved)));
}

TEST_F(bad_callers, sizes_over_the_largest_are_efbig)
{
	uint64_t max = self->info.max_size;
	uint64_t sizes[] = { max + 1, max + self->page, 1ULL << 63,
			     (1ULL << 63) + 1, UINT64_MAX - 4095, UINT64_MAX };

	ASSERT_EQ(0, max % self->page);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct mmapdev_size s = { .size = sizes[i] };

		EXPECT_IOCTL_FAILS(EFBIG, self->o.fd, MMAPDEV_IOC_SET_SIZE, &s);
	}
	EXPECT_EQ(0, object_resize(&self->o, max));
	EXPECT_EQ(max, object_size(&self->o));
	EXPECT_EQ(0, object_resize(&self->o, 4 * self->page));
}

TEST_F(bad_callers, ranges_off_a_page_boundary_are_einval)
{
	uint64_t offsets[] = { 1, self->page - 1, self->page + 8, UINT64_MAX };
	unsigned char states[4];

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		struct mmapdev_pages p = {
			.offset = offsets[i], .count = 1,
			.states = (uintptr_t)states,
		};

		EXPECT_IOCTL_FAILS(EINVAL, self->o.fd, MMAPDEV_IOC_PAGES, &p);
	}
}

TEST_F(bad_callers, ranges_past_the_largest_size_are_efbig)
{
	uint64_t max = self->info.max_size;
	struct { uint64_t offset, count; } ranges[] = {
		{ max, 1 },
		{ max - self->page, 2 },
		{ max + self->page, 0 },
		{ -(uint64_t)self->page, 1 },
		{ 0, max / self->page + 1 },
		{ self->page, max / self->page },
		{ 0, UINT64_MAX },
		{ max, -(max / self->page) + 1 },	/* wraps round to 1 */
	};
	unsigned char states[2] = { 9, 9 };

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		struct mmapdev_pages p = {
			.offset = ranges[i].offset, .count = ranges[i].count,
			.states = (uintptr_t)states,
		};

		EXPECT_IOCTL_FAILS(EFBIG, self->o.fd, MMAPDEV_IOC_PAGES, &p);
	}
	EXPECT_TRUE(bytes_are(states, 9, 2));
}

TEST_F(bad_callers, last_page_and_no_pages_are_valid_ranges)
{
	unsigned char state = 9;
	struct mmapdev_pages last = {
		.offset = self->info.max_size - self->page, .count = 1,
		.states = (uintptr_t)&state,
	};
	struct mmapdev_pages none = { .offset = self->info.max_size };

	EXPECT_IOCTL(self->o.fd, MMAPDEV_IOC_PAGES, &last);
	EXPECT_EQ(0, state);
	EXPECT_IOCTL(self->o.fd, MMAPDEV_IOC_PAGES, &none);
}

TEST_F(bad_callers, room_for_too_few_states_is_efault)
{
	unsigned char *edge = address_edge(1);
	struct mmapdev_pages p = { .count = self->page + 1,
				   .states = (uintptr_t)edge - self->page };

	ASSERT_NE(MAP_FAILED, (void *)edge);
	EXPECT_IOCTL_FAILS(EFAULT, self->o.fd, MMAPDEV_IOC_PAGES, &p);
	p.count--;
	EXPECT_IOCTL(self->o.fd, MMAPDEV_IOC_PAGES, &p);
	EXPECT_EQ(1, edge[1 - (long)self->page]);

	p.count = 1;
	p.states = (uintptr_t)edge;
	EXPECT_IOCTL_FAILS(EFAULT, self->o.fd, MMAPDEV_IOC_PAGES, &p);
	p.states = 0;
	EXPECT_IOCTL_FAILS(EFAULT, self->o.fd, MMAPDEV_IOC_PAGES, &p);
	p.states = (uintptr_t)KERNEL_ADDRESS;
	EXPECT_IOCTL_FAILS(EFAULT, self->o.fd, MMAPDEV_IOC_PAGES, &p);
	p.states = UINT64_MAX;
	EXPECT_IOCTL_FAILS(EFAULT, self->o.fd, MMAPDEV_IOC_PAGES, &p);
	p.count = self->info.max_size / self->page;
	p.states = (uintptr_t)edge - self->page;
	EXPECT_IOCTL_FAILS(EFAULT, self->o.fd, MMAPDEV_IOC_PAGES, &p);
}

OBJECT_FIXTURE(size_callers);
FILE_VARIANTS(size_callers);

TEST_F(size_callers, reader_may_not_resize)
{
	struct object reader = object_open_flags(variant->kind, O_RDONLY);
	uint64_t size = object_size(&reader);

	ASSERT_GE(reader.fd, 0);
	EXPECT_EQ(-1, object_resize(&reader, size ? 0 : self->page));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(size, object_size(&reader));
	object_close(&reader);
}

TEST_F(size_callers, writer_that_may_not_read_may_resize)
{
	struct object writer = object_open_flags(variant->kind, O_WRONLY);

	ASSERT_GE(writer.fd, 0);
	EXPECT_EQ(0, object_resize(&writer, 3 * self->page));
	EXPECT_EQ(3 * self->page, object_size(&writer));
	object_close(&writer);
}

TEST_F(size_callers, growing_over_rlimit_fsize_is_efbig_and_sigxfsz)
{
	size_t limit = 5 * self->page / 2;

	ASSERT_EQ(0, object_resize(&self->o, self->page));
	ASSERT_EQ(0, limit_file_size(limit));
	EXPECT_EQ(-1, object_resize(&self->o, limit + 1));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_TRUE(sigxfsz_sent());
	EXPECT_EQ(self->page, object_size(&self->o));
	EXPECT_EQ(0, object_resize(&self->o, limit));
	EXPECT_FALSE(sigxfsz_sent());
	EXPECT_EQ(limit, object_size(&self->o));
}

/* The limit is on growth: an object over it may shrink, still over it. */
TEST_F(size_callers, shrinking_to_over_rlimit_fsize_is_allowed)
{
	ASSERT_EQ(0, object_resize(&self->o, 8 * self->page));
	ASSERT_EQ(0, limit_file_size(5 * self->page / 2));
	EXPECT_EQ(0, object_resize(&self->o, 4 * self->page));
	EXPECT_FALSE(sigxfsz_sent());
	EXPECT_EQ(4 * self->page, object_size(&self->o));
}

TEST_F(size_callers, writing_over_rlimit_fsize_is_cut_short_then_efbig)
{
	size_t limit = 5 * self->page / 2;
	char bytes[2 * self->page];

	memset(bytes, 1, sizeof(bytes));
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	ASSERT_EQ(0, limit_file_size(limit));
	EXPECT_EQ(self->page / 2,
		  pwrite(self->o.fd, bytes, sizeof(bytes), 2 * self->page));
	EXPECT_FALSE(sigxfsz_sent());
	EXPECT_EQ(limit, object_size(&self->o));
	EXPECT_EQ(-1, pwrite(self->o.fd, bytes, 1, limit));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_TRUE(sigxfsz_sent());
	EXPECT_EQ(limit, object_size(&self->o));
	EXPECT_EQ(1, object_byte(&self->o, limit - 1));
}

TEST_HARNESS_MAIN
