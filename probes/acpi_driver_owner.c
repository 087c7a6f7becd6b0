// SPDX-License-Identifier: GPL-2.0
/* struct acpi_driver names its owner itself (until v6.10). */
#include <linux/acpi.h>
#include <linux/module.h>

struct acpi_driver karray_probe = {
	.owner = THIS_MODULE,
};
