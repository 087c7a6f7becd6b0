// SPDX-License-Identifier: GPL-2.0
/*
 * karray core: the bus, the life of a device, and the module's own.
 *
 * A provider creates a device for a contiguous range of memory. Going online,
 * the device claims the range in the resource tree, maps it once, and gets its
 * personalities in order; going offline undoes that in reverse. "online" is the
 * driver core's attribute of that name, and what the ACPI core calls before it
 * lets a DIMM go: a device in use says -EBUSY, and the DIMM stays.
 *
 * Who may hold what when the memory goes:
 *  - Users (opens of the char node and of the disk, and what rests on them:
 *    mounts, swap) are counted under kdev->lock. Going offline needs a count of
 *    zero, and changes the state in the same critical section, so no user can
 *    slip in.
 *  - karray_destroy() doesn't ask. It makes the state DEAD, waits in
 *    synchronize_srcu() for those between karray_read_lock() and
 *    karray_read_unlock(), and lets each personality detach, which drains its
 *    own I/O. Only then is the memory unmapped.
 *  - Descriptors that outlive this hold a reference on kdev->dev, so that they
 *    find a struct that says DEAD.
 *
 * What one personality does may concern the others: the char device must not write
 * below a mounted file system, and must know what the disk's page cache holds. They
 * know nothing of each other; karray_claim(), karray_cached() and karray_flush()
 * pass the question on to hooks that a personality may have.
 *
 * Lock order: device_hotplug_lock or acpi_scan_lock (the callers'), the ACPI
 * device's physical_node_lock, device_lock(&kdev->dev), what personalities take,
 * kdev->lock.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/idr.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/property.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/wait.h>

#include "karray.h"

#define CREATE_TRACE_POINTS
#include <trace/events/karray.h>

static const struct karray_personality *const karray_personalities[] = {
	[KARRAY_BLK] = &karray_blk_personality,
	[KARRAY_CHR] = &karray_chr_personality,
};

static DEFINE_IDA(karray_ida);

/* Readers and writers of the memory that the block layer doesn't account for. */
DEFINE_SRCU(karray_srcu);

/* Devices on the bus, and devices whose struct still exists. */
static atomic_t karray_nr_devices = ATOMIC_INIT(0);
static atomic_t karray_nr_structs = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(karray_released);

/**
 * karray_get_user - count a new user
 * @kdev: the device
 * @who: the personality through which it came
 *
 * A device with users can't be taken offline.
 *
 * Context: any; @kdev must be kept from going away by the caller.
 * Return: 0, or -ENXIO where the device is not online.
 */
int karray_get_user(struct karray_dev *kdev, enum karray_personality_id who)
{
	int ret = -ENXIO;

	spin_lock(&kdev->lock);
	if (kdev->state == KARRAY_ONLINE) {
		kdev->users[who]++;
		ret = 0;
	}
	spin_unlock(&kdev->lock);
	return ret;
}

/**
 * karray_put_user - a user that karray_get_user() counted is gone
 * @kdev: the device
 * @who: the personality through which it came
 *
 * Context: any.
 */
void karray_put_user(struct karray_dev *kdev, enum karray_personality_id who)
{
	spin_lock(&kdev->lock);
	kdev->users[who]--;
	spin_unlock(&kdev->lock);
}

/**
 * karray_claim - begin to write by one personality alone
 * @kdev: the device
 * @who: the personality that wants to
 * @claim: what karray_unclaim() wants
 *
 * Keeps the others from exclusive use, such as by a mount.
 *
 * Context: process context, may sleep; a user of @kdev, not under the read lock.
 * Return: 0, -EBUSY where another personality is in exclusive use, -ENXIO where
 * the device is going, or another error.
 */
int karray_claim(struct karray_dev *kdev, enum karray_personality_id who,
		 struct karray_claim *claim)
{
	int i, ret;

	memset(claim, 0, sizeof(*claim));
	for (i = 0; i < KARRAY_NR_PERSONALITIES; i++) {
		if (i == who || !karray_personalities[i]->claim)
			continue;
		ret = karray_personalities[i]->claim(kdev, &claim->handles[i]);
		if (ret) {
			karray_unclaim(claim);
			return ret;
		}
	}
	return 0;
}

