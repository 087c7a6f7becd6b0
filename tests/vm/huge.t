#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A DIMM of 512 GiB: it takes no more time and System RAM than one of 1 GiB, and all of
it can be used."""

import os
import sys

from harness import DRIVER, KASAN_SHADOW, guest_test, memory_cost, plug

SIZE = 512 << 30

if os.environ.get('KARRAY_KERNEL') == 'debug':
    print(f'1..0 # SKIP {KASAN_SHADOW}')
    sys.exit()


def bind_time(vm, dimm):
    """Seconds until a DIMM without a driver is online, with its disk and char device."""
    vm.sh(f'echo {dimm} > {DRIVER}/unbind')
    return int(vm.sh(f'begin=$(date +%s%N); echo {dimm} > {DRIVER}/bind;'
                     'echo $(($(date +%s%N) - begin))').out) / 1e9


with guest_test(dimms=[('small', '1G')], maxmem='520G') as (t, vm):
    vm.sh('insmod /root/karray.ko; mkdir -p /mnt')
    plug(vm, 'huge', '512G', 'karray1')
    t.is_(vm.sh('blockdev --getsize64 /dev/karrayb1').out.strip(), str(SIZE), 'a disk of 512 GiB')

    # Something for each page, were it but a bit, would be 16 MiB.
    small, huge = (memory_cost(vm, device)[0] for device in ('karray0', 'karray1'))
    t.diag(f'System RAM: {small} KiB for 1 GiB, {huge} KiB for 512 GiB')
    t.ok(huge < 1024, 'takes less than 1 MiB of System RAM', f'{huge} KiB')
    t.ok(huge < small + 128, 'no more than 1 GiB takes', f'{huge} KiB against {small} KiB')
    small, huge = (min(bind_time(vm, dimm) for _ in range(3)) for dimm in ('PNP0C80:00', 'PNP0C80:01'))
    t.diag(f'Time to bind: {small:.3f} s for 1 GiB, {huge:.3f} s for 512 GiB')
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

    # A file system over all of it: XFS puts each directory into another of its groups.
    # Without -K it would have the disk zeroed first.
    vm.sh('mkfs.xfs -qfK -d agcount=16 /dev/karrayb1 && mount /dev/karrayb1 /mnt', timeout=200)
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
