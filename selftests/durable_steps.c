// SPDX-License-Identifier: GPL-2.0
/*
 * Stores and msync, reclaim, others' syncs and power cuts, all at once, round after
 * round: no store is lost that was acknowledged, and nothing is there that was not
 * stored.
 *
 * A debugging kernel's module waits at random between the steps of each (step_us).
 */
#include "harness.h"

#include <pthread.h>
#include <setjmp.h>

#include "child.h"
#include "durable.h"
#include "slow.h"
#include "steps.h"

#define STORERS		3
#define LONGEST		3000	/* microseconds until the cut */
#define TIMEOUT		14400	/* seconds, for as many rounds as CUTS_OF_STEPS says */

/* Of one page: the last value that was stored, and that survives by all means. */
struct page_values {
	uint32_t stored;
	uint32_t acked;
};

/* Begun and ended together, a round at a time, by storers, syncer and cutter. */
struct shared {
	pthread_barrier_t begin, end;
	struct page_values pages[STORERS];
	int stop;
};

FIXTURE(steps) {
	struct durable d;
	size_t page;
	struct shared *shared;
	struct knob step;
};

FIXTURE_VARIANT(steps) {
	enum durable_kind kind;
};

OBJECT_KINDS(steps);

FIXTURE_SETUP(steps)
{
	pthread_barrierattr_t attr;

	self->page = getpagesize();
	self->d = durable_new(variant->kind, STORERS * self->page, 0);
	if (!durable_possible(variant->kind))
		SKIP(return, "%s", durable_lacks(variant->kind));
	ASSERT_GE(self->d.fd, 0);
	self->shared = mmap(NULL, sizeof(*self->shared), RW,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&self->shared->begin, &attr, STORERS + 2);
	pthread_barrier_init(&self->shared->end, &attr, STORERS + 2);
	ASSERT_EQ(0, steps_wait(&self->step, "500"));
}

FIXTURE_TEARDOWN_PARENT(steps)
{
	EXPECT_EQ(0, knob_restore(&self->step));
}

struct storer {
	struct shared *shared;
	struct durable d;
	size_t index;
	unsigned int seed;
};

static sigjmp_buf cut;

static void on_cut(int signo)
{
	siglongjmp(cut, signo);
}

/* As reclaim does: 0, or -1 after a cut. */
static int drop(int fd, volatile void *at, size_t index)
{
	size_t page = getpagesize();

	return madvise((void *)at, page, MADV_DONTNEED) ||
	       sync_file_range(fd, index * page, page,
			       SYNC_FILE_RANGE_WAIT_BEFORE |
			       SYNC_FILE_RANGE_WRITE |
			       SYNC_FILE_RANGE_WAIT_AFTER) ||
	       posix_fadvise(fd, index * page, page, POSIX_FADV_DONTNEED);
}

/* Store the next value at both ends of the page until the power is cut: 0, or a status. */
static int store_until_cut(struct storer *s, volatile uint32_t *words)
{
	struct page_values *values = &s->shared->pages[s->index];
	size_t last = getpagesize() / sizeof(*words) - 1;

	for (;;) {
		uint32_t value = values->stored + 1;

		__atomic_store_n(&values->stored, value, __ATOMIC_RELEASE);
		words[0] = value;
		words[last] = value;
		if (rand_r(&s->seed) % 4 == 0) {
			if (drop(s->d.fd, words, s->index))
				return 0;
		} else {
			if (msync((void *)words, getpagesize(), MS_SYNC))
				return errno == EIO ? 0 : 3;
			__atomic_store_n(&values->acked, value,
					 __ATOMIC_RELEASE);
		}
		if (words[0] != value || words[last] != value)
			return 4;
	}
}

