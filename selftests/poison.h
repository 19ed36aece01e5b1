/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that fails, as the hardware would tell.
 */
#ifndef _SELFTESTS_POISON_H
#define _SELFTESTS_POISON_H

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif

/* SIGBUS of newer kernels, which comes when the call has done its work. */
static inline void poison_ignore(int signo)
{
}

/* Let the memory at p fail: 0, or the error. */
static inline int fail_memory(void *p, int advice)
{
	struct sigaction sa = { .sa_handler = poison_ignore };
	struct sigaction old;
	int err;

	sigaction(SIGBUS, &sa, &old);
	err = madvise(p, getpagesize(), advice) ? errno : 0;
	sigaction(SIGBUS, &old, NULL);
	return err;
}

#endif /* _SELFTESTS_POISON_H */
