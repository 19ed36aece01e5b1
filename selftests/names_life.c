// SPDX-License-Identifier: GPL-2.0
/*
 * Named objects: what unrelated processes share by the name, how long it lives,
 * and what sysfs tells of it. mmapdev only.
 */
#include "harness.h"

#include <dirent.h>
#include <sys/sysmacros.h>

#include "bytes.h"
#include "child.h"
#include "durable.h"
#include "name.h"
#include "trap.h"

#define PAGES	4

/* An object of four pages of 'a' to 'd' that has the name NAME. */
FIXTURE(named) {
	struct object o;
	size_t page;
	size_t length;
	long long objects;	/* before o */
	long long pages;
};

FIXTURE_VARIANT(named) {
	enum backend_kind kind;
};

MMAPDEV_VARIANTS(named);

FIXTURE_SETUP(named)
{
	self->page = getpagesize();
	self->length = PAGES * self->page;
	self->objects = device_total("objects");
	self->pages = device_total("pages");
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_fill(&self->o, PAGES, 'a'));
	ASSERT_EQ(0, name_give(&self->o, NAME));
}

FIXTURE_TEARDOWN_PARENT(named)
{
	name_clean(NAME);
}

/* A process that has nothing but the name. */
static int map_by_name(void *arg, struct turn *t)
{
	struct object o = name_open(NAME, O_RDWR);
	size_t page = getpagesize();
	volatile unsigned char *p;

	p = object_map(&o, PAGES * page, RW, MAP_SHARED);
	if ((void *)p == MAP_FAILED || !pages_follow(p, PAGES))
		return 1;
	object_close(&o);
	p[0] = 'x';
	if (turn_done(t) || turn_wait(t))
		return 2;
	return p[1] == 'y' ? 0 : 3;
}

TEST_F(named, object_is_shared_by_processes_that_know_the_name)
{
	struct child c = child_start(map_by_name, NULL);
	unsigned char *p;

	p = object_map(&self->o, self->length, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, child_done(&c));
	EXPECT_EQ('x', p[0]);
	p[1] = 'y';
	EXPECT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
}

TEST_F(named, object_is_shared_with_other_programs)
{
	char command[256], bytes[5];

	snprintf(command, sizeof(command),
		 "printf hello | dd of=%s bs=5 seek=2 conv=notrunc 2>/dev/null",
		 name_path(NAME));
	EXPECT_EQ(0, system(command));
	EXPECT_EQ(5, pread(self->o.fd, bytes, 5, 10));
	EXPECT_EQ(0, memcmp(bytes, "hello", 5));
	EXPECT_EQ('a', object_byte(&self->o, 9));
	EXPECT_EQ('a', object_byte(&self->o, 15));
	snprintf(command, sizeof(command),
		 "[ \"$(dd if=%s bs=1 skip=10 count=5 2>/dev/null)\" = hello ]",
		 name_path(NAME));
	EXPECT_EQ(0, system(command));
	EXPECT_EQ(self->length, object_size(&self->o));
}

