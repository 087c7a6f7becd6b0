// SPDX-License-Identifier: GPL-2.0
/* An ACPI driver's remove returns nothing (v6.3). */
#include <linux/acpi.h>

static void karray_probe_remove(struct acpi_device *adev)
{
}

struct acpi_driver karray_probe = {
	.ops.remove = karray_probe_remove,
};
