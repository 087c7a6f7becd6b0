// SPDX-License-Identifier: GPL-2.0
/*
 * DIMMs that the kernel's memory hotplug has made System RAM: each is on our bus as
 * well, in the state SYSTEM_RAM, and can be taken and given back.
 *
 * To take one, all its memory blocks are offlined, as by hand. Then the ACPI core is
 * told to detach the memory hotplug's scan handler, which removes the memory with all
 * that goes with it, and our own handler stands in its place. So the ACPI core knows
 * at any time whose the DIMM is: a rescan leaves alone what has a handler, and an eject
 * asks our devices to go offline (they are among the DIMM's physical nodes), and then
 * calls our handler's detach. To give a DIMM back, our handler steps aside, and a scan
 * lets the memory hotplug find the DIMM as if it had just been plugged. The blocks
 * that were online then get online again.
 *
 * DIMMs are listed and unlisted by a work, whenever memory blocks come or go. It is
 * also what takes devices off the bus: the detach of an eject only kills them, since
 * that must not wait for those who are in one of their attributes.
 *
 * Locks: all here runs with device_hotplug_lock held, which guards what is on the list.
 * After it come acpi_scan_lock, the DIMM's physical_node_lock, and device_lock() of a
 * memory block or a karray device.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/acpi.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "karray_acpi.h"

/* What became of a block, and why, in a line for people. */
#define KARRAY_WHY_LEN		160

/**
 * struct karray_ram_block - a memory block of a DIMM
 * @dev: of the block; a reference is held. NULL while the DIMM is taken.
 * @id: its number, the N of memoryN
 * @was: how it was online before we offlined it, MMOP_OFFLINE if not
 */
struct karray_ram_block {
	struct device *dev;
	u32 id;
	int was;
};

/**
 * struct karray_ram_blocks - the memory blocks of a DIMM
 * @nr: how many there are
 * @block: these, in the order in which the ACPI core has them
 */
struct karray_ram_blocks {
	unsigned int nr;
	struct karray_ram_block block[];
};

/**
 * struct karray_ram - a DIMM that is System RAM, or was before it was taken
 * @node: in karray_ram_list
 * @adev: the DIMM; a reference is held
 * @dimm: its karray devices
 * @witness: one of its memory blocks, while it is System RAM: once that is not
 *	registered any more, the DIMM has left
 * @blocks: how its blocks were before it was taken; NULL while it is System RAM
 * @gone: it was ejected while taken
 */
struct karray_ram {
	struct list_head node;
	struct acpi_device *adev;
	struct karray_acpi_dimm *dimm;
	struct device *witness;
	struct karray_ram_blocks *blocks;
	bool gone;
};

static LIST_HEAD(karray_ram_list);
static DEFINE_SPINLOCK(karray_ram_lock);	/* guards the list's links */

/* Memory blocks ------------------------------------------------------------- */

static void karray_ram_free_blocks(struct karray_ram_blocks *blocks)
{
	unsigned int i;

	if (!blocks)
		return;
	for (i = 0; i < blocks->nr; i++)
		put_device(blocks->block[i].dev);
	kvfree(blocks);
}

static struct memory_block *karray_ram_block_of(struct device *dev)
{
	return container_of(dev, struct memory_block, dev);
}

static unsigned long karray_ram_first_pfn(struct device *dev)
{
	return section_nr_to_pfn(karray_ram_block_of(dev)->start_section_nr);
}

/* How a block is online: MMOP_OFFLINE, MMOP_ONLINE_KERNEL or MMOP_ONLINE_MOVABLE. */
static int karray_ram_online_type(struct device *dev)
{
	struct page *page;

	if (dev->offline)
		return MMOP_OFFLINE;
	page = pfn_to_online_page(karray_ram_first_pfn(dev));
	return page && page_zonenum(page) == ZONE_MOVABLE ? MMOP_ONLINE_MOVABLE :
							   MMOP_ONLINE_KERNEL;
}

