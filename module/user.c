// SPDX-License-Identifier: GPL-2.0
/*
 * How much the stores of one user may hold.
 *
 * A store plays a disk, so that its pages count against no control group: reclaim
 * could not get one back, and a group that is full must be able to write out. What
 * a user could take of the machine in this way is bounded here; root sets the
 * bounds, and has none.
 */

#include "mmapdev.h"

#include <linux/cred.h>
#include <linux/list.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

/**
 * struct mmapdev_user - a user with stores
 * @list: in users
 * @uid: who
 * @stores: how many; users_lock
 * @pages: what they hold together
 */
struct mmapdev_user {
	struct list_head list;
	kuid_t uid;
	unsigned long stores;
	atomic_long_t pages;
};

static LIST_HEAD(users);
static DEFINE_MUTEX(users_lock);

/* Bytes, 0 for no limit. Read and written without a lock: it is one word. */
static unsigned long limit_bytes;
static bool limit_given;

static int user_limit_set(const char *val, const struct kernel_param *kp)
{
	unsigned long bytes;
	int err = mmapdev_parse_size(val, strcspn(val, "\n"), &bytes);

	if (err)
		return err;
	WRITE_ONCE(limit_bytes, bytes);
	limit_given = true;
	return 0;
}

static int user_limit_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%lu\n", READ_ONCE(limit_bytes));
}

const struct kernel_param_ops mmapdev_user_limit_ops = {
	.set = user_limit_set,
	.get = user_limit_get,
};

/**
 * mmapdev_user_init - a quarter of what there is for all, unless it was given
 *
 * Context: After mmapdev_limit_init().
 */
void __init mmapdev_user_init(void)
{
	if (!limit_given)
		limit_bytes = (mmapdev_limit_bytes / 4) & PAGE_MASK;
}

static struct mmapdev_user *find(kuid_t uid)
{
	struct mmapdev_user *user;

	list_for_each_entry(user, &users, list)
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

/*
 * In a user namespace a user can be many: all of them count for the one who made it, or,
 * if root did, for the namespace's own root.
 */
static kuid_t payer(void)
{
	struct user_namespace *ns = current_user_ns();
	kuid_t uid;

	if (ns == &init_user_ns)
		return current_fsuid();
	while (ns->parent != &init_user_ns)
		ns = ns->parent;
	uid = ns->owner;
	if (uid_eq(uid, GLOBAL_ROOT_UID))
		uid = make_kuid(ns, 0);
	/* The root of all is no user, not even where ids are as outside. */
	if (!uid_valid(uid) || uid_eq(uid, GLOBAL_ROOT_UID))
		return current_fsuid();
	return uid;
}

/**
 * mmapdev_user_get - who a store is to be of
 *
 * Context: May sleep.
 * Return: The caller, by its uid for files, which is an object's owner, or by that of
 *	its outermost user namespace; NULL for root; ERR_PTR(-ENOMEM).
 *	mmapdev_user_put() lets go of it.
 */
struct mmapdev_user *mmapdev_user_get(void)
{
	kuid_t uid = payer();
	struct mmapdev_user *user;

	if (uid_eq(uid, GLOBAL_ROOT_UID))
		return NULL;
	mutex_lock(&users_lock);
	user = find(uid);
	if (!user) {
		user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);
		if (user) {
			user->uid = uid;
			list_add(&user->list, &users);
		}
	}
	if (user)
		user->stores++;
	mutex_unlock(&users_lock);
	return user ?: ERR_PTR(-ENOMEM);
}

/**
 * mmapdev_user_put - a store is gone, and has no pages any more
 * @user: whose it was
 *
 * Context: May sleep.
 */
void mmapdev_user_put(struct mmapdev_user *user)
{
	if (!user)
		return;
	mutex_lock(&users_lock);
	if (!--user->stores) {
		WARN_ON_ONCE(atomic_long_read(&user->pages));
		list_del(&user->list);
		kfree(user);
	}
	mutex_unlock(&users_lock);
}

/**
 * mmapdev_user_charge - ask for a page of a store
 * @user: whose
 *
 * Context: Any.
 * Return: 0, or -ENOSPC if the user's stores together would be over the limit.
 */
int mmapdev_user_charge(struct mmapdev_user *user)
{
	unsigned long bytes = READ_ONCE(limit_bytes);
	long pages;

	if (!user)
		return 0;
	pages = atomic_long_read(&user->pages);
	do {
		if (bytes && pages >= bytes >> PAGE_SHIFT)
			return -ENOSPC;
	} while (!atomic_long_try_cmpxchg(&user->pages, &pages, pages + 1));
	return 0;
}

/**
 * mmapdev_user_uncharge - give pages of a store back
 * @user: whose
 * @pages: how many
 *
 * Context: Any.
 */
void mmapdev_user_uncharge(struct mmapdev_user *user, unsigned long pages)
{
	if (user)
		atomic_long_sub(pages, &user->pages);
}
