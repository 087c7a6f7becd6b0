// SPDX-License-Identifier: GPL-2.0
/*
 * fs-DAX: file systems map the memory into programs instead of copying it.
 *
 * A dax_device is what a file system on the disk, or a device mapper on it, finds by the
 * disk, and asks where a block is. It is there before the disk, so that no mount can miss
 * it. The disk tells the kernel that they belong together (kdev->dax_dev).
 *
 * Memory that goes while file systems have it mapped: kill_dax() tells XFS, on kernels
 * where that knows what to do, and lets nobody ask any more. But entries in page tables
 * stay, and so does what each file's address space knows of the pages: both would outlive
 * the memory. A page that is known to a file leads to its file system (page->mapping), and
 * there all DAX files are walked for those that have some of the memory: first to unmap
 * them, and then, when no page is pinned any more, to forget it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dax.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/pfn_t.h>
#include <linux/rcupdate.h>
#include <linux/uio.h>
#include <linux/xarray.h>

#include "karray.h"
#include "karray_compat.h"

/*
 * These run under fs/dax's read lock. From kill_dax() on there is no kdev in the
 * dax_device; but it waits for who was let in before, and so they may find none.
 */

/* Bad memory is known by sector, and DAX has pages: those with a bad one are bad. */
static long karray_dax_direct_access(struct dax_device *dax_dev, pgoff_t pgoff,
				     long nr_pages, enum dax_access_mode mode,
				     void **kaddr, pfn_t *pfn)
{
	struct karray_dev *kdev = dax_get_private(dax_dev);
	u64 pos = (u64)pgoff << PAGE_SHIFT;
	u64 len;

	if (unlikely(!kdev))
		return -ENXIO;
	if (unlikely(pos >= kdev->range.size))
		return -ERANGE;
	if (unlikely(!READ_ONCE(kdev->dax_used)))
		WRITE_ONCE(kdev->dax_used, true);
	if (kaddr)
		*kaddr = kdev->virt + pos;
	if (pfn)
		*pfn = phys_to_pfn_t(kdev->range.start + pos,
				     PFN_DEV | PFN_MAP);

	len = min(kdev->range.size - pos, (u64)nr_pages << PAGE_SHIFT);
	/* A write that mends finds out itself how far it gets. */
	if (mode != DAX_RECOVERY_WRITE)
		len = karray_mem_readable(kdev, pos, len);
	if (unlikely(kdev->pages_failed) && pfn)
		len = karray_pages_heal(kdev, pos, len);
	return len >> PAGE_SHIFT ?: -KARRAY_DAX_EPOISON;
}

static int karray_dax_zero_page_range(struct dax_device *dax_dev, pgoff_t pgoff,
				      size_t nr_pages)
{
	struct karray_dev *kdev = dax_get_private(dax_dev);
	u64 pos = (u64)pgoff << PAGE_SHIFT;
	size_t len = nr_pages << PAGE_SHIFT;

	if (unlikely(!kdev))
		return -ENXIO;
	memset(kdev->virt + pos, 0, len);
	karray_mem_clear_bad(kdev, pos, len);
	return 0;
}

/* A write() to pages of which some are bad: what it writes in full is good then. */
static size_t karray_dax_recovery_write(struct dax_device *dax_dev,
					pgoff_t pgoff, void *addr, size_t bytes,
					struct iov_iter *iter)
{
	struct karray_dev *kdev = dax_get_private(dax_dev);
	size_t done;
	u64 pos;

	if (unlikely(!kdev))
		return 0;
	pos = addr - kdev->virt;
	done = _copy_from_iter(addr, karray_mem_writable(kdev, pos, bytes),
			       iter);
	karray_mem_clear_bad(kdev, pos, done);
	return done;
}

static const struct dax_operations karray_dax_ops = {
	.direct_access	 = karray_dax_direct_access,
	.zero_page_range = karray_dax_zero_page_range,
	.recovery_write	 = karray_dax_recovery_write,
};

/*
 * Is what a DAX file has in place of a cached page (fs/dax.c: a number, that of the page
 * frame above four flags) of this memory? A hole, or what is being looked up, is not.
 */
