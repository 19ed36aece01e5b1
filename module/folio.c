// SPDX-License-Identifier: GPL-2.0
/*
 * The folio at an index: found in the object's page cache, or made.
 *
 * Fault, read and write all come here, so that a page has one way in.
 */

#include "mmapdev.h"

#include <linux/pagemap.h>

#include "compat.h"
#include "trace.h"

/**
 * mmapdev_folio_find - the folio at an index, if there is one
 * @mapping: the object's pages
 * @index: in pages
 *
 * Context: May sleep for the folio's lock.
 * Return: The folio, locked and with a reference, or NULL.
 */
struct folio *mmapdev_folio_find(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_lock_folio(mapping, index);

	return IS_ERR_OR_NULL(folio) ? NULL : folio;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_folio_find);

/**
 * mmapdev_folio_find_killable - the same, as long as the caller is not killed
 * @mapping: the object's pages
 * @index: in pages
 *
 * A folio is locked while it is loaded from the object's image, which may hang.
 *
 * Context: May sleep for the folio's lock.
 * Return: As mmapdev_folio_find(); ERR_PTR(-EINTR) if killed.
 */
struct folio *mmapdev_folio_find_killable(struct address_space *mapping,
					  pgoff_t index)
{
	struct folio *folio;

	for (;;) {
		folio = filemap_get_folio(mapping, index);
		if (IS_ERR_OR_NULL(folio))
			return NULL;
		if (folio_lock_killable(folio)) {
			folio_put(folio);
			return ERR_PTR(-EINTR);
		}
		if (folio->mapping == mapping)
			return folio;
		folio_unlock(folio);	/* it has gone meanwhile */
		folio_put(folio);
	}
}

static struct folio *make(struct inode *inode, pgoff_t index,
			  unsigned int order, gfp_t gfp)
{
	struct address_space *mapping = inode->i_mapping;
	bool durable = mmapdev_object_of(inode)->store;
	unsigned int pages = 1 << order;
	struct folio *folio;
	int err;

	if (!durable) {	/* else what is stored counts, and this can go */
		err = mmapdev_limit_charge(pages, gfp);
		if (err)
			return ERR_PTR(err);
	}
	folio = mmapdev_filemap_alloc_folio(gfp | __GFP_ZERO, order);
	if (!folio) {
		err = -ENOMEM;
		goto err_uncharge;
	}
	err = filemap_add_folio(mapping, folio, index, gfp);
	if (err)
		goto err_put;
	/* Never clean: what is clean can be dropped, and would come back zero. */
	if (!durable)
		folio_mark_dirty(folio);
	mmapdev_count(mmapdev_object_of(inode), MMAPDEV_PAGES_ALLOCATED, pages);
	trace_mmapdev_folio_add(inode, folio);
	return folio;

err_put:
	folio_put(folio);
err_uncharge:
	if (!durable)
		mmapdev_limit_uncharge(pages);
	return ERR_PTR(err);
}

/**
 * mmapdev_folio_make - put a new folio into an object
 * @inode: the object
 * @index: in pages, aligned to the folio's size
 * @order: of its size in pages; 0 for a durable object
 * @gfp: how to allocate
 *
 * It is full of zeros but not up to date.
 *
 * Context: As mmapdev_folio_get().
 * Return: The folio, locked and with a reference; ERR_PTR(-EEXIST) if there is
 *	one at any of its indices; else as mmapdev_folio_get().
 */
struct folio *mmapdev_folio_make(struct inode *inode, pgoff_t index,
				 unsigned int order, gfp_t gfp)
{
	struct folio *folio;
	int err;

	err = mmapdev_inject(inode, MMAPDEV_EVENT_ALLOCATE,
			     (loff_t)index << PAGE_SHIFT);
	if (err)
		return ERR_PTR(err);
	/* Nobody is killed, in a control group or not, while that may help. */
	if (gfpflags_allow_blocking(gfp))
		mmapdev_ahead_leave_room(false);
	while (gfpflags_allow_blocking(gfp) && mmapdev_ahead_any()) {
		folio = make(inode, index, order, gfp | __GFP_RETRY_MAYFAIL |
						  __GFP_NOWARN);
		if (folio != ERR_PTR(-ENOMEM))
			return folio;
		if (!mmapdev_ahead_take_back())
			break;
	}
	return make(inode, index, order, gfp);
}

/**
 * mmapdev_folio_reserve - the folio at an index, new ones not yet given out
 * @inode: the object
 * @index: in pages
 * @gfp: how to allocate
 *
 * A new folio is full of zeros but not up to date: nobody maps it, and reading
 * sees a hole, so that it can still be taken back unnoticed.
 *
 * Context: As mmapdev_folio_get().
 * Return: As mmapdev_folio_get().
 */
