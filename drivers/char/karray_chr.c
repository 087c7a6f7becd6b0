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
 * The disk's page cache may hold copies of the memory. What is newer there is written
 * back before a read, and all of it is written back and dropped before a write, and
 * dropped again after it if somebody has read the disk meanwhile: as direct I/O does.
 * Without copies this costs a few loads.
 *
 * Files open for writing together hold one claim on the disk, so that no file system
 * is mounted below which they write. The first takes it, the last gives it back. With dax
 * the last may leave pages that are pinned, and so can be written: the claim stays until
 * they are free.
 *
 * Lifetime: an open file counts as a user, and holds a reference on struct
 * karray_chr, which holds one on the karray_dev. Both outlive the memory; the state
 * says so.
 *
 * Lock order: chr->lock, the disk's open_mutex, kdev->lock.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blk_types.h>
#include <linux/cdev.h>
#include <linux/fs.h>
#include <linux/huge_mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "karray_chr.h"
#include "karray_compat.h"
#include <trace/events/karray.h>

/* How long it may be until it's seen that pages aren't pinned any more. */
#define KARRAY_CHR_LOOK_AGAIN	(HZ / 10)

static dev_t karray_chr_base;

static struct class karray_chr_class = {
	.name = "karray",
};

/**
 * karray_chr_flush - bring the memory and the disk's copies of it together
 * @chr: the node
 * @pos: offset, bytes
 * @len: bytes, at least 1
 * @write: not only write back what is newer there, but drop all
 *
 * Context: process context, may sleep; not under the read lock.
 * Return: 0, -ENODEV, or the error of writing back.
 */
int karray_chr_flush(struct karray_chr *chr, u64 pos, u64 len, bool write)
{
	int ret = karray_flush(chr->kdev, KARRAY_CHR, pos, len,
			       write ? KARRAY_ALL_COPIES :
				       KARRAY_CHANGED_COPIES);

	return karray_chr_alive(chr) ? ret : -ENODEV;
}

/* How much of a piece can be moved before it meets bad memory. */
static size_t karray_chr_movable(struct karray_dev *kdev, u64 pos, size_t len,
				 const struct iov_iter *iter)
{
	return iov_iter_rw(iter) == READ ? karray_mem_readable(kdev, pos, len) :
					   karray_mem_writable(kdev, pos, len);
}

/*
 * A read or write under way.
 *
 * @outdated: copies of what has been written came up elsewhere meanwhile
 * @page: for karray_chr_bounce(), allocated when it is needed
 */
struct karray_chr_io {
	struct karray_chr *chr;
	struct iov_iter *iter;
	bool write;
	bool nowait;
	bool outdated;
	void *page;
};

/*
 * One piece, which may come out short, even empty, where user memory is not there
 * or ours is bad. The caller has checked that it ends within the memory, so the
 * usercopy hardening has nothing to add.
 *
 * Return: bytes copied, -EIO, -ENODEV, or -EAGAIN where copies elsewhere must be
 * @flushed first.
 */
static ssize_t karray_chr_copy(struct karray_chr_io *io, loff_t pos, size_t len,
			       bool flushed)
{
	struct karray_dev *kdev = io->chr->kdev;
	int cookie = karray_read_lock();
	ssize_t ret = -ENODEV;

	if (!karray_chr_alive(io->chr))
		goto out;

	ret = -EAGAIN;
	if (!flushed && karray_chr_cached(io->chr, pos, len, io->write))
		goto out;

	ret = -EIO;
	len = karray_chr_movable(kdev, pos, len, io->iter);
	if (!len)
		goto out;

	pagefault_disable();
	if (io->write)
		ret = _copy_from_iter(kdev->virt + pos, len, io->iter);
	else
		ret = _copy_mc_to_iter(kdev->virt + pos, len, io->iter);
	pagefault_enable();

	if (io->write && karray_mem_has_bad(kdev)) {
		karray_mem_clear_bad(kdev, pos, ret);
		if (ret < len) {
			/* Sectors are mended as a whole: go back to its start. */
			size_t part = min_t(size_t, ret, (pos + ret) &
							 (SECTOR_SIZE - 1));

			iov_iter_revert(io->iter, part);
			ret -= part;
		}
	}
	if (io->write)
		io->outdated = karray_chr_outdated(io->chr, pos, len);
out:
	karray_read_unlock(cookie);
	return ret;
}

