#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Contents survive kexec: of a DIMM, and of memory that the command line sets aside."""

from harness import KEEPERS, fill, guest_test, load_keepers, survived

KEXEC = ('modprobe virtio_blk; cat /dev/vda > /run/vmlinuz; cat /dev/vdb > /run/initrd;'
         '/root/kexec /run/vmlinuz /run/initrd "$(cat /proc/cmdline)" > /dev/kmsg 2>&1')
BOOT_ID = 'cat /proc/sys/kernel/random/boot_id'

with guest_test(boot_disks=True, **KEEPERS) as (t, vm):
    want = {n: fill(vm, n) for n in load_keepers(t, vm, 'before')}
    before = vm.sh(BOOT_ID).out
    vm.reboot(KEXEC, timeout=300)
    t.ok(vm.sh(BOOT_ID).out != before, 'it is another kernel')
    t.like(vm.console(), 'kexec_core: Starting new kernel', 'started by the first')
    for n in load_keepers(t, vm, 'after'):
        survived(t, vm, n, want[n], 'after')
