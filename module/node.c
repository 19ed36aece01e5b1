// SPDX-License-Identifier: GPL-2.0
/*
 * Named devices: /dev/mmapdev-NAME, through which unrelated processes open one
 * object, and /sys/class/mmapdev/NAME, which tells about it.
 *
 * They have a device number region of their own, since misc devices run out
 * after some hundred. A node holds a reference to its object.
 */

#include "mmapdev.h"

#include <linux/cdev.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "compat.h"

#define MAX_NODES	(1U << MINORBITS)

/**
 * struct mmapdev_node - a named device
 * @dev: the device; its name is the object's
 * @inode: the object
 * @mode: permissions of the node in /dev
 * @uid: its owner
 * @gid: its group
 *
 * Nothing changes while the node is registered.
 */
struct mmapdev_node {
	struct device dev;
	struct inode *inode;
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
};

/*
 * Names come and go one at a time. That can wait for a task that reads /dev, while
 * looking one up must not.
 */
static DEFINE_MUTEX(naming_lock);

/* Protects nodes, and each object's node. */
DEFINE_MUTEX(mmapdev_nodes_lock);
static DEFINE_XARRAY_ALLOC(nodes);	/* by minor */
static u32 next_minor;			/* protected as nodes */
static dev_t first_devt;
static struct cdev cdev;

static struct mmapdev_node *node_of(struct device *dev)
{
	return container_of(dev, struct mmapdev_node, dev);
}

static struct class node_class = {
	.name		= "mmapdev",
	.dev_groups	= mmapdev_node_groups,
};

static char *node_devnode(mmapdev_const_device *dev, umode_t *mode,
			  kuid_t *uid, kgid_t *gid)
{
	const struct mmapdev_node *node =
		container_of(dev, const struct mmapdev_node, dev);

	if (mode)	/* else only the name is asked for */
		*mode = node->mode;
	if (uid)
		*uid = node->uid;
	if (gid)
		*gid = node->gid;
	/* Removal cannot fail, and would leave the node in /dev in silence. */
	return kasprintf(GFP_KERNEL | __GFP_NOFAIL, "mmapdev-%s",
			 dev_name(dev));
}

static void node_release(struct device *dev)
{
	kfree(node_of(dev));
}

static const struct device_type node_type = {
	.name		= "mmapdev",
	.devnode	= node_devnode,
	.release	= node_release,
};

/**
 * mmapdev_node_inode - the object of a device
 * @dev: any device of the module's
 *
 * Return: The inode, which lives while @dev is registered; NULL for
 *	/dev/mmapdev, which has none.
 */
struct inode *mmapdev_node_inode(struct device *dev)
{
	return dev->type == &node_type ? node_of(dev)->inode : NULL;
}

/* Its object has no name before the device is there. */
static bool is_named(struct mmapdev_node *node)
{
	return mmapdev_object_of(node->inode)->node == node;
}

/**
 * mmapdev_node_find - the object of a name
 * @name: text, which need not end where the name does
 * @len: characters of it
 *
 * Context: Holds mmapdev_nodes_lock, for as long as it uses the inode.
 * Return: The inode, or NULL.
 */
struct inode *mmapdev_node_find(const char *name, size_t len)
{
	struct mmapdev_node *node;
	unsigned long minor;

	lockdep_assert_held(&mmapdev_nodes_lock);

	xa_for_each(&nodes, minor, node) {
		const char *has = dev_name(&node->dev);

		if (is_named(node) && !strncmp(has, name, len) && !has[len])
			return node->inode;
	}
	return NULL;
}

/**
 * mmapdev_node_next - walk through the names
 * @minor: where to begin; set to where the name was found
 * @name: the name, MMAPDEV_NAME_SIZE bytes
 *
 * Context: Holds mmapdev_nodes_lock, for as long as it uses the inode.
 * Return: The inode, or NULL if there is no other name.
 */
struct inode *mmapdev_node_next(unsigned long *minor, char *name)
{
	struct mmapdev_node *node;

	lockdep_assert_held(&mmapdev_nodes_lock);

