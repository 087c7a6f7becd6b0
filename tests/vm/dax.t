#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""dax=1: what it costs and when it's refused; file systems that map the memory into
programs, by 2 MiB, in both modes of the disk; bad memory."""

import os
import sys

from harness import (BUS, KASAN_SHADOW, Tap, bad_sectors, configure, extents, guest_test, mark_bad, pairings,
                     try_pio)

DISK, CHR, OTHER = '/dev/karrayb0', '/dev/karray', '/dev/karrayb1'
EVENTS = '/sys/kernel/tracing/instances/dax'
KILLED = '(MCE|Memory failure): .*(Killing|kill) .*(pio|dax_map)'
# What Linux before 6.5 says of huge entries of files at MADV_COLD, see docs/dax.md.
EXPECTED = [KILLED] + ['bad pmd'] * (os.environ.get('KARRAY_KERNEL') == '6.1')

# Files at multiples of 2 MiB, by which alone they can be mapped in one piece.
MKFS = {'ext4': 'mkfs.ext4 -qF -E stride=512,stripe_width=512', 'xfs': 'mkfs.xfs -qf -d su=2m,sw=1 -l size=64m'}
CHECK = {'ext4': 'e2fsck -fn', 'xfs': 'xfs_repair -n'}


def free_ram(vm):
    return int(vm.sh("echo 3 > /proc/sys/vm/drop_caches; echo 1 > /proc/sys/vm/compact_memory; awk '/^MemFree:/ { print $2 }' /proc/meminfo").out) << 10


def cost(t, vm):
    """By a DIMM of 8 GiB, whose struct pages are 128 MiB."""
    if vm.kasan:
        t.skip('dax_cost', KASAN_SHADOW)
        return
    vm.plug('big', '8G')
    vm.wait(f'[ "$(cat {BUS}/karray2/online)" = 1 ]', 60, 'the third DIMM')
    says = int(vm.sh(f'cat {BUS}/karray2/dax_cost').out)
    t.is_(says, 128 << 20, 'dax_cost: 64 bytes for a page')
    before = free_ram(vm)
    configure(vm, 'karray2', dax=1)
    taken = before - free_ram(vm)
    t.ok(abs(taken - says) < says / 4, f'dax_cost: says {says >> 20} MiB, takes {taken >> 20}')
    vm.sh(f'cd {BUS}/karray2; echo 0 > online')
    left = before - free_ram(vm)
    t.ok(abs(left) < says / 4, f'dax_cost: and gives them back but for {left >> 20}')

    # What there is no room for stays offline.
    vm.sh("mkdir /run/ballast; mount -t tmpfs -o size=100% none /run/ballast;"
          "while kib=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo) && [ $kib -gt 100000 ]; do"
          "  head -c $((kib - 90000))K /dev/zero >> /run/ballast/file; done", timeout=300)
    t.ok(vm.sh(f'dmesg -c >/dev/null; echo 1 > {BUS}/karray2/online', check=False).rc,
         'more than there is System RAM for: refused')
    t.like(vm.sh('dmesg').out, r'karray2: dax=1 needs 128 MiB of System RAM, and \d+ are available',
           'and the log says what it would take')
    vm.sh('umount /run/ballast')
    vm.sh(f'cd {BUS}/karray2; echo 1 > online')
    t.is_(vm.sh(f'cat {BUS}/karray2/online').out.strip(), '1', 'when there is some again it can have them')
    vm.unplug('big')
    t.is_(vm.unplug_result('big', 30), 'deleted', 'and leaves')


def huge_faults(vm):
    """How many faults there were since the last time that mapped 2 MiB."""
    count = vm.sh(f'grep -c "dax_pmd_fault_done.*NOPAGE" {EVENTS}/trace', check=False).out
    vm.sh(f'echo > {EVENTS}/trace')
    return int(count)


def file_system(t, vm, mode, kind):
    what = f'{mode}: {kind}'
    vm.sh(f'wipefs -qa {DISK}; {MKFS[kind]} {DISK}; mount -o dax=always {DISK} /mnt')
    t.like(vm.sh('grep /mnt /proc/mounts').out, 'dax=always', f'{what}: mounted with dax=always')
    vm.sh('fallocate -l 16M /mnt/file; head -c 16M /dev/zero > /mnt/file; sync')
    huge_faults(vm)
    t.relay(vm.sh(f'/root/dax_map /mnt/file {OTHER}', check=False, timeout=120))
    faults = huge_faults(vm)
    t.ok(faults >= 20, f'{what}: {faults} faults of 2 MiB')
    vm.sh('dmesg -c > /dev/null; head -c 16M /dev/urandom > /mnt/file; sync; '
          'sha256sum < /mnt/file > /run/sum', check=False)
    where = extents(vm, '/mnt/file')

    # The same bytes, wherever one looks.
    def same(where, command):
        t.is_(vm.sh(f'{command} | sha256sum').out, vm.sh('cat /run/sum').out, f'{what}: the same bytes {where}')

    for node, flags in ((CHR, ''), (DISK, ' iflag=direct')):
        same(f'by {node}', '(' + ''.join(f'dd if={node} bs=4096{flags} skip={first} count={pages} 2>/dev/null;'
                                         for first, pages in where) + ')')
    t.is_(vm.sh(f'echo 0 > {BUS}/karray0/online', check=False).rc, 1, f'{what}: it can not go offline')
    vm.sh(f'umount /mnt; mount -o dax=never {DISK} /mnt')
    same('by the page cache', 'cat /mnt/file')
    vm.sh('umount /mnt')
    configure(vm)
    vm.sh(f'mount -o dax=always {DISK} /mnt')
    same('after offline and online', 'cat /mnt/file')
    vm.sh('umount /mnt')
    configure(vm, dax=0)
    t.ok(vm.sh(f'mount -o dax=always {DISK} /mnt', check=False).rc or
         'dax=always' not in vm.sh('grep /mnt /proc/mounts').out, f'{what}: no dax with dax=0')
    vm.sh(f'umount /mnt; mount {DISK} /mnt', check=False)
    same('without dax', 'cat /mnt/file')
    vm.sh('umount /mnt')
    t.is_(vm.sh(f'{CHECK[kind]} {DISK}', check=False, timeout=120).rc, 0, f'{what}: nothing is wrong with it')
    configure(vm, dax=1)


def bad_memory(t, vm, mode, kind):
    """Bad sectors of a file: sector 5 of block 2, and all of block 4."""
    what = f'{mode}: {kind}: bad memory'
    vm.sh(f'wipefs -qa {DISK}; {MKFS[kind]} {DISK}; mount -o dax=always {DISK} /mnt; '
          '>/mnt/file; /root/pio w /mnt/file 0 4194304; sync')
    first = extents(vm, '/mnt/file')[0][0] * 8
    mark_bad(vm, f'{first + 21} 1', f'{first + 32} 8')
    try_pio(t, vm, what,
            ('-c r /mnt/file 0 4194304', '8192', 'read up to the first bad page'),
            ('r /mnt/file 8192 512', 'EIO', 'not of that page'),
            ('-c r /mnt/file 12288 4096', '4096', 'but of that behind'),
            ('-d r /mnt/file 16384 4096', 'EIO', 'nor of a bad page directly'))
    t.is_(vm.sh('/root/touch_file /mnt/file 0 8192 12288 16384 20480').out.split(),
          ['0', 'SIGBUS', '0', 'SIGBUS', '0'], f'{what}: in a mapping they are SIGBUS')
    try_pio(t, vm, what,
            ('w /mnt/file 10752 512', '512', 'write of a sector'),
            ('w /mnt/file 16384 4096', '4096', 'write of a page'))
    t.is_(bad_sectors(vm), [], f'{what}: which mends them')
    t.is_(vm.sh('/root/touch_file /mnt/file 8192 16384').out.split(), ['0', '0'], f'{what}: also in a mapping')
    try_pio(t, vm, what, ('-c r /mnt/file 0 4194304', '4194304', 'all bytes are right'))
    mark_bad(vm, f'{first + 21} 1', f'{first + 64} 64')
    try_pio(t, vm, what, ('-c w /mnt/file 0 4194304', '4194304', 'a write of all of it'))
    t.is_(bad_sectors(vm), [], f'{what}: mends all')
    vm.sh('umount /mnt')


tap = Tap()

with guest_test(tap=tap, dimms=[('hp_dimm0', '1G'), ('hp_dimm1', '256M')], allow=EXPECTED) as (t, vm):
    vm.sh('insmod /root/karray.ko; mkdir -p /mnt')
    vm.sh(f'mkdir {EVENTS}; echo 1 > {EVENTS}/events/fs_dax/dax_pmd_fault_done/enable')
    cost(t, vm)
    configure(vm, dax=1)
    t.is_(vm.sh('cat /sys/block/karrayb0/queue/dax').out.strip(), '1', 'the disk has DAX')
    t.is_(vm.sh('cat /sys/block/karrayb1/queue/dax').out.strip(), '0', 'the other has not')
    for mode, kind in pairings(vm, ('mq', 'bio'), MKFS):
        configure(vm, queue_mode=mode)
        file_system(t, vm, mode, kind)
        bad_memory(t, vm, mode, kind)
    vm.sh(f'rmdir {EVENTS}')

sys.exit(tap.done())
