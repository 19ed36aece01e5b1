// SPDX-License-Identifier: GPL-2.0
/*
 * What /sys/class/mmapdev/NAME tells about a named device's object.
 */

#include "mmapdev.h"

static struct mmapdev_store *store_of(struct device *dev)
{
	return mmapdev_object_of(mmapdev_node_inode(dev))->store;
}

static ssize_t size_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%lld\n", i_size_read(mmapdev_node_inode(dev)));
}
static DEVICE_ATTR_RO(size);

static ssize_t resident_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	unsigned long pages = mmapdev_node_inode(dev)->i_mapping->nrpages;

	return sysfs_emit(buf, "%llu\n", (u64)pages << PAGE_SHIFT);
}
static DEVICE_ATTR_RO(resident);

static ssize_t object_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%llu\n", (u64)mmapdev_node_inode(dev)->i_ino);
}
static DEVICE_ATTR_RO(object);

static ssize_t kind_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%s\n", store_of(dev) ? "durable" : "anonymous");
}
static DEVICE_ATTR_RO(kind);

static ssize_t store_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct mmapdev_store *store = store_of(dev);

	return sysfs_emit(buf, "%s\n", store ? store->ops->name : "none");
}
static DEVICE_ATTR_RO(store);

static struct attribute *node_attrs[] = {
	&dev_attr_size.attr,
	&dev_attr_resident.attr,
	&dev_attr_object.attr,
	&dev_attr_kind.attr,
	&dev_attr_store.attr,
	NULL
};

static const struct attribute_group node_group = {
	.attrs	= node_attrs,
};

const struct attribute_group *mmapdev_node_groups[] = {
	&node_group,
	&mmapdev_stats_group,
	NULL
};
