// SPDX-License-Identifier: GPL-2.0
/*
 * peek FILE OFFSET LENGTH: print the bytes that are there, with 0 for those that
 * are zero, fewer at the end of file. For tests that are scripts.
 *
 * Exits with 0, or 2 if a call fails.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char bytes[256];
	ssize_t n;
	int fd;

	if (argc != 4 || strtoul(argv[3], NULL, 0) > sizeof(bytes))
		errx(2, "usage: peek FILE OFFSET LENGTH");
	fd = open(argv[1], O_RDONLY);
	if (fd < 0)
		err(2, "%s", argv[1]);
	n = pread(fd, bytes, strtoul(argv[3], NULL, 0),
		  strtoul(argv[2], NULL, 0));
	if (n < 0)
		err(2, "%s", argv[1]);
	for (ssize_t i = 0; i < n; i++)
		putchar(bytes[i] ?: '0');
	return 0;
}
