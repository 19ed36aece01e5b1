/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ioctl interface of mmapdev's devices and object files: the only header
 * userspace sees.
 *
 * All sizes and offsets are in bytes unless a field says otherwise. Structures
 * have no padding and the same layout for 32-bit and 64-bit callers. Fields
 * named reserved must be zero on the way in (EINVAL) and are zero on the way
 * out. Documentation/uapi.rst tells each call's errors.
 */
#ifndef _UAPI_MMAPDEV_H
#define _UAPI_MMAPDEV_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Changes only when a program built for an older number could misbehave. */
#define MMAPDEV_ABI_VERSION	1

/* Bits of mmapdev_info.features: what this module can do. */
#define MMAPDEV_FEATURE_ANONYMOUS	(1ULL << 0)	/* objects without a store */
#define MMAPDEV_FEATURE_NAMES		(1ULL << 1)	/* MMAPDEV_IOC_SET_NAME */
#define MMAPDEV_FEATURE_FILES		(1ULL << 2)	/* MMAPDEV_IOC_GET_FILE */

#define MMAPDEV_FEATURE_DURABLE		(1ULL << 3)	/* MMAPDEV_IOC_CREATE */

/* What is behind an object. */
#define MMAPDEV_STORE_NONE	0	/* nothing: it is anonymous */
#define MMAPDEV_STORE_MEMORY	1	/* a second image in the kernel's memory */
#define MMAPDEV_STORE_FILE	2	/* a regular file or a block device */

/* What becomes of a page whose way to the store failed. */
#define MMAPDEV_AFTER_ERROR_CLEAN	0	/* stays as it is, not tried again */
#define MMAPDEV_AFTER_ERROR_DIRTY	1	/* tried again at the next sync */
#define MMAPDEV_AFTER_ERROR_REVERT	2	/* becomes what the store has */

#define MMAPDEV_FEATURE_INJECT		(1ULL << 4)	/* MMAPDEV_IOC_ADD_RULE */

/* Characters that a name has at most, the NUL at its end not counted. */
#define MMAPDEV_NAME_MAX	32
/* Bytes of a field that holds a name; those after its end are NUL. */
#define MMAPDEV_NAME_SIZE	40

/**
 * struct mmapdev_info - what an open object is (MMAPDEV_IOC_GET_INFO)
 * @abi_version: (out) MMAPDEV_ABI_VERSION of the module
 * @page_size: (out) size of a page
 * @features: (out) MMAPDEV_FEATURE_* bits
 * @object: (out) number of the object, as in the trace events
 * @size: (out) end of file; equal to @max_size until a size is set
 * @max_size: (out) largest size an object can have
 * @resident: (out) pages the object holds now, in pages of @page_size
 * @limit: (out) most that all objects together may hold; 0: no limit
 * @used: (out) what all objects together hold now
 * @name: (out) the object's name, empty if it has none
 * @durable_size: (out) end of file after a power cut
 * @store: (out) MMAPDEV_STORE_*
 * @reserved: (out) zero
 */
struct mmapdev_info {
	__u32	abi_version;
	__u32	page_size;
	__u64	features;
	__u64	object;
	__u64	size;
	__u64	max_size;
	__u64	resident;
	__u64	limit;
	__u64	used;
	char	name[MMAPDEV_NAME_SIZE];
	__u64	durable_size;
	__u32	store;
	__u32	reserved[3];
};

/**
 * struct mmapdev_size - a new end of file (MMAPDEV_IOC_SET_SIZE)
 * @size: (in) bytes, 0 to mmapdev_info.max_size
 * @reserved: (in) zero
 */
struct mmapdev_size {
	__u64	size;
	__u64	reserved;
};

/**
 * struct mmapdev_stats - events of one object so far (MMAPDEV_IOC_GET_STATS)
 * @fault_shared_read: (out) first reads of a page through a shared mapping
 * @fault_shared_write: (out) first writes of a page through a shared mapping
 * @fault_private_read: (out) first reads of a page through a private mapping
 * @fault_cow_source: (out) first writes of a page through a private mapping,
 *	for which the object gave the bytes to copy
 * @fault_cow_hole: (out) those of them over a hole, which stays a hole
 * @fault_around: (out) faults resolved by mapping pages already present
 * @sigbus: (out) faults answered with SIGBUS
 * @pages_allocated: (out) pages put into the object
 * @pages_freed: (out) pages taken out of the object
 * @mkwrites: (out) stores through shared mappings that made a page dirty
 * @writebacks: (out) pages written back, including those that failed
 * @flushes: (out) times that what was written back was made durable
 * @crashes: (out) power cuts
 * @bytes_flushed: (out) bytes that the store's image was given
 * @reserved: (out) zero
 *
 * A fault that the kernel tries again (out of memory, a lost race) counts
 * again. A fault that ends in SIGBUS counts in its kind too.
 */
struct mmapdev_stats {
	__u64	fault_shared_read;
	__u64	fault_shared_write;
	__u64	fault_private_read;
	__u64	fault_cow_source;
	__u64	fault_cow_hole;
	__u64	fault_around;
	__u64	sigbus;
	__u64	pages_allocated;
	__u64	pages_freed;
	__u64	mkwrites;
	__u64	writebacks;
	__u64	flushes;
	__u64	crashes;
	__u64	bytes_flushed;
	__u64	reserved[2];
};

