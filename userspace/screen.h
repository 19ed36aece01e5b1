/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What standard output can show.
 */
#ifndef _SCREEN_H
#define _SCREEN_H

#include <stdbool.h>

struct screen {
	int columns;
	int rows;
	bool terminal;
	bool colour;
	bool unicode;
};

void screen_get(struct screen *screen);

#endif /* _SCREEN_H */
