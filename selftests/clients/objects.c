// SPDX-License-Identifier: GPL-2.0
/*
 * For LD_PRELOAD: what a program makes of the kernel's own memory, it makes of
 * objects. Each anonymous mapping is of a new object, as each shared mapping of
 * /dev/zero is; and each file that it creates below the directory $OBJECTS is,
 * behind its descriptor, the file of a new object.
 *
 * Some programs map nothing but anonymous memory and files of their own
 * creation, so this is the only way to have them use the device. It sees what
 * the program itself asks for, not what the C library maps for its own needs.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mmapdev.h"

/* Without it, the program would run on other memory and prove nothing. */
static int new_object(void)
{
	int fd = syscall(SYS_openat, AT_FDCWD, "/dev/mmapdev",
			 O_RDWR | O_CLOEXEC, 0);

	if (fd < 0 && errno != EMFILE && errno != ENFILE && errno != ENOMEM)
		err(1, "/dev/mmapdev");
	return fd;
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd,
	     off64_t offset)
{
	const int others = MAP_STACK | MAP_GROWSDOWN | MAP_HUGETLB;
	void *mapping;

	if (!(flags & MAP_ANONYMOUS) || (flags & others))
		return (void *)syscall(SYS_mmap, address, length, protection,
				       flags, fd, offset);
	fd = new_object();
	if (fd < 0)
		return MAP_FAILED;
	mapping = (void *)syscall(SYS_mmap, address, length, protection,
				  flags & ~MAP_ANONYMOUS, fd, 0);
	syscall(SYS_close, fd);
	return mapping;
}

/* Put the file of a new, empty object behind a descriptor. */
static void replace(int fd, int flags)
{
	struct mmapdev_file wanted = {
		.flags = flags & (O_ACCMODE | O_APPEND | O_CLOEXEC),
	};
	struct mmapdev_size size = { };
	int object = new_object();
	int file;

	if (object < 0 || ioctl(object, MMAPDEV_IOC_SET_SIZE, &size))
		err(1, "a new object");
	file = ioctl(object, MMAPDEV_IOC_GET_FILE, &wanted);
	if (file < 0 || dup3(file, fd, flags & O_CLOEXEC) < 0)
		err(1, "its file");
	close(file);
	close(object);
}

int open64(const char *path, int flags, ...)
{
	const char *directory = getenv("OBJECTS");
	mode_t mode = 0;
	int fd;

	if (flags & (O_CREAT | __O_TMPFILE)) {
		va_list arguments;

		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
	}
	fd = syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (fd >= 0 && (flags & O_CREAT) && directory &&
	    (flags & O_ACCMODE) == O_RDWR &&
	    !strncmp(path, directory, strlen(directory)))
		replace(fd, flags);
	return fd;
}