/*
 * Up to a page by way of a page of the kernel's, so that the copy from or to user
 * memory may fault, and always gets on or fails.
 *
 * Copies elsewhere may have come up during such a fault, so they are looked for again.
 *
 * Return: bytes copied, -EFAULT, -EIO, -ENODEV, -EAGAIN where nowait forbids to flush
 * such copies or to wait for a page, -ENOMEM, or the error of flushing.
 */
static ssize_t karray_chr_bounce(struct karray_chr_io *io, loff_t pos,
				 size_t len)
{
	struct karray_dev *kdev = io->chr->kdev;
	bool flushed = false;
	size_t copied = 0;
	ssize_t ret;
	int cookie;

	if (!io->page)
		io->page = kmalloc(PAGE_SIZE,
				   io->nowait ? GFP_NOWAIT : GFP_KERNEL);
	if (!io->page)
		return io->nowait ? -EAGAIN : -ENOMEM;

	len = min_t(size_t, len, PAGE_SIZE);
	if (io->write) {
		copied = copy_from_iter(io->page, len, io->iter);
		if (!copied)
			return -EFAULT;
		len = copied;
	}

again:
	cookie = karray_read_lock();
	if (!karray_chr_alive(io->chr)) {
		ret = -ENODEV;
	} else if (!flushed && karray_chr_cached(io->chr, pos, len, io->write)) {
		ret = -EAGAIN;
	} else {
		len = karray_chr_movable(kdev, pos, len, io->iter);
		if (!io->write) {
			len = karray_mem_read(kdev, io->page, pos, len);
		} else if (len) {
			memcpy(kdev->virt + pos, io->page, len);
			karray_mem_clear_bad(kdev, pos, len);
			io->outdated = karray_chr_outdated(io->chr, pos, len);
		}
		ret = len ?: -EIO;
	}
	karray_read_unlock(cookie);

	if (unlikely(ret == -EAGAIN) && !io->nowait) {
		flushed = true;
		ret = karray_chr_flush(io->chr, pos, len, io->write);
		if (!ret)
			goto again;
	}
	if (io->write)
		iov_iter_revert(io->iter, copied - max_t(ssize_t, ret, 0));
	else if (ret > 0)
		ret = copy_to_iter(io->page, ret, io->iter) ?: -EFAULT;
	return ret;
}

/* A piece, or what of it can be moved at once. */
static ssize_t karray_chr_move_piece(struct karray_chr_io *io, loff_t pos,
				     size_t len)
{
	ssize_t ret = karray_chr_copy(io, pos, len, false);

	if (unlikely(ret == -EAGAIN) && !io->nowait) {
		ret = karray_chr_flush(io->chr, pos, len, io->write);
		if (!ret)
			ret = karray_chr_copy(io, pos, len, true);
	}
	if (!ret)
		ret = karray_chr_bounce(io, pos, len);
	if (unlikely(io->outdated)) {
		/* The bytes are written, whatever becomes of the copies. */
		karray_chr_flush(io->chr, pos, len, true);
		io->outdated = false;
	}
	return ret;
}

