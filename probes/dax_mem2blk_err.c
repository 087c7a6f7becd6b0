// SPDX-License-Identifier: GPL-2.0
/* A DAX device says -EHWPOISON of bad memory (v6.5); before it was -EIO. */
#include <linux/dax.h>

int karray_probe(int err)
{
	return dax_mem2blk_err(err);
}
