// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/karrayb0, /dev/karrayb1, ...: the memory as a disk.
 *
 * I/O is carried out where it is submitted, on the submitting CPU: memcpy between
 * the bio's pages and the mapping, or memset, then completion. Nothing is allocated
 * on the way, so writeback and swap can't starve, and nothing is ever in flight.
 *
 * queue_mode says what comes here: requests by blk-mq (mq), several at a time where
 * the submitter has a plug, or bios straight from the submitter (bio), without
 * tags, schedulers or queues, for fewer instructions.
 *
 * The page cache is a copy of the memory, of which its other views ask (the hooks
 * cached and flush). Each partition has one of its own. An inode is what keeps one
 * from going away while it is written back.
 *
 * Lifetime: an open counts as a user of the karray_dev. struct karray_blk lives
 * until the gendisk is released, which may be long after the memory has gone:
 * del_gendisk() drains the queue and fails what comes later, so that the mapping
 * isn't reached from here any more once detach returns.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blk-mq.h>
#include <linux/buffer_head.h>
#include <linux/dax.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/part_stat.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "karray.h"
#include "karray_compat.h"

/*
 * The most a request may move or zero, in sectors. A plug hands over up to 32 of them,
 * which run to their end with preemption by the scheduler's tick at best, so this
 * bounds latency. Bios may be larger, but give way to others after each piece, of so
 * many bytes at most.
 */
#define KARRAY_BLK_MAX_SECTORS	(SZ_2M >> SECTOR_SHIFT)
#define KARRAY_BLK_PIECE	SZ_1M

/* System RAM for a disk's requests, unless their number is set. */
#define KARRAY_BLK_REQUESTS_BYTES	SZ_512K

/**
 * struct karray_blk - a disk
 * @tag_set: its requests; mq only. blk-mq has each queue's on the NUMA node of the
 *	CPUs that use it, which are those that do the I/O, too
 * @disk: the gendisk
 * @kdev: whose memory it shows; a reference is held until the disk is released
 * @uncounted: how many of those who have the disk open are not users of @kdev, but
 *	users of another personality who hold a claim
 */
struct karray_blk {
	struct blk_mq_tag_set tag_set;
	struct gendisk *disk;
	struct karray_dev *kdev;
	atomic_t uncounted;
};

static u64 karray_blk_pos(const struct bio *bio)
{
	return (u64)bio->bi_iter.bi_sector << SECTOR_SHIFT;
}

/*
 * The next piece of a bio's data: a whole bvec of many pages, unless each page must
 * be mapped, or what may sleep shall do so in between.
 */
static __always_inline struct bio_vec
karray_blk_next(const struct bio *bio, struct bvec_iter iter, bool may_sleep)
{
	struct bio_vec bv = IS_ENABLED(CONFIG_HIGHMEM) ?
			    bvec_iter_bvec(bio->bi_io_vec, iter) :
			    mp_bvec_iter_bvec(bio->bi_io_vec, iter);

	if (may_sleep)
		bv.bv_len = min_t(unsigned int, bv.bv_len, KARRAY_BLK_PIECE);
	return bv;
}

/*
 * On to the next piece, if there is one: mostly there isn't. blk-mq's dispatch must
 * not sleep.
 */
static __always_inline bool karray_blk_advance(const struct bio *bio,
					       struct bvec_iter *iter,
					       unsigned int len, bool may_sleep)
{
	if (len == iter->bi_size)
		return false;
	bvec_iter_advance_single(bio->bi_io_vec, iter, len);
	if (may_sleep && iter->bi_size >= KARRAY_BLK_PIECE)
		cond_resched();
	return true;
}

/* Nothing on most architectures. */
static __always_inline void karray_blk_flush_dcache(const struct bio_vec *bv)
{
	unsigned int i = bv->bv_offset / PAGE_SIZE;

	for (; i <= (bv->bv_offset + bv->bv_len - 1) / PAGE_SIZE; i++)
		flush_dcache_page(nth_page(bv->bv_page, i));
}

