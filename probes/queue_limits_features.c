// SPDX-License-Identifier: GPL-2.0
/*
 * Queue limits are handed to blk_mq_alloc_disk() (v6.9) and carry the queue's
 * features (v6.11).
 */
#include <linux/blk-mq.h>

struct gendisk *karray_probe(struct blk_mq_tag_set *set, void *data)
{
	struct queue_limits lim = {
		.logical_block_size = 512,
		.features = BLK_FEAT_SYNCHRONOUS,
	};

	return blk_mq_alloc_disk(set, &lim, data);
}
