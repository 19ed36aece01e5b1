// SPDX-License-Identifier: GPL-2.0
/*
 * The store behind a durable object: what a power cut leaves, and what has been
 * written since but not flushed.
 *
 * It is like a disk with a volatile write cache. Writeback copies a page into
 * pending; a flush moves it from there into the image, which survives. So the
 * image holds exactly what some sync call has promised, and a power cut is to
 * forget pending and what is dirty.
 *
 * An entry of pending is
 *  - a page with what was written back (marked WRITTEN),
 *  - HOLE: the image has a page here that was taken away since (marked WRITTEN),
 *  - a page tagged RESERVED, whose content does not count, for the writeback of
 *    a page that is dirty now or whose writeback has failed; the image shows
 *    through it, or, tagged RESERVED_HOLE, a hole.
 *
 * An entry changes only while its folio is locked, if there is one in the page
 * cache, or by who has locked the store. Writeback allocates nothing, since
 * whoever makes a page dirty reserves first.
 */

#include "mmapdev.h"

#include <linux/highmem.h>
#include <linux/pagemap.h>

#include "compat.h"

#define RESERVED	1UL
#define RESERVED_HOLE	3UL
#define HOLE		xa_mk_value(0)	/* no page has this address and a tag */
#define WRITTEN		XA_MARK_0

/* Its content, if that counts, or NULL. */
static struct page *entry_page(void *entry)
{
	return xa_pointer_tag(entry) ? NULL : entry;
}

static bool entry_is_hole(void *entry)
{
	return entry == HOLE || xa_pointer_tag(entry) == RESERVED_HOLE;
}

static bool entry_is_reserved(void *entry)
{
	return entry != HOLE && xa_pointer_tag(entry);
}

static void entry_free(void *entry)
{
	if (entry && entry != HOLE)
		mmapdev_store_free_page(xa_untag_pointer(entry));
}

/**
 * mmapdev_store_alloc_page - a page for a store
 * @gfp: how to allocate
 *
 * Return: The page, which counts in the limit; ERR_PTR(-ENOSPC) over it;
 *	ERR_PTR(-ENOMEM).
 */
struct page *mmapdev_store_alloc_page(gfp_t gfp)
{
	int err = mmapdev_limit_charge(1);
	struct page *page;

	if (err)
		return ERR_PTR(err);
	page = alloc_page(gfp | __GFP_ACCOUNT);
	if (page) {
		set_page_private(page, jiffies);	/* for unsynced() */
		return page;
	}
	mmapdev_limit_uncharge(1);
	return ERR_PTR(-ENOMEM);
}

/**
 * mmapdev_store_free_page - undo mmapdev_store_alloc_page()
 * @page: the page, or NULL
 */
void mmapdev_store_free_page(struct page *page)
{
	if (!page)
		return;
	__free_page(page);
	mmapdev_limit_uncharge(1);
}

/**
 * mmapdev_store_has - is there a page, or a hole?
 * @store: the store
 * @index: in pages
 *
 * What is only in the page cache does not count.
 *
 * Return: Whether there is a page.
 */
bool mmapdev_store_has(struct mmapdev_store *store, pgoff_t index)
{
	void *entry = xa_load(&store->pending, index);

	if (entry_is_hole(entry))
		return false;
	return entry_page(entry) || store->ops->has(store, index);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_has);

/**
 * mmapdev_store_load - fill a folio with what was stored
 * @store: the store
 * @folio: locked, not up to date
 *
 * Context: May sleep.
 * Return: 0, or the image's error.
 */
int mmapdev_store_load(struct mmapdev_store *store, struct folio *folio)
{
	void *entry = xa_load(&store->pending, folio->index);
	struct page *page = entry_page(entry);

	if (page)
		copy_highpage(folio_page(folio, 0), page);
	else if (!entry_is_hole(entry) && store->ops->has(store, folio->index))
		return store->ops->load(store, folio->index,
					folio_page(folio, 0));
	return 0;	/* new folios are full of zeros */
}

/**
 * mmapdev_store_reserve - have a page for the writeback to come
 * @store: the store
 * @index: in pages
 * @gfp: how to allocate
 *
 * Context: The folio at @index is locked; may sleep.
 * Return: 0; -ENOSPC over the limit; -ENOMEM.
 */