	node = xa_find(&nodes, minor, ULONG_MAX, XA_PRESENT);
	while (node && !is_named(node))
		node = xa_find_after(&nodes, minor, ULONG_MAX, XA_PRESENT);
	if (!node)
		return NULL;
	strscpy(name, dev_name(&node->dev), MMAPDEV_NAME_SIZE);
	return node->inode;
}

/**
 * mmapdev_node_name - an object's name
 * @inode: the object
 * @name: the name, MMAPDEV_NAME_SIZE bytes of zeros: left so if it has none
 *
 * Context: May sleep.
 */
void mmapdev_node_name(struct inode *inode, char *name)
{
	struct mmapdev_node *node;

	mutex_lock(&mmapdev_nodes_lock);
	node = mmapdev_object_of(inode)->node;
	if (node)
		strscpy(name, dev_name(&node->dev), MMAPDEV_NAME_SIZE);
	mutex_unlock(&mmapdev_nodes_lock);
}

/**
 * mmapdev_node_object - the object of a device number
 * @devt: of the node that is being opened
 *
 * Context: May sleep.
 * Return: The inode with a reference; NULL for the device that has none;
 *	ERR_PTR(-ENXIO) if the name is gone.
 */
struct inode *mmapdev_node_object(dev_t devt)
{
	struct inode *inode = ERR_PTR(-ENXIO);
	struct mmapdev_node *node;

	if (MAJOR(devt) != MAJOR(first_devt))
		return NULL;
	mutex_lock(&mmapdev_nodes_lock);
	node = xa_load(&nodes, MINOR(devt));
	if (node) {
		inode = node->inode;
		ihold(inode);
	}
	mutex_unlock(&mmapdev_nodes_lock);
	return inode;
}

static const char name_characters[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

/**
 * mmapdev_node_name_valid - is this a name?
 * @name: text
 *
 * Return: Whether an object can have it.
 */
bool mmapdev_node_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > MMAPDEV_NAME_MAX)
		return false;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	return strspn(name, name_characters) == len;
}

/* Give the object and its regular file what the node has. */
static void node_own(struct mmapdev_node *node)
{
	struct inode *inode = node->inode;
	struct inode *regular;

	lockdep_assert_held(&mmapdev_nodes_lock);

	spin_lock(&inode->i_lock);
	inode->i_mode = S_IFREG | node->mode;
	inode->i_uid = node->uid;
	inode->i_gid = node->gid;
	inode_set_ctime_current(inode);
	regular = mmapdev_object_of(inode)->regular;
	if (regular) {
		regular->i_mode = inode->i_mode;
		regular->i_uid = inode->i_uid;
		regular->i_gid = inode->i_gid;
	}
	spin_unlock(&inode->i_lock);
}

/* Let the device be opened, if the name is free. */
static int node_number(struct mmapdev_node *node)
{
	const char *name = dev_name(&node->dev);
	u32 minor;
	int err;

	lockdep_assert_held(&mmapdev_nodes_lock);

	if (mmapdev_object_of(node->inode)->node)
		return -EBUSY;
	if (mmapdev_node_find(name, strlen(name)))
		return -EEXIST;
	/* A number is not used again soon: old nodes of it can be around. */
	err = xa_alloc_cyclic(&nodes, &minor, node, XA_LIMIT(0, MAX_NODES - 1),
			      &next_minor, GFP_KERNEL);
	if (err < 0)
		return err == -EBUSY ? -ENOSPC : err;
	node->dev.devt = MKDEV(MAJOR(first_devt), minor);
	ihold(node->inode);
	return 0;
}

/* Let the device be opened no more: the reference to its object is the caller's. */
static void node_hide(struct mmapdev_node *node)
{
	mutex_lock(&mmapdev_nodes_lock);
	xa_erase(&nodes, MINOR(node->dev.devt));
	mmapdev_object_of(node->inode)->node = NULL;
	mutex_unlock(&mmapdev_nodes_lock);
}

/* By the time that others are told of the device, all of it is there. */
static int node_add(struct mmapdev_node *node)
{
	int err;

	lockdep_assert_held(&naming_lock);

	mutex_lock(&mmapdev_nodes_lock);
	err = node_number(node);
	mutex_unlock(&mmapdev_nodes_lock);
	if (err)
		return err;
	dev_set_uevent_suppress(&node->dev, true);
	err = device_add(&node->dev);
	if (err) {
		node_hide(node);
		iput(node->inode);
		return err;
	}
	mutex_lock(&mmapdev_nodes_lock);
	mmapdev_object_of(node->inode)->node = node;
	node_own(node);
	mutex_unlock(&mmapdev_nodes_lock);
	dev_set_uevent_suppress(&node->dev, false);
	kobject_uevent(&node->dev.kobj, KOBJ_ADD);
	return 0;
}

