// SPDX-License-Identifier: GPL-2.0
/*
 * The tables of Documentation/durable-failures.rst: what each call tells of each
 * failure, and what the page then holds. Every cell is observed, and compared
 * with the document. With TABLE=FILE in the environment nothing is compared: the
 * document is written to FILE, its tables as they were observed.
 *
 * In memory, failures are made by rules. A store in a file, and ext4 beside it,
 * are on disks that fail.
 */
#include "harness.h"

#include <linux/falloc.h>

#include "durable.h"
#include "failing_disk.h"

#ifndef DOCUMENT
#define DOCUMENT	"../Documentation/durable-failures.rst"
#endif

enum failure { WRITEBACK_EIO, WRITEBACK_ENOSPC, FLUSH_EIO, FAILURES };
enum when { BY_CALL, BEFORE, WHENS };
enum call { SYNC, ASYNC, FSYNC, FDATASYNC, CLOSE, ANOTHER, LATER, CALLS };
enum place { IN_MEMORY, IN_FILE, IN_EXT4, PLACES };

static const char * const titles[FAILURES][WHENS] = {
	{ "Writeback fails with EIO", "Writeback has failed with EIO" },
	{ "Writeback fails with ENOSPC", "Writeback has failed with ENOSPC" },
	{ "The flush fails with EIO", "The flush has failed with EIO" },
};

static const char * const calls[CALLS] = {
	"msync(MS_SYNC)", "msync(MS_ASYNC)", "fsync", "fdatasync", "close",
	"fsync by another", "fsync by a later one",
};

static const char * const places[PLACES] = {
	"mmapdev, memory", "mmapdev, file", "ext4",
};

#define CALL_WIDTH	20
#define CELL_WIDTH	17
#define GAP		2

/* A cell has two lines: what the calls told, and what the page holds. */
struct cell {
	char line[2][24];
};

typedef struct cell tables[FAILURES][WHENS][CALLS][PLACES];

static tables *observed;	/* shared with the tests' processes */
static char *document;

/* The document has this in front of its tables. */
#define MARK	".. What follows is written by a test.\n"

static char *file_text(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (!file)
		return NULL;
	if (getdelim(&text, &size, '\0', file) < 0)
		text = NULL;
	fclose(file);
	return text;
}

/* The document's cell; all empty if there is none. */
static struct cell documented(enum failure failure, enum when when,
			      enum call call, enum place place)
{
	size_t column = CALL_WIDTH + GAP + place * (CELL_WIDTH + GAP);
	const char *at = document ? strstr(document, MARK) : NULL;
	char start[CALL_WIDTH + 8];
	struct cell cell = {};

	snprintf(start, sizeof(start), "\n%-*s  ", CALL_WIDTH, calls[call]);
	at = at ? strstr(at, titles[failure][when]) : NULL;
	at = at ? strstr(at, start) : NULL;
	for (int i = 0; at && i < 2; i++) {
		const char *end = strchr(++at, '\n');
		int n;

		if (!end)
			break;
		if (end > at + column) {
			n = end - at - column;
			n = n < CELL_WIDTH ? n : CELL_WIDTH;
			while (n && at[column + n - 1] == ' ')
				n--;
			memcpy(cell.line[i], at + column, n);
		}
		at = end;
	}
	return cell;
}

static void write_rule(FILE *to, const char *before)
{
	char line[CALL_WIDTH] = "";

	memset(line, '=', sizeof(line));
	fprintf(to, "%s%.*s", before, CALL_WIDTH, line);
	for (int place = 0; place < PLACES; place++)
		fprintf(to, "%*s%.*s", GAP, "", CELL_WIDTH, line);
	fputs("\n", to);
}

/* A row, without blanks at the end of a line. */
static void write_row(FILE *to, const char *before, const char *first,
		      const char * const cells[PLACES])
{
	fprintf(to, "%s%-*s", before, CALL_WIDTH, first);
	for (int place = 0; place < PLACES; place++)
		fprintf(to, "%*s%-*s", GAP, "",
			place < PLACES - 1 ? CELL_WIDTH : 0, cells[place]);
	fputs("\n", to);
}

static void write_table(FILE *to, const char *before, enum failure failure,
			enum when when)
{
	write_rule(to, before);
	write_row(to, before, "call", places);
	write_rule(to, before);
	for (int call = 0; call < CALLS; call++) {
		const struct cell *cell = (*observed)[failure][when][call];

		for (int i = 0; i < 2; i++) {
			const char * const cells[PLACES] = {
				cell[0].line[i], cell[1].line[i],
				cell[2].line[i],
			};

			write_row(to, before, i ? "" : calls[call], cells);
		}
	}
	write_rule(to, before);
}