TEST_F(named, object_fills_private_mappings_and_stays_as_it_is)
{
	struct object o = name_open(NAME, O_RDONLY);
	unsigned char *p, *q;

	p = object_map(&o, self->length, RW, MAP_PRIVATE);
	q = object_map(&o, self->length, PROT_READ, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_TRUE(pages_follow(p, PAGES));
	memset(p, 'z', self->length);
	EXPECT_TRUE(pages_follow(q, PAGES));
	object_close(&o);
	o = name_open(NAME, O_RDONLY);
	p = object_map(&o, self->length, PROT_READ, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(pages_follow(p, PAGES));
	object_close(&o);
}

TEST_F(named, object_is_emptied_by_o_trunc_for_all)
{
	struct object o;
	char command[96];
	unsigned char *p;

	p = object_map(&self->o, self->length, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ('a', p[0]);
	o = name_open(NAME, O_RDWR | O_CREAT | O_TRUNC);
	ASSERT_GE(o.fd, 0);
	EXPECT_EQ(0, object_size(&self->o));
	EXPECT_EQ(0, object_resident(&self->o));
	EXPECT_TRAP(trap_load(p), SIGBUS, BUS_ADRERR, p);
	EXPECT_EQ(3, write(o.fd, "abc", 3));
	EXPECT_EQ('c', p[2]);
	object_close(&o);

	snprintf(command, sizeof(command), ": > %s", name_path(NAME));
	EXPECT_EQ(0, system(command));
	EXPECT_EQ(0, object_size(&self->o));
}

TEST_F(named, object_opened_again_keeps_its_size)
{
	struct object o = name_open(NAME, O_RDWR | O_CREAT);

	ASSERT_GE(o.fd, 0);
	EXPECT_EQ(self->length, object_size(&o));
	EXPECT_EQ(self->length, lseek(o.fd, 0, SEEK_END));
	EXPECT_EQ('d', object_byte(&o, self->length - 1));
	object_close(&o);
}

/* The VFS treats its node as it does the other. */
TEST_F(named, node_cannot_be_resized_or_allocated_as_a_file)
{
	struct object o = name_open(NAME, O_RDWR);

	ASSERT_GE(o.fd, 0);
	EXPECT_EQ(-1, ftruncate(o.fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, fallocate(o.fd, 0, 0, self->page));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(0, object_resize(&o, 10));
	EXPECT_EQ(10, object_size(&self->o));
	object_close(&o);
}

TEST_F(named, object_lives_by_its_name_alone)
{
	struct object o;

	object_close(&self->o);
	EXPECT_ALIVE(PAGES);
	o = name_open(NAME, O_RDWR);
	ASSERT_GE(o.fd, 0);
	EXPECT_ALIVE(PAGES);
	EXPECT_EQ(self->length, object_size(&o));
	for (int i = 0; i < PAGES; i++) {
		EXPECT_EQ('a' + i, object_byte(&o, i * self->page));
	}
	object_close(&o);
	EXPECT_ALIVE(PAGES);
	o = name_open(NAME, O_RDONLY);
	ASSERT_EQ(0, name_remove(&o));
	EXPECT_ALIVE(PAGES);
	object_close(&o);
	EXPECT_GONE();
}

TEST_F(named, object_without_the_name_lives_by_its_descriptors)
{
	struct object o = name_open(NAME, O_RDWR);
	int file = object_file(o.fd, O_RDWR);

	ASSERT_GE(file, 0);
	ASSERT_EQ(0, name_remove(&o));
	object_close(&self->o);
	object_close(&o);
	EXPECT_ALIVE(PAGES);
	o = (struct object) { .kind = OBJFILE, .fd = file };
	EXPECT_EQ('b', object_byte(&o, self->page));
	EXPECT_EQ(1, pwrite(file, "x", 1, self->page));
	EXPECT_EQ('x', object_byte(&o, self->page));
	object_close(&o);
	EXPECT_GONE();
}

TEST_F(named, object_without_the_name_lives_by_its_mappings)
{
	unsigned char *p;

	p = object_map(&self->o, self->length, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ('a', p[0]);
	ASSERT_EQ(0, name_remove(&self->o));
	object_close(&self->o);
	EXPECT_ALIVE(PAGES);
	EXPECT_TRUE(pages_follow(p, PAGES));
	p[self->page] = 'x';
	EXPECT_EQ('x', p[self->page]);
	ASSERT_EQ(0, munmap(p, self->length));
	EXPECT_GONE();
}

/* A node of one's own stays in /dev when the device is gone. */
TEST_F(named, object_cannot_be_opened_once_the_name_is_gone)
{
	const char *path = "/dev/selftest-node";
	struct object o = { .kind = MMAPDEV };
	struct stat st;

	ASSERT_EQ(0, stat(name_path(NAME), &st));
	unlink(path);	/* there only if a run was killed */
	ASSERT_EQ(0, mknod(path, S_IFCHR | 0600, st.st_rdev));
	o.fd = open(path, O_RDWR);
	ASSERT_GE(o.fd, 0);
	EXPECT_EQ(object_info(&self->o).object, object_info(&o).object);
	ASSERT_EQ(0, name_remove(&self->o));
	EXPECT_EQ(-1, open(path, O_RDWR));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, name_open(NAME, O_RDWR).fd);
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ('a', object_byte(&o, 0));
	object_close(&o);
	unlink(path);
}

/* A node that is kept must not lead to an object that somebody else named. */
TEST_F(named, object_of_the_next_name_is_not_found_by_the_old_node)
{
	const char *path = "/dev/selftest-node";
	struct object next = object_open(MMAPDEV);
	struct stat st;
	int fd;

	ASSERT_GE(next.fd, 0);
	ASSERT_EQ(0, stat(name_path(NAME), &st));
	unlink(path);
	ASSERT_EQ(0, mknod(path, S_IFCHR | 0600, st.st_rdev));
	ASSERT_EQ(0, name_remove(&self->o));
	ASSERT_EQ(0, name_give(&next, NAME));
	fd = open(path, O_RDWR);
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(ENXIO, errno);
	close(fd);
	unlink(path);
	ASSERT_EQ(0, name_remove(&next));
	object_close(&next);
}

TEST_F(named, name_can_be_given_again_at_once)
{
	struct object other = object_open(variant->kind);
	struct object *named = &self->o, *unnamed = &other;

	ASSERT_GE(other.fd, 0);
	ASSERT_EQ(0, object_fill(&other, 1, 'x'));
	for (int i = 0; i < 50; i++) {
		struct object *was = named;
		struct object o;

		ASSERT_EQ(0, name_remove(named));
		ASSERT_EQ(0, name_give(unnamed, NAME));
		named = unnamed;
		unnamed = was;
		o = name_open(NAME, O_RDONLY);
		ASSERT_GE(o.fd, 0);
		ASSERT_EQ(i % 2 ? 'a' : 'x', object_byte(&o, 0));
		object_close(&o);
	}
	ASSERT_EQ(0, name_remove(named));
	object_close(&other);
}

static const char * const counters[] = {
	"bytes_flushed", "crashes", "fault_around", "fault_cow_hole",
	"fault_cow_source", "fault_private_read", "fault_shared_read",
	"fault_shared_write", "flushes", "mkwrites", "pages_allocated",
	"pages_freed", "sigbus", "writebacks",
};

/* The value of a counter, in the order of the list. */
static long long counter(const struct mmapdev_stats *s, int which)
{
	const __u64 values[] = {
		s->bytes_flushed, s->crashes, s->fault_around,
		s->fault_cow_hole, s->fault_cow_source, s->fault_private_read,
		s->fault_shared_read, s->fault_shared_write, s->flushes,
		s->mkwrites, s->pages_allocated, s->pages_freed, s->sigbus,
		s->writebacks,
	};

	return values[which];
}

TEST_F(named, sysfs_tells_size_pages_kind_store_and_number)
{
	char text[32];

	EXPECT_EQ(self->length, name_number(NAME, "size"));
	EXPECT_EQ(self->length, name_number(NAME, "resident"));
	EXPECT_EQ(object_info(&self->o).object, name_number(NAME, "object"));
	EXPECT_EQ(0, name_attribute(NAME, "kind", text, sizeof(text)));
	EXPECT_STREQ("anonymous", text);
	EXPECT_EQ(0, name_attribute(NAME, "store", text, sizeof(text)));
	EXPECT_STREQ("none", text);

	ASSERT_EQ(0, object_resize(&self->o, self->page + 1));
	EXPECT_EQ(self->page + 1, name_number(NAME, "size"));
	EXPECT_EQ(2 * self->page, name_number(NAME, "resident"));
	ASSERT_EQ(0, object_resize(&self->o, 0x7ffffffff000));
	EXPECT_EQ(0x7ffffffff000, name_number(NAME, "size"));
	EXPECT_EQ(2 * self->page, name_number(NAME, "resident"));
}

TEST_F(named, sysfs_counts_what_the_object_does)
{
	unsigned char *p = object_map(&self->o, self->length, RW, MAP_SHARED);
	unsigned char *q = object_map(&self->o, self->length, RW, MAP_PRIVATE);
	struct mmapdev_stats stats;

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	memset(p, 1, self->length);
	ASSERT_EQ(0, object_resize(&self->o, 3 * self->page));
	EXPECT_TRAP(trap_load(p + 3 * self->page), SIGBUS, BUS_ADRERR,
		    p + 3 * self->page);
	EXPECT_NO_TRAP(trap_store(q, 1));
	stats = object_stats(&self->o);
	EXPECT_EQ(PAGES, stats.pages_allocated);
	EXPECT_EQ(1, stats.pages_freed);
	EXPECT_EQ(1, stats.sigbus);
	EXPECT_EQ(1, stats.fault_cow_source);
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		char which[64];

		snprintf(which, sizeof(which), "stats/%s", counters[i]);
		EXPECT_EQ(counter(&stats, i), name_number(NAME, which))
			TH_LOG("%s", which);
	}
}

TEST_F(named, sysfs_has_these_files_and_all_are_read_only)
{
	static const char * const files[] = {
		"size", "resident", "kind", "store", "object",
	};
	struct dirent *entry;
	struct stat st;
	size_t n = 0;
	DIR *dir;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[64];

		snprintf(path, sizeof(path), SYSFS NAME "/%s", files[i]);
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(S_IFREG | 0444, st.st_mode);
	}
	dir = opendir(SYSFS NAME "/stats");
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.') {
			n++;
			ASSERT_EQ(0, fstatat(dirfd(dir), entry->d_name, &st,
					     0));
			EXPECT_EQ(S_IFREG | 0444, st.st_mode);
		}
	EXPECT_EQ(ARRAY_SIZE(counters), n);
	closedir(dir);
}

/* Durable objects, which have a store to tell of, and errors and power cuts. */
DURABLE_FIXTURE(named_durable);
DURABLE_VARIANT(named_durable, mmapdev_memory, .kind = MEMORY);
DURABLE_VARIANT(named_durable, mmapdev_on_tmpfs, .kind = ON_TMPFS);

static int name_durable(const struct durable *d)
{
	struct object o = { .kind = OBJFILE, .fd = d->fd };

	return name_give(&o, NAME);
}

/* Each event a number of times that no other has. */
TEST_F(named_durable, sysfs_tells_kind_store_and_counts)
{
	const char *store = variant->kind == MEMORY ? "memory" : "file";
	unsigned char *copy = mmap(NULL, self->length, RW, MAP_PRIVATE,
				   self->d.fd, 0);
	struct mmapdev_stats stats;
	char text[32];

	ASSERT_NE(MAP_FAILED, copy);
	ASSERT_EQ(0, name_durable(&self->d));
	EXPECT_EQ(0, name_attribute(NAME, "kind", text, sizeof(text)));
	EXPECT_STREQ("durable", text);
	EXPECT_EQ(0, name_attribute(NAME, "store", text, sizeof(text)));
	EXPECT_STREQ(store, text);
	EXPECT_EQ(durable_info(&self->d).object, name_number(NAME, "object"));

	for (int i = 0; i < 12; i++)
		EXPECT_EQ(0, msync(self->p, self->length, MS_SYNC));
	for (int i = 0; i < 7; i++)
		self->p[i * self->page] = 'x';
	EXPECT_EQ(0, msync(self->p, 3 * self->page, MS_SYNC));
	copy[0] = 'y';
	copy[self->page] = 'y';
	ASSERT_EQ(0, ftruncate(self->d.fd, self->length + self->page));
	ASSERT_EQ(0, durable_cut(&self->d));
	stats = durable_stats(&self->d);
	EXPECT_EQ(1, stats.crashes);
	EXPECT_EQ(7, stats.mkwrites);
	EXPECT_LT(12, stats.flushes);
	EXPECT_LT(self->page, stats.bytes_flushed);
	EXPECT_NE(stats.mkwrites, stats.writebacks);
	EXPECT_NE(stats.flushes, stats.writebacks);
	EXPECT_NE(stats.flushes, stats.mkwrites);
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		char which[64];

		snprintf(which, sizeof(which), "stats/%s", counters[i]);
		EXPECT_EQ(counter(&stats, i), name_number(NAME, which))
			TH_LOG("%s", which);
	}
	munmap(copy, self->length);
	name_clean(NAME);
}