static __always_inline blk_status_t
karray_blk_read(struct karray_dev *kdev, const struct bio *bio, bool may_sleep)
{
	struct bvec_iter iter = bio->bi_iter;
	u64 pos = karray_blk_pos(bio);
	struct bio_vec bv;

	if (karray_mem_has_bad(kdev) &&
	    karray_mem_readable(kdev, pos, iter.bi_size) < iter.bi_size)
		return BLK_STS_IOERR;

	do {
		size_t done;
		void *to;

		bv = karray_blk_next(bio, iter, may_sleep);
		to = bvec_kmap_local(&bv);
		done = karray_mem_read(kdev, to, pos, bv.bv_len);
		kunmap_local(to);
		if (unlikely(done < bv.bv_len))
			return BLK_STS_IOERR;
		karray_blk_flush_dcache(&bv);
		pos += bv.bv_len;
	} while (karray_blk_advance(bio, &iter, bv.bv_len, may_sleep));
	return BLK_STS_OK;
}

static __always_inline void karray_blk_write(struct karray_dev *kdev,
					     const struct bio *bio,
					     bool may_sleep)
{
	void *to = kdev->virt + karray_blk_pos(bio);
	struct bvec_iter iter = bio->bi_iter;
	struct bio_vec bv;

	do {
		void *from;

		bv = karray_blk_next(bio, iter, may_sleep);
		from = bvec_kmap_local(&bv);
		memcpy(to, from, bv.bv_len);
		kunmap_local(from);
		to += bv.bv_len;
	} while (karray_blk_advance(bio, &iter, bv.bv_len, may_sleep));
}

/* The size of a discard that comes as a bio has no limit. */
static void karray_blk_zero(void *to, unsigned int len, bool may_sleep)
{
	while (may_sleep && len > KARRAY_BLK_PIECE) {
		memset(to, 0, KARRAY_BLK_PIECE);
		to += KARRAY_BLK_PIECE;
		len -= KARRAY_BLK_PIECE;
		cond_resched();
	}
	memset(to, 0, len);
}

/* What isn't a read. */
static noinline blk_status_t
karray_blk_change(struct karray_dev *kdev, const struct bio *bio,
		  bool may_sleep)
{
	unsigned int len = bio->bi_iter.bi_size;
	u64 pos = karray_blk_pos(bio);

	if (unlikely(kdev->settings.read_only))
		return BLK_STS_IOERR;

	switch (bio_op(bio)) {
	case REQ_OP_WRITE:
		karray_blk_write(kdev, bio, may_sleep);
		break;
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		karray_blk_zero(kdev->virt + pos, len, may_sleep);
		break;
	default:
		return BLK_STS_NOTSUPP;
	}
	if (karray_mem_has_bad(kdev))
		karray_mem_clear_bad(kdev, pos, len);
	return BLK_STS_OK;
}

/* The block layer has checked that @bio has data and ends within the disk. */
static __always_inline blk_status_t
karray_blk_do_bio(struct karray_dev *kdev, const struct bio *bio,
		  bool may_sleep)
{
	if (bio_op(bio) == REQ_OP_READ)
		return karray_blk_read(kdev, bio, may_sleep);
	return karray_blk_change(kdev, bio, may_sleep);
}

static __always_inline blk_status_t
karray_blk_do_request(struct karray_dev *kdev, const struct request *rq)
{
	const struct bio *bio;

	__rq_for_each_bio(bio, rq) {
		blk_status_t status = karray_blk_do_bio(kdev, bio, false);

		if (status != BLK_STS_OK)
			return status;
	}
	return BLK_STS_OK;
}

/* One at a time: from a scheduler, or where the submitter has no plug. */
static blk_status_t karray_blk_queue_rq(struct blk_mq_hw_ctx *hctx,
					const struct blk_mq_queue_data *bd)
{
	const struct karray_blk *blk = hctx->queue->queuedata;

	blk_mq_start_request(bd->rq);
	blk_mq_end_request(bd->rq, karray_blk_do_request(blk->kdev, bd->rq));
	return BLK_STS_OK;
}

/*
 * What a plug has for one disk, without a scheduler; the tags are given back
 * together. These are not started: that would arm a timeout for what is never in
 * flight.
 */
