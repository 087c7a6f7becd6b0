#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Data compared from end to end by endtoend.c: writers by every way that there is to the
memory, and readers by every way at the same time. KARRAY_SECONDS (1) is for each of the six
runs."""

import os
import random

from harness import configure, extents, guest_test

SECONDS = int(os.environ.get('KARRAY_SECONDS', 1))
SEED = int(os.environ.get('KARRAY_SEED') or random.randrange(1 << 32))

DISK, CHR = '/dev/karrayb0', '/dev/karray'
MKFS = {'ext4': 'mkfs.ext4 -qF -E stride=512,stripe_width=512', 'xfs': 'mkfs.xfs -qf -d su=2m,sw=1,agcount=2'}


def compare(t, vm, what, *ways):
    """Those in capitals write, and all read."""
    result = vm.sh(f'/root/endtoend {SECONDS} {SEED} {" ".join(ways)}', check=False, timeout=SECONDS * 20 + 300)
    t.is_(result.rc, 0, f'{what}: nobody reads anything wrong', result.out + result.err)
    counts = [line.split() for line in result.out.splitlines() if not line.startswith('#')]
    for way, (_, written, whole, torn, wrong) in zip(ways, counts):
        t.ok(wrong == '0',
             f'{what}: {way}: {written} blocks written; read {whole}, {torn} while they changed', result.out)
    t.is_(len(counts), len(ways), f'{what}: all ways took part')


def raw(t, vm, what):
    compare(t, vm, what, f'READ:{DISK}:0', f'DIRECT:{DISK}:0', f'MAP:{DISK}:0',
            f'READ:{CHR}:0', f'MAP:{CHR}:0', f'sum:{CHR}:0')


def dax_file(t, vm, what, kind):
    """A file on DAX, and the others look at where it is."""
    vm.sh(f'set -e; wipefs -qa {DISK}; {MKFS[kind]} {DISK}; mount -o dax=always {DISK} /mnt;'
          'fallocate -l 4M /mnt/file; dd if=/dev/zero of=/mnt/file bs=1M count=4 conv=notrunc 2>/dev/null; sync', timeout=300)
    pieces = extents(vm, '/mnt/file')
    t.is_([pages for _, pages in pieces], [1024], f'{what}: the file is in one piece')
    at = pieces[0][0] * 4096
    compare(t, vm, what, 'READ:/mnt/file:0', 'DIRECT:/mnt/file:0', 'MAP:/mnt/file:0',
            f'direct:{DISK}:{at}', f'read:{CHR}:{at}', f'map:{CHR}:{at}', f'sum:{CHR}:{at}')
    vm.sh('umount /mnt')


with guest_test(dimms=[('hp_dimm0', '512M')], parallel=True) as (t, vm):
    t.diag(f'{SECONDS} s each, KARRAY_SEED={SEED}')
    vm.sh('insmod /root/karray.ko; mkdir -p /mnt')
    for mode, kind in (('mq', 'ext4'), ('bio', 'xfs')):
        for dax in (0, 1):
            configure(vm, queue_mode=mode, dax=dax)
            raw(t, vm, f'{mode}, dax={dax}')
        dax_file(t, vm, f'{mode}: {kind} with DAX', kind)
