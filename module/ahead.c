// SPDX-License-Identifier: GPL-2.0
/*
 * Pages made ahead of their first touch give way to those that are asked for.
 *
 * What dense access has made and nobody has stored to is all zeros, as the hole was
 * in its place. So it can be taken back unseen: a task that touches it later gets a
 * page then. That is done before anybody is refused a page at the limit, and before
 * the OOM killer is called.
 *
 * Folios that were made ahead are marked in the page cache. The mark goes when one is
 * looked at and all of it is of use.
 */

#include "mmapdev.h"

#include <linux/highmem.h>
#include <linux/interval_tree_generic.h>
#include <linux/oom.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "steps.h"

/* The core does not use it: nothing of an anonymous object is written back. */
#define AHEAD	PAGECACHE_TAG_TOWRITE

#define PATIENCE	HZ
#define BATCH		256	/* pages: others wait for taking_lock meanwhile */
#define SHORT		HZ
#define ROOM_ORDER	3
#define MAX_MAPPED	1024	/* times: to unmap what is mapped more often takes long */

/*
 * Objects with marks, or which had some, and that from which pages are being taken
 * back: one goes only when that is over.
 */
static LIST_HEAD(objects);
static struct mmapdev_object *taken_from;
static DEFINE_SPINLOCK(objects_lock);
static DECLARE_WAIT_QUEUE_HEAD(over);

/* Until when memory counts as short, in jiffies, since some has been taken back. */
static unsigned long short_until;

/* One task at a time takes back: the others' pages may be in what it frees. */
static DEFINE_MUTEX(taking_lock);

/* How many are being made: they count in the limit, and have no mark yet. */
static atomic_t making = ATOMIC_INIT(0);

/**
 * mmapdev_ahead_begin - a folio is about to be made that nobody has asked for
 *
 * Until mmapdev_ahead_end() the caller waits for nobody who may be in
 * mmapdev_ahead_make_room().
 *
 * Context: Any.
 */
void mmapdev_ahead_begin(void)
{
	atomic_inc(&making);
}

/**
 * mmapdev_ahead_end - it was noted, or could not be made
 */
void mmapdev_ahead_end(void)
{
	atomic_dec(&making);
}

static bool has_marks(struct mmapdev_object *object)
{
	return mapping_tagged(object->inode.i_mapping, AHEAD);
}

/**
 * mmapdev_ahead_note - a folio was made that nobody has asked for
 * @inode: the object
 * @folio: the folio, with a reference
 * @index: of any of its pages
 *
 * Of a durable object such a folio is clean: reclaim takes it.
 *
 * Context: Holds invalidate_lock, shared, which keeps fallocate() out, but not the
 *	folio's lock; may sleep.
 */
void mmapdev_ahead_note(struct inode *inode, struct folio *folio, pgoff_t index)
{
	XA_STATE(xas, &inode->i_mapping->i_pages, index);
	struct mmapdev_object *object = mmapdev_object_of(inode);

	if (object->store)
		return;
	xas_lock_irq(&xas);
	if (xas_load(&xas) == folio)
		xas_set_mark(&xas, AHEAD);
	xas_unlock_irq(&xas);
	smp_mb();	/* pairs with next_object() */
	if (!list_empty_careful(&object->ahead))
		return;
	spin_lock(&objects_lock);
	if (list_empty(&object->ahead))
		list_add_tail(&object->ahead, &objects);
	spin_unlock(&objects_lock);
}

/**
 * mmapdev_ahead_keep - somebody wants a folio to stay, touched or not
 * @inode: the object
 * @index: of any of its pages
 *
 * Context: Any but interrupts.
 */
void mmapdev_ahead_keep(struct inode *inode, pgoff_t index)
{
	XA_STATE(xas, &inode->i_mapping->i_pages, index);

	if (!mapping_tagged(inode->i_mapping, AHEAD))
		return;
	xas_lock_irq(&xas);
	if (xas_load(&xas))
		xas_clear_mark(&xas, AHEAD);
	xas_unlock_irq(&xas);
}

/**
 * mmapdev_ahead_forget - an object goes
 * @inode: the object
 *
 * Context: May sleep.
 */
