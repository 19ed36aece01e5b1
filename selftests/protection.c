// SPDX-License-Identifier: GPL-2.0
/*
 * What a mapping may be, by how the object was opened; what a protection
 * stops; and what mmap(2) and mprotect(2) refuse.
 */
#include "harness.h"

#include <sys/statvfs.h>

#include "address.h"
#include "backend.h"
#include "bytes.h"
#include "procfs.h"
#include "trap.h"

/* Objects opened as `flags` say: the node's are without end, others empty. */
FIXTURE(open_mode) {
	size_t page;
	struct object ro;
	struct object wo;
};

FIXTURE_VARIANT(open_mode) {
	enum backend_kind kind;
};

FIXTURE_SETUP(open_mode)
{
	self->page = getpagesize();
	self->ro = object_open_flags(variant->kind, O_RDONLY);
	self->wo = object_open_flags(variant->kind, O_WRONLY);
	ASSERT_GE(self->ro.fd, 0);
	ASSERT_GE(self->wo.fd, 0);
}

FIXTURE_TEARDOWN(open_mode)
{
	object_close(&self->ro);
	object_close(&self->wo);
}

FILE_VARIANTS(open_mode);

/* Give an object that is open for reading two pages, if it has none. */
static int give_pages(const struct object *o)
{
	struct object rw = { .kind = o->kind };
	int err;

	if (o->kind == MMAPDEV)
		return 0;
	rw.fd = fd_reopen(o->fd, O_RDWR);
	err = object_resize(&rw, 2 * getpagesize());
	object_close(&rw);
	return err;
}

TEST_F(open_mode, read_only_cannot_be_shared_and_written)
{
	EXPECT_EQ(MAP_FAILED, object_map(&self->ro, self->page, RW,
					 MAP_SHARED));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(MAP_FAILED, object_map(&self->ro, self->page, PROT_WRITE,
					 MAP_SHARED));
	EXPECT_EQ(EACCES, errno);
}

TEST_F(open_mode, read_only_shared_mapping_cannot_become_writable)
{
	unsigned char *p;

	ASSERT_EQ(0, give_pages(&self->ro));
	p = object_map(&self->ro, self->page, PROT_READ, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(page_is(p, 0));
	EXPECT_EQ(-1, mprotect(p, self->page, RW));
	EXPECT_EQ(EACCES, errno);
	EXPECT_TRAP(trap_store(p, 1), SIGSEGV, SEGV_ACCERR, p);
}

TEST_F(open_mode, read_only_can_be_private_and_written)
{
	unsigned char *p, *q;

	ASSERT_EQ(0, give_pages(&self->ro));
	p = object_map(&self->ro, self->page, RW, MAP_PRIVATE);
	q = object_map(&self->ro, self->page, PROT_READ, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_NO_TRAP(trap_store(p, 'x'));
	EXPECT_EQ('x', p[0]);
	EXPECT_EQ(0, q[0]);
	EXPECT_EQ(0, mprotect(q, self->page, RW));
	EXPECT_NO_TRAP(trap_store(q, 'y'));
	EXPECT_EQ('y', q[0]);
	EXPECT_EQ(0, object_byte(&self->ro, 0));
}

TEST_F(open_mode, write_only_cannot_be_mapped)
{
	int prots[] = { PROT_NONE, PROT_READ, PROT_WRITE, RW };

	FOR_SHARED_AND_PRIVATE(flags) {
		for (int i = 0; i < 4; i++) {
			EXPECT_EQ(MAP_FAILED,
				  object_map(&self->wo, self->page, prots[i],
					     flags));
			EXPECT_EQ(EACCES, errno);
		}
	}
}

OBJECT_FIXTURE(protection);
MEMORY_VARIANTS(protection);

TEST_F(protection, none_stops_every_access)
{
	ASSERT_EQ(0, object_size_for(&self->o, self->page));
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, self->page, PROT_NONE,
					      flags);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_TRAP(trap_load(p + 5), SIGSEGV, SEGV_ACCERR, p + 5);
		EXPECT_TRAP(trap_store(p + 6, 1), SIGSEGV, SEGV_ACCERR, p + 6);
		ASSERT_EQ(0, mprotect(p, self->page, RW));
		EXPECT_NO_TRAP(trap_store(p + 6, 1));
		ASSERT_EQ(0, mprotect(p, self->page, PROT_NONE));
		EXPECT_TRAP(trap_load(p + 6), SIGSEGV, SEGV_ACCERR, p + 6);
		ASSERT_EQ(0, mprotect(p, self->page, PROT_READ));
		EXPECT_EQ(1, p[6]);
	}
}

