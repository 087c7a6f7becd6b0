#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A DIMM of several ranges (ranges.asl): adjacent ones are one device, and one that
can't be used is reported and keeps nobody from using the others."""

import os
import pathlib
import subprocess
import tempfile

from harness import guest_test

BUS = '/sys/bus/karray/devices'
SOURCE = pathlib.Path(__file__).with_suffix('.asl')

with tempfile.TemporaryDirectory() as where:
    table = os.path.join(where, 'ranges.aml')
    subprocess.run(['iasl', '-p', table, str(SOURCE)], check=True, stdout=subprocess.DEVNULL)

    # The kernel keeps to its first GiB; the ranges are in the second.
    with guest_test(dimms=[('hp_dimm0', '128M')], mem='2G', cmdline='mem=1G',
                    qemu_args=['-acpitable', f'file={table}']) as (t, vm):
        vm.sh('insmod /root/karray.ko')
        log = vm.sh('dmesg').out
        devices = {}
        for line in vm.sh(f'cd {BUS}; for d in *; do echo $d $(cat $d/phys_addr '
                          '$d/size $d/online $d/origin); done').out.splitlines():
            name, start, size, online, origin = line.split()
            devices[int(start, 16)] = (name, int(size) >> 20, online, origin)

        t.is_(sorted(devices), [0x10000000, 0x50000000, 0x60000000, 0x100000000],
              'the ranges that can be a device are')
        t.is_(devices[0x50000000][1:3], (128, '1'), 'adjacent ranges are one device')
        t.is_(devices[0x60000000][1:3], (32, '1'), 'the one elsewhere is another')
        t.is_(devices[0x100000000][1:3], (128, '1'), 'the other DIMM has its own')
        t.is_(len({origin for *_, origin in devices.values()}), 2,
              'the origin names the DIMM')

        t.is_(devices[0x10000000][2], '0', "the kernel's memory is left alone")
        t.like(log, r'\[mem 0x10000000-0x10ffffff\] is in use as System RAM',
               'and the log says why')
        t.like(log, r'\[mem 0x68000800-0x680017ff\] can.t be used: error -22',
               'a part of a page is reported')

        # Bytes on both sides of the seam.
        device = f'{BUS}/{devices[0x50000000][0]}'
        node, disk = (vm.sh(f'ls {device}/{kind}').out.strip() for kind in ('karray', 'block'))
        vm.sh('dd if=/dev/urandom of=/run/seam bs=1M count=2 2>/dev/null;'
              f'dd if=/run/seam of=/dev/{node} bs=1M seek=63 2>/dev/null')
        t.is_(vm.sh(f'dd if=/dev/{disk} bs=1M skip=63 count=2 2>/dev/null | '
                    'cmp - /run/seam', check=False).rc, 0,
              'the seam of adjacent ranges is none')
        vm.sh(f'/root/karray_test /dev/{node}')