struct folio *mmapdev_folio_reserve(struct inode *inode, pgoff_t index,
				    gfp_t gfp)
{
	struct folio *folio;

	do {
		folio = mmapdev_folio_find_killable(inode->i_mapping, index);
		if (folio)
			return folio;
		folio = mmapdev_folio_make(inode, index, 0, gfp);
	} while (folio == ERR_PTR(-EEXIST));	/* lost a race: find that one */
	return folio;
}

/**
 * mmapdev_folio_load - bring a new folio up to date
 * @inode: the object
 * @folio: locked, full of zeros
 *
 * Context: May sleep.
 * Return: 0, or the error of the object's store.
 */
int mmapdev_folio_load(struct inode *inode, struct folio *folio)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	int err = store ? mmapdev_store_load(store, folio) : 0;

	if (!err)
		folio_mark_uptodate(folio);
	return err;
}

/**
 * mmapdev_folio_is_cached - is there a folio in the page cache?
 * @inode: the object
 * @index: in pages
 *
 * Context: Any; the answer can be old.
 * Return: Whether there is: a value tells of one that was reclaimed.
 */
bool mmapdev_folio_is_cached(struct inode *inode, pgoff_t index)
{
	void *entry = xa_load(&inode->i_mapping->i_pages, index);

	return entry && !xa_is_value(entry);
}

/**
 * mmapdev_is_hole - is there neither a folio nor a stored page at an index?
 * @inode: the object
 * @index: in pages
 *
 * Context: Holds invalidate_lock or i_rwsem, else the answer can be old.
 * Return: Whether it is.
 */
bool mmapdev_is_hole(struct inode *inode, pgoff_t index)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;

	return !mmapdev_folio_is_cached(inode, index) &&
	       !(store && mmapdev_store_has(store, index));
}

/**
 * mmapdev_end_is_inside - is the end of file inside of a huge folio?
 * @inode: the object
 *
 * Only if that could not be split there: see resize.c. How a folio is mapped depends on
 * that, so that it must not change while a fault is under way.
 *
 * Context: Holds invalidate_lock (shared is enough) or i_rwsem.
 * Return: Whether it is.
 */
bool mmapdev_end_is_inside(struct inode *inode)
{
	pgoff_t end = DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE);

	return end % (PMD_SIZE >> PAGE_SHIFT) &&
	       xa_get_order(&inode->i_mapping->i_pages, end - 1) >=
	       PMD_SHIFT - PAGE_SHIFT;
}

/**
 * mmapdev_folio_get - the folio at an index, made if there is none
 * @inode: the object
 * @index: in pages
 * @gfp: how to allocate
 *
 * Context: Holds invalidate_lock (shared is enough) or i_rwsem, so that the
 *	end of file cannot move below @index; may sleep.
 * Return: The folio, locked and with a reference; ERR_PTR(-ENOSPC) over the
 *	limit; ERR_PTR(-ENOMEM); the error of the object's store.
 */
struct folio *mmapdev_folio_get(struct inode *inode, pgoff_t index, gfp_t gfp)
{
	struct folio *folio = mmapdev_folio_reserve(inode, index, gfp);
	int err;

	if (IS_ERR(folio) || folio_test_uptodate(folio))
		return folio;
	err = mmapdev_folio_load(inode, folio);
	if (err) {
		folio_unlock(folio);
		folio_put(folio);
		return ERR_PTR(err);
	}
	return folio;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_folio_get);

/* Every way out of the page cache comes here. */
static void folio_freed(struct folio *folio)
{
	mmapdev_limit_uncharge(folio_nr_pages(folio));
	mmapdev_count_total(MMAPDEV_PAGES_FREED, folio_nr_pages(folio));
	trace_mmapdev_folio_free(folio);
}

/*
 * A poisoned page stays where it is, as in tmpfs: with nothing to load the
 * bytes from again, dropping it would turn lost data into zeros unseen.
 */
static int error_remove(struct address_space *mapping, mmapdev_poisoned_t what)
{
	return 0;
}

/*
 * A folio that could not be split where the end of file came to be, because
 * somebody had it pinned, is marked by a private field. It stays whole until it
 * goes: the core would drop what is past the end, as it splits it, unseen by
 * folio_freed(), and count clean what was never counted dirty.
 */
static bool release_folio(struct folio *folio, gfp_t gfp)
{
	return false;
}

static void invalidate_folio(struct folio *folio, size_t offset, size_t length)
{
	if (!offset && length == folio_size(folio))
		folio_detach_private(folio);
}

const struct address_space_operations mmapdev_aops = {
	.dirty_folio	= noop_dirty_folio,
	.migrate_folio	= filemap_migrate_folio,
	.release_folio	= release_folio,
	.invalidate_folio = invalidate_folio,
	.free_folio	= folio_freed,
	MMAPDEV_ERROR_REMOVE(error_remove),
};
