// SPDX-License-Identifier: GPL-2.0
/*
 * poke FILE OFFSET TEXT [sync]: store the text through a shared mapping, and
 * with "sync" make its page durable by msync(2). For tests that are scripts.
 *
 * Exits with 0; 2 if a call fails; or dies of the signal that the store is.
 */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t page = getpagesize();
	size_t offset, start;
	char *map;
	int fd;

	if (argc != 4 && (argc != 5 || strcmp(argv[4], "sync")))
		errx(2, "usage: poke FILE OFFSET TEXT [sync]");
	offset = strtoul(argv[2], NULL, 0);
	start = offset / page * page;
	fd = open(argv[1], O_RDWR);
	if (fd < 0)
		err(2, "%s", argv[1]);
	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   start);
	if (map == MAP_FAILED)
		err(2, "mmap");
	memcpy(map + offset - start, argv[3], strlen(argv[3]));
	if (argc == 5 && msync(map, page, MS_SYNC))
		err(2, "msync");
	return 0;
}
