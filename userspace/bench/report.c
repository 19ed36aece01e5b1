// SPDX-License-Identifier: GPL-2.0
/*
 * What was measured, as tables and as JSON.
 */
#include "report.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define ROWS		4096
#define PAGE		4096
#define COLUMN		10	/* characters */

struct row {
	const struct bench_case *c;
	struct run run;
};

static struct row rows[ROWS];
static unsigned int row_count;

/* What a table shows of a row; negative: nothing. */
typedef double (*value_of)(const struct report *report, const struct run *r);

bool report_add(const struct bench_case *c, const struct run *r)
{
	if (row_count == ROWS)
		return false;
	rows[row_count++] = (struct row){ .c = c, .run = *r };
	return true;
}

static double all(const struct report *report, const struct run *r)
{
	(void)report;
	return (double)r->time / r->pages;
}

/* Without one clearing of each page that was made, and without the copies. */
static double net(const struct report *report, const struct run *r)
{
	double rest = r->time - r->copied * report->page.copy;

	if (!(r->backend->can & CLEARS_BY_READING))
		rest -= r->cleared * report->page.clear;
	return rest > 0 ? rest / r->pages : 0;
}

/* Bytes that became resident for each byte of the pages that were touched. */
static double resident(const struct report *report, const struct run *r)
{
	(void)report;
	if (!r->counted)
		return -1;
	return (double)(r->cleared + r->copied) / r->pages;
}

static const struct run *find(const struct bench_case *c, const char *backend,
			      uint64_t size, unsigned int threads)
{
	unsigned int i;

	for (i = 0; i < row_count; i++)
		if (rows[i].c == c && rows[i].run.size == size &&
		    rows[i].run.threads == threads &&
		    !strcmp(rows[i].run.backend->name, backend))
			return &rows[i].run;
	return NULL;
}

static bool has_backend(const char *backend)
{
	unsigned int i;

	for (i = 0; i < row_count; i++)
		if (!strcmp(rows[i].run.backend->name, backend))
			return true;
	return false;
}

/* Has a table something to show of a case? */
static bool has_case(const struct report *report, value_of value,
		     const struct bench_case *c, const struct run *like)
{
	unsigned int i;

	for (i = 0; i < row_count; i++)
		if (rows[i].c == c && rows[i].run.size == like->size &&
		    rows[i].run.threads == like->threads &&
		    value(report, &rows[i].run) >= 0)
			return true;
	return false;
}

/* Is it the first row of its table? */
static bool begins_table(unsigned int row)
{
	unsigned int i;

	for (i = 0; i < row; i++)
		if (rows[i].run.size == rows[row].run.size &&
		    rows[i].run.threads == rows[row].run.threads)
			return false;
	return true;
}

static void print_size(uint64_t size)
{
	static const char units[] = "BKMGT";
	unsigned int unit = 0;

	while (size && !(size % 1024) && units[unit + 1]) {
		size /= 1024;
		unit++;
	}
	printf("%llu %c%s", (unsigned long long)size, units[unit],
	       unit ? "iB" : "");
}

static void print_ratio(const struct report *report, value_of value,
			const struct run *one, const struct run *other)
{
	double a = one ? value(report, one) : -1;
	double b = other ? value(report, other) : -1;

	if (a >= 0 && b > 0)
		printf(" %*.3f", COLUMN, a / b);
	else
		printf(" %*s", COLUMN, "");
}

/* A case's line, of what one run of it has for size and threads. */
static void print_line(const struct report *report, value_of value,
		       const struct bench_case *c, const struct run *like)
{
	unsigned int i;

	printf("%-13s", c->name);
	for (i = 0; i < backend_count; i++) {
		const struct run *r = find(c, backends[i].name, like->size,
					   like->threads);
		double v = r ? value(report, r) : -1;

		if (!has_backend(backends[i].name))
			continue;
		if (v < 0)
			printf(" %*s", COLUMN, "-");
		else
			printf(" %*.*f", COLUMN, v < 100 ? 2 : 0, v);
	}
	print_ratio(report, value,
		    find(c, "mmapdev", like->size, like->threads),
		    find(c, "memfd", like->size, like->threads));
	print_ratio(report, value,
		    find(c, "durable", like->size, like->threads),
		    find(c, "ext4", like->size, like->threads));
	putchar('\n');
}

