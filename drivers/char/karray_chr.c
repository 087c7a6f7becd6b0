// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/karray, /dev/karray1, ...: the memory as bytes.
 *
 * A read or write is a copy between the iterator and the mapping, in pieces. Each
 * piece is copied under karray_read_lock() with page faults off: whoever takes the
 * memory away waits for a piece at most, never for user space (which may answer its
 * own page faults, or not). Where user memory isn't there, a page goes through a
 * buffer, and the lock isn't held while that copy faults.
 *
 * Lifetime: an open file counts as a user, and holds a reference on the
 * karray_dev. struct karray_chr lives until the last file that could find it by
 * its cdev is past open. Both outlive the memory; the state says so.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blk_types.h>
#include <linux/cdev.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <uapi/linux/karray.h>
#include "karray.h"
#include <trace/events/karray.h>

/* Bytes copied at a time: short enough for signals, preemption and removal. */
#define KARRAY_CHR_PIECE	SZ_1M

/**
 * struct karray_chr - a char node
 * @dev: in class "karray"; holds a reference on @kdev until it is released
 * @cdev: child of @dev
 * @kdev: whose memory it shows
 */
struct karray_chr {
	struct device dev;
	struct cdev cdev;
	struct karray_dev *kdev;
};

static dev_t karray_chr_base;

static struct class karray_chr_class = {
	.name = "karray",
};

/* How much of a piece can be moved before it meets bad memory. */
static size_t karray_chr_movable(struct karray_dev *kdev, u64 pos, size_t len,
				 const struct iov_iter *iter)
{
	return iov_iter_rw(iter) == READ ? karray_mem_readable(kdev, pos, len) :
					   karray_mem_writable(kdev, pos, len);
}

/*
 * One piece, which may come out short, even empty, where user memory is not there
 * or ours is bad. The caller has checked that it ends within the memory, so the
 * usercopy hardening has nothing to add.
 *
 * Return: bytes copied, -EIO or -ENODEV.
 */
static ssize_t karray_chr_copy(struct karray_dev *kdev, loff_t pos, size_t len,
			       struct iov_iter *iter)
{
	int cookie = karray_read_lock();
	ssize_t ret = -ENODEV;

	if (!karray_alive(kdev))
		goto out;

	ret = -EIO;
	len = karray_chr_movable(kdev, pos, len, iter);
	if (!len)
		goto out;

	pagefault_disable();
	if (iov_iter_rw(iter) == READ)
		ret = _copy_mc_to_iter(kdev->virt + pos, len, iter);
	else
		ret = _copy_from_iter(kdev->virt + pos, len, iter);
	pagefault_enable();

	if (iov_iter_rw(iter) == WRITE && karray_mem_has_bad(kdev)) {
		karray_mem_clear_bad(kdev, pos, ret);
		if (ret < len) {
			/* Sectors are mended as a whole: go back to its start. */
			size_t part = min_t(size_t, ret, (pos + ret) &
							 (SECTOR_SIZE - 1));

			iov_iter_revert(iter, part);
			ret -= part;
		}
	}
out:
	karray_read_unlock(cookie);
	return ret;
}

/*
 * Up to a page by way of @page, so that the copy from or to user memory may fault,
 * and always gets on or fails.
 *
 * Return: bytes copied, -EFAULT, -EIO or -ENODEV.
 */
static ssize_t karray_chr_bounce(struct karray_dev *kdev, loff_t pos, size_t len,
				 struct iov_iter *iter, void *page)
{
	bool read = iov_iter_rw(iter) == READ;
	ssize_t ret = -ENODEV;
	size_t copied = 0;
	int cookie;

	len = min_t(size_t, len, PAGE_SIZE);
	if (!read) {
		copied = copy_from_iter(page, len, iter);
		if (!copied)
			return -EFAULT;
		len = copied;
	}

