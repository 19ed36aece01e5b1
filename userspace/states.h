/* SPDX-License-Identifier: GPL-2.0 */
/*
 * In what state each page of an object is.
 */
#ifndef _STATES_H
#define _STATES_H

#include <stdbool.h>
#include <stdint.h>

#include "mmapdev.h"

/* From what nobody need care for to what is farthest from being durable. */
enum page_state {
	PAGE_HOLE,	/* nothing */
	PAGE_STORED,	/* in the store, not in memory */
	PAGE_CLEAN,	/* in memory; if there is a store, it has the same */
	PAGE_WRITTEN,	/* changed, written or taken away, but not flushed */
	PAGE_WRITING,	/* on its way to the store */
	PAGE_DIRTY,	/* changed, not written back */
	PAGE_STATES
};

/* Adjacent pages from the first on, in one state. */
typedef void states_visitor(void *arg, uint64_t first, uint64_t pages,
			    enum page_state state);

/*
 * Visit all pages of an object, in order, but for holes. This costs by pages,
 * not by size, but for a durable object with clean pages where its store has
 * none, or has all. False if the object cannot be asked (errno).
 */
bool states_visit(int fd, const struct mmapdev_info *info,
		  states_visitor *visit, void *arg);

/* How far pages can be: past the end if that was cut and is not durable. */
uint64_t states_end(const struct mmapdev_info *info);

#endif /* _STATES_H */