static void print_table(const struct report *report, const char *title,
			value_of value, const struct run *like)
{
	unsigned int i;

	printf("\n%s; ", title);
	print_size(like->size);
	printf(", %u thread%s\n%-13s", like->threads,
	       like->threads == 1 ? "" : "s", "case");
	for (i = 0; i < backend_count; i++)
		if (has_backend(backends[i].name))
			printf(" %*s", COLUMN, backends[i].name);
	printf(" %*s %*s\n", COLUMN, "mmapdev", COLUMN, "durable");
	printf("%-13s", "");
	for (i = 0; i < backend_count; i++)
		if (has_backend(backends[i].name))
			printf(" %*s", COLUMN, "");
	printf(" %*s %*s\n", COLUMN, "/ memfd", COLUMN, "/ ext4");
	for (i = 0; i < case_count; i++)
		if (has_case(report, value, &cases[i], like))
			print_line(report, value, &cases[i], like);
}

void report_print(const struct report *report)
{
	const char *unit = report->wall ? "nanoseconds" : "instructions";
	struct utsname u;
	char title[64];
	unsigned int i;

	uname(&u);
	printf("Linux %s; clearing a page: %.0f %s, copying one: %.0f\n",
	       u.release, report->page.clear, unit, report->page.copy);
	for (i = 0; i < row_count; i++) {
		if (!begins_table(i))
			continue;
		snprintf(title, sizeof(title), "%s a page", unit);
		print_table(report, title, all, &rows[i].run);
		snprintf(title, sizeof(title),
			 "%s a page, net of clearing and copying", unit);
		print_table(report, title, net, &rows[i].run);
		print_table(report, "resident bytes per byte of pages touched",
			    resident, &rows[i].run);
	}
}

static void write_string(FILE *f, const char *string)
{
	fputc('"', f);
	for (; *string && *string != '\n'; string++) {
		if (*string == '"' || *string == '\\')
			fputc('\\', f);
		fputc(*string, f);
	}
	fputc('"', f);
}

static void write_row(FILE *f, const struct report *report,
		      const struct row *row)
{
	const struct run *r = &row->run;

	fprintf(f, "  {\"case\": \"%s\", \"backend\": \"%s\", \"size\": %llu, ",
		row->c->name, r->backend->name, (unsigned long long)r->size);
	fprintf(f, "\"threads\": %u, \"time\": %llu, \"pages\": %llu, ",
		r->threads, (unsigned long long)r->time,
		(unsigned long long)r->pages);
	fprintf(f, "\"cleared\": %llu, \"copied\": %llu, ",
		(unsigned long long)r->cleared, (unsigned long long)r->copied);
	fprintf(f, "\"all\": %.2f, \"net\": %.2f, \"resident\": ",
		all(report, r), net(report, r));
	if (r->counted)
		fprintf(f, "%.3f}", resident(report, r));
	else
		fprintf(f, "null}");
}

static void write_rows(FILE *f, const struct report *report)
{
	char line[4096] = "";
	FILE *cmdline = fopen("/proc/cmdline", "r");
	struct utsname u;
	unsigned int i;

	if (cmdline && !fgets(line, sizeof(line), cmdline))
		line[0] = '\0';
	if (cmdline)
		fclose(cmdline);
	uname(&u);
	fprintf(f, "{\"kernel\": ");
	write_string(f, u.release);
	fprintf(f, ", \"cmdline\": ");
	write_string(f, line);
	fprintf(f, ",\n \"unit\": \"%s\", \"page\": %d, ",
		report->wall ? "nanoseconds" : "instructions", PAGE);
	fprintf(f, "\"clear\": %.1f, \"copy\": %.1f,\n \"rows\": [\n",
		report->page.clear, report->page.copy);
	for (i = 0; i < row_count; i++) {
		write_row(f, report, &rows[i]);
		fprintf(f, "%s\n", i + 1 < row_count ? "," : "");
	}
	fprintf(f, "]}\n");
}

int report_write(const struct report *report, const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return -1;
	write_rows(f, report);
	return fclose(f);
}
