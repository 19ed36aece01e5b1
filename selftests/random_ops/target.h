/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Targets: the kinds of objects that steps can run on, and what each can do.
 */
#ifndef _RANDOM_OPS_TARGET_H
#define _RANDOM_OPS_TARGET_H

#include "../backend.h"

/* The VFS takes it for a regular file: copy, splice, append, reopen. */
#define CAN_BE_REGULAR	0x01
/* fallocate(2), and MADV_REMOVE. */
#define CAN_ALLOCATE	0x02
#define CAN_ZERO_RANGE	0x04
/* What mappings stored past the end is gone when the end moves over it. */
#define CAN_ZERO_TAIL	0x08
/* It tells how many pages it has, and nothing else counts as one. */
#define CAN_COUNT_PAGES	0x10
/* It takes mmapdev's ioctls beside the calls for files. */
#define CAN_IOCTL	0x20
/* A power cut leaves what was synced, and nothing else. */
#define CAN_BE_CUT	0x100
/* What was punched is a hole to lseek(2) after a sync, too. */
#define CAN_KEEP_HOLES	0x200
/* One process has the object, or several have a range of it each. */
#define CAN_OWN_END	0x40
#define CAN_SHARE_END	0x80

/* Whether the user names a file: the target, or what it is stored in. */
enum target_path { NO_PATH, MAY_HAVE_PATH, HAS_PATH };

struct target {
	const char *name;
	enum backend_kind kind;
	unsigned int can;
	enum target_path path;
	unsigned int store;	/* MMAPDEV_STORE_* */
};

extern const struct target targets[];	/* one without a name ends them */

/* The target of that name, or NULL. */
const struct target *target_find(const char *name);

/*
 * A fresh, empty object; fd -1 with errno if there is none. What is durable of it
 * is in the file *store, to be closed, or not to be seen: -1.
 */
struct object target_open(const struct target *t, const char *path, int *store);

/* Another open of a regular target: its descriptor, or -1 with errno. */
int target_reopen(const struct object *o, int flags);

#endif /* _RANDOM_OPS_TARGET_H */
