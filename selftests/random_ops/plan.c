// SPDX-License-Identifier: GPL-2.0
#include "plan.h"

#include <inttypes.h>
#include <sys/wait.h>
#include <time.h>

#include "generator.h"
#include "run.h"

#define PROGRESS_SECONDS	10

static unsigned int can(const struct plan *p)
{
	return p->target->can |
		(p->processes == 1 ? CAN_OWN_END : CAN_SHARE_END);
}

static struct generator generator(const struct plan *p, unsigned int process)
{
	return (struct generator) {
		.table = p->table,
		.can = can(p),
		.without = p->without,
		.seed = p->seed + ((uint64_t)process << 56),
		.max = p->max,
		.page = getpagesize(),
	};
}

struct step plan_step(const struct plan *p, unsigned int process, uint64_t k)
{
	struct generator g = generator(p, process);

	return p->steps ? p->steps[k] : generator_step(&g, k);
}

/* Can the plan be run, whatever it does to the object? */
static bool is_sound(const struct plan *p)
{
	struct generator g = generator(p, 0);

	if (!p->steps)
		return generator_has_any(&g);
	for (uint64_t k = 0; k < p->count; k++) {
		const struct step *s = &p->steps[k];

		if (s->op->needs & ~g.can || s->at >= p->max ||
		    s->length > p->max - s->at || s->to > p->max ||
		    (s->op->takes & TAKES_LENGTH && !s->length))
			return false;
	}
	return true;
}

static void tell_progress(const struct plan *p, uint64_t k)
{
	static time_t last;
	time_t now;

	if (!p->progress || k % 256)
		return;
	now = time(NULL);
	if (last && now < last + PROGRESS_SECONDS)
		return;
	if (last && k) {
		printf("# %" PRIu64 " operations\n", k);
		fflush(stdout);
	}
	last = now;
}

static void note(struct finding *f, const struct run *r, unsigned int process,
		 uint64_t step)
{
	f->found = r->differs;
	f->process = process;
	f->step = step;
	snprintf(f->difference, sizeof(f->difference), "%s", r->difference);
}

/* All steps of one process. */
static void work(const struct plan *p, struct run *r, unsigned int process,
		 struct finding *f)
{
	uint64_t k = 0;

	run_map(r);
	for (; k < p->count && !r->differs; k += !r->differs) {
		struct step s = plan_step(p, process, k);

		if (process == 0)
			tell_progress(p, k);
		run_step(r, &s);
	}
	if (!r->differs)
		run_compare_all(r);
	note(f, r, process, k);
}

static int work_alone(const struct plan *p, struct object *o, int store,
		      struct finding *f)
{
	struct run r;

	if (!run_init(&r, o, can(p), 0, p->max, p->max))
		return -1;
	r.store = store;
	work(p, &r, 0, f);
	o->fd = r.o.fd;
	run_free(&r);
	return 0;
}

/* In a child: as a stranger who opens the object, where that can be done. */
static void work_in_child(const struct plan *p, struct run *r,
			  unsigned int process, struct finding *f)
{
	if (r->can & CAN_BE_REGULAR)
		r->o.fd = target_reopen(&r->o, O_RDWR);
	work(p, r, process, f);
	fflush(stdout);
	_exit(0);
}

/* What all of them have done must survive, now that it is synced. */
static void cut_after_sync(struct run *r)
{
	struct mmapdev_crash crash = { .flags = MMAPDEV_CRASH_REVERT };

	if (r->can & CAN_BE_CUT &&
	    (fsync(r->o.fd) || ioctl(r->o.fd, MMAPDEV_IOC_CRASH, &crash)))
		run_differs(r, "a power cut at the end: %s", strerror(errno));
}

/* The parent has seen no step, and knows from the models what must be there. */
static void compare_in_parent(const struct plan *p, struct run *r,
			      unsigned int process, struct finding *f)
{
	run_map(r);
	run_compare_all(r);
	note(f, r, process, p->count);
}

static void wait_for(pid_t pid, unsigned int process, struct finding *f)
{
	int status;

	if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0)
		return;
	f->found = true;
	f->process = process;
	snprintf(f->difference, sizeof(f->difference),
		 "process %u did not come to its end", process);
}

/* Runs is one for each process; findings too, in memory that all share. */
static void work_together(const struct plan *p, struct run *runs,
			  struct finding *findings)
{
	pid_t pids[p->processes];

	fflush(stdout);
	for (unsigned int i = 0; i < p->processes; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			work_in_child(p, &runs[i], i, &findings[i]);
	}
	for (unsigned int i = 0; i < p->processes; i++)
		wait_for(pids[i], i, &findings[i]);
	cut_after_sync(&runs[0]);
	for (unsigned int i = 0; i < p->processes; i++)
		if (!findings[i].found)
			compare_in_parent(p, &runs[i], i, &findings[i]);
}

static int work_in_ranges(const struct plan *p, const struct object *o,
			  struct finding *f)
{
	struct run runs[p->processes];
	size_t bytes = p->processes * sizeof(*f);
	uint64_t end = (uint64_t)p->processes * p->max;
	struct finding *findings = mmap(NULL, bytes, RW,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int ready = 0;

	if (findings == MAP_FAILED)
		return -1;
	while (ready < p->processes &&
	       run_init(&runs[ready], o, can(p), ready * p->max, end, p->max))
		ready++;
	if (ready == p->processes && !object_resize(o, end)) {
		work_together(p, runs, findings);
		for (unsigned int i = p->processes; i-- > 0; )
			if (findings[i].found)
				*f = findings[i];
	} else {
		snprintf(f->difference, sizeof(f->difference),
			 "a range of the object: %s", strerror(errno));
		f->found = true;
	}
	while (ready-- > 0)
		run_free(&runs[ready]);
	munmap(findings, bytes);
	return 0;
}

int plan_run(const struct plan *p, struct finding *f)
{
	struct object o;
	int store, ret;

	memset(f, 0, sizeof(*f));
	if (!is_sound(p)) {
		errno = EINVAL;
		return -1;
	}
	o = target_open(p->target, p->path, &store);
	if (o.fd < 0)
		return -1;
	ret = p->processes == 1 ? work_alone(p, &o, store, f)
				: work_in_ranges(p, &o, f);
	object_close(&o);
	if (store >= 0)
		close(store);
	return ret;
}
