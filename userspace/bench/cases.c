// SPDX-License-Identifier: GPL-2.0
/*
 * What is measured: each case makes memory, brings it into some state, and
 * takes the time of one thing.
 */
#include "cases.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"
#include "touch.h"

#define PAGE		4096ULL
#define SPARSE_STRIDE	(2ULL << 20)
#define SPARSE_EXTENT	16	/* times the size */
#define SIGNALS		1024
#define SYNCS		16	/* of one page each */
#define SYNC_PART	100	/* one page of this many */

static uint64_t pages_of(const struct run *r)
{
	return r->size / PAGE;
}

/* Store to each page of a mapping, as a preparation. */
static void fill(const struct run *r, void *map)
{
	touch(map, &(struct touch){
		.store = true, .pages = pages_of(r), .stride = PAGE,
	});
}

/* A piece of memory, mapped, and full if it shall be. */
static int begin_size(const struct run *r, struct memory *m, void **map,
		      uint64_t size)
{
	int err;

	if (memory_open(m, r->backend, size)) {
		memory_close(m);
		return -1;
	}
	*map = memory_map(m, 0);
	if (*map != MAP_FAILED)
		return 0;
	err = errno;
	memory_close(m);
	errno = err;
	return -1;
}

static int begin(const struct run *r, struct memory *m, void **map)
{
	return begin_size(r, m, map, r->size);
}

static int begin_full(const struct run *r, struct memory *m, void **map)
{
	if (begin(r, m, map))
		return -1;
	fill(r, *map);
	return 0;
}

static int end(struct memory *m, void *map)
{
	munmap(map, m->size);
	memory_close(m);
	return 0;
}

/* The first touch of memory that is new. */
static int touch_new(struct run *r, uint64_t size, struct touch t)
{
	struct memory m;
	uint64_t before;
	void *map;

	t.threads = r->threads;
	if (begin_size(r, &m, &map, size))
		return -1;
	before = memory_resident(&m, map);
	r->pages = t.pages;
	r->time = touch_timed(map, &t);
	r->cleared = memory_resident(&m, map) - before;
	r->counted = true;
	return end(&m, map);
}

static int dense(struct run *r, bool store)
{
	return touch_new(r, r->size, (struct touch){
		.store = store, .pages = pages_of(r), .stride = PAGE,
	});
}

static int write_dense(struct run *r)
{
	return dense(r, true);
}

static int read_dense(struct run *r)
{
	return dense(r, false);
}

static int sparse(struct run *r, bool store)
{
	uint64_t extent = r->size * SPARSE_EXTENT;

	return touch_new(r, extent, (struct touch){
		.store = store, .pages = extent / SPARSE_STRIDE,
		.stride = SPARSE_STRIDE,
	});
}

static int write_sparse(struct run *r)
{
	return sparse(r, true);
}

static int read_sparse(struct run *r)
{
	return sparse(r, false);
}

static int random_order(struct run *r, bool store)
{
	const uint32_t *order = touch_order(pages_of(r));

	if (!order) {
		errno = E2BIG;
		return -1;
	}
	return touch_new(r, r->size, (struct touch){
		.store = store, .pages = pages_of(r), .stride = PAGE,
		.order = order,
	});
}

static int write_random(struct run *r)
{
	return random_order(r, true);
}

static int read_random(struct run *r)
{
	return random_order(r, false);
}

static int populate(struct run *r)
{
	uint64_t start;
	struct memory m;
	void *map;
	int err;

	if (memory_open(&m, r->backend, r->size)) {
		memory_close(&m);
		return -1;
	}
	start = measure_begin();
	map = memory_map(&m, MAP_POPULATE);
	r->time = measure_since(start);
	err = errno;
	if (map == MAP_FAILED) {
		memory_close(&m);
		errno = err;
		return -1;
	}
	r->pages = pages_of(r);
	r->cleared = memory_resident(&m, map);
	r->counted = true;
	return end(&m, map);
}

