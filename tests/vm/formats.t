#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Large logical blocks, and read-only devices: with file systems, in both modes."""

from harness import configure, guest_test, mark_bad, pairings, try_pio

DISK, CHR = '/dev/karrayb0', '/dev/karray'
MKFS = {'ext4': 'mkfs.ext4 -qF', 'xfs': 'mkfs.xfs -qf'}
FSCK = {'ext4': 'e2fsck -fn', 'xfs': 'xfs_repair -n'}
# To mount what was not unmounted, without writing.
AS_IT_IS = {'ext4': 'noload', 'xfs': 'norecovery'}

# Each would write to a disk; an ext4 is on it.
WRITERS = [
    ('dd', f'dd if=/dev/zero of={DISK} bs=4k count=1'),
    ('dd, direct', f'dd if=/dev/zero of={DISK} bs=4k count=1 oflag=direct'),
    ('libaio', f'fio --name=w --filename={DISK} --rw=write --size=64k --direct=1 --ioengine=libaio'),
    ('io_uring', f'fio --name=w --filename={DISK} --rw=write --size=64k --direct=1 --ioengine=io_uring'),
    ('discard', f'blkdiscard -f {DISK}'),
    ('zeroes', f'blkdiscard -f -z {DISK}'),
    ('fallocate', f'fallocate -z -l 1M {DISK}'),
    ('mkfs', f'mkfs.ext4 -qF {DISK}'),
    ('wipefs', f'wipefs -a {DISK}'),
    ('sfdisk', f'echo ,,L | sfdisk -q --wipe=always {DISK}'),
    ('swapon', f'swapon {DISK}'),
    ('mount, to write', f'mount -w {DISK} /mnt'),
    ('the char node', f'dd if=/dev/zero of={CHR} bs=4k count=1'),
    ('the char node, to read and write', f'exec 3<>{CHR}'),
]


def made(vm, mode):
    """The file systems to try in a mode, and how they are made."""
    return [(fs, MKFS[fs]) for each, fs in pairings(vm, ('mq', 'bio'), MKFS) if each == mode]


def blocks_of_4k(t, vm, mode):
    what = f'{mode}, 4Kn'
    configure(vm, queue_mode=mode, logical_block_size=4096)
    try_pio(t, vm, what,
            (f'w {CHR} 0 65536', '65536', 'the char node knows no blocks'),
            (f'-d r {DISK} 0 512', 'EINVAL', 'no direct read of less than a block'),
            (f'-d w {DISK} 0 512', 'EINVAL', 'nor write'),
            (f'-d r {DISK} 512 4096', 'EINVAL', 'nor where none begins'),
            (f'-d -b 512 -c r {DISK} 4096 4096', '4096', 'a block, to a buffer anywhere'),
            (f'-k 1 w {DISK} 5000 3', '3', 'some bytes, through the cache'))
    vm.sh(f'blockdev --flushbufs {DISK}')
    try_pio(t, vm, what,
            (f'-c -k 1 r {CHR} 5000 3', '3', 'there they are'),
            (f'-c r {CHR} 5003 4096', '4096', 'and what is behind'))
    t.ok(vm.sh(f'blkdiscard -f -l 512 {DISK}', check=False).rc, f'{what}: no discard of less than a block')
    mark_bad(vm, '9 1')
    try_pio(t, vm, what,
            (f'-d r {DISK} 4096 4096', 'EIO', 'a block with a bad sector'),
            (f'-c r {CHR} 4096 400', '400', 'of which the char node reads the rest'),
            (f'-d w {DISK} 4096 4096', '4096', 'it is written'),
            (f'-d -c r {DISK} 4096 4096', '4096', 'and good again'))

    vm.sh(f'printf "label: gpt\\n,40M\\n,,L\\n" | sfdisk -q {DISK}')
    configure(vm)
    t.is_(sorted(vm.sh('lsblk -rno NAME,LOG-SEC /dev/karrayb0').out.splitlines()),
          ['karrayb0 4096', 'karrayb0p1 4096', 'karrayb0p2 4096'], f'{what}: partitions')
    vm.sh(f'sfdisk -q --delete {DISK}; wipefs -qa {DISK}')

    t.like(vm.sh(f'mkfs.ext4 -qF -b 1024 {DISK}', check=False).err, 'too small for device',
           f'{what}: no file system with smaller blocks')
    for fs, mkfs in made(vm, mode):
        vm.sh(f'{mkfs} {DISK} && mount {DISK} /mnt && cp /bin/busybox /mnt/file && '
              'dd if=/dev/urandom of=/mnt/direct bs=4k count=500 oflag=direct 2>/dev/null')
        want = vm.sh('cd /mnt; sha256sum file direct').out
        t.ok(vm.sh('dd if=/mnt/direct of=/dev/null bs=512 count=1 iflag=direct', check=False).rc,
             f'{what}: {fs}: no direct read of less than a block')
        vm.sh(f'umount /mnt; blockdev --flushbufs {DISK}')
        t.is_(vm.sh(f'{FSCK[fs]} {DISK}', check=False, timeout=120).rc, 0, f'{what}: {fs}: checks clean')
        vm.sh(f'mount {DISK} /mnt')
        t.is_(vm.sh('cd /mnt; sha256sum file direct').out, want, f'{what}: {fs}: the same data')
        vm.sh('fstrim /mnt; umount /mnt')


