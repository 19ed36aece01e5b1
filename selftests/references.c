// SPDX-License-Identifier: GPL-2.0
/*
 * References to pages: whatever an object is used for, its pages can be freed
 * after that. A reference that is taken and not dropped shows in no counter, and
 * costs a page each time.
 */
#include "kselftest_harness.h"

#include <linux/falloc.h>

#include "device.h"
#include "drop_caches.h"
#include "durable.h"
#include "frames.h"
#include "huge.h"
#include "trap.h"

#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

/* A use of an object of FRAMES pages, each of which it comes to: 0, or -1. */
typedef int (*use_fn)(const struct object *o);

static off_t at(size_t index)
{
	return (off_t)index * getpagesize();
}

/* Is a call right for each page? The page is i. */
#define ALL_PAGES(call) ({						\
	bool ok_ = true;						\
									\
	for (size_t i = 0; i < FRAMES; i++)				\
		ok_ &= (call);						\
	ok_ ? 0 : -1;							\
})

OBJECT_FIXTURE(pages);
FILE_VARIANTS(pages);

/*
 * How many of the pages stay, once the object has them no more. Others may come to
 * use a frame: the least of three rounds.
 */
static size_t pages_kept(const struct object *o, use_fn use)
{
	size_t least = FRAMES;

	for (int i = 0; i < 3 && least; i++) {
		struct frames f;
		size_t n;

		if (object_fill(o, FRAMES, 'a') || frames_note(&f, o->fd) ||
		    frames_listed(&f) < FEW_FRAMES || use(o) ||
		    object_resize(o, 0))
			return FRAMES;
		n = frames_listed(&f);
		least = n < least ? n : least;
	}
	return least;
}

#define EXPECT_FREED(use)						\
	EXPECT_GT(FEW_FRAMES, pages_kept(&self->o, use))

static int use_not(const struct object *o)
{
	return 0;
}

static int use_by_read(const struct object *o)
{
	char byte;

	return ALL_PAGES(pread(o->fd, &byte, 1, at(i) + 5) == 1);
}

static int use_by_write(const struct object *o)
{
	return ALL_PAGES(pwrite(o->fd, "x", 1, at(i) + 5) == 1);
}

TEST_F(pages, are_free_after_reads_and_writes)
{
	EXPECT_FREED(use_not);
	EXPECT_FREED(use_by_read);
	EXPECT_FREED(use_by_write);
}

static int use_by_mapping(const struct object *o, int flags, bool store)
{
	size_t length = FRAMES * getpagesize();
	char *p = object_map(o, length, RW, flags);

	if (p == MAP_FAILED)
		return -1;
	for (size_t i = 0; i < FRAMES; i++) {
		volatile char *byte = p + at(i) + 9;

		if (store)
			*byte = 'x';
		else
			(void)*byte;
	}
	return munmap(p, length);
}

static int use_by_shared_loads(const struct object *o)
{
	return use_by_mapping(o, MAP_SHARED, false);
}

static int use_by_shared_stores(const struct object *o)
{
	return use_by_mapping(o, MAP_SHARED, true);
}

static int use_by_private_loads(const struct object *o)
{
	return use_by_mapping(o, MAP_PRIVATE, false);
}

static int use_by_private_stores(const struct object *o)
{
	return use_by_mapping(o, MAP_PRIVATE, true);
}

TEST_F(pages, are_free_after_faults)
{
	EXPECT_FREED(use_by_shared_loads);
	EXPECT_FREED(use_by_shared_stores);
	EXPECT_FREED(use_by_private_loads);
	EXPECT_FREED(use_by_private_stores);
}

/* The end of file comes to be inside of each page, from the last to the first. */
static int use_by_shrinking(const struct object *o)
{
	return ALL_PAGES(!object_resize(o, at(FRAMES - 1 - i) + 100));
}

/* Grow from inside of each page to the inside of the next. */
static int use_by_growing(const struct object *o)
{
	size_t next = getpagesize();

	return ALL_PAGES(!object_resize(o, at(FRAMES - 1 - i) + 100) &&
			 !object_resize(o, at(FRAMES - 1 - i) + 100 + next));
}

static int use_by_writing_past_the_end(const struct object *o)
{
	size_t next = getpagesize();

	return ALL_PAGES(!object_resize(o, at(FRAMES - 1 - i) + 100) &&
			 pwrite(o->fd, "x", 1, at(FRAMES - 1 - i) + next) == 1);
}