/**
 * struct mmapdev_pages - the state of a range of pages (MMAPDEV_IOC_PAGES)
 * @offset: (in) where the range begins, a multiple of the page size
 * @count: (in) number of pages
 * @states: (in) address of @count bytes, one is written for each page
 * @flags: (in) zero
 * @reserved: (in) zero
 *
 * Each byte is a snapshot of its page; the pages are not taken all at once.
 */
struct mmapdev_pages {
	__u64	offset;
	__u64	count;
	__u64	states;
	__u32	flags;
	__u32	reserved;
};

/*
 * A state byte has its folio's order + 1, or 0 if there is none, and these bits;
 * the last three only of durable objects, and the last also without a folio.
 */
#define MMAPDEV_PAGE_ORDER_MASK	0x0f
#define MMAPDEV_PAGE_MAPPED	0x10	/* some page table maps the folio */
#define MMAPDEV_PAGE_DIRTY	0x20	/* waits for writeback */
#define MMAPDEV_PAGE_WRITEBACK	0x40	/* is being written back */
#define MMAPDEV_PAGE_DIFFERS	0x80	/* a power cut would change the page */

/* Is there a page? */
#define MMAPDEV_PAGE_RESIDENT(state)	(((state) & MMAPDEV_PAGE_ORDER_MASK) != 0)
/* The order (log2 of its pages) of the folio that a resident page is part of. */
#define MMAPDEV_PAGE_ORDER(state)	(((state) & MMAPDEV_PAGE_ORDER_MASK) - 1)

/**
 * struct mmapdev_name - a name for an object (MMAPDEV_IOC_SET_NAME)
 * @name: (in) 1 to MMAPDEV_NAME_MAX characters of A-Z a-z 0-9 . _ - and then
 *	NUL to the end of the field; neither "." nor ".."
 * @mode: (in) permissions of /dev/mmapdev-NAME, 0001 to 0777
 * @uid: (in) its owner; (__u32)-1: the caller
 * @gid: (in) its group; (__u32)-1: the caller's
 * @reserved: (in) zero
 *
 * MMAPDEV_IOC_REMOVE_NAME, which has no argument, takes the name away again.
 */
struct mmapdev_name {
	char	name[MMAPDEV_NAME_SIZE];
	__u32	mode;
	__u32	uid;
	__u32	gid;
	__u32	reserved;
};

/**
 * struct mmapdev_file - a file of the object (MMAPDEV_IOC_GET_FILE)
 * @flags: (in) one of O_RDONLY, O_WRONLY and O_RDWR, and any of O_CLOEXEC and
 *	O_APPEND, as for open(2)
 * @reserved: (in) zero
 *
 * The call returns the new descriptor.
 */
struct mmapdev_file {
	__u32	flags;
	__u32	reserved;
};

/**
 * struct mmapdev_create - a new object (MMAPDEV_IOC_CREATE)
 * @store: (in) MMAPDEV_STORE_*, but not MMAPDEV_STORE_NONE
 * @flags: (in) as in struct mmapdev_file
 * @size: (in) end of file; zero with a file, which has a size
 * @fd: (in) a descriptor of the file, open for reading and writing; else -1
 * @after_error: (in) MMAPDEV_AFTER_ERROR_*
 * @reserved: (in) zero
 *
 * The call returns a descriptor of the new object as a regular file.
 */
struct mmapdev_create {
	__u32	store;
	__u32	flags;
	__u64	size;
	__s32	fd;
	__u32	after_error;
	__u64	reserved[5];
};

/**
 * struct mmapdev_crash - a power cut (MMAPDEV_IOC_CRASH)
 * @flags: (in) MMAPDEV_CRASH_*
 * @reserved: (in) zero
 * @lost: (out) pages that were not durable
 */
struct mmapdev_crash {
	__u32	flags;
	__u32	reserved;
	__u64	lost;
};

/* Files and mappings from before live on, and see what survived. */
#define MMAPDEV_CRASH_REVERT	(1U << 0)

/* Why a page would change in a power cut. */
#define MMAPDEV_UNSYNCED_DIRTY		1	/* not written back */
#define MMAPDEV_UNSYNCED_WRITTEN	2	/* written back, not flushed */
#define MMAPDEV_UNSYNCED_HOLE		3	/* taken away, not flushed */

/**
 * struct mmapdev_unsynced_page - a page that is not durable
 * @offset: its first byte
 * @age: milliseconds since it became so; 0 for a hole
 * @why: MMAPDEV_UNSYNCED_*
 * @reserved: zero
 */
struct mmapdev_unsynced_page {
	__u64	offset;
	__u64	age;
	__u32	why;
	__u32	reserved;
};

