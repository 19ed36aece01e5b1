// SPDX-License-Identifier: GPL-2.0
#include "shrink.h"

#include <stdlib.h>
#include <string.h>

/*
 * Most of a long run does not matter: what the first steps did, later ones have
 * overwritten. Find an end of the list that fails alone.
 */
static size_t keep_an_end(struct step *steps, size_t n, shrink_fails fails,
			  void *arg)
{
	for (size_t kept = 16; kept < n; kept *= 4) {
		if (!fails(arg, steps + n - kept, kept))
			continue;
		memmove(steps, steps + n - kept, kept * sizeof(*steps));
		return kept;
	}
	return n;
}

/* Leave out each run of `chunk` steps without which the rest still fails. */
static size_t leave_out(struct step *steps, size_t n, size_t chunk,
			struct step *rest, shrink_fails fails, void *arg)
{
	size_t from = 0;

	while (from < n) {
		size_t out = chunk < n - from ? chunk : n - from;

		memcpy(rest, steps, from * sizeof(*steps));
		memcpy(rest + from, steps + from + out,
		       (n - from - out) * sizeof(*steps));
		if (n > out && fails(arg, rest, n - out)) {
			n -= out;
			memcpy(steps, rest, n * sizeof(*steps));
		} else {
			from += out;
		}
	}
	return n;
}

size_t shrink(struct step *steps, size_t n, shrink_fails fails, void *arg)
{
	struct step *rest;
	size_t chunk;

	n = keep_an_end(steps, n, fails, arg);
	rest = malloc(n * sizeof(*rest));
	if (!rest)
		return n;
	for (chunk = n / 2; chunk; ) {
		size_t left = leave_out(steps, n, chunk, rest, fails, arg);

		/* What was left out may have been what another run needed. */
		if (left == n)
			chunk /= 2;
		n = left;
		if (chunk > n / 2)
			chunk = n / 2 ? n / 2 : chunk;
	}
	free(rest);
	return n;
}
