// SPDX-License-Identifier: GPL-2.0
/* A bus attribute's store gets a const bus_type (v6.4). */
#include <linux/device/bus.h>

static ssize_t karray_probe_store(const struct bus_type *bus, const char *buf,
				  size_t count)
{
	return count;
}

struct bus_attribute karray_probe = {
	.store = karray_probe_store,
};
