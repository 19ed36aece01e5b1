/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ways to see a range of the object; each compares all that it shows with
 * the model.
 */
#ifndef _RANDOM_OPS_VIEW_H
#define _RANDOM_OPS_VIEW_H

#include "run.h"

/* By read(2), up to the end. */
void view_read(struct run *r);

/* By the mappings, up to the end of the last page: n bytes from at on, or all. */
void view_shared_range(struct run *r, size_t at, size_t n);
void view_private_range(struct run *r, size_t at, size_t n);
void view_shared(struct run *r);
void view_private(struct run *r);

/* By SEEK_DATA and SEEK_HOLE: what is not zero is in no hole. */
void view_seek(struct run *r);

/* By the file that it is durable in, where that is known and not shared. */
void view_store(struct run *r);

/* Do the whole pages of these n bytes hold nothing? */
void view_hole(struct run *r, size_t at, size_t n);

#endif /* _RANDOM_OPS_VIEW_H */
