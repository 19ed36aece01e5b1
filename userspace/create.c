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

/* The size comes first: whoever sees the name sees the size. */
static int create(const struct mmapdev_name *wanted, uint64_t size)
{
	char path[NODE_PATH_SIZE];
	char directory[NAME_SYSFS_SIZE];
	int status;
	int fd;

	snprintf(path, sizeof(path), NODE_PREFIX "%s", wanted->name);
	snprintf(directory, sizeof(directory), NAMES_SYSFS "/%s", wanted->name);
	status = object_open_new(O_RDWR, &fd);
	if (status != CTL_OK)
		return status;
	status = node_is_free(path, directory);
	if (status == CTL_OK)
		status = object_resize(fd, wanted->name, size);
	if (status == CTL_OK && ioctl(fd, MMAPDEV_IOC_SET_NAME, wanted))
		status = explain(wanted);
	if (status == CTL_OK)
		status = node_wait(path, directory);
	close(fd);
	return status;
}

int ctl_create(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ "mode", required_argument, NULL, 'm' },
		{ "owner", required_argument, NULL, 'o' },
		{ }
	};
	struct mmapdev_name wanted = {
		.mode = 0600,
		.uid = UNCHANGED,
		.gid = UNCHANGED,
	};
	uint64_t size = 0;
	int status = CTL_OK;
	int option;

	while (status == CTL_OK &&
	       (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			status = size_parse(optarg, &size);
			break;
		case 'm':
			status = parse_mode(optarg, &wanted.mode);
			break;
		case 'o':
			status = parse_owner(optarg, &wanted);
			break;
		default:
			return ctl_usage_error("create takes NAME, --size, --mode and --owner");
		}
	}
	if (status != CTL_OK)
		return status;
	if (argc - optind != 1)
		return ctl_usage_error("create takes one NAME");
	status = object_check_name(argv[optind]);
	if (status != CTL_OK)
		return status;
	strcpy(wanted.name, argv[optind]);
	return create(&wanted, size);
}
