// SPDX-License-Identifier: GPL-2.0
/*
 * Reads two pages by chained bios, as XFS reads its log: the first one's error must
 * come out at the end of the second. Loading gives that error, or -ECANCELED when all
 * was read, so that it never stays.
 *
 * usage: insmod karray_chain.ko disk=/dev/karrayb0 sector=64
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/module.h>

static char *disk;
module_param(disk, charp, 0);

static unsigned long sector;
module_param(sector, ulong, 0);

static int read_chained(struct block_device *bdev, struct page *page)
{
	struct bio *first = bio_alloc(bdev, 1, REQ_OP_READ, GFP_KERNEL);
	struct bio *second = bio_alloc(bdev, 1, REQ_OP_READ, GFP_KERNEL);
	int ret;

	first->bi_iter.bi_sector = sector;
	second->bi_iter.bi_sector = sector + PAGE_SECTORS;
	__bio_add_page(first, page, PAGE_SIZE, 0);
	__bio_add_page(second, page, PAGE_SIZE, 0);
	bio_chain(first, second);
	submit_bio(first);
	ret = submit_bio_wait(second);
	bio_put(second);
	return ret;
}

static int __init karray_chain_init(void)
{
	struct file *file = filp_open(disk, O_RDONLY, 0);
	struct page *page;
	int ret = -ENOMEM;

	if (IS_ERR(file))
		return PTR_ERR(file);
	page = alloc_page(GFP_KERNEL);
	if (page) {
		ret = read_chained(I_BDEV(file->f_mapping->host), page);
		__free_page(page);
	}
	filp_close(file, NULL);
	return ret ?: -ECANCELED;
}
module_init(karray_chain_init);

MODULE_DESCRIPTION("karray test: chained bios");
MODULE_LICENSE("GPL");
