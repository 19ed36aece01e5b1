// SPDX-License-Identifier: GPL-2.0
/*
 * Injection: rules that fail or delay an event of an object's page.
 *
 * An event asks mmapdev_inject(), which costs a jump that is patched out while
 * there is no rule anywhere. Whether a rule with a probability acts is a
 * function of its seed and of how often it has matched, never of time.
 */

#include "mmapdev.h"

#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/siphash.h>
#include <linux/slab.h>

#include "compat.h"
#include "trace.h"

#define MAX_RULES	64	/* of one object */
#define MILLION		1000000
#define SLICE		50000UL	/* microseconds between looks at who waits */

/* Patching stops all processors: a user who adds and removes does that once a second. */
DEFINE_STATIC_KEY_DEFERRED_FALSE(mmapdev_inject_key, HZ);

/**
 * struct inject_rule - a rule of an object
 * @list: in the object's rules
 * @pid: whose events, or NULL for all
 * @rule: what was asked for, and how often it has matched and acted
 *
 * All protected by the object's rules_lock.
 */
struct inject_rule {
	struct list_head list;
	struct pid *pid;
	struct mmapdev_rule rule;
};

static bool chosen(const struct mmapdev_rule *rule)
{
	siphash_key_t key = { { rule->seed, rule->id } };
	u64 number = siphash_1u64(rule->matches, &key);

	return !rule->probability ||
	       mul_u64_u32_shr(number >> 32, MILLION, 32) < rule->probability;
}

/* Does the rule act on this event? It has matched it, either way. */
static bool acts(struct inject_rule *r, u32 event, u64 pos)
{
	struct mmapdev_rule *rule = &r->rule;

	if (rule->event != event || pos < rule->offset ||
	    (rule->length && pos - rule->offset >= rule->length))
		return false;
	if (r->pid && r->pid != task_tgid(current))
		return false;
	rule->matches++;
	if (rule->matches <= rule->skip ||
	    (rule->count && rule->hits >= rule->count) || !chosen(rule))
		return false;
	rule->hits++;
	return true;
}

static int error_of(u32 action)
{
	switch (action) {
	case MMAPDEV_ACTION_EIO:
	case MMAPDEV_ACTION_SIGBUS:
		return -EIO;
	case MMAPDEV_ACTION_ENOSPC:
		return -ENOSPC;
	case MMAPDEV_ACTION_ENOMEM:
		return -ENOMEM;
	case MMAPDEV_ACTION_HWPOISON:
		return -EHWPOISON;
	default:
		return 0;
	}
}

/* Whose page somebody else's sync waits for, or will in a moment, is not delayed. */
static bool others_wait(struct mmapdev_object *object, int passes)
{
	return passes != atomic_read(&object->passes) ||
	       atomic_read(&object->others) ||
	       time_before(jiffies, READ_ONCE(object->undelayed));
}

/*
 * A task that is killed waits no longer: it may hold its mmap_lock. Nor does one whose
 * page somebody else has come to write back, who must not wait, or is just doing so.
 */
static void delay_by(struct mmapdev_object *object, unsigned long us,
		     const int *passes)
{
	while (us && !fatal_signal_pending(current) &&
	       !(passes && others_wait(object, *passes))) {
		unsigned long slice = min(us, SLICE);
		ktime_t timeout = ns_to_ktime((u64)slice * NSEC_PER_USEC);

		set_current_state(TASK_KILLABLE);
		schedule_hrtimeout(&timeout, HRTIMER_MODE_REL);
		us -= slice;
	}
}

/**
 * mmapdev_inject_slow - what the rules have for an event
 * @inode: the object
 * @event: MMAPDEV_EVENT_*
 * @pos: first byte of the page, or of the range
 * @delays: whether it may be delayed
 * @passes: the object's number of passes when it began, by the next of which a delay
 *	ends; or NULL
 *
 * Delays add up, to MMAPDEV_DELAY_MAX at most; the first error ends the search.
 *
 * Context: May sleep.
 * Return: 0 or the error to fail with; -EHWPOISON for a memory error.
 */
int mmapdev_inject_slow(struct inode *inode, u32 event, loff_t pos, bool delays,
			const int *passes)
{
	struct mmapdev_object *object = mmapdev_object_of(inode);
	unsigned long delay = 0;
	struct inject_rule *r;
	int err = 0;

	spin_lock(&object->rules_lock);
	list_for_each_entry(r, &object->rules, list) {
		if ((r->rule.delay_us && !delays) || !acts(r, event, pos))
			continue;
		trace_mmapdev_inject(inode, pos, &r->rule);
		delay += r->rule.delay_us;
		err = error_of(r->rule.action);
		if (err)
			break;
	}
	spin_unlock(&object->rules_lock);
	if (delay)
		delay_by(object, min(delay, (unsigned long)MMAPDEV_DELAY_MAX),
			 passes);
	return err;
}

