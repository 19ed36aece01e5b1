// SPDX-License-Identifier: GPL-2.0
/*
 * In what state each page of an object is.
 *
 * MMAPDEV_IOC_PAGES tells what is in memory and what is not durable, a byte for
 * each page, holes included, of which an object can have 2^51. So large objects
 * are looked at only where SEEK_DATA and MMAPDEV_IOC_UNSYNCED find something.
 * What these do not find is a page that was read where a memory store has none,
 * or of a file store, which has all. Such pages are missing from the count of
 * resident pages in the end, and only then is the object looked at everywhere.
 */
#include "states.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BATCH		4096ULL		/* pages that are asked for at once */
#define SMALL		(1ULL << 18)	/* pages: look at all of them */
#define EVERYWHERE	(1ULL << 28)	/* pages: never at all of more */

struct walk {
	int fd;
	const struct mmapdev_info *info;
	states_visitor *visit;
	void *arg;
	uint64_t end;			/* in pages, as all below */
	uint64_t seen;			/* pages in memory */
	uint64_t stored, stored_end;	/* a range that is in the store */
	bool sparse;			/* skip what need not be looked at */
};

static uint64_t pages_of(const struct mmapdev_info *info, uint64_t bytes)
{
	return bytes / info->page_size + (bytes % info->page_size ? 1 : 0);
}

uint64_t states_end(const struct mmapdev_info *info)
{
	uint64_t size = info->size;

	if (info->store && info->durable_size > size)
		size = info->durable_size;
	return pages_of(info, size);
}

/* Where SEEK_DATA or SEEK_HOLE leads, or the end. */
static uint64_t seek(const struct walk *walk, uint64_t from, int whence)
{
	off_t at = lseek(walk->fd, from * walk->info->page_size, whence);

	return at < 0 ? walk->end : pages_of(walk->info, at);
}

static uint64_t next_unsynced(const struct walk *walk, uint64_t from)
{
	struct mmapdev_unsynced_page page;
	struct mmapdev_unsynced want = {
		.offset = from * walk->info->page_size,
		.count = 1,
		.pages = (uintptr_t)&page,
	};

	if (ioctl(walk->fd, MMAPDEV_IOC_UNSYNCED, &want) || !want.count)
		return walk->end;
	return page.offset / walk->info->page_size;
}

/* Is a page that is not in memory in the store? Asked for rising pages only. */
static bool is_stored(struct walk *walk, uint64_t index)
{
	if (walk->info->store == MMAPDEV_STORE_NONE)
		return false;
	if (index >= walk->stored_end &&
	    walk->info->store == MMAPDEV_STORE_FILE) {
		/* Up to its end it has them all; do not seek through them. */
		walk->stored = 0;
		walk->stored_end = pages_of(walk->info,
					    walk->info->durable_size);
	} else if (index >= walk->stored_end) {
		walk->stored = seek(walk, index, SEEK_DATA);
		walk->stored_end = walk->stored < walk->end ?
				   seek(walk, walk->stored, SEEK_HOLE) :
				   walk->end;
	}
	return index >= walk->stored && index < walk->stored_end;
}

static enum page_state state_of(struct walk *walk, uint64_t index, uint8_t byte)
{
	if (byte & MMAPDEV_PAGE_DIRTY)
		return PAGE_DIRTY;
	if (byte & MMAPDEV_PAGE_WRITEBACK)
		return PAGE_WRITING;
	if (byte & MMAPDEV_PAGE_DIFFERS)
		return PAGE_WRITTEN;
	if (MMAPDEV_PAGE_RESIDENT(byte))
		return PAGE_CLEAN;
	return is_stored(walk, index) ? PAGE_STORED : PAGE_HOLE;
}

static void visit(struct walk *walk, uint64_t first, uint64_t pages,
		  enum page_state state)
{
	if (pages && state != PAGE_HOLE && walk->visit)
		walk->visit(walk->arg, first, pages, state);
}

static void visit_batch(struct walk *walk, uint64_t first,
			const uint8_t *states, uint64_t count)
{
	enum page_state run = PAGE_HOLE;
	uint64_t begun = 0;
	uint64_t i;

	for (i = 0; i < count; i++) {
		enum page_state state = state_of(walk, first + i, states[i]);

		if (MMAPDEV_PAGE_RESIDENT(states[i]))
			walk->seen++;
		if (state == run)
			continue;
		visit(walk, first + begun, i - begun, run);
		run = state;
		begun = i;
	}
	visit(walk, first + begun, count - begun, run);
}

/* The next page that may be more than a hole; what is between is visited. */
static uint64_t skip(struct walk *walk, uint64_t index)
{
	uint64_t found = walk->end;

	if (walk->info->store != MMAPDEV_STORE_NONE)
		found = next_unsynced(walk, index);
	if (walk->info->store == MMAPDEV_STORE_FILE) {
		uint64_t end = pages_of(walk->info, walk->info->durable_size);

		end = end < found ? end : found;
		if (index < end)
			visit(walk, index, end - index, PAGE_STORED);
	} else {
		uint64_t data = seek(walk, index, SEEK_DATA);

		found = data < found ? data : found;
	}
	return found;
}

static bool go(struct walk *walk)
{
	uint8_t states[BATCH];
	uint64_t index = 0;

	while (index < walk->end) {
		struct mmapdev_pages want = { .states = (uintptr_t)states };

		/* Looking everywhere ends when all have been seen. */
		if (walk->sparse || walk->seen >= walk->info->resident)
			index = skip(walk, index);
		if (index >= walk->end)
			break;
		want.offset = index * walk->info->page_size;
		want.count = walk->end - index < BATCH ? walk->end - index :
							 BATCH;
		if (ioctl(walk->fd, MMAPDEV_IOC_PAGES, &want))
			return false;
		visit_batch(walk, index, states, want.count);
		index += want.count;
	}
	return true;
}

/* Does a sparse walk come by all pages? Nothing is visited. */
static bool sparse_suffices(const struct walk *model)
{
	struct walk walk = *model;

	walk.visit = NULL;
	walk.sparse = true;
	return go(&walk) && walk.seen >= walk.info->resident;
}

bool states_visit(int fd, const struct mmapdev_info *info,
		  states_visitor *visitor, void *arg)
{
	struct walk walk = {
		.fd = fd,
		.info = info,
		.visit = visitor,
		.arg = arg,
		.end = states_end(info),
	};

	if (info->store == MMAPDEV_STORE_NONE || walk.end > EVERYWHERE)
		walk.sparse = true;
	else if (walk.end > SMALL)
		walk.sparse = sparse_suffices(&walk);
	return go(&walk);
}
