// SPDX-License-Identifier: GPL-2.0
/*
 * A claim: a numbered sentence, lines that show it, and "ok" if it holds.
 */
#include "claim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static char line[80];	/* not printed yet: its "ok" may follow */

static void end_line(void)
{
	if (line[0])
		puts(line);
	line[0] = '\0';
}

void claim(const char *sentence)
{
	static int number;

	end_line();
	printf("%2d. %s\n", ++number, sentence);
}

void show(const char *format, ...)
{
	va_list args;

	end_line();
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
}

void must(bool holds, const char *what)
{
	if (holds)
		return;
	end_line();
	printf("FAILED: %s\n", what);
	exit(1);
}

void ok(void)
{
	printf("%-76s ok\n", line);
	line[0] = '\0';
}
