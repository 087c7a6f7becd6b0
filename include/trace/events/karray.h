/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of system "karray". Devices appear under their number on the bus:
 * karray0 is /dev/karray and /dev/karrayb0.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM karray

#if !defined(_TRACE_KARRAY_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KARRAY_H

#include <linux/kdev_t.h>
#include <linux/string_helpers.h>
#include <linux/tracepoint.h>

#include <karray.h>

/* A written message is shown up to this many bytes, each at most 4 characters. */
#define KARRAY_TRACE_MSG	32

TRACE_EVENT(karray_online,

	TP_PROTO(struct karray_dev *kdev, unsigned int devices),

	TP_ARGS(kdev, devices),

	TP_STRUCT__entry(
		__field(int, id)
		__field(u64, start)
		__field(u64, size)
		__field(const void *, virt)
		__field(unsigned int, major)
		__field(unsigned int, minor)
		__field(int, node)
		__field(unsigned int, devices)
	),

	TP_fast_assign(
		__entry->id = kdev->id;
		__entry->start = kdev->range.start;
		__entry->size = kdev->range.size;
		__entry->virt = kdev->virt;
		__entry->major = MAJOR(kdev->devt);
		__entry->minor = MINOR(kdev->devt);
		__entry->node = dev_to_node(&kdev->dev);
		__entry->devices = devices;
	),

	TP_printk("karray%d: mapped from 0x%llx at %p, size %llu, node %d, major %u, minor %u, number of devices %u",
		  __entry->id, __entry->start, __entry->virt, __entry->size,
		  __entry->node, __entry->major, __entry->minor,
		  __entry->devices)
);

TRACE_EVENT(karray_offline,

	TP_PROTO(struct karray_dev *kdev, unsigned int devices),

	TP_ARGS(kdev, devices),

	TP_STRUCT__entry(
		__field(int, id)
		__field(u64, start)
		__field(u64, size)
		__field(unsigned int, devices)
	),

	TP_fast_assign(
		__entry->id = kdev->id;
		__entry->start = kdev->range.start;
		__entry->size = kdev->range.size;
		__entry->devices = devices;
	),

	TP_printk("karray%d: unmapped 0x%llx, size %llu, number of devices %u",
		  __entry->id, __entry->start, __entry->size, __entry->devices)
);

DECLARE_EVENT_CLASS(karray_file,

	TP_PROTO(struct karray_dev *kdev),

	TP_ARGS(kdev),

	TP_STRUCT__entry(
		__field(int, id)
		__field(unsigned int, major)
		__field(unsigned int, minor)
	),

	TP_fast_assign(
		__entry->id = kdev->id;
		__entry->major = MAJOR(kdev->devt);
		__entry->minor = MINOR(kdev->devt);
	),

	TP_printk("karray%d: major %u, minor %u",
		  __entry->id, __entry->major, __entry->minor)
);

DEFINE_EVENT(karray_file, karray_open,
	TP_PROTO(struct karray_dev *kdev),
	TP_ARGS(kdev)
);

DEFINE_EVENT(karray_file, karray_release,
	TP_PROTO(struct karray_dev *kdev),
	TP_ARGS(kdev)
);

TRACE_EVENT(karray_ioctl,

	TP_PROTO(struct karray_dev *kdev, unsigned int request, long ret),

	TP_ARGS(kdev, request, ret),

	TP_STRUCT__entry(
		__field(int, id)
		__field(unsigned int, request)
		__field(long, ret)
	),

	TP_fast_assign(
		__entry->id = kdev->id;
		__entry->request = request;
		__entry->ret = ret;
	),

	TP_printk("karray%d: request %u = %ld",
		  __entry->id, __entry->request, __entry->ret)
);

TRACE_EVENT(karray_read,

	TP_PROTO(struct karray_dev *kdev, loff_t offset, size_t size,
		 ssize_t ret),

	TP_ARGS(kdev, offset, size, ret),

	TP_STRUCT__entry(
		__field(int, id)
		__field(loff_t, offset)
		__field(u64, size)
		__field(s64, ret)
	),

	TP_fast_assign(
		__entry->id = kdev->id;
		__entry->offset = offset;
		__entry->size = size;
		__entry->ret = ret;
	),

	TP_printk("karray%d: size %llu, offset %lld = %lld",
		  __entry->id, __entry->size, __entry->offset, __entry->ret)
);

/* @data is what was written, or the first @len bytes of it. */
TRACE_EVENT(karray_write,

	TP_PROTO(struct karray_dev *kdev, loff_t offset, size_t size,
		 const void *data, size_t len, ssize_t ret),

	TP_ARGS(kdev, offset, size, data, len, ret),

	TP_STRUCT__entry(
		__field(int, id)
		__field(loff_t, offset)
		__field(u64, size)
		__field(s64, ret)
		__array(char, msg, KARRAY_TRACE_MSG * 4 + 1)
	),

	TP_fast_assign(
		size_t shown;

		__entry->id = kdev->id;
		__entry->offset = offset;
		__entry->size = size;
		__entry->ret = ret;
		/* Printable ASCII stays, quotes and backslashes aside. */
		shown = string_escape_mem(data, min_t(size_t, len,
						      KARRAY_TRACE_MSG),
					  __entry->msg,
					  KARRAY_TRACE_MSG * 4,
					  ESCAPE_NAP | ESCAPE_HEX |
					  ESCAPE_APPEND, "\"\\");
		memset(__entry->msg + shown, 0, sizeof(__entry->msg) - shown);
	),

	TP_printk("karray%d: message \"%s\", size %llu, offset %lld = %lld",
		  __entry->id, __entry->msg, __entry->size, __entry->offset,
		  __entry->ret)
);

TRACE_EVENT(karray_mmap,

	TP_PROTO(struct karray_dev *kdev, u64 offset, u64 size, bool write,
		 int ret),

	TP_ARGS(kdev, offset, size, write, ret),

	TP_STRUCT__entry(
		__field(int, id)
		__field(u64, offset)
		__field(u64, size)
		__field(bool, write)
		__field(int, ret)
	),

	TP_fast_assign(
		__entry->id = kdev->id;
		__entry->offset = offset;
		__entry->size = size;
		__entry->write = write;
		__entry->ret = ret;
	),

	TP_printk("karray%d: size %llu, offset %llu, %s = %d",
		  __entry->id, __entry->size, __entry->offset,
		  __entry->write ? "writable" : "read-only", __entry->ret)
);

TRACE_EVENT(karray_exit,

	TP_PROTO(unsigned int devices),

	TP_ARGS(devices),

	TP_STRUCT__entry(
		__field(unsigned int, devices)
	),

	TP_fast_assign(
		__entry->devices = devices;
	),

	TP_printk("number of devices %u", __entry->devices)
);

#endif /* _TRACE_KARRAY_H */

#include <trace/define_trace.h>