void mmapdev_ahead_forget(struct inode *inode)
{
	struct mmapdev_object *object = mmapdev_object_of(inode);

	spin_lock(&objects_lock);
	list_del_init(&object->ahead);	/* so that nobody begins, and who has ends */
	spin_unlock(&objects_lock);
	wait_event(over, READ_ONCE(taken_from) != object);
}

/**
 * mmapdev_ahead_any - may there be something to take back?
 *
 * Context: Any; the answer can be old.
 * Return: Whether there may.
 */
bool mmapdev_ahead_any(void)
{
	return !list_empty_careful(&objects);
}

/* How many of a folio's pages are all zeros; 0 if it must stay in any case. */
static unsigned long zero_pages(struct folio *folio)
{
	unsigned long n = 0;
	long i;

	if (folio_test_private(folio) || !folio_test_uptodate(folio))
		return 0;
	for (i = 0; i < folio_nr_pages(folio); i++) {
		struct page *page = folio_page(folio, i);
		void *bytes;

		if (PageHWPoison(page))
			return 0;
		bytes = kmap_local_page(page);
		n += !memchr_inv(bytes, 0, PAGE_SIZE);
		kunmap_local(bytes);
	}
	return n;
}

/*
 * Does anybody but the page cache and us hold it, and so could store to it? It
 * is not mapped: nobody can come to hold it in that way any more. A folio that is
 * not in a list of the core's is on its way there, held by one reference. If it
 * comes there as we look, that reference may be somebody else's.
 */
static bool is_held(struct folio *folio)
{
	bool listed = folio_test_lru(folio);
	long refs;

	smp_rmb();	/* the list, then the references, then the list */
	refs = folio_ref_count(folio);
	smp_rmb();	/* as above */
	return refs != folio_nr_pages(folio) + 1 + !listed ||
	       folio_test_lru(folio) != listed;
}

static inline unsigned long first_mapped(struct vm_area_struct *vma)
{
	return vma->vm_pgoff;
}

static inline unsigned long last_mapped(struct vm_area_struct *vma)
{
	return vma->vm_pgoff + vma_pages(vma) - 1;
}

/* The core's tree of a file's mappings, whose look-ups it keeps to itself. */
INTERVAL_TREE_DEFINE(struct vm_area_struct, shared.rb, unsigned long,
		     shared.rb_subtree_last, first_mapped, last_mapped,
		     static inline, mappings)

/*
 * Has mlock() promised any of its pages? Of large folios the core knows that by the
 * mappings alone. One that is locked after this has its pages made anew. What is
 * mapped more often than we ask about counts as promised.
 */
static bool is_promised(struct address_space *mapping, struct folio *folio)
{
	pgoff_t first = folio->index;
	pgoff_t last = first + folio_nr_pages(folio) - 1;
	struct vm_area_struct *vma;
	bool promised = false;
	unsigned int n = 0;

	i_mmap_lock_read(mapping);
	for (vma = mappings_iter_first(&mapping->i_mmap, first, last);
	     vma && !promised; vma = mappings_iter_next(vma, first, last))
		promised = vma->vm_flags & VM_LOCKED || ++n > MAX_MAPPED;
	i_mmap_unlock_read(mapping);
	return promised;
}

enum fate { STAYS, HELD, MIXED, GONE };

/*
 * What becomes of a locked folio: it goes if it is all zeros, of which nobody can
 * come to store to it meanwhile, since it is not mapped and a fault waits for its lock.
 */
static enum fate judge(struct address_space *mapping, struct folio *folio)
{
	unsigned long pages = folio_nr_pages(folio);
	unsigned long zeros;

	/* fallocate() takes the mark away with the folio locked. */
	if (!xa_get_mark(&mapping->i_pages, folio->index, AHEAD) ||
	    is_promised(mapping, folio))
		return STAYS;
	mmapdev_step();
	unmap_mapping_pages(mapping, folio->index, pages, false);
	if (is_promised(mapping, folio))
		return STAYS;	/* locked meanwhile, when it was still mapped */
	if (is_held(folio))
		return HELD;
	zeros = zero_pages(folio);
	if (!zeros)
		return STAYS;
	if (zeros < pages)
		return MIXED;
	return generic_error_remove_folio(mapping, folio) ? STAYS : GONE;
}

