// SPDX-License-Identifier: GPL-2.0
/*
 * Counters: each event counts once, in its object and in the totals.
 * mmapdev only.
 */
#include "harness.h"

#include "bytes.h"
#include "child.h"
#include "device.h"
#include "trap.h"

/*
 * Loads of pages that are there are resolved by fault-around, or one by one
 * where the kernel has it off: the test turns it on or off, to know which.
 */
FIXTURE(stats) {
	struct object o;
	size_t page;
	size_t window;		/* pages that one load maps at most */
	struct knob around;
	struct mmapdev_stats totals;
};

FIXTURE_VARIANT(stats) {
	const char *around;
};

FIXTURE_VARIANT_ADD(stats, fault_around) { .around = "65536" };
FIXTURE_VARIANT_ADD(stats, page_by_page) { .around = "4096" };

#define PAGES	64

static struct mmapdev_stats totals(void)
{
	return (struct mmapdev_stats) {
		.fault_shared_read = device_total("fault_shared_read"),
		.fault_shared_write = device_total("fault_shared_write"),
		.fault_private_read = device_total("fault_private_read"),
		.fault_cow_source = device_total("fault_cow_source"),
		.fault_cow_hole = device_total("fault_cow_hole"),
		.fault_around = device_total("fault_around"),
		.sigbus = device_total("sigbus"),
		.pages_allocated = device_total("pages_allocated"),
		.pages_freed = device_total("pages_freed"),
	};
}

FIXTURE_SETUP(stats)
{
	self->page = getpagesize();
	self->window = strcmp(variant->around, "4096") ?
		AROUND_BYTES / self->page : 1;
	ASSERT_EQ(0, knob_set(&self->around, AROUND_KNOB, variant->around));
	self->o = object_open(MMAPDEV);
	ASSERT_GE(self->o.fd, 0);
	self->totals = totals();
	ASSERT_LE(0, device_total("fault_shared_read"));
}

FIXTURE_TEARDOWN_PARENT(stats)
{
	EXPECT_EQ(0, knob_restore(&self->around));
}

/* The object's counters, and the totals since the setup, are exactly these. */
#define EXPECT_STATS(...) do {						\
	struct mmapdev_stats expected_ = { __VA_ARGS__ };		\
	struct mmapdev_stats seen_ = object_stats(&self->o);		\
	struct mmapdev_stats now_ = totals();				\
	const __u64 *e_ = (const __u64 *)&expected_;			\
	const __u64 *s_ = (const __u64 *)&seen_;			\
	const __u64 *n_ = (const __u64 *)&now_;				\
	const __u64 *t_ = (const __u64 *)&self->totals;			\
									\
	for (size_t i_ = 0; i_ < sizeof(expected_) / sizeof(*e_); i_++) { \
		EXPECT_EQ(e_[i_], s_[i_])				\
			TH_LOG("counter %zu of the object", i_);	\
		EXPECT_EQ(e_[i_], n_[i_] - t_[i_])			\
			TH_LOG("total %zu", i_);			\
	}								\
} while (0)

TEST_F(stats, opening_and_mapping_count_nothing)
{
	ASSERT_NE(MAP_FAILED, object_map_aligned(&self->o, PAGES, MAP_SHARED));
	ASSERT_NE(MAP_FAILED, object_map_aligned(&self->o, PAGES, MAP_PRIVATE));
	EXPECT_STATS(0);
}

TEST_F(stats, shared_loads_of_holes)
{
	char *p = object_map_aligned(&self->o, PAGES, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_NO_TRAP(trap_load(p));
	EXPECT_NO_TRAP(trap_load(p + 40 * self->page));
	EXPECT_NO_TRAP(trap_load(p));
	EXPECT_STATS(.fault_shared_read = 2, .pages_allocated = 2);
}

TEST_F(stats, shared_stores)
{
	char *p = object_map_aligned(&self->o, PAGES, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < 3; i++)
		EXPECT_NO_TRAP(trap_store(p + i * self->page, 1));
	EXPECT_NO_TRAP(trap_store(p + self->page, 2));
	EXPECT_NO_TRAP(trap_load(p + 2 * self->page));
	EXPECT_STATS(.fault_shared_write = 3, .pages_allocated = 3);
}

TEST_F(stats, shared_stores_to_pages_that_are_there)
{
	char *p = object_map_aligned(&self->o, PAGES, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, self->page));
	EXPECT_NO_TRAP(trap_store(p + self->page, 1));
	EXPECT_STATS(.fault_shared_write = 1, .pages_allocated = 1);
}

