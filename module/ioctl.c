// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls: each checks what it was given, does one thing, and copies out.
 */

#include "mmapdev.h"

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "compat.h"

static int get_info(struct inode *inode, void __user *arg)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	struct mmapdev_info info = {
		.abi_version	= MMAPDEV_ABI_VERSION,
		.page_size	= PAGE_SIZE,
		.features	= MMAPDEV_FEATURE_ANONYMOUS |
				  MMAPDEV_FEATURE_NAMES |
				  MMAPDEV_FEATURE_FILES |
				  MMAPDEV_FEATURE_DURABLE |
				  MMAPDEV_FEATURE_INJECT,
		.object		= inode->i_ino,
		.size		= i_size_read(inode),
		.max_size	= inode->i_sb->s_maxbytes,
		.resident	= inode->i_mapping->nrpages,
		.limit		= READ_ONCE(mmapdev_limit_bytes),
		.used		= (u64)mmapdev_limit_used() << PAGE_SHIFT,
	};

	if (store) {
		info.store = store->ops->kind;
		info.durable_size = READ_ONCE(store->size);
	}
	mmapdev_node_name(inode, info.name);
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static int set_size(struct file *file, void __user *arg)
{
	struct inode *inode = file->f_mapping->host;
	struct mmapdev_size size;

	if (copy_from_user(&size, arg, sizeof(size)))
		return -EFAULT;
	if (size.reserved || !(file->f_mode & FMODE_WRITE))
		return -EINVAL;
	if (size.size > inode->i_sb->s_maxbytes)
		return -EFBIG;
	return mmapdev_resize(inode, size.size, file);
}

static int get_stats(struct inode *inode, void __user *arg)
{
	struct mmapdev_stats stats;

	mmapdev_stats_get(mmapdev_object_of(inode), &stats);
	return copy_to_user(arg, &stats, sizeof(stats)) ? -EFAULT : 0;
}

static u8 folio_state(struct folio *folio, bool durable)
{
	u8 state = folio_order(folio) + 1;

	if (folio_mapped(folio))
		state |= MMAPDEV_PAGE_MAPPED;
	if (durable && folio_test_dirty(folio))
		state |= MMAPDEV_PAGE_DIRTY;
	if (folio_test_writeback(folio))
		state |= MMAPDEV_PAGE_WRITEBACK;
	return state;
}

static void mark_differing(struct mmapdev_store *store, pgoff_t index,
			   u8 *states, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (mmapdev_store_differs(store, index + i))
			states[i] |= MMAPDEV_PAGE_DIFFERS;
}

/* The states of the pages from index on, as many as states has room for. */
static void page_states(struct inode *inode, pgoff_t index, u8 *states,
			size_t count)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	struct address_space *mapping = inode->i_mapping;
	pgoff_t end = index + count;
	pgoff_t next = index;
	struct folio_batch batch;
	unsigned int i;

	memset(states, 0, count);
	folio_batch_init(&batch);
	while (filemap_get_folios(mapping, &next, end - 1, &batch)) {
		for (i = 0; i < folio_batch_count(&batch); i++) {
			struct folio *folio = batch.folios[i];
			pgoff_t from = max(folio->index, index);
			pgoff_t to = min(folio->index + folio_nr_pages(folio),
					 end);

			if (from < to)	/* else it was freed and used again */
				memset(states + (from - index),
				       folio_state(folio, store),
				       to - from);
		}
		folio_batch_release(&batch);
	}
	if (store)
		mark_differing(store, index, states, count);
}