static bool karray_dax_ours(struct karray_dev *kdev, void *entry)
{
	phys_addr_t addr;

	if (!xa_is_value(entry))
		return false;
	addr = PFN_PHYS(xa_to_value(entry) >> 4);
	return addr >= kdev->range.start &&
	       addr - kdev->range.start < kdev->range.size;
}

/*
 * Takes the pages of a file that has some of the memory out of all mappings, and makes
 * it forget that memory, if told so: it may have some of other devices, which are well.
 * Faults of a file are under its invalidate_lock: those that were let through before the
 * end have their pages mapped by now, and later ones are refused.
 */
static void karray_dax_revoke_file(struct karray_dev *kdev, struct inode *inode,
				   bool forget)
{
	struct address_space *mapping = inode->i_mapping;
	unsigned long index;
	bool found = false;
	void *entry;
	loff_t pos;

	filemap_invalidate_lock(mapping);
	xa_for_each(&mapping->i_pages, index, entry) {
		cond_resched();
		if (!karray_dax_ours(kdev, entry))
			continue;
		/* Pages of private mappings that were copied on write aren't ours. */
		if (!found)
			unmap_mapping_range(mapping, 0, 0, 0);
		found = true;
		if (!forget)
			break;
		pos = (loff_t)index << PAGE_SHIFT;
		truncate_inode_pages_range(mapping, pos, pos + PAGE_SIZE - 1);
	}
	/* EROFS has faults without the lock; but what is forgotten has had its fault. */
	if (found && forget)
		unmap_mapping_range(mapping, 0, 0, 0);
	filemap_invalidate_unlock(mapping);
}

static void karray_dax_revoke_files(struct karray_dev *kdev,
				    struct super_block *sb, bool forget)
{
	struct inode *inode, *last = NULL;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		if (!IS_DAX(inode) || !igrab(inode))
			continue;
		spin_unlock(&sb->s_inode_list_lock);
		karray_dax_revoke_file(kdev, inode, forget);
		/* It is what keeps our place in the list. */
		iput(last);
		last = inode;
		cond_resched();
		spin_lock(&sb->s_inode_list_lock);
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(last);
}

/* What iterate_supers_type() passes on. */
struct karray_dax_walk {
	struct karray_dev *kdev;
	bool forget;
};

static void karray_dax_revoke_super(struct super_block *sb, void *data)
{
	const struct karray_dax_walk *walk = data;

	karray_dax_revoke_files(walk->kdev, sb, walk->forget);
}

/*
 * The file system of a page's file; it can't be unmounted until deactivate_super(). NULL
 * where it is on its way out, and about to forget all pages.
 */
static struct super_block *karray_dax_get_super(struct page *page)
{
	struct super_block *sb = NULL;
	struct address_space *mapping;

	rcu_read_lock();
	mapping = READ_ONCE(page->mapping);
	if (mapping && !((unsigned long)mapping & PAGE_MAPPING_FLAGS)) {
		sb = mapping->host->i_sb;
		if (!atomic_inc_not_zero(&sb->s_active))
			sb = NULL;
	}
	rcu_read_unlock();
	return sb;
}

/*
 * Takes the memory out of the mappings of all files.
 *
 * Return: whether any file had a page.
 */
static bool karray_dax_revoke_all(struct karray_dev *kdev, bool forget)
{
	struct karray_dax_walk walk = { .kdev = kdev, .forget = forget };
	struct super_block *sb, *done = NULL;
	bool shared = false, found = false;
	unsigned long pfn;
	struct page *page;

	karray_for_each_page(kdev, page, pfn) {
		if (!karray_page_in_file(page))
			continue;
		found = true;
		shared |= PageMappingFlags(page);
		sb = karray_dax_get_super(page);
		if (!sb)
			continue;
		if (sb != done) {
			karray_dax_revoke_files(kdev, sb, forget);
			swap(sb, done);
		}
		/* The last one is kept, or another could come to be where it was. */
		if (sb)
			deactivate_super(sb);
	}
	if (done)
		deactivate_super(done);

	/* A page of several files (XFS has such) leads to none. */
	if (shared) {
		struct file_system_type *type = get_fs_type("xfs");

		if (type) {
			iterate_supers_type(type, karray_dax_revoke_super,
					    &walk);
			module_put(type->owner);
		}
	}
	return found;
}

