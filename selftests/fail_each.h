/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Running out of memory: each allocation of an operation fails once, and the
 * operation succeeds or says ENOMEM, and leaves nothing behind.
 *
 * /proc/self/fail-nth makes the kernel refuse this task's n-th allocation from
 * now on: n is 1, 2, 3... until the operation came to its end without. Include
 * this after harness.h.
 */
#ifndef _SELFTESTS_FAIL_EACH_H
#define _SELFTESTS_FAIL_EACH_H

#include "device.h"
#include "refuse.h"

/* More allocations than any operation makes. */
#define MAX_NTH		500

FIXTURE(fail_nth) {
	struct object o;
	size_t page;
	int nth;		/* /proc/self/fail-nth */
	long long objects;
	long long pages;
	char *p;		/* what the operation maps, or works on */
	size_t index;		/* the page that it brings in: no one's yet */
	int file;		/* the descriptor that it makes, or works on */
	struct knobs knobs;
};

FIXTURE_VARIANT(fail_nth) {
	enum backend_kind kind;
};

OBJECT_VARIANT(fail_nth, mmapdev, MMAPDEV);

FIXTURE_SETUP(fail_nth)
{
	self->page = getpagesize();
	self->nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (self->nth < 0)
		SKIP(return, "no /proc/self/fail-nth (FAULT_INJECTION)");
	ASSERT_EQ(0, refuse_any(&self->knobs));
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	self->objects = device_total("objects");
	self->pages = device_total("pages");
	ASSERT_LE(1, self->objects);
	self->index = 1;
}

FIXTURE_TEARDOWN_PARENT(fail_nth)
{
	EXPECT_EQ(0, knobs_restore(&self->knobs));
}

/* An operation: 0 or the errno that it gave; and what undoes its success. */
struct operation {
	int (*run)(FIXTURE_DATA(fail_nth) *self);
	void (*undo)(FIXTURE_DATA(fail_nth) *self);
};

/* How often an allocation failed, and how often the operation said so. */
struct outcome {
	int injected;
	int enomem;
};

/* Did the n-th allocation come and fail since it was armed? No more will. */
static bool disarm(int nth)
{
	char left[16] = "";

	return pread(nth, left, sizeof(left) - 1, 0) > 0 && atoi(left) == 0 &&
		pwrite(nth, "0", 1, 0) == 1;
}

static struct outcome fail_each(struct __test_metadata *_metadata,
				FIXTURE_DATA(fail_nth) *self,
				struct operation op)
{
	struct outcome outcome = {};

	for (int n = 1; n < MAX_NTH; n++) {
		long resident = object_resident(&self->o);
		char text[16];
		bool failed;
		int err;

		snprintf(text, sizeof(text), "%d", n);
		ASSERT_LT(0, pwrite(self->nth, text, strlen(text), 0));
		err = op.run(self);
		failed = disarm(self->nth);
		if (!failed)
			ASSERT_EQ(1, pwrite(self->nth, "0", 1, 0));

		if (failed && err == ENOMEM) {
			outcome.enomem++;
			EXPECT_EQ(resident, object_resident(&self->o));
		} else {
			EXPECT_EQ(0, err);
			if (op.undo)
				op.undo(self);
		}
		EXPECT_EQ(self->objects, device_total("objects"));
		EXPECT_EQ(self->pages + object_resident(&self->o),
			  device_total("pages"));
		if (!failed)
			return outcome;
		outcome.injected++;
	}
	ASSERT_LT(outcome.injected, MAX_NTH - 1);
	return outcome;
}

#endif /* _SELFTESTS_FAIL_EACH_H */
