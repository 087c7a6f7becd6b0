// SPDX-License-Identifier: GPL-2.0
/*
 * A huge page fault tells the order of the page (v6.6). Before, it was an enum, which is
 * the same to the compiler: so what counts here is that the name is free.
 */
#include <linux/mm.h>

enum page_entry_size { KARRAY_PROBE };

static vm_fault_t karray_probe_fault(struct vm_fault *vmf, unsigned int order)
{
	return order ? VM_FAULT_FALLBACK : VM_FAULT_SIGBUS;
}

const struct vm_operations_struct karray_probe = {
	.huge_fault = karray_probe_fault,
};