TEST_F(pages, are_free_after_the_end_was_inside_of_them)
{
	EXPECT_FREED(use_by_shrinking);
	EXPECT_FREED(use_by_growing);
	EXPECT_FREED(use_by_writing_past_the_end);
}

/* From page to page: data, then the hole behind it. */
static int use_by_seeking(const struct object *o)
{
	return ALL_PAGES(lseek(o->fd, at(i), SEEK_DATA) == at(i) &&
			 lseek(o->fd, at(i), SEEK_HOLE) == at(FRAMES));
}

static int use_by_asking_for_states(const struct object *o)
{
	unsigned char states[FRAMES];
	struct mmapdev_pages pages = {
		.count = FRAMES,
		.states = (uintptr_t)states,
	};

	return is_mmapdev(o->kind) ? ioctl(o->fd, MMAPDEV_IOC_PAGES, &pages)
				   : 0;
}

TEST_F(pages, are_free_after_looks_at_where_they_are)
{
	EXPECT_FREED(use_by_seeking);
	EXPECT_FREED(use_by_asking_for_states);
}

/* fallocate(2): what the device node cannot do. */
OBJECT_FIXTURE(file_pages);
REGULAR_VARIANTS(file_pages);

static int use_by_giving(const struct object *o)
{
	return fallocate(o->fd, 0, 0, at(FRAMES + 1));
}

static int use_by_growing_by_fallocate(const struct object *o)
{
	return ALL_PAGES(!object_resize(o, at(FRAMES - 1 - i) + 100) &&
			 !fallocate(o->fd, 0, at(FRAMES - 1 - i), 200));
}

static int use_by_punching_inside(const struct object *o)
{
	return ALL_PAGES(!fallocate(o->fd, PUNCH, at(i) + 10, 20));
}

static int use_by_punching_across(const struct object *o)
{
	return ALL_PAGES(!fallocate(o->fd, PUNCH, at(i) + 10, getpagesize()));
}

static int use_by_zeroing(const struct object *o)
{
	if (!is_mmapdev(o->kind))	/* others have no such call */
		return 0;
	return fallocate(o->fd, FALLOC_FL_ZERO_RANGE, 7, at(FRAMES) - 14);
}

TEST_F(file_pages, are_free_after_fallocate)
{
	EXPECT_FREED(use_by_giving);
	EXPECT_FREED(use_by_growing_by_fallocate);
	EXPECT_FREED(use_by_punching_inside);
	EXPECT_FREED(use_by_punching_across);
	EXPECT_FREED(use_by_zeroing);
}

/* There is room for a few pages only: what was taken is given back. */
static int use_by_giving_in_vain(const struct object *o)
{
	struct knob limit = {};
	int ret;

	if (!is_mmapdev(o->kind))
		return 0;
	if (limit_set(&limit, object_info(o).used + at(FRAMES / 2)))
		return -1;
	ret = fallocate(o->fd, 0, 0, at(2 * FRAMES));
	return knob_restore(&limit) || ret != -1 || errno != ENOSPC ? -1 : 0;
}

TEST_F(file_pages, are_free_after_fallocate_has_failed)
{
	EXPECT_FREED(use_by_giving_in_vain);
}

/*
 * Durable objects, whose pages the kernel drops once they are clean, but none to
 * which there is a reference: this is exact. FRAMES pages of 'd', clean.
 */
#define FRAMES_FIXTURE(name)						\
	FIXTURE(name) {							\
		struct durable d;					\
		struct object o;	/* the same */			\
		struct frames frames;					\
		size_t page;						\
		size_t length;						\
	};								\
	FIXTURE_VARIANT(name) {						\
		enum durable_kind kind;					\
		int after_error;					\
	};								\
	FIXTURE_SETUP(name) {						\
		self->page = getpagesize();				\
		self->length = FRAMES * self->page;			\
		if (!durable_possible(variant->kind)) {			\
			SKIP(, "%s", durable_lacks(variant->kind));	\
		} else {						\
			self->d = durable_new(variant->kind,		\
					      self->length,		\
					      variant->after_error);	\
			ASSERT_GE(self->d.fd, 0);			\
			self->o.kind = OBJFILE;				\
			self->o.fd = self->d.fd;			\
			for (size_t i = 0; i < FRAMES; i++)		\
				ASSERT_EQ(0, page_write(self->d.fd, i,	\
							'd'));		\
			ASSERT_EQ(0, fsync(self->d.fd));		\
			ASSERT_EQ(0, frames_note(&self->frames,		\
						 self->d.fd));		\
			ASSERT_LE(FEW_FRAMES,				\
				  frames_listed(&self->frames));	\
		}							\
	}								\
	FIXTURE_TEARDOWN(name) {					\
		durable_close(&self->d);				\
	}