TEST_F(protection, read_stops_stores)
{
	ASSERT_EQ(0, object_size_for(&self->o, self->page));
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = object_map(&self->o, self->page, PROT_READ,
					      flags);

		ASSERT_NE(MAP_FAILED, p);
		EXPECT_TRAP(trap_store(p + 1, 1), SIGSEGV, SEGV_ACCERR, p + 1);
		EXPECT_NO_TRAP(trap_load(p + 1));
		EXPECT_TRAP(trap_store(p + 1, 1), SIGSEGV, SEGV_ACCERR, p + 1);
		EXPECT_EQ(0, p[1]);
	}
}

TEST_F(protection, change_of_a_part_splits_and_undoing_it_merges)
{
	size_t length = 4 * self->page;

	ASSERT_EQ(0, object_size_for(&self->o, length));
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = address_hole(length);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(p, object_map_at(&self->o, p, length, RW,
					   flags | MAP_FIXED, 0));
		memset(p, 'x', length);
		EXPECT_EQ(1, maps_lines(p, length, NULL));
		ASSERT_EQ(0, mprotect(p + self->page, self->page, PROT_READ));
		EXPECT_EQ(3, maps_lines(p, length, NULL));
		EXPECT_TRUE(bytes_are(p, 'x', length));
		EXPECT_TRAP(trap_store(p + self->page, 1), SIGSEGV,
			    SEGV_ACCERR, p + self->page);
		EXPECT_NO_TRAP(trap_store(p + self->page - 1, 'y'));
		EXPECT_NO_TRAP(trap_store(p + 2 * self->page, 'y'));
		ASSERT_EQ(0, mprotect(p + self->page, self->page, RW));
		EXPECT_EQ(1, maps_lines(p, length, NULL));
		EXPECT_NO_TRAP(trap_store(p + self->page, 'y'));
	}
}

TEST_F(protection, change_over_a_hole_fails_with_enomem)
{
	ASSERT_EQ(0, object_size_for(&self->o, self->page));
	FOR_SHARED_AND_PRIVATE(flags) {
		unsigned char *p = address_hole(2 * self->page);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(p, object_map_at(&self->o, p, self->page, RW,
					   flags | MAP_FIXED, 0));
		EXPECT_EQ(-1, mprotect(p, 2 * self->page, RW));
		EXPECT_EQ(ENOMEM, errno);
		EXPECT_EQ(-1, mprotect(p + self->page, self->page, RW));
		EXPECT_EQ(ENOMEM, errno);
		EXPECT_EQ(-1, mprotect(p + 1, self->page, RW));
		EXPECT_EQ(EINVAL, errno);
	}
}

/* A program that returns 42. */
#if defined(__x86_64__) || defined(__i386__)
static const unsigned char code[] = { 0xb8, 42, 0, 0, 0, 0xc3 };
#elif defined(__aarch64__)
static const unsigned char code[] = { 0x40, 0x05, 0x80, 0x52,
				      0xc0, 0x03, 0x5f, 0xd6 };
#else
static const unsigned char code[] = { };
#endif

/* Call p: what it returned, or -1 and *trap tells why. */
static int call(void *p, struct trap *trap)
{
	struct sigaction old_bus, old_segv;
	int ret;

	trap_signals(&old_bus, &old_segv);
	if (!sigsetjmp(trap_env, 1)) {
		ret = ((int (*)(void))p)();
	} else {
		ret = -1;
		*trap = trap_last();
	}
	sigaction(SIGBUS, &old_bus, NULL);
	sigaction(SIGSEGV, &old_segv, NULL);
	return ret;
}

OBJECT_FIXTURE(execution);
FILE_VARIANTS(execution);

