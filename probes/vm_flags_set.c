// SPDX-License-Identifier: GPL-2.0
/* A VMA's flags are const, and changed by functions (v6.3). */
#include <linux/mm.h>

void karray_probe(struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_PFNMAP);
	vm_flags_clear(vma, VM_MAYWRITE);
}
