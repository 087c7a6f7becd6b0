// SPDX-License-Identifier: GPL-2.0
/*
 * Who walks page tables asks for one, and is told where there is a huge entry instead
 * (v6.5). Before, each walker asked what the entry is, and MADV_COLD and MADV_PAGEOUT
 * took a huge one of device memory for garbage (see drivers/char/karray_chr_mmap.c).
 */
#include <linux/mm.h>

pte_t *karray_probe(pmd_t *pmd, unsigned long addr);

pte_t *karray_probe(pmd_t *pmd, unsigned long addr)
{
	return __pte_offset_map(pmd, addr, NULL);
}
