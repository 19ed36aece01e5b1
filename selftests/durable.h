/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Durable objects under test, and a file of ext4 beside them.
 *
 * A power cut of ext4 is a copy of its disk, mounted: so much of it as the disk
 * had been given. That keeps what was written but not flushed, which an object
 * loses; claims about that run on objects only.
 *
 * What an object holds is compared as a string, a character for each page: the
 * byte that the page is full of. Include this after harness.h, and
 * call ext4_prepare() first in main().
 */
#ifndef _SELFTESTS_DURABLE_H
#define _SELFTESTS_DURABLE_H

#include "backend.h"
#include "bytes.h"
#include "mount.h"

enum durable_kind {
	MEMORY,		/* an object with a store in memory */
	ON_TMPFS,	/* with a store in a file of tmpfs */
	ON_EXT4,	/* with a store in a file of ext4 */
	ON_DEVICE,	/* with a store that is a block device */
	ON_NFS,		/* with a store in a file of NFS, after nfs_prepare() */
	EXT4,		/* a file of ext4 itself */
};

struct durable {
	enum durable_kind kind;
	int fd;		/* the object, or the file */
	int backing;	/* the file or device that is its store, or -1 */
};

#ifndef EXT4_BYTES
#define EXT4_BYTES	(48 << 20)
#endif
#define EXT4_NAME	"object"

static int ext4_image = -1;
static int ext4_root = -1;
static int nfs_root = -1;

/* The program's own ext4; without it ext4_root stays -1. */
static inline void ext4_prepare(void)
{
	mount_modules();
	ext4_image = image_new(EXT4_BYTES);
	if (ext4_image >= 0 && !ext4_make(ext4_image, true))
		ext4_root = mount_image(ext4_image, "ext4");
}

static inline bool durable_possible(enum durable_kind kind)
{
	if (kind == ON_NFS)
		return nfs_root >= 0;
	return ext4_root >= 0 || kind == MEMORY || kind == ON_TMPFS;
}

/* Why it is not. */
static inline const char *durable_lacks(enum durable_kind kind)
{
	return kind == ON_NFS ? "no NFS server" : "no ext4 on a loop device";
}

/* MMAPDEV_IOC_CREATE: a descriptor, or -1 with errno. */
static inline int create_call(const struct mmapdev_create *want)
{
	int node = open(mmapdev_path(), O_RDWR | O_CLOEXEC);
	int fd = node < 0 ? -1 : ioctl(node, MMAPDEV_IOC_CREATE, want);
	int err = errno;

	if (node >= 0)
		close(node);
	errno = err;
	return fd;
}

/* An object in the file `backing`, or in memory if it is -1; -1: errno. */
static inline int durable_over(int backing, uint64_t size, int after_error)
{
	struct mmapdev_create want = {
		.store = backing < 0 ? MMAPDEV_STORE_MEMORY
				     : MMAPDEV_STORE_FILE,
		.flags = O_RDWR | O_CLOEXEC,
		.size = backing < 0 ? size : 0,
		.fd = backing,
		.after_error = after_error,
	};

	return create_call(&want);
}

/* A new file of a directory, size long and durable; -1: errno. */
static inline int file_new(int directory, const char *name, uint64_t size)
{
	int fd;

	/* Not O_TRUNC, after which ext4 writes everything back at close. */
	unlinkat(directory, name, 0);
	fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
		    0600);
	if (fd >= 0 && (ftruncate(fd, size) || fsync(fd))) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline int ext4_file(const char *name, uint64_t size)
{
	return file_new(ext4_root, name, size);
}

/* A new loop device: a descriptor, or -1 with errno. */
static inline int device_new(uint64_t size)
{
	int image = image_new(size);
	char path[32];
	int fd = image < 0 ? -1 : loop_open(image, path, sizeof(path));

	close(image);
	return fd;
}

/* An object of zeros; fd -1: errno. */
static inline struct durable durable_new(enum durable_kind kind, uint64_t size,
					 int after_error)
{
	struct durable d = { .kind = kind, .fd = -1, .backing = -1 };

	if (kind == EXT4) {
		d.fd = ext4_file(EXT4_NAME, size);
		return d;
	}
	if (kind == ON_TMPFS)
		d.backing = image_new(size);
	else if (kind == ON_EXT4)
		d.backing = ext4_file("store", size);
	else if (kind == ON_DEVICE)
		d.backing = device_new(size);
	else if (kind == ON_NFS)
		d.backing = file_new(nfs_root, "store on NFS", size);
	if (kind == MEMORY || d.backing >= 0)
		d.fd = durable_over(d.backing, size, after_error);
	return d;
}

static inline void durable_close(struct durable *d)
{
	if (d->fd >= 0)
		close(d->fd);
	if (d->backing >= 0)
		close(d->backing);
	d->fd = -1;
	d->backing = -1;
}

