/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Have the kernel drop what is clean from its page caches.
 *
 * A page that was just added or activated is held by a per-CPU batch on its
 * way to the LRU lists, and a page that is held is not dropped. Kernels do not
 * drain these batches for /proc/sys/vm/drop_caches; mlock(2) drains the
 * caller's CPU's (mlock_vma_pages_range() in mm/mlock.c).
 */
#ifndef _SELFTESTS_DROP_CACHES_H
#define _SELFTESTS_DROP_CACHES_H

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "knob.h"

/* Write the number to drop_caches: 0, or -1 with errno. */
static inline int drop_caches(const char *which)
{
	size_t page = getpagesize();
	cpu_set_t allowed, one;
	int ret = -1;
	void *p;

	p = mmap(NULL, page, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -1;
	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		goto out;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one) ||
		    mlock(p, page) || munlock(p, page))
			goto out;
	}
	if (sched_setaffinity(0, sizeof(allowed), &allowed))
		goto out;
	ret = file_write("/proc/sys/vm/drop_caches", which);
out:
	munmap(p, page);
	return ret;
}

#endif /* _SELFTESTS_DROP_CACHES_H */