	cookie = karray_read_lock();
	if (karray_alive(kdev)) {
		len = karray_chr_movable(kdev, pos, len, iter);
		if (read) {
			len = karray_mem_read(kdev, page, pos, len);
		} else {
			memcpy(kdev->virt + pos, page, len);
			karray_mem_clear_bad(kdev, pos, len);
		}
		ret = len ?: -EIO;
	}
	karray_read_unlock(cookie);

	if (read && ret > 0)
		ret = copy_to_iter(page, ret, iter) ?: -EFAULT;
	else if (!read && ret > 0)
		iov_iter_revert(iter, copied - ret);
	return ret;
}

/* Moves what @iter asks for; the caller has cut it to the end of the memory. */
static ssize_t karray_chr_move(struct kiocb *iocb, struct iov_iter *iter)
{
	struct karray_dev *kdev = iocb->ki_filp->private_data;
	void *page = NULL;
	ssize_t done = 0;
	ssize_t ret = 0;

	while (iov_iter_count(iter)) {
		size_t len = min_t(size_t, iov_iter_count(iter),
				   KARRAY_CHR_PIECE);

		ret = karray_chr_copy(kdev, iocb->ki_pos, len, iter);
		if (!ret) {
			if (!page)
				page = kmalloc(PAGE_SIZE, GFP_KERNEL);
			ret = page ? karray_chr_bounce(kdev, iocb->ki_pos, len,
						       iter, page) : -ENOMEM;
		}
		if (ret < 0)
			break;
		iocb->ki_pos += ret;
		done += ret;
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		cond_resched();
	}
	kfree(page);
	return done ?: ret;
}

static ssize_t karray_chr_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct karray_dev *kdev = iocb->ki_filp->private_data;
	size_t size = iov_iter_count(to);
	loff_t pos = iocb->ki_pos;
	ssize_t ret;

	if (!karray_alive(kdev)) {
		ret = -ENODEV;
	} else if (pos >= kdev->range.size) {
		ret = 0;
	} else {
		iov_iter_truncate(to, kdev->range.size - pos);
		ret = karray_chr_move(iocb, to);
	}
	trace_karray_read(kdev, pos, size, ret);
	return ret;
}

/* The event shows what has been written, as long as that is mapped. */
static void karray_chr_trace_write(struct karray_dev *kdev, loff_t pos,
				   size_t size, ssize_t ret)
{
	char data[KARRAY_TRACE_MSG];
	size_t len = 0;
	int cookie;

	if (!trace_karray_write_enabled())
		return;
	cookie = karray_read_lock();
	if (ret > 0 && karray_alive(kdev))
		len = karray_mem_read(kdev, data, pos,
				      min_t(size_t, ret, sizeof(data)));
	karray_read_unlock(cookie);
	trace_karray_write(kdev, pos, size, data, len, ret);
}

static ssize_t karray_chr_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct karray_dev *kdev = iocb->ki_filp->private_data;
	size_t size = iov_iter_count(from);
	loff_t pos = iocb->ki_pos;
	ssize_t ret;

	if (!karray_alive(kdev)) {
		ret = -ENODEV;
	} else if (iocb->ki_flags & IOCB_APPEND) {
		ret = -EINVAL;
	} else if (!size) {
		ret = 0;
	} else if (pos >= kdev->range.size) {
		ret = -ENOSPC;
	} else {
		iov_iter_truncate(from, kdev->range.size - pos);
		ret = karray_chr_move(iocb, from);
	}
	karray_chr_trace_write(kdev, pos, size, ret);
	return ret;
}

static loff_t karray_chr_llseek(struct file *file, loff_t offset, int whence)
{
	struct karray_dev *kdev = file->private_data;

	return fixed_size_llseek(file, offset, whence, kdev->range.size);
}

static long karray_chr_ioctl(struct file *file, unsigned int request,
			     unsigned long arg)
{
	struct karray_dev *kdev = file->private_data;
	long ret;

	if (!karray_alive(kdev))
		ret = -ENODEV;
	else if (request == KARRAY_IOC_PING)
		ret = 0;
	else
		ret = -ENOTTY;
	trace_karray_ioctl(kdev, request, ret);
	return ret;
}

