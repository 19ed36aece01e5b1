// SPDX-License-Identifier: GPL-2.0
/*
 * LMDB through power cuts: a database on a durable object has every transaction
 * that was acknowledged, and none in part; without sync it may not.
 *
 * A child writes transactions, and tells of each when its commit has returned.
 * At some moment the power is cut. The child is killed, before or after, and the
 * database is opened again from what is left. CUTS is how many cuts a test makes
 * (default 12, on slow kernels 5), RANDOM_SEED says when (default 1).
 */
#include "harness.h"

#include <lmdb.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "backend.h"
#include "slow.h"

#define MAP_SIZE	(8 << 20)
#define KEYS		64	/* of the database */
#define WRITES		8	/* of keys, by each transaction, */
#define VALUE_MAX	6000	/* bytes at most; the long have their own pages */
#define LONGEST		600	/* seconds, for when CUTS is large */
#define DEADLINE_MS	120000	/* for a commit */
#define MOMENT_US	20000	/* a cut comes within this, after a commit */

/* A file of a durable object, and the path that LMDB opens. */
struct disk {
	int fd;
	char path[32];
};

/* What a child is given, and what it tells: shared with it. */
struct writer {
	const struct disk *disk;
	unsigned int flags;
	atomic_ullong done;	/* the last transaction acknowledged */
	atomic_int status;	/* LMDB's error that ended it */
};

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static uint32_t random_of(uint64_t a, uint64_t b)
{
	uint64_t x = (a * 0x9e3779b97f4a7c15 + b) * 0xbf58476d1ce4e5b9;

	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x >> 33;
}

static int disk_make(struct disk *disk, int backing, uint32_t store)
{
	struct mmapdev_create want = {
		.store = store,
		.flags = O_RDWR | O_CLOEXEC,
		.fd = backing,
	};
	int node = open(mmapdev_path(), O_RDWR | O_CLOEXEC);

	if (node < 0)
		return -1;
	disk->fd = ioctl(node, MMAPDEV_IOC_CREATE, &want);
	close(node);
	snprintf(disk->path, sizeof(disk->path), "/proc/self/fd/%d", disk->fd);
	return disk->fd;
}

/* Cut the power; then this process opens what is left. 0, or -1 with errno. */
static int disk_cut(struct disk *disk)
{
	struct mmapdev_crash crash = {};
	int fd;

	if (ioctl(disk->fd, MMAPDEV_IOC_CRASH, &crash))
		return -1;
	fd = open(disk->path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || dup3(fd, disk->fd, O_CLOEXEC) < 0)
		return -1;
	return close(fd);
}

static int disk_info(const struct disk *disk, struct mmapdev_info *info)
{
	return ioctl(disk->fd, MMAPDEV_IOC_GET_INFO, info);
}

/* No lock file: one process at a time has it. */
static int env_open(const struct disk *disk, unsigned int flags, MDB_env **env)
{
	int status = mdb_env_create(env);

	if (!status)
		status = mdb_env_set_mapsize(*env, MAP_SIZE);
	if (!status)
		status = mdb_env_open(*env, disk->path, flags | MDB_NOSUBDIR |
				      MDB_NOLOCK, 0600);
	return status;
}

/*
 * Transaction n gives WRITES keys values that tell who wrote them, and key 0 n:
 * so what the database must hold is known from n alone.
 */

static uint32_t key_written(uint64_t n, unsigned int i)
{
	return 1 + random_of(n, i) % (KEYS - 1);
}

/* The last transaction up to n that wrote the key; 0: none. */
static uint64_t writer_of(uint64_t n, uint32_t key)
{
	for (; n; n--) {
		for (unsigned int i = 0; i < WRITES; i++) {
			if (key_written(n, i) == key)
				return n;
		}
	}
	return 0;
}

static MDB_val value_of(uint64_t n, uint32_t key, uint64_t *words)
{
	size_t count = 1 + random_of(n, key + 1000) % (VALUE_MAX / 8);

	for (size_t i = 0; i < count; i++)
		words[i] = n * 1000003 + key * 10007 + i;
	return (MDB_val) { .mv_size = count * 8, .mv_data = words };
}

static int put(MDB_txn *txn, MDB_dbi dbi, uint32_t key, MDB_val value)
{
	MDB_val k = { .mv_size = sizeof(key), .mv_data = &key };

	return mdb_put(txn, dbi, &k, &value, 0);
}

static int transaction(MDB_env *env, uint64_t n)
{
	static uint64_t words[VALUE_MAX / 8 + 1];
	MDB_txn *txn;
	MDB_dbi dbi;
	int status = mdb_txn_begin(env, NULL, 0, &txn);

	if (status)
		return status;
	status = mdb_dbi_open(txn, NULL, 0, &dbi);
	for (unsigned int i = 0; !status && i < WRITES; i++) {
		uint32_t key = key_written(n, i);

		status = put(txn, dbi, key, value_of(n, key, words));
	}
	if (!status)
		status = put(txn, dbi, 0, (MDB_val) { sizeof(n), &n });
	if (!status)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return status;
}

