/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages of a store in memory that are used again.
 */
#ifndef _MMAPDEV_RECYCLE_H
#define _MMAPDEV_RECYCLE_H

#include <linux/list.h>
#include <linux/spinlock.h>

struct mmapdev_store;
struct mmapdev_user;
struct page;

/**
 * struct mmapdev_recycled - pages that a store may use again
 * @lock: of @pages and @count
 * @pages: linked by their lru
 * @count: how many
 * @stores: in the list of stores with some
 */
struct mmapdev_recycled {
	spinlock_t lock;	/* pages, count */
	struct list_head pages;
	unsigned long count;
	struct list_head stores;
};

void mmapdev_recycle_init(struct mmapdev_recycled *recycled);
void mmapdev_recycle_put(struct mmapdev_store *store, struct page **pages,
			 unsigned int n);
struct page *mmapdev_recycle_get(struct mmapdev_recycled *recycled);
unsigned long mmapdev_recycle_give_back(const struct mmapdev_user *user);
void mmapdev_recycle_forget(struct mmapdev_store *store);
unsigned long mmapdev_recycle_count(void);
void mmapdev_recycle_exit(void);

#endif /* _MMAPDEV_RECYCLE_H */
