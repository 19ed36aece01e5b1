// SPDX-License-Identifier: GPL-2.0
/*
 * The kinds of memory that are compared, and one piece of such memory.
 */
#include "backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mmapdev.h"

#define RW		(PROT_READ | PROT_WRITE)
#define DEVICE		"/dev/mmapdev"
#define TMPFS		"/dev/shm"
#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"
#define OVERCOMMIT	"/proc/sys/vm/nr_overcommit_hugepages"

const char *backend_ext4;

/* What the kernel's settings were before. */
static char shmem_enabled[32];
static char overcommit[32];

/* The word of a setting, or of several the one in [brackets]. */
static void knob_read(const char *path, char *word, size_t size)
{
	FILE *f = fopen(path, "r");
	char line[128] = "";
	char *begin;

	if (f && !fgets(line, sizeof(line), f))
		line[0] = '\0';
	if (f)
		fclose(f);
	begin = strchr(line, '[');
	begin = begin ? begin + 1 : line;
	begin[strcspn(begin, "]\n")] = '\0';
	snprintf(word, size, "%.*s", (int)size - 1, begin);
}

static int knob_write(const char *path, const char *word)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, word, strlen(word));
	close(fd);
	return n < 0 ? -1 : 0;
}

/* Give a new file its size, or lose it. */
static int sized(int fd, uint64_t size)
{
	int err;

	if (fd < 0 || !ftruncate(fd, size))
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

static int resize_file(int fd, uint64_t size)
{
	return ftruncate(fd, size);
}

static int resize_mmapdev(int fd, uint64_t size)
{
	struct mmapdev_size new = { .size = size };

	return ioctl(fd, MMAPDEV_IOC_SET_SIZE, &new);
}

static int open_mmapdev(uint64_t size)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0 || !resize_mmapdev(fd, size))
		return fd;
	close(fd);
	return -1;
}

static int open_durable(uint64_t size)
{
	struct mmapdev_create new = {
		.store = MMAPDEV_STORE_MEMORY,
		.flags = O_RDWR | O_CLOEXEC,
		.size = size,
		.fd = -1,
	};
	int node = open(DEVICE, O_RDWR | O_CLOEXEC);
	int fd;

	if (node < 0)
		return -1;
	fd = ioctl(node, MMAPDEV_IOC_CREATE, &new);
	close(node);
	return fd;
}

static int open_memfd(uint64_t size)
{
	return sized(memfd_create("bench", MFD_CLOEXEC), size);
}

/* "advise": nothing changes for mappings without madvise(2). */
static int open_memfd_huge(uint64_t size)
{
	knob_read(SHMEM_ENABLED, shmem_enabled, sizeof(shmem_enabled));
	if (knob_write(SHMEM_ENABLED, "advise"))
		return -1;
	return open_memfd(size);
}

/* Huge pages beyond the pool are made when a mapping reserves them. */
static int open_hugetlb(uint64_t size)
{
	knob_read(OVERCOMMIT, overcommit, sizeof(overcommit));
	if (knob_write(OVERCOMMIT, "1000000"))
		return -1;
	return sized(memfd_create("bench", MFD_CLOEXEC | MFD_HUGETLB), size);
}

static int open_in(const char *directory, uint64_t size)
{
	return sized(open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
		     size);
}

static int open_tmpfs(uint64_t size)
{
	return open_in(TMPFS, size);
}

static int open_ext4(uint64_t size)
{
	if (!backend_ext4) {
		errno = ENOENT;
		return -1;
	}
	return open_in(backend_ext4, size);
}

