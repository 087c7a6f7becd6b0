#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Memory that can't be read, by karray_poison.c: what becomes of such errors under the
disk, the char node and file systems; and of file systems over bad sectors."""

from harness import bad_sectors, configure, guest_test, mark_bad, pairings, pio, try_pio

DISK, CHR = '/dev/karrayb0', '/dev/karray'
FILE_SYSTEMS = [('ext4', 'mkfs.ext4 -qF', 'e2fsck -fn'), ('xfs', 'mkfs.xfs -qf', 'xfs_repair -n')]
POISON = '/sys/module/karray_poison/parameters'


def forget_caches(vm):
    vm.sh(f'sync; blockdev --flushbufs {DISK}; echo 3 > /proc/sys/vm/drop_caches')


def poison(vm, *offsets):
    """Make lines of the cache unreadable, at these offsets."""
    start = int(vm.sh('cat /sys/bus/karray/devices/karray0/phys_addr').out, 16)
    vm.sh(f'echo {",".join(str(start + offset) for offset in offsets) or 0} > {POISON}/lines')


def errors(vm):
    """The errors in the log so far, which is emptied."""
    return [line.split('karray0: ')[1] for line in vm.sh('dmesg -c').out.splitlines() if 'karray0: ' in line]


def met(vm):
    return int(vm.sh(f'cat {POISON}/met').out)


def by_error(t, vm, mode):
    """Lines at 0x4140, in sector 32, and at 0x9000, in sector 72."""
    start = int(vm.sh('cat /sys/bus/karray/devices/karray0/phys_addr').out, 16)
    t.is_(pio(vm, f'w {CHR} 0 1048576'), ['1048576'], f'{mode}: poison: filled')
    poison(vm, 0x4140, 0x9000)
    errors(vm)
    before = met(vm)
    try_pio(t, vm, f'{mode}: poison', (f'-d r {DISK} 0 65536', 'EIO', 'read by the disk'))
    t.is_(bad_sectors(vm), ['32 1'], f'{mode}: poison: its sector is on the list')
    t.is_(errors(vm), [f'memory error at {start + 0x4140:#x}: sector 32 is bad until it is written'],
          f'{mode}: poison: and the log says which')
    t.is_(met(vm) - before, 1, f'{mode}: poison: it was met once')
    try_pio(t, vm, f'{mode}: poison',
            (f'-d r {DISK} 16384 512', 'EIO', 'read of its sector'),
            (f'r {CHR} 16384 512', 'EIO', 'by the char node'),
            (f'-c r {CHR} 0 65536', '16384', 'char read up to its sector'))
    t.is_(met(vm) - before, 1, f'{mode}: poison: and not met again')
    try_pio(t, vm, f'{mode}: poison',
            (f'-c r {CHR} 17000 65536', str(0x9000 - 17000), 'char read up to one that nobody knew'),
            (f'r {CHR} 36864 1', 'EIO', 'and of it'))
    t.is_(bad_sectors(vm), ['32 1', '72 1'], f'{mode}: poison: now it is known')
    t.is_(errors(vm), [f'memory error at {start + 0x9000:#x}: sector 72 is bad until it is written'],
          f'{mode}: poison: the log says so')

    # Mended, or not.
    try_pio(t, vm, f'{mode}: poison',
            (f'w {CHR} 16384 511', 'EIO', 'write of a part of the sector'),
            (f'-d w {DISK} 16384 512', '512', 'write of the sector'))
    t.is_(bad_sectors(vm), ['72 1'], f'{mode}: poison: which is believed to mend it')
    try_pio(t, vm, f'{mode}: poison', (f'-d r {DISK} 16384 4096', 'EIO', 'but did not'))
    t.is_(bad_sectors(vm), ['32 1', '72 1'], f'{mode}: poison: so it is bad again')
    poison(vm)
    try_pio(t, vm, f'{mode}: poison',
            (f'w {CHR} 16384 512', '512', 'write of the sector that does mend it'),
            (f'-d w {DISK} 36864 512', '512', 'and of the other'),
            (f'-d -c r {DISK} 0 1048576', '1048576', 'all bytes are right'))
    t.is_(bad_sectors(vm), [], f'{mode}: poison: nothing is bad')


def file_system(t, vm, mode, mkfs, check, by_error):
    """A file's fifth block is bad: the file has an error there, and no more than that."""
    what = f'{mode}: {mkfs.split()[0]}'
    vm.sh(f'wipefs -qa {DISK}; {mkfs} {DISK}; mount {DISK} /mnt; >/mnt/file; /root/pio w /mnt/file 0 65536; sync')
    extent = next(line for line in vm.sh('filefrag -b512 -v /mnt/file').out.splitlines() if ' 0:' in line)
    first = int(extent.split(':')[2].split('..')[0])
    if by_error:
        poison(vm, (first + 35) * 512)
    else:
        mark_bad(vm, f'{first + 32} 8')
    forget_caches(vm)
    try_pio(t, vm, what,
            ('-c r /mnt/file 0 65536', '16384', 'the file can be read up to the bad block'),
            ('r /mnt/file 16384 4096', 'EIO', 'not there'),
            ('-d r /mnt/file 16384 4096', 'EIO', 'nor directly'),
            ('-d -c r /mnt/file 20480 4096', '4096', 'but behind'))
    vm.sh('echo works > /mnt/other; sync; mv /mnt/other /mnt/moved; sync')
    t.is_(vm.sh('cat /mnt/moved; grep /mnt /proc/mounts | grep -o " rw,"').out.split(),
          ['works', 'rw,'], f'{what}: all else goes on')
    if by_error:
        t.is_(bad_sectors(vm), [f'{first + 35} 1'], f'{what}: a sector of it is known as bad')
        poison(vm)
    try_pio(t, vm, what, ('w /mnt/file 16384 4096', '4096', 'the block is written again'))
    vm.sh('sync')
    t.is_(bad_sectors(vm), [], f'{what}: which mends it')
    forget_caches(vm)
    try_pio(t, vm, what, ('-c r /mnt/file 0 65536', '65536', 'the file is whole'))

    # What the file system can't do without.
    vm.sh(f'umount /mnt; dd if={DISK} of=/run/super bs=4k count=1 2>/dev/null')
    mark_bad(vm, '0 8')
    forget_caches(vm)
    t.ok(vm.sh(f'mount {DISK} /mnt', check=False).rc, f'{what}: no mount without a superblock')
    vm.sh(f'dd if=/run/super of={DISK} oflag=direct bs=4k 2>/dev/null')
    t.is_(vm.sh(f'{check} {DISK}', check=False, timeout=120).rc, 0,
          f'{what}: written again, all is well')


with guest_test(dimms=[('hp_dimm0', '320M')]) as (t, vm):
    vm.sh('insmod /root/karray.ko; insmod /root/karray_poison.ko; mkdir -p /mnt')
    for mode in ('mq', 'bio'):
        configure(vm, queue_mode=mode)
        by_error(t, vm, mode)
    for mode, (kind, mkfs, check) in pairings(vm, ('mq', 'bio'), FILE_SYSTEMS):
        configure(vm, queue_mode=mode)
        file_system(t, vm, mode, mkfs, check, by_error=(mode == 'mq') == (kind == 'ext4'))
    vm.sh('rmmod karray_poison')
