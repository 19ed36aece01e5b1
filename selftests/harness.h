/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's test harness, with deadlines for slow machines.
 *
 * A deadline ends what hangs. It does not judge speed: an emulated kernel with
 * all checkers on, on a machine that others use too, can take a hundred times as
 * long as the harness's 30 seconds foresee, and be sound.
 */
#ifndef _SELFTESTS_HARNESS_H
#define _SELFTESTS_HARNESS_H

#include <kselftest_harness.h>

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300	/* seconds, for a test */

#endif /* _SELFTESTS_HARNESS_H */