/* Writes until it is killed, or the power is cut. */
static void write_on(struct writer *w)
{
	uint64_t n = w->done;
	MDB_env *env;
	int status = env_open(w->disk, w->flags, &env);

	while (!status) {
		status = transaction(env, ++n);
		if (!status)
			w->done = n;
	}
	w->status = status;
	_exit(0);
}

static pid_t writer_start(struct writer *w)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	write_on(w);
	_exit(1);
}

/* Wait for a commit after this one. */
static bool writer_passes(struct writer *w, uint64_t n)
{
	for (int ms = 0; ms < DEADLINE_MS && w->done <= n && !w->status; ms++)
		usleep(1000);
	return w->done > n;
}

/* How a page or a record is broken, or NULL if the database holds just n's. */
static const char *compare(MDB_txn *txn, MDB_dbi dbi, uint64_t n)
{
	static uint64_t words[VALUE_MAX / 8 + 1];
	MDB_stat stat;
	size_t entries = !!n;

	for (uint32_t key = 1; key < KEYS; key++) {
		MDB_val k = { .mv_size = sizeof(key), .mv_data = &key };
		uint64_t by = writer_of(n, key);
		MDB_val got, want;
		int status = mdb_get(txn, dbi, &k, &got);

		if (!by && status != MDB_NOTFOUND)
			return "a key that was never committed";
		if (!by)
			continue;
		if (status)
			return "a key is not there";
		want = value_of(by, key, words);
		if (got.mv_size != want.mv_size ||
		    memcmp(got.mv_data, want.mv_data, want.mv_size))
			return "another value";
		entries++;
	}
	if (mdb_stat(txn, dbi, &stat))
		return "no statistics";
	return stat.ms_entries == entries ? NULL : "another number of keys";
}

/* Read what survived: how it is broken, or NULL, and the last transaction. */
static const char *survived(MDB_env *env, uint64_t *n)
{
	uint32_t last = 0;
	MDB_val key = { .mv_size = sizeof(last), .mv_data = &last };
	const char *broken;
	MDB_val value;
	MDB_txn *txn;
	MDB_dbi dbi;

	*n = 0;
	if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn))
		return "no transaction";
	if (mdb_dbi_open(txn, NULL, 0, &dbi))
		return "no table";
	if (!mdb_get(txn, dbi, &key, &value) && value.mv_size == sizeof(*n))
		memcpy(n, value.mv_data, sizeof(*n));
	broken = compare(txn, dbi, *n);
	mdb_txn_abort(txn);
	return broken;
}

/* What is left may be anything: look at it in a child, which may die of it. */
struct found {
	int opened;		/* LMDB's status */
	uint64_t last;
	char broken[40];	/* how, or nothing */
};

static void look(const struct disk *disk, struct found *found)
{
	const char *broken;
	MDB_env *env;

	found->opened = env_open(disk, MDB_RDONLY, &env);
	if (!found->opened) {
		broken = survived(env, &found->last);
		snprintf(found->broken, sizeof(found->broken), "%s",
			 broken ? broken : "");
	}
	_exit(0);
}

/* LMDB has opened it, and it is a database of whole transactions. */
static bool is_sound(const struct found *found)
{
	return !found->opened && !found->broken[0];
}

static void look_in_child(const struct disk *disk, struct found *found)
{
	int status = 0;
	pid_t pid;

	memset(found, 0, sizeof(*found));
	pid = fork();
	if (pid == 0)
		look(disk, found);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		snprintf(found->broken, sizeof(found->broken),
			 "reading it ends with status %#x", status);
}

/* One database, and those who come to write it and to look at it. */
struct trial {
	struct disk disk;
	int backing;
	struct writer *writer;
	struct found *found;
	uint64_t cuts;
	uint64_t seed;
};

FIXTURE(durable_lmdb) {
	struct trial trial;
};

FIXTURE_VARIANT(durable_lmdb) {
	uint32_t store;
};

FIXTURE_VARIANT_ADD(durable_lmdb, memory) { MMAPDEV_STORE_MEMORY };
FIXTURE_VARIANT_ADD(durable_lmdb, file) { MMAPDEV_STORE_FILE };

/* A new database, made durable before anything happens to it. */
static int database_make(const struct disk *disk)
{
	MDB_env *env = NULL;
	int status = env_open(disk, 0, &env);

	if (!status)
		status = mdb_env_sync(env, 1);
	mdb_env_close(env);
	return status ? status : fsync(disk->fd);
}

FIXTURE_SETUP(durable_lmdb)
{
	struct trial *t = &self->trial;
	void *shared = mmap(NULL, getpagesize(), RW,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, shared);
	t->writer = shared;
	t->found = (struct found *)(t->writer + 1);
	t->cuts = setting("CUTS", slow_kernel() ? 5 : 12);
	t->seed = setting("RANDOM_SEED", 1);
	t->backing = -1;
	if (variant->store == MMAPDEV_STORE_FILE) {
		t->backing = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
		ASSERT_GE(t->backing, 0);
	}
	ASSERT_GE(disk_make(&t->disk, t->backing, variant->store), 0);
	t->writer->disk = &t->disk;
	ASSERT_EQ(0, database_make(&t->disk));
}

