// SPDX-License-Identifier: GPL-2.0
/*
 * A tour of /dev/mmapdev: each claim is checked on the live device, and the
 * first that does not hold ends the tour with status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"
#include "claim.h"
#include "mmapdev.h"
#include "picture.h"
#include "trap.h"

#define RW	(PROT_READ | PROT_WRITE)

static const char *device = "/dev/mmapdev";
static size_t page;		/* bytes */

/* What the steps share: an object of 16 pages and three mappings of it. */
static int fd = -1;
static volatile unsigned char *shared;
static volatile unsigned char *other;
static volatile unsigned char *private;

static void show_object(const char *expected)
{
	struct picture seen = picture_of_object(fd);

	show("      object   [%s]", seen.pages);
	must(!strcmp(seen.pages, expected), expected);
}

static void show_copies(const char *expected)
{
	struct picture seen = picture_of_copies((void *)private);

	show("      copies   [%s]", seen.pages);
	must(!strcmp(seen.pages, expected), expected);
}

static int open_fresh(void)
{
	int fresh = open(device, O_RDWR | O_CLOEXEC);

	if (fresh < 0) {
		fprintf(stderr, "tour: cannot open %s: %m%s\n", device,
			errno == ENOENT ? "; load the module first" : "");
		exit(1);
	}
	return fresh;
}

static int open_durable(void)
{
	struct mmapdev_create want = {
		.store = MMAPDEV_STORE_MEMORY,
		.flags = O_RDWR | O_CLOEXEC,
		.size = PICTURE_PAGES * page,
		.fd = -1,
	};
	int fresh = open_fresh();
	int durable = ioctl(fresh, MMAPDEV_IOC_CREATE, &want);

	must(durable >= 0, "MMAPDEV_IOC_CREATE succeeds");
	close(fresh);
	return durable;
}

static struct mmapdev_info info_of(int object)
{
	struct mmapdev_info info;

	must(!ioctl(object, MMAPDEV_IOC_GET_INFO, &info),
	     "MMAPDEV_IOC_GET_INFO succeeds");
	return info;
}

static void resize(size_t pages)
{
	struct mmapdev_size size = { .size = pages * page };

	must(!ioctl(fd, MMAPDEV_IOC_SET_SIZE, &size),
	     "MMAPDEV_IOC_SET_SIZE succeeds");
}

static volatile unsigned char *map(int object, int prot, int flags)
{
	void *at = mmap(NULL, PICTURE_PAGES * page, prot, flags, object, 0);

	must(at != MAP_FAILED, "mmap succeeds");
	return at;
}

static void unmap(volatile unsigned char *at)
{
	munmap((void *)at, PICTURE_PAGES * page);
}

static void fresh_object(void)
{
	struct mmapdev_info info;
	int second;

	claim("Each open makes an object of its own, with no page and no end.");
	fd = open_fresh();
	second = open_fresh();
	info = info_of(fd);
	show("      object %llu: %llu pages; object %llu: %llu pages",
	     (unsigned long long)info.object,
	     (unsigned long long)info.resident,
	     (unsigned long long)info_of(second).object,
	     (unsigned long long)info_of(second).resident);
	must(info.object != info_of(second).object, "the objects differ");
	must(!info.resident && !info_of(second).resident, "no page is held");
	must(info.size == info.max_size, "no end is set");
	close(second);
	ok();
}

static void sized_object(void)
{
	claim("Given a size (16 pages) and mapped, it still holds nothing.");
	resize(PICTURE_PAGES);
	must(info_of(fd).size == PICTURE_PAGES * page, "the size is as set");
	shared = map(fd, RW, MAP_SHARED);
	show_object("................");
	ok();
}

static void demand_zero(void)
{
	size_t i;

	claim("Pages of zeros appear as they are touched: load 2, store 3 and 10.");
	must(shared[2 * page] == 0, "page 2 is zero");
	shared[3 * page] = 'a';
	shared[10 * page] = 'b';
	for (i = 1; i < page; i++)
		must(shared[3 * page + i] == 0, "the rest of page 3 is zero");
	show_object("..MM......M.....");
	ok();
}