int mmapdev_store_reserve(struct mmapdev_store *store, pgoff_t index, gfp_t gfp)
{
	void *entry = xa_load(&store->pending, index);
	unsigned long tag = entry == HOLE ? RESERVED_HOLE : RESERVED;
	struct page *page;
	int err;

	if (entry && entry != HOLE)
		return 0;
	err = store->ops->reserve(store, index, gfp);
	if (err)
		return err;
	page = mmapdev_store_alloc_page(gfp);
	if (IS_ERR(page))
		return PTR_ERR(page);
	err = xa_err(xa_store(&store->pending, index, xa_tag_pointer(page, tag),
			      gfp));
	if (err)
		mmapdev_store_free_page(page);
	else
		xa_clear_mark(&store->pending, index, WRITTEN);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_reserve);

/**
 * mmapdev_store_write - write a folio back
 * @store: the store
 * @folio: locked
 * @size: end of file; what is past it is stored as zeros
 *
 * Only a folio that was made dirty behind our back (by direct I/O into a
 * mapping) has nothing reserved.
 *
 * Context: May sleep.
 * Return: 0; -ENOSPC or -ENOMEM if nothing was reserved.
 */
int mmapdev_store_write(struct mmapdev_store *store, struct folio *folio,
			loff_t size)
{
	pgoff_t index = folio->index;
	loff_t pos = folio_pos(folio);
	void *entry = xa_load(&store->pending, index);
	struct page *page;
	int err;

	if (!entry || entry == HOLE) {
		err = mmapdev_store_reserve(store, index, GFP_NOFS);
		if (err)
			return err;
		entry = xa_load(&store->pending, index);
	}
	page = xa_untag_pointer(entry);
	copy_highpage(page, folio_page(folio, 0));
	if (pos < size && size < pos + PAGE_SIZE)
		memzero_page(page, offset_in_page(size),
			     PAGE_SIZE - offset_in_page(size));
	xa_store(&store->pending, index, page, 0);
	xa_set_mark(&store->pending, index, WRITTEN);
	return 0;
}

/**
 * mmapdev_store_punch_prepare - make sure that a punch will not fail
 * @store: the store
 * @first: where it begins, in pages
 * @end: where it ends, in pages, not included
 *
 * Context: Holds the object's i_rwsem; may sleep.
 * Return: 0 or -ENOMEM, with nothing changed.
 */
int mmapdev_store_punch_prepare(struct mmapdev_store *store, pgoff_t first,
				pgoff_t end)
{
	pgoff_t index;
	int err;

	for (index = store->ops->next(store, first); index < end;
	     index = store->ops->next(store, index + 1)) {
		err = xa_reserve(&store->pending, index, GFP_KERNEL);
		if (err)
			return err;
		cond_resched();
	}
	return 0;
}

/**
 * mmapdev_store_punch - take pages away, for now
 * @store: the store
 * @first: where to begin, in pages
 * @end: where to end, in pages, not included
 *
 * The image keeps them until a flush.
 *
 * Context: After mmapdev_store_punch_prepare(), with i_rwsem and
 *	invalidate_lock held since; the page cache has none of the pages.
 */
void mmapdev_store_punch(struct mmapdev_store *store, pgoff_t first,
			 pgoff_t end)
{
	unsigned long index;
	void *entry;

	mutex_lock(&store->lock);
	xa_for_each_range(&store->pending, index, entry, first, end - 1) {
		entry_free(entry);
		if (store->ops->has(store, index)) {
			xa_store(&store->pending, index, HOLE, 0);
			xa_set_mark(&store->pending, index, WRITTEN);
		} else {
			xa_erase(&store->pending, index);
		}
		cond_resched();
	}
	/* Here nothing is allocated: it was prepared. */
	for (index = store->ops->next(store, first); index < end;
	     index = store->ops->next(store, index + 1)) {
		xa_store(&store->pending, index, HOLE, 0);
		xa_set_mark(&store->pending, index, WRITTEN);
		cond_resched();
	}
	mutex_unlock(&store->lock);
}

/* Lock what is WRITTEN from index on, without a gap. Return how much it is. */
static unsigned int batch_begin(struct inode *inode, struct mmapdev_store *store,
				unsigned long *index, unsigned long last)
{
	struct mmapdev_flush *batch = &store->batch;
	unsigned int n;

	if (!xa_find(&store->pending, index, last, WRITTEN))
		return 0;
	for (n = 0; n < MMAPDEV_FLUSH_BATCH && *index + n <= last; n++) {
		if (!xa_get_mark(&store->pending, *index + n, WRITTEN))
			break;
		/* From here on no writeback changes the entry. */
		batch->folios[n] = mmapdev_folio_find(inode->i_mapping,
						      *index + n);
		batch->pages[n] = entry_page(xa_load(&store->pending,
						     *index + n));
	}
	return n;
}

/*
 * An entry is in the image. What the image did not take for itself is kept for
 * the next writeback if there will be one.
 */