/*
 * The DIMM's blocks are devices that the memory hotplug has bound to it. They stay as
 * long as we have device_hotplug_lock.
 *
 * Return: for karray_ram_free_blocks(), or NULL where there is no memory for that.
 */
static struct karray_ram_blocks *karray_ram_get_blocks(struct acpi_device *adev)
{
	struct acpi_device_physical_node *pn;
	struct karray_ram_blocks *blocks;

	mutex_lock(&adev->physical_node_lock);
	blocks = kvzalloc(struct_size(blocks, block, adev->physical_node_count),
			  GFP_KERNEL);
	if (blocks) {
		list_for_each_entry(pn, &adev->physical_node_list, node) {
			struct karray_ram_block *block;

			if (!karray_is_memory_block(pn->dev))
				continue;
			block = &blocks->block[blocks->nr++];
			block->dev = get_device(pn->dev);
			block->id = pn->dev->id;
			block->was = karray_ram_online_type(pn->dev);
		}
	}
	mutex_unlock(&adev->physical_node_lock);
	return blocks;
}

/* What device_offline() does with a memory block. */
static int karray_ram_block_offline(struct device *dev)
{
	int ret = 0;

	device_lock(dev);
	if (dev->offline_disabled) {
		ret = -EPERM;
	} else if (!dev->offline) {
		ret = dev->bus->offline(dev);
		if (!ret) {
			kobject_uevent(&dev->kobj, KOBJ_OFFLINE);
			dev->offline = true;
		}
	}
	device_unlock(dev);
	return ret;
}

/* What writing "online_kernel" or "online_movable" to its state does. */
static int karray_ram_block_online(struct device *dev, int type)
{
	int ret = 0;

	device_lock(dev);
	if (dev->offline) {
		karray_ram_block_of(dev)->online_type = type;
		ret = dev->bus->online(dev);
		if (!ret) {
			kobject_uevent(&dev->kobj, KOBJ_ONLINE);
			dev->offline = false;
		}
	}
	device_unlock(dev);
	return ret;
}

/* To how it @was: where the kernel onlines new memory by itself, it may be otherwise. */
static void karray_ram_block_restore(struct device *dev, int was)
{
	int ret;

	if (was == karray_ram_online_type(dev))
		return;
	ret = karray_ram_block_offline(dev);
	if (!ret && was != MMOP_OFFLINE)
		ret = karray_ram_block_online(dev, was);
	if (ret)
		dev_notice(dev, "not as before: error %d\n", ret);
}

/*
 * Can't this page be moved elsewhere, as things stand? The kernel asks the same when a
 * block is to be offlined. All that isn't reserved can be moved out of ZONE_MOVABLE.
 */
static bool karray_ram_page_stays(struct page *page, int type)
{
	/* What describes the block's pages may lie in it, and leaves with it. */
	if (PageVmemmapSelfHosted(page))
		return false;
	if (PageReserved(page))
		return true;
	if (type == MMOP_ONLINE_MOVABLE || !page_count(page))
		return false;
	return !PageLRU(page) && !PageHuge(page) && !__PageMovable(page) &&
	       !PageHWPoison(page) && !PageOffline(page);
}

/* The first page of a block that stays, or 0 (of which there is no hot-plugged one). */
static unsigned long karray_ram_unmovable_pfn(struct device *dev, int type)
{
	unsigned long pfn = karray_ram_first_pfn(dev);
	unsigned long end = pfn + PHYS_PFN(memory_block_size_bytes());

	for (; pfn < end; pfn++) {
		struct page *page = pfn_to_online_page(pfn);

		if (page && karray_ram_page_stays(page, type))
			return pfn;
		if (!(pfn % PAGES_PER_SECTION))
			cond_resched();
	}
	return 0;
}