/**
 * karray_unclaim - undo karray_claim()
 * @claim: what that filled
 *
 * Context: process context, may sleep; the device may have gone by now.
 */
void karray_unclaim(struct karray_claim *claim)
{
	int i;

	for (i = KARRAY_NR_PERSONALITIES - 1; i >= 0; i--)
		if (claim->handles[i])
			karray_personalities[i]->unclaim(claim->handles[i]);
	memset(claim, 0, sizeof(*claim));
}

/**
 * karray_cached - do other personalities keep copies of these bytes?
 * @kdev: the device
 * @who: the personality that asks
 * @pos: offset, bytes
 * @len: bytes, at least 1
 * @which: whether copies that are the same as the memory count
 *
 * Context: under karray_read_lock(), with @kdev alive.
 * Return: whether karray_flush() is needed.
 */
bool karray_cached(struct karray_dev *kdev, enum karray_personality_id who,
		   u64 pos, u64 len, enum karray_copies which)
{
	int i;

	for (i = 0; i < KARRAY_NR_PERSONALITIES; i++)
		if (i != who && karray_personalities[i]->cached &&
		    karray_personalities[i]->cached(kdev, pos, len, which))
			return true;
	return false;
}

/**
 * karray_flush - bring the memory and other personalities' copies together
 * @kdev: the device
 * @who: the personality that asks
 * @pos: offset, bytes
 * @len: bytes, at least 1
 * @which: KARRAY_CHANGED_COPIES writes back what is newer than the memory;
 *	KARRAY_ALL_COPIES forgets the copies after that
 *
 * Who reads the memory does this before, who writes it before and after. Copies that
 * others make or change at the same time may stay.
 *
 * Context: process context, may sleep; not under the read lock.
 * Return: 0, also where the device has gone, or the error of writing back.
 */
int karray_flush(struct karray_dev *kdev, enum karray_personality_id who,
		 u64 pos, u64 len, enum karray_copies which)
{
	int i, ret, err = 0;

	for (i = 0; i < KARRAY_NR_PERSONALITIES; i++) {
		if (i == who || !karray_personalities[i]->flush)
			continue;
		ret = karray_personalities[i]->flush(kdev, pos, len, which);
		err = err ?: ret;
	}
	return err;
}

static struct resource karray_resource(const struct karray_dev *kdev)
{
	struct resource res = DEFINE_RES_MEM(kdev->range.start,
					     kdev->range.size);

	return res;
}

static void karray_set_state(struct karray_dev *kdev, enum karray_state state)
{
	spin_lock(&kdev->lock);
	smp_store_release(&kdev->state, state);	/* see karray_alive() */
	spin_unlock(&kdev->lock);
}

