// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl map: a picture of an object's pages.
 */
#include "map.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl.h"

#define OFFSET_COLUMNS	14	/* left of a row; more above 16 TiB */
#define WIDTH_DEFAULT	64
#define LINES_BESIDE	5	/* that are no rows of cells */

static const struct {
	const char *ascii;
	const char *block;	/* as UTF-8 */
	const char *colour;
	const char *name;
} looks[PAGE_STATES] = {
	[PAGE_HOLE]	= { ".", "·", "2", "hole" },
	[PAGE_STORED]	= { "s", "░", "34", "stored" },
	[PAGE_CLEAN]	= { "c", "▒", "32", "clean" },
	[PAGE_WRITTEN]	= { "w", "▓", "33", "written" },
	[PAGE_WRITING]	= { "W", "◆", "35", "writing" },
	[PAGE_DIRTY]	= { "d", "█", "31", "dirty" },
};

/* A power of two of cells in a row, so that rows begin at round offsets. */
void map_layout(struct map *map, const struct screen *screen,
		unsigned int width, int rows)
{
	if (!width) {
		for (width = WIDTH_DEFAULT; width > 8; width /= 2)
			if ((int)width + OFFSET_COLUMNS <= screen->columns)
				break;
	}
	if (rows > MAP_ROWS_MAX)
		rows = MAP_ROWS_MAX;
	if (rows < 1)
		rows = 1;
	map->width = width;
	map->room = width * rows;
}

/* A cell becomes of twice as many pages. */
static void fold(struct map *map)
{
	unsigned int i;

	for (i = 0; i < map->room; i++) {
		uint8_t even = 2 * i < map->room ? map->cells[2 * i] : 0;
		uint8_t odd = 2 * i + 1 < map->room ? map->cells[2 * i + 1] : 0;

		map->cells[i] = even > odd ? even : odd;
	}
	map->shift++;
}

static void make_room(struct map *map, uint64_t end)
{
	if (end > map->end)
		map->end = end;
	while ((map->end - 1) >> map->shift >= map->room)
		fold(map);
}

static void add(void *arg, uint64_t first, uint64_t pages,
		enum page_state state)
{
	struct map *map = arg;
	uint64_t i;

	make_room(map, first + pages);
	map->counts[state] += pages;
	for (i = first >> map->shift; i <= (first + pages - 1) >> map->shift; i++)
		if (map->cells[i] < state)
			map->cells[i] = state;
}

/* An object that has no end is shown as far as it has pages. */
int map_take(struct map *map, int fd, const char *name)
{
	memset(map->cells, PAGE_HOLE, sizeof(map->cells));
	memset(map->counts, 0, sizeof(map->counts));
	map->shift = 0;
	map->end = 0;
	if (ioctl(fd, MMAPDEV_IOC_GET_INFO, &map->info))
		return ctl_error("cannot ask about '%s': %m", name);
	if (map->info.size != map->info.max_size && states_end(&map->info))
		make_room(map, states_end(&map->info));
	if (!states_visit(fd, &map->info, add, map))
		return ctl_error("cannot ask for the pages of '%s': %m", name);
	return CTL_OK;
}

static void print_cell(const struct screen *screen, enum page_state state,
		       enum page_state before)
{
	if (screen->colour && state != before)
		printf("\033[0;%sm", looks[state].colour);
	fputs(screen->unicode ? looks[state].block : looks[state].ascii, stdout);
}

static uint64_t offset_of(const struct map *map, uint64_t cell)
{
	return (cell << map->shift) * map->info.page_size;
}

static void print_row(const struct map *map, const struct screen *screen,
		      uint64_t first, uint64_t end)
{
	enum page_state before = PAGE_STATES;
	uint64_t i;

	for (i = first; i < end; i++) {
		print_cell(screen, map->cells[i], before);
		before = map->cells[i];
	}
	if (screen->colour)
		fputs("\033[0m", stdout);
}

/* All rows, each after the offset of its first byte. */
static void print_rows(const struct map *map, const struct screen *screen,
		       const char *end_of_line)
{
	uint64_t cells = map->end ? ((map->end - 1) >> map->shift) + 1 : 0;
	uint64_t last = cells ? (cells - 1) / map->width * map->width : 0;
	int columns = snprintf(NULL, 0, "%#" PRIx64, offset_of(map, last));
	uint64_t first;

	for (first = 0; first < cells; first += map->width) {
		printf("%#*" PRIx64 " ", columns, offset_of(map, first));
		print_row(map, screen, first,
			  first == last ? cells : first + map->width);
		fputs(end_of_line, stdout);
	}
}

static const char *store_of(const struct mmapdev_info *info)
{
	switch (info->store) {
	case MMAPDEV_STORE_NONE:
		return "no store";
	case MMAPDEV_STORE_MEMORY:
		return "store: memory";
	case MMAPDEV_STORE_FILE:
		return "store: file";
	default:
		return "a store";
	}
}

static void print_heading(const struct map *map, const char *name)
{
	if (map->info.size == map->info.max_size)
		printf("%s: no end", name);
	else
		printf("%s: size %" PRIu64, name, (uint64_t)map->info.size);
	printf(", %s; a cell is %" PRIu64 " page%s of %u bytes",
	       store_of(&map->info), (uint64_t)1 << map->shift,
	       map->shift ? "s" : "", map->info.page_size);
}

/* Only states that an object without a store can be in, if it has none. */
static void print_legend(const struct map *map, const struct screen *screen)
{
	uint64_t holes = map->end;
	int state;

	for (state = PAGE_HOLE + 1; state < PAGE_STATES; state++)
		holes -= map->counts[state] < holes ? map->counts[state] : holes;
	for (state = PAGE_HOLE; state < PAGE_STATES; state++) {
		if (map->info.store == MMAPDEV_STORE_NONE &&
		    state != PAGE_HOLE && state != PAGE_CLEAN)
			continue;
		fputs(state ? "  " : "", stdout);
		print_cell(screen, state, PAGE_STATES);
		printf("%s %s %" PRIu64, screen->colour ? "\033[0m" : "",
		       map->info.store == MMAPDEV_STORE_NONE && state ?
		       "page" : looks[state].name,
		       state ? map->counts[state] : holes);
	}
}

void map_print(const struct map *map, const struct screen *screen,
	       const char *name, const char *end_of_line)
{
	print_heading(map, name);
	fputs(end_of_line, stdout);
	print_rows(map, screen, end_of_line);
	print_legend(map, screen);
	fputs(end_of_line, stdout);
}

int ctl_map(int argc, char **argv)
{
	static const struct option options[] = {
		{ "width", required_argument, NULL, 'w' },
		{ }
	};
	static struct map map;
	struct screen screen;
	uint64_t width = 0;
	int status = CTL_OK;
	int option;
	int fd;

	while (status == CTL_OK &&
	       (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'w')
			return ctl_usage_error("map takes NAME and --width");
		status = number_parse(optarg, 1, MAP_WIDTH_MAX, &width);
	}
	if (status != CTL_OK)
		return status;
	if (argc - optind != 1)
		return ctl_usage_error("map takes one NAME");
	status = object_open(argv[optind], O_RDONLY, &fd);
	if (status != CTL_OK)
		return status;
	screen_get(&screen);
	map_layout(&map, &screen, width, screen.rows - LINES_BESIDE);
	status = map_take(&map, fd, argv[optind]);
	if (status == CTL_OK)
		map_print(&map, &screen, argv[optind], "\n");
	close(fd);
	return status;
}
