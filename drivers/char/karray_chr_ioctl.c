// SPDX-License-Identifier: GPL-2.0
/*
 * Requests to the char device: include/uapi/linux/karray.h says what they are.
 *
 * Those that take long go piece by piece. Each is done under karray_read_lock(), so
 * that a removal waits for a piece at most, and between two of them the caller can
 * be killed. What is read goes through a buffer, by a copy that survives memory
 * errors.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <crypto/hash.h>
#include <linux/blk_types.h>
#include <linux/capability.h>
#include <linux/crc32.h>
#include <linux/kdev_t.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <uapi/linux/karray.h>
#include "karray_chr.h"
#include <trace/events/karray.h>

/* What a buffer holds: fits into the CPU's nearest cache. */
#define KARRAY_CHR_BUFFER	SZ_16K

static bool karray_chr_in_range(const struct karray_chr *chr, u64 pos, u64 len)
{
	u64 size = chr->kdev->range.size;

	return pos <= size && len <= size - pos;
}

/* Between pieces. Return: 0, or -EINTR where the caller is to die. */
static int karray_chr_breathe(void)
{
	if (fatal_signal_pending(current))
		return -EINTR;
	cond_resched();
	return 0;
}

/*
 * Begin to read (or write) a piece. The memory is there, and its only copy, up to
 * karray_read_unlock().
 *
 * Return: 0 with the read lock held, or -ENODEV, or the error of writing back.
 */
static int karray_chr_begin(struct karray_chr *chr, u64 pos, size_t len,
			    bool write, int *cookie)
{
	bool flushed = false;
	int ret;

	for (;;) {
		*cookie = karray_read_lock();
		if (!karray_chr_alive(chr)) {
			karray_read_unlock(*cookie);
			return -ENODEV;
		}
		if (flushed || !karray_chr_cached(chr, pos, len, write))
			return 0;
		karray_read_unlock(*cookie);
		ret = karray_chr_flush(chr, pos, len, write);
		if (ret)
			return ret;
		flushed = true;
	}
}

/*
 * Copy a piece into a buffer.
 *
 * Return: bytes copied, fewer than @len up to bad memory; -EIO, -ENODEV, -EINTR.
 */
static ssize_t karray_chr_fetch(struct karray_chr *chr, void *buf, u64 pos,
				size_t len)
{
	int cookie, ret;

	ret = karray_chr_begin(chr, pos, len, false, &cookie);
	if (ret)
		return ret;
	len = karray_mem_readable(chr->kdev, pos, len);
	len = karray_mem_read(chr->kdev, buf, pos, len);
	karray_read_unlock(cookie);

	if (!len)
		return -EIO;
	return karray_chr_breathe() ?: len;
}

static int karray_chr_info(struct karray_chr *chr,
			   struct karray_info __user *to)
{
	struct karray_dev *kdev = chr->kdev;
	struct karray_info info = {
		.size = kdev->range.size,
		.version = KARRAY_UAPI_VERSION,
		.id = kdev->id,
		.node = dev_to_node(&kdev->dev),
	};
	dev_t disk = READ_ONCE(kdev->disk_devt);
	u64 start, len, pos;

	for (pos = 0; karray_mem_next_bad(kdev, pos, kdev->range.size, &start,
					  &len); pos = start + len)
		info.bad_ranges++;

	/* As in /proc/iomem. */
	if (capable(CAP_SYS_ADMIN))
		info.start = kdev->range.start;
	if (kdev->settings.read_only)
		info.flags |= KARRAY_INFO_READ_ONLY;
	if (disk) {
		info.flags |= KARRAY_INFO_DISK;
		info.disk_major = MAJOR(disk);
		info.disk_minor = MINOR(disk);
	}
	return copy_to_user(to, &info, sizeof(info)) ? -EFAULT : 0;
}