static void two_mappings(void)
{
	claim("SHARED: a second mapping sees each store at once, and the other way.");
	other = map(fd, RW, MAP_SHARED);
	must(other != shared, "the mappings are at two addresses");
	must(other[3 * page] == 'a', "the second mapping sees the first's store");
	other[5 * page] = 'c';
	must(shared[5 * page] == 'c', "the first mapping sees the second's store");
	show_object("..MM.M....M.....");
	ok();
}

/* In a child: change a byte from 'a' to 'A'. */
static int child_changes(void *at, struct turn *turn)
{
	volatile unsigned char *byte = at;

	(void)turn;
	if (*byte != 'a')
		return 1;
	*byte = 'A';
	return *byte == 'A' ? 0 : 1;
}

static void forked_child(void)
{
	claim("SHARED: so does a forked child, and its stores reach the parent.");
	must(child_run(child_changes, (void *)(shared + 3 * page)) == 0,
	     "the child sees 'a' and stores 'A'");
	show("      page 3: stored 'a', the child read it and stored '%c'",
	     shared[3 * page]);
	must(shared[3 * page] == 'A', "the parent sees the child's store");
	ok();
}

static void read_and_write(void)
{
	unsigned char byte;

	claim("read(2) and write(2) work on the same pages: write page 12.");
	must(pread(fd, &byte, 1, 10 * page) == 1 && byte == 'b',
	     "read gives what was stored to page 10");
	must(pwrite(fd, "w", 1, 12 * page) == 1, "write takes a byte");
	show_object("..MM.M....M.r...");
	must(shared[12 * page] == 'w', "the mapping sees what was written");
	show_object("..MM.M....M.M...");
	ok();
}

static void private_copies(void)
{
	claim("PRIVATE: shows the object, until a store copies the page: 3 and 12.");
	private = map(fd, RW, MAP_PRIVATE);
	private[3 * page] = 'p';
	private[12 * page] = 'p';
	must(shared[3 * page] == 'A' && shared[12 * page] == 'w',
	     "a private store leaves the object as it was");
	shared[3 * page] = 'a';
	must(private[3 * page] == 'p', "the copy no longer follows the object");
	must(private[10 * page] == 'b', "a page not copied shows the object's");
	shared[10 * page] = 'B';
	must(private[10 * page] == 'B', "and what is stored to it later");
	show_object("..MM.M....M.M...");
	show_copies("...c........c...");
	ok();
}

static void private_over_hole(void)
{
	claim("PRIVATE: a store over a hole (page 7) copies zeros; the hole stays.");
	private[7 * page + 1] = 'p';
	must(private[7 * page] == 0, "the copy of a hole is zero");
	show_object("..MM.M....M.M...");
	show_copies("...c...c....c...");
	ok();
}

/* A child stores to both mappings of an object without size and name. */
static int child_stores(void *maps, struct turn *turn)
{
	volatile unsigned char **both = maps;

	(void)turn;
	both[0][0] = 's';
	both[1][page] = 'p';
	return both[0][0] == 's' && both[1][page] == 'p' ? 0 : 1;
}

static void anonymous(void)
{
	volatile unsigned char *maps[2];
	int fresh = open_fresh();

	claim("ANONYMOUS: a fresh object needs no size and no name to be mapped.");
	maps[0] = map(fresh, RW, MAP_SHARED);
	maps[1] = map(fresh, RW, MAP_PRIVATE);
	must(child_run(child_stores, maps) == 0, "the child stores");
	must(maps[0][0] == 's', "a child's shared store is seen");
	must(info_of(fresh).resident == 1, "its private store took no page");
	must(maps[1][page] == 0, "a child's private store is not seen");
	show("      a child stored to both mappings; seen: shared '%c', private %d",
	     maps[0][0], maps[1][page]);
	ok();
	unmap(maps[0]);
	unmap(maps[1]);
	close(fresh);
	puts("      So these are the four kinds of mapping, and what each is like:\n"
	     "        shared,  file-like (sized)    a file that processes map together\n"
	     "        private, file-like (sized)    a program's data: copied when written\n"
	     "        shared,  anonymous (unsized)  memory for a process and its children\n"
	     "        private, anonymous (unsized)  the heap: zeros of the process's own");
}

