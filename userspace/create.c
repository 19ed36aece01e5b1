// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl create: a new object with a name.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNCHANGED	((uint32_t)-1)
#define FILE_PREFIX	"file:"

/* What the command line asks for. */
struct wanted {
	struct mmapdev_name name;
	struct mmapdev_create durable;	/* if it has a store */
	const char *file;		/* which is the store, or NULL */
	bool sized;
	bool after_error;
};

static int parse_mode(const char *word, uint32_t *mode)
{
	char *end;
	unsigned long number = strtoul(word, &end, 8);

	if (word[0] < '0' || word[0] > '7' || *end ||
	    !number || number > 0777)
		return ctl_usage_error("'%s' is not a mode: 0001 to 0777, in octal",
				       word);
	*mode = number;
	return CTL_OK;
}

/* As chown(1): a name comes before a number. (uint32_t)-1 is no id. */
static bool parse_id(const char *word, uint32_t *id)
{
	char *end;
	unsigned long number = strtoul(word, &end, 10);

	if (word[0] < '0' || word[0] > '9' || *end || number >= UNCHANGED)
		return false;
	*id = number;
	return true;
}

static int parse_user(const char *word, uint32_t *uid)
{
	const struct passwd *user = getpwnam(word);

	if (user)
		*uid = user->pw_uid;
	else if (!parse_id(word, uid))
		return ctl_error("no user is called '%s'", word);
	return CTL_OK;
}

static int parse_group(const char *word, uint32_t *gid)
{
	const struct group *group = getgrnam(word);

	if (group)
		*gid = group->gr_gid;
	else if (!parse_id(word, gid))
		return ctl_error("no group is called '%s'", word);
	return CTL_OK;
}

/* USER[:GROUP] or :GROUP; the word is cut at the colon. */
static int parse_owner(char *word, struct mmapdev_name *wanted)
{
	char *group = strchr(word, ':');
	int status = CTL_OK;

	if (group)
		*group++ = '\0';
	if (group && !*group)
		return ctl_usage_error("no group after '%s:'", word);
	if (!*word && !group)
		return ctl_usage_error("--owner takes USER[:GROUP]");
	if (*word)
		status = parse_user(word, &wanted->uid);
	if (status == CTL_OK && group)
		status = parse_group(group, &wanted->gid);
	return status;
}

static int parse_store(const char *word, struct wanted *wanted)
{
	wanted->file = NULL;
	if (!strcmp(word, "none")) {
		wanted->durable.store = MMAPDEV_STORE_NONE;
	} else if (!strcmp(word, "memory")) {
		wanted->durable.store = MMAPDEV_STORE_MEMORY;
	} else if (!strncmp(word, FILE_PREFIX, strlen(FILE_PREFIX)) &&
		   word[strlen(FILE_PREFIX)]) {
		wanted->durable.store = MMAPDEV_STORE_FILE;
		wanted->file = word + strlen(FILE_PREFIX);
	} else {
		return ctl_usage_error("'%s' is not a store: memory, file:PATH or none",
				       word);
	}
	return CTL_OK;
}

static int parse_after_error(const char *word, struct wanted *wanted)
{
	static const char * const names[] = {
		[MMAPDEV_AFTER_ERROR_CLEAN] = "clean",
		[MMAPDEV_AFTER_ERROR_DIRTY] = "dirty",
		[MMAPDEV_AFTER_ERROR_REVERT] = "revert",
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(word, names[i]))
			continue;
		wanted->durable.after_error = i;
		wanted->after_error = true;
		return CTL_OK;
	}
	return ctl_usage_error("--after-error takes clean, dirty or revert");
}

static int explain(const struct mmapdev_name *wanted)
{
	switch (errno) {
	case EEXIST:
		return ctl_error("the name '%s' is taken", wanted->name);
	case EPERM:
		return ctl_error("not permitted to make nodes (CAP_MKNOD), for others (CAP_CHOWN)");
	case ENOTTY:
		return ctl_error("this version of " MODULE_NAME " has no names");
	default:
		return ctl_error("cannot create '%s': %m", wanted->name);
	}
}

