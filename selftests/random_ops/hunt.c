// SPDX-License-Identifier: GPL-2.0
#include "hunt.h"

#include <inttypes.h>
#include <time.h>

#include "shrink.h"

#define SHOWN	20	/* steps, of what could not be shrunk */
#define CHANCES	3	/* for a race to be lost */

/* Lists that are tried in the place of a plan's own steps. */
struct trial {
	struct plan plan;
	struct finding last;	/* of those that failed */
	unsigned int count;
};

static bool fails(void *arg, const struct step *steps, size_t n)
{
	struct trial *t = arg;
	int chances = t->plan.processes == 1 ? 1 : CHANCES;
	struct finding f;

	t->plan.steps = steps;
	t->plan.count = n;
	t->count++;
	while (chances-- > 0) {
		if (plan_run(&t->plan, &f))
			return false;
		if (f.found) {
			t->last = f;
			return true;
		}
	}
	return false;
}

static void print_steps(const struct step *steps, size_t n)
{
	char line[128];

	for (size_t i = 0; i < n; i++) {
		step_print(&steps[i], line, sizeof(line));
		puts(line);
	}
}

static void print_finding(const struct plan *p, const struct finding *f)
{
	char line[128] = "the comparison at the end";
	struct step s;

	if (f->step < p->count) {
		s = plan_step(p, f->process, f->step);
		step_print(&s, line, sizeof(line));
	}
	printf("# process %u, operation %" PRIu64 " (%s)\n# %s\n", f->process,
	       f->step, line, f->difference);
	fflush(stdout);
}

/* The steps of the process that found it, up to there. */
static struct step *steps_to(const struct plan *p, const struct finding *f,
			     size_t *n)
{
	struct step *steps;

	*n = f->step < p->count ? f->step + 1 : p->count;
	steps = malloc((*n + 1) * sizeof(*steps));
	for (size_t k = 0; steps && k < *n; k++)
		steps[k] = plan_step(p, f->process, k);
	return steps;
}

static size_t shrink_finding(const struct plan *p, const struct finding *f)
{
	struct trial t = { .plan = *p };
	size_t n, from;
	struct step *steps = steps_to(p, f, &n);

	if (!steps)
		return 1;
	t.plan.progress = false;
	if (fails(&t, steps, n)) {
		n = shrink(steps, n, fails, &t);
		printf("# steps left: %zu, after %u trials\n# %s\n", n,
		       t.count, t.last.difference);
		print_steps(steps, n);
	} else {
		from = n > SHOWN ? n - SHOWN : 0;
		printf("# run again, its steps find nothing; the last are:\n");
		print_steps(steps + from, n - from);
	}
	free(steps);
	return n ? n : 1;
}

bool hunt(const struct plan *p, size_t *left)
{
	time_t begin = time(NULL);
	struct finding f;

	*left = 0;
	printf("# %s: %" PRIu64 " operations on %#zx bytes, processes: %u",
	       p->target->name, p->count, p->max, p->processes);
	if (!p->steps)
		printf(", seed: %" PRIu64, p->seed);
	putchar('\n');
	fflush(stdout);
	if (plan_run(p, &f)) {
		printf("# it cannot begin: %s\n", errno == EINVAL ?
		       "no steps, or some that cannot be done here" :
		       strerror(errno));
		return false;
	}
	if (f.found) {
		print_finding(p, &f);
		*left = shrink_finding(p, &f);
	}
	printf("# %s, %ld s\n", f.found ? "a difference" : "no difference",
	       (long)(time(NULL) - begin));
	fflush(stdout);
	return true;
}
