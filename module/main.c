// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading, the parameters, and /dev/mmapdev.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "mmapdev.h"

#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/string.h>

static umode_t node_mode = 0600;

module_param_cb(mode, &mmapdev_mode_ops, &node_mode, 0444);
MODULE_PARM_DESC(mode, "Permissions of /dev/mmapdev and of objects=, in octal (default 0600)");

module_param_cb(limit, &mmapdev_limit_ops, NULL, 0644);
MODULE_PARM_DESC(limit, "Bytes that all objects together may hold, with K, M or G (default half of RAM; 0: no limit)");

static char *objects = "";
module_param(objects, charp, 0444);
MODULE_PARM_DESC(objects, "Named objects to begin with, as NAME:SIZE,... with K, M or G");

static const struct attribute_group *device_groups[] = {
	&mmapdev_stats_group,
	NULL
};

static struct miscdevice mmapdev_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "mmapdev",
	.fops	= &mmapdev_node_fops,
	.groups	= device_groups,
};

/* An object that lives by its name. */
static int __init create_object(const char *name, unsigned long size)
{
	struct inode *inode = mmapdev_object_create();
	int err;

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	err = size > MMAPDEV_MAX_SIZE ? -EFBIG : mmapdev_resize(inode, size);
	if (!err)
		err = mmapdev_node_create(inode, name, node_mode,
					  GLOBAL_ROOT_UID, GLOBAL_ROOT_GID);
	iput(inode);
	return err;
}

static int __init create_objects(void)
{
	char *list = kstrdup(objects, GFP_KERNEL);
	char *rest = list;
	char *name;
	int err = list ? 0 : -ENOMEM;

	while (!err && (name = strsep(&rest, ",")) && *list) {
		char *size = name;
		unsigned long bytes;

		strsep(&size, ":");
		err = size ? mmapdev_parse_size(size, strlen(size), &bytes) :
			     -EINVAL;
		if (!err)
			err = create_object(name, bytes);
		if (err)
			pr_err("objects: '%s': error %d\n", name, err);
	}
	kfree(list);
	/* From here -EEXIST would say that the module is loaded already. */
	return err == -EEXIST ? -EINVAL : err;
}

static int __init mmapdev_init(void)
{
	int err;

	mmapdev_limit_init();
	err = mmapdev_hole_init();
	if (err)
		return err;
	err = mmapdev_object_init();
	if (err)
		goto err_hole;
	err = mmapdev_node_init();
	if (err)
		goto err_object;
	err = create_objects();
	if (err)
		goto err_node;
	err = mmapdev_filesystem_init();
	if (err)
		goto err_node;
	mmapdev_misc.mode = node_mode;
	err = misc_register(&mmapdev_misc);
	if (err)
		goto err_filesystem;
	return 0;

err_filesystem:
	mmapdev_filesystem_exit();
err_node:
	mmapdev_node_exit();
err_object:
	mmapdev_object_exit();
err_hole:
	mmapdev_hole_exit();
	return err;
}

static void __exit mmapdev_exit(void)
{
	misc_deregister(&mmapdev_misc);
	mmapdev_filesystem_exit();
	mmapdev_node_exit();
	mmapdev_object_exit();
	mmapdev_hole_exit();
}

module_init(mmapdev_init);
module_exit(mmapdev_exit);

MODULE_DESCRIPTION("Memory objects with all kinds of mappings, every page event visible");
MODULE_AUTHOR("The mmapdev developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