static int open_durable(struct wanted *wanted, int *fd)
{
	int status;

	wanted->durable.fd = -1;
	if (!wanted->file)
		return object_open_durable(&wanted->durable, wanted->name.name,
					   fd);
	wanted->durable.fd = open(wanted->file, O_RDWR | O_CLOEXEC);
	if (wanted->durable.fd < 0)
		return ctl_error("cannot open %s: %m", wanted->file);
	status = object_open_durable(&wanted->durable, wanted->name.name, fd);
	close(wanted->durable.fd);
	return status;
}

/* The size comes before the name: the name must never show another one. */
static int open_sized(struct wanted *wanted, int *fd)
{
	int status;

	if (wanted->durable.store != MMAPDEV_STORE_NONE)
		return open_durable(wanted, fd);
	status = object_open_new(O_RDWR, fd);
	if (status != CTL_OK)
		return status;
	status = object_resize(*fd, wanted->name.name, wanted->durable.size);
	if (status != CTL_OK)
		close(*fd);
	return status;
}

static int create(struct wanted *wanted)
{
	const char *name = wanted->name.name;
	char path[NODE_PATH_SIZE];
	char directory[NAME_SYSFS_SIZE];
	int status;
	int fd;

	snprintf(path, sizeof(path), NODE_PREFIX "%s", name);
	snprintf(directory, sizeof(directory), NAMES_SYSFS "/%s", name);
	status = open_sized(wanted, &fd);
	if (status != CTL_OK)
		return status;
	status = node_is_free(path, directory);
	if (status == CTL_OK && ioctl(fd, MMAPDEV_IOC_SET_NAME, &wanted->name))
		status = explain(&wanted->name);
	if (status == CTL_OK)
		status = node_wait(path, directory);
	close(fd);
	return status;
}

static int parse_size(const char *word, struct wanted *wanted)
{
	uint64_t size;
	int status = size_parse(word, &size);

	wanted->sized = true;
	if (status == CTL_OK)
		wanted->durable.size = size;
	return status;
}

static int parse_option(int option, char *word, struct wanted *wanted)
{
	switch (option) {
	case 's':
		return parse_size(word, wanted);
	case 'm':
		return parse_mode(word, &wanted->name.mode);
	case 'o':
		return parse_owner(word, &wanted->name);
	case 'S':
		return parse_store(word, wanted);
	case 'e':
		return parse_after_error(word, wanted);
	default:
		return ctl_usage_error("create has no such option");
	}
}

/* What one option says of another. */
static int check(const struct wanted *wanted)
{
	if (wanted->file && wanted->sized)
		return ctl_usage_error("the size is that of the file: no --size");
	if (wanted->after_error && wanted->durable.store == MMAPDEV_STORE_NONE)
		return ctl_usage_error("--after-error is about a store: --store");
	return CTL_OK;
}

int ctl_create(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ "mode", required_argument, NULL, 'm' },
		{ "owner", required_argument, NULL, 'o' },
		{ "store", required_argument, NULL, 'S' },
		{ "after-error", required_argument, NULL, 'e' },
		{ }
	};
	struct wanted wanted = {
		.name.mode = 0600,
		.name.uid = UNCHANGED,
		.name.gid = UNCHANGED,
	};
	int status = CTL_OK;
	int option;

	while (status == CTL_OK &&
	       (option = getopt_long(argc, argv, "", options, NULL)) != -1)
		status = parse_option(option, optarg, &wanted);
	if (status == CTL_OK)
		status = check(&wanted);
	if (status != CTL_OK)
		return status;
	if (argc - optind != 1)
		return ctl_usage_error("create takes one NAME");
	status = object_check_name(argv[optind]);
	if (status != CTL_OK)
		return status;
	strcpy(wanted.name.name, argv[optind]);
	return create(&wanted);
}