/* Why a block stays online, with the error that offlining it gave, if that was tried. */
static void karray_ram_say_why(struct device *dev, int type, int err,
			       char why[KARRAY_WHY_LEN])
{
	unsigned long pfn = karray_ram_unmovable_pfn(dev, type);
	int len;

	len = scnprintf(why, KARRAY_WHY_LEN, "%s is online in %s",
			dev_name(dev), type == MMOP_ONLINE_MOVABLE ?
			"ZONE_MOVABLE" : "ZONE_NORMAL");
	if (pfn)
		len += scnprintf(why + len, KARRAY_WHY_LEN - len,
				 ", and its page at 0x%llx is unmovable",
				 (u64)PFN_PHYS(pfn));
	else if (err == -EINTR)
		len += scnprintf(why + len, KARRAY_WHY_LEN - len,
				 ", and emptying it was interrupted");
	else
		len += scnprintf(why + len, KARRAY_WHY_LEN - len,
				 ", and can't be emptied: error %d", err);
	if (type == MMOP_ONLINE_KERNEL)
		scnprintf(why + len, KARRAY_WHY_LEN - len,
			  " (booting with memhp_default_state=online_movable helps)");
}

/*
 * In two passes, like the ACPI core: a block may hold what the kernel needs for
 * another one that is online, and leave after that.
 *
 * Return: 0, or an error with all blocks as they were.
 */
static int karray_ram_offline_blocks(const struct karray_ram_blocks *blocks,
				     char why[KARRAY_WHY_LEN])
{
	const struct karray_ram_block *stays;
	unsigned int i, pass;
	int ret;

	for (pass = 0; pass < 2; pass++) {
		stays = NULL;
		for (i = 0; i < blocks->nr; i++) {
			int err = karray_ram_block_offline(blocks->block[i].dev);

			if (err && !stays) {
				stays = &blocks->block[i];
				ret = err;
			}
			if (err == -EINTR)
				break;
		}
		if (!stays)
			return 0;
		if (ret == -EINTR)
			break;
	}

	karray_ram_say_why(stays->dev, stays->was, ret, why);
	for (i = 0; i < blocks->nr; i++)
		karray_ram_block_restore(blocks->block[i].dev,
					 blocks->block[i].was);
	return ret;
}

/* Blocks that are there again, at the same place, get online as they were. */
static void karray_ram_restore_blocks(struct acpi_device *adev,
				      const struct karray_ram_blocks *old)
{
	struct karray_ram_blocks *blocks = karray_ram_get_blocks(adev);
	unsigned int i, j;

	if (!blocks) {
		dev_notice(&adev->dev, "memory blocks may not be online as before: no memory\n");
		return;
	}
	for (i = 0; i < blocks->nr; i++) {
		/* Mostly in the same order. */
		for (j = i; j < i + old->nr; j++) {
			const struct karray_ram_block *was =
				&old->block[j % old->nr];

			if (was->id == blocks->block[i].id) {
				karray_ram_block_restore(blocks->block[i].dev,
							 was->was);
				break;
			}
		}
	}
	karray_ram_free_blocks(blocks);
}

/* Take and give back -------------------------------------------------------- */

static struct karray_ram *karray_ram_find(const struct acpi_device *adev)
{
	struct karray_ram *ram, *found = NULL;

	spin_lock(&karray_ram_lock);
	list_for_each_entry(ram, &karray_ram_list, node)
		if (ram->adev == adev && !ram->gone) {
			found = ram;
			break;
		}
	spin_unlock(&karray_ram_lock);
	return found;
}

static struct karray_ram *karray_ram_of(struct karray_dev *kdev)
{
	return karray_ram_find(to_acpi_device(kdev->dev.parent));
}

/* The scan handler of a taken DIMM: it is ejected. */
static void karray_ram_detach(struct acpi_device *adev);

static struct acpi_scan_handler karray_ram_handler = {
	.detach		= karray_ram_detach,
};

static void karray_ram_set_handler(struct acpi_device *adev,
				   struct acpi_scan_handler *handler)
{
	adev->handler = handler;
	adev->flags.initialized = !!handler;
	if (handler)
		acpi_device_set_enumerated(adev);
	else
		acpi_device_clear_enumerated(adev);
}

