// SPDX-License-Identifier: GPL-2.0
/*
 * Who may do what with a descriptor of an object's file: by the flags that it
 * was asked for with, by how it is opened again, and by whom.
 */
#include "harness.h"

#include <sched.h>
#include <sys/resource.h>

#include "bytes.h"
#include "child.h"
#include "device.h"
#include "trap.h"
#include "user.h"

/* MMAPDEV_IOC_GET_FILE, of the node and of an object file. */
OBJECT_FIXTURE(get_file);
MMAPDEV_VARIANTS(get_file);

/* The number that the next descriptor gets. */
static int next_fd(void)
{
	int fd = dup(STDIN_FILENO);

	close(fd);
	return fd;
}

#define EXPECT_NO_FILE(expected, fd, ...) do {				\
	struct mmapdev_file file_ = { __VA_ARGS__ };			\
	int next_ = next_fd();						\
	EXPECT_EQ(-1, ioctl(fd, MMAPDEV_IOC_GET_FILE, &file_));		\
	EXPECT_EQ(expected, errno);					\
	EXPECT_EQ(next_, next_fd());					\
} while (0)

TEST_F(get_file, close_on_exec_is_as_asked)
{
	int with = object_file(self->o.fd, O_RDWR | O_CLOEXEC);
	int without = object_file(self->o.fd, O_RDWR);

	ASSERT_GE(with, 0);
	ASSERT_GE(without, 0);
	EXPECT_EQ(FD_CLOEXEC, fcntl(with, F_GETFD));
	EXPECT_EQ(0, fcntl(without, F_GETFD));
}

TEST_F(get_file, access_and_append_are_as_asked)
{
	int asked[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDONLY | O_APPEND,
			O_WRONLY | O_APPEND, O_RDWR | O_APPEND | O_CLOEXEC };

	ASSERT_EQ(0, object_resize(&self->o, 1));
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		int fd = object_file(self->o.fd, asked[i]);
		int access = asked[i] & O_ACCMODE;
		char byte;

		ASSERT_GE(fd, 0);
		EXPECT_EQ(asked[i] & (O_ACCMODE | O_APPEND), fcntl(fd, F_GETFL) &
			  (O_ACCMODE | O_APPEND | O_NONBLOCK | O_DIRECT));
		errno = 0;
		EXPECT_EQ(access == O_WRONLY ? -1 : 1, pread(fd, &byte, 1, 0));
		EXPECT_EQ(access == O_WRONLY ? EBADF : 0, errno);
		errno = 0;
		EXPECT_EQ(access == O_RDONLY ? -1 : 1, write(fd, "a", 1));
		EXPECT_EQ(access == O_RDONLY ? EBADF : 0, errno);
		close(fd);
	}
	/* Three of the four writers append. */
	EXPECT_EQ(3, object_size(&self->o));
}

TEST_F(get_file, more_access_than_the_descriptor_has_is_eacces)
{
	int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct object o = object_open_flags(variant->kind, modes[i]);

		ASSERT_GE(o.fd, 0);
		for (size_t j = 0; j < ARRAY_SIZE(modes); j++) {
			if (modes[i] != O_RDWR && modes[i] != modes[j]) {
				EXPECT_NO_FILE(EACCES, o.fd, .flags = modes[j]);
			} else {
				int fd = object_file(o.fd, modes[j]);

				EXPECT_LE(0, fd);
				close(fd);
			}
		}
		object_close(&o);
	}
}

TEST_F(get_file, flags_that_are_not_known_are_einval)
{
	unsigned int known = O_ACCMODE | O_APPEND | O_CLOEXEC;

	for (int bit = 0; bit < 32; bit++) {
		if (!(known & 1U << bit)) {
			EXPECT_NO_FILE(EINVAL, self->o.fd,
				       .flags = O_RDWR | 1U << bit);
		}
	}
	EXPECT_NO_FILE(EINVAL, self->o.fd, .flags = O_ACCMODE);
	EXPECT_NO_FILE(EINVAL, self->o.fd, .flags = UINT32_MAX);
}

