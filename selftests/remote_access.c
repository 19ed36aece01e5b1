// SPDX-License-Identifier: GPL-2.0
/*
 * Touching the memory of another process: process_vm_readv(2), /proc/PID/mem
 * and ptrace(2). Both processes have the mappings at the same addresses; the
 * other one has never touched them.
 */
#include "harness.h"

#include <sys/ptrace.h>
#include <sys/uio.h>

#include "backend.h"
#include "child.h"

FIXTURE(remote) {
	struct object o;
	size_t page;
	unsigned char *shared;
	unsigned char *private;
	unsigned char *shared_ro;
	unsigned char *private_ro;
	struct child c;
	int mem;		/* /proc/PID/mem of the child */
};

FIXTURE_VARIANT(remote) {
	enum backend_kind kind;
};

/* Say, turn by turn, what is in the first byte of each mapping. */
static int look(void *arg, struct turn *t)
{
	FIXTURE_DATA(remote) *self = arg;

	while (!turn_wait(t)) {
		unsigned char seen[] = {
			self->shared[0], self->private[0],
			self->shared_ro[0], self->private_ro[0],
		};

		if (write(t->done, seen, sizeof(seen)) != sizeof(seen))
			return 1;
	}
	return 0;
}

FIXTURE_SETUP(remote)
{
	char path[64];

	self->page = getpagesize();
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	self->shared = object_map(&self->o, self->page, RW, MAP_SHARED);
	self->private = object_map(&self->o, self->page, RW, MAP_PRIVATE);
	self->shared_ro = object_map(&self->o, self->page, PROT_READ,
				     MAP_SHARED);
	self->private_ro = object_map(&self->o, self->page, PROT_READ,
				      MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, self->shared);
	ASSERT_NE(MAP_FAILED, self->private);
	ASSERT_NE(MAP_FAILED, self->shared_ro);
	ASSERT_NE(MAP_FAILED, self->private_ro);
	self->c = child_start(look, self);
	snprintf(path, sizeof(path), "/proc/%d/mem", self->c.pid);
	self->mem = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_GE(self->mem, 0);
}

FIXTURE_TEARDOWN(remote)
{
	EXPECT_EQ(0, child_end(&self->c));
	object_close(&self->o);
}

FILE_VARIANTS(remote);

/* What the child sees, in the order of the fixture's mappings. */
#define EXPECT_CHILD_SEES(...) do {					\
	unsigned char want_[] = { __VA_ARGS__ };			\
	unsigned char seen_[4];						\
	ASSERT_EQ(0, child_go(&self->c));				\
	ASSERT_EQ(4, read(self->c.from, seen_, 4));			\
	for (int i_ = 0; i_ < 4; i_++)					\
		EXPECT_EQ(want_[i_], seen_[i_]);			\
} while (0)

static ssize_t remote_store(struct child *c, void *at, char byte)
{
	struct iovec local = { .iov_base = &byte, .iov_len = 1 };
	struct iovec remote = { .iov_base = at, .iov_len = 1 };

	return process_vm_writev(c->pid, &local, 1, &remote, 1, 0);
}

static int remote_load(struct child *c, void *at)
{
	unsigned char byte;
	struct iovec local = { .iov_base = &byte, .iov_len = 1 };
	struct iovec remote = { .iov_base = at, .iov_len = 1 };

	return process_vm_readv(c->pid, &local, 1, &remote, 1, 0) == 1 ?
		byte : -1;
}

TEST_F(remote, process_vm_writev_stores_as_the_process_would)
{
	EXPECT_EQ(1, remote_store(&self->c, self->private, 'p'));
	EXPECT_CHILD_SEES(0, 'p', 0, 0);
	EXPECT_EQ(1, remote_store(&self->c, self->shared, 's'));
	EXPECT_CHILD_SEES('s', 'p', 's', 's');
	EXPECT_EQ('s', self->shared[0]);
	EXPECT_EQ('s', self->private[0]);

	EXPECT_EQ(-1, remote_store(&self->c, self->shared_ro, 'x'));
	EXPECT_EQ(EFAULT, errno);
	errno = 0;
	EXPECT_EQ(-1, remote_store(&self->c, self->private_ro, 'x'));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_CHILD_SEES('s', 'p', 's', 's');
}

TEST_F(remote, process_vm_readv_sees_what_the_process_would)
{
	EXPECT_EQ(0, remote_load(&self->c, self->private));
	EXPECT_EQ(0, remote_load(&self->c, self->shared));
	self->shared[0] = 's';
	self->private[0] = 'p';	/* not the child's copy */
	EXPECT_EQ('s', remote_load(&self->c, self->shared_ro));
	EXPECT_EQ('s', remote_load(&self->c, self->private));
}

TEST_F(remote, proc_mem_reads_and_writes)
{
	unsigned char byte = 1;

	EXPECT_EQ(1, pread(self->mem, &byte, 1, (off_t)self->private));
	EXPECT_EQ(0, byte);
	EXPECT_EQ(1, pwrite(self->mem, "p", 1, (off_t)self->private));
	EXPECT_EQ(1, pwrite(self->mem, "s", 1, (off_t)self->shared));
	EXPECT_CHILD_SEES('s', 'p', 's', 's');
	EXPECT_EQ(1, pread(self->mem, &byte, 1, (off_t)self->private));
	EXPECT_EQ('p', byte);
	EXPECT_EQ('s', self->shared[0]);
}

/* As for a breakpoint: the page that is only to be read is copied. */
TEST_F(remote, ptrace_pokes_a_copy_into_a_private_read_only_page)
{
	pid_t pid = self->c.pid;
	long word = 0;

	memset(&word, 'b', sizeof(word));
	self->shared[0] = 's';
	EXPECT_CHILD_SEES('s', 's', 's', 's');
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, pid, NULL, NULL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, pid, self->private_ro, word));
	EXPECT_EQ(word, ptrace(PTRACE_PEEKDATA, pid, self->private_ro, NULL));
	EXPECT_EQ(1, pwrite(self->mem, "B", 1, (off_t)self->private_ro));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, pid, NULL, NULL));
	EXPECT_CHILD_SEES('s', 's', 's', 'B');
	EXPECT_EQ('s', self->shared[0]);
	EXPECT_EQ('s', self->private_ro[0]);
}

TEST_F(remote, ptrace_cannot_poke_a_shared_read_only_page)
{
	pid_t pid = self->c.pid;

	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, pid, NULL, NULL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(-1, ptrace(PTRACE_POKEDATA, pid, self->shared_ro, -1L));
	EXPECT_EQ(EIO, errno);
	errno = 0;
	EXPECT_EQ(-1, pwrite(self->mem, "x", 1, (off_t)self->shared_ro));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, pid, self->shared, -1L));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, pid, NULL, NULL));
	EXPECT_CHILD_SEES(0xff, 0xff, 0xff, 0xff);
	EXPECT_EQ(0xff, self->shared[0]);
}

TEST_HARNESS_MAIN