TEST_F(stats, private_loads_of_holes)
{
	char *p = object_map_aligned(&self->o, PAGES, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_NO_TRAP(trap_load(p + 3 * self->page));
	EXPECT_STATS(.fault_private_read = 1, .pages_allocated = 1);
}

/* Such a mapping can never be written, but it is shared. */
TEST_F(stats, shared_loads_by_a_descriptor_that_only_reads)
{
	struct object reader = {
		.kind = OBJFILE, .fd = object_file(self->o.fd, O_RDONLY),
	};
	char *p;

	ASSERT_GE(reader.fd, 0);
	p = object_map(&reader, PAGES * self->page, PROT_READ, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_NO_TRAP(trap_load(p + 3 * self->page));
	EXPECT_STATS(.fault_shared_read = 1, .pages_allocated = 1);
	object_close(&reader);
}

TEST_F(stats, private_stores_over_pages)
{
	char *p = object_map_aligned(&self->o, PAGES, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, self->page));
	EXPECT_NO_TRAP(trap_store(p + self->page, 1));
	EXPECT_NO_TRAP(trap_store(p + self->page, 2));
	EXPECT_STATS(.fault_cow_source = 1, .pages_allocated = 1);
}

TEST_F(stats, private_stores_over_holes)
{
	char *p = object_map_aligned(&self->o, PAGES, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_NO_TRAP(trap_store(p, 1));
	EXPECT_NO_TRAP(trap_store(p + self->page, 1));
	EXPECT_STATS(.fault_cow_source = 2, .fault_cow_hole = 2);
}

/* The core copies what is mapped already without asking the object. */
TEST_F(stats, private_stores_after_loads)
{
	char *p = object_map_aligned(&self->o, PAGES, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_NO_TRAP(trap_load(p));
	EXPECT_NO_TRAP(trap_store(p, 1));
	EXPECT_STATS(.fault_private_read = 1, .pages_allocated = 1);
}

/* One fault of a window of pages that are there, or one of each page. */
TEST_F(stats, loads_of_pages_that_are_there)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		struct mmapdev_stats before, after;
		size_t faults = PAGES / self->window;
		bool around = self->window > 1;
		char *p;

		ASSERT_EQ(0, object_fill(&self->o, PAGES, 1));
		p = object_map_aligned(&self->o, PAGES, flags);
		ASSERT_NE(MAP_FAILED, p);
		before = object_stats(&self->o);
		for (size_t i = 0; i < PAGES; i++)
			EXPECT_NO_TRAP(trap_load(p + i * self->page));
		after = object_stats(&self->o);
		EXPECT_EQ(around ? faults : 0,
			  after.fault_around - before.fault_around);
		EXPECT_EQ(around || flags == MAP_PRIVATE ? 0 : faults,
			  after.fault_shared_read - before.fault_shared_read);
		EXPECT_EQ(around || flags == MAP_SHARED ? 0 : faults,
			  after.fault_private_read - before.fault_private_read);
		EXPECT_EQ(PAGES, after.pages_allocated);
	}
}

/* A load of a hole maps its neighbours, which then need no fault. */
TEST_F(stats, loads_of_holes_beside_pages)
{
	bool around = self->window > 1;
	char *p = object_map_aligned(&self->o, PAGES, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, self->page));
	EXPECT_NO_TRAP(trap_load(p));
	EXPECT_NO_TRAP(trap_load(p + self->page));
	EXPECT_STATS(.fault_shared_read = around ? 1 : 2,
		     .pages_allocated = 2);
}

TEST_F(stats, touches_past_the_end)
{
	char *shared = object_map_aligned(&self->o, PAGES, MAP_SHARED);
	char *copy = object_map_aligned(&self->o, PAGES, MAP_PRIVATE);
	char *p;

	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_NE(MAP_FAILED, copy);
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	p = shared + self->page;
	EXPECT_TRAP(trap_load(p), SIGBUS, BUS_ADRERR, p);
	EXPECT_TRAP(trap_store(p, 1), SIGBUS, BUS_ADRERR, p);
	EXPECT_TRAP(trap_store(p, 1), SIGBUS, BUS_ADRERR, p);
	p = copy + self->page;
	EXPECT_TRAP(trap_load(p), SIGBUS, BUS_ADRERR, p);
	EXPECT_TRAP(trap_store(p, 1), SIGBUS, BUS_ADRERR, p);
	EXPECT_STATS(.fault_shared_read = 1, .fault_shared_write = 2,
		     .fault_private_read = 1, .fault_cow_source = 1,
		     .sigbus = 5);
}

