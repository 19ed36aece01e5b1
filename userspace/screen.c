// SPDX-License-Identifier: GPL-2.0
/*
 * What standard output can show.
 */
#include "screen.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Plain text of 80 columns, unless it is a terminal that can do more. */
void screen_get(struct screen *screen)
{
	const char *terminal = getenv("TERM");
	const char *no_colour = getenv("NO_COLOR");
	struct winsize size;

	*screen = (struct screen) { .columns = 80, .rows = 24 };
	screen->terminal = isatty(STDOUT_FILENO);
	if (!screen->terminal)
		return;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col &&
	    size.ws_row) {
		screen->columns = size.ws_col;
		screen->rows = size.ws_row;
	}
	screen->colour = (!no_colour || !*no_colour) &&
			 terminal && strcmp(terminal, "dumb");
	setlocale(LC_CTYPE, "");
	screen->unicode = !strcmp(nl_langinfo(CODESET), "UTF-8");
}
