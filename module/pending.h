/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an image does not have yet: the entries of a store's pending array.
 *
 * An entry is a page, tagged or not:
 *  - untagged, it is a reservation: for the writeback of a folio that is dirty, or
 *    left by a writeback that failed. Its bytes do not count, and the image shows
 *    through it;
 *  - tagged WRITTEN, it was written back, and is what is to be seen. It does not
 *    change any more: the next writeback puts another page in its place. A folio
 *    that is dirty again has its reservation on the page's list.
 *
 * Marks of an entry:
 *  - TO_FLUSH: written, and waits for a flush;
 *  - FLUSHED: written, a flush has given it to the image and waits for that to
 *    survive;
 *  - NEW: the image shows no page here.
 *
 * An entry and its page's list change under xa_lock. A reservation is used and
 * taken away with the folio locked, if there is one in the page cache; written
 * pages are replaced by writeback, with the folio locked, and taken away with
 * the store locked. Without xa_lock a written page may be freed at any time:
 * take a reference by mmapdev_store_find_page() first.
 */
#ifndef _MMAPDEV_PENDING_H
#define _MMAPDEV_PENDING_H

#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/xarray.h>

#define WRITTEN		1UL	/* a tag */

#define TO_FLUSH	XA_MARK_0
#define FLUSHED		XA_MARK_1
#define NEW		XA_MARK_2

static inline struct page *entry_page(void *entry)
{
	return xa_untag_pointer(entry);
}

static inline bool entry_is_written(void *entry)
{
	return xa_pointer_tag(entry) == WRITTEN;
}

/* Its reservation or NULL. Under xa_lock. */
static inline struct page *entry_reserved(void *entry)
{
	struct page *page = entry_page(entry);

	if (!page || !entry_is_written(entry))
		return page;
	return list_first_entry_or_null(&page->lru, struct page, lru);
}

struct mmapdev_store;

/* reserve.c: pages for the writeback to come. */
struct page *mmapdev_reserve_find(struct xa_state *xas);
void mmapdev_store_unreserve(struct mmapdev_store *store, pgoff_t index);

/* batch.c: from there to the image. */
int mmapdev_batch_write(struct mmapdev_store *store, unsigned long first,
			unsigned long last);
void mmapdev_batch_settle(struct mmapdev_store *store, unsigned long first,
			  unsigned long last, xa_mark_t mark);
void mmapdev_batch_fail(struct mmapdev_store *store);

#endif /* _MMAPDEV_PENDING_H */
