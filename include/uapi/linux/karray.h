/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * karray: what user space may ask of /dev/karray and /dev/karrayN.
 *
 * The node is a byte array. Its size is where lseek(SEEK_END) gets, the size in
 * struct karray_info, and the attribute "size" of the device on bus "karray";
 * fstat() says 0, as of every device node.
 *
 * Opening it for writing is exclusive against the disk, not against other writers
 * of the node:
 *
 *	disk or partition mounted, swapped on,
 *	or open with O_EXCL			-EBUSY
 *	setting read_only			-EROFS
 *
 * and while such a file is open, mount, swapon and O_EXCL on the disk give -EBUSY.
 * Opening it for reading is always allowed. Who may open the node for writing but
 * lacks the device cgroup's permission to read the disk gets -EPERM.
 *
 * read and write (also vectored, by io_uring, splice and sendfile) move any number
 * of bytes at any offset:
 *
 *	read at or past the end			0
 *	read or write across the end		the bytes up to the end
 *	write at or past the end		-ENOSPC
 *	write with O_APPEND			-EINVAL
 *	bad user memory				the bytes before it, or -EFAULT
 *	a sector (of 512 bytes) that is bad	the bytes before it, or -EIO
 *	RWF_NOWAIT, and the disk's cache
 *	must be written back first		the bytes before that, or -EAGAIN; may wait
 *						if somebody fills it meanwhile
 *	after the memory has gone		-ENODEV
 *
 * A sector that is bad becomes good when it is written in full.
 *
 * mmap takes shared mappings, and private ones that are never written:
 *
 *	MAP_PRIVATE with PROT_WRITE		-EINVAL
 *	beyond the end				-EINVAL
 *	PROT_WRITE, file open for reading	-EACCES, also from mprotect() later
 *	after the memory has gone		-ENODEV; mapped before: SIGBUS
 *	touching a page with a bad sector	SIGBUS, code BUS_MCEERR_AR
 *
 * A page that was mapped before a sector of it was found bad stays mapped. Without
 * the setting dax the kernel has no struct page for mapped memory, so it can't be the
 * buffer of direct I/O, be registered with io_uring, or hold a futex that processes
 * share: -EFAULT.
 * A mapping doesn't grow: mremap to a larger size is -EFAULT. A page fault maps the
 * 2 MiB around it, or after madvise(MADV_RANDOM) a page.
 *
 * What is read here includes what was written to the disk before, and the reverse,
 * also by way of the disk's page cache. Only stores to and loads from a mapping
 * happen without the kernel: between these and buffered I/O on the disk, call
 * fsync() of the node at each change from one to the other. (msync(MS_SYNC) does, too,
 * but only for shared mappings of a file that is open for writing.) The disk's page
 * cache is in pages: who writes some bytes of a page there at the same time as another
 * writes others of it here may undo that, as with direct I/O.
 *
 * fsync() of this node has no other effect. fallocate() is -ENODEV, as on every
 * char device: KARRAY_IOC_FILL zeroes a range. copy_file_range() is for regular
 * files only; sendfile() and splice() do the work here.
 */
#ifndef _UAPI_LINUX_KARRAY_H
#define _UAPI_LINUX_KARRAY_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: ioctls
 *
 * Structures are the same for 32-bit and 64-bit programs. Offsets and lengths are
 * in bytes, of any alignment, and a length of 0 does nothing, with success.
 *
 * Errors that all but KARRAY_IOC_PING share:
 *
 * ======= =====================================================================
 * EINVAL  the range ends past the end of the memory; a member that must be 0
 *         isn't; an unknown flag
 * EFAULT  the structure, or what it points to, can't be read or written
 * EBADF   the request changes memory, and the file is not open for writing; or
 *         tells what is in it, and the file is not open for reading
 * EIO     bad memory in the range, see KARRAY_IOC_BAD. What lies before it may have
 *         been changed.
 * EINTR   a signal is about to kill the caller
 * ENODEV  the memory has gone
 * ENOMEM  no System RAM for a buffer
 * ENOTTY  no such request (or not in this version, see &karray_info.version)
 * ======= =====================================================================
 *
 * On failure the structure is as the caller left it (but for the array of
 * KARRAY_IOC_BAD).
 */

/* In &karray_info.version: counts up when something is added to this file. */
#define KARRAY_UAPI_VERSION	1

/**
 * KARRAY_IOC_PING - is this a karray device, and is its memory there?
 *
 * Takes no argument. A bare number and not an _IO() code, since programs have
 * long been sending it.
 *
 * Return: 0, or -ENODEV after the memory has gone. Any request that is not in
 * this file gives -ENOTTY, but for those that Linux answers for every file (FIONBIO and
 * the like).
 */
#define KARRAY_IOC_PING		42

#define KARRAY_IOC_MAGIC	0xda

/* In &karray_info.flags */
#define KARRAY_INFO_READ_ONLY	(1 << 0)	/* neither node nor disk can be written */
#define KARRAY_INFO_DISK	(1 << 1)	/* there is a disk */