static void karray_ram_set_witness(struct karray_ram *ram)
{
	struct karray_ram_blocks *blocks = karray_ram_get_blocks(ram->adev);

	put_device(ram->witness);
	ram->witness = blocks && blocks->nr ?
		       get_device(blocks->block[0].dev) : NULL;
	karray_ram_free_blocks(blocks);
}

/* From the memory hotplug to us; all blocks are offline. */
static void karray_ram_seize(struct karray_ram *ram)
{
	struct acpi_device *adev = ram->adev;

	put_device(ram->witness);
	ram->witness = NULL;

	acpi_scan_lock_acquire();
	/* One switch for all DIMMs, in /sys/firmware/acpi/hotplug. */
	karray_ram_handler.hotplug.enabled = adev->handler->hotplug.enabled;
	acpi_bus_trim(adev);
	if (adev->flags.power_manageable)
		acpi_device_set_power(adev, ACPI_STATE_D0);
	karray_ram_set_handler(adev, &karray_ram_handler);
	acpi_scan_lock_release();
}

/* From us to the memory hotplug. */
static int karray_ram_release(struct karray_ram *ram)
{
	struct acpi_device *adev = ram->adev;
	sigset_t most, old;
	bool done;

	acpi_scan_lock_acquire();
	karray_ram_set_handler(adev, NULL);
	acpi_bus_scan(adev->handle);
	done = adev->handler;
	acpi_scan_lock_release();
	if (!done)
		return -ENOMEM;

	/*
	 * A signal that is pending would keep a block from changing its zone. One that
	 * ends the program is a SIGKILL by now, and still does: or nothing would end this.
	 */
	siginitsetinv(&most, sigmask(SIGKILL));
	sigprocmask(SIG_BLOCK, &most, &old);
	karray_ram_restore_blocks(adev, ram->blocks);
	sigprocmask(SIG_SETMASK, &old, NULL);
	karray_ram_free_blocks(ram->blocks);
	ram->blocks = NULL;
	karray_ram_set_witness(ram);
	return 0;
}

/* The list may not know it yet. */
static bool karray_ram_has_left(const struct karray_ram *ram)
{
	if (ram->gone || ram->blocks)
		return ram->gone;
	return !ram->adev->handler ||
	       (ram->witness && !device_is_registered(ram->witness));
}

/* Are these blocks all of the DIMM's memory? */
static bool karray_ram_is_whole(const struct karray_ram *ram,
				const struct karray_ram_blocks *blocks)
{
	u64 block_size = memory_block_size_bytes();
	u64 bits = 0;
	unsigned int i;

	for (i = 0; i < ram->dimm->nr; i++) {
		const struct karray_range *range = &ram->dimm->kdev[i]->range;

		bits |= range->start | range->size;
	}
	return IS_ALIGNED(bits, block_size) &&
	       blocks->nr * block_size == ram->dimm->size;
}

/*
 * A page that the kernel has found to be bad, or 0. Its block can't get online again
 * once it is offline, if it has to stay after all (-EHWPOISON); and where a machine check
 * took the page out of the direct mapping, that hole outlives the memory's removal, and
 * would be met by whoever gets the page after the DIMM was given back.
 */
static unsigned long karray_ram_bad_pfn(const struct karray_ram_blocks *blocks)
{
	unsigned long nr = PHYS_PFN(memory_block_size_bytes());
	unsigned int i;

	for (i = 0; i < blocks->nr; i++) {
		unsigned long pfn = karray_ram_first_pfn(blocks->block[i].dev);
		unsigned long end = pfn + nr;

		for (; pfn < end; pfn++) {
			struct page *page = pfn_to_online_page(pfn);

			if (page && PageHWPoison(page))
				return pfn;
			if (!(pfn % PAGES_PER_SECTION))
				cond_resched();
		}
	}
	return 0;
}

/*
 * The blocks of a DIMM that can be taken. The memory hotplug also believes to have what it
 * couldn't add, since it was there before, or somebody else's. Such a DIMM has fewer
 * blocks, and to have its memory removed would be a BUG() in the kernel.
 *
 * Return: these, or an ERR_PTR() with the reason in @why.
 */
