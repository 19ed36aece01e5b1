// SPDX-License-Identifier: GPL-2.0
/*
 * For mmapdevctl.sh: hold a mapping of the device, or of the file named, and no
 * open file, until standard input ends.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = open(argc > 1 ? argv[1] : "/dev/mmapdev", O_RDWR);
	void *map = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, fd, 0);
	char byte;

	if (fd < 0 || map == MAP_FAILED || close(fd)) {
		perror("hold_mapping");
		return 1;
	}
	puts("mapped");
	fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) != 0;
}