/* Moves what @iter asks for; the caller has cut it to the end of the memory. */
static ssize_t karray_chr_move(struct kiocb *iocb, struct iov_iter *iter)
{
	struct karray_chr_io io = {
		.chr = iocb->ki_filp->private_data,
		.iter = iter,
		.write = iov_iter_rw(iter) == WRITE,
		.nowait = iocb->ki_flags & IOCB_NOWAIT,
	};
	ssize_t done = 0;
	ssize_t ret = 0;

	while (iov_iter_count(iter)) {
		size_t len = min_t(size_t, iov_iter_count(iter),
				   KARRAY_CHR_PIECE);

		ret = karray_chr_move_piece(&io, iocb->ki_pos, len);
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
	kfree(io.page);
	return done ?: ret;
}

static ssize_t karray_chr_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct karray_chr *chr = iocb->ki_filp->private_data;
	struct karray_dev *kdev = chr->kdev;
	size_t size = iov_iter_count(to);
	loff_t pos = iocb->ki_pos;
	ssize_t ret;

	if (!karray_chr_alive(chr)) {
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
static void karray_chr_trace_write(struct karray_chr *chr, loff_t pos,
				   size_t size, ssize_t ret)
{
	struct karray_dev *kdev = chr->kdev;
	char data[KARRAY_TRACE_MSG];
	size_t len = 0;
	int cookie;

	if (!trace_karray_write_enabled())
		return;
	cookie = karray_read_lock();
	if (ret > 0 && karray_chr_alive(chr))
		len = karray_mem_read(kdev, data, pos,
				      min_t(size_t, ret, sizeof(data)));
	karray_read_unlock(cookie);
	trace_karray_write(kdev, pos, size, data, len, ret);
}

static ssize_t karray_chr_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct karray_chr *chr = iocb->ki_filp->private_data;
	struct karray_dev *kdev = chr->kdev;
	size_t size = iov_iter_count(from);
	loff_t pos = iocb->ki_pos;
	ssize_t ret;

	if (!karray_chr_alive(chr)) {
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
	karray_chr_trace_write(chr, pos, size, ret);
	return ret;
}

static loff_t karray_chr_llseek(struct file *file, loff_t offset, int whence)
{
	struct karray_chr *chr = file->private_data;

	return fixed_size_llseek(file, offset, whence, chr->kdev->range.size);
}

/*
 * What a write() has written is in the memory. What a mapping was used for is, too,
 * but unseen by the kernel: fsync() and msync() are where it is told.
 */
static int karray_chr_fsync(struct file *file, loff_t start, loff_t end,
			    int datasync)
{
	struct karray_chr *chr = file->private_data;
	u64 size = chr->kdev->range.size;

	if (!karray_chr_alive(chr))
		return -ENODEV;
	if (start >= size || end < start)
		return 0;
	return karray_chr_flush(chr, start, min_t(u64, end, size - 1) - start + 1,
				file->f_mode & FMODE_WRITE);
}

/* The first writer claims, and the last gives back. */
static int karray_chr_get_writer(struct karray_chr *chr)
{
	int ret;

	if (mutex_lock_killable(&chr->lock))
		return -EINTR;
	ret = chr->claimed ? 0 : karray_claim(chr->kdev, KARRAY_CHR, &chr->claim);
	if (!ret) {
		chr->claimed = true;
		chr->writers++;
	}
	mutex_unlock(&chr->lock);
	return ret;
}

/*
 * Gives the claim back if nobody writes: no file, and no page that was pinned through a
 * writable mapping. Nobody tells when such a page is free, so it's looked at again.
 */
static void karray_chr_try_let_go(struct karray_chr *chr)
{
	lockdep_assert_held(&chr->lock);
	if (chr->writers || !chr->claimed)
		return;
	if (!karray_chr_forget_names(chr, false)) {
		schedule_delayed_work(&chr->let_go, KARRAY_CHR_LOOK_AGAIN);
		return;
	}
	karray_unclaim(&chr->claim);
	chr->claimed = false;
}

static void karray_chr_let_go(struct work_struct *work)
{
	struct karray_chr *chr = container_of(to_delayed_work(work),
					      struct karray_chr, let_go);

	mutex_lock(&chr->lock);
	karray_chr_try_let_go(chr);
	mutex_unlock(&chr->lock);
}

static void karray_chr_put_writer(struct karray_chr *chr)
{
	mutex_lock(&chr->lock);
	chr->writers--;
	karray_chr_try_let_go(chr);
	mutex_unlock(&chr->lock);
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
	if (file->f_mode & FMODE_WRITE) {
		/* A user keeps the settings as they are. */
		ret = kdev->settings.read_only ? -EROFS :
						 karray_chr_get_writer(chr);
		if (ret) {
			karray_put_user(kdev, KARRAY_CHR);
			return ret;
		}
	}
	get_device(&chr->dev);
	file->private_data = chr;
	file->f_mapping = chr->inode->i_mapping;
	file->f_mode |= FMODE_NOWAIT | FMODE_CAN_ODIRECT;
	trace_karray_open(kdev);
	return 0;
}

static int karray_chr_release(struct inode *inode, struct file *file)
{
	struct karray_chr *chr = file->private_data;

	trace_karray_release(chr->kdev);
	if (file->f_mode & FMODE_WRITE)
		karray_chr_put_writer(chr);
	karray_put_user(chr->kdev, KARRAY_CHR);
	put_device(&chr->dev);
	return 0;
}

static const struct file_operations karray_chr_fops = {
	.owner		= THIS_MODULE,
	.open		= karray_chr_open,
	.release	= karray_chr_release,
	.llseek		= karray_chr_llseek,
	.read_iter	= karray_chr_read_iter,
	.write_iter	= karray_chr_write_iter,
	.splice_read	= copy_splice_read,
	.splice_write	= iter_file_splice_write,
	.fsync		= karray_chr_fsync,
	.mmap		= karray_chr_mmap,
	.get_unmapped_area = thp_get_unmapped_area,
	.unlocked_ioctl	= karray_chr_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static void karray_chr_free(struct device *dev)
{
	struct karray_chr *chr = container_of(dev, struct karray_chr, dev);

	iput(chr->inode);
	put_device(&chr->kdev->dev);
	kfree(chr);
}

/* The end of a node that nobody can open any more. Its files may stay, and are dead. */
static void karray_chr_put(struct karray_chr *chr)
{
	/*
	 * Since it was emptied no page has a name, so that the claim isn't kept for one
	 * from here on.
	 */
	mutex_lock(&chr->lock);
	karray_chr_try_let_go(chr);
	mutex_unlock(&chr->lock);
	cancel_delayed_work_sync(&chr->let_go);
	put_device(&chr->dev);
}

static int karray_chr_attach(struct karray_dev *kdev)
{
	struct karray_chr *chr;
	int ret;

	chr = kzalloc_node(sizeof(*chr), GFP_KERNEL, dev_to_node(&kdev->dev));
	if (!chr)
		return -ENOMEM;
	chr->inode = karray_chr_new_inode(kdev->settings.dax);
	if (IS_ERR(chr->inode)) {
		ret = PTR_ERR(chr->inode);
		kfree(chr);
		return ret;
	}
	mutex_init(&chr->lock);
	mutex_init(&chr->fault_lock);
	INIT_DELAYED_WORK(&chr->let_go, karray_chr_let_go);
	chr->first_named = ULONG_MAX;
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
	WRITE_ONCE(kdev->chr, chr);	/* see karray_chr_alive() */
	ret = cdev_device_add(&chr->cdev, &chr->dev);
	if (ret)
		goto out_empty;
	return 0;

out_empty:
	/* Who has a node of their own, by mknod, may have opened it, and mapped it. */
	WRITE_ONCE(kdev->chr, NULL);
	kdev->devt = 0;
	synchronize_srcu_expedited(&karray_srcu);
	karray_chr_empty(chr);
	karray_chr_put(chr);
	return ret;

out_put:
	put_device(&chr->dev);
	return ret;
}

static void karray_chr_revoke(struct karray_dev *kdev)
{
	karray_chr_empty(kdev->chr);
}

static void karray_chr_detach(struct karray_dev *kdev)
{
	struct karray_chr *chr = kdev->chr;

	WRITE_ONCE(kdev->chr, NULL);	/* see karray_chr_alive() */
	cdev_device_del(&chr->cdev, &chr->dev);
	karray_chr_put(chr);
	kdev->devt = 0;
}

static int karray_chr_init(void)
{
	int ret;

	ret = karray_chr_mmap_init();
	if (ret)
		return ret;
	ret = alloc_chrdev_region(&karray_chr_base, 0, KARRAY_MAX_DEVICES,
				  "karray");
	if (ret)
		goto out_mmap_exit;
	ret = class_register(&karray_chr_class);
	if (ret)
		goto out_unregister_region;
	return 0;

out_unregister_region:
	unregister_chrdev_region(karray_chr_base, KARRAY_MAX_DEVICES);
out_mmap_exit:
	karray_chr_mmap_exit();
	return ret;
}

static void karray_chr_exit(void)
{
	class_unregister(&karray_chr_class);
	unregister_chrdev_region(karray_chr_base, KARRAY_MAX_DEVICES);
	karray_chr_mmap_exit();
}

const struct karray_personality karray_chr_personality = {
	.name	= "char device",
	.counts	= true,
	.init	= karray_chr_init,
	.exit	= karray_chr_exit,
	.attach	= karray_chr_attach,
	.revoke	= karray_chr_revoke,
	.failed	= karray_chr_failed,
	.detach	= karray_chr_detach,
};
