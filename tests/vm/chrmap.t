#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The char node's mappings and ioctls: chr_map.c and chr_ioctl.c."""

from harness import guest_test

with guest_test(dimms=[('hp_dimm0', '512M')]) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    t.relay(vm.sh(f'/root/chr_map /dev/karray {512 << 20}', check=False, timeout=120))
    t.relay(vm.sh(f'/root/chr_ioctl /dev/karray /dev/karrayb0 {512 << 20} 0x100000000',
                  check=False, timeout=120))
