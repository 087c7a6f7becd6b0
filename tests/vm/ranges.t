#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A DIMM of several ranges (ranges.asl): adjacent ones are one device, and one that
can't be used is reported and keeps nobody from using the others. But it keeps the others
from being taken from System RAM, since the kernel would remove it, too."""

import os
import pathlib
import subprocess
import sys
import tempfile

from harness import BUS, Tap, guest_test

SOURCE = pathlib.Path(__file__).with_suffix('.asl')


def machine(where, *defines, **args):
    """A guest with such a DIMM, whose ranges are in its second GiB."""
    table = os.path.join(where, 'ranges.aml')
    subprocess.run(['iasl', *defines, '-p', table, str(SOURCE)], check=True, stdout=subprocess.DEVNULL)
    return guest_test(mem='2G', qemu_args=['-acpitable', f'file={table}'], **args)


tap = Tap()

with tempfile.TemporaryDirectory() as where:
    with machine(where, dimms=[('hp_dimm0', '128M')], tap=tap, cmdline='mem=1G') as (t, vm):
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

    # Of what is claimed already neither the memory hotplug nor karray can make anything, but
    # the former believes to have it. (With mem= no DIMM becomes System RAM.)
    with machine(where, '-D', 'RAM', name='ranges-ram', dimms=[], memhotplug=True, tap=tap,
                 cmdline='memhp_default_state=online_movable memmap=exactmap memmap=639K@0 memmap=1023M@1M '
                         'memmap=64K#0x70000000') as (t, vm):
        vm.sh('insmod /root/karray.ko')
        t.like(vm.sh('dmesg').out, r"\[mem 0x70000000-0x700007ff\] can.t be used: error -22",
               "a part of a DIMM that nobody can use")
        t.is_(vm.sh(f'cat {BUS}/*/state').out, 'system-ram\n', 'the other is System RAM')
        done = vm.sh('karrayctl take karray0', check=False)
        t.like(done.err, "the kernel's memory hotplug doesn't have all of the DIMM", 'it is not taken', done)
        t.is_(vm.sh(f'cat {BUS}/*/state').out, 'system-ram\n', 'and stays what it was')

sys.exit(tap.done())
