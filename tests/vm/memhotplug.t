#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Where the kernel's own memory hotplug holds the DIMMs: karray loads, says what to
do, alarms nobody, and leaves the memory alone."""

from harness import guest_test

HELD = (r"karray: DIMM PNP0C80:00 \[mem 0x100000000-0x11fffffff\] is held by the "
        r"kernel's memory hotplug: boot with acpi_no_memhotplug to use it here")

with guest_test(dimms=[('hp_dimm0', '512M')], memhotplug=True) as (t, vm):
    before = vm.sh('cat /proc/iomem').out
    for lap in (1, 2):
        vm.sh('dmesg -c >/dev/null; insmod /root/karray.ko')
        log = vm.sh('dmesg').out
        t.like(log, HELD, f'load {lap}: one line says which DIMM, and what to do')
        t.is_(log.count('held'), 1, f'load {lap}: one line only')
        t.ok('error' not in log and 'fail' not in log.replace('verification failed', ''),
             f'load {lap}: nothing alarming', log)
        t.is_(vm.sh('ls /sys/bus/karray/devices').out, '', f'load {lap}: no device')
        if lap == 1:
            vm.sh('rmmod karray')
    t.is_(vm.sh('cat /proc/iomem').out, before, 'the memory map is as before')

    # DIMMs that come now are the kernel's, too.
    vm.sh('dmesg -c >/dev/null')
    vm.plug('hp_dimm1', '512M')
    vm.wait('[ -e /sys/bus/acpi/devices/PNP0C80:01/physical_node ]', 20,
            'the kernel to take the DIMM')
    log = vm.sh('dmesg').out
    t.ok('karray' not in log, 'a DIMM that is plugged now is the kernel\'s', log)
    t.is_(vm.sh('ls /sys/bus/karray/devices').out, '', 'no device')