FRAMES_FIXTURE(durable_pages);
OBJECT_KINDS(durable_pages);

/* Drop what is clean; how many pages are there all the same? */
static unsigned long held(const struct durable *d)
{
	if (fsync(d->fd) || posix_fadvise(d->fd, 0, 0, POSIX_FADV_DONTNEED))
		return FRAMES;
	return durable_info(d).resident;
}

/* How many pages of the file that is the store are there all the same? */
static size_t held_below(const struct durable *d)
{
	unsigned char there[FRAMES];
	size_t n = 0;
	void *p;

	/* tmpfs has them nowhere else, and elsewhere there are none. */
	if (d->kind != ON_EXT4)
		return 0;
	p = mmap(NULL, at(FRAMES), PROT_READ, MAP_SHARED, d->backing, 0);
	if (p == MAP_FAILED ||
	    posix_fadvise(d->backing, 0, 0, POSIX_FADV_DONTNEED) ||
	    mincore(p, at(FRAMES), there))
		return FRAMES;
	munmap(p, at(FRAMES));
	for (size_t i = 0; i < FRAMES; i++)
		n += there[i] & 1;
	return n;
}

/* All can be dropped, and the memory of those that were there is free. */
#define EXPECT_ALL_DROPPED() do {					\
	EXPECT_EQ(0, held(&self->d));					\
	EXPECT_EQ(0, held_below(&self->d));				\
	EXPECT_GT(FEW_FRAMES, frames_listed(&self->frames));		\
} while (0)