TEST_F(get_file, reserved_field_must_be_zero)
{
	for (int bit = 0; bit < 32; bit++) {
		EXPECT_NO_FILE(EINVAL, self->o.fd, .flags = O_RDWR,
			       .reserved = 1U << bit);
	}
}

TEST_F(get_file, too_many_open_files_are_emfile)
{
	long long objects = device_total("objects");
	struct rlimit old, limit;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	limit = old;
	limit.rlim_cur = next_fd();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(-1, object_file(self->o.fd, O_RDWR));
	EXPECT_EQ(EMFILE, errno);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	object_close(&self->o);
	EXPECT_EQ(objects - 1, device_total("objects"));
}

TEST_F(get_file, file_and_descriptor_are_one_object)
{
	struct object file = { .kind = OBJFILE };
	char *p, *q;

	file.fd = object_file(self->o.fd, O_RDWR);
	ASSERT_GE(file.fd, 0);
	EXPECT_EQ(object_info(&self->o).object, object_info(&file).object);
	ASSERT_EQ(0, object_resize(&self->o, 3 * self->page));
	EXPECT_EQ(3 * self->page, object_size(&file));
	ASSERT_EQ(0, object_resize(&file, 2 * self->page));
	EXPECT_EQ(2 * self->page, object_size(&self->o));
	p = object_map(&self->o, 2 * self->page, RW, MAP_SHARED);
	q = object_map(&file, 2 * self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	p[1] = 'p';
	EXPECT_EQ('p', q[1]);
	EXPECT_EQ(1, pwrite(file.fd, "f", 1, self->page));
	EXPECT_EQ('f', object_byte(&self->o, self->page));
	EXPECT_EQ(2, object_resident(&file));
	EXPECT_EQ(2, object_resident(&self->o));
	object_close(&file);
	EXPECT_EQ('p', q[1]);
}

TEST_F(get_file, each_file_has_a_position_and_flags_of_its_own)
{
	int a = object_file(self->o.fd, O_RDWR);
	int b = object_file(self->o.fd, O_RDWR | O_APPEND);

	ASSERT_GE(a, 0);
	ASSERT_GE(b, 0);
	ASSERT_EQ(0, object_resize(&self->o, 5));
	EXPECT_EQ(2, write(a, "ab", 2));
	EXPECT_EQ(0, lseek(b, 0, SEEK_CUR));
	EXPECT_EQ(2, write(b, "cd", 2));
	EXPECT_EQ(7, lseek(b, 0, SEEK_CUR));
	EXPECT_EQ(2, lseek(a, 0, SEEK_CUR));
	EXPECT_EQ(0, lseek(self->o.fd, 0, SEEK_CUR));
}

/* A file opened again, by /proc/self/fd: what the VFS does, of any file. */
OBJECT_FIXTURE(reopen);
REGULAR_VARIANTS(reopen);

TEST_F(reopen, is_the_same_file_with_the_access_asked_for)
{
	int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };

	ASSERT_EQ(0, object_fill(&self->o, 1, 'a'));
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		int fd = fd_reopen(self->o.fd, modes[i]);
		char byte = 0;

		ASSERT_GE(fd, 0);
		EXPECT_EQ(modes[i], fcntl(fd, F_GETFL) & O_ACCMODE);
		EXPECT_EQ(modes[i] == O_WRONLY ? -1 : 1, read(fd, &byte, 1));
		EXPECT_EQ(modes[i] == O_WRONLY ? 0 : 'a', byte);
		EXPECT_EQ(modes[i] == O_RDONLY ? -1 : 1,
			  pwrite(fd, "x", 1, 10 + i));
		EXPECT_EQ(modes[i] == O_RDONLY ? 'a' : 'x',
			  object_byte(&self->o, 10 + i));
		EXPECT_EQ(0, lseek(self->o.fd, 0, SEEK_CUR));
		close(fd);
	}
}

