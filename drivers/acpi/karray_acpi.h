/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the DIMM provider know of each other. */
#ifndef _KARRAY_ACPI_H
#define _KARRAY_ACPI_H

#include <linux/acpi.h>

#include "karray.h"

#define KARRAY_ACPI_HID		"PNP0C80"

/**
 * struct karray_acpi_dimm - the karray devices of a DIMM
 * @size: of all its ranges, also of those that can't be used, bytes
 * @nr: how many devices there are, one for each contiguous range that can
 * @kdev: these
 */
struct karray_acpi_dimm {
	u64 size;
	unsigned int nr;
	struct karray_dev *kdev[];
};

struct karray_acpi_dimm *
karray_acpi_new_dimm(struct acpi_device *adev,
		     const struct karray_ram_ops *ram_ops);
void karray_acpi_free_dimm(struct karray_acpi_dimm *dimm);

#if IS_ENABLED(CONFIG_ACPI_HOTPLUG_MEMORY) && IS_ENABLED(CONFIG_MEMORY_HOTREMOVE)
void karray_acpi_ram_init(void);
void karray_acpi_ram_exit(void);
bool karray_acpi_ram_has(struct acpi_device *adev);
#else
static inline void karray_acpi_ram_init(void)
{
}

static inline void karray_acpi_ram_exit(void)
{
}

static inline bool karray_acpi_ram_has(struct acpi_device *adev)
{
	return false;
}
#endif

#endif /* _KARRAY_ACPI_H */
