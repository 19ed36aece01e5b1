// SPDX-License-Identifier: GPL-2.0
#include "list.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_source(const char *source)
{
	FILE *file;

	if (!strcmp(source, "-"))
		return stdin;
	file = fopen(source, "re");
	return file ? file : fmemopen((void *)source, strlen(source), "r");
}

/* Add the step that the text is, if it is any. */
static bool add(const struct operation *table, const char *text,
		struct step **steps, size_t *n)
{
	struct step *more;

	text += strspn(text, " \t");
	if (!*text)
		return true;
	more = realloc(*steps, (*n + 1) * sizeof(**steps));
	if (!more)
		return false;
	*steps = more;
	return step_parse(table, text, &more[(*n)++]);
}

static bool add_line(const struct operation *table, char *line,
		     struct step **steps, size_t *n)
{
	char *rest = NULL;
	char *text;

	line[strcspn(line, "#\n")] = 0;
	for (text = strtok_r(line, ";", &rest); text;
	     text = strtok_r(NULL, ";", &rest)) {
		if (add(table, text, steps, n))
			continue;
		warnx("not a step: '%s'", text);
		return false;
	}
	return true;
}

struct step *list_read(const struct operation *table, const char *source,
		       size_t *n)
{
	FILE *file = open_source(source);
	struct step *steps = NULL;
	char *line = NULL;
	size_t size = 0;
	bool good = file;

	*n = 0;
	while (good && getline(&line, &size, file) >= 0)
		good = add_line(table, line, &steps, n);
	if (good && !*n)
		warnx("no steps in '%s'", source);
	free(line);
	if (file)
		fclose(file);
	if (good && *n)
		return steps;
	free(steps);
	return NULL;
}
