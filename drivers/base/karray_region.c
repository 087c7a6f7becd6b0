// SPDX-License-Identifier: GPL-2.0
/*
 * Region provider: ranges of memory that were set aside at boot, by memmap=SIZE$START
 * on the kernel's command line or as soft-reserved by the firmware. No hardware tells of
 * them, so users do: by the module's parameter "region", or by writing to "create" and
 * "delete" on the bus.
 *
 * A user's word is checked as far as that goes: the boot memory map must have all of the
 * range as reserved, by others than the firmware, and nobody may have claimed a part of
 * it. Whether there is any memory at the address only the user knows. A range that is
 * refused leaves nothing behind, and keeps nobody from using the others.
 *
 * Writers to the bus's files don't keep the module here. Its exit waits for them, but only
 * when it removes the bus, as its last deed. So the list is open from init to exit, and who
 * comes at another time gets -ENODEV.
 *
 * Locks: karray_region_lock is held while devices are created and deleted, so it comes
 * before all of the core's.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/ioport.h>
#include <linux/kstrtox.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/numa.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#ifdef CONFIG_X86
#include <asm/e820/api.h>
#endif

#include "karray.h"
#include "karray_compat.h"

/* How much of a user's words is shown in messages. */
#define KARRAY_REGION_SHOWN	64

static char *karray_region_param = "";
module_param_named(region, karray_region_param, charp, 0444);
MODULE_PARM_DESC(region, "Reserved memory to use: SIZE@START[,SIZE@START...]");

/**
 * struct karray_region - a range that a user named
 * @list: in karray_regions
 * @range: the memory
 * @kdev: its device; NULL for a range of the parameter that has none yet
 */
struct karray_region {
	struct list_head list;
	struct karray_range range;
	struct karray_dev *kdev;
};

static DEFINE_MUTEX(karray_region_lock);	/* guards the two below */
static LIST_HEAD(karray_regions);
static bool karray_region_open;			/* for create and delete */

/* A number and maybe a unit, as in memmap=. Changes @text. */
static int karray_region_number(char *text, u64 *number)
{
	static const char units[] = "KMGTPE";
	const char *unit;
	char *last;
	u64 n;
	int ret;

	/* First without a unit: in a hexadecimal number E is a digit. */
	ret = kstrtou64(text, 0, number);
	if (ret != -EINVAL || !*text)
		return ret;

	last = text + strlen(text) - 1;
	unit = strchr(units, toupper(*last));
	if (!unit)
		return -EINVAL;
	*last = '\0';
	ret = kstrtou64(text, 0, &n);
	if (ret)
		return ret;
	return check_shl_overflow(n, 10 * (int)(unit - units + 1), number) ?
	       -ERANGE : 0;
}

/* SIZE@START. Changes @text. */
static int karray_region_parse(char *text, struct karray_range *range)
{
	char *size = strsep(&text, "@");
	u64 start;
	int ret;

	if (!text)
		return -EINVAL;
	ret = karray_region_number(size, &range->size) ?:
	      karray_region_number(text, &start);
	if (ret)
		return ret;
	range->start = start;
	if (!range->size)
		return -EINVAL;
	if (range->start != start ||
	    range->size - 1 > PHYS_ADDR_MAX - range->start)
		return -ERANGE;
	return 0;
}

/*
 * Makes a region of the first @len characters of a user's words. What is wrong with
 * them is in the log then.
 */
static struct karray_region *karray_region_new(const char *words, size_t len)
{
	int shown = min3(len, strcspn(words, "\n"), (size_t)KARRAY_REGION_SHOWN);
	char *text = kmemdup_nul(words, len, GFP_KERNEL);
	struct karray_region *region;
	int ret = -ENOMEM;

	region = kzalloc(sizeof(*region), GFP_KERNEL);
	if (text && region)
		ret = karray_region_parse(text, &region->range);
	kfree(text);
	if (!ret)
		return region;