static int rule_check(const struct mmapdev_rule *rule)
{
	bool fault = rule->event <= MMAPDEV_EVENT_MKWRITE;
	bool delays = rule->action == MMAPDEV_ACTION_DELAY;

	if (rule->event < MMAPDEV_EVENT_FAULT_READ ||
	    rule->event > MMAPDEV_EVENT_ALLOCATE ||
	    rule->action < MMAPDEV_ACTION_SIGBUS ||
	    rule->action > MMAPDEV_ACTION_DELAY)
		return -EINVAL;
	if (!fault && (rule->action == MMAPDEV_ACTION_SIGBUS ||
		       rule->action == MMAPDEV_ACTION_HWPOISON))
		return -EINVAL;
	if (delays != !!rule->delay_us ||
	    rule->delay_us > MMAPDEV_DELAY_MAX || rule->pid < 0 ||
	    rule->probability > MILLION || rule->reserved || rule->id ||
	    rule->matches || rule->hits)
		return -EINVAL;
	return 0;
}

static int rule_add(struct mmapdev_object *object, struct inject_rule *r)
{
	struct inject_rule *other;
	unsigned int n = 0;

	lockdep_assert_held(&object->rules_lock);

	list_for_each_entry(other, &object->rules, list)
		n++;
	if (n == MAX_RULES)
		return -ENOSPC;
	r->rule.id = ++object->last_rule;
	list_add_tail(&r->list, &object->rules);
	return 0;
}

static void rule_free(struct inject_rule *r)
{
	put_pid(r->pid);
	kfree(r);
}

/**
 * mmapdev_inject_add - add a rule
 * @inode: the object
 * @rule: the rule; its id is filled in
 *
 * Context: May sleep.
 * Return: 0; -EINVAL; -ESRCH if there is no such process; -ENOSPC if the object
 *	has too many rules; -ENOMEM.
 */
int mmapdev_inject_add(struct inode *inode, struct mmapdev_rule *rule)
{
	struct mmapdev_object *object = mmapdev_object_of(inode);
	struct inject_rule *r;
	int err = rule_check(rule);

	if (err)
		return err;
	r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);
	if (!r)
		return -ENOMEM;
	r->rule = *rule;
	if (rule->pid) {
		r->pid = find_get_pid(rule->pid);
		err = r->pid ? 0 : -ESRCH;
	}
	if (err)
		goto err_free;
	/* Before it can be seen, and so taken away, by others. */
	static_branch_inc(&mmapdev_inject_key.key);
	spin_lock(&object->rules_lock);
	err = rule_add(object, r);
	rule->id = r->rule.id;
	spin_unlock(&object->rules_lock);
	if (!err)
		return 0;
	static_branch_slow_dec_deferred(&mmapdev_inject_key);
err_free:
	rule_free(r);
	return err;
}

/**
 * mmapdev_inject_get - look at a rule
 * @inode: the object
 * @rule: its id, or one below it; filled in
 *
 * Context: Any.
 * Return: 0 with the first rule from that id on; -ENOENT if there is none.
 */
int mmapdev_inject_get(struct inode *inode, struct mmapdev_rule *rule)
{
	struct mmapdev_object *object = mmapdev_object_of(inode);
	struct inject_rule *r;
	int err = -ENOENT;

	spin_lock(&object->rules_lock);
	list_for_each_entry(r, &object->rules, list) {
		if (r->rule.id >= rule->id) {
			*rule = r->rule;
			err = 0;
			break;
		}
	}
	spin_unlock(&object->rules_lock);
	return err;
}

/**
 * mmapdev_inject_remove - remove a rule
 * @inode: the object
 * @id: of the rule; 0 for all
 *
 * Context: May sleep.
 * Return: 0; -ENOENT if there is no such rule.
 */
int mmapdev_inject_remove(struct inode *inode, u64 id)
{
	struct mmapdev_object *object = mmapdev_object_of(inode);
	struct inject_rule *r, *next;
	LIST_HEAD(removed);
	int err = id ? -ENOENT : 0;

	spin_lock(&object->rules_lock);
	list_for_each_entry_safe(r, next, &object->rules, list) {
		if (!id || r->rule.id == id)
			list_move(&r->list, &removed);
	}
	spin_unlock(&object->rules_lock);
	list_for_each_entry_safe(r, next, &removed, list) {
		rule_free(r);
		static_branch_slow_dec_deferred(&mmapdev_inject_key);
		err = 0;
	}
	return err;
}

/**
 * mmapdev_inject_exit - there are no rules any more
 */
void mmapdev_inject_exit(void)
{
	static_key_deferred_flush(&mmapdev_inject_key);
}
