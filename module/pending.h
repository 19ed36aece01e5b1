/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a store has not made durable: the entries of its pending array.
 *
 * An entry is
 *  - HOLE: the image has a page here that was taken away since;
 *  - a page with a mark: what was written back;
 *  - a page without: reserved, for the writeback of a page that is dirty now, or
 *    left by one that failed. Its content does not count, the image shows
 *    through it; or, if it is tagged OVER_HOLE, a hole.
 *
 * The marks, of which an entry has one at most:
 *  - WRITTEN: waits for a flush;
 *  - CLAIMED: a flush is at work on it, and may have no folio to lock. Its page is
 *    the flush's: nobody writes to it, and who needs a reservation puts a page of
 *    his own in its place;
 *  - COMMITTED: a flush has put it into the image and waits for that to survive.
 *
 * An entry changes only while its folio is locked, if there is one in the page
 * cache, or by who has locked the store. Entries with a mark are removed only by
 * the latter. Pages go at any time for who has locked neither: look at them only
 * with a reference, from mmapdev_store_find_page().
 */
#ifndef _MMAPDEV_PENDING_H
#define _MMAPDEV_PENDING_H

#include <linux/xarray.h>

#define HOLE		xa_mk_value(0)	/* no page has this address and a tag */
#define OVER_HOLE	1UL
#define WRITTEN		XA_MARK_0
#define COMMITTED	XA_MARK_1
#define CLAIMED		XA_MARK_2

/* Its page, whether that counts or not, or NULL. */
static inline struct page *entry_page(void *entry)
{
	return entry == HOLE ? NULL : xa_untag_pointer(entry);
}

static inline bool entry_is_over_hole(void *entry)
{
	return entry != HOLE && xa_pointer_tag(entry) == OVER_HOLE;
}

/* Was it written back? Else it is reserved. */
static inline bool entry_is_marked(struct xarray *pending, pgoff_t index)
{
	return xa_get_mark(pending, index, WRITTEN) ||
	       xa_get_mark(pending, index, CLAIMED) ||
	       xa_get_mark(pending, index, COMMITTED);
}

#endif /* _MMAPDEV_PENDING_H */