/* Another open file description of the same; -1: errno. */
static inline int durable_open(const struct durable *d, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", d->fd);
	return open(path, flags | O_CLOEXEC);
}

/* Fill a page of a file: 0, or -1. */
static inline int page_write(int fd, size_t index, unsigned char byte)
{
	size_t page = getpagesize();
	unsigned char bytes[page];

	memset(bytes, byte, page);
	return pwrite(fd, bytes, page, index * page) == (ssize_t)page ? 0 : -1;
}

/* Fill the pages with 'a', 'b'..., for good: 0, or -1. */
static inline int durable_fill(const struct durable *d, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		if (page_write(d->fd, i, 'a' + i))
			return -1;
	return fsync(d->fd);
}

/* Store to each page of a mapping: 'A', 'B'... */
static inline void store_capitals(unsigned char *p, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		memset(p + i * getpagesize(), 'A' + i, getpagesize());
}

/* For twenty seconds at least; then what follows fails. */
#define WAIT_UNTIL(condition) do {					\
	for (int tries = 0; tries < 20000 && !(condition); tries++)	\
		usleep(1000);						\
} while (0)

#define DURABLE_SHOWN	64	/* pages at most */

static inline char page_character(const unsigned char *bytes, size_t n)
{
	if (!bytes_are(bytes, bytes[0], n))
		return '?';
	return bytes[0] ? bytes[0] : '0';
}

/*
 * What a file holds, up to its end: for each page the byte that it is full of,
 * 0 for zeros, ? for different bytes, ! for an error.
 */
static inline const char *file_bytes(int fd)
{
	static char shown[DURABLE_SHOWN + 1];
	size_t page = getpagesize();
	unsigned char bytes[page];
	size_t i;

	for (i = 0; i < DURABLE_SHOWN; i++) {
		ssize_t n = pread(fd, bytes, page, i * page);

		if (!n)
			break;
		shown[i] = n < 0 ? '!' : page_character(bytes, n);
	}
	shown[i] = '\0';
	return shown;
}

static inline off_t file_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_size;
}

/* Only of objects: all zero, which none has, if the call fails. */
static inline struct mmapdev_info durable_info(const struct durable *d)
{
	struct mmapdev_info info = {};

	if (ioctl(d->fd, MMAPDEV_IOC_GET_INFO, &info))
		memset(&info, 0, sizeof(info));
	return info;
}

static inline struct mmapdev_stats durable_stats(const struct durable *d)
{
	struct mmapdev_stats stats;

	if (ioctl(d->fd, MMAPDEV_IOC_GET_STATS, &stats))
		memset(&stats, 0xff, sizeof(stats));
	return stats;
}

/*
 * The states of an object's pages: d dirty, w being written back, p written
 * back but pending, c clean, - a hole that is pending, . nothing.
 */
static inline const char *durable_states(const struct durable *d, size_t count)
{
	static char shown[DURABLE_SHOWN + 1];
	unsigned char states[DURABLE_SHOWN];
	struct mmapdev_pages pages = {
		.count = count,
		.states = (uintptr_t)states,
	};
	size_t i;

	if (ioctl(d->fd, MMAPDEV_IOC_PAGES, &pages))
		return "error";
	for (i = 0; i < count; i++) {
		if (states[i] & MMAPDEV_PAGE_DIRTY)
			shown[i] = 'd';
		else if (states[i] & MMAPDEV_PAGE_WRITEBACK)
			shown[i] = 'w';
		else if (MMAPDEV_PAGE_RESIDENT(states[i]))
			shown[i] = states[i] & MMAPDEV_PAGE_DIFFERS ? 'p' : 'c';
		else
			shown[i] = states[i] & MMAPDEV_PAGE_DIFFERS ? '-' : '.';
	}
	shown[i] = '\0';
	return shown;
}

/*
 * What MMAPDEV_IOC_UNSYNCED tells of an object's first pages: d dirty, p written
 * back but pending, - a hole that is pending, . durable.
 */
static inline const char *durable_unsynced(const struct durable *d,
					   size_t count)
{
	static const char why[] = {
		[MMAPDEV_UNSYNCED_DIRTY] = 'd',
		[MMAPDEV_UNSYNCED_WRITTEN] = 'p',
		[MMAPDEV_UNSYNCED_HOLE] = '-',
	};
	static char shown[DURABLE_SHOWN + 1];
	struct mmapdev_unsynced_page pages[DURABLE_SHOWN];
	struct mmapdev_unsynced unsynced = {
		.count = DURABLE_SHOWN,
		.pages = (uintptr_t)pages,
	};

	if (ioctl(d->fd, MMAPDEV_IOC_UNSYNCED, &unsynced))
		return "error";
	memset(shown, '.', count);
	shown[count] = '\0';
	for (size_t i = 0; i < unsynced.count; i++) {
		size_t index = pages[i].offset / getpagesize();

		if (index >= count)
			return "past the end";
		shown[index] = why[pages[i].why];
	}
	return shown;
}

