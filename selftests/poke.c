// SPDX-License-Identifier: GPL-2.0
/*
 * poke FILE {OFFSET TEXT [sync]}...: store each text through a shared mapping,
 * and with "sync" make its page durable by msync(2). For tests that are scripts.
 *
 * Exits with 0; 2 if a call fails; or dies of the signal that a store is.
 */
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void poke(int fd, size_t offset, const char *text, bool sync)
{
	size_t page = getpagesize();
	size_t start = offset / page * page;
	char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 start);

	if (map == MAP_FAILED)
		err(2, "mmap");
	memcpy(map + offset - start, text, strlen(text));
	if (sync && msync(map, page, MS_SYNC))
		err(2, "msync");
	munmap(map, 2 * page);
}

int main(int argc, char **argv)
{
	int fd = argc < 4 ? -1 : open(argv[1], O_RDWR);

	if (argc < 4)
		errx(2, "usage: poke FILE {OFFSET TEXT [sync]}...");
	if (fd < 0)
		err(2, "%s", argv[1]);
	for (int i = 2; i + 1 < argc; i += 2) {
		bool sync = i + 2 < argc && !strcmp(argv[i + 2], "sync");

		poke(fd, strtoul(argv[i], NULL, 0), argv[i + 1], sync);
		i += sync;
	}
	return 0;
}
