// SPDX-License-Identifier: GPL-2.0
/*
 * lmdb FILE default|writemap TRANSACTIONS: a database of one file, written and
 * read as LMDB's users do, and compared with a model of it all the time.
 *
 * FILE is the whole database (MDB_NOSUBDIR), empty at first. Prints what must
 * be the same on every file system: what the database holds, and its layout.
 */
#include <err.h>
#include <lmdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS		1000
#define VALUE_MAX	9000	/* values over 2 KiB get pages of their own */
#define OPERATIONS	40	/* of a transaction */
#define MAP_SIZE	(256 << 20)
#define READERS		2

/* What the database must hold: 0, no such key, or what its value is made of. */
static uint32_t model[KEYS];
static uint32_t sum_of_model;
static unsigned int flags;
static const char *path;

static uint32_t next_random(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state = state * 6364136223846793005 + 1442695040888963407;
	return state >> 33;
}

#define OK(call)							\
	do {								\
		int _status = (call);					\
									\
		if (_status)						\
			errx(1, "line %d: %s", __LINE__,		\
			     mdb_strerror(_status));			\
	} while (0)

static void claim(bool holds, const char *what, int key)
{
	if (!holds)
		errx(1, "key %d: %s", key, what);
}

static MDB_val key_of(int key, char *name, size_t size)
{
	/* Neighbours by number are no neighbours by name. */
	snprintf(name, size, "%03x-%d", key * 2654435761U >> 20, key);
	return (MDB_val) { .mv_size = strlen(name), .mv_data = name };
}

/* The value that a number stands for: its length and all its bytes. */
static MDB_val value_of(uint32_t number, uint32_t *bytes)
{
	size_t size = number % 7 ? number % 200 + 4 : number % VALUE_MAX + 4;

	for (size_t i = 0; i < (size + 3) / 4; i++)
		bytes[i] = number + i * i;
	return (MDB_val) { .mv_size = size, .mv_data = bytes };
}

static MDB_env *env_open(unsigned int more)
{
	MDB_env *env;

	OK(mdb_env_create(&env));
	OK(mdb_env_set_mapsize(env, MAP_SIZE));
	OK(mdb_env_set_maxdbs(env, 2));
	OK(mdb_env_open(env, path, MDB_NOSUBDIR | flags | more, 0600));
	return env;
}