TEST_F(reopen, from_a_path_descriptor_gives_access_back)
{
	int path = fd_reopen(self->o.fd, O_PATH);
	int fd;
	char byte;

	ASSERT_GE(path, 0);
	EXPECT_EQ(-1, read(path, &byte, 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 1, PROT_READ, MAP_PRIVATE, path, 0));
	EXPECT_EQ(EBADF, errno);
	object_close(&self->o);
	fd = fd_reopen(path, O_RDWR);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(1, write(fd, "a", 1));
	close(fd);
	/* The object lives by the path descriptor alone. */
	self->o.fd = fd_reopen(path, O_RDONLY);
	ASSERT_GE(self->o.fd, 0);
	EXPECT_EQ('a', object_byte(&self->o, 0));
	close(path);
}

TEST_F(reopen, with_o_trunc_empties_the_file)
{
	int modes[] = { O_WRONLY, O_RDWR };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		char *p;
		int fd;

		ASSERT_EQ(0, object_fill(&self->o, 2, 'a'));
		p = object_map(&self->o, 2 * self->page, RW, MAP_SHARED);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ('a', p[0]);
		fd = fd_reopen(self->o.fd, modes[i] | O_TRUNC);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(0, object_size(&self->o));
		EXPECT_EQ(0, object_resident(&self->o));
		EXPECT_TRAP(trap_load(p), SIGBUS, BUS_ADRERR, p);
		close(fd);
	}
}

TEST_F(reopen, as_a_directory_is_enotdir)
{
	EXPECT_EQ(-1, fd_reopen(self->o.fd, O_RDONLY | O_DIRECTORY));
	EXPECT_EQ(ENOTDIR, errno);
}

/* There is no way round the page cache: it is where the bytes are. */
TEST_F(reopen, for_direct_io_is_einval)
{
	int flags = fcntl(self->o.fd, F_GETFL);

	if (variant->kind != OBJFILE)	/* since 6.6 tmpfs says it can */
		return;
	EXPECT_EQ(-1, fd_reopen(self->o.fd, O_RDWR | O_DIRECT));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, fcntl(self->o.fd, F_SETFL, flags | O_DIRECT));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(flags, fcntl(self->o.fd, F_GETFL));
}

/*
 * A user who was given a descriptor to read. What comes first is what the
 * user must get, so that what follows is not refused for another reason.
 */
static int read_only_user(void *arg, struct turn *t)
{
	const struct object *o = arg;
	size_t page = getpagesize();
	char *p;

	if (become_nobody())
		return 1;
	if (object_byte(o, 0) != 'a' || fd_reopen(o->fd, O_RDONLY) < 0)
		return 2;
	if (fd_reopen(o->fd, O_RDWR) >= 0 || errno != EACCES)
		return 3;
	if (fd_reopen(o->fd, O_WRONLY) >= 0 || errno != EACCES)
		return 4;
	if (fd_reopen(o->fd, O_RDONLY | O_TRUNC) >= 0 || errno != EACCES)
		return 5;
	p = object_map(o, page, PROT_READ, MAP_SHARED);
	if (p == MAP_FAILED || p[0] != 'a')
		return 6;
	if (!mprotect(p, page, RW) || errno != EACCES)
		return 7;
	if (object_map(o, page, RW, MAP_SHARED) != MAP_FAILED ||
	    errno != EACCES)
		return 8;
	if (!ftruncate(o->fd, 0) || errno != EINVAL)
		return 9;
	if (!fchmod(o->fd, 0666) || errno != EPERM)
		return 10;
	if (!fchown(o->fd, NOBODY, NOBODY) || errno != EPERM)
		return 11;
	if (o->kind == OBJFILE &&
	    (object_file(o->fd, O_RDWR) >= 0 || errno != EACCES))
		return 12;
	return 0;
}

