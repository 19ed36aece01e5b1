// SPDX-License-Identifier: GPL-2.0
/*
 * A guest of QEMU, booted by Multiboot: it fills its memory with words that
 * tell where they are, or verifies that it finds them there. The last word of
 * its command line says which: "fill" or "verify".
 *
 * It ends QEMU with status 33 (all is well), 35 (wrong bytes) or 37 (other
 * memory than it should have), by QEMU's device isa-debug-exit.
 */
#include <stdint.h>

#define EXIT_PORT	0xf4		/* -device isa-debug-exit */
#define FIRST		(2 << 20)	/* this program is below */
#define MEMORY		(64 << 20)	/* what the guest has */
#define LAST		(32 << 20)	/* QEMU's firmware uses some above */
#define STEP		64		/* bytes from a word to the next */

/* Where a Multiboot loader says what it has loaded. */
struct multiboot_info {
	uint32_t flags;
	uint32_t mem_lower;		/* KiB */
	uint32_t mem_upper;		/* KiB above 1 MiB */
	uint32_t boot_device;
	const char *cmdline;
};

/* The header by which a loader knows it; flag 2: tell how much memory there is. */
__asm__(".section .multiboot, \"a\"\n"
	".align 4\n"
	".long 0x1badb002, 0x2, -(0x1badb002 + 0x2)\n"
	".text\n"
	".globl _start\n"
	"_start:\n"
	"	movl $stack_end, %esp\n"
	"	pushl %ebx\n"
	"	call boot\n"
	".bss\n"
	".skip 4096\n"
	"stack_end:\n"
	".text\n");

static void quit(uint8_t value)
{
	for (;;)
		__asm__ volatile("outb %0, %1" : : "a" (value),
				 "Nd" ((uint16_t)EXIT_PORT));
}

static uint32_t word_at(uint32_t address)
{
	return address * 2654435761U ^ 0x6d6d6170;
}

static void fill(void)
{
	for (uint32_t address = FIRST; address < LAST; address += STEP)
		*(volatile uint32_t *)address = word_at(address);
}

static void verify(void)
{
	for (uint32_t address = FIRST; address < LAST; address += STEP) {
		if (*(volatile uint32_t *)address != word_at(address))
			quit(0x11);
	}
}

void boot(const struct multiboot_info *info)
{
	const char *last = info->cmdline;

	/* It keeps less than 1 MiB at the end for itself. */
	if (info->mem_upper > (MEMORY >> 10) - 1024 ||
	    info->mem_upper < (MEMORY >> 10) - 2048)
		quit(0x12);
	for (const char *c = info->cmdline; *c; c++) {
		if (*c == ' ')
			last = c + 1;
	}
	if (*last == 'f')
		fill();
	verify();
	quit(0x10);
}
