// SPDX-License-Identifier: GPL-2.0
/*
 * Bad memory. A read that meets an uncorrectable error ends there, and the sector
 * goes on the device's list of bad ones, which the disk shows as its "badblocks"
 * (and takes from there by hand). Whoever reads asks the list first, so that an
 * error is met once. Writing a sector in full is what makes memory good again, and
 * takes it off the list.
 *
 * The list has a lock of its own, in struct badblocks. A sector that turns bad
 * between the question and the copy is met by the copy. One that is mended after a
 * read has met its error, and before that read has listed it, stays on the list
 * until it is written once more: to look again would mean to meet an error again.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blk_types.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/seqlock.h>

#include "karray.h"

/**
 * karray_mem_poisoned - note an uncorrectable error
 * @kdev: the device
 * @pos: offset of a byte that can't be read
 *
 * Context: any.
 */
void karray_mem_poisoned(struct karray_dev *kdev, u64 pos)
{
	badblocks_set(&kdev->bad, pos >> SECTOR_SHIFT, 1, 1);
	dev_err_ratelimited(&kdev->dev,
			    "memory error at 0x%llx: sector %llu is bad until it is written\n",
			    (u64)kdev->range.start + pos, pos >> SECTOR_SHIFT);
}

/*
 * Is there a bad one among @n sectors from @first on? Then the first is at @bad, and
 * at least @len of them are bad.
 *
 * The lock keeps the list as it is meanwhile. badblocks_check() does without, and tries
 * again; but since the rewrite of v6.6 it warns if it comes upon an entry that moves, and
 * until the fix of v6.15 it finds nothing when it tries again, whatever there is.
 */
static bool karray_mem_find_bad(struct karray_dev *kdev, u64 first, int n,
				sector_t *bad, int *len)
{
	unsigned long flags;
	bool found;

	read_seqlock_excl_irqsave(&kdev->bad.lock, flags);
	found = badblocks_check(&kdev->bad, first, n, bad, len);
	read_sequnlock_excl_irqrestore(&kdev->bad.lock, flags);
	return found;
}

/**
 * karray_mem_failed - note that memory has been found to be bad
 * @kdev: the device
 * @pos: offset, bytes
 * @len: bytes, at least 1
 *
 * What is on the list already isn't put there again: on 6.1 it can lose sectors of ranges
 * that overlap.
 *
 * Context: any.
 * Return: 0, or -ENOSPC if the list is full: readers will meet what it lacks.
 */
int karray_mem_failed(struct karray_dev *kdev, u64 pos, u64 len)
{
	u64 first = pos >> SECTOR_SHIFT;
	u64 last = (pos + len - 1) >> SECTOR_SHIFT;
	bool news = false;
	sector_t bad;
	int run, ret = 0;
	u64 sector;

	for (sector = first; sector <= last; sector++) {
		if (karray_mem_find_bad(kdev, sector, 1, &bad, &run))
			continue;
		badblocks_set(&kdev->bad, sector, 1, 1);
		if (!karray_mem_find_bad(kdev, sector, 1, &bad, &run))
			ret = -ENOSPC;
		news = true;
	}
	if (ret)
		dev_err_ratelimited(&kdev->dev,
				    "memory error at 0x%llx: the list of bad sectors is full\n",
				    (u64)kdev->range.start + pos);
	else if (news)
		dev_err_ratelimited(&kdev->dev,
				    "memory error at 0x%llx: sectors %llu to %llu are bad until they are written\n",
				    (u64)kdev->range.start + pos, first, last);
	return ret;
}

/* Offset of the first bad byte in sectors @first to @last, or U64_MAX. */
static u64 karray_mem_first_bad(struct karray_dev *kdev, u64 first, u64 last)
{
	sector_t bad;
	int n, len;

	/* The list can't be asked for more than an int at once, which is less than 1 TiB. */
	for (; first <= last; first += n) {
		n = min_t(u64, last - first + 1, INT_MAX);
		if (karray_mem_find_bad(kdev, first, n, &bad, &len))
			return (u64)bad << SECTOR_SHIFT;
	}
	return U64_MAX;
}

