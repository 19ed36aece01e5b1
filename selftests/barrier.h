/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A barrier between processes, in memory that they share.
 */
#ifndef _SELFTESTS_BARRIER_H
#define _SELFTESTS_BARRIER_H

#include <pthread.h>

/* Make it one for count threads of any processes: 0 or an error number. */
static inline int barrier_init(pthread_barrier_t *barrier, unsigned int count)
{
	pthread_barrierattr_t attr;
	int err = pthread_barrierattr_init(&attr);

	if (!err)
		err = pthread_barrierattr_setpshared(&attr,
						     PTHREAD_PROCESS_SHARED);
	if (!err)
		err = pthread_barrier_init(barrier, &attr, count);
	pthread_barrierattr_destroy(&attr);
	return err;
}

/* Wait for all: 0, or an error number. */
static inline int barrier_wait(pthread_barrier_t *barrier)
{
	int err = pthread_barrier_wait(barrier);

	return err == PTHREAD_BARRIER_SERIAL_THREAD ? 0 : err;
}

#endif /* _SELFTESTS_BARRIER_H */
