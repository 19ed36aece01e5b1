// SPDX-License-Identifier: GPL-2.0
/*
 * Two tasks at one page of a store, at the worst moment for each other.
 */
#include "harness.h"

#include <pthread.h>
#include <sched.h>

#include "child.h"
#include "durable.h"
#include "fuse.h"
#include "slow.h"

#define FAR	500	/* a page past the end that survives */
#define ROUNDS	(slow_kernel() ? 50 : 200)

FIXTURE(windows) {
	size_t page;
};

FIXTURE_SETUP(windows)
{
	self->page = getpagesize();
}

FIXTURE_TEARDOWN(windows)
{
}

/* Another thread that does one thing when it is told to. */
struct helper {
	pthread_t thread;
	pthread_barrier_t start, end;
	void (*once)(int fd);
	int fd;
	volatile int stop;
};

static void *helper_run(void *arg)
{
	struct helper *h = arg;

	for (;;) {
		pthread_barrier_wait(&h->start);
		if (h->stop)
			return NULL;
		h->once(h->fd);
		pthread_barrier_wait(&h->end);
	}
}

static void helper_start(struct helper *h, void (*once)(int fd), int fd)
{
	h->once = once;
	h->fd = fd;
	h->stop = 0;
	pthread_barrier_init(&h->start, NULL, 2);
	pthread_barrier_init(&h->end, NULL, 2);
	pthread_create(&h->thread, NULL, helper_run, h);
}

static void helper_stop(struct helper *h)
{
	h->stop = 1;
	pthread_barrier_wait(&h->start);
	pthread_join(h->thread, NULL);
}

static void once_fsync(int fd)
{
	if (fsync(fd))
		return;
}

static void once_write_back(int fd)
{
	sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE |
			SYNC_FILE_RANGE_WAIT_AFTER);
}

/* A page is loaded while the size that it needs becomes durable. */
TEST_F(windows, load_beside_the_flush_of_a_growth)
{
	struct durable d = durable_new(ON_TMPFS, self->page, 0);
	struct helper h;
	volatile unsigned char *p;
	/* KASAN sees by itself what is zeroed that should not be. */
	size_t n = slow_kernel() ? self->page : 128UL << 20;
	unsigned char *others = mmap(NULL, n, RW, MAP_PRIVATE | MAP_ANONYMOUS,
				     -1, 0);
	int wrong = 0;

	ASSERT_NE(MAP_FAILED, others);
	memset(others, 0xa5, n);
	ASSERT_GE(d.fd, 0);
	p = mmap(NULL, (FAR + 1) * self->page, RW, MAP_SHARED, d.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	helper_start(&h, once_fsync, d.fd);
	for (int i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, ftruncate(d.fd, (FAR + 1) * self->page));
		pthread_barrier_wait(&h.start);
		for (int j = 50; j <= FAR; j += 50)
			wrong += p[j * self->page] != 0;
		pthread_barrier_wait(&h.end);
		ASSERT_EQ(0, ftruncate(d.fd, self->page));
		ASSERT_EQ(0, fsync(d.fd));
	}
	helper_stop(&h);
	EXPECT_EQ(0, wrong);
	/* Nothing but the page was zeroed. */
	EXPECT_TRUE(bytes_are(others, 0xa5, n));
	munmap(others, n);
	durable_close(&d);
}

