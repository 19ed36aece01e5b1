// SPDX-License-Identifier: GPL-2.0
#include "operation.h"

#include "view.h"

static void run_compare_read(struct run *r, const struct step *s)
{
	(void)s;
	view_read(r);
}

static void run_compare_shared(struct run *r, const struct step *s)
{
	(void)s;
	view_shared(r);
}

static void run_compare_private(struct run *r, const struct step *s)
{
	(void)s;
	view_private(r);
}

static void run_compare_seek(struct run *r, const struct step *s)
{
	(void)s;
	view_seek(r);
}

#define RANGE	(TAKES_AT | TAKES_LENGTH)
#define COPY	(RANGE | TAKES_TO)

/* compare_shared and compare_private fill holes: not too often. */
const struct operation operations[] = {
	{ "write", 12, RANGE | TAKES_VALUE, 0, run_write },
	{ "append", 4, TAKES_LENGTH | TAKES_VALUE,
	  CAN_BE_REGULAR | CAN_OWN_END, run_append },
	{ "read", 8, RANGE, 0, run_read },
	{ "load", 8, RANGE, 0, run_load },
	{ "store", 12, RANGE | TAKES_VALUE, 0, run_store },
	{ "store_tail", 6, TAKES_VALUE, CAN_ZERO_TAIL | CAN_OWN_END,
	  run_store_tail },
	{ "private_load", 6, RANGE, 0, run_private_load },
	{ "private_store", 6, RANGE | TAKES_VALUE, 0, run_private_store },
	{ "past_end", 2, TAKES_VALUE, CAN_OWN_END, run_past_end },
	{ "msync", 6, RANGE | TAKES_VALUE, 0, run_msync },
	{ "fsync", 3, 0, 0, run_fsync },
	{ "fdatasync", 2, 0, 0, run_fdatasync },
	{ "syncfs", 1, 0, CAN_BE_CUT, run_syncfs },
	{ "sync_range", 3, RANGE | TAKES_VALUE, CAN_BE_REGULAR,
	  run_sync_range },
	{ "write_through", 4, RANGE | TAKES_VALUE, 0, run_write_through },
	{ "forget", 4, RANGE, 0, run_forget },
	{ "uncache", 6, RANGE | TAKES_VALUE, 0, run_uncache },
	{ "drop_caches", 1, TAKES_VALUE, CAN_BE_CUT, run_drop_caches },
	{ "cut", 4, 0, CAN_BE_CUT | CAN_OWN_END, run_cut },
	{ "cut_reopen", 3, TAKES_VALUE, CAN_BE_CUT | CAN_OWN_END,
	  run_cut_reopen },
	{ "states", 3, 0, CAN_BE_CUT | CAN_OWN_END, run_states },
	{ "dontneed", 3, RANGE, 0, run_dontneed },
	{ "private_dontneed", 3, RANGE, 0, run_private_dontneed },
	{ "mremap", 2, TAKES_AT | TAKES_VALUE, 0, run_mremap },
	{ "remap", 1, 0, 0, run_remap },
	{ "copy", 4, COPY, CAN_BE_REGULAR, run_copy },
	{ "sendfile", 3, COPY, CAN_BE_REGULAR, run_sendfile },
	{ "splice", 3, COPY, CAN_BE_REGULAR, run_splice },
	{ "write_mapped", 3, COPY, 0, run_write_mapped },
	{ "read_mapped", 3, COPY, 0, run_read_mapped },
	{ "truncate", 10, TAKES_TO, CAN_OWN_END, run_truncate },
	{ "truncate_above", 2, TAKES_TO, CAN_SHARE_END, run_truncate_above },
	{ "resize", 3, TAKES_TO, CAN_IOCTL | CAN_OWN_END, run_resize },
	{ "trim", 2, 0, CAN_OWN_END, run_trim },
	{ "allocate", 4, RANGE, CAN_ALLOCATE, run_allocate },
	{ "allocate_keep", 4, RANGE, CAN_ALLOCATE, run_allocate_keep },
	{ "punch", 8, RANGE, CAN_ALLOCATE, run_punch },
	{ "punch_all", 1, 0, CAN_ALLOCATE | CAN_OWN_END, run_punch_all },
	{ "remove", 4, RANGE, CAN_ALLOCATE, run_remove },
	{ "zero", 4, RANGE, CAN_ZERO_RANGE, run_zero },
	{ "zero_keep", 4, RANGE, CAN_ZERO_RANGE, run_zero_keep },
	{ "reopen", 2, 0, CAN_BE_REGULAR, run_reopen },
	{ "stat", 3, 0, CAN_OWN_END | CAN_COUNT_PAGES, run_stat },
	{ "info", 2, 0, CAN_IOCTL | CAN_OWN_END, run_info },
	{ "compare_read", 16, 0, 0, run_compare_read },
	{ "compare_shared", 6, 0, 0, run_compare_shared },
	{ "compare_private", 6, 0, 0, run_compare_private },
	{ "compare_seek", 4, 0, 0, run_compare_seek },
	{ }
};
