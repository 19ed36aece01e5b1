// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl status: what sysfs and the device tell, as text or as JSON.
 */
#include "ctl.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the output stands: JSON has commas between, and no headings. */
struct report {
	bool json;
	bool first;
};

/* A number to JSON, unless it has leading zeros: an octal mode is a string. */
static bool is_number(const char *value)
{
	size_t length = strlen(value);

	return length && strspn(value, "0123456789") == length &&
	       (length == 1 || value[0] != '0');
}

static void print_json_string(const char *value)
{
	putchar('"');
	for (; *value; value++) {
		if (*value == '"' || *value == '\\' ||
		    iscntrl((unsigned char)*value))
			printf("\\u%04x", (unsigned char)*value);
		else
			putchar(*value);
	}
	putchar('"');
}

static void field(struct report *report, const char *name, const char *value)
{
	if (!report->json) {
		printf("  %-20s %s\n", name, value);
		return;
	}
	printf("%s\"%s\": ", report->first ? "" : ", ", name);
	report->first = false;
	if (is_number(value))
		fputs(value, stdout);
	else
		print_json_string(value);
}

static void field_u64(struct report *report, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	field(report, name, text);
}

static void section(struct report *report, const char *name)
{
	if (report->json)
		printf(",\n \"%s\": {", name);
	else
		printf("%s\n", name);
	report->first = true;
}

static void section_end(struct report *report)
{
	if (report->json)
		putchar('}');
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* A field for each file of a directory. */
static void fields_of(struct report *report, const char *directory)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_visible, alphasort);
	int i;

	if (count < 0)
		return;
	for (i = 0; i < count; i++) {
		char line[128];

		if (sysfs_read(directory, entries[i]->d_name, line,
			       sizeof(line)))
			field(report, entries[i]->d_name, line);
		free(entries[i]);
	}
	free(entries);
}

static void features(struct report *report, uint64_t bits)
{
	static const struct {
		uint64_t bit;
		const char *name;
	} known[] = {
		{ MMAPDEV_FEATURE_ANONYMOUS, "anonymous" },
		{ MMAPDEV_FEATURE_NAMES, "names" },
		{ MMAPDEV_FEATURE_FILES, "files" },
		{ MMAPDEV_FEATURE_DURABLE, "durable" },
		{ MMAPDEV_FEATURE_INJECT, "inject" },
	};
	char text[64] = "";
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!(bits & known[i].bit))
			continue;
		sprintf(text + strlen(text), "%s%s", text[0] ? " " : "",
			known[i].name);
		bits &= ~known[i].bit;
	}
	if (bits)
		sprintf(text + strlen(text), "%s0x%" PRIx64,
			text[0] ? " " : "", bits);
	field(report, "features", text);
}

/* How many there are; mmapdevctl list tells the rest. */
static void named_objects(struct report *report)
{
	char **names;
	int count = sysfs_names(&names);

	if (count < 0)
		return;
	sysfs_names_free(names, count);
	field_u64(report, "named_objects", count);
}

static void info(struct report *report)
{
	struct mmapdev_info info;
	int fd = open(DEVICE_PATH, O_RDONLY | O_CLOEXEC);

	section(report, "device");
	field(report, "path", DEVICE_PATH);
	if (fd < 0 || ioctl(fd, MMAPDEV_IOC_GET_INFO, &info)) {
		char text[128];

		snprintf(text, sizeof(text), "cannot %s: %m",
			 fd < 0 ? "open" : "ask");
		field(report, "error", text);
	} else {
		field_u64(report, "abi_version", info.abi_version);
		features(report, info.features);
		field_u64(report, "page_size", info.page_size);
		field_u64(report, "max_size", info.max_size);
		field_u64(report, "limit", info.limit);
		field_u64(report, "used", info.used);
	}
	section_end(report);
	if (fd >= 0)
		close(fd);
}

static int not_loaded(bool json, const char *state)
{
	if (json)
		printf("{\"loaded\": false}\n");
	else if (!state)
		puts(MODULE_NAME " is not loaded");
	else
		printf(MODULE_NAME " is not ready (%s)\n", state);
	return CTL_NOT_LOADED;
}

/* The totals come before the device is opened, which would count there. */
static void loaded(struct report *report)
{
	char version[64] = "";

	sysfs_read(MODULE_SYSFS, "version", version, sizeof(version));
	if (report->json) {
		printf("{\"loaded\": true, \"version\": ");
		print_json_string(version);
	} else {
		printf(MODULE_NAME " %s is loaded\n", version);
	}
	section(report, "parameters");
	fields_of(report, MODULE_SYSFS "/parameters");
	section_end(report);
	section(report, "totals");
	fields_of(report, CLASS_SYSFS "/stats");
	named_objects(report);
	section_end(report);
	info(report);
	if (report->json)
		puts("}");
}

static void object_fields(struct report *report, const char *directory,
			  const struct mmapdev_info *info)
{
	char line[24] = "";

	field_u64(report, "object", info->object);
	sysfs_read(directory, "kind", line, sizeof(line));
	field(report, "kind", line);
	sysfs_read(directory, "store", line, sizeof(line));
	field(report, "store", line);
	field_u64(report, "size", info->size);
	if (info->store != MMAPDEV_STORE_NONE)
		field_u64(report, "durable_size", info->durable_size);
	field_u64(report, "resident", info->resident * info->page_size);
}

/* Of a named object; sizes in bytes. */
static int object_status(struct report *report, const char *name)
{
	char directory[NAME_SYSFS_SIZE];
	char stats[NAME_SYSFS_SIZE + sizeof("/stats")];
	struct mmapdev_info info;
	int fd;
	int status = object_open(name, O_RDONLY, &fd);

	if (status != CTL_OK)
		return status;
	if (ioctl(fd, MMAPDEV_IOC_GET_INFO, &info))
		status = ctl_error("cannot ask about '%s': %m", name);
	close(fd);
	if (status != CTL_OK)
		return status;
	snprintf(directory, sizeof(directory), NAMES_SYSFS "/%s", name);
	snprintf(stats, sizeof(stats), "%s/stats", directory);
	if (report->json) {
		printf("{\"name\": ");
		print_json_string(name);
	} else {
		puts(name);
	}
	section(report, "object");
	object_fields(report, directory, &info);
	section_end(report);
	section(report, "stats");
	fields_of(report, stats);
	section_end(report);
	if (report->json)
		puts("}");
	return CTL_OK;
}

int ctl_status(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ }
	};
	struct report report = { };
	char state[16];
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'j')
			return ctl_usage_error("status takes --json and NAME only");
		report.json = true;
	}
	if (argc - optind > 1)
		return ctl_usage_error("status takes one NAME at most");
	if (optind < argc)
		return object_status(&report, argv[optind]);
	if (!sysfs_read(MODULE_SYSFS, "initstate", state, sizeof(state)))
		return not_loaded(report.json, NULL);
	if (strcmp(state, "live"))
		return not_loaded(report.json, state);
	loaded(&report);
	return CTL_OK;
}
