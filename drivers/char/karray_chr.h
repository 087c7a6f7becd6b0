/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the char device know of each other. */
#ifndef _KARRAY_CHR_H
#define _KARRAY_CHR_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/workqueue.h>

#include "karray.h"

/* Bytes moved at a time: short enough for signals, preemption and removal. */
#define KARRAY_CHR_PIECE	SZ_1M

/**
 * struct karray_chr - a char node
 * @dev: in class "karray"; open files hold a reference
 * @cdev: child of @dev
 * @kdev: whose memory it shows; a reference is held until @dev is released
 * @inode: has the address space of all open files, by which mappings are found
 * @lock: guards @writers, @claimed and @claim
 * @writers: how many files are open for writing
 * @claimed: is @claim ours?
 * @claim: against mounts and the like, while there are writers, or pages pinned by one
 * @let_go: looks whether such pages are free by now
 * @fault_lock: with dax, held from the choice between a huge entry and a page table to
 *	its insertion: the kernel can't do with both; guards @first_named and @end_named
 * @first_named: with @end_named, the part of the memory in which there are pages that
 *	are said to be part of @inode
 * @end_named: see @first_named, both in pages
 */
struct karray_chr {
	struct device dev;
	struct cdev cdev;
	struct karray_dev *kdev;
	struct inode *inode;
	struct mutex lock;	/* guards writers, claimed and claim */
	unsigned int writers;
	bool claimed;
	struct karray_claim claim;
	struct delayed_work let_go;
	struct mutex fault_lock;	/* guards first_named and end_named */
	pgoff_t first_named, end_named;
};

/**
 * karray_chr_alive - may the memory be used through this node?
 * @chr: the node
 *
 * Not so where the device has gone, and neither where it is online again, but with
 * another node: a file of the old one stays dead.
 *
 * Context: any; the answer lasts as long as the read lock is held.
 * Return: whether it may.
 */
static inline bool karray_chr_alive(const struct karray_chr *chr)
{
	const struct karray_dev *kdev = chr->kdev;

	/* Detach changes it after all readers have seen the end of ONLINE. */
	return karray_alive(kdev) && READ_ONCE(kdev->chr) == chr;
}

/* Are there copies elsewhere that a read of, or write to, these bytes minds? */
static inline bool karray_chr_cached(const struct karray_chr *chr, u64 pos,
				     u64 len, bool write)
{
	return karray_cached(chr->kdev, KARRAY_CHR, pos, len,
			     write ? KARRAY_ALL_COPIES : KARRAY_CHANGED_COPIES);
}

/* The memory has just been written: are there copies by now that it makes old? */
static inline bool karray_chr_outdated(const struct karray_chr *chr, u64 pos,
				       u64 len)
{
	/* Who makes a copy says so first, and then reads the memory. */
	smp_mb();
	return karray_chr_cached(chr, pos, len, true);
}

int karray_chr_flush(struct karray_chr *chr, u64 pos, u64 len, bool write);

long karray_chr_ioctl(struct file *file, unsigned int request,
		      unsigned long arg);

int karray_chr_mmap(struct file *file, struct vm_area_struct *vma);
struct inode *karray_chr_new_inode(bool dax);
bool karray_chr_forget_names(struct karray_chr *chr, bool pinned);
void karray_chr_empty(struct karray_chr *chr);
int karray_chr_failed(struct karray_dev *kdev, u64 pos, u64 len, int mf_flags);
int karray_chr_mmap_init(void);
void karray_chr_mmap_exit(void);

#endif /* _KARRAY_CHR_H */
