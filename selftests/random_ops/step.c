// SPDX-License-Identifier: GPL-2.0
#include "step.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct number {
	const char *name;
	unsigned int taken;
	size_t offset;
} numbers[] = {
	{ "at", TAKES_AT, offsetof(struct step, at) },
	{ "length", TAKES_LENGTH, offsetof(struct step, length) },
	{ "to", TAKES_TO, offsetof(struct step, to) },
	{ "value", TAKES_VALUE, offsetof(struct step, value) },
};

#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static const uint64_t *number_of(const struct step *s, const struct number *n)
{
	return (const uint64_t *)((const char *)s + n->offset);
}

const struct operation *operation_find(const struct operation *table,
				       const char *name, size_t n)
{
	for (; table->name; table++)
		if (!strncmp(table->name, name, n) && !table->name[n])
			return table;
	return NULL;
}

void step_print(const struct step *s, char *line, size_t size)
{
	size_t used = snprintf(line, size, "%s", s->op->name);

	for (size_t i = 0; i < NUMBERS && used < size; i++)
		if (s->op->takes & numbers[i].taken)
			used += snprintf(line + used, size - used,
					 " %s=%#" PRIx64, numbers[i].name,
					 *number_of(s, &numbers[i]));
}

/* Read one NAME=NUMBER; its end, or NULL if it is something else. */
static const char *number_parse(const char *word, struct step *s,
				unsigned int *given)
{
	for (size_t i = 0; i < NUMBERS; i++) {
		size_t n = strlen(numbers[i].name);
		char *end;

		if (strncmp(word, numbers[i].name, n) || word[n] != '=')
			continue;
		*(uint64_t *)number_of(s, &numbers[i]) =
			strtoull(word + n + 1, &end, 0);
		*given |= numbers[i].taken;
		return end == word + n + 1 ? NULL : end;
	}
	return NULL;
}

bool step_parse(const struct operation *table, const char *line,
		struct step *s)
{
	unsigned int given = 0;
	size_t n = strcspn(line, " \t");

	memset(s, 0, sizeof(*s));
	s->op = operation_find(table, line, n);
	if (!s->op)
		return false;
	for (line += n; *(line += strspn(line, " \t")); ) {
		line = number_parse(line, s, &given);
		if (!line)
			return false;
	}
	return given == s->op->takes;
}
