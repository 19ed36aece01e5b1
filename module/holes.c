// SPDX-License-Identifier: GPL-2.0
/*
 * Holes: pages that a punch or a truncation took from the object, and a flush has
 * not yet taken from the image.
 *
 * They are ranges, so that to shrink an object costs by the pages that are in
 * memory, not by its size.
 */

#include "mmapdev.h"

#define A_HOLE	xa_mk_value(0)

static unsigned long hidden(struct mmapdev_store *store, pgoff_t first,
			    pgoff_t end)
{
	unsigned long n = 0;
	pgoff_t from, to;

	while (first < end && mmapdev_holes_next(store, first, end - 1, &from, &to)) {
		n += store->ops->count(store, max(first, from), min(end, to));
		first = to;
	}
	return n;
}

/**
 * mmapdev_holes_add - hide a range of the image
 * @store: the store
 * @first: where it begins, in pages
 * @end: where it ends, in pages, not included
 *
 * Context: Holds the store's lock and invalidate_lock; may sleep.
 * Return: 0 or -ENOMEM, with nothing changed.
 */
int mmapdev_holes_add(struct mmapdev_store *store, pgoff_t first, pgoff_t end)
{
	unsigned long n, before;
	int err;

	lockdep_assert_held(&store->lock);

	if (first >= end)
		return 0;
	n = store->ops->count(store, first, end);
	before = n ? hidden(store, first, end) : 0;
	if (n == before)	/* nothing that could come back */
		return 0;
	err = mtree_store_range(&store->holes, first, end - 1, A_HOLE,
				GFP_KERNEL_ACCOUNT);
	if (!err)
		atomic_long_add(n - before, &store->hidden_pages);
	return err;
}

/**
 * mmapdev_holes_hide - is a page of the image hidden?
 * @store: the store
 * @index: in pages
 *
 * Return: Whether it is.
 */
bool mmapdev_holes_hide(struct mmapdev_store *store, pgoff_t index)
{
	return !mtree_empty(&store->holes) && mtree_load(&store->holes, index);
}

/**
 * mmapdev_holes_next - find a hole
 * @store: the store
 * @from: where to begin, in pages
 * @last: where to end, in pages, included
 * @first: set to where the hole begins, which can be before @from
 * @end: set to where it ends, in pages, not included; ULONG_MAX at most
 *
 * Return: Is there one?
 */
bool mmapdev_holes_next(struct mmapdev_store *store, pgoff_t from, pgoff_t last,
			pgoff_t *first, pgoff_t *end)
{
	MA_STATE(mas, &store->holes, from, from);
	void *entry;

	if (mtree_empty(&store->holes))
		return false;
	mas_lock(&mas);
	entry = mas_find(&mas, last);
	*first = mas.index;
	*end = mas.last + 1;
	mas_unlock(&mas);
	return entry;
}

/**
 * mmapdev_holes_remove - the image has no pages there any more
 * @store: the store
 * @first: where a hole begins, in pages
 * @end: where it ends, in pages, not included
 *
 * Context: Holds the store's lock, and has not yet taken the pages; may sleep.
 */
void mmapdev_holes_remove(struct mmapdev_store *store, pgoff_t first,
			  pgoff_t end)
{
	lockdep_assert_held(&store->lock);

	mtree_erase(&store->holes, first);
}

/**
 * mmapdev_holes_forget - let the image show all that it has
 * @store: the store
 *
 * Context: Holds the store's lock and invalidate_lock; may sleep.
 */
void mmapdev_holes_forget(struct mmapdev_store *store)
{
	lockdep_assert_held(&store->lock);

	WRITE_ONCE(store->taken, false);
	mtree_destroy(&store->holes);
	atomic_long_set(&store->hidden_pages, 0);
}
