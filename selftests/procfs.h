/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What /proc/self tells of mappings: maps, smaps, pagemap, status.
 */
#ifndef _SELFTESTS_PROCFS_H
#define _SELFTESTS_PROCFS_H

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One line of /proc/self/maps. */
struct map_line {
	unsigned long start;
	unsigned long end;
	char perms[8];
	unsigned long offset;
	unsigned int major;
	unsigned int minor;
	unsigned long inode;
	char path[PATH_MAX];
};

/* Is this line of maps or smaps the head of a mapping? */
static inline bool map_line_parse(const char *text, struct map_line *line)
{
	int path = 0;

	if (sscanf(text, "%lx-%lx %7s %lx %x:%x %lu %n", &line->start,
		   &line->end, line->perms, &line->offset, &line->major,
		   &line->minor, &line->inode, &path) != 7)
		return false;
	snprintf(line->path, sizeof(line->path), "%s", text + path);
	line->path[strcspn(line->path, "\n")] = '\0';
	return true;
}

/*
 * How many lines of maps have a part of the length bytes at p; the first of
 * them goes to *first. -1 if the file cannot be read.
 */
static inline int maps_lines(const void *p, size_t length,
			     struct map_line *first)
{
	unsigned long start = (unsigned long)p;
	FILE *file = fopen("/proc/self/maps", "r");
	struct map_line line;
	char text[PATH_MAX + 128];
	int n = 0;

	if (!file)
		return -1;
	while (fgets(text, sizeof(text), file)) {
		if (!map_line_parse(text, &line) || line.end <= start ||
		    line.start >= start + length)
			continue;
		if (n++ == 0 && first)
			*first = line;
	}
	fclose(file);
	return n;
}

/*
 * The text after "name:" in /proc/self/smaps, of the mapping that starts at p,
 * without the blanks around it. false if it is not there.
 */
static inline bool smaps_text(const void *p, const char *name, char *value,
			      size_t size)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	size_t n = strlen(name);
	struct map_line line;
	char text[PATH_MAX + 128];
	bool inside = false;
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(text, sizeof(text), file)) {
		if (map_line_parse(text, &line))
			inside = line.start == (unsigned long)p;
		else if (inside && !strncmp(text, name, n) && text[n] == ':')
			found = true;
	}
	fclose(file);
	if (found) {
		const char *from = text + n + 1;
		size_t end = strlen(from);

		while (*from == ' ') {
			from++;
			end--;
		}
		while (end && (from[end - 1] == '\n' || from[end - 1] == ' '))
			end--;
		snprintf(value, size, "%.*s", (int)end, from);
	}
	return found;
}

/* A field of smaps that is in kB, in bytes; -1 if it is not there. */
static inline long smaps_bytes(const void *p, const char *name)
{
	char value[64];

	return smaps_text(p, name, value, sizeof(value)) ?
		atol(value) * 1024 : -1;
}

/* A field of /proc/self/status that is in kB, in bytes; -1 if not there. */
static inline long status_bytes(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	size_t n = strlen(name);
	char text[256];
	long bytes = -1;

	if (!file)
		return -1;
	while (bytes < 0 && fgets(text, sizeof(text), file))
		if (!strncmp(text, name, n) && text[n] == ':')
			bytes = atol(text + n + 1) * 1024;
	fclose(file);
	return bytes;
}

#define PAGEMAP_PRESENT		(1ULL << 63)
#define PAGEMAP_SWAPPED		(1ULL << 62)
#define PAGEMAP_FILE		(1ULL << 61)	/* not a private copy */
#define PAGEMAP_PFN(entry)	((entry) & ((1ULL << 55) - 1))

/* The entry of /proc/self/pagemap for the page at p; 0 for no page. */
static inline uint64_t pagemap_entry(const void *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t index = (unsigned long)p / getpagesize();
	uint64_t entry;

	if (pread(fd, &entry, sizeof(entry), index * sizeof(entry)) !=
	    sizeof(entry))
		entry = 0;
	close(fd);
	return entry;
}

/* How many of the pages from p on are in the page table. */
static inline size_t pagemap_present(const void *p, size_t pages)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t index = (unsigned long)p / getpagesize();
	size_t present = 0;

	while (pages) {
		uint64_t entries[512];
		size_t n = pages < 512 ? pages : 512;

		if (pread(fd, entries, n * sizeof(entries[0]),
			  index * sizeof(entries[0])) !=
		    (ssize_t)(n * sizeof(entries[0])))
			break;
		for (size_t i = 0; i < n; i++)
			present += !!(entries[i] & PAGEMAP_PRESENT);
		index += n;
		pages -= n;
	}
	close(fd);
	return present;
}

#endif /* _SELFTESTS_PROCFS_H */
