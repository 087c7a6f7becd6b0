// SPDX-License-Identifier: GPL-2.0
/* Block devices are opened by gendisk and blk_mode_t (v6.5). */
#include <linux/blkdev.h>

static int karray_probe_open(struct gendisk *disk, blk_mode_t mode)
{
	return mode & BLK_OPEN_WRITE ? -EROFS : 0;
}

static void karray_probe_release(struct gendisk *disk)
{
}

const struct block_device_operations karray_probe = {
	.open = karray_probe_open,
	.release = karray_probe_release,
};
