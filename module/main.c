// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading, the parameters, and /dev/mmapdev.
 */

#include "mmapdev.h"

#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

/* Not cut to the bits of a long, which PAGE_MASK has. */
static_assert(!((MAX_LFS_FILESIZE - MMAPDEV_MAX_SIZE) >> PAGE_SHIFT));

umode_t mmapdev_node_mode = 0600;

module_param_cb(mode, &mmapdev_mode_ops, &mmapdev_node_mode, 0444);
MODULE_PARM_DESC(mode, "Permissions of /dev/mmapdev and of objects=, in octal (default 0600)");

module_param_cb(limit, &mmapdev_limit_ops, NULL, 0644);
MODULE_PARM_DESC(limit, "Bytes that all objects together may hold, with K, M or G (default half of RAM; 0: no limit)");

module_param_cb(user_limit, &mmapdev_user_limit_ops, NULL, 0644);
MODULE_PARM_DESC(user_limit, "Bytes that the stores of one user may hold, root's apart (default a quarter of limit; 0: no limit)");

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

static int __init mmapdev_init(void)
{
	int err;

	/* Before anything is registered that could be opened. */
	err = mmapdev_initial_parse();
	if (err)
		return err;
	mmapdev_limit_init();
	mmapdev_user_init();
	err = mmapdev_hole_init();
	if (err)
		goto err_initial;
	err = mmapdev_ahead_init();
	if (err)
		goto err_hole;
	err = mmapdev_file_store_init();
	if (err)
		goto err_ahead;
	err = mmapdev_object_init();
	if (err)
		goto err_file_store;
	err = mmapdev_node_init();
	if (err)
		goto err_object;
	mmapdev_misc.mode = mmapdev_node_mode;
	err = misc_register(&mmapdev_misc);
	if (err)
		goto err_node;
	/*
	 * Nothing may fail from here on: the core frees a module whose init fails
	 * without waiting for users, and /dev/mmapdev can be open already.
	 */
	mmapdev_node_publish();
	mmapdev_initial_create();
	mmapdev_initial_free();
	err = mmapdev_filesystem_init();
	if (err)
		pr_err("mmapdev: cannot be mounted: error %d\n", err);
	return 0;

err_node:
	mmapdev_node_exit();
err_object:
	mmapdev_object_exit();
err_file_store:
	mmapdev_file_store_exit();
err_ahead:
	mmapdev_ahead_exit();
err_hole:
	mmapdev_hole_exit();
err_initial:
	mmapdev_initial_free();
	return err;
}

static void __exit mmapdev_exit(void)
{
	misc_deregister(&mmapdev_misc);
	mmapdev_filesystem_exit();
	mmapdev_node_exit();
	mmapdev_object_exit();
	mmapdev_inject_exit();
	mmapdev_file_store_exit();
	mmapdev_recycle_exit();
	mmapdev_ahead_exit();
	mmapdev_hole_exit();
}

module_init(mmapdev_init);
module_exit(mmapdev_exit);

MODULE_DESCRIPTION("Memory objects with all kinds of mappings, every page event visible");
MODULE_AUTHOR("The mmapdev developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
