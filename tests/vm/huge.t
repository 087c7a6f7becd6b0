#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A DIMM of 1.5 TiB, more than an int has sectors for: it takes no more time and System RAM than
one of 1 GiB, and all of it can be used."""

import os
import sys

from harness import DRIVER, KASAN_SHADOW, MACHINE, guest_test, memory_cost, plug

SIZE = 1536 << 30

# With fewer bits for addresses, as QEMU has when it emulates, 1 TiB is where memory ends.
CPU = f'{MACHINE.cpu},phys-bits=46'

if os.environ.get('KARRAY_KERNEL') == 'debug':
    print(f'1..0 # SKIP {KASAN_SHADOW}')
    sys.exit()


def bind_time(vm, dimm):
    """Seconds until a DIMM without a driver is online, with its disk and char device."""
    vm.sh(f'echo {dimm} > {DRIVER}/unbind')
    return int(vm.sh(f'begin=$(date +%s%N); echo {dimm} > {DRIVER}/bind;'
                     'echo $(($(date +%s%N) - begin))').out) / 1e9


with guest_test(dimms=[('small', '1G')], maxmem='1600G', cpu=CPU) as (t, vm):
    vm.sh('insmod /root/karray.ko; mkdir -p /mnt')
    plug(vm, 'huge', SIZE, 'karray1')
    t.is_(vm.sh('blockdev --getsize64 /dev/karrayb1').out.strip(), str(SIZE), 'a disk of 1.5 TiB')

    # Something for each page, were it but a bit, would be 48 MiB.
    small, huge = (memory_cost(vm, device)[0] for device in ('karray0', 'karray1'))
    t.diag(f'System RAM: {small} KiB for 1 GiB, {huge} KiB for 1.5 TiB')
    t.ok(huge < 1024, 'takes less than 1 MiB of System RAM', f'{huge} KiB')
    t.ok(huge < small + 128, 'no more than 1 GiB takes', f'{huge} KiB against {small} KiB')
    small, huge = (min(bind_time(vm, dimm) for _ in range(3)) for dimm in ('PNP0C80:00', 'PNP0C80:01'))
    t.diag(f'Time to bind: {small:.3f} s for 1 GiB, {huge:.3f} s for 1.5 TiB')
    t.ok(huge < 10, 'soon in use, also on a slow machine', f'{huge} s')

    # The ends, each written by one device and read by the other.
    for page, name in ((0, 'first'), (SIZE // 4096 - 1, 'last')):
        for to, fro in (('karray1', 'karrayb1'), ('karrayb1', 'karray1')):
            text = vm.sh(f'yes "{name} of {to}" | head -c 4096 | dd of=/dev/{to} bs=4096 seek={page} iflag=fullblock;'
                         f'dd if=/dev/{fro} bs=4096 skip={page} count=1').out
            t.ok(text == (f'{name} of {to}\n' * 4096)[:4096], f'the {name} page: written by {to}, read by {fro}',
                 text[:100])
    t.is_(vm.sh(f'dd if=/dev/karray1 iflag=skip_bytes skip={SIZE - 1} | wc -c').out.strip(), '1',
          'the last byte is the last')

    # What is bad is far away from where one begins to look.
    bad = SIZE // 512 - 5000
    vm.sh(f'echo {bad} 1 > /sys/block/karrayb1/badblocks')
    t.is_(vm.sh(f'/root/ioctl /dev/karray1 bad 0 {SIZE} 2').out, f'1: {bad * 512}+512\n',
          'the one bad sector is found')
    for node in ('karray1', 'karrayb1'):
        t.is_(vm.sh(f'dd if=/dev/{node} bs=512 skip={bad - 8} count=16 2>/dev/null | wc -c').out.strip(), '4096',
              f'{node}: reading gets up to it')
    vm.sh(f'dd if=/dev/zero of=/dev/karray1 bs=512 seek={bad} count=1')
    t.is_(vm.sh('cat /sys/block/karrayb1/badblocks').out, '', 'and writing mends it')

    # A file system over all of it: XFS puts each directory into another of its groups.
    # Without -K it would have the disk zeroed first.
    vm.sh('mkfs.xfs -qfK -d agcount=16 -l size=64m /dev/karrayb1 && mount /dev/karrayb1 /mnt', timeout=200)
    vm.sh('cd /mnt; for i in $(seq 16); do mkdir $i; head -c 1M /dev/urandom > $i/file; done')
    sums = vm.sh('cd /mnt; sha256sum */file').out
    t.is_(len(set(vm.sh("cd /mnt; for f in */file; do "
                        "xfs_io -rc 'bmap -v' $f | awk '$1 == \"0:\" { print $4 }'; done").out.split())), 16,
          'the files of 16 directories are in 16 groups')
    vm.sh('umount /mnt; mount /dev/karrayb1 /mnt')
    t.is_(vm.sh('cd /mnt; sha256sum */file').out, sums, 'and have their data after a remount')
    vm.sh('umount /mnt')

    vm.unplug('huge')
    t.is_(vm.unplug_result('huge', 60), 'deleted', 'it leaves')
