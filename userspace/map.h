/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A picture of an object's pages: rows of cells, each for as many pages as it
 * takes for the picture to fit.
 */
#ifndef _MAP_H
#define _MAP_H

#include <stdint.h>

#include "mmapdev.h"
#include "screen.h"
#include "states.h"

#define MAP_WIDTH_MAX	512
#define MAP_ROWS_MAX	32
#define MAP_CELLS_MAX	(MAP_WIDTH_MAX * MAP_ROWS_MAX)

struct map {
	struct mmapdev_info info;
	uint64_t counts[PAGE_STATES];	/* of pages; not of holes */
	uint64_t end;			/* in pages, past the last one shown */
	unsigned int width;		/* cells of a row */
	unsigned int room;		/* cells that fit */
	unsigned int shift;		/* a cell is 1 << shift pages */
	uint8_t cells[MAP_CELLS_MAX];	/* the most urgent state in it */
};

/* How wide, and how many rows: width 0 is as wide as the screen has room for. */
void map_layout(struct map *map, const struct screen *screen,
		unsigned int width, int rows);
/* Fill it in; an exit status. */
int map_take(struct map *map, int fd, const char *name);
/* Print it, each line ended by this. */
void map_print(const struct map *map, const struct screen *screen,
	       const char *name, const char *end_of_line);

#endif /* _MAP_H */
