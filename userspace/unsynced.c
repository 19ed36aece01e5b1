// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl unsynced: what a power cut would undo now, and since when.
 */
#include "ctl.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ROW		"%20s %16s %-8s %9s\n"
#define BATCH		512	/* pages that are asked for at once */
#define SIMILAR_MS	1000	/* ages in one range differ by less */

/* Adjacent pages of one kind; ages in milliseconds. */
struct range {
	uint64_t offset;
	uint64_t pages;
	uint64_t oldest, youngest;
	uint32_t why;
};

static const char *why(uint32_t number)
{
	switch (number) {
	case MMAPDEV_UNSYNCED_DIRTY:
		return "dirty";
	case MMAPDEV_UNSYNCED_WRITTEN:
		return "written";
	case MMAPDEV_UNSYNCED_HOLE:
		return "hole";
	default:
		return "?";
	}
}

static void print_range(const struct range *range, uint32_t page_size)
{
	char offset[24], bytes[24], age[24] = "-";

	if (!range->pages)
		return;
	snprintf(offset, sizeof(offset), "%" PRIu64, range->offset);
	snprintf(bytes, sizeof(bytes), "%" PRIu64, range->pages * page_size);
	/* A hole has no age. */
	if (range->why != MMAPDEV_UNSYNCED_HOLE)
		snprintf(age, sizeof(age), "%" PRIu64 ".%" PRIu64 "s",
			 range->oldest / 1000, range->oldest % 1000 / 100);
	printf(ROW, offset, bytes, why(range->why), age);
}

static bool joins(const struct range *range, uint32_t page_size,
		  const struct mmapdev_unsynced_page *page)
{
	uint64_t oldest = range->oldest, youngest = range->youngest;

	if (!range->pages || page->why != range->why ||
	    page->offset != range->offset + range->pages * page_size)
		return false;
	if (page->age > oldest)
		oldest = page->age;
	if (page->age < youngest)
		youngest = page->age;
	return oldest - youngest < SIMILAR_MS;
}

static void join(struct range *range, const struct mmapdev_unsynced_page *page)
{
	range->pages++;
	if (page->age > range->oldest)
		range->oldest = page->age;
	if (page->age < range->youngest)
		range->youngest = page->age;
}

static void add(struct range *range, const struct mmapdev_unsynced_page *page,
		uint32_t page_size)
{
	if (joins(range, page_size, page)) {
		join(range, page);
		return;
	}
	print_range(range, page_size);
	*range = (struct range) {
		.offset = page->offset,
		.pages = 1,
		.oldest = page->age,
		.youngest = page->age,
		.why = page->why,
	};
}

static int print_ranges(int fd, const char *name, uint32_t page_size,
			uint64_t *total)
{
	struct mmapdev_unsynced_page pages[BATCH];
	struct mmapdev_unsynced want = { };
	struct range range = { };
	uint64_t i;

	do {
		want.count = BATCH;
		want.pages = (uintptr_t)pages;
		if (ioctl(fd, MMAPDEV_IOC_UNSYNCED, &want))
			return ctl_error("cannot ask what is not durable of '%s': %m",
					 name);
		for (i = 0; i < want.count; i++)
			add(&range, &pages[i], page_size);
		*total += want.count;
		if (want.count)
			want.offset = pages[want.count - 1].offset + page_size;
	} while (want.count == BATCH);
	print_range(&range, page_size);
	return CTL_OK;
}

static int report(int fd, const char *name)
{
	struct mmapdev_info info;
	uint64_t total = 0;
	int status;

	if (ioctl(fd, MMAPDEV_IOC_GET_INFO, &info))
		return ctl_error("cannot ask about '%s': %m", name);
	if (info.store == MMAPDEV_STORE_NONE)
		return ctl_error("'%s' is anonymous: it has no store, and nothing of it is durable",
				 name);
	printf(ROW, "OFFSET", "BYTES", "WHY", "SINCE");
	status = print_ranges(fd, name, info.page_size, &total);
	if (status != CTL_OK)
		return status;
	printf("not durable: %" PRIu64 " bytes in %" PRIu64 " page%s\n",
	       total * info.page_size, total, total == 1 ? "" : "s");
	if (info.size != info.durable_size)
		printf("not durable: the size, %" PRIu64 "; a power cut would leave %" PRIu64 "\n",
		       (uint64_t)info.size, (uint64_t)info.durable_size);
	return CTL_OK;
}

int ctl_unsynced(int argc, char **argv)
{
	static const struct option options[] = { { } };
	int status;
	int fd;

	if (getopt_long(argc, argv, "", options, NULL) != -1 ||
	    argc - optind != 1)
		return ctl_usage_error("unsynced takes one NAME");
	status = object_open(argv[optind], O_RDONLY, &fd);
	if (status != CTL_OK)
		return status;
	status = report(fd, argv[optind]);
	close(fd);
	return status;
}
