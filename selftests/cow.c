// SPDX-License-Identifier: GPL-2.0
/*
 * The copy-on-write matrix. A private page is brought to a state; then the
 * object changes; then the private page either follows (it is still the
 * object's page) or does not (it is a copy).
 */
#include "harness.h"

#include "backend.h"
#include "bytes.h"

#define PAGES	3

enum cow_state {
	UNTOUCHED,	/* no page table entry */
	NEIGHBOUR,	/* the page beside it was read: perhaps mapped with it */
	READ,		/* read: the object's page, mapped read-only */
	READ_WRITTEN,	/* read, then stored to: a copy */
	WRITTEN,	/* stored to at once: a copy */
};

enum cow_change { STORE, WRITE };	/* by a shared mapping, by write(2) */

FIXTURE(cow) {
	struct object o;
	size_t page;
};

FIXTURE_VARIANT(cow) {
	enum backend_kind kind;
	enum cow_state state;
	bool present;		/* the object has the page; else a hole */
	enum cow_change change;
	const char *bug;	/* what a failure of this row would show */
};

FIXTURE_SETUP(cow)
{
	self->page = getpagesize();
	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	ASSERT_EQ(0, object_resize(&self->o, PAGES * self->page));
}

FIXTURE_TEARDOWN(cow)
{
	object_close(&self->o);
}

#define COW_VARIANT(backend, row, _state, _present, _change, _bug)	\
	FIXTURE_VARIANT_ADD(cow, row) {					\
		.kind = backend, .state = _state, .present = _present,	\
		.change = _change, .bug = _bug }

#define COW_ROW(row, ...)							\
	COW_VARIANT(MMAPDEV, row##_mmapdev, __VA_ARGS__);		\
	COW_VARIANT(OBJFILE, row##_object_file, __VA_ARGS__);		\
	COW_VARIANT(MEMFD, row##_memfd, __VA_ARGS__);			\
	COW_VARIANT(TMPFS, row##_tmpfs, __VA_ARGS__)

#define PAGE true
#define HOLE false

COW_ROW(untouched_page_store, UNTOUCHED, PAGE, STORE,
	"the copy is made when mapping, not when writing");
COW_ROW(untouched_page_write, UNTOUCHED, PAGE, WRITE,
	"write(2) puts its bytes where faults do not look");
COW_ROW(untouched_hole_store, UNTOUCHED, HOLE, STORE,
	"a private mapping looks for its pages elsewhere than a shared one");
COW_ROW(untouched_hole_write, UNTOUCHED, HOLE, WRITE,
	"a page made by write(2) is not found by a private fault");
COW_ROW(neighbour_page_store, NEIGHBOUR, PAGE, STORE,
	"fault-around maps a copy, or the wrong page");
COW_ROW(neighbour_page_write, NEIGHBOUR, PAGE, WRITE,
	"write(2) replaces a page that fault-around has mapped");
COW_ROW(read_page_store, READ, PAGE, STORE,
	"reading makes a private copy");
COW_ROW(read_page_write, READ, PAGE, WRITE,
	"write(2) replaces a page that is mapped");
COW_ROW(read_hole_store, READ, HOLE, STORE,
	"reading a hole maps a zero page that the object does not know");
COW_ROW(read_hole_write, READ, HOLE, WRITE,
	"the same, and nothing unmaps it when write(2) fills the hole");
COW_ROW(read_written_page_store, READ_WRITTEN, PAGE, STORE,
	"a page first read is made writable in place: private stores leak");
COW_ROW(read_written_page_write, READ_WRITTEN, PAGE, WRITE,
	"write(2) finds the private copy in the object's place");
COW_ROW(read_written_hole_store, READ_WRITTEN, HOLE, STORE,
	"the page made by reading a hole is taken for a private one");
COW_ROW(read_written_hole_write, READ_WRITTEN, HOLE, WRITE,
	"filling the hole throws the private copy away");
COW_ROW(written_page_store, WRITTEN, PAGE, STORE,
	"a first private store maps the object's page, or copies from a hole");
COW_ROW(written_page_write, WRITTEN, PAGE, WRITE,
	"write(2) throws the private copy away");
COW_ROW(written_hole_store, WRITTEN, HOLE, STORE,
	"the page that is copied for a hole becomes the object's, or is kept");
COW_ROW(written_hole_write, WRITTEN, HOLE, WRITE,
	"filling the hole throws the private copy away");

static bool page_begins(const volatile unsigned char *p, unsigned char first,
			unsigned char second, unsigned char rest)
{
	return p[0] == first && p[1] == second &&
	       bytes_are(p + 2, rest, getpagesize() - 2);
}

#define EXPECT_ROW(truth) EXPECT_TRUE(truth) { TH_LOG("bug: %s", variant->bug); }

/*
 * The second of three pages is the one that is looked at; its first byte is
 * stored to through the private mapping, its second is changed in the object.
 */
TEST_F(cow, private_page_parts_from_the_object_when_stored_to)
{
	bool copied = variant->state >= READ_WRITTEN;
	unsigned char old = variant->present ? 'o' : 0;
	size_t page = self->page;
	unsigned char *s;
	unsigned char *p;
	unsigned char *later;

	s = object_map(&self->o, 3 * page, RW, MAP_SHARED);
	p = object_map(&self->o, 3 * page, RW, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, s);
	ASSERT_NE(MAP_FAILED, p);
	if (variant->present)
		memset(s, 'o', 3 * page);

	if (variant->state == NEIGHBOUR)
		EXPECT_EQ(old, *(volatile unsigned char *)p);
	if (variant->state == READ || variant->state == READ_WRITTEN)
		EXPECT_ROW(page_is(p + page, old));
	if (copied) {
		p[page] = 'p';
		EXPECT_ROW(page_begins(p + page, 'p', old, old));
	}

	/* The private store, if any, is not seen in the object. */
	EXPECT_ROW(bytes_are(s, old, 3 * page));
	EXPECT_EQ(old, object_byte(&self->o, page));

	/* The object's change is seen where the page is still the object's. */
	if (variant->change == STORE)
		s[page + 1] = 'n';
	else
		ASSERT_EQ(1, pwrite(self->o.fd, "n", 1, page + 1));
	EXPECT_ROW(page_begins(s + page, old, 'n', old));
	EXPECT_EQ('n', object_byte(&self->o, page + 1));
	EXPECT_ROW(page_begins(p + page, copied ? 'p' : old,
			       copied ? old : 'n', old));

	/* A store from now on parts them, with the bytes of now. */
	p[page] = 'q';
	EXPECT_ROW(page_begins(p + page, 'q', copied ? old : 'n', old));
	EXPECT_ROW(page_begins(s + page, old, 'n', old));
	later = object_map(&self->o, 3 * page, PROT_READ, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, later);
	EXPECT_ROW(page_begins(later + page, old, 'n', old));
	EXPECT_ROW(page_is(later + 2 * page, old));
}

TEST_HARNESS_MAIN
