// SPDX-License-Identifier: GPL-2.0
/*
 * Requests to the char device: include/uapi/linux/karray.h says what they are.
 *
 * Those that take long go piece by piece, as read and write do. Each is done under
 * karray_read_lock(), so that a removal waits for a piece at most, and between two of
 * them the caller can be killed. What is read goes through a buffer, by a copy that
 * survives memory errors.
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

/*
 * What is done to the memory, piece by piece.
 *
 * @do_piece: does it to a piece, under the read lock. Returns how many bytes it got
 *	on before bad memory, maybe 0.
 * @write: whether that changes the memory
 * @data: for @do_piece
 */
struct karray_chr_work {
	struct karray_chr *chr;
	size_t (*do_piece)(struct karray_dev *kdev, u64 pos, size_t len,
			   void *data);
	bool write;
	void *data;
};

/*
 * Return: bytes done, -EIO, -ENODEV, or -EAGAIN where copies elsewhere must be
 * @flushed first.
 */
static ssize_t karray_chr_try_piece(struct karray_chr_work *work, u64 pos,
				    size_t len, bool flushed, bool *outdated)
{
	struct karray_chr *chr = work->chr;
	int cookie = karray_read_lock();
	ssize_t ret = -ENODEV;

	if (!karray_chr_alive(chr))
		goto out;
	ret = -EAGAIN;
	if (!flushed && karray_chr_cached(chr, pos, len, work->write))
		goto out;
	ret = work->do_piece(chr->kdev, pos, len, work->data);
	if (!ret)
		ret = -EIO;
	else if (work->write)
		*outdated = karray_chr_outdated(chr, pos, ret);
out:
	karray_read_unlock(cookie);
	return ret;
}

/* Return: bytes done, at least 1 and at most @len; or an error. */
static ssize_t karray_chr_work_on(struct karray_chr_work *work, u64 pos,
				  size_t len)
{
	bool outdated = false;
	ssize_t ret;

	ret = karray_chr_try_piece(work, pos, len, false, &outdated);
	if (ret == -EAGAIN) {
		ret = karray_chr_flush(work->chr, pos, len, work->write);
		if (!ret)
			ret = karray_chr_try_piece(work, pos, len, true,
						   &outdated);
	}
	if (outdated)
		karray_chr_flush(work->chr, pos, len, true);
	if (ret > 0 && fatal_signal_pending(current))
		return -EINTR;
	cond_resched();
	return ret;
}

/* Copies a piece into the buffer @data. */
static size_t karray_chr_fetch_piece(struct karray_dev *kdev, u64 pos,
				     size_t len, void *data)
{
	return karray_mem_read(kdev, data, pos,
			       karray_mem_readable(kdev, pos, len));
}

static ssize_t karray_chr_fetch(struct karray_chr *chr, u64 pos, u64 len,
				void *buf)
{
	struct karray_chr_work work = {
		.chr = chr, .do_piece = karray_chr_fetch_piece, .data = buf
	};

	return karray_chr_work_on(&work, pos,
				  min_t(u64, len, KARRAY_CHR_BUFFER));
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

/*
 * Fills a piece, as the struct karray_fill says. The pattern's bytes are those that
 * it has in memory, whatever the CPU's order.
 */
static size_t karray_chr_fill_piece(struct karray_dev *kdev, u64 pos, size_t len,
				    void *data)
{
	const struct karray_fill *fill = data;
	unsigned int phase = (pos - fill->offset) & 7;
	u8 *to = kdev->virt + pos;
	size_t head, tail;
	u8 twice[16];
	u64 word;

	len = karray_mem_writable(kdev, pos, len);
	head = min_t(size_t, len, -pos & 7);
	tail = (len - head) & 7;

	memcpy(twice, &fill->pattern, 8);
	memcpy(twice + 8, &fill->pattern, 8);
	memcpy(&word, twice + ((phase + head) & 7), 8);

	memcpy(to, twice + phase, head);
	if (word)
		memset64((u64 *)(to + head), word, (len - head) / 8);
	else
		memset(to + head, 0, len - head - tail);
	memcpy(to + len - tail, &word, tail);
	karray_mem_clear_bad(kdev, pos, len);
	return len;
}

static int karray_chr_fill(struct file *file,
			   const struct karray_fill __user *user)
{
	struct karray_fill fill;
	struct karray_chr_work work = {
		.chr = file->private_data, .do_piece = karray_chr_fill_piece,
		.write = true, .data = &fill
	};
	ssize_t ret = 0;
	u64 pos, end;

	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (copy_from_user(&fill, user, sizeof(fill)))
		return -EFAULT;
	if (fill.flags || fill.reserved ||
	    !karray_chr_in_range(work.chr, fill.offset, fill.length))
		return -EINVAL;

	end = fill.offset + fill.length;
	for (pos = fill.offset; pos < end && ret >= 0; pos += ret)
		ret = karray_chr_work_on(&work, pos,
					 min_t(u64, end - pos,
					       KARRAY_CHR_PIECE));
	return ret < 0 ? ret : 0;
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

static int karray_chr_checksum(struct file *file,
			       struct karray_checksum __user *user)
{
	struct karray_chr *chr = file->private_data;
	struct karray_checksum sum;
	struct karray_chr_crc c;
	ssize_t ret = 0;
	u64 pos, end;
	void *buf;

	/* Of a byte, the checksum tells what it is. */
	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
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
		ret = karray_chr_fetch(chr, pos, end - pos, buf);
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

static int karray_chr_compare(struct file *file,
			      struct karray_compare __user *user)
{
	struct karray_chr *chr = file->private_data;
	struct karray_compare cmp;
	ssize_t ret = 0;
	u64 done = 0;
	size_t same;
	u8 *buf;

	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
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
		ret = karray_chr_fetch(chr, cmp.offset + done,
				       cmp.length - done, buf);
		if (ret < 0)
			break;
		ret = karray_chr_fetch(chr, cmp.other + done, ret,
				       buf + KARRAY_CHR_BUFFER);
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
		return karray_chr_checksum(file, arg);
	case KARRAY_IOC_COMPARE:
		return karray_chr_compare(file, arg);
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