static void entry_committed(struct mmapdev_store *store, unsigned long index,
			    struct page *rest, bool dirty)
{
	if (rest && dirty) {
		set_page_private(rest, jiffies);
		xa_store(&store->pending, index, xa_tag_pointer(rest, RESERVED),
			 0);
		xa_clear_mark(&store->pending, index, WRITTEN);
	} else {
		xa_erase(&store->pending, index);
		mmapdev_store_free_page(rest);
	}
}

/*
 * An entry could not get into the image. Holes are tried again, and so are
 * pages if that was asked for; else the page is clean and forgotten.
 */
static void entry_failed(struct mmapdev_store *store, unsigned long index,
			 struct page *page)
{
	if (!page || store->after_error == MMAPDEV_AFTER_ERROR_DIRTY)
		return;
	xa_store(&store->pending, index, xa_tag_pointer(page, RESERVED), 0);
	xa_clear_mark(&store->pending, index, WRITTEN);
}

/**
 * mmapdev_store_revert - after an error, show what the store has
 * @inode: the object
 * @index: in pages
 *
 * Does nothing unless that was asked for.
 *
 * Context: May sleep.
 */
void mmapdev_store_revert(struct inode *inode, pgoff_t index)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	loff_t pos = (loff_t)index << PAGE_SHIFT;

	if (store->after_error == MMAPDEV_AFTER_ERROR_REVERT)
		truncate_inode_pages_range(inode->i_mapping, pos,
					   pos + PAGE_SIZE - 1);
}

/* Unlock them. */
static void batch_end(struct inode *inode, struct mmapdev_store *store,
		      unsigned long index, unsigned int n, int err)
{
	struct mmapdev_flush *batch = &store->batch;
	unsigned int i;

	for (i = 0; i < n; i++, index++) {
		struct folio *folio = batch->folios[i];
		bool dirty = folio && folio_test_dirty(folio);

		if (err)
			entry_failed(store, index, batch->pages[i]);
		else
			entry_committed(store, index, batch->pages[i], dirty);
		if (folio) {
			folio_unlock(folio);
			folio_put(folio);
		}
		if (err)
			mmapdev_store_revert(inode, index);
	}
}

/* The end of the page that has a byte. */
static loff_t whole_pages(loff_t byte)
{
	return byte > LLONG_MAX - PAGE_SIZE ? LLONG_MAX :
					      round_up(byte + 1, PAGE_SIZE);
}

/**
 * mmapdev_store_flush - make durable what has been written back
 * @inode: the object
 * @from: first byte
 * @to: last byte
 *
 * Whole pages are flushed, and of the size what is needed to read them; from 0
 * to LLONG_MAX, the size as it is.
 *
 * Context: May sleep.
 * Return: 0 or the image's error, which is noted in the mapping too if pages
 *	were lost by it.
 */
int mmapdev_store_flush(struct inode *inode, loff_t from, loff_t to)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	unsigned long index = from >> PAGE_SHIFT;
	unsigned long last = to >> PAGE_SHIFT;
	unsigned int n;
	loff_t size;
	int err;

	err = mmapdev_inject(inode, MMAPDEV_EVENT_FLUSH, from);
	if (err)
		return err;
	mutex_lock(&store->lock);
	size = i_size_read(inode);
	while (!err && (n = batch_begin(inode, store, &index, last))) {
		err = store->ops->commit(store, index, store->batch.pages, n);
		batch_end(inode, store, index, n, err);
		if (err)
			mapping_set_error(inode->i_mapping, err);
		index += n;
		cond_resched();
	}
	if (from || to != LLONG_MAX)
		size = max(store->size, min(size, whole_pages(to)));
	if (!err)
		err = store->ops->resize(store, size);
	if (!err)
		err = store->ops->sync(store);
	if (!err)
		store->size = size;
	mutex_unlock(&store->lock);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_flush);

/**
 * mmapdev_store_unreserve - undo mmapdev_store_reserve()
 * @store: the store
 * @index: in pages
 *
 * Context: No folio there is dirty, and none can become so.
 */
void mmapdev_store_unreserve(struct mmapdev_store *store, pgoff_t index)
{
	void *entry;

	mutex_lock(&store->lock);
	entry = xa_load(&store->pending, index);
	if (entry_is_reserved(entry)) {
		entry_free(entry);
		if (!entry_is_hole(entry)) {
			xa_erase(&store->pending, index);
		} else {
			xa_store(&store->pending, index, HOLE, 0);
			xa_set_mark(&store->pending, index, WRITTEN);
		}
	}
	mutex_unlock(&store->lock);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_unreserve);