TEST_F(stats, pages_come_by_writing_and_go_by_shrinking)
{
	char byte;

	ASSERT_EQ(0, object_fill(&self->o, 8, 1));
	ASSERT_EQ(1, pread(self->o.fd, &byte, 1, 0));
	EXPECT_STATS(.pages_allocated = 8);
	ASSERT_EQ(0, object_resize(&self->o, 5 * self->page + 1));
	EXPECT_STATS(.pages_allocated = 8, .pages_freed = 2);
	ASSERT_EQ(0, object_resize(&self->o, 20 * self->page));
	ASSERT_EQ(1, pwrite(self->o.fd, "a", 1, 7 * self->page));
	EXPECT_STATS(.pages_allocated = 9, .pages_freed = 2);
}

static int touch_in_child(void *arg, struct turn *t)
{
	volatile char *p = arg;

	p[0] = 1;
	return 0;
}

TEST_F(stats, faults_of_other_processes)
{
	char *p = object_map_aligned(&self->o, PAGES, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, child_run(touch_in_child, p));
	EXPECT_STATS(.fault_shared_write = 1, .pages_allocated = 1);
}

TEST_F(stats, totals_keep_what_objects_did_that_are_gone)
{
	struct object other = object_open(MMAPDEV);
	long long objects = device_total("objects");
	long long pages = device_total("pages");

	ASSERT_GE(other.fd, 0);
	ASSERT_EQ(0, object_fill(&other, 8, 1));
	EXPECT_EQ(pages + 8, device_total("pages"));
	object_close(&other);
	EXPECT_EQ(self->totals.pages_allocated + 8,
		  device_total("pages_allocated"));
	EXPECT_EQ(self->totals.pages_freed + 8, device_total("pages_freed"));
	EXPECT_EQ(pages, device_total("pages"));
	EXPECT_EQ(objects - 1, device_total("objects"));
}

OBJECT_FIXTURE(info);
OBJECT_VARIANT(info, mmapdev, MMAPDEV);

TEST_F(info, tells_what_the_module_is)
{
	struct mmapdev_info info = object_info(&self->o);

	EXPECT_EQ(MMAPDEV_ABI_VERSION, info.abi_version);
	EXPECT_EQ(self->page, info.page_size);
	EXPECT_TRUE(info.features & MMAPDEV_FEATURE_ANONYMOUS);
	EXPECT_EQ(file_number(LIMIT_KNOB), (long long)info.limit);
}

TEST_F(info, tells_the_pages_that_are_there)
{
	EXPECT_EQ(0, object_info(&self->o).resident);
	ASSERT_EQ(0, object_fill(&self->o, 5, 1));
	EXPECT_EQ(5, object_info(&self->o).resident);
	EXPECT_EQ(5 * self->page, object_info(&self->o).size);
	ASSERT_EQ(0, object_resize(&self->o, 1));
	EXPECT_EQ(1, object_info(&self->o).resident);
	EXPECT_EQ(1, object_info(&self->o).size);
}

TEST_F(info, each_open_is_an_object_with_a_number_of_its_own)
{
	long long objects = device_total("objects");
	long long opens = device_total("opens");
	struct object others[32];
	uint64_t numbers[33];

	numbers[32] = object_info(&self->o).object;
	for (int i = 0; i < 32; i++) {
		others[i] = object_open(MMAPDEV);
		ASSERT_GE(others[i].fd, 0);
		numbers[i] = object_info(&others[i]).object;
	}
	for (int i = 0; i <= 32; i++)
		for (int j = 0; j < i; j++)
			EXPECT_NE(numbers[j], numbers[i]);
	EXPECT_EQ(objects + 32, device_total("objects"));
	EXPECT_EQ(opens + 32, device_total("opens"));
	for (int i = 0; i < 32; i++)
		object_close(&others[i]);
	EXPECT_EQ(objects, device_total("objects"));
	EXPECT_EQ(opens + 32, device_total("opens"));
}

static int sees_one_page(void *arg, struct turn *t)
{
	struct object *o = arg;

	return turn_wait(t) || object_info(o).resident != 1;
}

TEST_F(info, duplicates_and_children_see_the_same_object)
{
	struct object copy = { .kind = MMAPDEV, .fd = dup(self->o.fd) };
	struct child c = child_start(sees_one_page, &self->o);
	long long objects = device_total("objects");

	ASSERT_GE(copy.fd, 0);
	EXPECT_EQ(object_info(&self->o).object, object_info(&copy).object);
	ASSERT_EQ(1, pwrite(copy.fd, "a", 1, 0));
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
	object_close(&copy);
	EXPECT_EQ(objects, device_total("objects"));
	EXPECT_EQ('a', object_byte(&self->o, 0));
}

TEST_HARNESS_MAIN
