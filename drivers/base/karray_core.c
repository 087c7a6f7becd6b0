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
 * Memory may be System RAM when karray doesn't have it. Its provider has a struct
 * karray_ram_ops then, and the device one more state, SYSTEM_RAM, from which the
 * attribute "state" takes it, and to which it gives it back.
 *
 * Who may hold what when the memory goes:
 *  - Users (opens of the char node and of the disk, and what rests on them:
 *    mounts, swap) are counted under kdev->lock. Going offline needs a count of
 *    zero, and changes the state in the same critical section, so no user can
 *    slip in.
 *  - karray_destroy() doesn't ask. It makes the state DEAD, waits in
 *    synchronize_srcu() for those between karray_read_lock() and
 *    karray_read_unlock(), and lets each personality detach, which drains its
 *    own I/O. Only then is the memory unmapped. (With dax, a device mapper that has
 *    asked for the memory's address and keeps it isn't heard of again: docs/dax.md.)
 *  - Descriptors that outlive this hold a reference on kdev->dev, so that they
 *    find a struct that says DEAD.
 *
 * What one personality does may concern the others: the char device must not write
 * below a mounted file system, and must know what the disk's page cache holds. They
 * know nothing of each other; karray_claim(), karray_cached() and karray_flush()
 * pass the question on to hooks that a personality may have.
 *
 * Lock order: device_hotplug_lock, acpi_scan_lock or karray_region_lock (the callers'),
 * karray_add_lock, the ACPI device's physical_node_lock, device_lock(&kdev->dev), what
 * personalities take, kdev->lock.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/idr.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/property.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/wait.h>

#include "karray.h"

#define CREATE_TRACE_POINTS
#include <trace/events/karray.h>

static const struct karray_personality *const karray_personalities[] = {
#ifdef CONFIG_FS_DAX
	[KARRAY_DAX] = &karray_dax_personality,
#endif
	[KARRAY_BLK] = &karray_blk_personality,
	[KARRAY_CHR] = &karray_chr_personality,
};

static DEFINE_IDA(karray_ida);

/* From the look for devices that are in the way until the new one is on the bus. */
static DEFINE_MUTEX(karray_add_lock);

/* Readers and writers of the memory that the block layer doesn't account for. */
DEFINE_SRCU(karray_srcu);

/* Devices on the bus, and devices whose struct still exists. */
static atomic_t karray_nr_devices = ATOMIC_INIT(0);
static atomic_t karray_nr_structs = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(karray_released);

/* With kdev->lock held. */
static unsigned int karray_nr_users(const struct karray_dev *kdev)
{
	unsigned int sum = 0;
	int i;

	for (i = 0; i < KARRAY_NR_PERSONALITIES; i++)
		sum += kdev->users[i];
	return sum;
}

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
		/* Once: karray_blk_cached() looks without the lock. */
		WRITE_ONCE(kdev->users[who], kdev->users[who] + 1);
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
	WRITE_ONCE(kdev->users[who], kdev->users[who] - 1);
	spin_unlock(&kdev->lock);
}

