// SPDX-License-Identifier: GPL-2.0
/*
 * Sizes and numbers as people write them.
 */
#include "ctl.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int size_parse(const char *word, uint64_t *bytes)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	uint64_t number;
	int shift = 0;
	char *end;

	errno = 0;
	number = strtoumax(word, &end, 10);
	if (*end) {
		suffix = strchr(suffixes, toupper((unsigned char)*end));
		if (!suffix || end[1])
			goto bad;
		shift = 10 * (suffix - suffixes + 1);
	}
	/* strtoumax() takes signs and spaces, too. */
	if (!isdigit((unsigned char)word[0]))
		goto bad;
	if (errno == ERANGE || number > UINT64_MAX >> shift)
		*bytes = UINT64_MAX;
	else
		*bytes = number << shift;
	return CTL_OK;

bad:
	return ctl_usage_error("'%s' is not a size: a number of bytes, or of K, M, G or T",
			       word);
}

int number_parse(const char *word, uint64_t least, uint64_t most,
		 uint64_t *number)
{
	bool hex = !strncmp(word, "0x", 2);
	char *end;

	errno = 0;
	*number = strtoumax(word, &end, hex ? 16 : 10);
	if (isdigit((unsigned char)word[0]) && !*end && !errno &&
	    *number >= least && *number <= most)
		return CTL_OK;
	return ctl_usage_error("'%s' is not a number from %" PRIu64 " to %" PRIu64,
			       word, least, most);
}