static int write_again(struct run *r)
{
	struct memory m;
	void *first;
	void *map;

	if (begin_full(r, &m, &first))
		return -1;
	map = memory_map_again(&m, first);
	if (map == MAP_FAILED)
		return end(&m, first), -1;
	r->pages = pages_of(r);
	r->time = touch_timed(map, &(struct touch){
		.store = true, .pages = r->pages, .stride = PAGE,
		.threads = r->threads,
	});
	munmap(map, m.size);
	return end(&m, first);
}

/* Private copies, of data or of nothing. */
static int copy(struct run *r, bool data)
{
	uint64_t before;
	struct memory m;
	void *shared;
	void *map;

	if (begin(r, &m, &shared))
		return -1;
	if (data)
		fill(r, shared);
	map = memory_map_private(&m);
	if (map == MAP_FAILED)
		return end(&m, shared), -1;
	before = memory_resident(&m, map);
	r->pages = pages_of(r);
	r->time = touch_timed(map, &(struct touch){
		.store = true, .pages = r->pages, .stride = PAGE,
		.threads = r->threads,
	});
	r->cleared = memory_resident(&m, map) - before;
	/* Of memory that is always private there is nothing to copy. */
	if (r->backend->can & CAN_COPY)
		r->copied = r->pages;
	r->counted = true;
	munmap(map, m.size);
	return end(&m, shared);
}

static int cow_data(struct run *r)
{
	return copy(r, true);
}

static int cow_hole(struct run *r)
{
	return copy(r, false);
}

/* A realtime parent: its child, which is none, cannot run before it waits. */
static void realtime(bool on)
{
	struct sched_param p = { .sched_priority = on ? 1 : 0 };

	sched_setscheduler(0, on ? SCHED_FIFO | SCHED_RESET_ON_FORK
				 : SCHED_OTHER, &p);
}

static int time_fork(struct run *r)
{
	uint64_t start;
	pid_t pid;

	r->pages = pages_of(r);
	realtime(true);
	start = measure_begin();
	pid = fork();
	if (!pid)
		_exit(0);
	r->time = measure_since(start);
	realtime(false);
	if (pid < 0)
		return -1;
	waitpid(pid, NULL, 0);
	return 0;
}