static void karray_blk_queue_rqs(karray_rq_list *rqs)
{
	const struct karray_blk *blk = rq_list_peek(rqs)->q->queuedata;
	struct karray_dev *kdev = blk->kdev;
	DEFINE_IO_COMP_BATCH(done);
	struct request *rq;

	while ((rq = rq_list_pop(rqs))) {
		blk_status_t status = karray_blk_do_request(kdev, rq);

		if (!blk_mq_add_to_batch(rq, &done, status != BLK_STS_OK,
					 blk_mq_end_request_batch))
			blk_mq_end_request(rq, status);
	}
	blk_mq_end_request_batch(&done);
}

/* All is done before anybody could ask for it. */
static int karray_blk_poll(struct blk_mq_hw_ctx *hctx,
			   struct io_comp_batch *iob)
{
	return 0;
}

/*
 * Queues for polled I/O come after the others. (In a crash dump's kernel the block
 * layer cuts the set down to a single map.)
 */
static void karray_blk_map_queues(struct blk_mq_tag_set *set)
{
	const struct karray_blk *blk = set->driver_data;
	unsigned int poll_queues = set->nr_maps > HCTX_TYPE_POLL ?
				   blk->kdev->settings.poll_queues : 0;
	unsigned int nr_queues = set->nr_hw_queues - poll_queues;
	unsigned int i;

	for (i = 0; i < set->nr_maps; i++)
		set->map[i].nr_queues = 0;	/* use the default's */
	set->map[HCTX_TYPE_DEFAULT].nr_queues = nr_queues;
	blk_mq_map_queues(&set->map[HCTX_TYPE_DEFAULT]);
	if (poll_queues) {
		set->map[HCTX_TYPE_POLL].nr_queues = poll_queues;
		set->map[HCTX_TYPE_POLL].queue_offset = nr_queues;
		blk_mq_map_queues(&set->map[HCTX_TYPE_POLL]);
	}
}

static const struct blk_mq_ops karray_blk_mq_ops = {
	.queue_rq	= karray_blk_queue_rq,
	.queue_rqs	= karray_blk_queue_rqs,
	.poll		= karray_blk_poll,
	.map_queues	= karray_blk_map_queues,
};

/*
 * The time in which at least one I/O was being done. bd_stamp is when it was last
 * added to; an I/O adds what of its own time comes after that.
 */
static void karray_blk_account_busy(struct block_device *part,
				    unsigned long start, unsigned long now)
{
	unsigned long stamp = READ_ONCE(part->bd_stamp);

	if (time_after(now, stamp) &&
	    try_cmpxchg(&part->bd_stamp, &stamp, now))
		__part_stat_add(part, io_ticks,
				min(now - stamp, now - start));
}

/*
 * I/O statistics of a bio that began at @start, jiffies, and has been done, for its
 * partition and the disk: what bio_start_io_acct() and bio_end_io_acct() do, in one
 * step, since it was never in flight.
 */
static void karray_blk_account(struct bio *bio, unsigned long start)
{
	struct block_device *part = bio->bi_bdev;
	const int group = op_stat_group(bio_op(bio));
	unsigned long now = READ_ONCE(jiffies);

	part_stat_lock();
	part_stat_inc(part, ios[group]);
	part_stat_add(part, sectors[group], bio_sectors(bio));
	if (unlikely(now != start)) {
		part_stat_add(part, nsecs[group], jiffies_to_nsecs(now - start));
		karray_blk_account_busy(part, start, now);
		if (bdev_is_partition(part))
			karray_blk_account_busy(bdev_whole(part), start, now);
	}
	part_stat_unlock();
}

static void karray_blk_submit_bio(struct bio *bio)
{
	struct gendisk *disk = bio->bi_bdev->bd_disk;
	struct karray_blk *blk = disk->private_data;
	unsigned long start = READ_ONCE(jiffies);
	blk_status_t status = karray_blk_do_bio(blk->kdev, bio, true);

	/* There may be the error of another, chained to it, already. */
	if (unlikely(status))
		bio->bi_status = status;
	if (blk_queue_io_stat(disk->queue))
		karray_blk_account(bio, start);
	bio_endio(bio);
}