/* The pattern's bytes are those of memory, whatever the CPU's order of bytes. */
static void karray_chr_fill_piece(u8 *to, size_t len, u64 pattern, u64 phase)
{
	size_t head = min_t(size_t, len, -(uintptr_t)to & 7);
	u8 twice[16];
	size_t tail;

	if (!pattern) {
		memset(to, 0, len);
		return;
	}
	memcpy(twice, &pattern, 8);
	memcpy(twice + 8, &pattern, 8);
	memcpy(to, twice + (phase & 7), head);
	tail = (len - head) & 7;
	phase += head;
	memcpy(&pattern, twice + (phase & 7), 8);
	memset64((u64 *)(to + head), pattern, (len - head) / 8);
	memcpy(to + len - tail, &pattern, tail);
}

static int karray_chr_fill(struct file *file,
			   const struct karray_fill __user *from)
{
	struct karray_chr *chr = file->private_data;
	struct karray_dev *kdev = chr->kdev;
	struct karray_fill fill;
	bool outdated;
	int cookie, ret;
	u64 pos, end;
	size_t len;

	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (copy_from_user(&fill, from, sizeof(fill)))
		return -EFAULT;
	if (fill.flags || fill.reserved ||
	    !karray_chr_in_range(chr, fill.offset, fill.length))
		return -EINVAL;

	end = fill.offset + fill.length;
	for (pos = fill.offset; pos < end; pos += len) {
		len = min_t(u64, end - pos, KARRAY_CHR_PIECE);
		ret = karray_chr_begin(chr, pos, len, true, &cookie);
		if (ret)
			return ret;
		len = karray_mem_writable(kdev, pos, len);
		karray_chr_fill_piece(kdev->virt + pos, len, fill.pattern,
				      pos - fill.offset);
		karray_mem_clear_bad(kdev, pos, len);
		outdated = len && karray_chr_outdated(chr, pos, len);
		karray_read_unlock(cookie);
		if (!len)
			return -EIO;
		if (outdated)
			karray_chr_flush(chr, pos, len, true);
		ret = karray_chr_breathe();
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * A CRC-32C that is being made. The kernel's crypto has the CPU's instructions for
 * it, in a module that may not be there; the library is always.
 */
struct karray_chr_crc {
	struct crypto_shash *tfm;	/* or an ERR_PTR() */
	u32 crc;
};

static void karray_chr_crc_add(struct karray_chr_crc *c, const void *data,
			       size_t len)
{
	__le32 key = cpu_to_le32(c->crc);
	__le32 sum;

	/* Key and digest are the CRC before and, inverted, the one after. */
	if (!IS_ERR(c->tfm) &&
	    !crypto_shash_setkey(c->tfm, (u8 *)&key, sizeof(key)) &&
	    !crypto_shash_tfm_digest(c->tfm, data, len, (u8 *)&sum))
		c->crc = ~le32_to_cpu(sum);
	else
		c->crc = __crc32c_le(c->crc, data, len);
}

static int karray_chr_checksum(struct karray_chr *chr,
			       struct karray_checksum __user *user)
{
	struct karray_checksum sum;
	struct karray_chr_crc c;
	ssize_t ret = 0;
	u64 pos, end;
	void *buf;

	if (copy_from_user(&sum, user, sizeof(sum)))
		return -EFAULT;
	if (sum.type != KARRAY_CHECKSUM_CRC32C || sum.flags || sum.reserved ||
	    !karray_chr_in_range(chr, sum.offset, sum.length))
		return -EINVAL;

	buf = kmalloc(KARRAY_CHR_BUFFER, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	c.tfm = crypto_alloc_shash("crc32c", 0, 0);
	c.crc = ~sum.sum;

	end = sum.offset + sum.length;
	for (pos = sum.offset; pos < end; pos += ret) {
		ret = karray_chr_fetch(chr, buf, pos,
				       min_t(u64, end - pos, KARRAY_CHR_BUFFER));
		if (ret < 0)
			break;
		karray_chr_crc_add(&c, buf, ret);
	}

	if (!IS_ERR(c.tfm))
		crypto_free_shash(c.tfm);
	kfree(buf);
	if (ret < 0)
		return ret;
	return put_user(~c.crc, &user->sum);
}

/* Bytes that are the same, up to the first that isn't. */
static size_t karray_chr_same(const u8 *a, const u8 *b, size_t len)
{
	size_t i;

	if (!memcmp(a, b, len))
		return len;
	for (i = 0; a[i] == b[i]; i++)
		;
	return i;
}

static int karray_chr_compare(struct karray_chr *chr,
			      struct karray_compare __user *user)
{
	struct karray_compare cmp;
	ssize_t ret = 0;
	u64 done = 0;
	size_t same;
	u8 *buf;

	if (copy_from_user(&cmp, user, sizeof(cmp)))
		return -EFAULT;
	if (cmp.flags || cmp.reserved ||
	    !karray_chr_in_range(chr, cmp.offset, cmp.length) ||
	    !karray_chr_in_range(chr, cmp.other, cmp.length))
		return -EINVAL;

	buf = kmalloc(2 * KARRAY_CHR_BUFFER, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;

	while (done < cmp.length) {
		ret = karray_chr_fetch(chr, buf, cmp.offset + done,
				       min_t(u64, cmp.length - done,
					     KARRAY_CHR_BUFFER));
		if (ret < 0)
			break;
		ret = karray_chr_fetch(chr, buf + KARRAY_CHR_BUFFER,
				       cmp.other + done, ret);
		if (ret < 0)
			break;
		same = karray_chr_same(buf, buf + KARRAY_CHR_BUFFER, ret);
		done += same;
		if (same < ret)
			break;
	}

	kfree(buf);
	if (ret < 0)
		return ret;
	return put_user(done, &user->equal);
}

static int karray_chr_list_bad(struct karray_chr *chr,
			       struct karray_bad __user *user)
{
	struct karray_bad_range __user *to;
	struct karray_bad_range range;
	struct karray_bad bad;
	u64 pos, end;
	u32 n = 0;

	if (copy_from_user(&bad, user, sizeof(bad)))
		return -EFAULT;
	if (bad.flags || !karray_chr_in_range(chr, bad.offset, bad.length))
		return -EINVAL;

	to = u64_to_user_ptr(bad.ranges);
	end = bad.offset + bad.length;
	for (pos = bad.offset; pos < end; pos = range.offset + range.length) {
		if (!karray_mem_next_bad(chr->kdev, pos, end, &range.offset,
					 &range.length))
			break;
		if (n < bad.count && copy_to_user(to + n, &range, sizeof(range)))
			return -EFAULT;
		n++;
	}
	return put_user(n, &user->count);
}

static long karray_chr_do_ioctl(struct file *file, unsigned int request,
				void __user *arg)
{
	struct karray_chr *chr = file->private_data;

	if (!karray_chr_alive(chr))
		return -ENODEV;

	switch (request) {
	case KARRAY_IOC_PING:
		return 0;
	case KARRAY_IOC_INFO:
		return karray_chr_info(chr, arg);
	case KARRAY_IOC_FILL:
		return karray_chr_fill(file, arg);
	case KARRAY_IOC_CHECKSUM:
		return karray_chr_checksum(chr, arg);
	case KARRAY_IOC_COMPARE:
		return karray_chr_compare(chr, arg);
	case KARRAY_IOC_BAD:
		return karray_chr_list_bad(chr, arg);
	default:
		return -ENOTTY;
	}
}

long karray_chr_ioctl(struct file *file, unsigned int request,
		      unsigned long arg)
{
	struct karray_chr *chr = file->private_data;
	long ret = karray_chr_do_ioctl(file, request, (void __user *)arg);

	trace_karray_ioctl(chr->kdev, request, ret);
	return ret;
}