TEST_F(reopen, for_writing_is_refused_to_a_user_who_may_only_read)
{
	struct object reader = { .kind = variant->kind };

	ASSERT_EQ(0, object_fill(&self->o, 1, 'a'));
	ASSERT_EQ(0, fchmod(self->o.fd, 0644));
	reader.fd = fd_reopen(self->o.fd, O_RDONLY);
	ASSERT_GE(reader.fd, 0);
	EXPECT_EQ(0, child_run(read_only_user, &reader));
	EXPECT_EQ('a', object_byte(&self->o, 0));
	object_close(&reader);
}

static int user_without_rights(void *arg, struct turn *t)
{
	const struct object *o = arg;

	if (become_nobody())
		return 1;
	if (fd_reopen(o->fd, O_RDONLY) >= 0 || errno != EACCES)
		return 2;
	if (fd_reopen(o->fd, O_PATH) < 0)
		return 3;
	return object_byte(o, 0) == 'a' ? 0 : 4;
}

/* The descriptor that the user has works as ever. */
TEST_F(reopen, is_refused_to_a_user_without_rights)
{
	ASSERT_EQ(0, object_fill(&self->o, 1, 'a'));
	ASSERT_EQ(0, fchmod(self->o.fd, 0600));
	EXPECT_EQ(0, child_run(user_without_rights, &self->o));
}

static int owner_without_capabilities(void *arg, struct turn *t)
{
	const struct object *o = arg;
	int fd;

	if (become_nobody())
		return 1;
	fd = fd_reopen(o->fd, O_RDWR | O_TRUNC);
	if (fd < 0 || write(fd, "b", 1) != 1)
		return 2;
	return fchmod(fd, 0400) ? 3 : 0;
}

TEST_F(reopen, is_granted_to_the_owner)
{
	struct stat st;

	ASSERT_EQ(0, object_fill(&self->o, 1, 'a'));
	ASSERT_EQ(0, fchmod(self->o.fd, 0600));
	ASSERT_EQ(0, fchown(self->o.fd, NOBODY, NOBODY));
	EXPECT_EQ(0, child_run(owner_without_capabilities, &self->o));
	EXPECT_EQ('b', object_byte(&self->o, 0));
	ASSERT_EQ(0, fstat(self->o.fd, &st));
	EXPECT_EQ(0400, st.st_mode & 07777);
}

OBJECT_FIXTURE(append);
REGULAR_VARIANTS(append);

TEST_F(append, can_be_turned_on_and_off)
{
	int flags = fcntl(self->o.fd, F_GETFL);

	ASSERT_EQ(0, object_resize(&self->o, 10));
	ASSERT_EQ(0, fcntl(self->o.fd, F_SETFL, flags | O_APPEND));
	EXPECT_EQ(1, write(self->o.fd, "a", 1));
	EXPECT_EQ(1, pwrite(self->o.fd, "b", 1, 0));
	EXPECT_EQ(12, object_size(&self->o));
	EXPECT_EQ(11, lseek(self->o.fd, 0, SEEK_CUR));
	ASSERT_EQ(0, fcntl(self->o.fd, F_SETFL, flags));
	EXPECT_EQ(1, pwrite(self->o.fd, "c", 1, 0));
	EXPECT_EQ(12, object_size(&self->o));
	EXPECT_EQ('c', object_byte(&self->o, 0));
	EXPECT_EQ('a', object_byte(&self->o, 10));
	EXPECT_EQ('b', object_byte(&self->o, 11));
}

/* Records of an odd length: many of them are on two pages. */
#define WRITERS		4
#define RECORDS		500
#define RECORD_LENGTH	101

struct writer {
	struct object o;
	unsigned char number;
};

