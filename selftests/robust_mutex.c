// SPDX-License-Identifier: GPL-2.0
/*
 * Locks that live in shared memory: robust mutexes, condition variables,
 * barriers, and the futexes below them, which the kernel finds by the page.
 */
#include "harness.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "backend.h"
#include "barrier.h"
#include "child.h"

#define PROCESSES	4
#define INCREMENTS	500
#define ROUNDS		50

/* What the mapping holds. */
struct shared {
	pthread_mutex_t mutex;
	pthread_cond_t turn_changed;
	pthread_barrier_t barrier;
	uint32_t word;		/* a plain futex */
	int counter;		/* under mutex */
	int turn;		/* under mutex */
	int arrived[PROCESSES];
};

static int init_mutex(pthread_mutex_t *mutex, int protocol)
{
	pthread_mutexattr_t attr;
	int err = pthread_mutexattr_init(&attr);

	if (!err)
		err = pthread_mutexattr_setpshared(&attr,
						   PTHREAD_PROCESS_SHARED);
	if (!err)
		err = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	if (!err)
		err = pthread_mutexattr_setprotocol(&attr, protocol);
	if (!err)
		err = pthread_mutex_init(mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	return err;
}

static int init_cond(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	int err = pthread_condattr_init(&attr);

	if (!err)
		err = pthread_condattr_setpshared(&attr,
						  PTHREAD_PROCESS_SHARED);
	if (!err)
		err = pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
	return err;
}

FIXTURE(mutex) {
	struct object o;
	struct shared *s;
};

FIXTURE_VARIANT(mutex) {
	enum backend_kind kind;
	int protocol;
};

FIXTURE_SETUP(mutex)
{
	self->o = object_open(variant->kind);
	ASSERT_EQ(variant->kind == ANON, self->o.fd < 0);
	ASSERT_EQ(0, object_size_for(&self->o, sizeof(*self->s)));
	self->s = object_map(&self->o, sizeof(*self->s), RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, self->s);
	ASSERT_EQ(0, init_mutex(&self->s->mutex, variant->protocol));
	ASSERT_EQ(0, init_cond(&self->s->turn_changed));
	ASSERT_EQ(0, barrier_init(&self->s->barrier, PROCESSES));
}

FIXTURE_TEARDOWN(mutex)
{
	object_close(&self->o);
}

#define MUTEX_VARIANTS(name, backend)					\
	FIXTURE_VARIANT_ADD(mutex, name)				\
		{ .kind = backend, .protocol = PTHREAD_PRIO_NONE };	\
	FIXTURE_VARIANT_ADD(mutex, name##_inherit)			\
		{ .kind = backend, .protocol = PTHREAD_PRIO_INHERIT }

/* An object file's pages are the node's: `futex`, below, is enough for it. */
MUTEX_VARIANTS(mmapdev, MMAPDEV);
MUTEX_VARIANTS(memfd, MEMFD);
MUTEX_VARIANTS(tmpfs, TMPFS);
MUTEX_VARIANTS(zero, ZERO);
MUTEX_VARIANTS(anonymous, ANON);

static int increment(void *arg, struct turn *t)
{
	struct shared *s = arg;

	for (int i = 0; i < INCREMENTS; i++) {
		if (pthread_mutex_lock(&s->mutex))
			return 1;
		s->counter++;
		if (pthread_mutex_unlock(&s->mutex))
			return 2;
	}
	return 0;
}

TEST_F(mutex, lets_one_process_in_at_a_time)
{
	struct child c[PROCESSES];

	for (int i = 0; i < PROCESSES; i++)
		c[i] = child_start(increment, self->s);
	for (int i = 0; i < PROCESSES; i++)
		EXPECT_EQ(0, child_end(&c[i]));
	EXPECT_EQ(PROCESSES * INCREMENTS, self->s->counter);
}

/* Take the mutex, and die with it when told to go, or when killed. */
static int die_as_owner(void *arg, struct turn *t)
{
	struct shared *s = arg;

	if (pthread_mutex_lock(&s->mutex))
		return 1;
	s->counter = -1;
	return turn_done(t) || turn_wait(t) ? 2 : 0;
}

TEST_F(mutex, owner_that_exits_leaves_it_to_the_next)
{
	pthread_mutex_t *mutex = &self->s->mutex;
	struct child c = child_start(die_as_owner, self->s);

	ASSERT_EQ(0, child_done(&c));
	EXPECT_EQ(EBUSY, pthread_mutex_trylock(mutex));
	ASSERT_EQ(0, child_go(&c));
	ASSERT_EQ(0, child_end(&c));
	EXPECT_EQ(EOWNERDEAD, pthread_mutex_lock(mutex));
	EXPECT_EQ(-1, self->s->counter);
	EXPECT_EQ(0, pthread_mutex_consistent(mutex));
	EXPECT_EQ(0, pthread_mutex_unlock(mutex));
	EXPECT_EQ(0, child_run(increment, self->s));
	EXPECT_EQ(INCREMENTS - 1, self->s->counter);
}

static int wait_and_recover(void *arg, struct turn *t)
{
	struct shared *s = arg;

	if (pthread_mutex_lock(&s->mutex) != EOWNERDEAD)
		return 1;
	if (pthread_mutex_consistent(&s->mutex))
		return 2;
	return pthread_mutex_unlock(&s->mutex) ? 3 : 0;
}

/* The kernel walks the dead owner's list and wakes the waiter. */
TEST_F(mutex, waiter_wakes_up_when_the_owner_is_killed)
{
	pthread_mutex_t *mutex = &self->s->mutex;
	struct child owner = child_start(die_as_owner, self->s);
	struct child waiter;

	ASSERT_EQ(0, child_done(&owner));
	waiter = child_start(wait_and_recover, self->s);
	while (!(__atomic_load_n(&mutex->__data.__lock, __ATOMIC_RELAXED) &
		 FUTEX_WAITERS))
		sched_yield();
	ASSERT_EQ(0, kill(owner.pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_end(&owner));
	EXPECT_EQ(0, child_end(&waiter));
	EXPECT_EQ(0, pthread_mutex_lock(mutex));
	EXPECT_EQ(0, pthread_mutex_unlock(mutex));
}

static int find_unrecoverable(void *arg, struct turn *t)
{
	struct shared *s = arg;

	return pthread_mutex_lock(&s->mutex) == ENOTRECOVERABLE ? 0 : 1;
}

TEST_F(mutex, owner_that_does_not_recover_it_spoils_it_for_all)
{
	pthread_mutex_t *mutex = &self->s->mutex;
	struct child c = child_start(die_as_owner, self->s);

	ASSERT_EQ(0, child_turn(&c));
	ASSERT_EQ(0, child_end(&c));
	ASSERT_EQ(EOWNERDEAD, pthread_mutex_lock(mutex));
	EXPECT_EQ(0, pthread_mutex_unlock(mutex));
	EXPECT_EQ(ENOTRECOVERABLE, pthread_mutex_lock(mutex));
	EXPECT_EQ(0, child_run(find_unrecoverable, self->s));
}

static int answer_turns(void *arg, struct turn *t)
{
	struct shared *s = arg;

	for (int i = 0; i < ROUNDS; i++) {
		if (pthread_mutex_lock(&s->mutex))
			return 1;
		while (s->turn != 2 * i + 1)
			if (pthread_cond_wait(&s->turn_changed, &s->mutex))
				return 2;
		s->turn++;
		if (pthread_cond_broadcast(&s->turn_changed) ||
		    pthread_mutex_unlock(&s->mutex))
			return 3;
	}
	return 0;
}

TEST_F(mutex, condition_variable_passes_turns_between_processes)
{
	struct shared *s = self->s;
	struct child c = child_start(answer_turns, s);

	for (int i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, pthread_mutex_lock(&s->mutex));
		s->turn++;
		ASSERT_EQ(0, pthread_cond_broadcast(&s->turn_changed));
		while (s->turn != 2 * i + 2)
			ASSERT_EQ(0, pthread_cond_wait(&s->turn_changed,
						       &s->mutex));
		ASSERT_EQ(0, pthread_mutex_unlock(&s->mutex));
	}
	EXPECT_EQ(0, child_end(&c));
	EXPECT_EQ(2 * ROUNDS, s->turn);
}

struct member {
	struct shared *s;
	int number;
};

/* Nobody is a round ahead or behind between two passes of the barrier. */
static int march(void *arg, struct turn *t)
{
	const struct member *m = arg;
	struct shared *s = m->s;

	for (int i = 1; i <= ROUNDS / 5; i++) {
		s->arrived[m->number] = i;
		if (barrier_wait(&s->barrier))
			return 1;
		for (int n = 0; n < PROCESSES; n++)
			if (s->arrived[n] != i)
				return 2;
		if (barrier_wait(&s->barrier))
			return 3;
	}
	return 0;
}

TEST_F(mutex, barrier_keeps_processes_in_step)
{
	struct child c[PROCESSES];

	for (int i = 0; i < PROCESSES; i++) {
		struct member m = { .s = self->s, .number = i };

		c[i] = child_start(march, &m);
	}
	for (int i = 0; i < PROCESSES; i++)
		EXPECT_EQ(0, child_end(&c[i]));
}

/* Plain futexes, through mappings at different addresses. */
static long futex(uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

OBJECT_FIXTURE(futex);
FILE_VARIANTS(futex);

static int sleep_until_woken(void *arg, struct turn *t)
{
	struct object *o = arg;
	size_t page = getpagesize();
	uint32_t *word;

	/* The second page, as the first of this mapping. */
	word = object_map_at(o, NULL, page, RW, MAP_SHARED, page);
	if (word == MAP_FAILED)
		return 1;
	return futex(word, FUTEX_WAIT, 0) ? 2 : 0;
}

TEST_F(futex, waiter_is_found_at_any_address)
{
	uint32_t *a;
	uint32_t *b;

	ASSERT_EQ(0, object_resize(&self->o, 2 * self->page));
	a = object_map(&self->o, 2 * self->page, RW, MAP_SHARED);
	b = object_map(&self->o, 2 * self->page, PROT_READ, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	for (int i = 0; i < 2; i++) {
		uint32_t *word = (i ? b : a) + self->page / sizeof(*word);
		struct child c = child_start(sleep_until_woken, &self->o);
		long woken;

		while (!(woken = futex(word, FUTEX_WAKE, 9)))
			sched_yield();
		EXPECT_EQ(1, woken);
		EXPECT_EQ(0, child_end(&c));
	}
}

TEST_F(futex, other_words_pages_objects_and_private_copies_wake_nobody)
{
	struct object other = object_open(variant->kind);
	size_t next = self->page / sizeof(uint32_t);
	struct child c;
	uint32_t *shared;
	uint32_t *private;
	uint32_t *elsewhere;
	long woken;

	ASSERT_EQ(0, object_resize(&self->o, 2 * self->page));
	ASSERT_EQ(0, object_resize(&other, 2 * self->page));
	shared = object_map(&self->o, 2 * self->page, RW, MAP_SHARED);
	private = object_map(&self->o, 2 * self->page, RW, MAP_PRIVATE);
	elsewhere = object_map(&other, 2 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_NE(MAP_FAILED, private);
	ASSERT_NE(MAP_FAILED, elsewhere);
	private[next] = 0;

	/* Moving the waiter to itself tells that it sleeps, and wakes nobody. */
	c = child_start(sleep_until_woken, &self->o);
	while (!syscall(SYS_futex, shared + next, FUTEX_CMP_REQUEUE, 0, 1,
			shared + next, 0))
		sched_yield();
	EXPECT_EQ(0, futex(shared, FUTEX_WAKE, 9));
	EXPECT_EQ(0, futex(shared + next + 1, FUTEX_WAKE, 9));
	EXPECT_EQ(0, futex(private + next, FUTEX_WAKE, 9));
	EXPECT_EQ(0, futex(elsewhere + next, FUTEX_WAKE, 9));
	woken = futex(shared + next, FUTEX_WAKE, 9);
	EXPECT_EQ(1, woken);
	EXPECT_EQ(0, child_end(&c));
	object_close(&other);
}

TEST_F(futex, word_past_the_end_of_file_is_a_fault)
{
	uint32_t *word;

	ASSERT_EQ(0, object_resize(&self->o, self->page));
	word = object_map(&self->o, 2 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, word);
	EXPECT_EQ(0, futex(word, FUTEX_WAKE, 1));
	word += self->page / sizeof(*word);
	EXPECT_EQ(-1, futex(word, FUTEX_WAKE, 1));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, futex(word, FUTEX_WAIT, 0));
	EXPECT_EQ(EFAULT, errno);
}

TEST_HARNESS_MAIN