static struct karray_ram_blocks *
karray_ram_takeable_blocks(const struct karray_ram *ram,
			   char why[KARRAY_WHY_LEN])
{
	struct karray_ram_blocks *blocks;
	unsigned long pfn;

	if (!ram || karray_ram_has_left(ram)) {
		scnprintf(why, KARRAY_WHY_LEN, "the DIMM has left");
		return ERR_PTR(-ENODEV);
	}
	blocks = karray_ram_get_blocks(ram->adev);
	if (!blocks) {
		scnprintf(why, KARRAY_WHY_LEN, "no memory");
		return ERR_PTR(-ENOMEM);
	}
	if (!karray_ram_is_whole(ram, blocks)) {
		karray_ram_free_blocks(blocks);
		scnprintf(why, KARRAY_WHY_LEN,
			  "the kernel's memory hotplug doesn't have all of the DIMM");
		return ERR_PTR(-EOPNOTSUPP);
	}
	pfn = karray_ram_bad_pfn(blocks);
	if (pfn) {
		karray_ram_free_blocks(blocks);
		scnprintf(why, KARRAY_WHY_LEN, "its page at 0x%llx is bad memory",
			  (u64)PFN_PHYS(pfn));
		return ERR_PTR(-EHWPOISON);
	}
	return blocks;
}

static int karray_ram_take(struct karray_dev *kdev)
{
	struct karray_ram *ram = karray_ram_of(kdev);
	struct karray_ram_blocks *blocks;
	char why[KARRAY_WHY_LEN];
	unsigned int i;
	int ret;

	blocks = karray_ram_takeable_blocks(ram, why);
	ret = IS_ERR(blocks) ? PTR_ERR(blocks) :
			       karray_ram_offline_blocks(blocks, why);
	if (ret) {
		dev_err(&kdev->dev, "stays System RAM: %s\n", why);
		if (!IS_ERR(blocks))
			karray_ram_free_blocks(blocks);
		return ret;
	}

	/* They go now: keep only how they were. */
	for (i = 0; i < blocks->nr; i++) {
		put_device(blocks->block[i].dev);
		blocks->block[i].dev = NULL;
	}
	ram->blocks = blocks;
	karray_ram_seize(ram);
	for (i = 0; i < ram->dimm->nr; i++)
		karray_taken(ram->dimm->kdev[i]);
	dev_info(&kdev->dev, "taken from System RAM\n");
	return 0;
}

static int karray_ram_give_back(struct karray_dev *kdev)
{
	struct karray_ram *ram = karray_ram_of(kdev);
	bool was_online = karray_alive(kdev);
	unsigned int i;
	int ret;

	if (!ram || !ram->blocks)
		return -ENODEV;
	for (i = 0; i < ram->dimm->nr; i++) {
		struct karray_dev *other = ram->dimm->kdev[i];

		/* Nobody else brings it online: that takes device_hotplug_lock. */
		if (other != kdev && karray_alive(other)) {
			dev_err(&kdev->dev,
				"can't be given back: %s of the same DIMM is online\n",
				dev_name(&other->dev));
			return -EBUSY;
		}
		if (karray_mem_has_bad(other)) {
			dev_err(&kdev->dev,
				"can't be given back: %s has bad sectors, write them first\n",
				dev_name(&other->dev));
			return -EBUSY;
		}
	}

	/* Not for nothing: a pending signal ends that, where there is one. */
	ret = was_online ? karray_bring_offline(kdev) : 0;
	if (ret)
		return ret;
	ret = karray_ram_release(ram);
	if (ret) {
		acpi_scan_lock_acquire();
		karray_ram_set_handler(ram->adev, &karray_ram_handler);
		acpi_scan_lock_release();
		dev_err(&kdev->dev,
			"can't be given back: the kernel's memory hotplug refuses it\n");
		if (was_online)
			karray_bring_online(kdev);
		return ret;
	}
	for (i = 0; i < ram->dimm->nr; i++)
		karray_given_back(ram->dimm->kdev[i]);
	dev_info(&kdev->dev, "given back to System RAM\n");
	return 0;
}