/* For people: comments of TAP. */
static void show_tables(void)
{
	for (int i = 0; i < FAILURES * WHENS; i++) {
		printf("#\n# %s\n", titles[i / WHENS][i % WHENS]);
		write_table(stdout, "# ", i / WHENS, i % WHENS);
	}
}

/* The document with new tables: 0, or -1. */
static int write_document(const char *path)
{
	const char *mark = document ? strstr(document, MARK) : NULL;
	FILE *to = mark ? fopen(path, "w") : NULL;

	if (!to)
		return -1;
	fprintf(to, "%.*s%s", (int)(mark - document), document, MARK);
	for (int i = 0; i < FAILURES * WHENS; i++) {
		const char *title = titles[i / WHENS][i % WHENS];

		fprintf(to, "\n%s\n", title);
		for (int n = strlen(title); n; n--)
			fputc('=', to);
		fputs("\n\n", to);
		write_table(to, "", i / WHENS, i % WHENS);
	}
	return fclose(to);
}

/*
 * Two disks with an ext4. One fails where it is told to. The other is thin: a
 * file with holes in a small file system, which can be full.
 */
static struct disk disk;
static int failing_image = -1, failing_root = -1;
static int thin_image = -1, thin_root = -1, thin_host = -1;

#define IMAGE_BYTES	(16 << 20)

/* Requests go straight to its file, so that their errors come back as they are. */
static void prepare_thin(void)
{
	int image = image_new(IMAGE_BYTES / 4);
	char path[32];
	int loop;

	if (image < 0 || ext4_make(image, false))
		return;
	thin_host = mount_image(image, "ext4");
	if (thin_host < 0)
		return;
	thin_image = openat(thin_host, "thin", O_RDWR | O_CREAT | O_CLOEXEC,
			    0600);
	if (thin_image < 0 || ftruncate(thin_image, IMAGE_BYTES) ||
	    ext4_make(thin_image, false))
		return;
	loop = loop_open(thin_image, path, sizeof(path));
	if (loop < 0)
		return;
	if (!ioctl(loop, LOOP_SET_DIRECT_IO, 1UL))
		thin_root = mount_new("ext4", "source", path);
	close(loop);
}

