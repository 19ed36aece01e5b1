// SPDX-License-Identifier: GPL-2.0
/*
 * random_ops: random operations on an object, and on a model of it in memory,
 * until they differ. See --help.
 */
#include <err.h>
#include <getopt.h>

#include "random_ops/hunt.h"
#include "random_ops/list.h"
#include "random_ops/operation.h"

enum { CLEAN, DIFFERENCE, USAGE };

#define MOST_PROCESSES	64
#define LARGEST		(1ULL << 30)

static const char help[] =
"usage: random_ops [OPTION...] [PATH]\n"
"Runs random operations on an object and on a model of it in memory, and\n"
"compares them. Prints what differs, and the fewest steps that show it.\n"
"\n"
"  --backend NAME    what to run on (default object_file):\n"
"                      object_file  a file of a fresh mmapdev object\n"
"                      mmapdev      a fresh mmapdev object, by its node\n"
"                      durable_memory, durable_file\n"
"                                   a fresh durable object, stored in memory, or\n"
"                                   in the file PATH, which loses its bytes\n"
"                                   (default one in /dev/shm)\n"
"                      memfd, tmpfs\n"
"                      file         the file PATH, which loses its bytes\n"
"  --seed N          which operations (default 1)\n"
"  --ops N           how many, in each process (default 10000)\n"
"  --size BYTES      the largest size, with K or M (default 128K)\n"
"  --processes N     run N, each on a range of BYTES of one object (default 1)\n"
"  --replay LIST     run these steps instead: a file, - for standard input, or\n"
"                    the steps themselves, with ; between them\n"
"  --without NAMES   leave out these operations, with , between them\n"
"  --operations      list the operations\n"
"  --help\n"
"\n"
"exit status: 0 no difference; 1 a difference; 2 wrong usage, or no object\n";

static uint64_t number(const char *text, uint64_t least, uint64_t most)
{
	uint64_t n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (end != text && (*end == 'K' || *end == 'M'))
		n <<= *end++ == 'K' ? 10 : 20;
	if (errno || end == text || *end || n < least || n > most)
		errx(USAGE, "'%s' is not a number from %llu to %llu", text,
		     (unsigned long long)least, (unsigned long long)most);
	return n;
}

static const struct target *target(const char *name)
{
	const struct target *t = target_find(name);

	if (!t)
		errx(USAGE, "no such backend: '%s'", name);
	return t;
}

/* Rows of the table, as bits. */
static uint64_t rows(const char *names)
{
	uint64_t bits = 0;

	while (*names) {
		size_t n = strcspn(names, ",");
		const struct operation *op = operation_find(operations, names,
							    n);

		if (!op)
			errx(USAGE, "no such operation: '%.*s'", (int)n, names);
		bits |= 1ULL << (op - operations);
		names += n + (names[n] == ',');
	}
	return bits;
}

static void replay(struct plan *p, const char *list)
{
	size_t n;

	p->steps = list_read(operations, list, &n);
	p->count = n;
	if (!p->steps)
		exit(USAGE);
}

static void print_operations(void)
{
	for (const struct operation *op = operations; op->name; op++)
		puts(op->name);
}

static void parse(struct plan *p, int argc, char **argv)
{
	static const struct option options[] = {
		{ "backend", required_argument, NULL, 'b' },
		{ "seed", required_argument, NULL, 's' },
		{ "ops", required_argument, NULL, 'n' },
		{ "size", required_argument, NULL, 'm' },
		{ "processes", required_argument, NULL, 'p' },
		{ "replay", required_argument, NULL, 'r' },
		{ "without", required_argument, NULL, 'w' },
		{ "operations", no_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	size_t page = getpagesize();
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			p->target = target(optarg);
			break;
		case 's':
			p->seed = number(optarg, 0, UINT64_MAX);
			break;
		case 'n':
			p->count = number(optarg, 1, 1ULL << 40);
			break;
		case 'm':
			p->max = number(optarg, 1, LARGEST);
			p->max = (p->max + page - 1) / page * page;
			break;
		case 'p':
			p->processes = number(optarg, 1, MOST_PROCESSES);
			break;
		case 'r':
			replay(p, optarg);
			break;
		case 'w':
			p->without = rows(optarg);
			break;
		case 'o':
			print_operations();
			exit(CLEAN);
		case 'h':
			fputs(help, stdout);
			exit(CLEAN);
		default:
			exit(USAGE);
		}
	}
	if (argc - optind > (p->target->path != NO_PATH))
		errx(USAGE, "too many arguments");
	if (argc == optind && p->target->path == HAS_PATH)
		errx(USAGE, "the file's path is missing");
	p->path = argv[optind];
}

int main(int argc, char **argv)
{
	struct plan p = {
		.table = operations,
		.target = targets,
		.seed = 1,
		.count = 10000,
		.max = 128 << 10,
		.processes = 1,
		.progress = true,
	};
	size_t left;

	parse(&p, argc, argv);
	if (!hunt(&p, &left))
		return USAGE;
	return left ? DIFFERENCE : CLEAN;
}