static int get_pages(struct inode *inode, void __user *arg)
{
	u64 max = inode->i_sb->s_maxbytes >> PAGE_SHIFT;
	struct mmapdev_pages pages;
	u64 index;
	u64 done;
	u8 states[256];

	if (copy_from_user(&pages, arg, sizeof(pages)))
		return -EFAULT;
	if (pages.flags || pages.reserved || offset_in_page(pages.offset))
		return -EINVAL;
	index = pages.offset >> PAGE_SHIFT;
	if (pages.count > max || index > max - pages.count)
		return -EFBIG;
	for (done = 0; done < pages.count; ) {
		size_t n = min_t(u64, sizeof(states), pages.count - done);

		page_states(inode, index + done, states, n);
		if (copy_to_user(u64_to_user_ptr(pages.states + done), states,
				 n))
			return -EFAULT;
		done += n;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* An id of the caller's user namespace; own if it is -1. */
static int node_uid(u32 id, kuid_t *uid)
{
	*uid = id == (u32)-1 ? current_fsuid() :
			       make_kuid(current_user_ns(), id);
	if (!uid_valid(*uid))
		return -EINVAL;
	return uid_eq(*uid, current_fsuid()) || capable(CAP_CHOWN) ? 0 : -EPERM;
}

static int node_gid(u32 id, kgid_t *gid)
{
	*gid = id == (u32)-1 ? current_fsgid() :
			       make_kgid(current_user_ns(), id);
	if (!gid_valid(*gid))
		return -EINVAL;
	return in_group_p(*gid) || capable(CAP_CHOWN) ? 0 : -EPERM;
}

static int set_name(struct inode *inode, void __user *arg)
{
	struct mmapdev_name name;
	kuid_t uid;
	kgid_t gid;
	size_t len;
	int err;

	if (copy_from_user(&name, arg, sizeof(name)))
		return -EFAULT;
	len = strnlen(name.name, sizeof(name.name));
	if (name.reserved || name.mode & ~0777 || len == sizeof(name.name) ||
	    memchr_inv(name.name + len, 0, sizeof(name.name) - len))
		return -EINVAL;
	if (!capable(CAP_MKNOD))
		return -EPERM;
	err = node_uid(name.uid, &uid) ?: node_gid(name.gid, &gid);
	if (err)
		return err;
	return mmapdev_node_create(inode, name.name, name.mode, uid, gid);
}

static int remove_name(struct inode *inode)
{
	if (!capable(CAP_MKNOD))
		return -EPERM;
	return mmapdev_node_remove(inode);
}

static bool file_flags_valid(u32 flags)
{
	return !(flags & ~(O_ACCMODE | O_CLOEXEC | O_APPEND)) &&
	       (flags & O_ACCMODE) != O_ACCMODE;
}

static struct mmapdev_store *make_store(const struct mmapdev_create *want)
{
	switch (want->store) {
	case MMAPDEV_STORE_MEMORY:
		if (want->fd != -1)
			return ERR_PTR(-EINVAL);
		if (want->size > MMAPDEV_MAX_SIZE)
			return ERR_PTR(-EFBIG);
		return mmapdev_memory_store(want->size);
	case MMAPDEV_STORE_FILE:
		if (want->size)
			return ERR_PTR(-EINVAL);
		return mmapdev_file_store(want->fd);
	default:
		return ERR_PTR(-EINVAL);
	}
}

static int create(void __user *arg)
{
	struct mmapdev_create want;
	struct mmapdev_store *store;
	struct inode *inode;
	int ret;

	if (copy_from_user(&want, arg, sizeof(want)))
		return -EFAULT;
	if (!file_flags_valid(want.flags) ||
	    want.after_error > MMAPDEV_AFTER_ERROR_REVERT ||
	    memchr_inv(want.reserved, 0, sizeof(want.reserved)))
		return -EINVAL;
	store = make_store(&want);
	if (IS_ERR(store))
		return PTR_ERR(store);
	store->after_error = want.after_error;
	inode = mmapdev_object_create_durable(store);
	if (IS_ERR(inode)) {
		mmapdev_store_free(store);
		return PTR_ERR(inode);
	}
	ret = mmapdev_regular_open(inode, want.flags);
	iput(inode);	/* the file holds it now */
	return ret;
}

static int crash(struct file *file, void __user *arg)
{
	struct mmapdev_crash crash;
	int err;

	if (copy_from_user(&crash, arg, sizeof(crash)))
		return -EFAULT;
	if (crash.flags & ~MMAPDEV_CRASH_REVERT || crash.reserved ||
	    !(file->f_mode & FMODE_WRITE))
		return -EINVAL;
	err = mmapdev_crash(file->f_mapping->host, crash.flags, &crash.lost);
	if (err)
		return err;
	return copy_to_user(arg, &crash, sizeof(crash)) ? -EFAULT : 0;
}

static int get_unsynced(struct inode *inode, void __user *arg)
{
	struct mmapdev_store *store = mmapdev_object_of(inode)->store;
	struct mmapdev_unsynced_page pages[16];
	struct mmapdev_unsynced want;
	struct mmapdev_unsynced_page __user *to;
	unsigned long index;
	u64 done = 0;

	if (copy_from_user(&want, arg, sizeof(want)))
		return -EFAULT;
	if (want.reserved || offset_in_page(want.offset))
		return -EINVAL;
	to = u64_to_user_ptr(want.pages);
	index = want.offset >> PAGE_SHIFT;
	while (store && done < want.count) {
		unsigned int room = min_t(u64, want.count - done,
					  ARRAY_SIZE(pages));
		int n = mmapdev_store_unsynced(store, &index, pages, room);

		if (n < 0)
			return n;
		if (copy_to_user(to + done, pages, n * sizeof(pages[0])))
			return -EFAULT;
		done += n;
		if (n < (int)room)
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	want.count = done;
	return copy_to_user(arg, &want, sizeof(want)) ? -EFAULT : 0;
}

static int add_rule(struct file *file, void __user *arg)
{
	struct inode *inode = file->f_mapping->host;
	struct mmapdev_rule rule;
	int err;

	if (copy_from_user(&rule, arg, sizeof(rule)))
		return -EFAULT;
	if (!(file->f_mode & FMODE_WRITE))
		return -EINVAL;
	err = mmapdev_inject_add(inode, &rule);
	if (!err && copy_to_user(arg, &rule, sizeof(rule))) {
		mmapdev_inject_remove(inode, rule.id);
		err = -EFAULT;
	}
	return err;
}

static int get_rule(struct inode *inode, void __user *arg)
{
	struct mmapdev_rule rule;
	int err;

	if (copy_from_user(&rule, arg, sizeof(rule)))
		return -EFAULT;
	err = mmapdev_inject_get(inode, &rule);
	if (err)
		return err;
	return copy_to_user(arg, &rule, sizeof(rule)) ? -EFAULT : 0;
}

static int remove_rule(struct file *file, void __user *arg)
{
	struct mmapdev_rule rule;

	if (copy_from_user(&rule, arg, sizeof(rule)))
		return -EFAULT;
	if (!(file->f_mode & FMODE_WRITE))
		return -EINVAL;
	return mmapdev_inject_remove(file->f_mapping->host, rule.id);
}

static int open_regular(struct file *file, void __user *arg)
{
	struct mmapdev_file want;
	fmode_t mode;

	if (copy_from_user(&want, arg, sizeof(want)))
		return -EFAULT;
	if (want.reserved || !file_flags_valid(want.flags))
		return -EINVAL;
	mode = OPEN_FMODE(want.flags) & (FMODE_READ | FMODE_WRITE);
	if (mode & ~file->f_mode)
		return -EACCES;
	return mmapdev_regular_open(file->f_mapping->host, want.flags);
}

/**
 * mmapdev_ioctl - the calls of uapi/mmapdev.h
 * @file: any face of the object
 * @cmd: MMAPDEV_IOC_*
 * @arg: address of the call's structure
 *
 * Return: 0; -ENOTTY for an unknown call; -EFAULT for a bad address; -EINVAL
 *	for a reserved field that is not zero; -EIO for a file from before a
 *	power cut; and the call's own errors.
 */
long mmapdev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct inode *inode = file->f_mapping->host;
	void __user *uarg = (void __user *)arg;

	if (mmapdev_file_dead(file))
		return -EIO;
	switch (cmd) {
	case MMAPDEV_IOC_GET_INFO:
		return get_info(inode, uarg);
	case MMAPDEV_IOC_SET_SIZE:
		return set_size(file, uarg);
	case MMAPDEV_IOC_GET_STATS:
		return get_stats(inode, uarg);
	case MMAPDEV_IOC_PAGES:
		return get_pages(inode, uarg);
	case MMAPDEV_IOC_SET_NAME:
		return set_name(inode, uarg);
	case MMAPDEV_IOC_REMOVE_NAME:
		return remove_name(inode);
	case MMAPDEV_IOC_GET_FILE:
		return open_regular(file, uarg);
	case MMAPDEV_IOC_CREATE:
		return file->f_mode & FMODE_WRITE ? create(uarg) : -EBADF;
	case MMAPDEV_IOC_CRASH:
		return crash(file, uarg);
	case MMAPDEV_IOC_UNSYNCED:
		return get_unsynced(inode, uarg);
	case MMAPDEV_IOC_ADD_RULE:
		return add_rule(file, uarg);
	case MMAPDEV_IOC_GET_RULE:
		return get_rule(inode, uarg);
	case MMAPDEV_IOC_REMOVE_RULE:
		return remove_rule(file, uarg);
	default:
		return -ENOTTY;
	}
}