/*
 * Truncation splits what it takes a part of; of no bytes, it takes none. The folio is
 * dirty: else it would go whole if it cannot be split.
 */
static bool split(struct address_space *mapping, pgoff_t index,
		  unsigned long pages)
{
	loff_t pos = (loff_t)(index + pages / 2) << PAGE_SHIFT;

	truncate_inode_pages_range(mapping, pos + 1, pos);
	return 1UL << xa_get_order(&mapping->i_pages, index) < pages;
}

/* Without waiting for it: the task that has it locked may be waiting for memory. */
static struct folio *find_idle(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(mapping, index);

	if (IS_ERR_OR_NULL(folio))
		return NULL;
	if (folio_trylock(folio)) {
		if (folio->mapping == mapping)
			return folio;
		folio_unlock(folio);
	}
	folio_put(folio);
	return NULL;
}

/*
 * Take back what nobody has stored to. Return how many pages. What is held loses its
 * mark with the last look.
 */
static unsigned long take_back_range(struct address_space *mapping,
				     pgoff_t index, pgoff_t end, bool last)
{
	unsigned long freed = 0;

	while (index < end) {
		struct folio *folio = find_idle(mapping, index);
		unsigned long pages;
		enum fate fate;
		pgoff_t first;

		if (!folio) {
			if (last)
				mmapdev_ahead_keep(mapping->host, index);
			index++;
			continue;
		}
		first = folio->index;
		pages = folio_nr_pages(folio);
		fate = judge(mapping, folio);
		folio_unlock(folio);
		folio_put(folio);
		if (fate == MIXED && split(mapping, first, pages))
			continue;	/* with its first part, which has the mark, too */
		if (fate == GONE)
			freed += pages;
		else if (fate == STAYS || last)
			mmapdev_ahead_keep(mapping->host, first);
		index = first + pages;
		cond_resched();
	}
	return freed;
}

static unsigned long take_back_from(struct mmapdev_object *object,
				    unsigned long wanted, bool last)
{
	struct address_space *mapping = object->inode.i_mapping;
	unsigned long index = 0;
	unsigned long freed = 0;

	while (freed < wanted && !fatal_signal_pending(current) &&
	       !list_empty_careful(&object->ahead) &&
	       xa_find(&mapping->i_pages, &index, ULONG_MAX, AHEAD)) {
		unsigned long pages = 1UL << xa_get_order(&mapping->i_pages,
							  index);
		pgoff_t first = round_down(index, pages);

		freed += take_back_range(mapping, first, first + pages,
					 last);
		index = first + pages;
	}
	return freed;
}

/*
 * The first object that has marks, which goes to the end of the list and stays until
 * leave(). NULL once as many as there were have been looked at. What has no mark leaves
 * the list, unless it gets one just now.
 */
static struct mmapdev_object *next_object(unsigned int *left)
{
	struct mmapdev_object *object = NULL;

	spin_lock(&objects_lock);
	while (!object && *left && !list_empty(&objects)) {
		object = list_first_entry(&objects, struct mmapdev_object, ahead);
		--*left;
		if (has_marks(object)) {
			list_move_tail(&object->ahead, &objects);
			continue;
		}
		list_del_init(&object->ahead);
		smp_mb();	/* pairs with mmapdev_ahead_note() */
		if (has_marks(object))
			list_add_tail(&object->ahead, &objects);
		object = NULL;
	}
	WRITE_ONCE(taken_from, object);
	spin_unlock(&objects_lock);
	return object;
}

static void leave(void)
{
	spin_lock(&objects_lock);
	WRITE_ONCE(taken_from, NULL);
	spin_unlock(&objects_lock);
	wake_up_all(&over);
}

static unsigned int count_objects(void)
{
	struct mmapdev_object *object;
	unsigned int n = 0;

	spin_lock(&objects_lock);
	list_for_each_entry(object, &objects, ahead)
		n++;
	spin_unlock(&objects_lock);
	return n;
}

/* Return how many pages there are less, of all objects together. */
static unsigned long take_back(unsigned long pages, bool last)
{
	struct mmapdev_object *object;
	unsigned long freed = 0;
	unsigned int flags, left;

	if (mutex_lock_killable(&taking_lock))
		return 0;
	/* Splitting takes a little memory, for which nobody is to be killed. */
	flags = memalloc_noreclaim_save();
	left = count_objects();
	while (freed < pages && (object = next_object(&left))) {
		freed += take_back_from(object, pages - freed, last);
		leave();
	}
	memalloc_noreclaim_restore(flags);
	mutex_unlock(&taking_lock);
	return freed;
}

