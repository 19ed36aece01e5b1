// SPDX-License-Identifier: GPL-2.0
/*
 * Names that many want at once, and names that go while they are opened.
 * mmapdev only.
 */
#include "harness.h"

#include <sched.h>
#include <sys/mount.h>
#include <time.h>

#include "bytes.h"
#include "name.h"
#include "race.h"
#include "slow.h"

#define TAKERS		4	/* threads */
#define ROUNDS		(slow_kernel() ? 20 : 50)

/* What a taker got, each round anew: 0, or the error. */
struct taker {
	struct object o;
	char name[MMAPDEV_NAME_SIZE];
	pthread_barrier_t *barrier;
	int result;
};

/* Take a name in each round, for the time between two barriers. */
static void *take(void *arg)
{
	struct taker *taker = arg;

	for (int round = 0; round < ROUNDS; round++) {
		barrier_wait(taker->barrier);
		taker->result = name_give(&taker->o, taker->name) ? errno : 0;
		barrier_wait(taker->barrier);
		barrier_wait(taker->barrier);	/* the results were seen */
		if (!taker->result)
			name_remove(&taker->o);
		barrier_wait(taker->barrier);
	}
	return NULL;
}

FIXTURE(takers) {
	struct taker taker[TAKERS];
	pthread_t thread[TAKERS];
	pthread_barrier_t barrier;
};

FIXTURE_VARIANT(takers) {
	enum backend_kind kind;
};

OBJECT_VARIANT(takers, mmapdev, MMAPDEV);

FIXTURE_SETUP(takers)
{
	ASSERT_EQ(0, barrier_init(&self->barrier, TAKERS + 1));
	for (int i = 0; i < TAKERS; i++) {
		self->taker[i].o = object_open(variant->kind);
		ASSERT_GE(self->taker[i].o.fd, 0);
		self->taker[i].barrier = &self->barrier;
	}
}

FIXTURE_TEARDOWN_PARENT(takers)
{
	name_clean(NAME);
	name_clean(NAME_2);
}

/* In every round one wins, and the others get this error. */
#define EXPECT_ONE_WINNER(error) do {					\
	for (int i_ = 0; i_ < TAKERS; i_++)				\
		ASSERT_EQ(0, pthread_create(&self->thread[i_], NULL,	\
					    take, &self->taker[i_]));	\
	for (int round_ = 0; round_ < ROUNDS; round_++) {		\
		int winners_ = 0, losers_ = 0;				\
									\
		barrier_wait(&self->barrier);				\
		barrier_wait(&self->barrier);				\
		for (int i_ = 0; i_ < TAKERS; i_++) {			\
			winners_ += !self->taker[i_].result;		\
			losers_ += self->taker[i_].result == (error);	\
		}							\
		EXPECT_EQ(1, winners_);					\
		EXPECT_EQ(TAKERS - 1, losers_);				\
		barrier_wait(&self->barrier);				\
		barrier_wait(&self->barrier);				\
	}								\
	for (int i_ = 0; i_ < TAKERS; i_++)				\
		EXPECT_EQ(0, pthread_join(self->thread[i_], NULL));	\
} while (0)

TEST_F(takers, one_of_many_objects_gets_the_name)
{
	for (int i = 0; i < TAKERS; i++)
		strcpy(self->taker[i].name, NAME);
	EXPECT_ONE_WINNER(EEXIST);
}

TEST_F(takers, one_of_many_names_goes_to_the_object)
{
	for (int i = 0; i < TAKERS; i++) {
		if (i) {
			object_close(&self->taker[i].o);
			self->taker[i].o = self->taker[0].o;
		}
		snprintf(self->taker[i].name, MMAPDEV_NAME_SIZE, "selftest-%d",
			 i);
	}
	EXPECT_ONE_WINNER(EBUSY);
}

/*
 * A name that moves between two objects, whose first bytes are 'a' and 'b', and
 * openers by the node and by a path: what they get is one of the two, or
 * nothing, with the error of something that is not there.
 */
#define STRESS_MS	1500
#define DIR_PATH	"/mnt"

static bool time_is_up(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000 +
	       (now.tv_nsec - start->tv_nsec) / 1000000 > STRESS_MS;
}

