/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Child processes that take turns with the test, with deadlines: a child that
 * dies makes a test fail, not hang.
 *
 * The harness's EXPECT and ASSERT do not work in a child: return a status.
 */
#ifndef _SELFTESTS_CHILD_H
#define _SELFTESTS_CHILD_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_DEADLINE_MS	120000

struct child {
	pid_t pid;
	int to;		/* parent writes: go */
	int from;	/* parent reads: done */
};

/* Fork body(arg, turn); its result, 0 to 127, is the child's exit status. */
struct turn {
	int wait;
	int done;
};

static inline struct child child_start(int (*body)(void *arg, struct turn *t),
				       void *arg)
{
	int go[2], done[2];
	struct child c = { .pid = -1, .to = -1, .from = -1 };

	if (pipe(go) || pipe(done))
		return c;
	c.pid = fork();
	if (c.pid == 0) {
		struct turn t = { .wait = go[0], .done = done[1] };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		close(done[0]);
		_exit(body(arg, &t));
	}
	close(go[0]);
	close(done[1]);
	c.to = go[1];
	c.from = done[0];
	return c;
}

static inline int turn_read(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	if (poll(&p, 1, CHILD_DEADLINE_MS) != 1)
		return -1;
	return read(fd, &byte, 1) == 1 ? 0 : -1;
}

/* In the child: wait for the parent's go, or say that a turn is done. */
static inline int turn_wait(struct turn *t)
{
	return turn_read(t->wait);
}

static inline int turn_done(struct turn *t)
{
	return write(t->done, "", 1) == 1 ? 0 : -1;
}

/* In the parent: let the child take a turn; 0, or -1 if it does not answer. */
static inline int child_go(struct child *c)
{
	return write(c->to, "", 1) == 1 ? 0 : -1;
}

static inline int child_done(struct child *c)
{
	return turn_read(c->from);
}

static inline int child_turn(struct child *c)
{
	return child_go(c) ? -1 : child_done(c);
}

/* Wait for the child: its exit status, or 128 + the signal that killed it. */
static inline int child_end(struct child *c)
{
	int status;

	close(c->to);
	close(c->from);
	if (c->pid < 0 || waitpid(c->pid, &status, 0) != c->pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status)
				 : 128 + WTERMSIG(status);
}

/* Run body in a child to its end. */
static inline int child_run(int (*body)(void *arg, struct turn *t), void *arg)
{
	struct child c = child_start(body, arg);

	return child_end(&c);
}

/* Does the child end its turn within a time? */
static inline bool ends_within(struct child *c, int seconds)
{
	struct pollfd p = { .fd = c->from, .events = POLLIN };

	return poll(&p, 1, seconds * 1000) == 1;
}

/* Is it dead by then? It is still to be waited for. */
static inline bool dies_within(struct child *c, int seconds)
{
	for (int ms = 0; ms < seconds * 1000; ms += 10) {
		siginfo_t info = {};

		if (!waitid(P_PID, c->pid, &info, WEXITED | WNOHANG | WNOWAIT) &&
		    info.si_pid == c->pid)
			return true;
		usleep(10000);
	}
	return false;
}

#endif /* _SELFTESTS_CHILD_H */
