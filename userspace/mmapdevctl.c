// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl: load, unload and look at the mmapdev kernel module and its named
 * objects.
 */
#include "ctl.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *words;
	const char *help;
} commands[] = {
	{ "load", ctl_load,
	  "[--module FILE] [PARAM=VALUE...]",
"insert the module into the kernel and wait for " DEVICE_PATH "\n"
"  --module FILE          the module (default: as installed for this kernel)\n"
"  mode=OCTAL             permissions of " DEVICE_PATH " (default 0600)\n"
"  limit=BYTES            what all objects together may hold, with K, M\n"
"                         or G (default half of RAM; 0: no limit)\n"
"  user_limit=BYTES       what the stores of one user may hold (default a\n"
"                         quarter of limit; 0: no limit)\n"
"  objects=NAME:SIZE,...  named objects to begin with\n" },
	{ "unload", ctl_unload, "",
"remove the module, unless it is in use; then tell by whom\n" },
	{ "status", ctl_status, "[--json] [NAME]",
"tell whether it is loaded, its parameters, limits and counters\n"
"  NAME  of a named object instead: sizes, store and counters\n" },
	{ "create", ctl_create,
	  "NAME [--size SIZE] [--store STORE] [OPTION...]",
"create an object that programs can open as " NODE_PREFIX "NAME\n"
"  --size SIZE           bytes, or with K, M, G or T (default 0: empty)\n"
"  --mode MODE           permissions, in octal (default 0600)\n"
"  --owner USER[:GROUP]  names or numbers (default: the caller)\n"
"  --store STORE         what msync makes durable: memory (a second image), or\n"
"                        file:PATH (a file, whose size it has, or a block\n"
"                        device); default none\n"
"  --after-error WHAT    a page whose way to the store failed is clean (the\n"
"                        default), dirty (tried again) or revert (becomes what\n"
"                        the store has)\n" },
	{ "remove", ctl_remove, "NAME",
"take a name away; the object lives until its last user has gone\n" },
	{ "resize", ctl_resize, "NAME SIZE",
"set the end of a named object\n" },
	{ "list", ctl_list, "",
"list named objects, with sizes in bytes\n" },
	{ "serve", ctl_serve,
	  "NAME --path PATH [--bind] [--read-only] [-- COMMAND...]",
"let programs use one as a file at PATH, until Ctrl-C or COMMAND's end\n"
"  --bind       PATH is a mount, not a symbolic link: for programs that look\n"
"               where links lead, as SQLite does; needs root\n"
"  --read-only  open it for reading only\n" },
	{ "map", ctl_map, "NAME [--width CELLS]",
"draw the pages of an object, and how durable they are\n"
"  A cell has the first of these that one of its pages is: dirty; writing, to\n"
"  the store; written, but not flushed; clean; stored, not in memory; a hole.\n"
"  --width CELLS  of a row (default: as many as fit, up to 64)\n" },
	{ "watch", ctl_watch, "NAME [--interval SECONDS] [--count N]",
"draw the map again and again, with rates of events, until Ctrl-C\n"
"  --interval SECONDS  between two pictures (default 1)\n"
"  --count N           end after N pictures\n" },
	{ "unsynced", ctl_unsynced, "NAME",
"list what a power cut would undo, and since when, with offsets in bytes\n" },
	{ "crash", ctl_crash, "NAME [--revert]",
"cut the power of a durable object: what is not durable is gone\n"
"  --revert  files and mappings live on, and show what survived\n" },
	{ "inject", ctl_inject, "NAME EVENT ACTION [OPTION...]",
"add a rule that fails or delays an event, and print its ID\n"
"  EVENT            fault-read, fault-write, mkwrite, writeback, flush or\n"
"                   allocate\n"
"  ACTION           sigbus, hwpoison, eio, enospc, enomem or delay=MICROSECONDS\n"
"  --offset BYTES   only pages from here on (default 0)\n"
"  --length BYTES   only so far (default: to the end)\n"
"  --skip N         let N events pass first\n"
"  --count N        act at most N times (default: no limit)\n"
"  --probability P  of acting, 0.000001 to 1 (default 1)\n"
"  --seed N         which events those are\n"
"  --pid PID        only events of this process\n" },
	{ "rules", ctl_rules, "NAME",
"list the rules of an object, and how often they matched and acted\n" },
	{ "uninject", ctl_uninject, "NAME ID|all",
"remove a rule, or all\n" },
};

static const size_t command_count = sizeof(commands) / sizeof(commands[0]);

static void say(const char *format, va_list args)
{
	fflush(stdout);
	fputs("mmapdevctl: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

int ctl_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	return CTL_ERROR;
}

int ctl_not_loaded(void)
{
	ctl_error(MODULE_NAME " is not loaded");
	return CTL_NOT_LOADED;
}

int ctl_usage_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	fputs("Try 'mmapdevctl --help'.\n", stderr);
	return CTL_USAGE;
}

static void print_usage(const char *before, size_t i)
{
	printf("%smmapdevctl %s%s%s\n", before, commands[i].name,
	       commands[i].words[0] ? " " : "", commands[i].words);
}

static void print_help(void)
{
	size_t i;

	for (i = 0; i < command_count; i++)
		print_usage(i ? "       " : "usage: ", i);
	puts("       mmapdevctl help | --help | --version | COMMAND --help\n");
	for (i = 0; i < command_count; i++)
		printf("  %-10s%.*s", commands[i].name,
		       (int)strcspn(commands[i].help, "\n") + 1,
		       commands[i].help);
	puts("\n"
	     "exit status: 0 done; 1 failed; 2 wrong usage; 3 not loaded\n"
	     "(load and unload: 1); serve with COMMAND: that of COMMAND");
}

static void print_command_help(size_t i)
{
	print_usage("usage: ", i);
	fputs(commands[i].help, stdout);
}

static int run(int argc, char **argv)
{
	size_t i;

	for (i = 0; i < command_count; i++) {
		if (strcmp(argv[0], commands[i].name))
			continue;
		if (argc == 2 && !strcmp(argv[1], "--help")) {
			print_command_help(i);
			return CTL_OK;
		}
		optind = 0;	/* getopt starts anew, on the command's words */
		return commands[i].run(argc, argv);
	}
	return ctl_usage_error("no such command: '%s'", argv[0]);
}

/*
 * A standard file that is closed must not become an object's, which would then
 * get the output; nor must what is written to it seem to be done.
 */
static void occupy_standard_files(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", fd ? O_RDONLY : O_WRONLY);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ }
	};
	int status;
	int option;

	occupy_standard_files();
	/* '+': options after the command are the command's. */
	while ((option = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			print_help();
			goto out;
		case 'V':
			puts("mmapdevctl " VERSION);
			goto out;
		default:
			fputs("Try 'mmapdevctl --help'.\n", stderr);
			return CTL_USAGE;
		}
	}
	if (optind == argc)
		return ctl_usage_error("no command given");
	if (!strcmp(argv[optind], "help")) {
		print_help();
		goto out;
	}
	status = run(argc - optind, argv + optind);
	if (status != CTL_OK)
		return status;
out:
	if (fflush(stdout) || ferror(stdout))
		return ctl_error("cannot write the output: %m");
	return CTL_OK;
}