static int open_zero(uint64_t size)
{
	(void)size;
	return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

#define CAN_AS_FILE	(CAN_SHARE | CAN_COPY | CAN_SHRINK | CAN_COPY_FORKED)

const struct backend backends[] = {
	{ .name = "mmapdev", .what = "an object of " DEVICE,
	  .can = CAN_AS_FILE, .flags = MAP_SHARED,
	  .open = open_mmapdev, .resize = resize_mmapdev },
	{ .name = "memfd", .what = "memfd_create(2)",
	  .can = CAN_AS_FILE, .flags = MAP_SHARED,
	  .open = open_memfd, .resize = resize_file },
	{ .name = "memfd-thp",
	  .what = "the same with transparent huge pages (MADV_HUGEPAGE)",
	  .can = CAN_AS_FILE, .flags = MAP_SHARED, .advice = MADV_HUGEPAGE,
	  .open = open_memfd_huge, .resize = resize_file },
	{ .name = "tmpfs", .what = "a file in " TMPFS,
	  .can = CAN_AS_FILE, .flags = MAP_SHARED,
	  .open = open_tmpfs, .resize = resize_file },
	{ .name = "zero", .what = "/dev/zero, shared",
	  .can = CAN_SHARE, .flags = MAP_SHARED,
	  .open = open_zero },
	{ .name = "anon", .what = "MAP_ANONYMOUS, shared",
	  .can = CAN_SHARE, .flags = MAP_SHARED | MAP_ANONYMOUS },
	{ .name = "anon-priv", .what = "MAP_ANONYMOUS, private",
	  .can = CAN_BE_PRIVATE | CAN_COPY_FORKED,
	  .flags = MAP_PRIVATE | MAP_ANONYMOUS },
	/* What is reserved for a private mapping is not for a child's copy. */
	{ .name = "hugetlb", .what = "hugetlbfs, by MFD_HUGETLB",
	  .can = CAN_SHARE | CAN_COPY | CAN_SHRINK, .flags = MAP_SHARED,
	  .open = open_hugetlb, .resize = resize_file },
	{ .name = "durable", .what = "mmapdev with a store in memory",
	  .can = CAN_AS_FILE | CAN_SYNC, .flags = MAP_SHARED,
	  .open = open_durable, .resize = resize_file },
	{ .name = "ext4", .what = "a file of ext4, of --ext4",
	  .can = CAN_AS_FILE | CAN_SYNC | CLEARS_BY_READING,
	  .flags = MAP_SHARED, .open = open_ext4,
	  .resize = resize_file },
};

const unsigned int backend_count = sizeof(backends) / sizeof(backends[0]);

int memory_open(struct memory *m, const struct backend *backend, uint64_t size)
{
	*m = (struct memory){ .backend = backend, .size = size, .fd = -1 };
	if (!backend->open)
		return 0;
	m->fd = backend->open(size);
	return m->fd < 0 ? -1 : 0;
}

void memory_close(struct memory *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
	if (m->backend->open == open_memfd_huge)
		knob_write(SHMEM_ENABLED, shmem_enabled);
	if (m->backend->open == open_hugetlb)
		knob_write(OVERCOMMIT, overcommit);
}

int memory_resize(const struct memory *m, uint64_t size)
{
	return m->backend->resize(m->fd, size);
}

static void *advised(const struct memory *m, void *p)
{
	if (p != MAP_FAILED && m->backend->advice)
		madvise(p, m->size, m->backend->advice);
	return p;
}

/* Advice comes too late for what the call itself populates. */
void *memory_map(const struct memory *m, int flags)
{
	bool populate = m->backend->advice && (flags & MAP_POPULATE);
	void *p;

	if (populate)
		flags &= ~MAP_POPULATE;
	p = advised(m, mmap(NULL, m->size, RW, m->backend->flags | flags,
			    m->fd, 0));
	if (populate && p != MAP_FAILED)
		madvise(p, m->size, MADV_POPULATE_WRITE);
	return p;
}

void *memory_map_private(const struct memory *m)
{
	int flags = m->backend->flags & ~MAP_SHARED;

	return advised(m, mmap(NULL, m->size, RW, flags | MAP_PRIVATE,
			       m->fd, 0));
}

/* What has no file is mapped twice by mremap(2) of nothing. */
void *memory_map_again(const struct memory *m, void *first)
{
	if (m->backend->can & CAN_COPY)
		return memory_map(m, 0);
	return mremap(first, 0, m->size, MREMAP_MAYMOVE);
}

/* The pages that a mapping maps, in its page tables. */
static uint64_t mapped(void *map)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long first, end, kib = 0;
	bool inside = false;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			inside = (unsigned long)map >= first &&
				 (unsigned long)map < end;
		else if (inside && sscanf(line, "Rss: %lu", &kib) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kib * 1024 / getpagesize();
}

/* The pages of a mapped file that are in the page cache. */
static uint64_t cached(const struct memory *m, char *map)
{
	static unsigned char in_core[1 << 14];
	size_t chunk = sizeof(in_core) * getpagesize();
	uint64_t pages = 0;
	uint64_t at;
	size_t i;

	for (at = 0; at < m->size; at += chunk) {
		size_t length = m->size - at < chunk ? m->size - at : chunk;

		if (mincore(map + at, length, in_core))
			return 0;
		for (i = 0; i < length / getpagesize(); i++)
			pages += in_core[i] & 1;
	}
	return pages;
}

uint64_t memory_resident(const struct memory *m, void *map)
{
	struct mmapdev_info info;
	struct stat st;

	if (m->backend->open == open_mmapdev ||
	    m->backend->open == open_durable)
		return ioctl(m->fd, MMAPDEV_IOC_GET_INFO, &info) ?
			0 : info.resident;
	/* A file of ext4 has blocks of its disk, not of memory. */
	if (m->backend->open == open_ext4)
		return cached(m, map);
	if (!(m->backend->can & CAN_COPY))
		return mapped(map);
	return fstat(m->fd, &st) ? 0 : st.st_blocks * 512ULL / getpagesize();
}