/* First with all pages there, then with none: they are loaded. */
#define EXPECT_ALL_DROPPED_AFTER(use) do {				\
	EXPECT_EQ(0, use(&self->o));					\
	EXPECT_EQ(0, held(&self->d)) TH_LOG("there: %s", #use);		\
	EXPECT_EQ(0, use(&self->o));					\
	EXPECT_EQ(0, held(&self->d)) TH_LOG("loaded: %s", #use);	\
} while (0)

TEST_F(durable_pages, can_be_dropped_after_reads_and_writes)
{
	EXPECT_ALL_DROPPED_AFTER(use_not);
	EXPECT_ALL_DROPPED_AFTER(use_by_read);
	EXPECT_ALL_DROPPED_AFTER(use_by_write);
	EXPECT_ALL_DROPPED();
}

TEST_F(durable_pages, can_be_dropped_after_faults)
{
	EXPECT_ALL_DROPPED_AFTER(use_by_shared_loads);
	EXPECT_ALL_DROPPED_AFTER(use_by_private_loads);
	EXPECT_ALL_DROPPED_AFTER(use_by_shared_stores);
	EXPECT_ALL_DROPPED_AFTER(use_by_private_stores);
	EXPECT_ALL_DROPPED();
}

/* Of a mapping as large as this, pages are made before they are touched. */
static int use_by_dense_loads(const struct object *o)
{
	size_t length = huge_bytes() + getpagesize();
	char *p = object_map(o, length, RW, MAP_SHARED);

	if (p == MAP_FAILED || madvise(p, length, MADV_SEQUENTIAL) ||
	    ALL_PAGES(!trap_load(p + at(i)).signo))
		return -1;
	return munmap(p, length);
}

TEST_F(durable_pages, can_be_dropped_after_loads_ahead)
{
	EXPECT_ALL_DROPPED_AFTER(use_by_dense_loads);
	EXPECT_ALL_DROPPED();
}

/* Into the first page only, as it stays. */
static int use_by_shrinking_into_a_page(const struct object *o)
{
	return object_resize(o, 100);
}

static int use_by_growing_from_inside(const struct object *o)
{
	return object_resize(o, 100) ?: object_resize(o, at(FRAMES));
}

TEST_F(durable_pages, can_be_dropped_after_the_end_was_inside_of_them)
{
	EXPECT_EQ(0, use_by_shrinking(&self->o));
	EXPECT_ALL_DROPPED();
	EXPECT_ALL_DROPPED_AFTER(use_by_growing_from_inside);
	EXPECT_ALL_DROPPED_AFTER(use_by_shrinking_into_a_page);
	EXPECT_EQ(100, file_size(self->d.fd));
}

TEST_F(durable_pages, can_be_dropped_after_fallocate)
{
	EXPECT_ALL_DROPPED_AFTER(use_by_giving);
	EXPECT_ALL_DROPPED_AFTER(use_by_zeroing);
	EXPECT_ALL_DROPPED_AFTER(use_by_punching_inside);
	EXPECT_ALL_DROPPED_AFTER(use_by_punching_across);
	EXPECT_ALL_DROPPED();
}

static int use_by_asking_what_is_not_synced(const struct object *o)
{
	struct mmapdev_unsynced_page pages[FRAMES];
	struct mmapdev_unsynced want = {
		.count = FRAMES,
		.pages = (uintptr_t)pages,
	};

	return use_by_write(o) ?: ioctl(o->fd, MMAPDEV_IOC_UNSYNCED, &want) ?:
		want.count == FRAMES ? 0 : -1;
}

TEST_F(durable_pages, can_be_dropped_after_looks_at_where_they_are)
{
	EXPECT_ALL_DROPPED_AFTER(use_by_seeking);
	EXPECT_ALL_DROPPED_AFTER(use_by_asking_for_states);
	EXPECT_ALL_DROPPED_AFTER(use_by_asking_what_is_not_synced);
	EXPECT_ALL_DROPPED();
}

static int store_and_sync(char *p)
{
	*p = 's';
	return msync(p, getpagesize(), MS_SYNC);
}

static int use_by_syncing_ranges(const struct object *o)
{
	char *p = object_map(o, at(FRAMES), RW, MAP_SHARED);

	if (p == MAP_FAILED || ALL_PAGES(!store_and_sync(p + at(i))))
		return -1;
	return munmap(p, at(FRAMES));
}

/* Written back, loaded from there, and written again, before they are flushed. */
static int use_by_writing_back(const struct object *o)
{
	for (int i = 0; i < 2; i++)
		if (use_by_write(o) ||
		    sync_file_range(o->fd, 0, 0,
				    SYNC_FILE_RANGE_WRITE |
				    SYNC_FILE_RANGE_WAIT_AFTER) ||
		    posix_fadvise(o->fd, 0, 0, POSIX_FADV_DONTNEED) ||
		    use_by_read(o))
			return -1;
	return 0;
}

TEST_F(durable_pages, can_be_dropped_after_syncs)
{
	EXPECT_ALL_DROPPED_AFTER(use_by_syncing_ranges);
	EXPECT_ALL_DROPPED_AFTER(use_by_writing_back);
	EXPECT_ALL_DROPPED();
}

/* Every second page is dirty, or written back. */
static int use_by_cutting(const struct object *o)
{
	for (size_t i = 0; i < FRAMES; i += 2)
		if (pwrite(o->fd, "x", 1, at(i)) != 1)
			return -1;
	if (sync_file_range(o->fd, 0, at(FRAMES / 2), SYNC_FILE_RANGE_WRITE |
			    SYNC_FILE_RANGE_WAIT_AFTER))
		return -1;
	return crash_call(o->fd, MMAPDEV_CRASH_REVERT) == FRAMES / 2 ? 0 : -1;
}

/* Of a mapping, which the cut takes pages from. */
static int use_by_cutting_a_mapping(const struct object *o)
{
	char *p = object_map(o, at(FRAMES), RW, MAP_SHARED);

	if (p == MAP_FAILED)
		return -1;
	for (size_t i = 0; i < FRAMES; i++) {
		if (i % 2)
			p[at(i)] = 'x';
		else
			(void)*(volatile char *)(p + at(i));
	}
	if (crash_call(o->fd, MMAPDEV_CRASH_REVERT) != FRAMES / 2)
		return -1;
	return munmap(p, at(FRAMES));
}

TEST_F(durable_pages, can_be_dropped_after_power_cuts)
{
	EXPECT_ALL_DROPPED_AFTER(use_by_cutting);
	EXPECT_ALL_DROPPED_AFTER(use_by_cutting_a_mapping);
	EXPECT_ALL_DROPPED();
}

/* What fails, and what becomes of the pages then. */
FRAMES_FIXTURE(failing_pages);
OBJECT_KINDS(failing_pages);
DURABLE_VARIANT(failing_pages, mmapdev_memory_reverting, .kind = MEMORY,
		.after_error = MMAPDEV_AFTER_ERROR_REVERT);
DURABLE_VARIANT(failing_pages, mmapdev_on_tmpfs_reverting, .kind = ON_TMPFS,
		.after_error = MMAPDEV_AFTER_ERROR_REVERT);
DURABLE_VARIANT(failing_pages, mmapdev_on_tmpfs_tried_again, .kind = ON_TMPFS,
		.after_error = MMAPDEV_AFTER_ERROR_DIRTY);

TEST_F(failing_pages, can_be_dropped_after_refused_stores_and_failed_syncs)
{
	char *p = object_map(&self->o, self->length, RW, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_MKWRITE,
				  MMAPDEV_ACTION_ENOSPC, 0, 0));
	EXPECT_EQ(0, ALL_PAGES(trap_store(p + at(i), 'x').signo == SIGBUS));
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_WRITEBACK,
				  MMAPDEV_ACTION_EIO, 0, 0));
	EXPECT_EQ(0, ALL_PAGES(!trap_store(p + at(i), 'x').signo));
	EXPECT_EQ(-1, msync(p, self->length, MS_SYNC));
	EXPECT_EQ(EIO, errno);
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	ASSERT_EQ(0, munmap(p, self->length));
	EXPECT_ALL_DROPPED();
}