/**
 * mmapdev_ahead_take_back - make room in memory, not only at the limit
 *
 * Context: Holds at most the lock of a durable object's folio; may sleep.
 * Return: How many pages there are less, of all objects together; not all that there
 *	could be.
 */
unsigned long mmapdev_ahead_take_back(void)
{
	WRITE_ONCE(short_until, jiffies + SHORT);
	return take_back(BATCH, false);
}

static bool is_room(void)
{
	/* What is clean in the page cache goes first. */
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN;
	struct page *page = alloc_pages(gfp, ROOM_ORDER);

	if (page)
		__free_pages(page, ROOM_ORDER);
	return page;
}

/**
 * mmapdev_ahead_leave_room - see to it that the caller's group is not full
 * @many: there may be less room than before by many pages
 *
 * A group is charged for what the core needs itself, as page tables, and the core kills
 * for those without a word to us. So some room is left, if a batch gives that.
 *
 * Context: Holds no folio's lock; may sleep.
 */
void mmapdev_ahead_leave_room(bool many)
{
	if (!many && time_after(jiffies, READ_ONCE(short_until)))
		return;
	if (mmapdev_ahead_any() && !is_room())
		mmapdev_ahead_take_back();
}

/**
 * mmapdev_ahead_make_room - somebody is about to be refused pages
 * @pages: how many
 * @waited: how many ticks the caller has waited so far, 0 at first
 *
 * Most of what is held is held for a moment only, by a fault that is not over. What is
 * still held after PATIENCE ticks is of use to somebody: it is not asked for again, so
 * that nobody waits for it twice.
 *
 * Context: Holds at most the lock of a durable object's folio; may sleep.
 * Return: Whether it is worth another try.
 */
bool mmapdev_ahead_make_room(unsigned long pages, unsigned int *waited)
{
	bool more = atomic_read(&making);
	bool last = *waited >= PATIENCE;
	unsigned int nap = *waited + 1;

	if (take_back(pages, last))
		return true;
	if ((!more && !mmapdev_ahead_any()) || last)
		return false;
	*waited += nap;
	schedule_timeout_killable(nap);
	return !fatal_signal_pending(current);
}

/*
 * Before the OOM killer chooses somebody. A task that is short of memory may hold locks
 * that a split waits for, so that is a worker's job, which is not waited for longer
 * than RESCUE_WAIT. It is asked again as long as it helps.
 */
#define RESCUE_WAIT	(5 * HZ)

static struct {
	struct work_struct work;
	struct completion over;
	unsigned long freed;
} rescue;

static void rescue_run(struct work_struct *work)
{
	WRITE_ONCE(rescue.freed, mmapdev_ahead_take_back());
	complete(&rescue.over);
}

static int out_of_memory_soon(struct notifier_block *block, unsigned long event,
			      void *freed)
{
	*(unsigned long *)freed += mmapdev_recycle_give_back(NULL);
	if (!mmapdev_ahead_any())
		return NOTIFY_OK;
	reinit_completion(&rescue.over);	/* one at a time: by oom_lock */
	queue_work(system_unbound_wq, &rescue.work);
	if (wait_for_completion_timeout(&rescue.over, RESCUE_WAIT))
		*(unsigned long *)freed += READ_ONCE(rescue.freed);
	return NOTIFY_OK;
}

static struct notifier_block oom_block = {
	.notifier_call = out_of_memory_soon,
};

/**
 * mmapdev_ahead_init - be asked before the OOM killer is
 *
 * Return: 0 or an error.
 */
int __init mmapdev_ahead_init(void)
{
	INIT_WORK(&rescue.work, rescue_run);
	init_completion(&rescue.over);
	return register_oom_notifier(&oom_block);
}

/**
 * mmapdev_ahead_exit - undo mmapdev_ahead_init()
 */
void mmapdev_ahead_exit(void)
{
	unregister_oom_notifier(&oom_block);
	cancel_work_sync(&rescue.work);
}
