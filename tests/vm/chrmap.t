#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The char node's mappings and ioctls: chr_map.c and chr_ioctl.c; and the example."""

from harness import guest_test

# What the kernel says of a program that touches bad memory.
KILLED = 'MCE: Killing chr_map:.* due to hardware memory corruption fault'

with guest_test(dimms=[('hp_dimm0', '512M')], allow=[KILLED]) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    t.relay(vm.sh(f'/root/chr_map /dev/karray {512 << 20}', check=False, timeout=120))
    t.relay(vm.sh(f'/root/chr_ioctl /dev/karray /dev/karrayb0 {512 << 20} 0x100000000',
                  check=False, timeout=120))

    vm.sh('/root/ring /dev/karray clear; seq 100000 > /run/in;'
          '/root/ring /dev/karray put < /run/in >/dev/null 2>&1 & '
          '/root/ring /dev/karray take 100000 > /run/out', timeout=120)
    t.is_(vm.sh('cmp /run/in /run/out', check=False).rc, 0,
          'the example: 100000 messages through a ring of 32768')
    t.like(vm.sh('wipefs -qa /dev/karrayb0; mkfs.ext4 -qF /dev/karrayb0; mount /dev/karrayb0 /tmp;'
                 '/root/ring /dev/karray take 1; umount /tmp', check=False).err, 'busy',
           'the example: not while the disk is mounted')