static void show_trap(const char *what, struct trap trap, int signo, int code,
		      volatile void *at)
{
	show("      %s %s at %p", what,
	     trap.signo == SIGBUS ? "SIGBUS" :
	     trap.signo == SIGSEGV ? "SIGSEGV" : "no signal", trap.addr);
	must(trap.signo == signo, "that is the signal");
	must(trap.code == code, "si_code is right");
	must(trap.addr == at, "si_addr is the address that was touched");
}

static void shrink(void)
{
	claim("Shrunk to 8 pages, it gives back those past the end, copies too.");
	resize(8);
	show_object("..MM.M..........");
	show_copies("...c...c........");
	ok();
	claim("Past the end a load or a store is SIGBUS, at the very address.");
	show_trap("store to page 10, shared:",
		  trap_store(shared + 10 * page + 5, 1), SIGBUS, BUS_ADRERR,
		  shared + 10 * page + 5);
	show_trap("load of page 12, private:",
		  trap_load(private + 12 * page), SIGBUS, BUS_ADRERR,
		  private + 12 * page);
	ok();
}

static void regrow(void)
{
	claim("Grown again, what was dropped is zero: load page 10.");
	resize(PICTURE_PAGES);
	must(shared[10 * page] == 0, "page 10 is zero");
	must(shared[5 * page] == 'c', "page 5 is as it was");
	must(private[3 * page] == 'p', "the copy of page 3 is as it was");
	show_object("..MM.M....M.....");
	ok();
}

static void outside(void)
{
	volatile unsigned char *readonly = map(fd, PROT_READ, MAP_SHARED);

	claim("A store to a read-only mapping, or a load outside, is SIGSEGV.");
	show_trap("store to page 2, read-only:",
		  trap_store(readonly + 2 * page, 1), SIGSEGV, SEGV_ACCERR,
		  readonly + 2 * page);
	unmap(readonly);
	show_trap("load after munmap:", trap_load(readonly), SIGSEGV,
		  SEGV_MAPERR, readonly);
	ok();
}

