// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's memory hotplug: its lock, and its memory blocks' comings and goings.
 *
 * device_hotplug_lock keeps memory from being plugged, pulled, onlined and offlined
 * while somebody else does. Modules can't take it. But the driver core takes it for
 * them: whoever writes to a device's attribute "online" gets the lock, and with it
 * the .online() of the device's bus is called. So what must run with the lock held
 * is made the .online() of a device that nobody sees. The attribute itself is the
 * one of /sys/devices/system/memory/memory0, which is the same for all devices.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/kernfs.h>
#include <linux/memory.h>
#include <linux/notifier.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "karray.h"

/* Any memory block, for what it has in common with the others. */
static struct device *karray_memory_block;
static struct device_attribute *karray_online_attr;

/* One call, as a device. */
struct karray_hotplug_call {
	struct device dev;
	int (*fn)(void *data);
	void *data;
	int ret;
};

static int karray_hotplug_run(struct device *dev)
{
	struct karray_hotplug_call *call =
		container_of(dev, struct karray_hotplug_call, dev);

	call->ret = call->fn(call->data);
	return 1;	/* not online, nothing to be announced */
}

/* Not registered, as are the devices on it. */
static struct bus_type karray_hotplug_bus = {
	.name		= "karray-hotplug",
	.online		= karray_hotplug_run,
	.offline	= karray_hotplug_run,
};

static int karray_hotplug_try(int (*fn)(void *data), void *data, gfp_t gfp)
{
	struct karray_hotplug_call *call;
	ssize_t ret;

	if (!karray_online_attr)
		return -EOPNOTSUPP;
	call = kzalloc(sizeof(*call), gfp);
	if (!call)
		return -ENOMEM;
	device_initialize(&call->dev);
	call->dev.bus = &karray_hotplug_bus;
	call->dev.offline = true;
	call->fn = fn;
	call->data = data;

	ret = karray_online_attr->store(&call->dev, karray_online_attr, "1", 1);
	if (ret >= 0)
		ret = call->ret;
	/* It has no name and was never added: there is nothing to be put. */
	kfree(call);
	return ret;
}

/**
 * karray_hotplug_call - call a function with device_hotplug_lock held
 * @fn: the function
 * @data: its argument
 *
 * Context: process context, may sleep; not with acpi_scan_lock or a karray device's
 * lock held, which come after this one.
 * Return: what @fn returned; -ERESTARTNOINTR where the lock is held by somebody else,
 * for system calls to return; -EOPNOTSUPP, -ENOMEM.
 */
int karray_hotplug_call(int (*fn)(void *data), void *data)
{
	return karray_hotplug_try(fn, data, GFP_KERNEL);
}

/**
 * karray_hotplug_call_wait - karray_hotplug_call(), but waits for the lock
 * @fn: the function
 * @data: its argument
 *
 * Nobody who holds the lock may wait for the caller.
 *
 * Context: as there.
 * Return: what @fn returned, or -EOPNOTSUPP.
 */
int karray_hotplug_call_wait(int (*fn)(void *data), void *data)
{
	int ret;

	while ((ret = karray_hotplug_try(fn, data, GFP_KERNEL | __GFP_NOFAIL)) ==
	       -ERESTARTNOINTR)
		recalc_sigpending();	/* there is no system call to restart */
	return ret;
}

/**
 * karray_is_memory_block - is this a memory block of the kernel's?
 * @dev: a device
 *
 * Context: any.
 * Return: whether @dev is part of a struct memory_block.
 */
bool karray_is_memory_block(const struct device *dev)
{
	return karray_memory_block && dev->bus == karray_memory_block->bus;
}

/**
 * karray_hotplug_watch - be told of memory blocks that come and go
 * @nb: called as for a bus; may not sleep long, since others wait meanwhile
 *
 * Context: process context, may sleep.
 * Return: 0 or an error.
 */
int karray_hotplug_watch(struct notifier_block *nb)
{
	if (!karray_memory_block)
		return -EOPNOTSUPP;
	return bus_register_notifier(karray_memory_block->bus, nb);
}

/**
 * karray_hotplug_unwatch - undo karray_hotplug_watch()
 * @nb: as there
 *
 * Context: process context, may sleep.
 */
void karray_hotplug_unwatch(struct notifier_block *nb)
{
	if (karray_memory_block)
		bus_unregister_notifier(karray_memory_block->bus, nb);
}

/*
 * All devices are in one kset, of which any device of ours tells. The block of the
 * first memory is always there, and can't go.
 */
static struct device *karray_find_memory_block(void)
{
	struct device *any = kzalloc(sizeof(*any), GFP_KERNEL);
	struct kobject *kobj;
	struct device *dev;

	if (!any)
		return NULL;
	device_initialize(any);
	kobj = kset_find_obj(any->kobj.kset, "memory0");
	kfree(any);
	if (!kobj)
		return NULL;
	dev = kobj_to_dev(kobj);
	if (dev->bus && !strcmp(dev->bus->name, "memory"))
		return dev;
	put_device(dev);
	return NULL;
}

/**
 * karray_hotplug_init - find out about the kernel's memory hotplug
 *
 * Without it the other functions here do nothing.
 *
 * Context: process context, may sleep.
 */
void karray_hotplug_init(void)
{
	struct kernfs_node *kn;

	karray_memory_block = karray_find_memory_block();
	if (!karray_memory_block)
		return;
	kn = sysfs_get_dirent(karray_memory_block->kobj.sd, "online");
	if (!kn)
		return;
	karray_online_attr = container_of((struct attribute *)kn->priv,
					  struct device_attribute, attr);
	sysfs_put(kn);
}

/**
 * karray_hotplug_exit - undo karray_hotplug_init()
 *
 * Context: process context.
 */
void karray_hotplug_exit(void)
{
	karray_online_attr = NULL;
	put_device(karray_memory_block);
	karray_memory_block = NULL;
}
