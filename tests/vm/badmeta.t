#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Bad sectors under what a mounted file system keeps for itself: it says what it can't
read, goes on with the rest, and can be unmounted; writing the sectors mends it.
(poison.t has bad blocks of files, and the superblock.)"""

import re

from harness import bad_sectors, configure, guest_test, mark_bad, pairings

DISK = '/dev/karrayb0'
MKFS = {'ext4': 'mkfs.ext4 -qF -b 4096', 'xfs': 'mkfs.xfs -qf'}
FSCK = {'ext4': 'e2fsck -fn', 'xfs': 'xfs_repair -n'}


def inode_number(vm, path):
    return int(vm.sh(f'stat -c %i /mnt/{path}').out)


def ext4_block(vm, query, regex):
    return int(re.search(regex, vm.sh(f'debugfs -R "{query}" {DISK} 2>/dev/null').out)[1]) * 8


def xfs_sector(vm, *commands):
    """The last of what xfs_db answers."""
    line = vm.sh(f'xfs_db -r {" ".join(f"-c {command!r}" for command in commands)} {DISK}').out.splitlines()[-1]
    return int(re.search(r'(\d+)\D*$', line)[1])


def directory_sectors(vm, kind, path):
    """The first block of a directory: (sector, count)."""
    if kind == 'ext4':
        return ext4_block(vm, f'blocks /{path}', r'^\s*(\d+)'), 8
    bmap = vm.sh(f"xfs_db -r -c 'inode {inode_number(vm, path)}' -c bmap {DISK}").out
    block = re.search(r'startblock (\d+)', bmap)[1]
    return xfs_sector(vm, f'convert fsblock {block} daddr'), 8


def inode_sectors(vm, kind, path):
    """Where a file's inode is."""
    if kind == 'ext4':
        return ext4_block(vm, f'imap /{path}', r'located at block (\d+)'), 8
    return xfs_sector(vm, f'convert inode {inode_number(vm, path)} daddr'), 1


def forget(vm):
    vm.sh(f'sync; blockdev --flushbufs {DISK}; echo 3 > /proc/sys/vm/drop_caches')


def bad(t, vm, what, kind, sectors, command):
    """@command needs these @sectors."""
    first, count = sectors
    vm.sh(f'dd if={DISK} of=/run/saved bs=512 skip={first} count={count} iflag=direct 2>/dev/null')
    mark_bad(vm, f'{first} {count}')
    for again in ('', ', mounted again'):
        forget(vm)
        result = vm.sh(command, check=False)
        t.ok(result.rc and re.search('Input/output error|needs cleaning|Bad message', result.err),
             f'{what}{again}: who needs them is told', result.err)
        result = vm.sh('set -e; cat /mnt/other/file1; mkdir /mnt/more; echo more > /mnt/more/file;'
                       'sync /mnt/more/file; rm -r /mnt/more; grep -c " /mnt .* rw" /proc/mounts', check=False)
        t.is_(result.out.split(), ['1', '1'], f'{what}{again}: all else goes on', result.err)
        t.is_(vm.sh('umount /mnt', check=False).rc, 0, f'{what}{again}: unmounted')
        vm.sh(f'mount {DISK} /mnt')
    t.is_(bad_sectors(vm), [f'{first} {count}'], f'{what}: they are still bad')
    # In one piece: where ext4 holds the block's page direct I/O becomes buffered, and for a
    # part of the block would read the rest first.
    vm.sh(f'dd if=/run/saved of={DISK} bs={count * 512} seek={first // count} oflag=direct 2>/dev/null')
    t.is_(bad_sectors(vm), [], f'{what}: written, they are good')
    forget(vm)
    result = vm.sh(command, check=False)
    t.is_(result.rc, 0, f'{what}: and can be read', result.err)


with guest_test(dimms=[('hp_dimm0', '320M')]) as (t, vm):
    vm.sh('insmod /root/karray.ko; mkdir -p /mnt')
    for mode, kind in pairings(vm, ('mq', 'bio'), MKFS):
        configure(vm, queue_mode=mode)
        what = f'{mode}: {kind}'
        vm.sh(f'wipefs -qa {DISK}; {MKFS[kind]} {DISK}; mount {DISK} /mnt; mkdir /mnt/dir /mnt/other;'
              'for dir in /mnt/other /mnt/dir; do for i in $(seq 300); do echo $i > $dir/file$i; done; done;'
              f'sync; umount /mnt; mount {DISK} /mnt', timeout=300)
        bad(t, vm, f'{what}: a directory', kind, directory_sectors(vm, kind, 'dir'), 'ls /mnt/dir')
        bad(t, vm, f'{what}: an inode', kind, inode_sectors(vm, kind, 'dir/file150'), 'stat /mnt/dir/file150')
        vm.sh('umount /mnt')
        # What ext4 has met is noted in the superblock, for the next check.
        vm.sh(f'[ {kind} = xfs ] || e2fsck -fp {DISK}', check=False, timeout=300)
        result = vm.sh(f'{FSCK[kind]} {DISK} 2>&1', check=False, timeout=300)
        t.is_(result.rc, 0, f'{what}: nothing is wrong with it', result.out)
