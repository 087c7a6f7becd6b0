// SPDX-License-Identifier: GPL-2.0
/*
 * Memory with struct pages, for dax=1: as memory of a device (ZONE_DEVICE) of the type
 * that file systems map. It is in the kernel's direct mapping then, but we keep to our
 * own mapping all the same: after a machine check the kernel takes the page out of the
 * direct one, where it could not be written, which is what makes it good again.
 *
 * A struct page can be pinned: by direct I/O under way, or by a buffer registered with
 * io_uring, for as long as somebody likes, with neither a mapping nor an open file left.
 * The kernel doesn't wait for these when the pages go (a page nobody uses has a count of
 * one here, so that it never comes free), and so we ask for them, and wait.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/memory_hotplug.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/set_memory.h>
#include <linux/wait_bit.h>

#include "karray.h"

static bool karray_pages_conflict(phys_addr_t addr)
{
	struct dev_pagemap *other = get_dev_pagemap(PHYS_PFN(addr), NULL);

	if (other)
		put_dev_pagemap(other);
	return other;
}

/*
 * The kernel warns where it meets these on its way, so they are looked for before.
 *
 * Return: 0, or an error, with the reason in the log.
 */
static int karray_pages_check(struct karray_dev *kdev)
{
	unsigned long align = memremap_compat_align();
	u64 start = kdev->range.start, size = kdev->range.size;
	struct range fits = mhp_get_pluggable_range(true);
	u64 cost = karray_pages_cost(kdev);
	u64 free = (u64)max(si_mem_available(), 0L) << PAGE_SHIFT;

	if (IS_ENABLED(CONFIG_FS_DAX_LIMITED)) {
		dev_err(&kdev->dev, "dax=1: this kernel has no struct pages for DAX\n");
		return -EOPNOTSUPP;
	}
	if (!IS_ALIGNED(start, align) || !IS_ALIGNED(size, align)) {
		dev_err(&kdev->dev,
			"dax=1 needs memory that begins and ends at a multiple of %lu KiB\n",
			align >> 10);
		return -EINVAL;
	}
	if (start < fits.start || start + size - 1 > fits.end) {
		dev_err(&kdev->dev,
			"dax=1: the kernel can't map memory beyond 0x%llx\n",
			fits.end);
		return -ERANGE;
	}
	if (karray_pages_conflict(start) ||
	    karray_pages_conflict(start + size - 1)) {
		dev_err(&kdev->dev, "dax=1: another owner has struct pages for this memory\n");
		return -EBUSY;
	}
	if (cost > free) {
		dev_err(&kdev->dev,
			"dax=1 needs %llu MiB of System RAM, and %llu are available\n",
			DIV_ROUND_UP_ULL(cost, SZ_1M), free >> 20);
		return -ENOMEM;
	}
	return 0;
}

/*
 * The kernel found out that pages are bad. Who has them mapped by a file system is told
 * by that (or by the kernel, which knows the file by the page, for one that can't).
 */
static int karray_pages_failed(struct dev_pagemap *pgmap, unsigned long pfn,
			       unsigned long nr_pages, int mf_flags)
{
	struct karray_dev *kdev = container_of(pgmap, struct karray_dev, pgmap);
	u64 pos = PFN_PHYS(pfn) - kdev->range.start;
	u64 len = (u64)nr_pages << PAGE_SHIFT;
	int cookie, ret;
	unsigned long i;

	/* Also of a device that is about to go, or to find that it must stay. */
	ret = karray_mem_failed(kdev, pos, len);
	/*
	 * What the kernel does for such pages when it tells by itself who has them. Who
	 * finds the mark finds them listed as well, see karray_pages_heal().
	 */
	smp_wmb();
	for (i = 0; i < nr_pages; i++)
		SetPageHWPoison(pfn_to_page(pfn + i));
	WRITE_ONCE(kdev->pages_failed, true);
	/* Nobody would be kept from what can't be listed. */
	if (ret)
		return ret;

	cookie = karray_read_lock();
	ret = karray_alive(kdev) ? karray_failed(kdev, pos, len, mf_flags) : -ENXIO;
	karray_read_unlock(cookie);

	/* Of a page that no single file has the kernel can tell nobody. */
	if (ret == -EOPNOTSUPP &&
	    (!pfn_to_page(pfn)->mapping || PageMappingFlags(pfn_to_page(pfn))))
		return 0;
	return ret;
}

static const struct dev_pagemap_ops karray_pages_ops = {
	.memory_failure	= karray_pages_failed,
};