/* Use what was opened: 0, or what is wrong with it. */
static int use(struct object *o)
{
	unsigned char *p;
	int byte, err = 0;

	if (o->fd < 0)
		return errno == ENOENT || errno == ENXIO ? 0 : errno;
	byte = object_byte(o, 0);
	p = object_map(o, 1, PROT_READ, MAP_SHARED);
	object_close(o);
	if (p == MAP_FAILED)
		return 101;
	if ((byte != 'a' && byte != 'b') || p[0] != byte)
		err = 102;
	munmap(p, 1);
	return err;
}

static int open_by_node(void *arg, struct turn *t)
{
	struct timespec start;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!err && !time_is_up(&start)) {
		struct object o = name_open(NAME, O_RDONLY);

		err = use(&o);
	}
	return err;
}

static int open_by_path(void *arg, struct turn *t)
{
	struct timespec start;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!err && !time_is_up(&start)) {
		struct object o = {
			.kind = OBJFILE,
			.fd = open(DIR_PATH "/" NAME, O_RDONLY | O_CLOEXEC),
		};

		err = use(&o);
	}
	return err;
}

/* Asking for what goes: the calls that look a name's object up. */
static int look(void *arg, struct turn *t)
{
	struct timespec start;
	struct stat st;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!time_is_up(&start)) {
		name_number(NAME, "size");
		name_number(NAME, "stats/pages_allocated");
		if (stat(DIR_PATH "/" NAME, &st) && errno != ENOENT)
			return errno;
	}
	return 0;
}

OBJECT_FIXTURE(moving_name);
OBJECT_VARIANT(moving_name, mmapdev, MMAPDEV);

TEST_F(moving_name, opens_one_object_or_none)
{
	struct object other = object_open(variant->kind);
	long long objects = device_total("objects");
	struct timespec start;
	struct child c[3];
	int moves = 0;

	ASSERT_GE(other.fd, 0);
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_EQ(0, mount("none", DIR_PATH, "mmapdev", 0, NULL));
	ASSERT_EQ(0, object_fill(&self->o, 1, 'a'));
	ASSERT_EQ(0, object_fill(&other, 1, 'b'));
	c[0] = child_start(open_by_node, NULL);
	c[1] = child_start(open_by_path, NULL);
	c[2] = child_start(look, NULL);
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!time_is_up(&start)) {
		ASSERT_EQ(0, name_give(&self->o, NAME));
		ASSERT_EQ(0, name_remove(&self->o));
		ASSERT_EQ(0, name_give(&other, NAME));
		ASSERT_EQ(0, name_remove(&other));
		moves++;
	}
	EXPECT_LE(1, moves);	/* a slow kernel does not get far */
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		EXPECT_EQ(0, child_end(&c[i]));
	}
	EXPECT_EQ(objects, device_total("objects"));
	object_close(&other);
	EXPECT_EQ(objects - 1, device_total("objects"));
}

/*
 * The last use of an object races its name's removal, by any task: it goes once,
 * and completely.
 */
static int drop_descriptor(void *arg, struct turn *t)
{
	struct race *race = arg;
	int fd = race->o.fd;

	barrier_wait(&race->barrier);
	return close(fd);
}

TEST_F(moving_name, last_close_races_the_removal)
{
	long long objects = device_total("objects");

	for (int round = 0; round < 30; round++) {
		struct object o = object_open(round % 2 ? MMAPDEV : OBJFILE);
		struct object named;
		struct race *race;
		struct child c;

		ASSERT_EQ(0, object_fill(&o, 1, 'x'));
		ASSERT_EQ(0, name_give(&o, NAME));
		named = name_open(NAME, O_RDWR);
		ASSERT_GE(named.fd, 0);
		race = race_new(&o, 2);
		ASSERT_NE(NULL, race);
		c = child_start(drop_descriptor, race);
		object_close(&o);
		barrier_wait(&race->barrier);
		EXPECT_EQ(0, name_remove(&named));
		object_close(&named);
		EXPECT_EQ(0, child_end(&c));
		ASSERT_EQ(objects, device_total("objects"));
		munmap(race, sizeof(*race));
	}
}

TEST_HARNESS_MAIN