static void counters(void)
{
	struct mmapdev_stats s;

	claim("The object has counted all of this.");
	must(!ioctl(fd, MMAPDEV_IOC_GET_STATS, &s),
	     "MMAPDEV_IOC_GET_STATS succeeds");
#define PAIR(a, b)							\
	show("      %-20s %6llu     %-20s %6llu",			\
	     #a, (unsigned long long)s.a, #b, (unsigned long long)s.b)
	PAIR(fault_shared_read, fault_shared_write);
	PAIR(fault_private_read, fault_around);
	PAIR(fault_cow_source, fault_cow_hole);
	PAIR(pages_allocated, pages_freed);
#undef PAIR
	show("      %-20s %6llu", "sigbus", (unsigned long long)s.sigbus);
	must(s.fault_cow_source == 3, "3 pages were copied");
	must(s.fault_cow_hole == 1, "1 of them over a hole");
	must(s.pages_allocated == 6, "6 pages were allocated");
	must(s.pages_freed == 2, "2 pages were freed");
	must(s.sigbus == 2, "2 touches were past the end");
	ok();
}

/* Run a shell's command. */
__attribute__((format(printf, 1, 2)))
static void program(const char *format, ...)
{
	char command[72];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	show("      $ %s", command);
	must(!system(command), command);
}

/* An object with the three lines that sort(1) will put in order. */
static int open_words(void)
{
	struct mmapdev_size empty = { };
	int words = open_fresh();

	must(!ioctl(words, MMAPDEV_IOC_SET_SIZE, &empty),
	     "MMAPDEV_IOC_SET_SIZE succeeds");
	must(write(words, "pear\nfig\nplum\n", 14) == 14, "write succeeds");
	return words;
}

static void object_file(void)
{
	struct mmapdev_file want = { .flags = O_RDWR | O_CLOEXEC };
	int words = open_words();
	volatile unsigned char *at = map(words, RW, MAP_SHARED);
	int file = ioctl(words, MMAPDEV_IOC_GET_FILE, &want);

	claim("FILE: it is a regular file to programs that want one: sort in place.");
	must(file >= 0, "MMAPDEV_IOC_GET_FILE succeeds");
	program("f=/proc/%d/fd/%d; test -f $f && sort -o $f $f", getpid(), file);
	must(!memcmp((void *)at, "fig\npear\nplum\n", 14),
	     "the mapping sees the lines sorted");
	ok();
	close(file);
	unmap(at);
	close(words);
}

static void named_object(void)
{
	struct mmapdev_name name = { .mode = 0600, .uid = -1, .gid = -1 };
	int words = open_words();
	volatile unsigned char *at = map(words, RW, MAP_SHARED);

	claim("NAMED: it is open to programs that have nothing to do with this one.");
	snprintf(name.name, sizeof(name.name), "tour-%d", getpid());
	must(!ioctl(words, MMAPDEV_IOC_SET_NAME, &name),
	     "MMAPDEV_IOC_SET_NAME succeeds (it needs root)");
	program("f=/dev/mmapdev-%s; grep -qx plum $f && echo kiwi >$f",
		name.name);
	must(!memcmp((void *)at, "kiwi\n", 5),
	     "the mapping sees what a shell wrote");
	must(!ioctl(words, MMAPDEV_IOC_REMOVE_NAME),
	     "MMAPDEV_IOC_REMOVE_NAME succeeds");
	ok();
	unmap(at);
	close(words);
}

static void show_durable(int durable, const char *expected, const char *remark)
{
	struct picture seen = picture_of_durable(durable);

	show("      object   [%s]  %s", seen.pages, remark);
	must(!strcmp(seen.pages, expected), expected);
}

static void power_cut(void)
{
	/* With it the mapping lives on, and shows what survived. */
	struct mmapdev_crash crash = { .flags = MMAPDEV_CRASH_REVERT };
	int durable = open_durable();
	volatile unsigned char *at = map(durable, RW, MAP_SHARED);

	claim("DURABLE: what msync said is stored survives a power cut: page 3.");
	at[3 * page] = 'a';
	must(!msync((void *)(at + 3 * page), page, MS_SYNC),
	     "msync of page 3 succeeds");
	at[10 * page] = 'b';
	show_durable(durable, "...c......d.....", "c: stored, d: dirty");
	must(!ioctl(durable, MMAPDEV_IOC_CRASH, &crash),
	     "MMAPDEV_IOC_CRASH succeeds");
	show_durable(durable, "...c............", "after the power cut");
	must(at[3 * page] == 'a', "page 3 has what was stored");
	ok();
	claim("DURABLE: a store without msync does not: page 10 is zero again.");
	must(crash.lost == 1, "one page was lost");
	must(at[10 * page] == 0, "page 10 is zero");
	show("      pages lost: %llu; page 3: '%c', page 10: %d",
	     (unsigned long long)crash.lost, at[3 * page], at[10 * page]);
	ok();
	unmap(at);
	close(durable);
}

int main(int argc, char **argv)
{
	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		fprintf(stderr, "usage: tour [DEVICE]\n");
		return 2;
	}
	if (argc == 2)
		device = argv[1];
	page = getpagesize();
	close(open_fresh());
	/* Unbuffered: nothing is lost if a claim ends in a signal. */
	setvbuf(stdout, NULL, _IONBF, 0);
	printf("A tour of %s. A character in a picture is a page of %zu bytes:\n"
	       "  .  a hole, no page      r  the object holds a page\n"
	       "  c  a private copy       M  it does, and a process maps it\n\n",
	       device, page);
	fresh_object();
	sized_object();
	demand_zero();
	two_mappings();
	forked_child();
	read_and_write();
	private_copies();
	private_over_hole();
	anonymous();
	shrink();
	regrow();
	outside();
	counters();
	object_file();
	named_object();
	power_cut();
	puts("\nEvery claim holds.");
	return 0;
}