/* MMAPDEV_IOC_CRASH: pages lost, or -1 with errno. */
static inline long crash_call(int fd, unsigned int flags)
{
	struct mmapdev_crash crash = { .flags = flags };

	return ioctl(fd, MMAPDEV_IOC_CRASH, &crash) ? -1 : (long)crash.lost;
}

/* Mount a copy of the disk and take the file from there, now and later. */
static inline int ext4_cut(struct durable *d)
{
	int image = image_copy(ext4_image);
	int root = image < 0 ? -1 : mount_image(image, "ext4");
	int fd = root < 0 ? -1 : openat(root, EXT4_NAME, O_RDWR | O_CLOEXEC);

	if (root >= 0)
		close(root);
	if (fd < 0)
		return -1;
	close(d->fd);
	d->fd = fd;
	ext4_image = image;
	return 0;
}

/* After a power cut, go on with a new open file: 0, or -1. */
static inline int durable_revive(struct durable *d)
{
	int fd = durable_open(d, O_RDWR);

	if (fd < 0)
		return -1;
	close(d->fd);
	d->fd = fd;
	return 0;
}

/* Cut the power; from then on d is what survived. 0, or -1. */
static inline int durable_cut(struct durable *d)
{
	if (d->kind == EXT4)
		return ext4_cut(d);
	return crash_call(d->fd, 0) < 0 ? -1 : durable_revive(d);
}

/* Add a rule for pages from `first` on, 0 for no end: its id, or 0. */
static inline uint64_t durable_rule(const struct durable *d, int event,
				    int action, size_t first, size_t pages)
{
	struct mmapdev_rule rule = {
		.event = event,
		.action = action,
		.offset = first * getpagesize(),
		.length = pages * getpagesize(),
	};

	return ioctl(d->fd, MMAPDEV_IOC_ADD_RULE, &rule) ? 0 : rule.id;
}

/* Remove a rule, or all for 0. */
static inline int durable_unrule(const struct durable *d, uint64_t id)
{
	struct mmapdev_rule rule = { .id = id };

	return ioctl(d->fd, MMAPDEV_IOC_REMOVE_RULE, &rule);
}

#define DURABLE_PAGES	8

/* A new file of ext4 for direct I/O, of pages '1', '2'...: -1 with errno. */
static inline int ext4_digits(void)
{
	int file = ext4_file("source", DURABLE_PAGES * getpagesize());
	int fd = -1;
	size_t i;

	if (file < 0)
		return -1;
	for (i = 0; i < DURABLE_PAGES; i++)
		if (page_write(file, i, '1' + i))
			break;
	if (i == DURABLE_PAGES)
		fd = fd_reopen(file, O_RDWR | O_DIRECT);
	close(file);
	return fd;
}

/* PAGES pages of 'a', 'b'..., durable, and a shared mapping p of them. */
#define DURABLE_FIXTURE(name)						\
	FIXTURE(name) {							\
		struct durable d;					\
		size_t page;						\
		size_t length;						\
		unsigned char *p;					\
	};								\
	FIXTURE_VARIANT(name) {						\
		enum durable_kind kind;					\
		int after_error;					\
	};								\
	FIXTURE_SETUP(name) {						\
		self->page = getpagesize();				\
		self->length = DURABLE_PAGES * self->page;		\
		if (!durable_possible(variant->kind)) {			\
			SKIP(, "%s", durable_lacks(variant->kind));	\
		} else {						\
			self->d = durable_new(variant->kind,		\
					      self->length,		\
					      variant->after_error);	\
			ASSERT_GE(self->d.fd, 0);			\
			ASSERT_EQ(0, durable_fill(&self->d,		\
						  DURABLE_PAGES));	\
			self->p = mmap(NULL, self->length, RW,		\
				       MAP_SHARED, self->d.fd, 0);	\
			ASSERT_NE(MAP_FAILED, self->p);			\
		}							\
	}								\
	FIXTURE_TEARDOWN(name) {					\
		if (self->p)						\
			munmap(self->p, self->length);			\
		durable_close(&self->d);				\
	}

#define DURABLE_VARIANT(name, variant_name, ...)			\
	FIXTURE_VARIANT_ADD(name, variant_name) { __VA_ARGS__ }

#define OBJECT_KINDS(name)						\
	DURABLE_VARIANT(name, mmapdev_memory, .kind = MEMORY);		\
	DURABLE_VARIANT(name, mmapdev_on_tmpfs, .kind = ON_TMPFS);	\
	DURABLE_VARIANT(name, mmapdev_on_ext4, .kind = ON_EXT4)

#define ALL_KINDS(name)							\
	OBJECT_KINDS(name);						\
	DURABLE_VARIANT(name, ext4, .kind = EXT4)

#endif /* _SELFTESTS_DURABLE_H */