/* Which came before: the open or the cut? */
TEST_F(named_durable, node_is_dead_if_it_was_opened_before_a_power_cut)
{
	struct object before, after;
	void *p;

	ASSERT_EQ(0, name_durable(&self->d));
	before = name_open(NAME, O_RDWR);
	ASSERT_GE(before.fd, 0);
	EXPECT_EQ(1, pwrite(before.fd, "x", 1, 0));
	ASSERT_EQ(0, durable_cut(&self->d));
	after = name_open(NAME, O_RDWR);
	ASSERT_GE(after.fd, 0);
	errno = 0;
	EXPECT_EQ(-1, pwrite(before.fd, "x", 1, 0));
	EXPECT_EQ(EIO, errno);
	errno = 0;
	p = mmap(NULL, self->page, RW, MAP_SHARED, before.fd, 0);
	EXPECT_EQ(MAP_FAILED, p);
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ('a', object_byte(&after, 0));
	EXPECT_EQ(1, pwrite(after.fd, "x", 1, 0));
	EXPECT_EQ(0, fsync(after.fd));
	object_close(&before);
	object_close(&after);
	name_clean(NAME);
}

/* An error that nobody has heard of yet is for the next to open, too; no other. */
TEST_F(named_durable, node_hears_of_errors_from_its_opening_on)
{
	struct object node[2];

	ASSERT_EQ(0, name_durable(&self->d));
	node[0] = name_open(NAME, O_RDWR);
	ASSERT_GE(node[0].fd, 0);
	ASSERT_NE(0, durable_rule(&self->d, MMAPDEV_EVENT_WRITEBACK,
				  MMAPDEV_ACTION_EIO, 0, 1));
	self->p[0] = 'x';
	EXPECT_EQ(-1, fsync(self->d.fd));
	ASSERT_EQ(0, durable_unrule(&self->d, 0));
	node[1] = name_open(NAME, O_RDWR);
	ASSERT_GE(node[1].fd, 0);
	EXPECT_EQ(0, fsync(node[1].fd));
	errno = 0;
	EXPECT_EQ(-1, fsync(node[0].fd));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(0, fsync(node[0].fd));
	object_close(&node[0]);
	object_close(&node[1]);
	name_clean(NAME);
}

TEST_HARNESS_MAIN
