// SPDX-License-Identifier: GPL-2.0
/*
 * How much memory all objects together may hold.
 *
 * Objects have nowhere to be swapped to, and outlive the process that an OOM
 * killer would choose: without a limit they could take the machine.
 */

#include "mmapdev.h"

#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "compat.h"

/* Bytes, 0 for no limit. Read and written without a lock: each is one word. */
unsigned long mmapdev_limit_bytes;
EXPORT_SYMBOL_IF_KUNIT(mmapdev_limit_bytes);
static bool limit_given;
static atomic_long_t pages_used = ATOMIC_LONG_INIT(0);

static int limit_set(const char *val, const struct kernel_param *kp)
{
	unsigned long bytes;
	int err = mmapdev_parse_size(val, strcspn(val, "\n"), &bytes);

	if (err)
		return err;
	WRITE_ONCE(mmapdev_limit_bytes, bytes);
	limit_given = true;
	return 0;
}

static int limit_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%lu\n", READ_ONCE(mmapdev_limit_bytes));
}

const struct kernel_param_ops mmapdev_limit_ops = {
	.set = limit_set,
	.get = limit_get,
};

/**
 * mmapdev_limit_init - half of RAM, unless the limit was given
 */
void __init mmapdev_limit_init(void)
{
	if (!limit_given)
		mmapdev_limit_bytes = totalram_pages() / 2 * PAGE_SIZE;
}

static int charge(unsigned long pages)
{
	unsigned long limit = READ_ONCE(mmapdev_limit_bytes) >> PAGE_SHIFT;
	long used = atomic_long_read(&pages_used);

	/* What does not fit must not, even for a moment, be in others' way. */
	do {
		if (READ_ONCE(mmapdev_limit_bytes) &&
		    (pages > limit || used > limit - pages))
			return -ENOSPC;
	} while (!atomic_long_try_cmpxchg(&pages_used, &used, used + pages));
	return 0;
}

/**
 * mmapdev_limit_charge - ask for pages
 * @pages: how many
 * @gfp: if it may block, recycled pages and what was made ahead give way
 *
 * Context: As @gfp tells, and mmapdev_ahead_make_room().
 * Return: 0, or -ENOSPC if all objects together would be over the limit.
 */
int mmapdev_limit_charge(unsigned long pages, gfp_t gfp)
{
	unsigned int waited = 0;
	int err = charge(pages);

	if (!gfpflags_allow_blocking(gfp))
		return err;
	if (err) {
		mmapdev_recycle_give_back(NULL);
		err = charge(pages);
	}
	while (err && mmapdev_ahead_make_room(pages, &waited))
		err = charge(pages);
	if (!err)
		return 0;
	/* As we looked, others may have given back what there was, or kept some. */
	mmapdev_recycle_give_back(NULL);
	return charge(pages);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_limit_charge);

/**
 * mmapdev_limit_uncharge - give pages back
 * @pages: how many
 *
 * Context: Any.
 */
void mmapdev_limit_uncharge(unsigned long pages)
{
	atomic_long_sub(pages, &pages_used);
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_limit_uncharge);

/**
 * mmapdev_limit_used - what all objects together hold, but for what is to be used again
 *
 * Return: Pages.
 */
unsigned long mmapdev_limit_used(void)
{
	long pages = atomic_long_read(&pages_used);

	pages -= mmapdev_recycle_count();
	return max(pages, 0L);	/* they are not read at once */
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_limit_used);