/* Key 0 is the sum of the others: each snapshot must agree with itself. */
static uint32_t snapshot_sum(MDB_txn *txn, MDB_dbi dbi, uint32_t *stored)
{
	MDB_val key, value;
	MDB_cursor *cursor;
	uint32_t sum = 0;
	int status;

	*stored = 0;
	OK(mdb_cursor_open(txn, dbi, &cursor));
	while ((status = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		uint32_t first;

		memcpy(&first, value.mv_data, sizeof(first));
		if (!memcmp((char *)key.mv_data + key.mv_size - 2, "-0", 2))
			*stored = first;
		else
			sum += first;
	}
	claim(status == MDB_NOTFOUND, "the walk ends early", -1);
	mdb_cursor_close(cursor);
	return sum;
}

static void verify(MDB_env *env)
{
	static uint32_t bytes[VALUE_MAX / 4 + 2];
	size_t present = 0;
	MDB_stat stat;
	MDB_txn *txn;
	MDB_dbi dbi;

	OK(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
	OK(mdb_dbi_open(txn, "table", 0, &dbi));
	for (int i = 1; i < KEYS; i++) {
		char name[32];
		MDB_val key = key_of(i, name, sizeof(name)), got, want;
		int status = mdb_get(txn, dbi, &key, &got);

		if (!model[i]) {
			claim(status == MDB_NOTFOUND, "should not be there", i);
			continue;
		}
		OK(status);
		want = value_of(model[i], bytes);
		claim(got.mv_size == want.mv_size, "another length", i);
		claim(!memcmp(got.mv_data, want.mv_data, want.mv_size),
		      "other bytes", i);
		present++;
	}
	OK(mdb_stat(txn, dbi, &stat));
	claim(stat.ms_entries == present + 1, "entries too many", -1);
	mdb_txn_abort(txn);
}

/* A transaction that stays, or leaves no trace. */
static void transaction(MDB_env *env, bool stays)
{
	static uint32_t bytes[VALUE_MAX / 4 + 2];
	static uint32_t before[KEYS];
	uint32_t sum_before = sum_of_model;
	char name[32];
	MDB_val key, value;
	MDB_txn *txn;
	MDB_dbi dbi;

	memcpy(before, model, sizeof(before));
	OK(mdb_txn_begin(env, NULL, 0, &txn));
	OK(mdb_dbi_open(txn, "table", MDB_CREATE, &dbi));
	for (int i = 0; i < OPERATIONS; i++) {
		int k = next_random() % (KEYS - 1) + 1;

		key = key_of(k, name, sizeof(name));
		sum_of_model -= model[k];
		if (next_random() % 3 == 0) {
			int status = mdb_del(txn, dbi, &key, NULL);

			claim(status == (model[k] ? 0 : MDB_NOTFOUND),
			      "wrong answer to deletion", k);
			model[k] = 0;
		} else {
			model[k] = next_random() | 1;
			value = value_of(model[k], bytes);
			OK(mdb_put(txn, dbi, &key, &value, 0));
		}
		sum_of_model += model[k];
	}
	key = key_of(0, name, sizeof(name));
	value = (MDB_val) { .mv_size = 4, .mv_data = &sum_of_model };
	OK(mdb_put(txn, dbi, &key, &value, 0));
	if (stays) {
		OK(mdb_txn_commit(txn));
		return;
	}
	mdb_txn_abort(txn);
	memcpy(model, before, sizeof(model));
	sum_of_model = sum_before;
}

static volatile sig_atomic_t stop;

static void on_term(int signal)
{
	stop = 1;
}

/* Another process that reads snapshots until it is told to end. */
static void reader(int ready)
{
	MDB_env *env;
	MDB_dbi dbi;

	signal(SIGTERM, on_term);
	env = env_open(MDB_RDONLY);
	for (int seen = 0; !stop || !seen; seen++) {
		uint32_t sum, stored;
		MDB_txn *txn;

		OK(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
		OK(mdb_dbi_open(txn, "table", 0, &dbi));
		sum = snapshot_sum(txn, dbi, &stored);
		claim(sum == stored, "a snapshot does not agree", 0);
		mdb_txn_abort(txn);
		if (!seen && write(ready, "", 1) != 1)
			err(1, "write");
		usleep(1000);	/* the writer's turn */
	}
	mdb_env_close(env);
	_exit(0);
}

static void layout(MDB_env *env, const char *when)
{
	MDB_envinfo info;
	MDB_stat stat;
	MDB_txn *txn;
	MDB_dbi dbi;

	OK(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
	OK(mdb_dbi_open(txn, "table", 0, &dbi));
	OK(mdb_stat(txn, dbi, &stat));
	OK(mdb_env_info(env, &info));
	printf("%s: %zu entries, depth %u, %zu + %zu + %zu pages, last %zu\n",
	       when, stat.ms_entries, stat.ms_depth, stat.ms_branch_pages,
	       stat.ms_leaf_pages, stat.ms_overflow_pages, info.me_last_pgno);
	mdb_txn_abort(txn);
}

static MDB_env *write_alone(int transactions)
{
	MDB_env *env = env_open(0);

	for (int i = 0; i < transactions; i++) {
		transaction(env, i % 5 != 4);
		if (i % (transactions / 4) != 1)
			continue;
		verify(env);
		mdb_env_close(env);
		env = env_open(0);
		verify(env);
	}
	return env;
}

static void write_among_readers(int transactions)
{
	pid_t readers[READERS];
	int ready[2], status;
	MDB_env *env;
	char c;

	fflush(stdout);
	if (pipe(ready))
		err(1, "pipe");
	for (int i = 0; i < READERS; i++) {
		readers[i] = fork();
		if (readers[i] == 0)
			reader(ready[1]);
		if (readers[i] < 0)
			err(1, "fork");
	}
	close(ready[1]);
	for (int i = 0; i < READERS; i++) {
		if (read(ready[0], &c, 1) != 1)
			errx(1, "a reader does not begin");
	}
	env = env_open(0);
	for (int i = 0; i < transactions; i++)
		transaction(env, i % 5 != 4);
	verify(env);
	mdb_env_close(env);
	for (int i = 0; i < READERS; i++) {
		kill(readers[i], SIGTERM);
		if (waitpid(readers[i], &status, 0) < 0 || status)
			errx(1, "a reader ends with status %#x", status);
	}
}

/* A compacted copy of it, elsewhere, holds the same. */
static void verify_copy(MDB_env *env)
{
	char copy[4096];

	snprintf(copy, sizeof(copy), "%s.copy", path);
	OK(mdb_env_copy2(env, copy, MDB_CP_COMPACT));
	mdb_env_close(env);
	path = copy;
	flags = 0;
	env = env_open(0);
	verify(env);
	layout(env, "copy");
	mdb_env_close(env);
}

int main(int argc, char **argv)
{
	int transactions;
	MDB_env *env;

	if (argc != 4)
		errx(2, "usage: lmdb FILE default|writemap TRANSACTIONS");
	path = argv[1];
	flags = strcmp(argv[2], "writemap") ? 0 : MDB_WRITEMAP;
	transactions = atoi(argv[3]);

	env = write_alone(transactions);
	verify(env);
	layout(env, "alone");
	mdb_env_close(env);
	write_among_readers(transactions);
	verify_copy(env_open(0));
	return 0;
}
