// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/karrayb0, /dev/karrayb1, ...: the memory as a blk-mq disk.
 *
 * A request is carried out where it is queued: memcpy between its pages and the
 * mapping (or memset), then completion, on the submitting CPU. Nothing is
 * allocated on the way, so writeback and swap can't starve.
 *
 * Lifetime: an open counts as a user of the karray_dev. struct karray_blk lives
 * until the gendisk is released, which may be long after the memory has gone:
 * del_gendisk() drains the queue and fails what comes later, so that the mapping
 * isn't reached from here any more once detach returns.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blk-mq.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "karray.h"
#include "karray_compat.h"

/*
 * The most a request may move or zero, in sectors. Requests run to their end with
 * preemption by the scheduler's tick at best, so this bounds latency.
 */
#define KARRAY_BLK_MAX_SECTORS	(SZ_16M >> SECTOR_SHIFT)

#define KARRAY_BLK_MAX_DEPTH	10240	/* the block layer's */

static unsigned int karray_blk_nr_queues;
module_param_named(nr_queues, karray_blk_nr_queues, uint, 0444);
MODULE_PARM_DESC(nr_queues, "Hardware queues of a disk (0: one for each CPU, the default)");

static unsigned int karray_blk_queue_depth = 128;
module_param_named(queue_depth, karray_blk_queue_depth, uint, 0444);
MODULE_PARM_DESC(queue_depth, "Requests that a hardware queue holds, 1 to 10240 (default: 128)");

/**
 * struct karray_blk - a disk
 * @tag_set: its requests, on the memory's NUMA node
 * @disk: the gendisk
 * @kdev: whose memory it shows; a reference is held until the disk is released
 */
struct karray_blk {
	struct blk_mq_tag_set tag_set;
	struct gendisk *disk;
	struct karray_dev *kdev;
};

/* The block layer has checked that @rq ends within the disk. */
static blk_status_t karray_blk_do_request(struct karray_dev *kdev,
					  struct request *rq)
{
	void *mem = kdev->virt + ((loff_t)blk_rq_pos(rq) << SECTOR_SHIFT);
	struct req_iterator iter;
	struct bio_vec bv;

	switch (req_op(rq)) {
	case REQ_OP_READ:
		rq_for_each_segment(bv, rq, iter) {
			memcpy_to_bvec(&bv, mem);
			mem += bv.bv_len;
		}
		return BLK_STS_OK;
	case REQ_OP_WRITE:
		rq_for_each_segment(bv, rq, iter) {
			memcpy_from_bvec(mem, &bv);
			mem += bv.bv_len;
		}
		return BLK_STS_OK;
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		memset(mem, 0, blk_rq_bytes(rq));
		return BLK_STS_OK;
	case REQ_OP_FLUSH:
		return BLK_STS_OK;
	default:
		return BLK_STS_NOTSUPP;
	}
}

static blk_status_t karray_blk_queue_rq(struct blk_mq_hw_ctx *hctx,
					const struct blk_mq_queue_data *bd)
{
	struct karray_blk *blk = hctx->queue->queuedata;
	struct request *rq = bd->rq;

	blk_mq_start_request(rq);
	blk_mq_end_request(rq, karray_blk_do_request(blk->kdev, rq));
	return BLK_STS_OK;
}

static const struct blk_mq_ops karray_blk_mq_ops = {
	.queue_rq = karray_blk_queue_rq,
};

static int karray_blk_open(struct gendisk *disk, blk_mode_t mode)
{
	struct karray_blk *blk = disk->private_data;

	return karray_get_user(blk->kdev, KARRAY_BLK);
}

static void karray_blk_release(struct gendisk *disk)
{
	struct karray_blk *blk = disk->private_data;

	karray_put_user(blk->kdev, KARRAY_BLK);
}

static void karray_blk_free(struct karray_blk *blk)
{
	put_device(&blk->kdev->dev);
	kfree(blk);
}

static void karray_blk_free_disk(struct gendisk *disk)
{
	karray_blk_free(disk->private_data);
}

