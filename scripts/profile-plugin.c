// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU's that counts how often each instruction is executed, for
 * scripts/profile: between the marks of userspace/bench/mark.h.
 *
 *   -plugin profile-plugin.so,out=FILE
 *
 * FILE gets a line "ADDRESS COUNT" for each address, and "case" after those of
 * one case.
 *
 * Debian 12 has no package with qemu-plugin.h. What is used of it is declared
 * here: version 1, https://www.qemu.org/docs/master/devel/tcg-plugins.html
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../userspace/bench/mark.h"

#define EXPORT	__attribute__((visibility("default")))

struct qemu_plugin_insn;
struct qemu_plugin_tb;
struct qemu_info_t;

enum { CB_NO_REGS };
enum { INLINE_ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
		void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
		void (*cb)(unsigned int vcpu, void *data), int flags,
		void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
		int op, void *p, uint64_t n);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info,
			       int argc, char **argv);

/* An instruction, for as long as QEMU runs: its code refers to the count. */
struct place {
	uint64_t address;
	uint64_t executed;	/* in all */
	uint64_t at_begin;	/* of that, before the last BEGIN */
	uint64_t measured;	/* of this case */
	struct place *next;
};

#define BUCKETS	(1 << 16)

static struct place *places[BUCKETS];
static bool measuring;
static FILE *out;

static struct place *place(uint64_t address)
{
	struct place **bucket = &places[(address ^ address >> 16) % BUCKETS];
	struct place *p;

	for (p = *bucket; p; p = p->next)
		if (p->address == address)
			return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		abort();
	p->address = address;
	p->next = *bucket;
	*bucket = p;
	return p;
}

static void each_place(void (*what)(struct place *p))
{
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		for (struct place *p = places[i]; p; p = p->next)
			what(p);
}

static void begin(struct place *p)
{
	p->at_begin = p->executed;
}

static void end(struct place *p)
{
	p->measured += p->executed - p->at_begin;
}

static void tell(struct place *p)
{
	if (p->measured)
		fprintf(out, "%" PRIx64 " %" PRIu64 "\n", p->address,
			p->measured);
	p->measured = 0;
}

static void marked(unsigned int vcpu, void *data)
{
	uint32_t mark = (uintptr_t)data;

	(void)vcpu;
	if (mark == MARK_BEGIN)
		each_place(begin);
	else if (mark == MARK_END && measuring)
		each_place(end);
	measuring = mark == MARK_BEGIN;
	if (mark == MARK_CASE) {
		each_place(tell);
		fputs("case\n", out);
		fflush(out);
	}
}

/* 0f 1f 80 and 32 bits: nopl with a displacement. */
static uint32_t mark_of(const struct qemu_plugin_insn *insn)
{
	static const unsigned char nopl[] = { 0x0f, 0x1f, 0x80 };
	const unsigned char *bytes = qemu_plugin_insn_data(insn);
	uint32_t mark = 0;

	if (qemu_plugin_insn_size(insn) == sizeof(nopl) + sizeof(mark) &&
	    !memcmp(bytes, nopl, sizeof(nopl)))
		memcpy(&mark, bytes + sizeof(nopl), sizeof(mark));
	return mark >= MARK_BEGIN && mark <= MARK_CASE ? mark : 0;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);
	size_t i;

	(void)id;
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		struct place *p = place(qemu_plugin_insn_vaddr(insn));
		uint32_t mark = mark_of(insn);

		qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64,
							   &p->executed, 1);
		if (mark)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, marked,
					CB_NO_REGS, (void *)(uintptr_t)mark);
	}
}

int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc,
			char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	out = fopen(argv[0] + 4, "w");
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