/*
 * Has files forget the memory, but not while somebody has pinned a page that a late
 * fault has given him: the kernel warns, and such a page could be anybody's then.
 *
 * Return: whether there were any.
 */
static bool karray_dax_forget_files(struct karray_dev *kdev)
{
	if (!karray_dax_revoke_all(kdev, false))
		return false;
	karray_pages_wait(kdev);
	karray_dax_revoke_all(kdev, true);
	return true;
}

/*
 * Until no file has any of the memory.
 */
static void karray_dax_forget(struct karray_dev *kdev)
{
	unsigned int rounds = 0;
	bool quiet = false;

	for (;;) {
		if (karray_dax_forget_files(kdev)) {
			/* Files that are on their way out do it by themselves. */
			quiet = false;
			if (++rounds == 100)
				dev_warn(&kdev->dev,
					 "waiting for files that still have some of the memory, or for their file systems to be unmounted\n");
			msleep(20);
		} else if (!quiet && kdev->dax_used) {
			/* Again, for late faults, see karray_dax_revoke(). */
			quiet = true;
			synchronize_rcu_tasks();
		} else {
			break;
		}
	}
}

static void karray_dax_revoke(struct karray_dev *kdev)
{
	unsigned long pinned;

	if (!kdev->dax_dev)
		return;
	/* XFS, when it is told, may wait for them already. */
	pinned = karray_pages_pinned(kdev);
	if (pinned)
		dev_notice(&kdev->dev, "pinned pages that removal waits for: %lu\n",
			   pinned);
	kill_dax(kdev->dax_dev);
	/*
	 * A page fault that was let through before may still be on its way to where its
	 * page is known to the file. It seldom sleeps there, and so most have arrived
	 * then; karray_dax_forget() looks for the others. All this also if nobody has the
	 * disk: device mapper may have let go of it below a mount.
	 */
	if (kdev->dax_used)
		synchronize_rcu_tasks();
	karray_dax_revoke_all(kdev, false);
	/* Before the disk goes: a file system that ends then must not find any. */
	karray_pages_wait(kdev);
}

static void karray_dax_detach(struct karray_dev *kdev)
{
	if (!kdev->dax_dev)
		return;
	karray_dax_forget(kdev);
	put_dax(kdev->dax_dev);
	kdev->dax_dev = NULL;
}

static int karray_dax_attach(struct karray_dev *kdev)
{
	struct dax_device *dax_dev;

	if (!kdev->settings.dax)
		return 0;
	dax_dev = alloc_dax(kdev, &karray_dax_ops);
	if (IS_ERR(dax_dev))
		return PTR_ERR(dax_dev);
	/* What is in the CPU's caches is as safe as what is in the memory. */
	set_dax_synchronous(dax_dev);
	set_dax_nomc(dax_dev);
	kdev->dax_used = false;
	WRITE_ONCE(kdev->dax_dev, dax_dev);	/* see karray_dax_failed() */
	return 0;
}

static int karray_dax_failed(struct karray_dev *kdev, u64 pos, u64 len,
			     int mf_flags)
{
	struct dax_device *dax_dev = READ_ONCE(kdev->dax_dev);

	/* There may be none yet. */
	return dax_dev ? dax_holder_notify_failure(dax_dev, pos, len, mf_flags) :
			 -EOPNOTSUPP;
}

static int karray_dax_init(void)
{
	return 0;
}

static void karray_dax_exit(void)
{
}

const struct karray_personality karray_dax_personality = {
	.name	= "DAX",
	.init	= karray_dax_init,
	.exit	= karray_dax_exit,
	.attach	= karray_dax_attach,
	.revoke	= karray_dax_revoke,
	.detach	= karray_dax_detach,
	.failed	= karray_dax_failed,
};