def read_only(t, vm, mode):
    """karray0 has a clean ext4; copies of mounted file systems are on karray1."""
    what = f'{mode}, read-only'
    configure(vm, queue_mode=mode, logical_block_size=512, read_only=0)
    vm.sh(f'mkfs.ext4 -qF {DISK}; mount {DISK} /mnt; cp /bin/busybox /mnt; umount /mnt')
    configure(vm, read_only=1)
    before = vm.sh(f'head -c 64M {CHR} | sha256sum').out
    for why, command in WRITERS:
        result = vm.sh(f'({command}) 2>&1', check=False)
        t.ok(result.rc, f'{what}: {why}: refused', result.out)
    try_pio(t, vm, what, (f'w {CHR} 0 1', 'EROFS', 'the char node: EROFS'),
            (f'r {CHR} 0 65536', '65536', 'it can be read'),
            (f'-d r {DISK} 0 65536', '65536', 'and the disk, too'))
    vm.sh(f'blockdev --setrw {DISK}', check=False)
    t.is_(vm.sh(f'blockdev --getro {DISK}').out.strip(), '1', f'{what}: blockdev --setrw does not help')
    try_pio(t, vm, what, (f'-d w {DISK} 0 4096', 'EPERM', 'to write, neither'))
    # Some kernels let this be, and leave it to the disk to refuse what was written.
    vm.sh(f'fio --name=w --filename={DISK} --rw=write --size=64k --ioengine=mmap; blockdev --flushbufs {DISK}',
          check=False)

    vm.sh(f'mount {DISK} /mnt -o ro')
    t.is_(vm.sh('cmp /mnt/busybox /bin/busybox', check=False).rc, 0, f'{what}: mounted to be read')
    t.ok(vm.sh('mount -o remount,rw /mnt', check=False).rc, f'{what}: not to be written')
    vm.sh('umount /mnt')
    t.is_(vm.sh(f'head -c 64M {CHR} | sha256sum').out, before, f'{what}: not a byte has changed')

    configure(vm, read_only=0)
    for fs, mkfs in made(vm, mode):
        configure(vm, 'karray1', queue_mode=mode, read_only=0)
        vm.sh(f'{mkfs} {DISK}; mount {DISK} /mnt; cp /bin/busybox /mnt; sync; cat {CHR} > /dev/karray1;'
              'umount /mnt')
        configure(vm, 'karray1', read_only=1)
        t.ok(vm.sh('mount -o ro /dev/karrayb1 /mnt', check=False).rc,
             f'{what}: {fs}: its journal can not be replayed')
        t.is_(vm.sh(f'mount -o ro,{AS_IT_IS[fs]} /dev/karrayb1 /mnt && cmp /mnt/busybox /bin/busybox; umount /mnt',
                    check=False).rc, 0, f'{what}: {fs}: it can be read as it is')
    try_pio(t, vm, what, (f'-d w {DISK} 0 4096', '4096', 'switched off: it can be written'))


with guest_test(dimms=[('hp_dimm0', '320M'), ('hp_dimm1', '320M')]) as (t, vm):
    vm.sh('insmod /root/karray.ko; mkdir -p /mnt')
    for mode in ('mq', 'bio'):
        blocks_of_4k(t, vm, mode)
        read_only(t, vm, mode)