/* Record i: the writer's number, i in two bytes, and then the number again. */
static int append_records(void *arg, struct turn *t)
{
	struct writer *w = arg;
	int fd = fd_reopen(w->o.fd, O_WRONLY | O_APPEND);
	unsigned char record[RECORD_LENGTH];

	memset(record, w->number, sizeof(record));
	if (fd < 0 || turn_wait(t))
		return 1;
	for (int i = 0; i < RECORDS; i++) {
		record[1] = i;
		record[2] = i >> 8;
		if (write(fd, record, sizeof(record)) != sizeof(record))
			return 2;
	}
	return 0;
}

TEST_F(append, by_many_at_once_keeps_every_record_whole)
{
	size_t size = WRITERS * RECORDS * RECORD_LENGTH;
	struct writer w = { .o = self->o };
	struct child c[WRITERS];
	int next[WRITERS] = {};
	unsigned char *p;

	for (int i = 0; i < WRITERS; i++) {
		w.number = i;
		c[i] = child_start(append_records, &w);
	}
	for (int i = 0; i < WRITERS; i++) {
		ASSERT_EQ(0, child_go(&c[i]));
	}
	for (int i = 0; i < WRITERS; i++) {
		EXPECT_EQ(0, child_end(&c[i]));
	}
	ASSERT_EQ(size, object_size(&self->o));
	p = object_map(&self->o, size, PROT_READ, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	for (; size; size -= RECORD_LENGTH, p += RECORD_LENGTH) {
		ASSERT_GT(WRITERS, p[0]);
		ASSERT_EQ(next[p[0]]++, p[1] | p[2] << 8);
		ASSERT_TRUE(bytes_are(p + 3, p[0], RECORD_LENGTH - 3));
	}
}

/* A program in a container: root there, nobody here. Statuses: what failed. */
static int files_in_a_namespace(void *arg, struct turn *t)
{
	struct mmapdev_create want = {
		.store = MMAPDEV_STORE_MEMORY,
		.flags = O_RDWR,
		.size = 1,
		.fd = -1,
	};
	struct mmapdev_file file = { .flags = O_RDWR };
	int node, fd;

	if (unshare(CLONE_NEWUSER))
		return 1;
	node = open(mmapdev_path(), O_RDWR | O_CLOEXEC);
	if (node < 0)
		return 2;
	fd = ioctl(node, MMAPDEV_IOC_GET_FILE, &file);
	if (fd < 0)
		return 3;
	if (write(fd, "x", 1) != 1)
		return 4;
	fd = ioctl(node, MMAPDEV_IOC_CREATE, &want);
	if (fd < 0)
		return 5;
	if (write(fd, "x", 1) != 1 || fsync(fd))
		return 6;
	return turn_done(t) || turn_wait(t) ? 7 : 0;
}

/* It can get files; that it got the first one gives it no rights to others'. */
TEST(user_namespace_has_object_files)
{
	struct child c = child_start(files_in_a_namespace, NULL);
	int answer = child_done(&c);
	struct stat st;
	int fd;

	if (answer)
		EXPECT_EQ(0, child_end(&c));
	ASSERT_EQ(0, answer);
	fd = object_file_new(O_RDWR);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(getuid(), st.st_uid);
	EXPECT_EQ(0, fchown(fd, NOBODY, NOBODY));
	EXPECT_EQ(0, fchmod(fd, 0640));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(NOBODY, st.st_uid);
	close(fd);
	ASSERT_EQ(0, child_go(&c));
	EXPECT_EQ(0, child_end(&c));
}

/* A durable object takes memory, or writes to a file. */
TEST(descriptor_that_only_reads_creates_nothing)
{
	struct mmapdev_create want = {
		.store = MMAPDEV_STORE_MEMORY,
		.flags = O_RDWR,
		.size = 1,
		.fd = -1,
	};
	int node = open(mmapdev_path(), O_RDONLY | O_CLOEXEC);

	ASSERT_GE(node, 0);
	EXPECT_EQ(-1, ioctl(node, MMAPDEV_IOC_CREATE, &want));
	EXPECT_TRUE(errno == EACCES || errno == EBADF || errno == EINVAL);
	close(node);
}

TEST_HARNESS_MAIN
