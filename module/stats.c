// SPDX-License-Identifier: GPL-2.0
/*
 * Counting events, of each object and of all; the totals are in sysfs.
 */

#include "mmapdev.h"

#include <linux/device.h>
#include <linux/pagemap.h>

/* Everything since the module was loaded, objects that are gone included. */
static DEFINE_PER_CPU(struct mmapdev_counters, totals);
static atomic_long_t opens = ATOMIC_LONG_INIT(0);

/**
 * mmapdev_count_total - count an event whose object is not known
 * @event: what happened
 * @n: how many times
 *
 * Context: Any.
 */
void mmapdev_count_total(enum mmapdev_event event, unsigned long n)
{
	this_cpu_add(totals.count[event], n);
}

/**
 * mmapdev_count - count an event of an object
 * @object: the object
 * @event: what happened
 * @n: how many times
 *
 * Context: Any.
 */
void mmapdev_count(struct mmapdev_object *object, enum mmapdev_event event,
		   unsigned long n)
{
	this_cpu_add(object->counters->count[event], n);
	mmapdev_count_total(event, n);
}

/**
 * mmapdev_count_open - count an open of the device
 *
 * Context: Any.
 */
void mmapdev_count_open(void)
{
	atomic_long_inc(&opens);
}

static u64 sum(struct mmapdev_counters __percpu *counters,
	       enum mmapdev_event event)
{
	u64 n = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		n += READ_ONCE(per_cpu_ptr(counters, cpu)->count[event]);
	return n;
}

/**
 * mmapdev_stats_get - an object's events so far
 * @object: the object
 * @stats: filled in
 *
 * Context: Any.
 */
void mmapdev_stats_get(struct mmapdev_object *object,
		       struct mmapdev_stats *stats)
{
	struct mmapdev_counters __percpu *c = object->counters;
	u64 resident = object->inode.i_mapping->nrpages;

	*stats = (struct mmapdev_stats) {
		.fault_shared_read	= sum(c, MMAPDEV_FAULT_SHARED_READ),
		.fault_shared_write	= sum(c, MMAPDEV_FAULT_SHARED_WRITE),
		.fault_private_read	= sum(c, MMAPDEV_FAULT_PRIVATE_READ),
		.fault_cow_source	= sum(c, MMAPDEV_FAULT_COW_SOURCE),
		.fault_cow_hole		= sum(c, MMAPDEV_FAULT_COW_HOLE),
		.fault_around		= sum(c, MMAPDEV_FAULT_AROUND),
		.sigbus			= sum(c, MMAPDEV_SIGBUS),
		.pages_allocated	= sum(c, MMAPDEV_PAGES_ALLOCATED),
		.mkwrites		= sum(c, MMAPDEV_MKWRITES),
		.writebacks		= sum(c, MMAPDEV_WRITEBACKS),
		.flushes		= sum(c, MMAPDEV_FLUSHES),
		.crashes		= sum(c, MMAPDEV_CRASHES),
		.bytes_flushed		= sum(c, MMAPDEV_BYTES_FLUSHED),
	};
	/* A folio that leaves the page cache no longer knows its object. */
	stats->pages_freed = stats->pages_allocated - min(resident,
							  stats->pages_allocated);
}

/* An event of a named device's object, or of all. */
static u64 events_of(struct device *dev, enum mmapdev_event event)
{
	struct inode *inode = mmapdev_node_inode(dev);
	struct mmapdev_stats stats;

	if (!inode)
		return sum(&totals, event);
	if (event != MMAPDEV_PAGES_FREED)
		return sum(mmapdev_object_of(inode)->counters, event);
	mmapdev_stats_get(mmapdev_object_of(inode), &stats);
	return stats.pages_freed;
}

#define EVENT_ATTR(name, event)						\
static ssize_t name##_show(struct device *dev,				\
			   struct device_attribute *attr, char *buf)	\
{									\
	return sysfs_emit(buf, "%llu\n", events_of(dev, event));	\
}									\
static DEVICE_ATTR_RO(name)

EVENT_ATTR(fault_shared_read, MMAPDEV_FAULT_SHARED_READ);
EVENT_ATTR(fault_shared_write, MMAPDEV_FAULT_SHARED_WRITE);
EVENT_ATTR(fault_private_read, MMAPDEV_FAULT_PRIVATE_READ);
EVENT_ATTR(fault_cow_source, MMAPDEV_FAULT_COW_SOURCE);
EVENT_ATTR(fault_cow_hole, MMAPDEV_FAULT_COW_HOLE);
EVENT_ATTR(fault_around, MMAPDEV_FAULT_AROUND);
EVENT_ATTR(sigbus, MMAPDEV_SIGBUS);
EVENT_ATTR(pages_allocated, MMAPDEV_PAGES_ALLOCATED);
EVENT_ATTR(pages_freed, MMAPDEV_PAGES_FREED);
EVENT_ATTR(mkwrites, MMAPDEV_MKWRITES);
EVENT_ATTR(writebacks, MMAPDEV_WRITEBACKS);
EVENT_ATTR(flushes, MMAPDEV_FLUSHES);
EVENT_ATTR(crashes, MMAPDEV_CRASHES);
EVENT_ATTR(bytes_flushed, MMAPDEV_BYTES_FLUSHED);

static ssize_t objects_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%lu\n", mmapdev_object_count());
}
static DEVICE_ATTR_RO(objects);

static ssize_t opens_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%lu\n", atomic_long_read(&opens));
}
static DEVICE_ATTR_RO(opens);

static ssize_t pages_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%lu\n", mmapdev_limit_used());
}
static DEVICE_ATTR_RO(pages);

static struct attribute *stats_attrs[] = {
	&dev_attr_fault_shared_read.attr,
	&dev_attr_fault_shared_write.attr,
	&dev_attr_fault_private_read.attr,
	&dev_attr_fault_cow_source.attr,
	&dev_attr_fault_cow_hole.attr,
	&dev_attr_fault_around.attr,
	&dev_attr_sigbus.attr,
	&dev_attr_pages_allocated.attr,
	&dev_attr_pages_freed.attr,
	&dev_attr_mkwrites.attr,
	&dev_attr_writebacks.attr,
	&dev_attr_flushes.attr,
	&dev_attr_crashes.attr,
	&dev_attr_bytes_flushed.attr,
	&dev_attr_objects.attr,
	&dev_attr_opens.attr,
	&dev_attr_pages.attr,
	NULL
};

/* One object has no number of objects. */
static umode_t stats_visible(struct kobject *kobj, struct attribute *attr,
			     int n)
{
	bool total = attr == &dev_attr_objects.attr ||
		     attr == &dev_attr_opens.attr ||
		     attr == &dev_attr_pages.attr;

	return total && mmapdev_node_inode(kobj_to_dev(kobj)) ? 0 : attr->mode;
}

/* The directory stats of each device, for the device to be born with. */
const struct attribute_group mmapdev_stats_group = {
	.name		= "stats",
	.attrs		= stats_attrs,
	.is_visible	= stats_visible,
};
