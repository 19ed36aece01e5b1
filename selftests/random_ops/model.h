/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The model: what the object must hold, in plain memory, what a private mapping
 * of it must show, and what a power cut must leave. It knows no files, and no
 * kernel.
 */
#ifndef _RANDOM_OPS_MODEL_H
#define _RANDOM_OPS_MODEL_H

#include <stdbool.h>
#include <stddef.h>

struct model {
	size_t page;
	size_t max;		/* a multiple of page */
	size_t size;		/* the end of file, up to max */
	unsigned char *bytes;	/* zero from size to max */
	/*
	 * Something was stored past the end in its page: what is there is not
	 * known until the end moves back or to another page. It must never
	 * come before the end.
	 */
	bool tail_stored;
	bool *copied;		/* page i of the private mapping is a copy, */
	unsigned char *copies;	/* which holds this */
	unsigned char *durable;	/* the bytes that a power cut leaves, */
	size_t durable_size;	/* and the end; zero from there to max */
	/* Something was taken away: then a sync of any range is one of all. */
	bool taken;
};

/*
 * An empty file. The bytes are in memory that children share, so that a parent
 * can see what must be there when they are done. False: no memory.
 */
bool model_init(struct model *m, size_t page, size_t max);
void model_free(struct model *m);

void model_resize(struct model *m, size_t size);
/* The end moves up to size, if it is not there. */
void model_grow(struct model *m, size_t size);
/* The bytes may be the model's own. */
void model_write(struct model *m, size_t at, const void *bytes, size_t n);
/* No byte past the end comes into being. */
void model_zero(struct model *m, size_t at, size_t n);
/* Bytes are taken away. */
void model_punch(struct model *m, size_t at, size_t n);
void model_store_tail(struct model *m);

/* Up to where mappings can be read and hold what is known. */
size_t model_visible(const struct model *m);
/* The end of the last page: from there on, a touch of a mapping gets SIGBUS. */
size_t model_touchable(const struct model *m);

/* Stores to the private mapping, below model_visible(). */
void model_private_store(struct model *m, size_t at, const void *bytes,
			 size_t n);
/* The copies of pages from..end, in bytes, are gone. */
void model_private_forget(struct model *m, size_t from, size_t end);
/* All is synced, or whole pages: those that the bytes from..end are on. */
void model_sync(struct model *m);
void model_sync_range(struct model *m, size_t from, size_t end);
/* A power cut; private copies survive what is not cut off. */
void model_cut(struct model *m);
/* Would a power cut change the page? */
bool model_differs(const struct model *m, size_t page);

/* What the private mapping must show, from at up to n bytes within a page. */
const unsigned char *model_private_bytes(const struct model *m, size_t at);

#endif /* _RANDOM_OPS_MODEL_H */