/**
 * karray_mem_readable - how far reading gets before it meets what is bad
 * @kdev: the device
 * @pos: offset, bytes
 * @len: bytes, at least 1
 *
 * Context: any.
 * Return: @len or less; 0 where @pos itself is bad.
 */
size_t karray_mem_readable(struct karray_dev *kdev, u64 pos, size_t len)
{
	u64 bad;

	if (!karray_mem_has_bad(kdev))
		return len;
	bad = karray_mem_first_bad(kdev, pos >> SECTOR_SHIFT,
				   (pos + len - 1) >> SECTOR_SHIFT);
	return min_t(u64, len, max(bad, pos) - pos);
}

/**
 * karray_mem_writable - how far writing gets before it would mend a sector in part
 * @kdev: the device
 * @pos: offset, bytes
 * @len: bytes, at least 1
 *
 * Only the sectors at both ends can be written in part, and they must not be bad
 * then.
 *
 * Context: any.
 * Return: @len or less; 0 where it begins with such a sector.
 */
size_t karray_mem_writable(struct karray_dev *kdev, u64 pos, size_t len)
{
	u64 end = pos + len;
	u64 first = pos >> SECTOR_SHIFT;
	u64 last = (end - 1) >> SECTOR_SHIFT;
	bool head = pos & (SECTOR_SIZE - 1);
	bool tail = end & (SECTOR_SIZE - 1);

	if (!karray_mem_has_bad(kdev))
		return len;
	if ((head || (tail && first == last)) &&
	    karray_mem_first_bad(kdev, first, first) != U64_MAX)
		return 0;
	if (tail && karray_mem_first_bad(kdev, last, last) != U64_MAX)
		return (last << SECTOR_SHIFT) - pos;
	return len;
}

/**
 * karray_mem_clear_bad - memory has been written
 * @kdev: the device
 * @pos: offset, bytes
 * @len: bytes
 *
 * The sectors that lie in the range as a whole are good again.
 *
 * Context: interrupts on.
 */
void karray_mem_clear_bad(struct karray_dev *kdev, u64 pos, size_t len)
{
	u64 first = DIV_ROUND_UP_ULL(pos, SECTOR_SIZE);
	u64 end = (pos + len) >> SECTOR_SHIFT;

	/* Ask first: clearing takes a lock for each write of every CPU. */
	if (!karray_mem_has_bad(kdev) || first >= end ||
	    karray_mem_first_bad(kdev, first, end - 1) == U64_MAX)
		return;
	badblocks_clear(&kdev->bad, first, end - first);
	/* Which needs room where the range is amid another. */
	if (karray_mem_first_bad(kdev, first, end - 1) != U64_MAX)
		dev_err_ratelimited(&kdev->dev,
				    "sectors %llu to %llu are written, and stay bad: the list is full\n",
				    first, end - 1);
}

/**
 * karray_mem_next_bad - find what is bad in a range
 * @kdev: the device
 * @pos: where the range begins, bytes
 * @end: where it ends
 * @start: offset of the first bad bytes that meet the range, in whole sectors; not
 *	before the sector of @pos
 * @len: how many there are, up to the first good sector or the range's end
 *
 * Context: any.
 * Return: whether there are any.
 */
bool karray_mem_next_bad(struct karray_dev *kdev, u64 pos, u64 end, u64 *start,
			 u64 *len)
{
	u64 sector = pos >> SECTOR_SHIFT;
	u64 last = DIV_ROUND_UP_ULL(end, SECTOR_SIZE);
	u64 from = 0, to = 0;
	sector_t bad;
	int run;

	if (!karray_mem_has_bad(kdev))
		return false;
	while (sector < last) {
		int some = min_t(u64, last - sector, INT_MAX);

		if (!karray_mem_find_bad(kdev, sector, some, &bad, &run)) {
			if (to)
				break;
			sector += some;
			continue;
		}
		/* The list may have a long run as several adjacent ones. */
		if (to && bad != to)
			break;
		if (!to)
			from = max_t(u64, bad, sector);
		to = min_t(u64, bad + run, last);
		sector = to;
	}
	*start = from << SECTOR_SHIFT;
	*len = (to - from) << SECTOR_SHIFT;
	return to;
}
