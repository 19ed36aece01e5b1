// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl: load, unload and look at the mmapdev kernel module.
 */
#include "ctl.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
"usage: mmapdevctl load [--module FILE] [PARAM=VALUE...]\n"
"       mmapdevctl unload\n"
"       mmapdevctl status [--json]\n"
"       mmapdevctl help | --help | --version\n"
"\n"
"  load    insert the module into the kernel and wait for " DEVICE_PATH ";\n"
"          without --module, the one that is installed for this kernel\n"
"  unload  remove it; fails while a program has the device open or mapped\n"
"  status  tell whether it is loaded, its parameters, limits and counters\n"
"\n"
"parameters of load:\n"
"  mode=OCTAL   permissions of " DEVICE_PATH " (default 0600)\n"
"  limit=BYTES  what all objects together may hold, with K, M or G\n"
"               (default half of RAM; 0: no limit)\n"
"\n"
"exit status: 0 done; 1 failed; 2 wrong usage; 3 (status) not loaded\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "load", ctl_load },
	{ "unload", ctl_unload },
	{ "status", ctl_status },
};

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

int ctl_usage_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	fputs("Try 'mmapdevctl --help'.\n", stderr);
	return CTL_USAGE;
}

static int run(int argc, char **argv)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[0], commands[i].name))
			continue;
		optind = 0;	/* getopt starts anew, on the command's words */
		return commands[i].run(argc, argv);
	}
	return ctl_usage_error("no such command: '%s'", argv[0]);
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

	/* '+': options after the command are the command's. */
	while ((option = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			fputs(help, stdout);
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
		fputs(help, stdout);
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