KARRAY_BLK_OPEN_RELEASE(karray_blk_open, karray_blk_release)

static const struct block_device_operations karray_blk_fops = {
	.owner		= THIS_MODULE,
	.open		= karray_blk_op(karray_blk_open),
	.release	= karray_blk_op(karray_blk_release),
	.free_disk	= karray_blk_free_disk,
};

static int karray_blk_attach(struct karray_dev *kdev)
{
	struct queue_limits lim = {
		.features		= BLK_FEAT_SYNCHRONOUS,
		.logical_block_size	= SECTOR_SIZE,
		.physical_block_size	= PAGE_SIZE,
		.max_hw_sectors		= KARRAY_BLK_MAX_SECTORS,
		.max_hw_discard_sectors	= KARRAY_BLK_MAX_SECTORS,
		.max_write_zeroes_sectors = KARRAY_BLK_MAX_SECTORS,
		.discard_granularity	= PAGE_SIZE,
		.max_segment_size	= UINT_MAX,
		.max_segments		= USHRT_MAX,
		.dma_alignment		= 3,
	};
	int node = dev_to_node(&kdev->dev);
	struct karray_blk *blk;
	struct gendisk *disk;
	int ret;

	blk = kzalloc_node(sizeof(*blk), GFP_KERNEL, node);
	if (!blk)
		return -ENOMEM;
	blk->kdev = kdev;
	get_device(&kdev->dev);

	blk->tag_set.ops = &karray_blk_mq_ops;
	blk->tag_set.nr_hw_queues = karray_blk_nr_queues ?: num_possible_cpus();
	blk->tag_set.queue_depth = karray_blk_queue_depth;
	blk->tag_set.numa_node = node;
	blk->tag_set.flags = BLK_MQ_F_NO_SCHED_BY_DEFAULT;
	ret = blk_mq_alloc_tag_set(&blk->tag_set);
	if (ret)
		goto out_free;

	disk = blk_mq_alloc_disk(&blk->tag_set, &lim, blk);
	if (IS_ERR(disk)) {
		ret = PTR_ERR(disk);
		goto out_free_tag_set;
	}
	disk->fops = &karray_blk_fops;
	disk->private_data = blk;
	snprintf(disk->disk_name, DISK_NAME_LEN, "karrayb%d", kdev->id);
	set_capacity(disk, kdev->range.size >> SECTOR_SHIFT);
	blk->disk = disk;

	ret = device_add_disk(&kdev->dev, disk, NULL);
	if (ret)
		goto out_put_disk;
	kdev->blk = blk;
	return 0;

out_put_disk:
	/* A disk that was never added doesn't call free_disk. */
	put_disk(disk);
out_free_tag_set:
	blk_mq_free_tag_set(&blk->tag_set);
out_free:
	karray_blk_free(blk);
	return ret;
}

static void karray_blk_detach(struct karray_dev *kdev)
{
	struct karray_blk *blk = kdev->blk;

	kdev->blk = NULL;
	del_gendisk(blk->disk);
	blk_mq_free_tag_set(&blk->tag_set);
	put_disk(blk->disk);	/* blk is gone, or goes with the last opener */
}

static int karray_blk_init(void)
{
	if (!karray_blk_queue_depth ||
	    karray_blk_queue_depth > KARRAY_BLK_MAX_DEPTH) {
		pr_err("queue_depth=%u is not within 1 to %u\n",
		       karray_blk_queue_depth, KARRAY_BLK_MAX_DEPTH);
		return -EINVAL;
	}
	if (karray_blk_nr_queues > num_possible_cpus()) {
		pr_err("nr_queues=%u is more than this machine's %u CPUs\n",
		       karray_blk_nr_queues, num_possible_cpus());
		return -EINVAL;
	}
	return 0;
}

static void karray_blk_exit(void)
{
}

const struct karray_personality karray_blk_personality = {
	.name	= "disk",
	.init	= karray_blk_init,
	.exit	= karray_blk_exit,
	.attach	= karray_blk_attach,
	.detach	= karray_blk_detach,
};