/* Take the room that a file system has: 0, or -1. */
static int fill_up(int root)
{
	int fd = openat(root, "filler", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	static const char bytes[1 << 16] = "filler";

	for (size_t n = sizeof(bytes); n >= 4096; n /= 2)
		while (write(fd, bytes, n) > 0)
			;
	if (errno != ENOSPC || fsync(fd))
		return -1;
	return close(fd);
}

static int empty(int root)
{
	return unlinkat(root, "filler", 0);
}

FIXTURE(table) {
	struct durable d;
	int host;	/* the file system that can be full */
	unsigned long long sector;
	size_t page;
	unsigned char *p;
	bool broken;
};

FIXTURE_VARIANT(table) {
	enum place place;
	enum failure failure;
	enum when when;
};

#define VARIANT(name, the_failure)					\
	FIXTURE_VARIANT_ADD(table, mmapdev_memory_##name) {		\
		IN_MEMORY, the_failure, BY_CALL };			\
	FIXTURE_VARIANT_ADD(table, mmapdev_memory_##name##_before) {	\
		IN_MEMORY, the_failure, BEFORE };			\
	FIXTURE_VARIANT_ADD(table, mmapdev_file_##name) {		\
		IN_FILE, the_failure, BY_CALL };			\
	FIXTURE_VARIANT_ADD(table, mmapdev_file_##name##_before) {	\
		IN_FILE, the_failure, BEFORE };				\
	FIXTURE_VARIANT_ADD(table, ext4_##name) {			\
		IN_EXT4, the_failure, BY_CALL };			\
	FIXTURE_VARIANT_ADD(table, ext4_##name##_before) {		\
		IN_EXT4, the_failure, BEFORE }

VARIANT(writeback_eio, WRITEBACK_EIO);
VARIANT(writeback_enospc, WRITEBACK_ENOSPC);
VARIANT(flush_eio, FLUSH_EIO);

/* A file of a page of zeros: 0, or -1. */
static int zeros(int fd, size_t page)
{
	return fd < 0 || page_write(fd, 0, 0) || fsync(fd) ? -1 : 0;
}

/* One of zeros whose place is one of the thin disk's holes. */
static int zeros_without_room(int fd, size_t page)
{
	unsigned long long sector;

	if (fd < 0 || fallocate(fd, 0, 0, page) || fsync(fd))
		return -1;
	sector = file_sector(fd);
	return !sector || fallocate(thin_image, FALLOC_FL_PUNCH_HOLE |
				    FALLOC_FL_KEEP_SIZE, sector * SECTOR, page)
	       ? -1 : 0;
}

FIXTURE_SETUP(table)
{
	bool full = variant->failure == WRITEBACK_ENOSPC;
	bool in_file = variant->place == IN_FILE;

	self->page = getpagesize();
	self->host = -1;
	self->d = (struct durable){ MEMORY, -1, -1 };
	if (variant->place == IN_MEMORY) {
		self->d.fd = durable_over(-1, self->page, 0);
	} else if (in_file && full) {
		self->host = mount_new("tmpfs", "size", "64k");
		self->d.backing = openat(self->host, "store", O_RDWR | O_CREAT |
					 O_CLOEXEC, 0600);
		ASSERT_EQ(0, ftruncate(self->d.backing, self->page));
	} else {
		int fd;

		self->host = full ? thin_host : -1;
		ext4_root = full ? thin_root : failing_root;
		ext4_image = full ? thin_image : failing_image;
		if (ext4_root < 0)
			SKIP(return, "no ext4 on a loop device");
		fd = ext4_file(EXT4_NAME, self->page);
		ASSERT_EQ(0, full ? zeros_without_room(fd, self->page)
				  : zeros(fd, self->page));
		*(in_file ? &self->d.backing : &self->d.fd) = fd;
		self->sector = file_sector(fd);
		/* Twice, since the first tells of what failed earlier. */
		syncfs(fd);
		ASSERT_EQ(0, syncfs(fd));
	}
	if (in_file) {
		self->d.kind = ON_EXT4;
		self->d.fd = durable_over(self->d.backing, 0, 0);
	} else if (variant->place == IN_EXT4) {
		self->d.kind = EXT4;
	}
	ASSERT_GE(self->d.fd, 0);
	ASSERT_EQ(0, fsync(self->d.fd));
	self->p = mmap(NULL, self->page, RW, MAP_SHARED, self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
}

static int mend(FIXTURE_DATA(table) *self,
		const FIXTURE_VARIANT(table) *variant)
{
	self->broken = false;
	if (variant->place == IN_MEMORY)
		return durable_unrule(&self->d, 0);
	if (variant->failure == WRITEBACK_ENOSPC)
		return empty(self->host);
	return disk_repair(&disk);
}

FIXTURE_TEARDOWN(table)
{
	if (self->broken)
		mend(self, variant);
	if (self->p)
		munmap(self->p, self->page);
	durable_close(&self->d);
}

static int break_it(FIXTURE_DATA(table) *self,
		    const FIXTURE_VARIANT(table) *variant)
{
	bool flush = variant->failure == FLUSH_EIO;
	bool full = variant->failure == WRITEBACK_ENOSPC;

	self->broken = true;
	if (variant->place == IN_MEMORY)
		return durable_rule(&self->d, flush ? MMAPDEV_EVENT_FLUSH
						    : MMAPDEV_EVENT_WRITEBACK,
				    full ? MMAPDEV_ACTION_ENOSPC
					 : MMAPDEV_ACTION_EIO, 0, 0) ? 0 : -1;
	if (full)
		return fill_up(self->host);
	if (flush)
		return disk_break_flush(&disk);
	return self->sector ? disk_break(&disk, self->sector,
					 self->page / SECTOR) : -1;
}

/* ext4 makes EIO of its disk's ENOSPC, or does not: that is up to the kernel. */
static const char *result(int ret, bool either)
{
	if (!ret)
		return "0";
	if (either && (errno == EIO || errno == ENOSPC))
		return "ENOSPC or EIO";
	return errno == EIO ? "EIO" : errno == ENOSPC ? "ENOSPC" : "?";
}

/*
 * Commit the journal by way of another file. A commit is a write with a flush,
 * and device-mapper forgets the error of that: leave no commit to the calls.
 */
static int commit_journal(void)
{
	int fd = openat(ext4_root, "commit", O_RDWR | O_CREAT | O_TRUNC |
			O_CLOEXEC, 0600);

	return fd < 0 || ftruncate(fd, 1) || fsync(fd) ? -1 : close(fd);
}

/* The call, twice. Each tells through one open file. */
static void tell(FIXTURE_DATA(table) *self,
		 const FIXTURE_VARIANT(table) *variant, enum call call,
		 const char *told[2])
{
	bool either = variant->place == IN_EXT4 &&
		      variant->failure == WRITEBACK_ENOSPC;
	int fd = self->d.fd;
	int another[2] = { durable_open(&self->d, O_RDWR),
			   durable_open(&self->d, O_RDWR) };

	memset(self->p, 'n', self->page);
	if ((variant->place == IN_EXT4 && variant->failure == FLUSH_EIO &&
	     commit_journal()) || break_it(self, variant)) {
		told[0] = "not broken";
		told[1] = "";
		return;
	}
	if (variant->when == BEFORE) {
		sync();
		mend(self, variant);
	} else if (call == ANOTHER || call == LATER) {
		fsync(fd);	/* which hears of it */
	}
	if (call == ANOTHER)
		fd = another[0];
	if (call == LATER)
		fd = durable_open(&self->d, O_RDWR);
	for (int i = 0; i < 2; i++) {
		int ret = call == SYNC ? msync(self->p, self->page, MS_SYNC) :
			  call == ASYNC ? msync(self->p, self->page, MS_ASYNC) :
			  call == FDATASYNC ? fdatasync(fd) :
			  call == CLOSE ? close(another[i]) : fsync(fd);

		told[i] = result(ret, either);
	}
	if (call != CLOSE) {
		close(another[0]);
		close(another[1]);
	}
	if (call == LATER)
		close(fd);
	if (self->broken)
		mend(self, variant);
}

static const char *age(char byte)
{
	return byte == 'n' ? "new" : byte == '0' ? "old" : "?";
}

/* Is the mapped page dirty, as the kernel tells of any page? */
static bool is_dirty(const unsigned char *p)
{
	unsigned long long entry = 0, flags = 0;
	int map = open("/proc/self/pagemap", O_RDONLY);
	int all = open("/proc/kpageflags", O_RDONLY);

	if (pread(map, &entry, 8, (uintptr_t)p / getpagesize() * 8) == 8)
		pread(all, &flags, 8, (entry & ((1ULL << 55) - 1)) * 8);
	close(map);
	close(all);
	return flags & (1ULL << 4);	/* KPF_DIRTY */
}

/* Have no clean page of them in memory: what is read next is what is stored. */
static void reclaim(const struct durable *d)
{
	posix_fadvise(d->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (d->backing >= 0)
		posix_fadvise(d->backing, 0, 0, POSIX_FADV_DONTNEED);
}

/* What ext4's disk has where the page is. Its cache is not lost: '-', then. */
static const char *disk_has(const FIXTURE_DATA(table) *self, bool flushed)
{
	unsigned char bytes[self->page];

	if (!flushed)
		return "-";
	if (pread(ext4_image, bytes, self->page, self->sector * SECTOR) !=
	    (ssize_t)self->page)
		return "error";
	return age(page_character(bytes, self->page));
}

/* In memory, when memory was needed, and after a power cut. */
static void hold(FIXTURE_DATA(table) *self,
		 const FIXTURE_VARIANT(table) *variant, char *text, size_t size)
{
	const char *memory = age(page_character(self->p, self->page));
	bool dirty = is_dirty(self->p);
	const char *reclaimed, *survived;

	munmap(self->p, self->page);
	self->p = NULL;
	if (!dirty)	/* else it would be written, not dropped */
		reclaim(&self->d);
	reclaimed = age(file_bytes(self->d.fd)[0]);
	if (variant->place == IN_EXT4) {
		survived = disk_has(self, variant->failure != FLUSH_EIO);
	} else if (durable_cut(&self->d)) {
		survived = "error";
	} else {
		reclaim(&self->d);
		survived = age(file_bytes(self->d.fd)[0]);
	}
	snprintf(text, size, "%s %s %s %s", memory, reclaimed, survived,
		 dirty ? "dirty" : "clean");
}

#define TEST_CALL(name, call)						\
	TEST_F(table, name) {						\
		struct cell *cell = &(*observed)[variant->failure]	\
			[variant->when][call][variant->place];		\
		struct cell want = documented(variant->failure,		\
					      variant->when, call,	\
					      variant->place);		\
		const char *told[2];					\
									\
		tell(self, variant, call, told);			\
		snprintf(cell->line[0], sizeof(cell->line[0]),		\
			 "%s, %s;", told[0], told[1]);			\
		hold(self, variant, cell->line[1],			\
		     sizeof(cell->line[1]));				\
		if (!getenv("TABLE")) {					\
			EXPECT_STREQ(want.line[0], cell->line[0]);	\
			EXPECT_STREQ(want.line[1], cell->line[1]);	\
		}							\
	}

TEST_CALL(msync_is_as_documented, SYNC)
TEST_CALL(async_msync_is_as_documented, ASYNC)
TEST_CALL(fsync_is_as_documented, FSYNC)
TEST_CALL(fdatasync_is_as_documented, FDATASYNC)
TEST_CALL(close_is_as_documented, CLOSE)
TEST_CALL(other_open_file_is_as_documented, ANOTHER)
TEST_CALL(later_open_file_is_as_documented, LATER)

/* The harness ends the program itself. */
static void finish(void)
{
	const char *table = getenv("TABLE");

	show_tables();
	if (table && write_document(table))
		perror(table);
}

int main(int argc, char **argv)
{
	mount_modules();
	observed = mmap(NULL, sizeof(*observed), RW,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	document = file_text(DOCUMENT);
	failing_root = failing_ext4(&disk, &failing_image, IMAGE_BYTES);
	prepare_thin();
	atexit(finish);
	return test_harness_run(argc, argv);
}
