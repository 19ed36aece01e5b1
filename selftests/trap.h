/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Touching memory that may not be touched: the signal, its code, its address.
 */
#ifndef _SELFTESTS_TRAP_H
#define _SELFTESTS_TRAP_H

#include <setjmp.h>
#include <signal.h>
#include <string.h>

/* What a touch gave: signo 0 if it went through. */
struct trap {
	int signo;
	int code;
	void *addr;
	int lsb;	/* BUS_MCEERR_*: log2 of how much is lost */
};

static sigjmp_buf trap_env;
static volatile struct trap trap_seen;

static void trap_handler(int signo, siginfo_t *info, void *context)
{
	(void)context;
	trap_seen.signo = signo;
	trap_seen.code = info->si_code;
	trap_seen.addr = info->si_addr;
	trap_seen.lsb = info->si_addr_lsb;
	siglongjmp(trap_env, 1);
}

static inline void trap_signals(struct sigaction *old_bus,
				struct sigaction *old_segv)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = trap_handler;
	sa.sa_flags = SA_SIGINFO;
	sigaction(SIGBUS, &sa, old_bus);
	sigaction(SIGSEGV, &sa, old_segv);
}

/* The last signal that trap_handler() saw. */
static inline struct trap trap_last(void)
{
	return (struct trap){ trap_seen.signo, trap_seen.code, trap_seen.addr,
			      trap_seen.lsb };
}

/* Load one byte (into *value) or, if store, store *value; say what happened. */
static inline struct trap trap_touch(volatile void *at, int store,
				     unsigned char *value)
{
	volatile unsigned char *p = at;
	struct sigaction old_bus, old_segv;

	trap_seen.signo = 0;
	trap_seen.code = 0;
	trap_seen.addr = NULL;
	trap_seen.lsb = 0;
	trap_signals(&old_bus, &old_segv);
	if (!sigsetjmp(trap_env, 1)) {
		if (store)
			*p = *value;
		else
			*value = *p;
	}
	sigaction(SIGBUS, &old_bus, NULL);
	sigaction(SIGSEGV, &old_segv, NULL);
	return trap_last();
}

static inline struct trap trap_load(volatile void *at)
{
	unsigned char value;

	return trap_touch(at, 0, &value);
}

static inline struct trap trap_store(volatile void *at, unsigned char value)
{
	return trap_touch(at, 1, &value);
}

/* The touch must give exactly this signal, code and address. */
#define EXPECT_TRAP(t, expected_signo, expected_code, at) do {		\
	struct trap seen_ = (t);					\
	EXPECT_EQ((expected_signo), seen_.signo);			\
	EXPECT_EQ((expected_code), seen_.code);				\
	EXPECT_EQ((void *)(at), seen_.addr);				\
} while (0)

/* The touch must go through. */
#define EXPECT_NO_TRAP(t) do {						\
	struct trap seen_ = (t);					\
	EXPECT_EQ(0, seen_.signo);					\
} while (0)

#endif /* _SELFTESTS_TRAP_H */
