#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A DIMM that is there at boot: nodes, attributes, the original test, the trace."""

from harness import ARCH, guest_test

DEV = '/sys/bus/karray/devices/karray0'

# The firmware of QEMU's arm64 machine counts a chip of its own as memory, which is of no
# node: then the kernel takes none of them for true.
NODE = '0' if ARCH == 'amd64' else '-1'

# What karray_test prints, but for the 32 bytes that it finds.
KARRAY_TEST = r'''open\(/dev/karray\) = 3
ioctl\(fd = 3, request = 42\) = 0
pread\(fd = 3, buf = \[.*\], count = 32, offset = 43\) = 32
pwrite\(fd = 3, buf = "this is a test message", count = 23, offset = 44\) = 23
close\(fd = 3\) = 0
$'''

# An event each, in this order.
TRACE = rf'''karray_online: karray0: mapped from 0x100000000 at \S+, size 2147483648, node {NODE}, major \d+, minor 0, number of devices 1
(.*\n)*.*karray_open: karray0: major \d+, minor 0
.*karray_ioctl: karray0: request 42 = 0
.*karray_read: karray0: size 32, offset 43 = 32
.*karray_write: karray0: message "this is a test message\\x00", size 23, offset 44 = 23
.*karray_release: karray0:.*
(.*\n)*.*karray_exit: number of devices 1
.*karray_offline: karray0: unmapped 0x100000000, size 2147483648'''

with guest_test(dimms=[('hp_dimm0', '2G')]) as (t, vm):
    vm.sh('/root/setup_karray.sh')

    def attr(name):
        return vm.sh(f'cat {DEV}/{name}').out.strip()

    t.is_(attr('size'), str(2 << 30), 'size in bytes')
    t.is_(attr('phys_addr'), '0x100000000', 'physical address')
    t.is_(attr('node'), NODE, 'NUMA node')
    t.is_(attr('origin'), 'acpi:PNP0C80:00', 'origin')
    t.is_(attr('online'), '1', 'online')
    t.is_(attr('users'), '0', 'no users')
    t.is_(vm.sh(f'basename $(readlink {DEV}/firmware_node)').out.strip(),
          'PNP0C80:00', 'the DIMM is its firmware node')
    t.like(vm.sh('cat /proc/iomem').out, r'100000000-17fffffff : karray0',
           'the range is claimed')

    t.is_(vm.sh('stat -c "%F %a %U" /dev/karray').out.strip(),
          'character special file 600 root', '/dev/karray')
    t.is_(vm.sh('lsblk -bndo NAME,SIZE,TYPE,RO /dev/karrayb0').out.split(),
          ['karrayb0', str(2 << 30), 'disk', '0'], '/dev/karrayb0')
    t.is_(vm.sh('ls /dev | grep karray').out.split(), ['karray', 'karrayb0'],
          'no other node')

    for what in ('first', 'second'):
        t.like(vm.sh('/root/karray_test').out, KARRAY_TEST,
               f'karray_test, {what} run')
    vm.sh('printf "<" | dd of=/dev/karray bs=1 seek=43 2>/dev/null')
    t.like(vm.sh('/root/karray_test').out, r'buf = \[<this is a test message\]',
           'it finds what stands at 43')
    t.is_(vm.sh('dd if=/dev/karray bs=1 skip=44 count=22 2>/dev/null').out,
          'this is a test message', 'what it wrote can be read back')
    t.is_(vm.sh('/root/karray_test /dev/null', check=False).rc, 1,
          'karray_test fails where there is no karray')

    vm.sh('/root/remove_karray.sh')
    t.is_(vm.sh('ls /dev | grep karray', check=False).out, '',
          'no node after removal')
    vm.wait(lambda: 'karray_offline' in vm.trace(), 10, 'the trace to arrive')
    t.like(vm.trace(), TRACE, 'the trace, from the first event on, tells it all')
