/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of mmapdevctl share.
 *
 * A function that returns int returns an exit status, after it has said on
 * stderr what went wrong, unless its comment tells otherwise.
 */
#ifndef _CTL_H
#define _CTL_H

#include <stdbool.h>
#include <sys/types.h>

#define MODULE_NAME	"mmapdev"
#define DEVICE_PATH	"/dev/mmapdev"
#define MODULE_SYSFS	"/sys/module/mmapdev"
#define CLASS_SYSFS	"/sys/class/misc/mmapdev"

/* Exit statuses; 3 for "not loaded" is what service managers use. */
enum { CTL_OK = 0, CTL_ERROR = 1, CTL_USAGE = 2, CTL_NOT_LOADED = 3 };

/* mmapdevctl.c: "mmapdevctl: " and the message, to stderr. */
__attribute__((format(printf, 1, 2)))
int ctl_error(const char *format, ...);		/* CTL_ERROR */
__attribute__((format(printf, 1, 2)))
int ctl_usage_error(const char *format, ...);	/* CTL_USAGE */

/* load.c, unload.c, status.c: the commands; argv[0] is the command's name. */
int ctl_load(int argc, char **argv);
int ctl_unload(int argc, char **argv);
int ctl_status(int argc, char **argv);

/* sysfs.c: the first line of a file without its newline; false if unreadable. */
bool sysfs_read(const char *directory, const char *name, char *line,
		size_t size);
/* The device number that the kernel gave the device, or 0 if there is none. */
dev_t sysfs_device(void);

/* holders.c: the processes that keep the module from being unloaded. */
void holders_print(void);

#endif /* _CTL_H */