static int time_child_stores(struct run *r, void *map)
{
	int ends[2];
	pid_t pid;
	ssize_t n;

	if (pipe(ends))
		return -1;
	r->pages = pages_of(r);
	pid = fork();
	if (!pid) {
		uint64_t took = touch_timed(map, &(struct touch){
			.store = true, .pages = r->pages, .stride = PAGE,
			.threads = 1,
		});

		_exit(write(ends[1], &took, sizeof(took)) != sizeof(took));
	}
	close(ends[1]);
	n = pid < 0 ? -1 : read(ends[0], &r->time, sizeof(r->time));
	close(ends[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (n == sizeof(r->time))
		return 0;
	errno = ECHILD;
	return -1;
}

/* Of a full shared mapping, or of one that is private and full of copies. */
static int forked(struct run *r, bool private,
		  int (*time)(struct run *r, void *map))
{
	struct memory m;
	void *shared;
	void *map;
	int ret;

	if (begin(r, &m, &shared))
		return -1;
	map = shared;
	if (private) {
		map = memory_map_private(&m);
		munmap(shared, m.size);
		if (map == MAP_FAILED) {
			memory_close(&m);
			return -1;
		}
	}
	fill(r, map);
	ret = time(r, map);
	end(&m, map);
	return ret;
}

static int time_fork_only(struct run *r, void *map)
{
	(void)map;
	return time_fork(r);
}

static int fork_shared(struct run *r)
{
	return forked(r, false, time_fork_only);
}

static int fork_copies(struct run *r)
{
	return forked(r, true, time_fork_only);
}

static int forked_store_shared(struct run *r)
{
	return forked(r, false, time_child_stores);
}

static int forked_store_copies(struct run *r)
{
	int ret = forked(r, true, time_child_stores);

	r->copied = r->pages;
	return ret;
}

static int unmap(struct run *r)
{
	struct memory m;
	uint64_t start;
	void *map;

	if (begin_full(r, &m, &map))
		return -1;
	r->pages = pages_of(r);
	start = measure_begin();
	munmap(map, m.size);
	r->time = measure_since(start);
	memory_close(&m);
	return 0;
}

static int time_shrink(struct run *r, const struct memory *m)
{
	uint64_t start = measure_begin();
	int ret = memory_resize(m, 0);

	r->time = measure_since(start);
	r->pages = pages_of(r);
	return ret;
}

static int shrink(struct run *r)
{
	struct memory m;
	void *map;
	int ret;

	if (begin_full(r, &m, &map))
		return -1;
	munmap(map, m.size);
	ret = time_shrink(r, &m);
	memory_close(&m);
	return ret;
}

static int shrink_mapped(struct run *r)
{
	struct memory m;
	void *map;
	int ret;

	if (begin_full(r, &m, &map))
		return -1;
	ret = time_shrink(r, &m);
	end(&m, map);
	return ret;
}

static sigjmp_buf past_end;

static void on_bus(int signal)
{
	(void)signal;
	siglongjmp(past_end, 1);
}

/* Loads past the end of file, and back by siglongjmp(3). */
static int sigbus(struct run *r)
{
	struct sigaction action = { .sa_handler = on_bus };
	struct sigaction old;
	struct memory m;
	uint64_t start;
	void *map;

	if (begin(r, &m, &map))
		return -1;
	if (memory_resize(&m, 0))
		return end(&m, map), -1;
	sigaction(SIGBUS, &action, &old);
	r->pages = 0;
	start = measure_begin();
	sigsetjmp(past_end, 1);
	if (r->pages < SIGNALS) {
		r->pages++;
		(void)*(volatile char *)map;
	}
	r->time = measure_since(start);
	sigaction(SIGBUS, &old, NULL);
	return end(&m, map);
}

/* Memory that is full, mapped, and durable: the next stores make it dirty. */
static int begin_clean(const struct run *r, struct memory *m, void **map)
{
	if (begin_full(r, m, map))
		return -1;
	if (!msync(*map, m->size, MS_SYNC))
		return 0;
	end(m, *map);
	return -1;
}

static int time_stores(struct run *r, struct memory *m, void *map)
{
	r->pages = pages_of(r);
	r->time = touch_timed(map, &(struct touch){
		.store = true, .pages = r->pages, .stride = PAGE,
		.threads = r->threads,
	});
	return end(m, map);
}

static int clean_store(struct run *r)
{
	struct memory m;
	void *map;

	if (begin_clean(r, &m, &map))
		return -1;
	return time_stores(r, &m, map);
}

/* As a program sees it that commits again and again: each page was in a commit. */
static int clean_store_again(struct run *r)
{
	struct memory m;
	void *map;

	if (begin_clean(r, &m, &map))
		return -1;
	touch(map, &(struct touch){
		.store = true, .pages = pages_of(r), .stride = PAGE,
	});
	if (msync(map, m.size, MS_SYNC))
		return end(&m, map), -1;
	return time_stores(r, &m, map);
}

static int sync_one(struct run *r)
{
	struct memory m;
	int ret = 0;
	char *map;

	if (begin_clean(r, &m, (void **)&map))
		return -1;
	r->time = 0;
	for (r->pages = 0; !ret && r->pages < SYNCS; r->pages++) {
		uint64_t start;

		map[r->pages * (m.size / SYNCS)] = 2;
		start = measure_begin();
		ret = msync(map, m.size, MS_SYNC);
		r->time += measure_since(start);
	}
	end(&m, map);
	return ret;
}

/* All pages but for each `step`, only one, are clean. */
static int sync_each(struct run *r, unsigned int step)
{
	struct memory m;
	uint64_t start;
	uint64_t i;
	char *map;
	int ret;

	if (begin_clean(r, &m, (void **)&map))
		return -1;
	r->pages = 0;
	for (i = 0; i < pages_of(r); i += step) {
		map[i * PAGE] = 2;
		r->pages++;
	}
	start = measure_begin();
	ret = msync(map, m.size, MS_SYNC);
	r->time = measure_since(start);
	r->copied = r->pages;
	end(&m, map);
	return ret;
}

static int sync_part(struct run *r)
{
	return sync_each(r, SYNC_PART);
}

static int sync_all(struct run *r)
{
	return sync_each(r, 1);
}

const struct bench_case cases[] = {
	{ .name = "write-dense", .run = write_dense, .threads = true,
	  .what = "first store to each page, in order" },
	{ .name = "read-dense", .run = read_dense, .threads = true,
	  .what = "first load from each page, in order" },
	{ .name = "write-sparse", .run = write_sparse, .threads = true,
	  .what = "first store to one page in each 2 MiB, of 16 times the size" },
	{ .name = "read-sparse", .run = read_sparse, .threads = true,
	  .what = "first load from them" },
	{ .name = "write-random", .run = write_random, .threads = true,
	  .what = "first store to each page, in random order" },
	{ .name = "read-random", .run = read_random, .threads = true,
	  .what = "first load from each page, in random order" },
	{ .name = "populate", .run = populate,
	  .what = "mmap with MAP_POPULATE" },
	{ .name = "write-again", .run = write_again, .threads = true,
	  .needs = CAN_SHARE,
	  .what = "first store to each page by a second mapping" },
	{ .name = "cow-data", .run = cow_data, .threads = true,
	  .needs = CAN_COPY,
	  .what = "first store by a private mapping, over data" },
	{ .name = "cow-hole", .run = cow_hole, .threads = true,
	  .needs_one = CAN_COPY | CAN_BE_PRIVATE,
	  .what = "first store by a private mapping, over holes" },
	{ .name = "fork", .run = fork_shared, .needs = CAN_SHARE,
	  .what = "fork with a full shared mapping" },
	{ .name = "fork-copies", .run = fork_copies, .needs = CAN_COPY_FORKED,
	  .what = "fork with a private mapping full of copies" },
	{ .name = "forked-store", .run = forked_store_shared,
	  .needs = CAN_SHARE,
	  .what = "store to each page by the child, shared" },
	{ .name = "forked-copy", .run = forked_store_copies,
	  .needs = CAN_COPY_FORKED,
	  .what = "store to each page by the child, private copies" },
	{ .name = "munmap", .run = unmap,
	  .what = "munmap of a full mapping" },
	{ .name = "shrink", .run = shrink, .needs = CAN_SHRINK,
	  .what = "new end at 0 of what is full, not mapped" },
	{ .name = "shrink-mapped", .run = shrink_mapped, .needs = CAN_SHRINK,
	  .what = "new end at 0 of what is full, and mapped" },
	{ .name = "sigbus", .run = sigbus, .needs = CAN_SHRINK,
	  .what = "load past the end, and back from the handler (each)" },
	{ .name = "clean-store", .run = clean_store, .threads = true,
	  .needs = CAN_SYNC,
	  .what = "store to each page, all clean and mapped" },
	{ .name = "clean-again", .run = clean_store_again, .threads = true,
	  .needs = CAN_SYNC,
	  .what = "the same after one more round of it and msync" },
	{ .name = "msync-one", .run = sync_one, .needs = CAN_SYNC,
	  .what = "msync of all with one page dirty (each)" },
	{ .name = "msync-1%", .run = sync_part, .needs = CAN_SYNC,
	  .what = "msync of all with 1 % dirty, for a dirty page" },
	{ .name = "msync-all", .run = sync_all, .needs = CAN_SYNC,
	  .what = "msync of all, all dirty" },
};

const unsigned int case_count = sizeof(cases) / sizeof(cases[0]);

bool case_fits(const struct bench_case *c, const struct backend *backend)
{
	if ((backend->can & c->needs) != c->needs)
		return false;
	return !c->needs_one || (backend->can & c->needs_one);
}