static void karray_page_heal(unsigned long pfn)
{
	clear_mce_nospec(pfn);
	ClearPageHWPoison(pfn_to_page(pfn));
}

/**
 * karray_pages_heal - put pages that were bad back into the direct mapping
 * @kdev: the device
 * @pos: offset, bytes
 * @len: bytes; what is less than a page in the end is left alone
 *
 * Context: process context, may sleep; where they have been written and aren't mapped
 * yet.
 * Return: @len or less: up to a page that has turned bad again meanwhile.
 */
u64 karray_pages_heal(struct karray_dev *kdev, u64 pos, u64 len)
{
	unsigned long first = PHYS_PFN(kdev->range.start + pos);
	unsigned long end = first + (len >> PAGE_SHIFT);
	unsigned long pfn;

	for (pfn = first; pfn < end; pfn = karray_pages_next(pfn)) {
		u64 at = PFN_PHYS(pfn - first);

		if (!PageHWPoison(pfn_to_page(pfn)))
			continue;
		smp_rmb();	/* see karray_pages_failed() */
		if (karray_mem_readable(kdev, pos + at, PAGE_SIZE) < PAGE_SIZE)
			return at;
		karray_page_heal(pfn);
	}
	return len;
}

/**
 * karray_pages_add - give the memory struct pages
 * @kdev: the device, whose range is claimed
 *
 * Context: process context, may sleep.
 * Return: 0, until karray_pages_remove(), or an error with the reason in the log.
 */
int karray_pages_add(struct karray_dev *kdev)
{
	int ret = karray_pages_check(kdev);
	void *direct;

	if (ret)
		return ret;
	kdev->pages_failed = false;
	memset(&kdev->pgmap, 0, sizeof(kdev->pgmap));
	kdev->pgmap.type = MEMORY_DEVICE_FS_DAX;
	kdev->pgmap.ops = &karray_pages_ops;
	kdev->pgmap.owner = kdev;
	kdev->pgmap.range.start = kdev->range.start;
	kdev->pgmap.range.end = kdev->range.start + kdev->range.size - 1;
	kdev->pgmap.nr_range = 1;
	direct = memremap_pages(&kdev->pgmap, dev_to_node(&kdev->dev));
	if (IS_ERR(direct))
		dev_err(&kdev->dev, "dax=1: no struct pages: error %ld\n",
			PTR_ERR(direct));
	return PTR_ERR_OR_ZERO(direct);
}

/**
 * karray_pages_remove - undo karray_pages_add()
 * @kdev: the device; its pages are neither mapped nor pinned
 *
 * Context: process context, may sleep.
 */
void karray_pages_remove(struct karray_dev *kdev)
{
	unsigned long pfn;
	struct page *page;

	/* The direct mapping's end is for what is in it: a hole would be the next owner's. */
	if (kdev->pages_failed)
		karray_for_each_page(kdev, page, pfn)
			if (PageHWPoison(page))
				karray_page_heal(pfn);
	memunmap_pages(&kdev->pgmap);
}

/**
 * karray_pages_pinned - how many pages are somebody's beyond mappings
 * @kdev: the device, mapped; without dax there are none
 *
 * Context: process context, may sleep. The answer lasts where nobody has mappings.
 * Return: pages.
 */
unsigned long karray_pages_pinned(struct karray_dev *kdev)
{
	unsigned long pfn, pinned = 0;
	struct page *page;

	if (!kdev->settings.dax)
		return 0;
	karray_for_each_page(kdev, page, pfn)
		pinned += karray_page_pinned(page);
	return pinned;
}

/**
 * karray_pages_wait - wait until no page is pinned
 * @kdev: the device, mapped, but by nobody who could pin more
 *
 * Context: process context, may sleep, for as long as somebody holds a page.
 */
void karray_pages_wait(struct karray_dev *kdev)
{
	unsigned long pfn;
	struct page *page;
	bool said = false;

	karray_for_each_page(kdev, page, pfn) {
		/* With a time limit, since whoever waits long is reported as hung. */
		while (karray_page_pinned(page)) {
			if (!said)
				dev_warn(&kdev->dev,
					 "waiting for pinned pages: %lu (direct I/O, or registered buffers of io_uring)\n",
					 karray_pages_pinned(kdev));
			said = true;
			wait_var_event_timeout(&page->_refcount,
					       !karray_page_pinned(page),
					       10 * HZ);
		}
	}
	if (said)
		dev_info(&kdev->dev, "no pages are pinned any more\n");
}
