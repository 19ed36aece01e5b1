// SPDX-License-Identifier: GPL-2.0
/*
 * Who has a device or an object file open, mapped or mounted, as far as /proc
 * shows it.
 */
#include "ctl.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAX_SHOWN	10

/* What tells a file of the module from others. */
struct ours {
	dev_t device;		/* of the node /dev/mmapdev */
	unsigned int major;	/* of the nodes of named objects; 0: no such */
	dev_t files;		/* the file system of object files; 0: none */
	dev_t dev;		/* the file system of the nodes */
};

/* A removed name's node may still be open: what remains is the major number. */
static unsigned int names_major(void)
{
	unsigned int major = 0;
	bool found = false;
	char line[64];
	FILE *file = fopen("/proc/devices", "re");

	if (!file)
		return 0;
	while (!found && fgets(line, sizeof(line), file)) {
		char name[32];

		found = sscanf(line, "%u %31s", &major, name) == 2 &&
			!strcmp(name, MODULE_NAME);
	}
	fclose(file);
	return found ? major : 0;
}

static dev_t files_device(void)
{
	struct mmapdev_file wanted = { .flags = O_RDONLY | O_CLOEXEC };
	struct stat st = { };
	int fd = open(DEVICE_PATH, O_RDONLY | O_CLOEXEC);
	int file = fd < 0 ? -1 : ioctl(fd, MMAPDEV_IOC_GET_FILE, &wanted);

	if (file >= 0) {
		fstat(file, &st);
		close(file);
	}
	if (fd >= 0)
		close(fd);
	return st.st_dev;
}

static struct ours find_ours(void)
{
	struct ours ours = {
		.device = sysfs_device(CLASS_SYSFS),
		.major = names_major(),
		.files = files_device(),
	};
	struct stat st;

	if (!stat(DEVICE_PATH, &st))
		ours.dev = st.st_dev;
	return ours;
}

static bool is_ours(const struct ours *ours, const struct stat *st)
{
	if (S_ISCHR(st->st_mode))
		return st->st_rdev == ours->device ||
		       (ours->major && major(st->st_rdev) == ours->major);
	return ours->files && st->st_dev == ours->files;
}

static bool has_open(const char *pid, const struct ours *ours)
{
	struct dirent *entry;
	struct stat st;
	char path[32];
	DIR *directory;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%.10s/fd", pid);
	directory = opendir(path);
	if (!directory)
		return false;
	while (!found && (entry = readdir(directory))) {
		if (fstatat(dirfd(directory), entry->d_name, &st, 0))
			continue;
		found = is_ours(ours, &st);
	}
	closedir(directory);
	return found;
}

/* A mapping keeps the file open after close(2), and its name may be gone. */
static bool has_mapped_at(const char *pid, const struct ours *ours,
			  const char *line)
{
	unsigned int major, minor;
	uint64_t start, end;
	struct stat st;
	char path[80];
	dev_t device;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %x:%x", &start, &end,
		   &major, &minor) != 4)
		return false;
	device = makedev(major, minor);
	if (!device)
		return false;
	if (device == ours->files)
		return true;
	/* Of the many mapped files only those of /dev are worth a look. */
	if (device != ours->dev)
		return false;
	snprintf(path, sizeof(path),
		 "/proc/%.10s/map_files/%" PRIx64 "-%" PRIx64, pid, start, end);
	return !stat(path, &st) && is_ours(ours, &st);
}

static bool has_mapped(const char *pid, const struct ours *ours)
{
	char path[32];
	char *line = NULL;
	size_t size = 0;
	FILE *file;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%.10s/maps", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && getline(&line, &size, file) > 0)
		found = has_mapped_at(pid, ours, line);
	free(line);
	fclose(file);
	return found;
}

static void print_process(const char *pid)
{
	char directory[32];
	char comm[64];

	snprintf(directory, sizeof(directory), "/proc/%.10s", pid);
	if (!sysfs_read(directory, "comm", comm, sizeof(comm)))
		return;		/* it has just ended */
	fprintf(stderr, "  process %s (%s)\n", pid, comm);
}

/* How many there are; the first are printed. */
static int print_processes(const struct ours *ours)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	int found = 0;

	if (!proc)
		return 0;
	while ((entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		if (pid <= 0 || pid == getpid())
			continue;
		if (!has_open(entry->d_name, ours) &&
		    !has_mapped(entry->d_name, ours))
			continue;
		if (++found <= MAX_SHOWN)
			print_process(entry->d_name);
	}
	closedir(proc);
	if (found > MAX_SHOWN)
		fprintf(stderr, "  and %d more\n", found - MAX_SHOWN);
	return found;
}

static int print_mounts(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *entry;
	int found = 0;

	if (!mounts)
		return 0;
	while ((entry = getmntent(mounts))) {
		if (strcmp(entry->mnt_type, MODULE_NAME))
			continue;
		fprintf(stderr, "  mount %s\n", entry->mnt_dir);
		found++;
	}
	endmntent(mounts);
	return found;
}

void holders_print(void)
{
	struct ours ours = find_ours();
	int found = print_processes(&ours) + print_mounts();

	if (!found)
		fputs("  no process that /proc shows; "
		      "perhaps a descriptor on its way through a socket\n",
		      stderr);
}
