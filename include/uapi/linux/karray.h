/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * karray: what user space may ask of /dev/karray and /dev/karrayN.
 *
 * The node is a byte array of the size that its device has on the bus
 * (/sys/bus/karray/devices/karrayN/size, in bytes). read and write move any
 * number of bytes at any offset:
 *
 *	read at or past the end		0
 *	read or write across the end	the bytes up to the end
 *	write at or past the end	-ENOSPC
 *	write with O_APPEND		-EINVAL
 *	bad user memory			the bytes before it, or -EFAULT
 *	after the memory has gone	-ENODEV
 */
#ifndef _UAPI_LINUX_KARRAY_H
#define _UAPI_LINUX_KARRAY_H

/**
 * KARRAY_IOC_PING - is this a karray device, and is its memory there?
 *
 * Takes no argument. A bare number and not an _IO() code, since programs have
 * long been sending it.
 *
 * Return: 0, or -ENODEV after the memory has gone. Any request that is not in
 * this file gives -ENOTTY.
 */
#define KARRAY_IOC_PING		42

#endif /* _UAPI_LINUX_KARRAY_H */
