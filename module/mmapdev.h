/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the module's files share: the object, and one paragraph per noun.
 *
 * Locks, outermost first; in parentheses who takes them:
 *
 *   mm->mmap_lock or the VMA's lock	(core: fault, mmap, munmap)
 *     mapping->invalidate_lock		(shared: fault; exclusive: resize)
 *       folio lock			(folio; dense; resize: split; core: truncation)
 *       hole page lock			(hole: a private write, resize)
 *         mapping->i_mmap_rwsem	(core: unmap)
 *           page table lock		(core: fault-around, unmap)
 *         mapping->i_pages.xa_lock	(core: add and remove a folio)
 *       ahead.c's taking_lock		(at the limit, or short of memory)
 *         other objects' folio lock	(ahead: of anonymous objects only)
 *           mapping->i_mmap_rwsem	(ahead: which mappings are locked)
 *
 *   node.c's naming_lock			(node: a name comes or goes)
 *     the core's locks of devices, of /dev and of paths
 *     mmapdev_nodes_lock		(node, filesystem: look-up; regular: chmod)
 *       inode->i_lock			(node, regular: the regular file's inode)
 *
 *   regular file's i_rwsem		(core: truncate, chmod)
 *     mmapdev_nodes_lock		(as above)
 *     inode->i_rwsem			(io: write; seek, resize, allocate, crash)
 *       mm->mmap_lock			(io: faulting in a write's source)
 *       mapping->invalidate_lock	(resize, allocate, as above)
 *
 *   inode->i_rwsem
 *     store->lock			(resize, allocate, crash, seek; unsynced)
 *       mapping->invalidate_lock	(resize, allocate, crash)
 *         folio lock			(as above; writeback of an edge)
 *           store->pending.xa_lock	(pending: any change of an entry)
 *
 *   the image's file's sb_writers	(file_worker: before it flushes)
 *     store->lock			(flush, which holds no folio's lock)
 *       the image's file's locks	(store_file: write, fallocate, truncate)
 *       store->pending.xa_lock		(flush)
 *         the image's xa_lock		(store_memory)
 *       store->holes's lock		(holes)
 *
 *   mapping->invalidate_lock
 *     object->rules_lock		(inject)
 *
 * A folio lock and a hole page lock are never held together, nor two of either
 * kind but for ahead.c's, and store->lock is never taken under one. Size is
 * protected by i_rwsem against other changes and by invalidate_lock against
 * faults, and counters are atomic or per CPU. Documentation/locking.rst tells
 * who may rely on what, and why nothing outlives the module.
 */
#ifndef _MMAPDEV_H
#define _MMAPDEV_H

#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/jump_label_ratelimit.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <kunit/visibility.h>

#include "recycle.h"
#include "uapi/mmapdev.h"

/* Events that are counted, in the order of struct mmapdev_stats. */
enum mmapdev_event {
	MMAPDEV_FAULT_SHARED_READ,
	MMAPDEV_FAULT_SHARED_WRITE,
	MMAPDEV_FAULT_PRIVATE_READ,
	MMAPDEV_FAULT_COW_SOURCE,
	MMAPDEV_FAULT_COW_HOLE,
	MMAPDEV_FAULT_AROUND,
	MMAPDEV_SIGBUS,
	MMAPDEV_PAGES_ALLOCATED,
	MMAPDEV_PAGES_FREED,
	MMAPDEV_MKWRITES,
	MMAPDEV_WRITEBACKS,
	MMAPDEV_FLUSHES,
	MMAPDEV_CRASHES,
	MMAPDEV_BYTES_FLUSHED,
	MMAPDEV_NR_EVENTS,
};

/**
 * struct mmapdev_counters - one CPU's count of each event
 * @count: by enum mmapdev_event; written only by its CPU, read by any
 */
struct mmapdev_counters {
	unsigned long count[MMAPDEV_NR_EVENTS];
};

/**
 * struct mmapdev_object - memory that files and mappings share
 * @counters: this object's events, per CPU
 * @regular: the inode of its regular file while there is one; i_lock
 * @node: its named device, or NULL; mmapdev_nodes_lock, and node.c's naming_lock to
 *	write it
 * @store: what is behind a durable object, or NULL
 * @cuts: power cuts so far; i_rwsem and invalidate_lock
 * @dead: files from before this power cut are dead; as @cuts
 * @durable_objects: in a list of object.c
 * @put: drops the last reference, see object.c
 * @ahead: in a list of ahead.c
 * @rules: what is injected; @rules_lock
 * @rules_lock: of @rules and @last_rule; a leaf
 * @last_rule: the number given last
 * @passes: how often the flusher, or somebody else's sync, has come to write back
 * @others: how many of those passes are under way
 * @undelayed: until when no writeback is delayed, in jiffies
 * @sequence: the number of the last mkwrite, writeback, flush or power cut
 * @born: when it was made
 * @inode: the object's life, size (i_size) and pages (i_data)
 *
 * The object is its inode: a reference to the inode is a reference to the
 * object, and evicting the inode frees the pages.
 */
struct mmapdev_object {
	struct mmapdev_counters __percpu *counters;
	struct inode *regular;
	struct mmapdev_node *node;
	struct mmapdev_store *store;
	unsigned long cuts;
	unsigned long dead;
	struct list_head durable_objects;
	struct work_struct put;
	struct list_head ahead;
	struct list_head rules;
	spinlock_t rules_lock;	/* rules, last_rule */
	u64 last_rule;
	atomic_t passes;
	atomic_t others;
	unsigned long undelayed;
	atomic64_t sequence;
	struct timespec64 born;
	struct inode inode;
};

/* Pages that are moved into an image at a time. */
#define MMAPDEV_FLUSH_BATCH	64

/**
 * struct mmapdev_store - what is behind a durable object
 * @ops: its image
 * @inode: the object; NULL once that is gone and the last flush goes on without it
 * @lock: held by a flush, and by the caller that takes pending pages away
 * @pending: what the image does not have yet; pending.h
 * @holes: ranges of pages that were taken away, which the image still has
 * @new_pages: entries of @pending where the image shows no page
 * @hidden_pages: pages of the image that @holes hides
 * @taken: bytes were taken away, by a truncation, a punch or zeroing, and the
 *	image may still have them; written with @lock held
 * @failed: the image's last sync failed or is to come; written with @lock held
 * @size: end of file after a power cut; written with @lock held
 * @end: end of file of the object
 * @capacity: the largest size that the image can have
 * @after_error: MMAPDEV_AFTER_ERROR_*
 * @user: who made it, or NULL for root
 * @recycled: pages to use again
 */
struct mmapdev_store {
	const struct mmapdev_store_ops *ops;
	struct inode *inode;
	struct mutex lock;	/* size, holes, taking pending pages away */
	struct xarray pending;
	struct maple_tree holes;
	atomic_long_t new_pages;
	atomic_long_t hidden_pages;
	bool taken;
	bool failed;
	loff_t size;
	loff_t end;
	loff_t capacity;
	u32 after_error;
	struct mmapdev_user *user;
	struct mmapdev_recycled recycled;
};

/**
 * struct mmapdev_store_ops - an image: what survives
 * @kind: MMAPDEV_STORE_*
 * @name: the same for people
 * @has: is there a page at an index?
 * @next: the first index from here on that has one, or ULONG_MAX
 * @next_hole: the first index from here on that has none
 * @count: how many pages there are from an index to another, not included
 * @load: fill a page of zeros, if there is something at its index
 * @reserve: prepare for a page to be committed
 * @unreserve: undo that, or NULL
 * @flush: mmapdev_store_flush_now(), by the caller or by a worker
 * @begin: the same, begun and put into a list for mmapdev_file_flush_wait(); NULL
 *	if @flush never waits
 * @write: take the pages from an index on, of which those past @end count for
 *	nothing. Returns how many it took: if not all, the next one has had an
 *	error. NULL if @commit does that.
 * @commit: called for the pages from an index on that were written and have survived
 *	@sync: puts in their places those that are no longer needed, or NULL. NULL if
 *	these are the pages themselves.
 * @punch: take pages away
 * @resize: move the end
 * @sync: let what was written survive; NULL if it does
 * @release: the object is gone: flush for the last time, and let go of everything
 */
struct mmapdev_store_ops {
	u32 kind;
	const char *name;
	bool (*has)(struct mmapdev_store *store, pgoff_t index);
	pgoff_t (*next)(struct mmapdev_store *store, pgoff_t index);
	pgoff_t (*next_hole)(struct mmapdev_store *store, pgoff_t index);
	unsigned long (*count)(struct mmapdev_store *store, pgoff_t first,
			       pgoff_t end);
	int (*load)(struct mmapdev_store *store, pgoff_t index,
		    struct page *page);
	int (*reserve)(struct mmapdev_store *store, pgoff_t index, gfp_t gfp);
	void (*unreserve)(struct mmapdev_store *store, pgoff_t index);
	int (*flush)(struct mmapdev_store *store, loff_t from, loff_t to);
	int (*begin)(struct mmapdev_store *store, struct list_head *begun);
	unsigned int (*write)(struct mmapdev_store *store, pgoff_t index,
			      struct page **pages, unsigned int n, int *err);
	void (*commit)(struct mmapdev_store *store, pgoff_t index,
		       struct page **pages, unsigned int n);
	int (*punch)(struct mmapdev_store *store, pgoff_t first, pgoff_t end);
	int (*resize)(struct mmapdev_store *store, loff_t size);
	int (*sync)(struct mmapdev_store *store);
	void (*release)(struct mmapdev_store *store);
};

/* How long sync(2) waits for images that may hang, all together. */
#define MMAPDEV_PATIENCE	(5 * HZ)

#define MMAPDEV_SUPER_MAGIC	0x6d6d6170	/* "mmap" */

/*
 * The largest size of an object. Whole pages only: the core rounds sizes up to
 * pages, which must not overflow for the object without an end.
 */
#define MMAPDEV_MAX_SIZE	round_down(MAX_LFS_FILESIZE, PAGE_SIZE)

static inline struct mmapdev_object *mmapdev_object_of(const struct inode *inode)
{
	return container_of(inode, struct mmapdev_object, inode);
}

/**
 * mmapdev_lock - take an object's i_rwsem for writing
 * @inode: the object
 *
 * A write that waits for its source to come, from a file system that can hang, holds
 * it: so a task that waits must be able to be killed.
 *
 * Context: May sleep. inode_unlock() undoes it.
 * Return: 0; -EINTR if killed.
 */
static inline int mmapdev_lock(struct inode *inode)
{
	return down_write_killable(&inode->i_rwsem);
}

/**
 * mmapdev_sequence_next - number a mkwrite, a writeback, a flush or a power cut
 * @object: to which it happens
 *
 * Those of one page are numbered in the order in which they lock it.
 *
 * Context: Any.
 * Return: The number, from 1 on.
 */
static inline u64 mmapdev_sequence_next(struct mmapdev_object *object)
{
	return atomic64_inc_return(&object->sequence);
}

/* object.c: the object, and the pseudo filesystem that it is an inode of. */
int mmapdev_object_init(void);
void mmapdev_object_exit(void);
struct inode *mmapdev_object_create(void);
struct inode *mmapdev_object_create_durable(struct mmapdev_store *store);
unsigned long mmapdev_object_pages(struct inode *inode);
unsigned long mmapdev_object_count(void);
int mmapdev_object_syncfs(struct super_block *sb);
void mmapdev_object_error(struct inode *inode, int err);
void mmapdev_accessed(struct inode *inode);
void mmapdev_modified(struct inode *inode);

/* node.c: named devices; node_attr.c: what sysfs tells about them. */
extern const struct attribute_group *mmapdev_node_groups[];
extern struct mutex mmapdev_nodes_lock;
int mmapdev_node_init(void);
void mmapdev_node_publish(void);
void mmapdev_node_exit(void);
int mmapdev_node_create(struct inode *inode, const char *name, umode_t mode,
			kuid_t uid, kgid_t gid);
int mmapdev_node_remove(struct inode *inode);
bool mmapdev_node_name_valid(const char *name);
struct inode *mmapdev_node_object(dev_t devt);
struct inode *mmapdev_node_find(const char *name, size_t len);
struct inode *mmapdev_node_next(unsigned long *minor, char *name);
struct inode *mmapdev_node_inode(struct device *dev);
void mmapdev_node_name(struct inode *inode, char *name);

/* regular.c: the object as a regular file. */
struct inode *mmapdev_regular_get(struct super_block *sb, struct inode *inode);
void mmapdev_regular_evict(struct inode *regular);
void mmapdev_regular_forget(struct inode *inode);
int mmapdev_regular_open(struct inode *inode, unsigned int flags);

/* filesystem.c: where regular files live, and a directory of the named ones. */
int mmapdev_filesystem_init(void);
void mmapdev_filesystem_exit(void);
struct vfsmount *mmapdev_filesystem_pin(void);
void mmapdev_filesystem_unpin(void);

/* initial.c: objects to begin with. */
int mmapdev_initial_parse(void);
void mmapdev_initial_create(void);
void mmapdev_initial_free(void);

/* main.c: permissions of /dev/mmapdev and of the objects to begin with. */
extern umode_t mmapdev_node_mode;

/* param.c: values as people write them. */
int mmapdev_parse_size(const char *val, size_t len, unsigned long *bytes);
extern const struct kernel_param_ops mmapdev_mode_ops;

/* resize.c: moving the end of file. */
int mmapdev_resize(struct inode *inode, loff_t size, const struct file *file);
void mmapdev_set_size(struct inode *inode, loff_t size);
void mmapdev_cut_off(struct inode *inode, loff_t size);
void mmapdev_zero_eof_tail(struct inode *inode);

/* limit.c: how much memory all objects together may hold. */
extern const struct kernel_param_ops mmapdev_limit_ops;
extern unsigned long mmapdev_limit_bytes;
void mmapdev_limit_init(void);
int mmapdev_limit_charge(unsigned long pages, gfp_t gfp);
void mmapdev_limit_uncharge(unsigned long pages);
unsigned long mmapdev_limit_used(void);

/* user.c: how much memory the stores of one user may hold. */
extern const struct kernel_param_ops mmapdev_user_limit_ops;
void mmapdev_user_init(void);
struct mmapdev_user *mmapdev_user_get(void);
void mmapdev_user_put(struct mmapdev_user *user);
int mmapdev_user_charge(struct mmapdev_user *user);
void mmapdev_user_uncharge(struct mmapdev_user *user, unsigned long pages);

/* folio.c: the folio at an index. */
struct folio *mmapdev_folio_find(struct address_space *mapping, pgoff_t index);
struct folio *mmapdev_folio_find_killable(struct address_space *mapping,
					  pgoff_t index);
struct folio *mmapdev_folio_make(struct inode *inode, pgoff_t index,
				 unsigned int order, gfp_t gfp);
struct folio *mmapdev_folio_reserve(struct inode *inode, pgoff_t index,
				    gfp_t gfp);
struct folio *mmapdev_folio_get(struct inode *inode, pgoff_t index, gfp_t gfp);
int mmapdev_folio_load(struct inode *inode, struct folio *folio);
bool mmapdev_folio_is_cached(struct inode *inode, pgoff_t index);
bool mmapdev_end_is_inside(struct inode *inode);
bool mmapdev_is_hole(struct inode *inode, pgoff_t index);
extern const struct address_space_operations mmapdev_aops;

/* writeback.c: durable objects' pages on their way to the store. */
extern const struct address_space_operations mmapdev_durable_aops;
int mmapdev_folio_dirty(struct inode *inode, struct folio *folio);
int mmapdev_partial_dirty(struct inode *inode, loff_t pos, struct folio **held);
void mmapdev_folio_write(struct inode *inode, struct folio *folio);
void mmapdev_partial_write(struct inode *inode, loff_t pos);
void mmapdev_partial_put(struct folio *held);
void mmapdev_write_back(struct inode *inode);
int mmapdev_sync(struct inode *inode, loff_t from, loff_t to);
int mmapdev_fsync(struct file *file, loff_t from, loff_t to, int datasync);

/* store.c: what is behind a durable object. */
bool mmapdev_store_has(struct mmapdev_store *store, pgoff_t index);
bool mmapdev_store_image_shows(struct mmapdev_store *store, pgoff_t index);
int mmapdev_store_load(struct mmapdev_store *store, struct folio *folio);
pgoff_t mmapdev_store_next(struct mmapdev_store *store, pgoff_t index);
pgoff_t mmapdev_store_next_hole(struct mmapdev_store *store, pgoff_t index,
				pgoff_t end);
unsigned long mmapdev_store_pages(struct mmapdev_store *store);
int mmapdev_store_lock(struct inode *inode);
void mmapdev_store_unlock(struct inode *inode);
void mmapdev_store_error(struct mmapdev_store *store, int err);
int mmapdev_store_init(struct mmapdev_store *store,
		       const struct mmapdev_store_ops *ops, loff_t size,
		       loff_t capacity);
void mmapdev_store_empty(struct mmapdev_store *store);
void mmapdev_store_free(struct mmapdev_store *store);

/*
 * store_memory.c, store_file.c: its image; file_worker.c: who writes that;
 * store_page.c: pages for it.
 */
struct mmapdev_store *mmapdev_memory_store(loff_t size);
struct mmapdev_store *mmapdev_file_store(int fd);
int mmapdev_file_flush_wait(struct list_head *begun, unsigned long end);
int mmapdev_file_store_init(void);
void mmapdev_file_store_exit(void);
struct page *mmapdev_store_alloc_page(struct mmapdev_store *store, gfp_t gfp);
void mmapdev_store_free_page(struct mmapdev_store *store, struct page *page);
void mmapdev_store_free_pages(struct mmapdev_store *store, struct page **pages,
			      unsigned int n);
struct page *mmapdev_store_find_page(struct xarray *pages, pgoff_t index);

/* reserve.c: pages for the writeback to come. */
int mmapdev_store_reserve(struct mmapdev_store *store, pgoff_t index,
			  gfp_t gfp);
int mmapdev_store_reserve_spare(struct mmapdev_store *store, pgoff_t index,
				gfp_t gfp);
void mmapdev_store_unreserve_spare(struct mmapdev_store *store, pgoff_t index);

/* pending.c: what is not in the image yet. */
int mmapdev_store_write(struct mmapdev_store *store, struct folio *folio,
			loff_t size, gfp_t gfp);
bool mmapdev_store_write_zeros(struct mmapdev_store *store, pgoff_t index);
void mmapdev_store_revert(struct inode *inode, struct folio *folio);
void mmapdev_store_drop(struct mmapdev_store *store, pgoff_t first,
			pgoff_t end);
bool mmapdev_store_differs(struct mmapdev_store *store, pgoff_t index);
bool mmapdev_store_next_pending(struct mmapdev_store *store,
				unsigned long *index);
int mmapdev_store_unsynced(struct mmapdev_store *store, unsigned long *index,
			   struct mmapdev_unsynced_page *pages,
			   unsigned int room);
void mmapdev_store_forget(struct mmapdev_store *store);

/* holes.c: what was taken away, but not yet from the image. */
int mmapdev_holes_add(struct mmapdev_store *store, pgoff_t first, pgoff_t end);
bool mmapdev_holes_hide(struct mmapdev_store *store, pgoff_t index);
bool mmapdev_holes_next(struct mmapdev_store *store, pgoff_t from, pgoff_t last,
			pgoff_t *first, pgoff_t *end);
void mmapdev_holes_remove(struct mmapdev_store *store, pgoff_t first,
			  pgoff_t end);
void mmapdev_holes_forget(struct mmapdev_store *store);

/* flush.c: what was written back becomes durable. */
int mmapdev_store_flush(struct inode *inode, loff_t from, loff_t to);
int mmapdev_store_flush_now(struct mmapdev_store *store, loff_t from,
			    loff_t to);
int mmapdev_store_flush_within(struct mmapdev_store *store, unsigned long end);
bool mmapdev_store_is_clean(struct mmapdev_store *store);

/* crash.c: the power cut. */
void mmapdev_file_born(struct file *file);
bool mmapdev_file_dead(const struct file *file);
int mmapdev_crash(struct inode *inode, u32 flags, u64 *lost);

/* inject.c: rules that fail or delay an event. */
extern struct static_key_false_deferred mmapdev_inject_key;
int mmapdev_inject_slow(struct inode *inode, u32 event, loff_t pos,
			bool delays, const int *passes);
int mmapdev_inject_add(struct inode *inode, struct mmapdev_rule *rule);
int mmapdev_inject_get(struct inode *inode, struct mmapdev_rule *rule);
int mmapdev_inject_remove(struct inode *inode, u64 id);
void mmapdev_inject_exit(void);

/**
 * mmapdev_inject - what the rules have for an event
 * @inode: the object
 * @event: MMAPDEV_EVENT_*
 * @pos: first byte of the page, or of the range
 *
 * Costs nothing while there are no rules.
 *
 * Context: May sleep.
 * Return: As mmapdev_inject_slow().
 */
static inline int mmapdev_inject(struct inode *inode, u32 event, loff_t pos)
{
	if (static_branch_unlikely(&mmapdev_inject_key.key))
		return mmapdev_inject_slow(inode, event, pos, true, NULL);
	return 0;
}

/**
 * mmapdev_inject_error - what the rules have for an event that must not wait
 * @inode: the object
 * @event: MMAPDEV_EVENT_*
 * @pos: first byte of the page, or of the range
 *
 * For the kernel's flusher, and for syncs that others ask for.
 *
 * Context: May sleep.
 * Return: As mmapdev_inject_slow().
 */
static inline int mmapdev_inject_error(struct inode *inode, u32 event,
				       loff_t pos)
{
	if (static_branch_unlikely(&mmapdev_inject_key.key))
		return mmapdev_inject_slow(inode, event, pos, false,
					   NULL);
	return 0;
}

/**
 * mmapdev_injects - does an object have rules?
 * @inode: the object
 *
 * Context: Any.
 * Return: Whether it has.
 */
static inline bool mmapdev_injects(struct inode *inode)
{
	return static_branch_unlikely(&mmapdev_inject_key.key) &&
	       !list_empty(&mmapdev_object_of(inode)->rules);
}

/* hole.c: what a private write copies where the object has no page. */
int mmapdev_hole_init(void);
void mmapdev_hole_exit(void);
struct page *mmapdev_hole_get(void);
void mmapdev_hole_drain(void);

/* dense.c: making and mapping pages before they are touched. */
vm_fault_t mmapdev_dense_fault(struct vm_fault *vmf, struct inode *inode);

/* ahead.c: what was made before it was touched gives way. */
void mmapdev_ahead_begin(void);
void mmapdev_ahead_end(void);
void mmapdev_ahead_note(struct inode *inode, struct folio *folio,
			pgoff_t index);
void mmapdev_ahead_keep(struct inode *inode, pgoff_t index);
void mmapdev_ahead_forget(struct inode *inode);
bool mmapdev_ahead_any(void);
unsigned long mmapdev_ahead_take_back(void);
void mmapdev_ahead_leave_room(bool many);
bool mmapdev_ahead_make_room(unsigned long pages, unsigned int *waited);
int mmapdev_ahead_init(void);
void mmapdev_ahead_exit(void);

/* fault.c: a mapping's pages. */
extern const struct vm_operations_struct mmapdev_vm_ops;
extern const struct vm_operations_struct mmapdev_durable_vm_ops;

/* file.c: an open file; io.c, seek.c, allocate.c, ioctl.c: what it can do. */
extern const struct file_operations mmapdev_node_fops;
extern const struct file_operations mmapdev_regular_fops;
ssize_t mmapdev_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t mmapdev_write_iter(struct kiocb *iocb, struct iov_iter *from);
loff_t mmapdev_llseek(struct file *file, loff_t offset, int whence);
long mmapdev_fallocate(struct file *file, int mode, loff_t offset, loff_t len);
long mmapdev_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* stats.c: counting, and the totals in sysfs. */
extern const struct attribute_group mmapdev_stats_group;
void mmapdev_count(struct mmapdev_object *object, enum mmapdev_event event,
		   unsigned long n);
void mmapdev_count_total(enum mmapdev_event event, unsigned long n);
void mmapdev_count_open(void);
void mmapdev_stats_get(struct mmapdev_object *object,
		       struct mmapdev_stats *stats);

#endif /* _MMAPDEV_H */