/* Could it be taken? */
struct karray_ram_trial {
	struct karray_dev *kdev;
	bool yes;
	char why_not[KARRAY_WHY_LEN];
};

/* Tells without doing, and so what is true now may not be then. */
static int karray_ram_try(void *data)
{
	struct karray_ram_trial *trial = data;
	struct karray_ram *ram = karray_ram_of(trial->kdev);
	struct karray_ram_blocks *blocks;
	unsigned int i;

	trial->yes = true;
	if (ram && ram->blocks)
		return 0;
	blocks = karray_ram_takeable_blocks(ram, trial->why_not);
	if (IS_ERR(blocks)) {
		trial->yes = false;
		return 0;
	}
	for (i = 0; i < blocks->nr && trial->yes; i++) {
		const struct karray_ram_block *block = &blocks->block[i];

		if (block->was == MMOP_OFFLINE ||
		    !karray_ram_unmovable_pfn(block->dev, block->was))
			continue;
		karray_ram_say_why(block->dev, block->was, 0, trial->why_not);
		trial->yes = false;
	}
	karray_ram_free_blocks(blocks);
	return 0;
}

static ssize_t takeable_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	struct karray_ram_trial trial = { .kdev = to_karray_dev(dev) };
	int ret = karray_hotplug_call(karray_ram_try, &trial);

	if (ret)
		return ret;
	if (trial.yes)
		return sysfs_emit(buf, "yes\n");
	return sysfs_emit(buf, "no: %s\n", trial.why_not);
}
static DEVICE_ATTR_ADMIN_RO(takeable);

static struct attribute *karray_ram_attrs[] = {
	&dev_attr_takeable.attr,
	NULL
};
ATTRIBUTE_GROUPS(karray_ram);

static const struct karray_ram_ops karray_ram_ops = {
	.groups		= karray_ram_groups,
	.take		= karray_ram_take,
	.give_back	= karray_ram_give_back,
};

/* The list ------------------------------------------------------------------- */

static void karray_ram_sync_work(struct work_struct *work);
static DECLARE_WORK(karray_ram_work, karray_ram_sync_work);
static bool karray_ram_ended;

static void karray_ram_detach(struct acpi_device *adev)
{
	struct karray_ram *ram = karray_ram_find(adev);
	unsigned int i;

	if (!ram)
		return;
	for (i = 0; ram->dimm && i < ram->dimm->nr; i++)
		karray_kill(ram->dimm->kdev[i]);
	ram->gone = true;
	schedule_work(&karray_ram_work);
}

static void karray_ram_free(struct karray_ram *ram)
{
	spin_lock(&karray_ram_lock);
	list_del(&ram->node);
	spin_unlock(&karray_ram_lock);
	karray_acpi_free_dimm(ram->dimm);
	karray_ram_free_blocks(ram->blocks);
	put_device(ram->witness);
	put_device(&ram->adev->dev);
	kfree(ram);
}

/* With acpi_scan_lock held. */
static acpi_status karray_ram_list_dimm(acpi_handle handle, u32 level,
					void *context, void **ret)
{
	struct acpi_device *adev = acpi_fetch_acpi_dev(handle);
	struct karray_acpi_dimm *dimm;
	struct karray_ram *ram;
	unsigned int i;

	if (!adev || !adev->handler || karray_ram_find(adev))
		return AE_OK;
	ram = kzalloc(sizeof(*ram), GFP_KERNEL);
	if (!ram)
		return AE_OK;
	ram->adev = adev;
	get_device(&adev->dev);
	karray_ram_set_witness(ram);
	spin_lock(&karray_ram_lock);
	list_add_tail(&ram->node, &karray_ram_list);
	spin_unlock(&karray_ram_lock);

	dimm = karray_acpi_new_dimm(adev, &karray_ram_ops);
	if (IS_ERR(dimm)) {
		/* Let the next look at what there is find it, if it may go better. */
		if (PTR_ERR(dimm) == -ENOMEM)
			karray_ram_free(ram);
		return AE_OK;
	}
	ram->dimm = dimm;
	for (i = 0; i < dimm->nr; i++)
		dev_info(&dimm->kdev[i]->dev,
			 "%llu MiB of %s are System RAM: write online to state to take them\n",
			 dimm->kdev[i]->range.size >> 20, dimm->kdev[i]->origin);
	return AE_OK;
}

