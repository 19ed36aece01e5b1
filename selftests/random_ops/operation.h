/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The operations that there are: to add one, a function in one of the *_calls.c
 * and a row in operation.c.
 */
#ifndef _RANDOM_OPS_OPERATION_H
#define _RANDOM_OPS_OPERATION_H

#include "step.h"

extern const struct operation operations[];

typedef void operation_fn(struct run *r, const struct step *s);

/* file_calls.c */
operation_fn run_write, run_append, run_read;
operation_fn run_copy, run_sendfile, run_splice, run_write_mapped,
	     run_read_mapped;
/* mapping_calls.c */
operation_fn run_load, run_store, run_store_tail, run_past_end;
operation_fn run_private_load, run_private_store;
operation_fn run_dontneed, run_private_dontneed, run_mremap,
	     run_remap;
/* size_calls.c */
operation_fn run_truncate, run_resize, run_trim, run_truncate_above;
operation_fn run_allocate, run_allocate_keep, run_punch, run_punch_all,
	     run_remove, run_zero, run_zero_keep;
operation_fn run_reopen, run_stat, run_info;

/* sync_calls.c */
operation_fn run_msync, run_fsync, run_fdatasync, run_syncfs, run_sync_range,
	     run_write_through;
operation_fn run_forget, run_uncache, run_drop_caches;
/* cut_calls.c */
operation_fn run_cut, run_cut_reopen, run_states;

#endif /* _RANDOM_OPS_OPERATION_H */
