// SPDX-License-Identifier: GPL-2.0
/*
 * A block device is opened as a file (v6.9), and its page cache found without its
 * inode (v6.10).
 */
#include <linux/blkdev.h>

unsigned long karray_probe(dev_t dev, void *holder)
{
	struct file *file = bdev_file_open_by_dev(dev, BLK_OPEN_READ, holder,
						  NULL);
	unsigned long pages = file_bdev(file)->bd_mapping->nrpages;

	bdev_fput(file);
	return pages;
}