/* Is there any user? */
static bool karray_has_users(struct karray_dev *kdev)
{
	bool has;

	spin_lock(&kdev->lock);
	has = karray_nr_users(kdev);
	spin_unlock(&kdev->lock);
	return has;
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

/**
 * karray_failed - memory has turned out to be bad, and is listed so
 * @kdev: the device, with struct pages
 * @pos: offset, bytes
 * @len: bytes, whole pages
 * @mf_flags: of the kernel's memory_failure()
 *
 * Context: process context, may sleep; under karray_read_lock(), with @kdev alive.
 * Return: 0, an error, or -EOPNOTSUPP where there is nobody who could tell all who
 * have it mapped.
 */
int karray_failed(struct karray_dev *kdev, u64 pos, u64 len, int mf_flags)
{
	int i, ret, all = -EOPNOTSUPP;

	for (i = 0; i < KARRAY_NR_PERSONALITIES; i++) {
		if (!karray_personalities[i]->failed)
			continue;
		ret = karray_personalities[i]->failed(kdev, pos, len, mf_flags);
		if (ret != -EOPNOTSUPP)
			all = ret;
	}
	return all;
}

static struct resource karray_resource(const struct karray_dev *kdev)
{
	struct resource res = DEFINE_RES_MEM(kdev->range.start,
					     kdev->range.size);

	return res;
}

static const char *const karray_states[] = {
	[KARRAY_OFFLINE]	= "offline",
	[KARRAY_ONLINE]		= "online",
	[KARRAY_SYSTEM_RAM]	= "system-ram",
	[KARRAY_DEAD]		= "dead",
};

static void karray_set_state(struct karray_dev *kdev, enum karray_state state)
{
	spin_lock(&kdev->lock);
	smp_store_release(&kdev->state, state);	/* see karray_alive() */
	spin_unlock(&kdev->lock);
}

/* A state has been reached: for udev, and for who follows with "udevadm monitor". */
static void karray_announce(struct karray_dev *kdev, enum karray_state state)
{
	char text[32];
	char *envp[2] = { text };

	snprintf(text, sizeof(text), "KARRAY_STATE=%s", karray_states[state]);
	kobject_uevent_env(&kdev->dev.kobj, KOBJ_CHANGE, envp);
}

/* The claim and the mapping: what all personalities stand on. */
static int karray_map(struct karray_dev *kdev)
{
	struct resource want = karray_resource(kdev);
	int ret;

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

	if (kdev->settings.dax) {
		ret = karray_pages_add(kdev);
		if (ret)
			goto out_release;
	}
	kdev->virt = memremap(want.start, kdev->range.size, MEMREMAP_WB);
	if (!kdev->virt) {
		dev_err(&kdev->dev, "%pR can't be mapped, left alone\n", &want);
		ret = -ENOMEM;
		goto out_remove_pages;
	}
	return 0;

out_remove_pages:
	if (kdev->settings.dax)
		karray_pages_remove(kdev);
out_release:
	release_mem_region(want.start, kdev->range.size);
	kdev->res = NULL;
	return ret;
}

static void karray_unmap(struct karray_dev *kdev)
{
	memunmap(kdev->virt);
	kdev->virt = NULL;
	if (kdev->settings.dax)
		karray_pages_remove(kdev);
	release_mem_region(kdev->range.start, kdev->range.size);
	kdev->res = NULL;
}

/*
 * What was System RAM may hold the secrets of those who used it. Nobody has seen the
 * memory yet who would miss its bytes.
 *
 * Return: 0, or -EINTR where there is a signal.
 */
static int karray_zero(struct karray_dev *kdev)
{
	u64 pos = 0;

	if (!kdev->must_zero)
		return 0;
	dev_info(&kdev->dev, "zeroing %llu MiB taken from System RAM\n",
		 kdev->range.size >> 20);
	while (pos < kdev->range.size) {
		size_t len = min_t(u64, kdev->range.size - pos, SZ_64K);

		/* Where there was code emulators are slow, and most so at bytes. */
		memset64(kdev->virt + pos, 0, len / sizeof(u64));
		karray_mem_clear_bad(kdev, pos, len);
		pos += len;
		if (signal_pending(current)) {
			dev_err(&kdev->dev, "zeroing was interrupted\n");
			return -EINTR;
		}
		cond_resched();
	}
	kdev->must_zero = false;
	return 0;
}

/* Undoes the first @nr attaches and the mapping. The state is no longer ONLINE. */
static void karray_detach(struct karray_dev *kdev, int nr)
{
	int i;

	synchronize_srcu_expedited(&karray_srcu);
	for (i = nr - 1; i >= 0; i--)
		if (karray_personalities[i]->revoke)
			karray_personalities[i]->revoke(kdev);
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
	if (kdev->state == KARRAY_SYSTEM_RAM) {
		dev_err(dev, "%pR is System RAM: write online to state to take it\n",
			&res);
		return -EBUSY;
	}

	ret = karray_map(kdev);
	if (ret)
		return ret;
	ret = karray_zero(kdev);
	if (ret) {
		karray_unmap(kdev);
		return ret;
	}

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
	karray_announce(kdev, KARRAY_ONLINE);
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

/* Long enough for all personalities; a longer list is cut. */
#define KARRAY_USERS_LEN	64

/* For messages, with kdev->lock held. */
static void karray_list_users(const struct karray_dev *kdev,
			      char list[KARRAY_USERS_LEN])
{
	int i, len = 0;

	for (i = 0; i < KARRAY_NR_PERSONALITIES; i++)
		if (karray_personalities[i]->counts)
			len += scnprintf(list + len, KARRAY_USERS_LEN - len,
					 "%s%s %u", len ? ", " : "",
					 karray_personalities[i]->name,
					 kdev->users[i]);
}

static bool karray_is_pinned(struct karray_dev *kdev)
{
	unsigned long pinned = karray_pages_pinned(kdev);

	if (pinned)
		dev_notice(&kdev->dev, "busy, stays online: pinned pages: %lu\n",
			   pinned);
	return pinned;
}

/*
 * Changes the state to @state. A device with users, or pinned pages, stays as it is, unless
 * it's by force. Called with the device's lock held.
 *
 * Return: -EBUSY; or else whether the device was online, and must be taken down.
 */
static int karray_leave(struct karray_dev *kdev, enum karray_state state,
			bool force)
{
	bool was_online = karray_alive(kdev);
	char users[KARRAY_USERS_LEN];
	bool busy;

	/*
	 * Twice: it takes its time, and who opens the device meanwhile shall not be
	 * turned away for what comes to nothing; and then nobody can pin another page.
	 */
	if (was_online && !force && !karray_has_users(kdev) &&
	    karray_is_pinned(kdev))
		return -EBUSY;

	spin_lock(&kdev->lock);
	busy = was_online && karray_nr_users(kdev);
	karray_list_users(kdev, users);
	if (!busy || force)
		WRITE_ONCE(kdev->state, state);
	spin_unlock(&kdev->lock);

	if (busy && !force) {
		dev_notice(&kdev->dev, "busy, stays online: users: %s\n",
			   users);
		return -EBUSY;
	}
	if (busy)
		dev_warn(&kdev->dev, "removed by force, users get errors: %s\n",
			 users);
	if (was_online && !force && karray_is_pinned(kdev)) {
		karray_set_state(kdev, KARRAY_ONLINE);
		return -EBUSY;
	}
	return was_online;
}

/* The bus's .offline: the driver core holds device_lock(dev). */
static int karray_offline(struct device *dev)
{
	struct karray_dev *kdev = to_karray_dev(dev);
	int ret = karray_leave(kdev, KARRAY_OFFLINE, false);

	if (ret < 0)
		return ret;
	if (ret)
		karray_take_down(kdev);
	karray_announce(kdev, KARRAY_OFFLINE);
	return 0;
}

/* What device_online() and device_offline() do, which modules can't call. */

/**
 * karray_bring_online - claim and map the memory, and show it to user space
 * @kdev: the device
 *
 * Where this fails, the reason is in the log, and the device stays on the bus,
 * offline, for another try through sysfs.
 *
 * Context: process context, may sleep; not with a karray device's lock held.
 * Return: 0, also where it was online; -EBUSY if the memory is somebody else's; -EINTR
 * where there is a signal before its turn comes; another error where it can't be mapped
 * or shown.
 */
int karray_bring_online(struct karray_dev *kdev)
{
	int ret;

	ret = device_lock_interruptible(&kdev->dev);
	if (ret)
		return ret;
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
 * karray_bring_offline - undo karray_bring_online()
 * @kdev: the device
 *
 * Context: process context, may sleep; not with a karray device's lock held.
 * Return: 0, also where it was offline; -EBUSY where it is in use, and the log says how;
 * -EINTR where there is a signal before its turn comes.
 */
int karray_bring_offline(struct karray_dev *kdev)
{
	int ret;

	ret = device_lock_interruptible(&kdev->dev);
	if (ret)
		return ret;
	if (!kdev->dev.offline) {
		ret = karray_offline(&kdev->dev);
		if (!ret) {
			kobject_uevent(&kdev->dev.kobj, KOBJ_OFFLINE);
			kdev->dev.offline = true;
		}
	}
	device_unlock(&kdev->dev);
	return ret;
}

/* Between the states of a device that is not online; for who has taken or given. */
static void karray_change_hands(struct karray_dev *kdev, enum karray_state state)
{
	device_lock(&kdev->dev);
	if (kdev->state != KARRAY_DEAD) {
		karray_set_state(kdev, state);
		karray_announce(kdev, state);
	}
	device_unlock(&kdev->dev);
}

/**
 * karray_taken - the memory is System RAM no more, and karray's
 * @kdev: a device in the state SYSTEM_RAM
 *
 * Context: process context, may sleep; not with a karray device's lock held.
 */
void karray_taken(struct karray_dev *kdev)
{
	kdev->must_zero = true;
	karray_change_hands(kdev, KARRAY_OFFLINE);
}

/**
 * karray_given_back - the memory is System RAM again
 * @kdev: a device that is offline
 *
 * Context: process context, may sleep; not with a karray device's lock held.
 */
void karray_given_back(struct karray_dev *kdev)
{
	karray_change_hands(kdev, KARRAY_SYSTEM_RAM);
}

/* A wish for another state. */
struct karray_wish {
	struct karray_dev *kdev;
	enum karray_state state;
};

/* With device_hotplug_lock held, where the memory has ram_ops or can be ejected. */
static int karray_fulfil(void *data)
{
	const struct karray_wish *wish = data;
	struct karray_dev *kdev = wish->kdev;
	bool taken = false;
	int ret = 0;

	if (kdev->state == KARRAY_DEAD)
		return -ENODEV;
	if (wish->state == KARRAY_SYSTEM_RAM)
		return kdev->state == KARRAY_SYSTEM_RAM ?
		       0 : kdev->ram_ops->give_back(kdev);
	if (wish->state == KARRAY_OFFLINE && kdev->state == KARRAY_ONLINE)
		return karray_bring_offline(kdev);

	if (kdev->ram_ops && kdev->state == KARRAY_SYSTEM_RAM) {
		ret = kdev->ram_ops->take(kdev);
		if (ret)
			return ret;
		taken = true;
	}
	if (wish->state == KARRAY_ONLINE) {
		ret = karray_bring_online(kdev);
		if (ret && taken)
			kdev->ram_ops->give_back(kdev);
	}
	return ret;
}

static ssize_t state_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct karray_dev *kdev = to_karray_dev(dev);

	return sysfs_emit(buf, "%s\n", karray_states[READ_ONCE(kdev->state)]);
}

static ssize_t state_store(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t count)
{
	struct karray_dev *kdev = to_karray_dev(dev);
	struct karray_wish wish = { .kdev = kdev };
	int ret = sysfs_match_string(karray_states, buf);

	if (ret < 0 || ret == KARRAY_DEAD) {
		dev_err(dev, "state=%.*s is not online, offline or system-ram\n",
			min_t(int, strcspn(buf, "\n"), 32), buf);
		return -EINVAL;
	}
	wish.state = ret;

	if (!kdev->ram_ops && wish.state == KARRAY_SYSTEM_RAM) {
		dev_err(dev, "%s is not from System RAM\n", kdev->origin);
		return -EOPNOTSUPP;
	}

	/*
	 * Who ejects hardware has the lock from the question whether it may go until it
	 * has gone. Waiting is for user space, which may be asked for this file to go.
	 */
	ret = -EOPNOTSUPP;
	if (kdev->ram_ops || dev_fwnode(dev))
		ret = karray_hotplug_call(karray_fulfil, &wish);
	if (ret == -EOPNOTSUPP && !kdev->ram_ops)
		ret = karray_fulfil(&wish);
	return ret ?: count;
}
static DEVICE_ATTR_RW(state);

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

static ssize_t dax_cost_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%llu\n", karray_pages_cost(to_karray_dev(dev)));
}
static DEVICE_ATTR_RO(dax_cost);

static struct attribute *karray_attrs[] = {
	&dev_attr_size.attr,
	&dev_attr_phys_addr.attr,
	&dev_attr_node.attr,
	&dev_attr_origin.attr,
	&dev_attr_model.attr,
	&dev_attr_serial.attr,
	&dev_attr_wwid.attr,
	&dev_attr_users.attr,
	&dev_attr_state.attr,
	&dev_attr_dax_cost.attr,
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
	.bus_groups	= karray_region_bus_groups,
	.dev_groups	= karray_groups,
	.online		= karray_online,
	.offline	= karray_offline,
};

static int karray_meets(struct device *dev, const void *range)
{
	const struct karray_range *a = &to_karray_dev(dev)->range, *b = range;

	return a->start <= b->start + (b->size - 1) &&
	       b->start <= a->start + (a->size - 1);
}

/* What of a device's memory is in the range is bad; it may be neither or both. */
static int karray_note_error(struct device *dev, void *data)
{
	struct karray_dev *kdev = to_karray_dev(dev);
	const struct karray_range *bad = data;
	u64 start, end;

	/* System RAM is the kernel's own to look after. */
	if (!karray_meets(dev, bad) ||
	    READ_ONCE(kdev->state) == KARRAY_SYSTEM_RAM)
		return 0;
	start = max_t(u64, bad->start, kdev->range.start);
	end = min_t(u64, bad->start + bad->size,
		    kdev->range.start + kdev->range.size);
	karray_mem_failed(kdev, start - kdev->range.start, end - start);
	return 0;
}

/**
 * karray_memory_error - the machine has found out that memory is bad
 * @start: physical address
 * @len: bytes, at least 1
 *
 * The devices whose memory it is note it, whether online or not.
 *
 * Context: process context, may sleep; the bus is there.
 */
void karray_memory_error(u64 start, u64 len)
{
	struct karray_range bad = { .start = start, .size = len };

	bus_for_each_dev(&karray_bus, NULL, &bad, karray_note_error);
}

/* Puts a device on the bus, unless one is there that has a part of its memory. */
static int karray_add(struct karray_dev *kdev)
{
	struct resource res = karray_resource(kdev);
	bool has_fwnode = dev_fwnode(&kdev->dev);
	struct device *other;
	int ret;

	mutex_lock(&karray_add_lock);
	other = bus_find_device(&karray_bus, NULL, &kdev->range, karray_meets);
	if (other) {
		pr_err("%pR meets %s, left alone\n", &res, dev_name(other));
		put_device(other);
		ret = -EEXIST;
	} else {
		ret = device_add(&kdev->dev);
		/*
		 * Without memory to note that the device belongs to a DIMM, the ACPI
		 * core takes the fwnode away, and would not ask it before an eject.
		 */
		if (!ret && has_fwnode && !dev_fwnode(&kdev->dev)) {
			/* Somebody may have brought it online by now. */
			karray_kill(kdev);
			device_del(&kdev->dev);
			ret = -ENOMEM;
		}
	}
	mutex_unlock(&karray_add_lock);
	return ret;
}

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
 * @src: what and where it is; not needed any more afterwards
 *
 * The device is offline, or System RAM where there are ram_ops.
 *
 * Context: process context, may sleep; not with a karray device's lock held.
 * Return: the device, until karray_remove() or karray_destroy(); -EINVAL for a range
 * that can't be used, -EEXIST for one that meets another device's (the log says which),
 * -ENOSPC for too many devices, -ENOMEM.
 */
struct karray_dev *karray_create(const struct karray_source *src)
{
	const struct karray_range *range = &src->range;
	struct karray_dev *kdev;
	int ret;

	/* Offsets into it are of type loff_t, and its mapping of size_t. */
	if (!range->size || !PAGE_ALIGNED(range->start) ||
	    !PAGE_ALIGNED(range->size) ||
	    range->size > min_t(u64, LLONG_MAX, SIZE_MAX) ||
	    range->size - 1 > PHYS_ADDR_MAX - range->start)
		return ERR_PTR(-EINVAL);

	kdev = kzalloc_node(sizeof(*kdev), GFP_KERNEL, src->node);
	if (!kdev)
		return ERR_PTR(-ENOMEM);

	kdev->range = *range;
	spin_lock_init(&kdev->lock);
	kdev->ram_ops = src->ram_ops;
	kdev->state = kdev->ram_ops ? KARRAY_SYSTEM_RAM : KARRAY_OFFLINE;
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
	kdev->dev.parent = src->parent;
	kdev->dev.groups = kdev->ram_ops ? kdev->ram_ops->groups : NULL;
	kdev->dev.release = karray_release;
	kdev->dev.offline = true;
	set_dev_node(&kdev->dev, src->node);
	if (src->fwnode)
		device_set_node(&kdev->dev, src->fwnode);

	ret = -ENOMEM;
	kdev->origin = kstrdup(src->origin, GFP_KERNEL);
	if (!kdev->origin)
		goto out_put;
	kdev->serial = kasprintf(GFP_KERNEL, "%llx-%s", (u64)range->start,
				 src->slot);
	if (!kdev->serial)
		goto out_put;
	ret = badblocks_init(&kdev->bad, 1);
	if (ret)
		goto out_put;
	ret = dev_set_name(&kdev->dev, "karray%d", kdev->id);
	if (ret)
		goto out_put;
	ret = karray_add(kdev);
	if (ret)
		goto out_put;
	atomic_inc(&karray_nr_devices);

	return kdev;

out_put:
	ida_free(&karray_ida, kdev->id);
	put_device(&kdev->dev);
	return ERR_PTR(ret);
}

/* The end of a device that is DEAD. */
static void karray_unregister(struct karray_dev *kdev)
{
	int id = kdev->id;

	atomic_dec(&karray_nr_devices);
	device_unregister(&kdev->dev);
	ida_free(&karray_ida, id);
}

/**
 * karray_remove - give up a device that nobody uses
 * @kdev: what karray_create() returned; not valid any more afterwards, if this succeeds
 *
 * Context: process context, may sleep; not with a karray device's lock held.
 * Return: 0, as after karray_destroy(); -EBUSY where there are users, which the log
 * lists. Then nothing has changed.
 */
int karray_remove(struct karray_dev *kdev)
{
	int ret;

	device_lock(&kdev->dev);
	ret = karray_leave(kdev, KARRAY_DEAD, false);
	if (ret > 0)
		karray_take_down(kdev);
	if (ret >= 0)
		kdev->dev.offline = true;
	device_unlock(&kdev->dev);
	if (ret < 0)
		return ret;
	karray_unregister(kdev);
	return 0;
}

/**
 * karray_kill - the memory goes away, whoever uses it
 * @kdev: the device
 *
 * Users get errors from now on. When this returns, the memory is not mapped any more.
 * The device stays on the bus until karray_destroy().
 *
 * Context: process context, may sleep; not with a karray device's lock held.
 */
void karray_kill(struct karray_dev *kdev)
{
	bool was_online;

	device_lock(&kdev->dev);
	was_online = karray_leave(kdev, KARRAY_DEAD, true);
	kdev->dev.offline = true;
	device_unlock(&kdev->dev);

	/*
	 * A dead device is nobody else's. Not with its lock: this may wait for pinned
	 * pages, and who has them for an attribute of ours.
	 */
	if (was_online)
		karray_take_down(kdev);
}

/**
 * karray_destroy - kill a device, and take it off the bus
 * @kdev: what karray_create() returned; not valid any more afterwards
 *
 * When this returns, the number can be used again.
 *
 * Context: process context, may sleep; not with a karray device's lock held.
 */
void karray_destroy(struct karray_dev *kdev)
{
	karray_kill(kdev);
	karray_unregister(kdev);
}

static int __init karray_init(void)
{
	int i, ret;

	ret = karray_settings_init();
	if (ret)
		return ret;
	ret = karray_region_init();
	if (ret)
		return ret;
	ret = bus_register(&karray_bus);
	if (ret) {
		karray_region_exit();
		return ret;
	}

	for (i = 0; i < KARRAY_NR_PERSONALITIES; i++) {
		ret = karray_personalities[i]->init();
		if (ret)
			goto out_exit;
	}
	karray_hotplug_init();
	karray_mce_init();

	/*
	 * Last, and no reason to fail: the disk of a device that was created here
	 * has been opened to look for partitions, and is closed only on the way
	 * back to user space. The module must be there then. DIMMs come before
	 * regions, since they know when they are ejected.
	 */
	ret = karray_acpi_init();
	if (ret)
		pr_err("no DIMMs can be used: error %d\n", ret);
	karray_region_start();
	return 0;

out_exit:
	while (i-- > 0)
		karray_personalities[i]->exit();
	bus_unregister(&karray_bus);
	karray_region_exit();
	return ret;
}

static void __exit karray_exit(void)
{
	int i;

	trace_karray_exit(atomic_read(&karray_nr_devices));
	karray_region_exit();
	karray_acpi_exit();
	karray_mce_exit();
	karray_hotplug_exit();

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
MODULE_VERSION(KARRAY_VERSION);
MODULE_LICENSE("GPL");
