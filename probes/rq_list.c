// SPDX-License-Identifier: GPL-2.0
/* queue_rqs gets its requests as a struct rq_list (v6.13, and stable kernels). */
#include <linux/blk-mq.h>

static void karray_probe_queue_rqs(struct rq_list *rqs)
{
	blk_mq_end_request(rq_list_pop(rqs), BLK_STS_OK);
}

const struct blk_mq_ops karray_probe = {
	.queue_rqs = karray_probe_queue_rqs,
};
