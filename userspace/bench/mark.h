/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Instructions that do nothing, for scripts/profile to see: it counts what is
 * executed between a BEGIN and the END after it, and tells at each CASE.
 */
#ifndef _BENCH_MARK_H
#define _BENCH_MARK_H

#define MARK_BEGIN	0x4d4d4150
#define MARK_END	0x4d4d4151
#define MARK_CASE	0x4d4d4152

#ifdef __x86_64__
#define MARK(what)	__asm__ volatile("nopl %c0(%%rax)" : : "i" (what) : "memory")
#else
#define MARK(what)	((void)(what))
#endif

#endif /* _BENCH_MARK_H */
