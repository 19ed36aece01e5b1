// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that a flush has replaced in an image in memory are kept for the next stores:
 * a program that commits again and again dirties about as many each time.
 *
 * They stay in the limits, and go before anybody is refused a page or the OOM killer is
 * called, and once a second in any case.
 */

#include "recycle.h"

#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "mmapdev.h"

#define LIFETIME	HZ

/* Stores with some. The holder of the lock waits for nothing but the processor. */
static LIST_HEAD(stores);
static DEFINE_MUTEX(stores_lock);
static atomic_long_t all = ATOMIC_LONG_INIT(0);

static void lifetime_over(struct work_struct *work)
{
	mmapdev_recycle_give_back(NULL);
}

static DECLARE_DELAYED_WORK(lifetime, lifetime_over);

/**
 * mmapdev_recycle_init - a store without any
 * @recycled: pages of it to use again
 */
void mmapdev_recycle_init(struct mmapdev_recycled *recycled)
{
	spin_lock_init(&recycled->lock);
	INIT_LIST_HEAD(&recycled->pages);
	INIT_LIST_HEAD(&recycled->stores);
}

/*
 * What a reader still copies from cannot be written to: it goes when that is over. Nor
 * is memory of use that has failed.
 */
static void keep(struct mmapdev_recycled *recycled, struct page **pages,
		 unsigned int n)
{
	unsigned int i, kept = 0;

	smp_mb();	/* pairs with the reference in mmapdev_store_find_page() */
	spin_lock(&recycled->lock);
	for (i = 0; i < n; i++) {
		if (!pages[i] || page_ref_count(pages[i]) != 1 ||
		    PageHWPoison(pages[i]))
			continue;
		list_add(&pages[i]->lru, &recycled->pages);
		pages[i] = NULL;
		kept++;
	}
	recycled->count += kept;
	atomic_long_add(kept, &all);
	spin_unlock(&recycled->lock);
}

/**
 * mmapdev_recycle_put - keep what the image does not have any more
 * @store: the store
 * @pages: pages and NULLs that nobody can find any more; of no use afterwards
 * @n: how many of both
 *
 * Context: Holds the store's lock, so that it stays.
 */
void mmapdev_recycle_put(struct mmapdev_store *store, struct page **pages,
			 unsigned int n)
{
	struct mmapdev_recycled *recycled = &store->recycled;

	keep(recycled, pages, n);
	mmapdev_store_free_pages(store, pages, n);
	/* One that leaves the list does so before its pages go, in empty(). */
	if (!list_empty_careful(&recycled->stores))
		return;
	mutex_lock(&stores_lock);
	if (list_empty(&recycled->stores))
		list_add_tail(&recycled->stores, &stores);
	mutex_unlock(&stores_lock);
	queue_delayed_work(system_unbound_wq, &lifetime, LIFETIME);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_recycle_put);

/**
 * mmapdev_recycle_get - use one
 * @recycled: a store's
 *
 * Context: Any but interrupts.
 * Return: A page, which counts in the limits, or NULL.
 */
struct page *mmapdev_recycle_get(struct mmapdev_recycled *recycled)
{
	struct page *page;

	if (list_empty_careful(&recycled->pages))
		return NULL;
	spin_lock(&recycled->lock);
	page = list_first_entry_or_null(&recycled->pages, struct page, lru);
	if (page) {
		list_del(&page->lru);
		recycled->count--;
		atomic_long_dec(&all);
	}
	spin_unlock(&recycled->lock);
	return page;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_recycle_get);

/* Let a store have none. Return how many it had. */
static unsigned long empty(struct mmapdev_store *store)
{
	struct mmapdev_recycled *recycled = &store->recycled;
	struct page *page, *next;
	unsigned long n;
	LIST_HEAD(pages);

	lockdep_assert_held(&stores_lock);

	list_del_init(&recycled->stores);
	spin_lock(&recycled->lock);
	list_splice_init(&recycled->pages, &pages);
	n = recycled->count;
	recycled->count = 0;
	atomic_long_sub(n, &all);
	spin_unlock(&recycled->lock);
	list_for_each_entry_safe(page, next, &pages, lru) {
		put_page(page);
		cond_resched();
	}
	mmapdev_user_uncharge(store->user, n);
	mmapdev_limit_uncharge(n);
	return n;
}

/**
 * mmapdev_recycle_give_back - free those of several stores
 * @user: whose; NULL for all there are
 *
 * Context: May sleep. Who finds somebody else at it waits, until killed: what that one
 *	frees is for both.
 * Return: How many there were.
 */
unsigned long mmapdev_recycle_give_back(const struct mmapdev_user *user)
{
	struct mmapdev_store *store, *next;
	unsigned long n = 0;

	if (mutex_lock_killable(&stores_lock))
		return 0;
	list_for_each_entry_safe(store, next, &stores, recycled.stores) {
		if (!user || store->user == user)
			n += empty(store);
	}
	mutex_unlock(&stores_lock);
	return n;
}

/**
 * mmapdev_recycle_forget - a store goes
 * @store: the store
 *
 * Context: May sleep.
 */
void mmapdev_recycle_forget(struct mmapdev_store *store)
{
	mutex_lock(&stores_lock);
	empty(store);
	mutex_unlock(&stores_lock);
}

/**
 * mmapdev_recycle_count - how many there are
 *
 * Context: Any.
 * Return: Those of all stores.
 */
unsigned long mmapdev_recycle_count(void)
{
	return atomic_long_read(&all);
}

/**
 * mmapdev_recycle_exit - there are no stores any more
 */
void mmapdev_recycle_exit(void)
{
	cancel_delayed_work_sync(&lifetime);
}