/* The claim and the mapping: what all personalities stand on. */
static int karray_map(struct karray_dev *kdev)
{
	struct resource want = karray_resource(kdev);

	if (region_intersects(want.start, kdev->range.size,
			      IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT) {
		dev_err(&kdev->dev, "%pR is in use as System RAM, left alone\n",
			&want);
		return -EBUSY;
	}

	kdev->res = request_mem_region(want.start, kdev->range.size,
				       dev_name(&kdev->dev));
	if (!kdev->res) {
		dev_err(&kdev->dev,
			"%pR meets a range that another owner has claimed (see /proc/iomem), left alone\n",
			&want);
		return -EBUSY;
	}

	kdev->virt = memremap(want.start, kdev->range.size, MEMREMAP_WB);
	if (!kdev->virt) {
		dev_err(&kdev->dev, "%pR can't be mapped, left alone\n", &want);
		release_mem_region(want.start, kdev->range.size);
		kdev->res = NULL;
		return -ENOMEM;
	}
	return 0;
}

static void karray_unmap(struct karray_dev *kdev)
{
	memunmap(kdev->virt);
	kdev->virt = NULL;
	release_mem_region(kdev->range.start, kdev->range.size);
	kdev->res = NULL;
}

/* Undoes the first @nr attaches and the mapping. The state is no longer ONLINE. */
static void karray_detach(struct karray_dev *kdev, int nr)
{
	synchronize_srcu_expedited(&karray_srcu);
	while (nr-- > 0)
		karray_personalities[nr]->detach(kdev);
	karray_unmap(kdev);
}

/* The bus's .online: the driver core holds device_lock(dev). */
static int karray_online(struct device *dev)
{
	struct karray_dev *kdev = to_karray_dev(dev);
	struct resource res = karray_resource(kdev);
	int i, ret;

	if (kdev->state == KARRAY_DEAD)
		return -ENODEV;

	ret = karray_map(kdev);
	if (ret)
		return ret;

	/* Before the first attach: adding a disk opens it to read partitions. */
	karray_set_state(kdev, KARRAY_ONLINE);
	for (i = 0; i < KARRAY_NR_PERSONALITIES; i++) {
		ret = karray_personalities[i]->attach(kdev);
		if (ret)
			goto out_detach;
	}

	dev_info(dev, "%pR of %s online, %llu MiB, node %d\n", &res,
		 kdev->origin, kdev->range.size >> 20, dev_to_node(dev));
	trace_karray_online(kdev, atomic_read(&karray_nr_devices));
	return 0;

out_detach:
	dev_err(dev, "%s: error %d, stays offline\n",
		karray_personalities[i]->name, ret);
	karray_set_state(kdev, KARRAY_OFFLINE);
	karray_detach(kdev, i);
	return ret;
}

/* Going offline, by wish or by force: the state has been changed. */
static void karray_take_down(struct karray_dev *kdev)
{
	karray_detach(kdev, KARRAY_NR_PERSONALITIES);
	trace_karray_offline(kdev, atomic_read(&karray_nr_devices));
	dev_info(&kdev->dev, "offline\n");
}

/* With kdev->lock held. */
static unsigned int karray_nr_users(const struct karray_dev *kdev)
{
	unsigned int sum = 0;
	int i;

	for (i = 0; i < KARRAY_NR_PERSONALITIES; i++)
		sum += kdev->users[i];
	return sum;
}

/* Long enough for all personalities; a longer list is cut. */
#define KARRAY_USERS_LEN	64

/* For messages, with kdev->lock held. */
static void karray_list_users(const struct karray_dev *kdev,
			      char list[KARRAY_USERS_LEN])
{
	int i, len = 0;

	for (i = 0; i < KARRAY_NR_PERSONALITIES; i++)
		len += scnprintf(list + len, KARRAY_USERS_LEN - len, "%s%s %u",
				 i ? ", " : "", karray_personalities[i]->name,
				 kdev->users[i]);
}

/* The bus's .offline: the driver core holds device_lock(dev). */
static int karray_offline(struct device *dev)
{
	struct karray_dev *kdev = to_karray_dev(dev);
	char users[KARRAY_USERS_LEN];
	bool busy;

	spin_lock(&kdev->lock);
	busy = karray_nr_users(kdev);
	if (busy)
		karray_list_users(kdev, users);
	else
		WRITE_ONCE(kdev->state, KARRAY_OFFLINE);
	spin_unlock(&kdev->lock);

	if (busy) {
		dev_notice(dev, "busy, stays online: users: %s\n", users);
		return -EBUSY;
	}
	karray_take_down(kdev);
	return 0;
}

static ssize_t size_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%llu\n", to_karray_dev(dev)->range.size);
}
static DEVICE_ATTR_RO(size);

static ssize_t phys_addr_show(struct device *dev,
			      struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "0x%llx\n",
			  (u64)to_karray_dev(dev)->range.start);
}
static DEVICE_ATTR_ADMIN_RO(phys_addr);

static ssize_t node_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%d\n", dev_to_node(dev));
}
static DEVICE_ATTR_RO(node);

static ssize_t origin_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%s\n", to_karray_dev(dev)->origin);
}
static DEVICE_ATTR_RO(origin);

/*
 * What user space makes names of: lsblk looks for "model" and "serial" here (the
 * disk's parent), udev rules for "wwid".
 */
static ssize_t model_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "karray\n");
}
static DEVICE_ATTR_RO(model);

static ssize_t serial_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%s\n", to_karray_dev(dev)->serial);
}
static DEVICE_ATTR_RO(serial);

static ssize_t wwid_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "karray.%s\n", to_karray_dev(dev)->serial);
}
static DEVICE_ATTR_RO(wwid);