	kfree(region);
	if (ret == -EINVAL)
		pr_err("region %.*s is not SIZE@START, as in 2G@0x100000000\n",
		       shown, words);
	else if (ret == -ERANGE)
		pr_err("region %.*s goes beyond the last address\n", shown, words);
	return ERR_PTR(ret);
}

static int karray_region_covers(struct resource *part, void *want)
{
	return resource_contains(part, want);
}

/* Does the boot memory map have all of @want as one range of this sort? */
static bool karray_region_is(struct resource *want, unsigned long desc)
{
	return walk_iomem_res_desc(desc, IORESOURCE_MEM, want->start, want->end,
				   want, karray_region_covers) > 0;
}

/*
 * What the firmware has reserved looks the same in the boot memory map, but is in use by
 * the firmware or no memory at all: chips.
 */
static bool karray_region_is_firmware(const struct resource *want)
{
#ifdef CONFIG_X86
	return e820__mapped_raw_any(want->start, want->end + 1,
				    E820_TYPE_RESERVED);
#else
	return false;
#endif
}

/*
 * Is it memory that was set aside? The reason why not is in the log. That somebody has
 * claimed it is found out when the device goes online.
 */
static int karray_region_check(struct resource *want)
{
	if (!PAGE_ALIGNED(want->start) || !PAGE_ALIGNED(want->end + 1)) {
		pr_err("%pR does not begin and end at a page: use multiples of %lu\n",
		       want, PAGE_SIZE);
		return -EINVAL;
	}
	if (region_intersects(want->start, resource_size(want),
			      IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT) {
		pr_err("%pR is in use as System RAM: set it aside at boot, by memmap=0x%llx$0x%llx, or acpi_no_memhotplug for a DIMM\n",
		       want, (u64)resource_size(want), (u64)want->start);
		return -EBUSY;
	}
	if (!karray_region_is(want, IORES_DESC_RESERVED) &&
	    !karray_region_is(want, IORES_DESC_SOFT_RESERVED)) {
		pr_err("%pR is not part of one Reserved or Soft Reserved range: look in /proc/iomem\n",
		       want);
		return -ENXIO;
	}
	if (karray_region_is_firmware(want)) {
		pr_err("%pR is what the firmware has reserved for itself: use memory that memmap= sets aside\n",
		       want);
		return -ENXIO;
	}
	return 0;
}

static int karray_region_node(u64 start)
{
	int node = phys_to_target_node(start);

	return node == NUMA_NO_NODE ? memory_add_physaddr_to_nid(start) : node;
}

/* Creates the device of a region and brings it online. */
static int karray_region_create(struct karray_region *region)
{
	const struct karray_range *range = &region->range;
	struct resource want = DEFINE_RES_MEM(range->start, range->size);
	char origin[32];
	struct karray_source src = {
		.range	= *range,
		.node	= karray_region_node(range->start),
		.origin	= origin,
		.slot	= "region",
	};
	struct karray_dev *kdev;
	int ret;

	ret = karray_region_check(&want);
	if (ret)
		return ret;

	snprintf(origin, sizeof(origin), "region:0x%llx", (u64)range->start);
	kdev = karray_create(&src);
	if (IS_ERR(kdev)) {
		ret = PTR_ERR(kdev);
		if (ret != -EEXIST)	/* which is in the log */
			pr_err("%pR can't be used: error %d\n", &want, ret);
		return ret;
	}
	ret = karray_bring_online(kdev);
	if (ret) {
		karray_destroy(kdev);
		return ret;
	}
	region->kdev = kdev;
	return 0;
}

static void karray_region_free(struct karray_region *region)
{
	list_del(&region->list);
	kfree(region);
}

static ssize_t create_store(karray_bus_type *bus, const char *buf, size_t count)
{
	size_t len = count && buf[count - 1] == '\n' ? count - 1 : count;
	struct karray_region *region;
	int ret = -ENODEV;

	region = karray_region_new(buf, len);
	if (IS_ERR(region))
		return PTR_ERR(region);

	mutex_lock(&karray_region_lock);
	list_add_tail(&region->list, &karray_regions);
	if (karray_region_open)
		ret = karray_region_create(region);
	if (ret)
		karray_region_free(region);
	mutex_unlock(&karray_region_lock);
	return ret ?: count;
}
static BUS_ATTR_WO(create);

static struct karray_region *karray_region_find(const char *name)
{
	struct karray_region *region;

	list_for_each_entry(region, &karray_regions, list)
		if (region->kdev &&
		    sysfs_streq(dev_name(&region->kdev->dev), name))
			return region;
	return NULL;
}

/* Says why what is no region can't be deleted. */
static int karray_region_refuse(karray_bus_type *bus, const char *name)
{
	int len = min_t(int, strcspn(name, "\n"), KARRAY_REGION_SHOWN);
	struct device *dev;
	char shown[KARRAY_REGION_SHOWN + 1];

	snprintf(shown, sizeof(shown), "%.*s", len, name);
	dev = bus_find_device_by_name(bus, NULL, shown);
	if (!dev) {
		pr_err("there is no device %s to delete\n", shown);
		return -ENODEV;
	}
	dev_err(dev, "is not a region but from %s: it is ejected, not deleted\n",
		to_karray_dev(dev)->origin);
	put_device(dev);
	return -EPERM;
}

static ssize_t delete_store(karray_bus_type *bus, const char *buf, size_t count)
{
	struct karray_region *region;
	int ret = -ENODEV;

	mutex_lock(&karray_region_lock);
	region = karray_region_find(buf);
	if (region) {
		ret = karray_remove(region->kdev);
		if (!ret)
			karray_region_free(region);
	} else if (karray_region_open) {
		ret = karray_region_refuse(bus, buf);
	}
	mutex_unlock(&karray_region_lock);
	return ret ?: count;
}
static BUS_ATTR_WO(delete);

static struct attribute *karray_region_attrs[] = {
	&bus_attr_create.attr,
	&bus_attr_delete.attr,
	NULL
};

static const struct attribute_group karray_region_group = {
	.attrs = karray_region_attrs,
};

const struct attribute_group *karray_region_bus_groups[] = {
	&karray_region_group,
	NULL
};

/**
 * karray_region_init - read the module's parameter
 *
 * Words that make no sense keep the module from loading, as those of any other
 * parameter do. What becomes of the ranges is seen in karray_region_start().
 *
 * Context: process context.
 * Return: 0, -EINVAL or -ERANGE with the reason in the log, or -ENOMEM.
 */
int karray_region_init(void)
{
	const char *words = karray_region_param;
	struct karray_region *region;
	size_t len;

	while (*words) {
		len = strcspn(words, ",");
		region = karray_region_new(words, len);
		if (IS_ERR(region)) {
			karray_region_exit();
			return PTR_ERR(region);
		}
		list_add_tail(&region->list, &karray_regions);
		words += len;
		if (*words == ',')
			words++;
	}
	return 0;
}

/**
 * karray_region_start - create the parameter's devices, and allow others
 *
 * Context: process context, may sleep.
 */
void karray_region_start(void)
{
	struct karray_region *region, *next;

	mutex_lock(&karray_region_lock);
	list_for_each_entry_safe(region, next, &karray_regions, list)
		if (karray_region_create(region))
			karray_region_free(region);
	karray_region_open = true;
	mutex_unlock(&karray_region_lock);
}

/**
 * karray_region_exit - undo karray_region_init() and karray_region_start()
 *
 * Context: process context, may sleep.
 */
void karray_region_exit(void)
{
	struct karray_region *region, *next;

	mutex_lock(&karray_region_lock);
	karray_region_open = false;
	list_for_each_entry_safe(region, next, &karray_regions, list) {
		if (region->kdev)
			karray_destroy(region->kdev);
		karray_region_free(region);
	}
	mutex_unlock(&karray_region_lock);
}