FIXTURE_TEARDOWN(durable_lmdb)
{
	struct trial *t = &self->trial;

	close(t->disk.fd);
	if (t->backing >= 0)
		close(t->backing);
	munmap(t->writer, getpagesize());
}

/*
 * One life of a writer, from a commit of its own to a power cut: *done is the
 * last transaction it acknowledged. False if it never got so far.
 */
static bool live_and_die(struct disk *disk, struct writer *w, uint32_t chance,
			 uint64_t *done)
{
	bool killed_first = chance % 2;
	uint64_t before = w->done;
	pid_t pid = writer_start(w);
	int status, cut;
	bool passed;

	if (pid < 0)
		return false;
	passed = writer_passes(w, before);
	usleep(chance / 2 % MOMENT_US);
	if (killed_first) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	/* What it acknowledges later may come of what is cut already. */
	*done = w->done;
	cut = disk_cut(disk);
	if (!killed_first) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return passed && !cut;
}

struct tally {
	unsigned int lost;	/* cuts with acknowledged commits missing, */
	unsigned int broken;	/* and with no database left */
	uint64_t commits;
};

/* Nothing sound is left: begin anew. */
static void begin_anew(struct __test_metadata *_metadata, struct trial *t)
{
	ASSERT_EQ(0, ftruncate(t->disk.fd, 0));
	ASSERT_EQ(0, database_make(&t->disk));
	t->writer->done = 0;
}

/* Compare what a cut has left with what was acknowledged. */
static void judge(struct __test_metadata *_metadata, struct trial *t,
		  uint64_t done, struct tally *tally)
{
	struct found *found = t->found;

	look_in_child(&t->disk, found);
	if (!is_sound(found)) {
		TH_LOG("%d acknowledged, then: %s%s", (int)done,
		       found->opened ? mdb_strerror(found->opened) : "",
		       found->broken);
		tally->broken++;
		begin_anew(_metadata, t);
		return;
	}
	if (found->last < done) {
		TH_LOG("%d acknowledged, %d there", (int)done,
		       (int)found->last);
		tally->lost++;
	}
	t->writer->done = found->last;
}

/* Cut again and again, at moments that the seed says. */
static struct tally lives(struct __test_metadata *_metadata, struct trial *t,
			  unsigned int flags)
{
	struct writer *w = t->writer;
	struct tally tally = {};

	w->flags = flags;
	for (uint64_t i = 0; i < t->cuts; i++) {
		uint32_t chance = random_of(t->seed, i);
		uint64_t first = w->done, done = 0;

		w->status = 0;
		ASSERT_TRUE(live_and_die(&t->disk, w, chance, &done)) {
			TH_LOG("cut %d: %s", (int)i, mdb_strerror(w->status));
		}
		tally.commits += done - first;
		judge(_metadata, t, done, &tally);
	}
	TH_LOG("%d commits, %d cuts: %d lost some, %d left no database",
	       (int)tally.commits, (int)t->cuts, tally.lost, tally.broken);
	return tally;
}

TEST_F_TIMEOUT(durable_lmdb, commits_survive, LONGEST)
{
	struct tally tally = lives(_metadata, &self->trial, 0);

	EXPECT_EQ(0, tally.lost);
	EXPECT_EQ(0, tally.broken);
	EXPECT_GE(tally.commits, self->trial.cuts);
}

TEST_F_TIMEOUT(durable_lmdb, commits_through_a_mapping_survive, LONGEST)
{
	struct tally tally = lives(_metadata, &self->trial, MDB_WRITEMAP);

	EXPECT_EQ(0, tally.lost);
	EXPECT_EQ(0, tally.broken);
	EXPECT_GE(tally.commits, self->trial.cuts);
}

/* Shows that the tests above can fail: the cuts do take what is not synced. */
TEST_F_TIMEOUT(durable_lmdb, commits_without_sync_are_lost, LONGEST)
{
	struct tally tally = lives(_metadata, &self->trial, MDB_NOSYNC);

	EXPECT_GT(tally.lost + tally.broken, 0);
}

TEST_F_TIMEOUT(durable_lmdb, commits_through_a_mapping_without_sync_are_lost,
	       LONGEST)
{
	struct tally tally = lives(_metadata, &self->trial,
				   MDB_WRITEMAP | MDB_NOSYNC);

	EXPECT_GT(tally.lost + tally.broken, 0);
}

/* Each cut was one: the object counts them. */
TEST_F_TIMEOUT(durable_lmdb, each_cut_reaches_the_object, LONGEST)
{
	struct mmapdev_stats stats;
	struct mmapdev_info info;
	struct tally tally;

	self->trial.cuts = 2;
	tally = lives(_metadata, &self->trial, 0);
	ASSERT_EQ(0, ioctl(self->trial.disk.fd, MMAPDEV_IOC_GET_STATS, &stats));
	EXPECT_EQ(2, stats.crashes);
	EXPECT_GE(stats.flushes, tally.commits);
	ASSERT_EQ(0, disk_info(&self->trial.disk, &info));
	EXPECT_EQ(variant->store, info.store);
}

TEST_HARNESS_MAIN