/**
 * struct mmapdev_unsynced - what is not durable (MMAPDEV_IOC_UNSYNCED)
 * @offset: (in) where to begin, a multiple of the page size
 * @count: (in) how many there is room for (out) how many there are
 * @pages: (in) address of @count struct mmapdev_unsynced_page
 * @reserved: (in) zero
 *
 * If @count comes back as it was there can be more: begin again past the last.
 */
struct mmapdev_unsynced {
	__u64	offset;
	__u64	count;
	__u64	pages;
	__u64	reserved;
};

/* What can happen to a page. */
#define MMAPDEV_EVENT_FAULT_READ	1	/* the first load from it */
#define MMAPDEV_EVENT_FAULT_WRITE	2	/* the first store to it */
#define MMAPDEV_EVENT_MKWRITE		3	/* a store that makes it dirty */
#define MMAPDEV_EVENT_WRITEBACK		4	/* its way to the store */
#define MMAPDEV_EVENT_FLUSH		5	/* a range's becoming durable */
#define MMAPDEV_EVENT_ALLOCATE		6	/* its being made */

/* What a rule does to an event. */
#define MMAPDEV_ACTION_SIGBUS		1	/* only of the first three */
#define MMAPDEV_ACTION_HWPOISON		2	/* the same, as a memory error */
#define MMAPDEV_ACTION_EIO		3	/* SIGBUS of the first three */
#define MMAPDEV_ACTION_ENOSPC		4	/* SIGBUS of the first three */
#define MMAPDEV_ACTION_ENOMEM		5
#define MMAPDEV_ACTION_DELAY		6

/* Microseconds that a rule, or all together, can delay an event at most. */
#define MMAPDEV_DELAY_MAX	10000000

/**
 * struct mmapdev_rule - a rule of the object (MMAPDEV_IOC_ADD_RULE)
 * @id: (out) its number
 * @offset: (in) pages whose first byte is from here on; for a flush, the first
 *	byte of its range
 * @length: (in) length in bytes; 0: to the end
 * @event: (in) MMAPDEV_EVENT_*
 * @action: (in) MMAPDEV_ACTION_*
 * @delay_us: (in) microseconds for MMAPDEV_ACTION_DELAY, up to
 *	MMAPDEV_DELAY_MAX; else 0
 * @probability: (in) of acting, in millionths; 0: always
 * @pid: (in) events of this process only; 0: of all
 * @reserved: (in) zero
 * @skip: (in) number of events that pass first
 * @count: (in) maximum number of hits; 0: no limit
 * @seed: (in) which events are chosen, with a probability
 * @matches: (out) events that were like that
 * @hits: (out) events it has acted on
 *
 * MMAPDEV_IOC_GET_RULE gives the rule with the number @id, or the next one,
 * MMAPDEV_IOC_REMOVE_RULE removes the rule with the number @id, or all for 0.
 */
struct mmapdev_rule {
	__u64	id;
	__u64	offset;
	__u64	length;
	__u32	event;
	__u32	action;
	__u32	delay_us;
	__u32	probability;
	__s32	pid;
	__u32	reserved;
	__u64	skip;
	__u64	count;
	__u64	seed;
	__u64	matches;
	__u64	hits;
};

#define MMAPDEV_IOC_MAGIC	0xb7
#define MMAPDEV_IOC_GET_INFO	_IOR(MMAPDEV_IOC_MAGIC, 0x10, struct mmapdev_info)
#define MMAPDEV_IOC_SET_SIZE	_IOW(MMAPDEV_IOC_MAGIC, 0x11, struct mmapdev_size)
#define MMAPDEV_IOC_GET_STATS	_IOR(MMAPDEV_IOC_MAGIC, 0x12, struct mmapdev_stats)
#define MMAPDEV_IOC_PAGES	_IOW(MMAPDEV_IOC_MAGIC, 0x13, struct mmapdev_pages)
#define MMAPDEV_IOC_SET_NAME	_IOW(MMAPDEV_IOC_MAGIC, 0x14, struct mmapdev_name)
#define MMAPDEV_IOC_REMOVE_NAME	_IO(MMAPDEV_IOC_MAGIC, 0x15)
#define MMAPDEV_IOC_GET_FILE	_IOW(MMAPDEV_IOC_MAGIC, 0x16, struct mmapdev_file)
#define MMAPDEV_IOC_CREATE	_IOW(MMAPDEV_IOC_MAGIC, 0x17, struct mmapdev_create)
#define MMAPDEV_IOC_CRASH	_IOWR(MMAPDEV_IOC_MAGIC, 0x18, struct mmapdev_crash)
#define MMAPDEV_IOC_ADD_RULE	_IOWR(MMAPDEV_IOC_MAGIC, 0x19, struct mmapdev_rule)
#define MMAPDEV_IOC_GET_RULE	_IOWR(MMAPDEV_IOC_MAGIC, 0x1a, struct mmapdev_rule)
#define MMAPDEV_IOC_REMOVE_RULE	_IOW(MMAPDEV_IOC_MAGIC, 0x1b, struct mmapdev_rule)
#define MMAPDEV_IOC_UNSYNCED	_IOWR(MMAPDEV_IOC_MAGIC, 0x1c, struct mmapdev_unsynced)

#endif /* _UAPI_MMAPDEV_H */
