// SPDX-License-Identifier: GPL-2.0
/*
 * DIMM provider: ACPI memory devices (PNP0C80), present or plugged later.
 *
 * The kernel's own memory hotplug, where it is on, has each DIMM before a driver
 * is asked: see karray_acpi_ram.c. With acpi_no_memhotplug on the kernel's command
 * line it leaves them alone, and this driver binds: one karray device for each
 * contiguous range of the DIMM.
 *
 * Eject: the ACPI core asks each karray device to go offline first (they are the
 * DIMM's "physical nodes", by their fwnode). One that is busy refuses, and the
 * firmware is told. Only then does it call our remove, which must not refuse and
 * can also come through sysfs "unbind".
 *
 * Locks: the ACPI core holds acpi_scan_lock around bind and unbind where they
 * come from hot-plug, and the driver core the DIMM's device_lock() always.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/acpi.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "karray_acpi.h"
#include "karray_compat.h"

/*
 * Reads the contiguous ranges from the DIMM's _CRS. Firmware may describe one
 * range in several adjacent descriptors.
 *
 * Return: how many, in an array at *@ranges that the caller frees; or an error.
 */
static int karray_acpi_get_ranges(struct acpi_device *adev,
				  struct karray_range **ranges)
{
	struct resource_entry *entry;
	struct karray_range *range;
	LIST_HEAD(resources);
	int nr, n = 0;

	nr = acpi_dev_get_memory_resources(adev, &resources);
	if (nr < 0)
		return nr;

	range = kcalloc(nr, sizeof(*range), GFP_KERNEL);
	if (!range) {
		acpi_dev_free_resource_list(&resources);
		return -ENOMEM;
	}
	resource_list_for_each_entry(entry, &resources) {
		const struct resource *res = entry->res;

		if ((res->flags & IORESOURCE_DISABLED) || !resource_size(res))
			continue;
		if (n && range[n - 1].start + range[n - 1].size == res->start) {
			range[n - 1].size += resource_size(res);
			continue;
		}
		range[n].start = res->start;
		range[n++].size = resource_size(res);
	}
	acpi_dev_free_resource_list(&resources);
	*ranges = range;
	return n;
}

/**
 * karray_acpi_new_dimm - make a DIMM's karray devices
 * @adev: the DIMM
 * @ram_ops: for a DIMM that is System RAM now, or NULL
 *
 * A range that can't be used is no reason to do without the others.
 *
 * Context: process context, may sleep.
 * Return: these, for karray_acpi_free_dimm(), none online; an ERR_PTR() where there
 * would be none, and the reason in the log: -ENOMEM where another try may go better.
 */
struct karray_acpi_dimm *
karray_acpi_new_dimm(struct acpi_device *adev,
		     const struct karray_ram_ops *ram_ops)
{
	char origin[64];
	struct karray_source src = {
		.node		= acpi_get_node(adev->handle),
		.parent		= &adev->dev,
		.fwnode		= acpi_fwnode_handle(adev),
		.origin		= origin,
		.slot		= acpi_device_uid(adev) ?: dev_name(&adev->dev),
		.ram_ops	= ram_ops,
	};
	struct karray_acpi_dimm *dimm;
	struct karray_range *ranges;
	int ret = -ENODEV;
	int i, nr;

	nr = karray_acpi_get_ranges(adev, &ranges);
	if (nr < 0)
		return ERR_PTR(nr);
	dimm = kzalloc(struct_size(dimm, kdev, nr), GFP_KERNEL);
	if (!dimm) {
		kfree(ranges);
		return ERR_PTR(-ENOMEM);
	}

	snprintf(origin, sizeof(origin), "acpi:%s", dev_name(&adev->dev));
	for (i = 0; i < nr; i++) {
		struct resource res = DEFINE_RES_MEM(ranges[i].start,
						     ranges[i].size);
		struct karray_dev *kdev;

		dimm->size += ranges[i].size;
		src.range = ranges[i];
		kdev = karray_create(&src);
		if (!IS_ERR(kdev)) {
			dimm->kdev[dimm->nr++] = kdev;
			continue;
		}
		dev_err(&adev->dev, "%pR can't be used: error %ld\n", &res,
			PTR_ERR(kdev));
		if (PTR_ERR(kdev) == -ENOMEM)
			ret = -ENOMEM;
	}
	kfree(ranges);

	if (!dimm->nr) {
		dev_err(&adev->dev, "no usable memory in this DIMM\n");
		kfree(dimm);
		return ERR_PTR(ret);
	}
	return dimm;
}