/* A page is loaded while its flush settles; its next writeback had failed. */
TEST_F(windows, load_beside_the_flush_of_what_is_pending)
{
	struct durable d = durable_new(MEMORY, self->page, 0);
	struct helper h;
	int wrong = 0;

	ASSERT_GE(d.fd, 0);
	helper_start(&h, once_fsync, d.fd);
	for (int i = 0; i < ROUNDS; i++) {
		unsigned char *p, byte = 'a' + i % 26;
		uint64_t id;

		ASSERT_EQ(0, page_write(d.fd, 0, byte));
		once_write_back(d.fd);
		ASSERT_EQ(0, page_write(d.fd, 0, 'X'));
		id = durable_rule(&d, MMAPDEV_EVENT_WRITEBACK,
				  MMAPDEV_ACTION_EIO, 0, 0);
		ASSERT_NE(0, id);
		once_write_back(d.fd);
		ASSERT_EQ(0, durable_unrule(&d, id));
		posix_fadvise(d.fd, 0, 0, POSIX_FADV_DONTNEED);
		p = mmap(NULL, self->page, RW, MAP_SHARED, d.fd, 0);
		ASSERT_NE(MAP_FAILED, p);
		pthread_barrier_wait(&h.start);
		if (!bytes_are(p, byte, self->page) && !wrong++)
			TH_LOG("round %d: %02x %02x %02x %02x, not %02x", i,
			       p[0], p[8], p[16], p[4000], byte);
		pthread_barrier_wait(&h.end);
		munmap(p, self->page);
	}
	helper_stop(&h);
	EXPECT_EQ(0, wrong);
	durable_close(&d);
}

/* A page becomes dirty while its flush fails. */
TEST_F(windows, store_beside_the_flush_that_fails)
{
	struct durable d = durable_new(MEMORY, self->page, 0);
	uint64_t before = durable_info(&d).used;
	struct durable f = durable_new(ON_TMPFS, 4 * self->page, 0);
	struct helper h;

	ASSERT_EQ(0, durable_fill(&f, 4));
	ASSERT_EQ(0, ftruncate(f.backing, 0));
	helper_start(&h, once_fsync, f.fd);
	for (int i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, page_write(f.fd, 2, 'x'));
		once_write_back(f.fd);
		pthread_barrier_wait(&h.start);
		page_write(f.fd, 2, 'y');
		pthread_barrier_wait(&h.end);
	}
	helper_stop(&h);
	durable_close(&f);
	EXPECT_EQ(before, durable_info(&d).used);
	durable_close(&d);
}

static int dirty_by_direct(struct fuse_server *s, unsigned char *p, size_t n)
{
	int from = openat(s->root, "f", O_RDWR | O_DIRECT);
	pid_t pid;
	int status;

	s->state->hold = FUSE_READ;
	pid = fork();
	if (!pid)
		_exit(pread(from, p, n, 0) != (ssize_t)n);
	while (!s->state->held)
		usleep(1000);
	if (msync(p, n, MS_SYNC))
		return -1;
	s->state->hold = 0;
	close(from);
	return waitpid(pid, &status, 0) == pid && !status ? 0 : -1;
}

/* What fallocate takes back, when it fails, while it is used by writeback. */
TEST_F(windows, writeback_beside_an_allocation_that_fails)
{
	enum { N = 32 };
	struct durable d = durable_new(MEMORY, (N + 1) * self->page, 0);
	struct fuse_server server;
	struct helper h;
	unsigned char *p;

	if (fuse_start(&server, N * self->page))
		SKIP(return, "no FUSE: %s", strerror(errno));
	memset(server.state->bytes, 'Z', N * self->page);
	p = mmap(NULL, N * self->page, RW, MAP_SHARED, d.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(0, durable_rule(&d, MMAPDEV_EVENT_ALLOCATE,
				  MMAPDEV_ACTION_EIO, N, 1));
	helper_start(&h, once_write_back, d.fd);
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(0, dirty_by_direct(&server, p, N * self->page));
		pthread_barrier_wait(&h.start);
		EXPECT_EQ(-1, fallocate(d.fd, FALLOC_FL_ZERO_RANGE, 0,
					(N + 1) * self->page));
		pthread_barrier_wait(&h.end);
		ASSERT_EQ(0, fsync(d.fd));
		EXPECT_TRUE(bytes_are(p, 'Z', N * self->page));
	}
	helper_stop(&h);
	munmap(p, N * self->page);
	durable_close(&d);
	fuse_stop(&server);
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