static ssize_t users_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct karray_dev *kdev = to_karray_dev(dev);
	unsigned int sum;

	spin_lock(&kdev->lock);
	sum = karray_nr_users(kdev);
	spin_unlock(&kdev->lock);
	return sysfs_emit(buf, "%u\n", sum);
}
static DEVICE_ATTR_RO(users);

static struct attribute *karray_attrs[] = {
	&dev_attr_size.attr,
	&dev_attr_phys_addr.attr,
	&dev_attr_node.attr,
	&dev_attr_origin.attr,
	&dev_attr_model.attr,
	&dev_attr_serial.attr,
	&dev_attr_wwid.attr,
	&dev_attr_users.attr,
	NULL
};

static const struct attribute_group karray_group = {
	.attrs = karray_attrs,
};

static const struct attribute_group *karray_groups[] = {
	&karray_group,
	&karray_settings_group,
	NULL
};

static struct bus_type karray_bus = {
	.name		= "karray",
	.dev_groups	= karray_groups,
	.online		= karray_online,
	.offline	= karray_offline,
};

static void karray_release(struct device *dev)
{
	struct karray_dev *kdev = to_karray_dev(dev);

	badblocks_exit(&kdev->bad);
	kfree(kdev->serial);
	kfree(kdev->origin);
	kfree(kdev);
	/* From here on nothing may sleep, see karray_exit(). */
	if (atomic_dec_and_test(&karray_nr_structs))
		wake_up(&karray_released);
}

/**
 * karray_create - take a range of memory into use
 * @range: the memory, its start and size multiples of PAGE_SIZE
 * @node: its NUMA node, or NUMA_NO_NODE
 * @parent: the hardware it is on, or NULL
 * @fwnode: the firmware's description of that hardware, or NULL. The device will
 *	be asked to go offline before this hardware is ejected.
 * @origin: provider and hardware, for people; copied
 * @slot: what tells this hardware from others and stays the same after a reboot
 *
 * The device is offline.
 *
 * Context: process context, may sleep; not with a karray device's lock held.
 * Return: the device, until karray_destroy(); -EINVAL for a range that can't be
 * used, -ENOSPC for too many devices, -ENOMEM.
 */
struct karray_dev *karray_create(const struct karray_range *range, int node,
				 struct device *parent,
				 struct fwnode_handle *fwnode,
				 const char *origin, const char *slot)
{
	struct karray_dev *kdev;
	int ret;

	/* Offsets into it are of type loff_t, and its mapping of size_t. */
	if (!range->size || !PAGE_ALIGNED(range->start) ||
	    !PAGE_ALIGNED(range->size) ||
	    range->size > min_t(u64, LLONG_MAX, SIZE_MAX) ||
	    range->size - 1 > PHYS_ADDR_MAX - range->start)
		return ERR_PTR(-EINVAL);

	kdev = kzalloc(sizeof(*kdev), GFP_KERNEL);
	if (!kdev)
		return ERR_PTR(-ENOMEM);

	kdev->range = *range;
	spin_lock_init(&kdev->lock);
	kdev->state = KARRAY_OFFLINE;
	kdev->settings = karray_default_settings;

	ret = ida_alloc_max(&karray_ida, KARRAY_MAX_DEVICES - 1, GFP_KERNEL);
	if (ret < 0) {
		kfree(kdev);
		return ERR_PTR(ret);
	}
	kdev->id = ret;

	atomic_inc(&karray_nr_structs);
	device_initialize(&kdev->dev);
	kdev->dev.bus = &karray_bus;
	kdev->dev.parent = parent;
	kdev->dev.release = karray_release;
	kdev->dev.offline = true;
	set_dev_node(&kdev->dev, node);
	if (fwnode)
		device_set_node(&kdev->dev, fwnode);

	ret = -ENOMEM;
	kdev->origin = kstrdup(origin, GFP_KERNEL);
	if (!kdev->origin)
		goto out_put;
	kdev->serial = kasprintf(GFP_KERNEL, "%llx-%s", (u64)range->start, slot);
	if (!kdev->serial)
		goto out_put;
	ret = badblocks_init(&kdev->bad, 1);
	if (ret)
		goto out_put;
	ret = dev_set_name(&kdev->dev, "karray%d", kdev->id);
	if (ret)
		goto out_put;
	ret = device_add(&kdev->dev);
	if (ret)
		goto out_put;
	atomic_inc(&karray_nr_devices);

	return kdev;

out_put:
	ida_free(&karray_ida, kdev->id);
	put_device(&kdev->dev);
	return ERR_PTR(ret);
}