/* The store's file lost its bytes: no page of it can be loaded, or flushed. */
TEST_F(failing_pages, can_be_dropped_after_failed_flushes)
{
	if (self->d.backing < 0)
		return;
	for (size_t i = 1; i < FRAMES; i += 2)	/* past the new end, all */
		ASSERT_EQ(1, pwrite(self->d.fd, "x", 1, at(i)));
	ASSERT_EQ(0, ftruncate(self->d.backing, 0));
	errno = 0;
	EXPECT_EQ(-1, fsync(self->d.fd));
	EXPECT_EQ(EIO, errno);
	ASSERT_EQ(0, ftruncate(self->d.backing, self->length));
	fsync(self->d.fd);	/* whose error has been told, or not */
	EXPECT_ALL_DROPPED();
}

/* Twice: what a call that failed has left is what the next one finds. */
#define EXPECT_EIO(call) do {						\
	EXPECT_EQ(-1, call);						\
	errno = 0;							\
	EXPECT_EQ(-1, call);						\
	EXPECT_EQ(EIO, errno);						\
	EXPECT_EQ(0, held(&self->d)) TH_LOG("%s", #call);		\
} while (0)

static int trap_all(char *p, bool store)
{
	return ALL_PAGES((store ? trap_store(p + at(i), 'x') :
				  trap_load(p + at(i))).signo == SIGBUS);
}

TEST_F(failing_pages, can_be_dropped_after_failed_loads)
{
	size_t dense = huge_bytes() + self->page;
	int flags[] = { MAP_SHARED, MAP_PRIVATE };
	char byte;

	if (self->d.backing < 0)
		return;
	ASSERT_EQ(0, held(&self->d));
	ASSERT_EQ(0, ftruncate(self->d.backing, 0));
	EXPECT_EIO(pread(self->d.fd, &byte, 1, at(3)));
	EXPECT_EIO(pwrite(self->d.fd, "x", 1, at(3)));
	EXPECT_EIO(ftruncate(self->d.fd, at(3) + 100));
	EXPECT_EIO(fallocate(self->d.fd, PUNCH, at(3) + 10, 20));
	EXPECT_EIO(fallocate(self->d.fd, FALLOC_FL_ZERO_RANGE, at(3), 20));
	for (int i = 0; i < 4; i++) {
		char *p = object_map(&self->o, i < 2 ? self->length : dense,
				     RW, flags[i % 2]);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(0, trap_all(p, false));
		EXPECT_EQ(0, held(&self->d)) TH_LOG("loads %d", i);
		EXPECT_EQ(0, trap_all(p, true));
		EXPECT_EQ(0, trap_all(p, true));
		EXPECT_EQ(0, held(&self->d)) TH_LOG("stores %d", i);
		munmap(p, i < 2 ? self->length : dense);
	}
	ASSERT_EQ(0, ftruncate(self->d.backing, self->length));
	EXPECT_EQ(0, use_by_read(&self->o));
	EXPECT_ALL_DROPPED();
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
