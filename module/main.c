// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading, the parameters, and the device node.
 */

#include "mmapdev.h"

#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static umode_t node_mode = 0600;

static int mode_set(const char *val, const struct kernel_param *kp)
{
	u16 mode;
	int err = kstrtou16(val, 8, &mode);

	if (err)
		return err;
	if (!mode || mode & ~0777)	/* devtmpfs takes 0 for unset */
		return -EINVAL;
	node_mode = mode;
	return 0;
}

static int mode_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%04o\n", node_mode);
}

static const struct kernel_param_ops mode_ops = {
	.set = mode_set,
	.get = mode_get,
};

module_param_cb(mode, &mode_ops, NULL, 0444);
MODULE_PARM_DESC(mode, "Permissions of /dev/mmapdev, in octal (default 0600)");

module_param_cb(limit, &mmapdev_limit_ops, NULL, 0644);
MODULE_PARM_DESC(limit, "Bytes that all objects together may hold, with K, M or G (default half of RAM; 0: no limit)");

static struct miscdevice mmapdev_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "mmapdev",
	.fops	= &mmapdev_fops,
	.groups	= mmapdev_stats_groups,
};

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
	mmapdev_misc.mode = node_mode;
	err = misc_register(&mmapdev_misc);
	if (err)
		goto err_object;
	return 0;

err_object:
	mmapdev_object_exit();
err_hole:
	mmapdev_hole_exit();
	return err;
}

static void __exit mmapdev_exit(void)
{
	misc_deregister(&mmapdev_misc);
	mmapdev_object_exit();
	mmapdev_hole_exit();
}

module_init(mmapdev_init);
module_exit(mmapdev_exit);

MODULE_DESCRIPTION("Memory objects with all kinds of mappings, every page event visible");
MODULE_AUTHOR("The mmapdev developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
