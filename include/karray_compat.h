/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one file that knows how kernels differ. The drivers are written for the
 * newest kernel; what an older one lacks is made here of what it has, by the
 * compile probes' word (probes/) and never by a version number.
 */
#ifndef _KARRAY_COMPAT_H
#define _KARRAY_COMPAT_H

#include <linux/acpi.h>
#include <linux/blk-mq.h>
#include <linux/device/bus.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/splice.h>

#include "karray_probes.h"

#ifndef KARRAY_HAVE_QUEUE_LIMITS_FEATURES
/*
 * Before, a queue was made with defaults, and each limit set by a call of its
 * own. Members that the kernel's structure has, too, have the same names here.
 */
#define BLK_FEAT_SYNCHRONOUS	0	/* was a property of brd, zram and pmem only */
#define BLK_FEAT_IO_STAT	BIT(0)
#define BLK_FEAT_NOWAIT		BIT(1)
#define BLK_FEAT_DAX		BIT(2)

struct karray_queue_limits {
	unsigned int features;
	unsigned int logical_block_size;
	unsigned int physical_block_size;
	unsigned int max_hw_sectors;
	unsigned int max_hw_discard_sectors;
	unsigned int max_write_zeroes_sectors;
	unsigned int discard_granularity;
	unsigned int max_segment_size;
	unsigned int dma_alignment;
	unsigned short max_segments;
};

static inline void karray_set_limits(struct request_queue *q,
				     const struct karray_queue_limits *lim)
{
	blk_queue_logical_block_size(q, lim->logical_block_size);
	blk_queue_physical_block_size(q, lim->physical_block_size);
	blk_queue_max_hw_sectors(q, lim->max_hw_sectors);
	blk_queue_max_segments(q, lim->max_segments);
	blk_queue_max_segment_size(q, lim->max_segment_size);
	blk_queue_dma_alignment(q, lim->dma_alignment);
	blk_queue_max_discard_sectors(q, lim->max_hw_discard_sectors);
	q->limits.discard_granularity = lim->discard_granularity;
	blk_queue_max_write_zeroes_sectors(q, lim->max_write_zeroes_sectors);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
	blk_queue_flag_clear(QUEUE_FLAG_ADD_RANDOM, q);
	/* A blk-mq queue has these by itself. */
	if (lim->features & BLK_FEAT_IO_STAT)
		blk_queue_flag_set(QUEUE_FLAG_IO_STAT, q);
	if (lim->features & BLK_FEAT_NOWAIT)
		blk_queue_flag_set(QUEUE_FLAG_NOWAIT, q);
	if (lim->features & BLK_FEAT_DAX)
		blk_queue_flag_set(QUEUE_FLAG_DAX, q);
}

static inline struct gendisk *
karray_alloc_bio_disk(struct gendisk *disk,
		      const struct karray_queue_limits *lim)
{
	if (!disk)
		return ERR_PTR(-ENOMEM);
	karray_set_limits(disk->queue, lim);
	return disk;
}

static inline struct gendisk *
karray_alloc_mq_disk(struct blk_mq_tag_set *set,
		     const struct karray_queue_limits *lim, void *queuedata)
{
	struct gendisk *disk = blk_mq_alloc_disk(set, queuedata);

	if (!IS_ERR(disk))
		karray_set_limits(disk->queue, lim);
	return disk;
}

#define queue_limits karray_queue_limits
#undef blk_mq_alloc_disk
#define blk_mq_alloc_disk(set, lim, queuedata)	\
	karray_alloc_mq_disk(set, lim, queuedata)
#define karray_blk_alloc_disk_before(node)			\
({								\
	static struct lock_class_key karray_key;		\
								\
	__blk_alloc_disk(node, &karray_key);			\
})
#undef blk_alloc_disk
#define blk_alloc_disk(lim, node)	\
	karray_alloc_bio_disk(karray_blk_alloc_disk_before(node), lim)
#endif

/* What queue_rqs gets a pointer to: a struct, or just the first request. */
#ifdef KARRAY_HAVE_RQ_LIST
#define karray_rq_list		struct rq_list
#else
#define karray_rq_list		struct request *
#endif

/*
 * KARRAY_BLK_OPEN_RELEASE(open, release) stands before the operations table,
 * and karray_blk_op(open) in it.
 */