TEST_F(execution, runs_code_stored_through_another_mapping)
{
	unsigned char *w, *x;
	struct statvfs fs;
	struct trap trap;

	if (!sizeof(code))
		SKIP(return, "no code for this processor");
	ASSERT_EQ(0, fstatvfs(self->o.fd, &fs));
	if (fs.f_flag & ST_NOEXEC)
		SKIP(return, "the object's file is on a noexec mount");
	ASSERT_EQ(0, object_resize(&self->o, self->page));
	w = object_map(&self->o, self->page, RW, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, w);
	FOR_SHARED_AND_PRIVATE(flags) {
		x = object_map(&self->o, self->page, PROT_READ | PROT_EXEC,
			       flags);
		ASSERT_NE(MAP_FAILED, x);
		memcpy(w, code, sizeof(code));
		__builtin___clear_cache((char *)x, (char *)x + self->page);
		EXPECT_EQ(42, call(x, &trap));
		ASSERT_EQ(0, mprotect(x, self->page, PROT_READ));
		EXPECT_EQ(-1, call(x, &trap));
		EXPECT_TRAP(trap, SIGSEGV, SEGV_ACCERR, x);
	}
}

OBJECT_FIXTURE(refused_map);
FILE_VARIANTS(refused_map);

TEST_F(refused_map, offset_within_a_page)
{
	FOR_SHARED_AND_PRIVATE(flags) {
		EXPECT_EQ(MAP_FAILED, object_map_at(&self->o, NULL, self->page,
						    RW, flags, 1));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(MAP_FAILED, object_map_at(&self->o, NULL, self->page,
						    RW, flags, self->page / 2));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_F(refused_map, address_within_a_page)
{
	char *hole = address_hole(2 * self->page);

	ASSERT_NE(MAP_FAILED, hole);
	EXPECT_EQ(MAP_FAILED, object_map_at(&self->o, hole + 1, self->page, RW,
					    MAP_SHARED | MAP_FIXED, 0));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(refused_map, length_zero)
{
	EXPECT_EQ(MAP_FAILED, object_map(&self->o, 0, RW, MAP_SHARED));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(refused_map, length_over_the_address_space)
{
	size_t lengths[] = { SIZE_MAX / 4, SIZE_MAX / 2, SIZE_MAX };

	FOR_SHARED_AND_PRIVATE(flags) {
		for (int i = 0; i < 3; i++) {
			EXPECT_EQ(MAP_FAILED, object_map(&self->o, lengths[i],
							 PROT_READ, flags));
			EXPECT_EQ(ENOMEM, errno);
		}
	}
}

/* The last page that a regular file can have can be mapped, and no later. */
TEST_F(refused_map, end_over_the_largest_offset)
{
	off_t page = self->page;
	off_t end = INT64_MAX / page * page;

	FOR_SHARED_AND_PRIVATE(flags) {
		EXPECT_NE(MAP_FAILED, object_map_at(&self->o, NULL, page, RW,
						    flags, end - page));
		EXPECT_EQ(MAP_FAILED, object_map_at(&self->o, NULL, page + 1,
						    RW, flags, end - page));
		EXPECT_EQ(EOVERFLOW, errno);
		EXPECT_EQ(MAP_FAILED, object_map_at(&self->o, NULL, page, RW,
						    flags, end));
		EXPECT_EQ(EOVERFLOW, errno);
		/* As an offset without a sign: its end wraps around. */
		EXPECT_EQ(MAP_FAILED, object_map_at(&self->o, NULL, 2 * page,
						    RW, flags, -page));
		EXPECT_EQ(EOVERFLOW, errno);
		EXPECT_EQ(MAP_FAILED, object_map_at(&self->o, NULL, page, RW,
						    flags, INT64_MIN));
		EXPECT_EQ(EOVERFLOW, errno);
	}
}

TEST_F(refused_map, descriptor_that_is_not_open)
{
	struct object closed = self->o;

	object_close(&self->o);
	EXPECT_EQ(MAP_FAILED, object_map(&closed, self->page, RW, MAP_SHARED));
	EXPECT_EQ(EBADF, errno);
}

TEST_F(refused_map, neither_shared_nor_private)
{
	EXPECT_EQ(MAP_FAILED, object_map(&self->o, self->page, RW, 0));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
