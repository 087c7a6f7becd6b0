#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Machine checks: QEMU has a memory scrubber find an uncorrectable error, with struct pages
and without. Nobody reads what is bad, until it has been written."""

import sys

from harness import BUS, Tap, bad_sectors, configure, guest_test, try_pio

CHR, DISK = '/dev/karray', '/dev/karrayb0'
DIMM, OUTSIDE = 0x100000000, 0x200000000

# IA32_MCi_STATUS: valid, uncorrected, enabled, with MISC and ADDR, signalled, no action
# required; by a scrubber, channel 0. MISC: a physical address, of so many bits.
STATUS = 1 << 63 | 1 << 61 | 1 << 60 | 1 << 59 | 1 << 58 | 1 << 56 | 0xc0
MISC = 2 << 6
# IA32_MCG_STATUS: in progress, and what was interrupted can go on.
MCG_STATUS = 1 << 2 | 1 << 0

LINE, PAGE = 6, 12


def checks(vm):
    """How often CPUs have been told of a machine check."""
    return sum(map(int, vm.sh("grep MCE: /proc/interrupts | tr -dc '0-9 '").out.split()))


def scrub(vm, address, bits):
    """All CPUs are told of it, and not again before they are done; the kernel sees to it
    in a worker."""
    before = checks(vm)
    vm.hmp(f'mce -b 0 1 {STATUS:#x} {MCG_STATUS:#x} {address:#x} {MISC | bits:#x}')
    vm.wait(lambda: checks(vm) >= before + vm.smp, 60, 'a machine check')
    vm.idle(0.5)


def listed(t, vm, want, what):
    vm.wait(lambda: bad_sectors(vm) == want, 60, f'{what}: {want}')
    t.ok(True, what)


tap = Tap()

# What an AMD processor's error codes mean is another matter.
with guest_test(tap=tap, dimms=[('hp_dimm0', '128M')], cpu='max,vendor=GenuineIntel') as (t, vm):
    vm.sh('insmod /root/karray.ko')
    for dax in 0, 1:
        what = f'dax={dax}'
        configure(vm, dax=dax)
        try_pio(t, vm, what, (f'w {CHR} 0 65536', '65536', 'filled'))
        scrub(vm, OUTSIDE, PAGE)
        scrub(vm, DIMM + 0x5000, PAGE)
        listed(t, vm, ['40 8'], f'{what}: a page is bad')
        # struct pages are bad as a whole.
        scrub(vm, DIMM + 0x8040, LINE)
        listed(t, vm, ['40 8', '64 8' if dax else '64 1'], f'{what}: a cache line is bad')
        try_pio(t, vm, what,
                (f'-c r {CHR} 0 65536', str(0x5000), 'char read up to it'),
                (f'-d r {DISK} 20480 512', 'EIO', 'no direct read of it'),
                (f'r {CHR} 32768 1', 'EIO', 'nor of the other'),
                (f'w {CHR} 0 65536', '65536', 'a write'),
                (f'-d -c r {DISK} 0 65536', '65536', 'after which all can be read'))
        t.is_(bad_sectors(vm), [], f'{what}: and nothing is bad')
    t.is_(vm.sh('dmesg | grep -c "memory error at 0x1000050*:"').out.strip(), '2', 'each error is told of once')

    # Offline, it is noted for later.
    vm.sh(f'echo 0 > {BUS}/karray0/online; echo 0 > {BUS}/karray0/dax')
    scrub(vm, DIMM + 0x6000, PAGE)
    vm.wait('dmesg | grep -q "memory error at 0x100006000: sectors 48 to 55 are bad"', 60, 'the error to be noted')
    vm.sh(f'echo 1 > {BUS}/karray0/online')
    t.is_(bad_sectors(vm), ['48 8'], 'offline: it is noted')
    try_pio(t, vm, 'online again', (f'r {CHR} 24576 1', 'EIO', 'it is not read'))

    # Where there is no device any more, nobody cares.
    vm.unplug('hp_dimm0')
    t.is_(vm.unplug_result('hp_dimm0'), 'deleted', 'the DIMM leaves')
    scrub(vm, DIMM + 0x5000, PAGE)
    vm.idle(1)

sys.exit(tap.done())