/**
 * struct karray_info - for KARRAY_IOC_INFO
 * @size: of the memory, bytes
 * @start: its physical address; 0 for callers without CAP_SYS_ADMIN
 * @version: KARRAY_UAPI_VERSION of the module
 * @flags: KARRAY_INFO_...; flags that are not defined here may appear later
 * @id: the N of the device karrayN on bus "karray"
 * @node: NUMA node, or -1
 * @disk_major: device number of the disk, with KARRAY_INFO_DISK
 * @disk_minor: likewise
 * @bad_ranges: how many bad ranges there are, as KARRAY_IOC_BAD counts
 * @reserved: 0; a later version may put something here
 */
struct karray_info {
	__u64 size;
	__u64 start;
	__u32 version;
	__u32 flags;
	__u32 id;
	__s32 node;
	__u32 disk_major;
	__u32 disk_minor;
	__u32 bad_ranges;
	__u32 reserved[5];
};

/**
 * KARRAY_IOC_INFO - what device is this?
 *
 * Fills struct karray_info, which need not be initialised.
 */
#define KARRAY_IOC_INFO		_IOR(KARRAY_IOC_MAGIC, 1, struct karray_info)

/**
 * struct karray_fill - for KARRAY_IOC_FILL
 * @offset: where the range begins
 * @length: of the range
 * @pattern: what to fill it with: these 8 bytes, in the order in which they lie in
 *	memory, again and again from @offset on. 0 zeroes the range.
 * @flags: 0
 * @reserved: 0
 */
struct karray_fill {
	__u64 offset;
	__u64 length;
	__u64 pattern;
	__u32 flags;
	__u32 reserved;
};

/**
 * KARRAY_IOC_FILL - zero a range, or fill it with a pattern
 *
 * Makes bad sectors good that are filled in full, as a write does.
 *
 * Return: 0, or an error of those above.
 */
#define KARRAY_IOC_FILL		_IOW(KARRAY_IOC_MAGIC, 2, struct karray_fill)

/* In &karray_checksum.type */
#define KARRAY_CHECKSUM_CRC32C	0

/**
 * struct karray_checksum - for KARRAY_IOC_CHECKSUM
 * @offset: where the range begins
 * @length: of the range
 * @type: KARRAY_CHECKSUM_CRC32C
 * @sum: in: the checksum of what comes before, 0 to begin with; out: the checksum
 *	up to the end of the range
 * @flags: 0
 * @reserved: 0
 */
struct karray_checksum {
	__u64 offset;
	__u64 length;
	__u32 type;
	__u32 sum;
	__u32 flags;
	__u32 reserved;
};

/**
 * KARRAY_IOC_CHECKSUM - the checksum of a range
 *
 * CRC-32C (Castagnoli) as in iSCSI: that of "123456789" is 0xe3069283. A range's
 * checksum can be made in pieces, each beginning with the last one's @sum.
 *
 * Return: 0, or an error of those above.
 */
#define KARRAY_IOC_CHECKSUM	_IOWR(KARRAY_IOC_MAGIC, 3, struct karray_checksum)

/**
 * struct karray_compare - for KARRAY_IOC_COMPARE
 * @offset: where one range begins
 * @other: where the other begins; they may overlap
 * @length: of both
 * @equal: out: how many bytes are equal, up to the first that differ; @length where
 *	none do
 * @flags: 0
 * @reserved: 0
 */
struct karray_compare {
	__u64 offset;
	__u64 other;
	__u64 length;
	__u64 equal;
	__u32 flags;
	__u32 reserved;
};

/**
 * KARRAY_IOC_COMPARE - where do two ranges differ?
 *
 * Return: 0 whether or not they differ, or an error of those above.
 */
#define KARRAY_IOC_COMPARE	_IOWR(KARRAY_IOC_MAGIC, 4, struct karray_compare)

/**
 * struct karray_bad_range - bytes that can't be read, in whole sectors of 512 bytes
 * @offset: where they begin
 * @length: how many
 */
struct karray_bad_range {
	__u64 offset;
	__u64 length;
};

/**
 * struct karray_bad - for KARRAY_IOC_BAD
 * @offset: where to begin; sectors before the one it is in are not listed
 * @length: how far to look
 * @ranges: address of an array of struct karray_bad_range
 * @count: in: how many fit in there, may be 0; out: how many there are, which may be
 *	more
 * @flags: 0
 */
struct karray_bad {
	__u64 offset;
	__u64 length;
	__u64 ranges;
	__u32 count;
	__u32 flags;
};

/**
 * KARRAY_IOC_BAD - list the bad ranges
 *
 * Stores those that fit, in ascending order, cut to whole sectors that meet the
 * range asked for. Ranges that are adjacent are one.
 *
 * Return: 0, or an error of those above.
 */
#define KARRAY_IOC_BAD		_IOWR(KARRAY_IOC_MAGIC, 5, struct karray_bad)

#endif /* _UAPI_LINUX_KARRAY_H */
