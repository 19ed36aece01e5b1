/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Does the kernel hold on to a file that a program has closed? A lock of flock(2)
 * is the open file's, and ends with its last user: exact, for files of any kind.
 */
#ifndef _SELFTESTS_LET_GO_H
#define _SELFTESTS_LET_GO_H

#include <sys/file.h>

#include "backend.h"

/*
 * Close the descriptor, of which the caller has no copy: is the open file gone?
 * It must not be O_PATH.
 */
static inline bool is_let_go(int fd)
{
	int other = fd_reopen(fd, O_RDONLY);
	bool gone = other >= 0 && !flock(fd, LOCK_EX | LOCK_NB) &&
		    !close(fd) && !flock(other, LOCK_EX | LOCK_NB);

	close(other);
	return gone;
}

#endif /* _SELFTESTS_LET_GO_H */
