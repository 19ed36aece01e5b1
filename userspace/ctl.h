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
#include <stdint.h>
#include <sys/types.h>

#include "mmapdev.h"

#define MODULE_NAME	"mmapdev"
#define DEVICE_PATH	"/dev/mmapdev"
#define MODULE_SYSFS	"/sys/module/mmapdev"
#define CLASS_SYSFS	"/sys/class/misc/mmapdev"

/* A named object's node is NODE_PREFIX NAME, and NAMES_SYSFS/NAME tells of it. */
#define NODE_PREFIX	DEVICE_PATH "-"
#define NAMES_SYSFS	"/sys/class/mmapdev"
#define NODE_PATH_SIZE	(sizeof(NODE_PREFIX) + MMAPDEV_NAME_SIZE)
#define NAME_SYSFS_SIZE	(sizeof(NAMES_SYSFS "/") + MMAPDEV_NAME_SIZE)

/* Exit statuses; 3 for "not loaded" is what service managers use. */
enum { CTL_OK = 0, CTL_ERROR = 1, CTL_USAGE = 2, CTL_NOT_LOADED = 3 };

/* mmapdevctl.c: "mmapdevctl: " and the message, to stderr. */
__attribute__((format(printf, 1, 2)))
int ctl_error(const char *format, ...);		/* CTL_ERROR */
__attribute__((format(printf, 1, 2)))
int ctl_usage_error(const char *format, ...);	/* CTL_USAGE */
int ctl_not_loaded(void);			/* CTL_NOT_LOADED */

/* load.c, unload.c and so on: the commands; argv[0] is the command's name. */
int ctl_load(int argc, char **argv);
int ctl_unload(int argc, char **argv);
int ctl_status(int argc, char **argv);
int ctl_create(int argc, char **argv);
int ctl_remove(int argc, char **argv);
int ctl_resize(int argc, char **argv);
int ctl_list(int argc, char **argv);
int ctl_serve(int argc, char **argv);
int ctl_map(int argc, char **argv);
int ctl_watch(int argc, char **argv);
int ctl_unsynced(int argc, char **argv);
int ctl_crash(int argc, char **argv);
int ctl_inject(int argc, char **argv);
int ctl_rules(int argc, char **argv);
int ctl_uninject(int argc, char **argv);

/* sysfs.c: the first line of a file without its newline; false if unreadable. */
bool sysfs_read(const char *directory, const char *name, char *line,
		size_t size);
/* The device number in a device's directory, or 0 if there is none. */
dev_t sysfs_device(const char *directory);
/* The names of all named objects, sorted; -1 if there cannot be any. */
int sysfs_names(char ***names);
void sysfs_names_free(char **names, int count);

/* node.c: is something else where the kernel would make the device's node? */
int node_is_free(const char *path, const char *directory);
/* Wait for the node of the device that the directory in sysfs tells of. */
int node_wait(const char *path, const char *directory);

/* object.c: can an object have this name? */
int object_check_name(const char *name);
/* Open a new object, or a named one, with the flags of open(2). */
int object_open_new(int flags, int *fd);
/* Open a new durable object; the name is for the message. */
int object_open_durable(struct mmapdev_create *wanted, const char *name,
			int *fd);
int object_open(const char *name, int flags, int *fd);
/* Set the end of file; the name is for the message. */
int object_resize(int fd, const char *name, uint64_t size);

/* size.c: bytes, with K, M, G or T; UINT64_MAX for what is more than that. */
int size_parse(const char *word, uint64_t *bytes);
/* A whole number, decimal or 0x and hexadecimal, from least to most. */
int number_parse(const char *word, uint64_t least, uint64_t most,
		 uint64_t *number);

/* rule.c: names of events and actions. */
int rule_parse_event(const char *word, struct mmapdev_rule *rule);
int rule_parse_action(const char *word, struct mmapdev_rule *rule);
const char *rule_event(const struct mmapdev_rule *rule);
const char *rule_action(const struct mmapdev_rule *rule);

/* link.c: the file at path, as a symbolic link to this process's descriptor. */
int link_make(const char *path, int file);
void link_remove(const char *path, int file);
/* Is path now the file that the descriptor is of? */
bool link_leads_to(const char *path, int file);
/* Why path cannot be made: EEXIST. */
int link_explain_taken(const char *path);

/* bind.c: the file at path, as a mount over an empty file. */
int bind_make(const char *path, const char *name, int file, bool read_only);
void bind_remove(const char *path, int file);

/* holders.c: who keeps the module from being unloaded. */
void holders_print(void);

#endif /* _CTL_H */