/**
 * karray_acpi_free_dimm - undo karray_acpi_new_dimm(), whoever uses the devices
 * @dimm: what that returned, or NULL
 *
 * Context: process context, may sleep.
 */
void karray_acpi_free_dimm(struct karray_acpi_dimm *dimm)
{
	if (!dimm)
		return;
	while (dimm->nr)
		karray_destroy(dimm->kdev[--dimm->nr]);
	kfree(dimm);
}

static int karray_acpi_add(struct acpi_device *adev)
{
	struct karray_acpi_dimm *dimm;
	unsigned int i;

	/* Present, but not yet to be used; or on its way between System RAM and karray. */
	if (!adev->status.present || !adev->status.enabled ||
	    !adev->status.functional || karray_acpi_ram_has(adev))
		return -ENODEV;

	dimm = karray_acpi_new_dimm(adev, NULL);
	if (IS_ERR(dimm))
		return PTR_ERR(dimm);
	for (i = 0; i < dimm->nr; i++)
		karray_bring_online(dimm->kdev[i]);
	adev->driver_data = dimm;
	return 0;
}

static void karray_acpi_remove(struct acpi_device *adev)
{
	karray_acpi_free_dimm(acpi_driver_data(adev));
	adev->driver_data = NULL;
}

KARRAY_ACPI_REMOVE(karray_acpi_remove)

static const struct acpi_device_id karray_acpi_ids[] = {
	{ KARRAY_ACPI_HID },
	{ }
};

/* For DIMMs that are there at boot; udev/60-karray.rules is for empty slots. */
MODULE_DEVICE_TABLE(acpi, karray_acpi_ids);

static struct acpi_driver karray_acpi_driver = {
	.name	= "karray",
	.class	= "memory",
	.ids	= karray_acpi_ids,
	.ops	= {
		.add	= karray_acpi_add,
		.remove	= karray_acpi_op(karray_acpi_remove),
	},
};

/*
 * A DIMM with a scan handler is the kernel's. The ACPI core would match it with
 * our driver all the same, then refuse, and the driver core complain of a failed
 * probe. So it's kept from matching while the driver is registered.
 */
static acpi_status karray_acpi_hide_held(acpi_handle handle, u32 level,
					 void *context, void **ret)
{
	struct acpi_device *adev = acpi_fetch_acpi_dev(handle);

	if (adev && adev->handler)
		adev->flags.match_driver = false;
	return AE_OK;
}

static acpi_status karray_acpi_unhide_held(acpi_handle handle, u32 level,
					   void *context, void **ret)
{
	struct acpi_device *adev = acpi_fetch_acpi_dev(handle);

	if (adev && adev->handler)
		adev->flags.match_driver = true;
	return AE_OK;
}

static bool karray_acpi_registered;

int karray_acpi_init(void)
{
	int ret;

	if (acpi_disabled) {
		pr_notice("ACPI is off: there are no DIMMs to be found\n");
		return 0;
	}

	/* No DIMM comes, goes or changes hands meanwhile. */
	acpi_scan_lock_acquire();
	acpi_get_devices(KARRAY_ACPI_HID, karray_acpi_hide_held, NULL, NULL);
	ret = karray_register_acpi_driver(&karray_acpi_driver);
	acpi_get_devices(KARRAY_ACPI_HID, karray_acpi_unhide_held, NULL, NULL);
	acpi_scan_lock_release();
	karray_acpi_registered = !ret;
	if (!ret)
		karray_acpi_ram_init();
	return ret;
}

void karray_acpi_exit(void)
{
	if (!karray_acpi_registered)
		return;
	karray_acpi_ram_exit();
	acpi_bus_unregister_driver(&karray_acpi_driver);
}