/**
 * karray_bring_online - claim and map the memory, and show it to user space
 * @kdev: the device
 *
 * Where this fails, the reason is in the log, and the device stays on the bus,
 * offline, for another try through sysfs.
 *
 * Context: process context, may sleep; not with a karray device's lock held.
 * Return: 0, also where it was online; -EBUSY if the memory is somebody else's;
 * another error where it can't be mapped or shown.
 */
int karray_bring_online(struct karray_dev *kdev)
{
	int ret = 0;

	/* What device_online() does, which modules can't call. */
	device_lock(&kdev->dev);
	if (kdev->dev.offline) {
		ret = karray_online(&kdev->dev);
		if (!ret) {
			kobject_uevent(&kdev->dev.kobj, KOBJ_ONLINE);
			kdev->dev.offline = false;
		}
	}
	device_unlock(&kdev->dev);
	return ret;
}

/**
 * karray_destroy - the memory goes away, whoever uses it
 * @kdev: what karray_create() returned; not valid any more afterwards
 *
 * Users get errors from now on. When this returns, the memory is not mapped, and
 * the number can be used again.
 *
 * Context: process context, may sleep; not with a karray device's lock held.
 */
void karray_destroy(struct karray_dev *kdev)
{
	char users[KARRAY_USERS_LEN];
	bool was_online, busy;
	int id = kdev->id;

	device_lock(&kdev->dev);
	spin_lock(&kdev->lock);
	was_online = kdev->state == KARRAY_ONLINE;
	busy = karray_nr_users(kdev);
	karray_list_users(kdev, users);
	WRITE_ONCE(kdev->state, KARRAY_DEAD);
	spin_unlock(&kdev->lock);
	if (was_online && busy)
		dev_warn(&kdev->dev, "removed by force, users get errors: %s\n",
			 users);
	if (was_online)
		karray_take_down(kdev);
	kdev->dev.offline = true;
	device_unlock(&kdev->dev);

	atomic_dec(&karray_nr_devices);
	device_unregister(&kdev->dev);
	ida_free(&karray_ida, id);
}

static int __init karray_init(void)
{
	int i, ret;

	ret = karray_settings_init();
	if (ret)
		return ret;
	ret = bus_register(&karray_bus);
	if (ret)
		return ret;

	for (i = 0; i < KARRAY_NR_PERSONALITIES; i++) {
		ret = karray_personalities[i]->init();
		if (ret)
			goto out_exit;
	}

	/*
	 * Last, and no reason to fail: the disk of a device that was created here
	 * has been opened to look for partitions, and is closed only on the way
	 * back to user space. The module must be there then.
	 */
	ret = karray_acpi_init();
	if (ret)
		pr_err("no DIMMs can be used: error %d\n", ret);
	return 0;

out_exit:
	while (i-- > 0)
		karray_personalities[i]->exit();
	bus_unregister(&karray_bus);
	return ret;
}

static void __exit karray_exit(void)
{
	int i;

	trace_karray_exit(atomic_read(&karray_nr_devices));
	karray_acpi_exit();

	/*
	 * No file is open, or the module would be in use (unless it's removed by
	 * force: then wait for the files, however long). But whoever closed the
	 * last one may be about to put the last reference, which ends in
	 * karray_release(): wait for its count, and then, in case it was
	 * preempted after that, until every task has left our text.
	 */
	if (!wait_event_idle_timeout(karray_released,
				     !atomic_read(&karray_nr_structs), HZ)) {
		pr_notice("waiting for files that are still open\n");
		wait_event_idle(karray_released,
				!atomic_read(&karray_nr_structs));
	}
	synchronize_rcu_tasks();

	for (i = KARRAY_NR_PERSONALITIES - 1; i >= 0; i--)
		karray_personalities[i]->exit();
	bus_unregister(&karray_bus);
	ida_destroy(&karray_ida);
}

module_init(karray_init);
module_exit(karray_exit);

MODULE_AUTHOR("The karray developers");
MODULE_DESCRIPTION("Hot-plugged memory as a char device and a disk");
MODULE_VERSION("0.1.0");
MODULE_LICENSE("GPL");