static int karray_blk_open(struct gendisk *disk, blk_mode_t mode)
{
	struct karray_blk *blk = disk->private_data;

	return karray_get_user(blk->kdev, KARRAY_BLK);
}

static void karray_blk_release(struct gendisk *disk)
{
	struct karray_blk *blk = disk->private_data;

	if (atomic_dec_if_positive(&blk->uncounted) < 0)
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

static const struct block_device_operations karray_blk_mq_fops = {
	.owner		= THIS_MODULE,
	.open		= karray_blk_op(karray_blk_open),
	.release	= karray_blk_op(karray_blk_release),
	.free_disk	= karray_blk_free_disk,
};

static const struct block_device_operations karray_blk_bio_fops = {
	.owner		= THIS_MODULE,
	.open		= karray_blk_op(karray_blk_open),
	.release	= karray_blk_op(karray_blk_release),
	.free_disk	= karray_blk_free_disk,
	.submit_bio	= karray_blk_submit_bio,
};

/*
 * How deep the queues are unless told: 256 lets a full plug get its tags at once
 * (sbitmap's words have 64 bits then), and many queues share a budget of memory.
 */
static unsigned int karray_blk_auto_depth(unsigned int nr_queues)
{
	size_t request = ALIGN(sizeof(struct request), L1_CACHE_BYTES);
	unsigned int fit = KARRAY_BLK_REQUESTS_BYTES / (nr_queues * request);

	return clamp(fit, 32U, 256U);
}

static int karray_blk_alloc_mq_disk(struct karray_blk *blk,
				    struct queue_limits *lim)
{
	const struct karray_settings *settings = &blk->kdev->settings;
	unsigned int nr_queues = settings->nr_queues ?: num_possible_cpus();
	struct blk_mq_tag_set *set = &blk->tag_set;
	struct gendisk *disk;
	int ret;

	set->ops = &karray_blk_mq_ops;
	set->nr_hw_queues = nr_queues + settings->poll_queues;
	set->nr_maps = settings->poll_queues ? HCTX_MAX_TYPES : 1;
	set->queue_depth = settings->queue_depth ?:
			   karray_blk_auto_depth(set->nr_hw_queues);
	set->numa_node = dev_to_node(&blk->kdev->dev);
	set->flags = BLK_MQ_F_NO_SCHED_BY_DEFAULT;
	set->driver_data = blk;
	ret = blk_mq_alloc_tag_set(set);
	if (ret)
		return ret;

	disk = blk_mq_alloc_disk(set, lim, blk);
	if (IS_ERR(disk)) {
		blk_mq_free_tag_set(set);
		return PTR_ERR(disk);
	}
	disk->fops = &karray_blk_mq_fops;
	/* A merge costs more than it saves where the copy is all the work. */
	blk_queue_flag_set(QUEUE_FLAG_NOMERGES, disk->queue);
	blk->disk = disk;
	return 0;
}

static int karray_blk_alloc_bio_disk(struct karray_blk *blk,
				     struct queue_limits *lim)
{
	lim->features |= BLK_FEAT_IO_STAT | BLK_FEAT_NOWAIT;
	blk->disk = blk_alloc_disk(lim, dev_to_node(&blk->kdev->dev));
	if (IS_ERR(blk->disk))
		return PTR_ERR(blk->disk);
	blk->disk->fops = &karray_blk_bio_fops;
	return 0;
}

/*
 * The disk of a device that may be going.
 *
 * Return: the disk, for put_disk(), or NULL.
 */
static struct gendisk *karray_blk_get_disk(struct karray_dev *kdev)
{
	int cookie = karray_read_lock();
	struct gendisk *disk = NULL;

	if (karray_alive(kdev) && kdev->blk) {
		disk = kdev->blk->disk;
		get_device(disk_to_dev(disk));
	}
	karray_read_unlock(cookie);
	return disk;
}

/*
 * Open for reading is enough: the claim is what others meet. Who claims is a user
 * already, and not one more for having the disk open.
 */
static int karray_blk_claim(struct karray_dev *kdev, void **handle)
{
	struct gendisk *disk = karray_blk_get_disk(kdev);
	struct file *file;

	if (!disk)
		return -ENXIO;
	/* The number is ours as long as we have the disk. */
	file = bdev_file_open_by_dev(disk_devt(disk), BLK_OPEN_READ, kdev,
				     NULL);
	put_disk(disk);
	if (IS_ERR(file))
		return PTR_ERR(file);
	karray_put_user(kdev, KARRAY_BLK);
	*handle = file;
	return 0;
}

static void karray_blk_unclaim(void *handle)
{
	struct karray_blk *blk = file_bdev(handle)->bd_disk->private_data;

	/* The release may come later, and then maybe another's comes first. */
	atomic_inc(&blk->uncounted);
	bdev_fput(handle);
}

/*
 * Cuts a range of the disk to a part of it, whose offsets it is in then.
 *
 * Return: whether anything is left.
 */
static bool karray_blk_cut(struct block_device *part, u64 *pos, u64 *end)
{
	u64 start = (u64)get_start_sect(part) << SECTOR_SHIFT;
	u64 size = bdev_nr_bytes(part);

	if (*end <= start || *pos >= start + size)
		return false;
	*pos = max(*pos, start) - start;
	*end = min(*end - start, size);
	return true;
}

static bool karray_blk_tagged(struct address_space *cache, xa_mark_t tag)
{
	/* A cache may change at any time; who asks does without its lock. */
	return data_race(mapping_tagged(cache, tag));
}

static bool karray_blk_part_cached(struct block_device *part, u64 pos, u64 len,
				   enum karray_copies which)
{
	struct address_space *cache = bdev_mapping(part);
	u64 end = pos + len;

	if (!READ_ONCE(cache->nrpages))
		return false;
	if (which == KARRAY_CHANGED_COPIES &&
	    !karray_blk_tagged(cache, PAGECACHE_TAG_DIRTY) &&
	    !karray_blk_tagged(cache, PAGECACHE_TAG_WRITEBACK))
		return false;
	return karray_blk_cut(part, &pos, &end) &&
	       filemap_range_has_page(cache, pos, end - 1);
}

static noinline bool karray_blk_any_cached(struct gendisk *disk, u64 pos,
					   u64 len, enum karray_copies which)
{
	struct block_device *part;
	bool cached = false;
	unsigned long i;

	rcu_read_lock();
	xa_for_each(&disk->part_tbl, i, part) {
		cached = karray_blk_part_cached(part, pos, len, which);
		if (cached)
			break;
	}
	rcu_read_unlock();
	return cached;
}

static bool karray_blk_cached(struct karray_dev *kdev, u64 pos, u64 len,
			      enum karray_copies which)
{
	struct gendisk *disk = kdev->blk->disk;

	/*
	 * Nobody has it open, and the last close has emptied the caches; or all
	 * but a claim have closed it, which keeps only the whole disk's.
	 */
	if (likely(!READ_ONCE(kdev->users[KARRAY_BLK]) &&
		   !READ_ONCE(bdev_mapping(disk->part0)->nrpages)))
		return false;
	return karray_blk_any_cached(disk, pos, len, which);
}

/* Where this fails, somebody has just written there again, or is reading. */
static void karray_blk_drop_pages(struct address_space *cache, u64 pos, u64 end)
{
	pgoff_t first = pos >> PAGE_SHIFT;
	pgoff_t last = (end - 1) >> PAGE_SHIFT;

	if (!invalidate_inode_pages2_range(cache, first, last))
		return;
	/* Each CPU keeps some buffers that file systems have read, and so pages. */
	invalidate_bh_lrus();
	invalidate_inode_pages2_range(cache, first, last);
}

static int karray_blk_flush(struct karray_dev *kdev, u64 pos, u64 len,
			    enum karray_copies which)
{
	struct gendisk *disk = karray_blk_get_disk(kdev);
	struct block_device *part;
	unsigned long i;
	int ret, err = 0;

	if (!disk)
		return 0;

	rcu_read_lock();
	xa_for_each(&disk->part_tbl, i, part) {
		struct address_space *cache = bdev_mapping(part);
		u64 begin = pos, end = pos + len;
		struct inode *inode;

		if (!READ_ONCE(cache->nrpages) ||
		    !karray_blk_cut(part, &begin, &end))
			continue;
		inode = igrab(cache->host);
		if (!inode)
			continue;
		rcu_read_unlock();
		ret = filemap_write_and_wait_range(cache, begin, end - 1);
		err = err ?: ret;
		if (which == KARRAY_ALL_COPIES)
			karray_blk_drop_pages(cache, begin, end);
		iput(inode);
		rcu_read_lock();
	}
	rcu_read_unlock();
	put_disk(disk);
	return err;
}

static int karray_blk_attach(struct karray_dev *kdev)
{
	const struct karray_settings *settings = &kdev->settings;
	struct queue_limits lim = {
		.features		= BLK_FEAT_SYNCHRONOUS,
		.logical_block_size	= settings->logical_block_size,
		.physical_block_size	= PAGE_SIZE,
		.max_hw_sectors		= KARRAY_BLK_MAX_SECTORS,
		.max_hw_discard_sectors	= KARRAY_BLK_MAX_SECTORS,
		.max_write_zeroes_sectors = KARRAY_BLK_MAX_SECTORS,
		.discard_granularity	= PAGE_SIZE,
		.max_segment_size	= UINT_MAX,
		.max_segments		= USHRT_MAX,
		.dma_alignment		= 3,
	};
	struct karray_blk *blk;
	bool mq;
	int ret;

	blk = kzalloc_node(sizeof(*blk), GFP_KERNEL, dev_to_node(&kdev->dev));
	if (!blk)
		return -ENOMEM;
	blk->kdev = kdev;
	get_device(&kdev->dev);

	if (kdev->dax_dev)
		lim.features |= BLK_FEAT_DAX;
	if (settings->queue_mode == KARRAY_QUEUE_BIO)
		ret = karray_blk_alloc_bio_disk(blk, &lim);
	else
		ret = karray_blk_alloc_mq_disk(blk, &lim);
	if (ret)
		goto out_free;

	blk->disk->private_data = blk;
	blk->disk->bb = &kdev->bad;
	snprintf(blk->disk->disk_name, DISK_NAME_LEN, "karrayb%d", kdev->id);
	set_capacity(blk->disk, kdev->range.size >> SECTOR_SHIFT);
	set_disk_ro(blk->disk, settings->read_only);

	/* By this the DAX device is found, as soon as the disk is. */
	if (kdev->dax_dev) {
		ret = dax_add_host(kdev->dax_dev, blk->disk);
		if (ret)
			goto out_put_disk;
	}
	ret = device_add_disk(&kdev->dev, blk->disk, NULL);
	if (ret)
		goto out_remove_host;
	kdev->disk_devt = disk_devt(blk->disk);
	kdev->blk = blk;
	return 0;

out_remove_host:
	dax_remove_host(blk->disk);
out_put_disk:
	/*
	 * The queue of a disk that was not added lets go of its tags only now, and
	 * nothing calls free_disk.
	 */
	mq = queue_is_mq(blk->disk->queue);
	put_disk(blk->disk);
	if (mq)
		blk_mq_free_tag_set(&blk->tag_set);
out_free:
	karray_blk_free(blk);
	return ret;
}

static void karray_blk_detach(struct karray_dev *kdev)
{
	struct karray_blk *blk = kdev->blk;

	kdev->blk = NULL;
	kdev->disk_devt = 0;
	dax_remove_host(blk->disk);
	del_gendisk(blk->disk);
	/* Before the struct goes with the disk, or with its last opener. */
	if (queue_is_mq(blk->disk->queue))
		blk_mq_free_tag_set(&blk->tag_set);
	put_disk(blk->disk);
}

static int karray_blk_init(void)
{
	return 0;
}

static void karray_blk_exit(void)
{
}

const struct karray_personality karray_blk_personality = {
	.name	= "disk",
	.counts	= true,
	.init	= karray_blk_init,
	.exit	= karray_blk_exit,
	.attach	= karray_blk_attach,
	.detach	= karray_blk_detach,
	.claim	= karray_blk_claim,
	.unclaim = karray_blk_unclaim,
	.cached	= karray_blk_cached,
	.flush	= karray_blk_flush,
};