/**
 * mmapdev_store_next - where there are bytes
 * @store: the store
 * @index: where to begin, in pages
 *
 * Return: The first index from @index on that is not a hole, written back or
 *	not; ULONG_MAX if there is none.
 */
pgoff_t mmapdev_store_next(struct mmapdev_store *store, pgoff_t index)
{
	for (;;) {
		pgoff_t stored = store->ops->next(store, index);
		unsigned long pending = index;
		void *entry = xa_find(&store->pending, &pending, stored,
				      XA_PRESENT);

		if (!entry)
			return stored;
		if (entry != HOLE)	/* a reservation is for bytes to come */
			return pending;
		if (pending == ULONG_MAX)
			return ULONG_MAX;
		index = pending + 1;
	}
}

/**
 * mmapdev_store_next_pending - find what a power cut would undo
 * @store: the store
 * @index: where to begin, in pages; set to where it was found
 *
 * Return: Is there such a page? It can be one whose writeback is still to come.
 */
bool mmapdev_store_next_pending(struct mmapdev_store *store,
				unsigned long *index)
{
	return xa_find(&store->pending, index, ULONG_MAX, XA_PRESENT);
}

/**
 * mmapdev_store_unsynced - what is not durable, and since when
 * @store: the store
 * @index: where to begin, in pages; set to where to go on
 * @pages: filled in
 * @room: how many @pages
 *
 * Context: May sleep.
 * Return: How many there are, less than @room at the end.
 */
unsigned int mmapdev_store_unsynced(struct mmapdev_store *store,
				    unsigned long *index,
				    struct mmapdev_unsynced_page *pages,
				    unsigned int room)
{
	unsigned int n;
	void *entry;

	mutex_lock(&store->lock);	/* no entry is freed meanwhile */
	for (n = 0; n < room; n++, (*index)++) {
		unsigned long since = jiffies;
		u32 why = MMAPDEV_UNSYNCED_HOLE;
		struct page *page;

		entry = xa_find(&store->pending, index, ULONG_MAX, XA_PRESENT);
		if (!entry)
			break;
		if (entry != HOLE) {
			page = xa_untag_pointer(entry);
			since = page_private(page);
			why = entry_page(entry) ? MMAPDEV_UNSYNCED_WRITTEN :
						  MMAPDEV_UNSYNCED_DIRTY;
		}
		pages[n] = (struct mmapdev_unsynced_page) {
			.offset	= (u64)*index << PAGE_SHIFT,
			.age	= jiffies_to_msecs(jiffies - since),
			.why	= why,
		};
	}
	mutex_unlock(&store->lock);
	return n;
}

/**
 * mmapdev_store_forget - lose what is not in the image
 * @store: the store
 *
 * Context: Holds invalidate_lock; nothing of it is dirty or in writeback.
 */
void mmapdev_store_forget(struct mmapdev_store *store)
{
	unsigned long index;
	void *entry;

	mutex_lock(&store->lock);
	xa_for_each(&store->pending, index, entry)
		entry_free(entry);
	xa_destroy(&store->pending);
	mutex_unlock(&store->lock);
}

/**
 * mmapdev_store_differs - would a power cut change a page?
 * @store: the store
 * @index: in pages
 *
 * Return: Is there something that is not in the image? What is dirty has a
 *	reservation, and counts.
 */
bool mmapdev_store_differs(struct mmapdev_store *store, pgoff_t index)
{
	return xa_load(&store->pending, index);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_differs);

/**
 * mmapdev_store_pages - how much is allocated
 * @store: the store
 *
 * Return: Pages that are stored or will be once they are written back.
 */
unsigned long mmapdev_store_pages(struct mmapdev_store *store)
{
	unsigned long pages = store->ops->pages(store);
	unsigned long index;
	void *entry;

	rcu_read_lock();
	xa_for_each(&store->pending, index, entry) {
		bool has = store->ops->has(store, index);

		if (entry == HOLE)
			pages -= has;
		else
			pages += !has;
	}
	rcu_read_unlock();
	return pages;
}

/**
 * mmapdev_store_init - an empty store
 * @store: the store
 * @ops: its image
 */
void mmapdev_store_init(struct mmapdev_store *store,
			const struct mmapdev_store_ops *ops)
{
	store->ops = ops;
	mutex_init(&store->lock);
	xa_init(&store->pending);
	store->size = 0;
}

/**
 * mmapdev_store_free - let go of a store
 * @store: the store, or NULL
 *
 * Context: Nobody uses its object; may sleep.
 */
void mmapdev_store_free(struct mmapdev_store *store)
{
	if (!store)
		return;
	mmapdev_store_forget(store);
	store->ops->free(store);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_store_free);