/* Makes the list what the ACPI core says. */
static int karray_ram_sync(void *unused)
{
	struct karray_ram *ram, *next;
	LIST_HEAD(left);

	if (karray_ram_ended)
		return 0;

	acpi_scan_lock_acquire();
	list_for_each_entry_safe(ram, next, &karray_ram_list, node) {
		if (!karray_ram_has_left(ram))
			continue;
		spin_lock(&karray_ram_lock);
		list_move_tail(&ram->node, &left);
		spin_unlock(&karray_ram_lock);
		/* Let go by us, but not yet by the firmware, which will tell. */
		if (ram->adev->handler == &karray_ram_handler)
			karray_ram_set_handler(ram->adev, NULL);
	}
	acpi_scan_lock_release();

	/* This waits for those who are in an attribute. */
	list_for_each_entry_safe(ram, next, &left, node)
		karray_ram_free(ram);

	acpi_scan_lock_acquire();
	acpi_get_devices(KARRAY_ACPI_HID, karray_ram_list_dimm, NULL, NULL);
	acpi_scan_lock_release();
	return 0;
}

static void karray_ram_sync_work(struct work_struct *work)
{
	karray_hotplug_call_wait(karray_ram_sync, NULL);
}

/* A memory block has come or gone, maybe a DIMM's. */
static int karray_ram_notify(struct notifier_block *nb, unsigned long action,
			     void *data)
{
	if (action == BUS_NOTIFY_ADD_DEVICE ||
	    action == BUS_NOTIFY_REMOVED_DEVICE)
		schedule_work(&karray_ram_work);
	return NOTIFY_DONE;
}

static struct notifier_block karray_ram_nb = {
	.notifier_call = karray_ram_notify,
};

/* All go back to where they came from. */
static int karray_ram_end(void *unused)
{
	struct karray_ram *ram, *next;
	unsigned int i;

	karray_ram_ended = true;
	list_for_each_entry_safe(ram, next, &karray_ram_list, node) {
		for (i = 0; ram->dimm && i < ram->dimm->nr; i++)
			if (karray_mem_has_bad(ram->dimm->kdev[i]))
				dev_warn(&ram->dimm->kdev[i]->dev,
					 "bad sectors become System RAM\n");
		/* Nobody uses the memory any more. */
		karray_acpi_free_dimm(ram->dimm);
		ram->dimm = NULL;
		if (ram->adev->handler == &karray_ram_handler &&
		    karray_ram_release(ram))
			dev_err(&ram->adev->dev,
				"can't be given back: the kernel's memory hotplug refuses it\n");
		karray_ram_free(ram);
	}
	return 0;
}

/**
 * karray_acpi_ram_has - is this DIMM on our list?
 * @adev: the DIMM
 *
 * Context: any.
 * Return: whether it is System RAM, or was before it was taken.
 */
bool karray_acpi_ram_has(struct acpi_device *adev)
{
	return karray_ram_find(adev);
}

void karray_acpi_ram_init(void)
{
	karray_ram_ended = false;
	if (karray_hotplug_watch(&karray_ram_nb)) {
		pr_notice("DIMMs that are System RAM can't be taken on this kernel\n");
		return;
	}
	karray_hotplug_call_wait(karray_ram_sync, NULL);
}

void karray_acpi_ram_exit(void)
{
	karray_hotplug_unwatch(&karray_ram_nb);
	karray_hotplug_call_wait(karray_ram_end, NULL);
	cancel_work_sync(&karray_ram_work);
}