static int storer_run(void *arg, struct turn *t)
{
	struct storer *s = arg;
	size_t page = getpagesize();
	volatile int status = 0;

	(void)t;
	signal(SIGBUS, on_cut);
	for (;;) {
		void *p;

		if (durable_revive(&s->d))
			return 1;
		p = mmap(NULL, page, RW, MAP_SHARED, s->d.fd, s->index * page);
		if (p == MAP_FAILED)
			return 2;
		pthread_barrier_wait(&s->shared->begin);
		if (s->shared->stop)
			return status;
		if (!sigsetjmp(cut, 1)) {
			int ret = store_until_cut(s, p);

			status = status ?: ret;
		}
		munmap(p, page);
		pthread_barrier_wait(&s->shared->end);
	}
}

static int syncer_run(void *arg, struct turn *t)
{
	struct storer *s = arg;

	(void)t;
	for (;;) {
		if (durable_revive(&s->d))
			return 1;
		pthread_barrier_wait(&s->shared->begin);
		if (s->shared->stop)
			return 0;
		while (!(rand_r(&s->seed) % 4 ? fsync(s->d.fd) :
						fdatasync(s->d.fd)))
			posix_fadvise(s->d.fd, 0, 0, POSIX_FADV_DONTNEED);
		pthread_barrier_wait(&s->shared->end);
	}
}

/* What survived of a word: it was stored, and not before what was acknowledged. */
static bool survived(struct durable *d, off_t offset,
		     const struct page_values *values, uint32_t *word)
{
	return pread(d->fd, word, sizeof(*word), offset) == sizeof(*word) &&
	       *word >= values->acked && *word <= values->stored;
}

/* Until something more of a page is acknowledged. */
static void wait_for_progress(const struct page_values *values)
{
	uint32_t before = __atomic_load_n(&values->acked, __ATOMIC_ACQUIRE);

	while (__atomic_load_n(&values->acked, __ATOMIC_ACQUIRE) == before)
		usleep(100);
}

TEST_F_TIMEOUT(steps, lose_no_acknowledged_store, TIMEOUT)
{
	struct storer storers[STORERS + 1];
	struct child children[STORERS + 1];
	const char *given = getenv("CUTS_OF_STEPS");
	int rounds = given ? atoi(given) : slow_kernel() ? 30 : 200;
	unsigned int seed = getpid();

	TH_LOG("seed %u", seed);
	for (size_t i = 0; i <= STORERS; i++) {
		storers[i] = (struct storer) {
			.shared = self->shared,
			.d = self->d,
			.index = i,
			.seed = seed + i,
		};
		children[i] = child_start(i < STORERS ? storer_run : syncer_run,
					  &storers[i]);
	}
	for (int round = 0; round < rounds; round++) {
		pthread_barrier_wait(&self->shared->begin);
		/* However slow the machine is, some rounds are about something. */
		if (round % 4 == 0)
			wait_for_progress(&self->shared->pages[round / 4 %
							       STORERS]);
		usleep(rand_r(&seed) % LONGEST);
		ASSERT_LE(0, crash_call(self->d.fd, 0));
		pthread_barrier_wait(&self->shared->end);
		ASSERT_EQ(0, durable_revive(&self->d));
		for (size_t i = 0; i < STORERS; i++) {
			struct page_values *values = &self->shared->pages[i];
			off_t offset = i * self->page;
			uint32_t first, last;

			ASSERT_TRUE(survived(&self->d, offset, values, &first))
			{
				TH_LOG("round %d, page %zu: %u of %u to %u",
				       round, i, first, values->acked,
				       values->stored);
			}
			offset += self->page - sizeof(last);
			ASSERT_TRUE(survived(&self->d, offset, values, &last))
			{
				TH_LOG("round %d, end of page %zu: %u of %u to %u",
				       round, i, last, values->acked,
				       values->stored);
			}
			values->acked = first < last ? first : last;
		}
	}
	self->shared->stop = 1;
	pthread_barrier_wait(&self->shared->begin);
	for (size_t i = 0; i <= STORERS; i++)
		EXPECT_EQ(0, child_end(&children[i]));
	for (size_t i = 0; i < STORERS; i++)
		EXPECT_LE(rounds / 4 / STORERS, self->shared->pages[i].acked);
}

int main(int argc, char **argv)
{
	ext4_prepare();
	return test_harness_run(argc, argv);
}