static int karray_chr_open(struct inode *inode, struct file *file)
{
	struct karray_chr *chr = container_of(inode->i_cdev, struct karray_chr,
					      cdev);
	struct karray_dev *kdev = chr->kdev;
	int ret;

	/* chrdev_open() holds a reference on the cdev, and so on chr. */
	ret = karray_get_user(kdev, KARRAY_CHR);
	if (ret)
		return ret;
	/* A user keeps the settings as they are. */
	if (kdev->settings.read_only && (file->f_mode & FMODE_WRITE)) {
		karray_put_user(kdev, KARRAY_CHR);
		return -EROFS;
	}
	get_device(&kdev->dev);
	file->private_data = kdev;
	file->f_mode |= FMODE_NOWAIT | FMODE_CAN_ODIRECT;
	trace_karray_open(kdev);
	return 0;
}

static int karray_chr_release(struct inode *inode, struct file *file)
{
	struct karray_dev *kdev = file->private_data;

	trace_karray_release(kdev);
	karray_put_user(kdev, KARRAY_CHR);
	put_device(&kdev->dev);
	return 0;
}

static const struct file_operations karray_chr_fops = {
	.owner		= THIS_MODULE,
	.open		= karray_chr_open,
	.release	= karray_chr_release,
	.llseek		= karray_chr_llseek,
	.read_iter	= karray_chr_read_iter,
	.write_iter	= karray_chr_write_iter,
	.unlocked_ioctl	= karray_chr_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static void karray_chr_free(struct device *dev)
{
	struct karray_chr *chr = container_of(dev, struct karray_chr, dev);

	put_device(&chr->kdev->dev);
	kfree(chr);
}

static int karray_chr_attach(struct karray_dev *kdev)
{
	struct karray_chr *chr;
	int ret;

	chr = kzalloc(sizeof(*chr), GFP_KERNEL);
	if (!chr)
		return -ENOMEM;
	chr->kdev = kdev;
	get_device(&kdev->dev);

	device_initialize(&chr->dev);
	chr->dev.class = &karray_chr_class;
	chr->dev.parent = &kdev->dev;
	chr->dev.release = karray_chr_free;
	chr->dev.devt = karray_chr_base + kdev->id;
	if (kdev->id)
		ret = dev_set_name(&chr->dev, "karray%d", kdev->id);
	else
		ret = dev_set_name(&chr->dev, "karray");
	if (ret)
		goto out_put;

	cdev_init(&chr->cdev, &karray_chr_fops);
	chr->cdev.owner = THIS_MODULE;
	kdev->devt = chr->dev.devt;
	ret = cdev_device_add(&chr->cdev, &chr->dev);
	if (ret)
		goto out_clear_devt;
	kdev->chr = chr;
	return 0;

out_clear_devt:
	kdev->devt = 0;
out_put:
	put_device(&chr->dev);
	return ret;
}

static void karray_chr_detach(struct karray_dev *kdev)
{
	struct karray_chr *chr = kdev->chr;

	kdev->chr = NULL;
	cdev_device_del(&chr->cdev, &chr->dev);
	put_device(&chr->dev);
	kdev->devt = 0;
}

static int karray_chr_init(void)
{
	int ret;

	ret = alloc_chrdev_region(&karray_chr_base, 0, KARRAY_MAX_DEVICES,
				  "karray");
	if (ret)
		return ret;
	ret = class_register(&karray_chr_class);
	if (ret)
		unregister_chrdev_region(karray_chr_base, KARRAY_MAX_DEVICES);
	return ret;
}

static void karray_chr_exit(void)
{
	class_unregister(&karray_chr_class);
	unregister_chrdev_region(karray_chr_base, KARRAY_MAX_DEVICES);
}

const struct karray_personality karray_chr_personality = {
	.name	= "char device",
	.init	= karray_chr_init,
	.exit	= karray_chr_exit,
	.attach	= karray_chr_attach,
	.detach	= karray_chr_detach,
};
