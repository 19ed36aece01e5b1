// SPDX-License-Identifier: GPL-2.0
/*
 * Objects to begin with: the parameter objects=.
 *
 * All of it is checked before the first node appears, since a module that does
 * not load must have shown none that somebody could open.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "mmapdev.h"

#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/string.h>

static char *objects = "";
module_param(objects, charp, 0444);
MODULE_PARM_DESC(objects, "Named objects to begin with, as NAME:SIZE,... with K, M or G");

/**
 * struct initial - an object to begin with
 * @name: its name
 * @size: its size in bytes
 */
struct initial {
	const char *name;
	unsigned long size;
};

static char *list __initdata;
static struct initial *initials __initdata;
static unsigned int nr_initials __initdata;

static bool __init is_known(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_initials; i++) {
		if (!strcmp(initials[i].name, name))
			return true;
	}
	return false;
}

static int __init parse_one(char *item)
{
	struct initial *initial = &initials[nr_initials];
	char *size = item;
	int err;

	initial->name = strsep(&size, ":");
	err = size ? mmapdev_parse_size(size, strlen(size), &initial->size) :
		     -EINVAL;
	if (!err && initial->size > MMAPDEV_MAX_SIZE)
		err = -EFBIG;
	if (!err && (!mmapdev_node_name_valid(item) || is_known(item)))
		err = -EINVAL;
	if (err)
		pr_err("objects: '%s': error %d\n", item, err);
	else
		nr_initials++;
	return err;
}

/**
 * mmapdev_initial_parse - check the parameter
 *
 * Return: 0; -EINVAL, -ERANGE or -EFBIG if it is not as it should be; -ENOMEM.
 */
int __init mmapdev_initial_parse(void)
{
	unsigned int commas = 0;
	char *rest, *item;
	const char *c;
	int err = 0;

	if (!*objects)
		return 0;
	for (c = objects; *c; c++)
		commas += *c == ',';
	list = kstrdup(objects, GFP_KERNEL);
	initials = kcalloc(commas + 1, sizeof(*initials), GFP_KERNEL);
	if (!list || !initials)
		err = -ENOMEM;
	rest = list;
	while (!err && (item = strsep(&rest, ",")))
		err = parse_one(item);
	if (err)
		mmapdev_initial_free();
	return err;
}

static int __init create_one(const struct initial *initial)
{
	struct inode *inode = mmapdev_object_create();
	int err;

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	err = mmapdev_resize(inode, initial->size, NULL);
	if (!err)
		err = mmapdev_node_create(inode, initial->name,
					  mmapdev_node_mode, GLOBAL_ROOT_UID,
					  GLOBAL_ROOT_GID);
	iput(inode);
	return err;
}

/**
 * mmapdev_initial_create - make the objects
 *
 * One that cannot be made, for want of memory, is missing: those before it can
 * be open already, so that the module must stay.
 */
void __init mmapdev_initial_create(void)
{
	unsigned int i;

	for (i = 0; i < nr_initials; i++) {
		int err = create_one(&initials[i]);

		if (err)
			pr_err("objects: '%s': error %d\n", initials[i].name,
			       err);
	}
}

/**
 * mmapdev_initial_free - forget the parameter
 */
void __init mmapdev_initial_free(void)
{
	kfree(initials);
	kfree(list);
	initials = NULL;
	list = NULL;
}