#ifdef KARRAY_HAVE_BLK_OPEN_GENDISK
#define KARRAY_BLK_OPEN_RELEASE(...)
#define karray_blk_op(fn)	fn
#else
#define blk_mode_t	fmode_t

#define KARRAY_BLK_OPEN_RELEASE(open, release)				\
static int open##_compat(struct block_device *bdev, fmode_t mode)	\
{									\
	return open(bdev->bd_disk, mode);				\
}									\
static void release##_compat(struct gendisk *disk, fmode_t mode)	\
{									\
	release(disk);							\
}

#define karray_blk_op(fn)	fn##_compat
#endif

/* An open disk is a file, with a page cache that needs no inode to be found. */
#ifdef KARRAY_HAVE_BDEV_FILE
static inline struct address_space *bdev_mapping(struct block_device *bdev)
{
	return bdev->bd_mapping;
}
#else
#define BLK_OPEN_READ	FMODE_READ

/* Here "file" stands for the block_device itself; nobody looks inside. */
static inline struct block_device *file_bdev(void *file)
{
	return file;
}

static inline void *bdev_file_open_by_dev(dev_t dev, fmode_t mode, void *holder,
					  const void *hops)
{
	return blkdev_get_by_dev(dev, mode | FMODE_EXCL, holder);
}

static inline void bdev_fput(void *file)
{
	blkdev_put(file, FMODE_READ | FMODE_EXCL);
}

static inline struct address_space *bdev_mapping(struct block_device *bdev)
{
	return bdev->bd_inode->i_mapping;
}
#endif

/* What a file that has no pages of its own is spliced from. */
#ifndef KARRAY_HAVE_COPY_SPLICE_READ
#define copy_splice_read	generic_file_splice_read
#endif

/* How a DAX device says that memory is bad: only newer kernels make EIO of it. */
#ifdef KARRAY_HAVE_DAX_MEM2BLK_ERR
#define KARRAY_DAX_EPOISON	EHWPOISON
#else
#define KARRAY_DAX_EPOISON	EIO
#endif

#ifndef KARRAY_HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* Does everybody who walks page tables know huge entries of device memory? */
#ifdef KARRAY_HAVE_PTE_OFFSET_MAP_NULL
#define KARRAY_HUGE_ENTRIES	true
#else
#define KARRAY_HUGE_ENTRIES	false
#endif

/* What the files of a bus are called with a pointer to. */
#ifdef KARRAY_HAVE_BUS_STORE_CONST
#define karray_bus_type		const struct bus_type
#else
#define karray_bus_type		struct bus_type
#endif

/* Likewise for a huge page fault: KARRAY_HUGE_FAULT(fault) stands before the table. */
#ifdef KARRAY_HAVE_HUGE_FAULT_ORDER
#define KARRAY_HUGE_FAULT(...)
#define karray_huge_fault_op(fn)	fn
#else
#define KARRAY_HUGE_FAULT(fault)					\
static vm_fault_t fault##_compat(struct vm_fault *vmf,			\
				 enum page_entry_size size)		\
{									\
	return fault(vmf, size == PE_SIZE_PMD ?				\
			  PMD_SHIFT - PAGE_SHIFT : 0);			\
}

#define karray_huge_fault_op(fn)	fn##_compat
#endif

#ifdef CONFIG_ACPI
/* Likewise for an ACPI driver's remove. */
#ifdef KARRAY_HAVE_ACPI_REMOVE_VOID
#define KARRAY_ACPI_REMOVE(...)
#define karray_acpi_op(fn)	fn
#else
#define KARRAY_ACPI_REMOVE(remove)					\
static int remove##_compat(struct acpi_device *adev)			\
{									\
	remove(adev);							\
	return 0;							\
}

#define karray_acpi_op(fn)	fn##_compat
#endif

static inline int karray_register_acpi_driver(struct acpi_driver *driver)
{
#ifdef KARRAY_HAVE_ACPI_DRIVER_OWNER
	driver->owner = THIS_MODULE;
#endif
	return acpi_bus_register_driver(driver);
}
#endif /* CONFIG_ACPI */

#endif /* _KARRAY_COMPAT_H */