/**
 * mmapdev_node_create - give an object a name
 * @inode: the object
 * @name: its name
 * @mode: permissions of the node in /dev
 * @uid: its owner
 * @gid: its group
 *
 * Context: May sleep.
 * Return: 0; -EINVAL for a bad name or mode; -EEXIST if another object has the
 *	name; -EBUSY if the object has a name; -ENOSPC if there are too many
 *	names; -ENOMEM.
 */
int mmapdev_node_create(struct inode *inode, const char *name, umode_t mode,
			kuid_t uid, kgid_t gid)
{
	struct mmapdev_node *node;
	int err;

	if (!mmapdev_node_name_valid(name) || !mode || mode & ~0777)
		return -EINVAL;
	node = kzalloc(sizeof(*node), GFP_KERNEL);
	if (!node)
		return -ENOMEM;
	device_initialize(&node->dev);
	node->dev.class = &node_class;
	node->dev.type = &node_type;
	node->inode = inode;
	node->mode = mode;
	node->uid = uid;
	node->gid = gid;
	err = dev_set_name(&node->dev, "%s", name);
	if (!err) {
		mutex_lock(&naming_lock);
		err = node_add(node);
		mutex_unlock(&naming_lock);
	}
	if (err)
		put_device(&node->dev);
	return err;
}

/* device_del() waits for readers of attributes. */
static struct inode *node_del(struct mmapdev_node *node)
{
	struct inode *inode = node->inode;

	lockdep_assert_held(&naming_lock);

	node_hide(node);
	device_del(&node->dev);
	put_device(&node->dev);
	return inode;
}

/**
 * mmapdev_node_remove - take an object's name away
 * @inode: the object
 *
 * Context: May sleep.
 * Return: 0; -ENOENT if it has none; -ENOMEM.
 */
int mmapdev_node_remove(struct inode *inode)
{
	/* The paths that are to be forgotten must not be unmounted meanwhile. */
	struct vfsmount *mount = mmapdev_filesystem_pin();
	struct mmapdev_node *node;

	if (IS_ERR(mount))
		return PTR_ERR(mount);
	mutex_lock(&naming_lock);
	node = mmapdev_object_of(inode)->node;	/* which nobody else changes now */
	if (node) {
		node_del(node);
		mmapdev_regular_forget(inode);
	}
	mutex_unlock(&naming_lock);
	mmapdev_filesystem_unpin();
	if (!node)
		return -ENOENT;
	iput(inode);
	return 0;
}

/**
 * mmapdev_node_init - reserve device numbers, make the class
 *
 * Return: 0, or the error of what failed.
 */
int __init mmapdev_node_init(void)
{
	int err = alloc_chrdev_region(&first_devt, 0, MAX_NODES, "mmapdev");

	if (err)
		return err;
	cdev_init(&cdev, &mmapdev_node_fops);
	cdev.owner = THIS_MODULE;
	err = class_register(&node_class);
	if (err)
		unregister_chrdev_region(first_devt, MAX_NODES);
	return err;
}

/**
 * mmapdev_node_publish - let nodes be opened, from which on loading cannot fail
 */
void __init mmapdev_node_publish(void)
{
	if (cdev_add(&cdev, first_devt, MAX_NODES))
		pr_err("mmapdev: no memory, named devices cannot be opened\n");
}

/**
 * mmapdev_node_exit - take all names away
 *
 * Context: Nothing is open.
 */
void mmapdev_node_exit(void)
{
	struct mmapdev_node *node;
	unsigned long minor;

	mutex_lock(&naming_lock);
	xa_for_each(&nodes, minor, node)
		iput(node_del(node));
	mutex_unlock(&naming_lock);
	cdev_del(&cdev);
	class_unregister(&node_class);
	unregister_chrdev_region(first_devt, MAX_NODES);
	xa_destroy(&nodes);
}
