/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Being somebody else, in a child process: a user without rights, or root
 * without one capability.
 */
#ifndef _SELFTESTS_USER_H
#define _SELFTESTS_USER_H

#include <grp.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY	65534	/* user and group */

/* Become a user who owns nothing: 0, or -1. There is no way back. */
static inline int become_nobody(void)
{
	return setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	       setresuid(NOBODY, NOBODY, NOBODY) ? -1 : 0;
}

/* Go on without a capability (CAP_MKNOD...): 0, or -1. */
static inline int drop_capability(int which)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -1;
	data[which / 32].effective &= ~(1U << which % 32);
	data[which / 32].permitted &= ~(1U << which % 32);
	data[which / 32].inheritable &= ~(1U << which % 32);
	return syscall(SYS_capset, &header, data);
}

#endif /* _SELFTESTS_USER_H */
