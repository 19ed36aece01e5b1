/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How large files a process may make: RLIMIT_FSIZE, and its signal.
 */
#ifndef _SELFTESTS_FILE_LIMIT_H
#define _SELFTESTS_FILE_LIMIT_H

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <time.h>

/* Was the process sent SIGXFSZ, which is blocked? It is no longer pending. */
static inline bool sigxfsz_sent(void)
{
	struct timespec now = {};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	return sigtimedwait(&set, NULL, &now) == SIGXFSZ;
}

/* From now on this process may write files of this size at most. 0, or -1. */
static inline int limit_file_size(rlim_t bytes)
{
	struct rlimit limit = { bytes, bytes };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	return sigprocmask(SIG_BLOCK, &set, NULL) ?:
		setrlimit(RLIMIT_FSIZE, &limit);
}

#endif /* _SELFTESTS_FILE_LIMIT_H */
