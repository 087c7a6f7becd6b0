#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The char node's mappings and ioctls: chr_map.c, chr_ioctl.c and ioctl.c; and the example."""

import random

from harness import ARCH, guest_test

# What the kernel says of a program that touches bad memory.
KILLED = 'MCE: Killing chr_map:.* due to hardware memory corruption fault'

SIZE = 128 << 20


def by_32bit(t, vm):
    """The same by 32-bit programs."""
    rng = random.Random(seed := random.getrandbits(32))
    t.diag(f'seed {seed}')
    vm.sh('cd /sys/block/karrayb0; echo 8 2 > badblocks; echo 4096 100 > badblocks')
    wrong = ('1 0xffffffffffffffff 1', '0xffffffffffffffff 2 1', f'{SIZE} 1 1')
    for what in ['info', '42', '43', '0x8040da01', f'bad 0 {SIZE} 16', f'bad 0 {SIZE} 0',
                 'bad 5000 1 16',
                 *(f'{kind} {args}' for kind in ('fill', 'checksum', 'compare', 'bad')
                   for args in wrong),
                 *(f'{rng.choice(("fill", "checksum", "compare"))} {rng.randrange(SIZE)}'
                   f' {rng.randrange(1 << 24)} {rng.randrange(1 << 16)}' for _ in range(40))]:
        two = [vm.sh(f'/root/{program} /dev/karray {what}', check=False)
               for program in ('ioctl', 'ioctl32')]
        t.ok(two[0].out and two[0].out == two[1].out, f'32-bit ioctl: {what}: {two[0].out.strip()}',
             f'{two[0]}\n{two[1]}')

    sums = [vm.sh(f'/root/ioctl /dev/karray fill 0 65536 0; /root/{program} /dev/karray fill 13 5000 '
                  '0x0102030405060708; /root/ioctl /dev/karray checksum 0 65536 0').out.splitlines()[-1]
            for program in ('ioctl', 'ioctl32')]
    t.is_(sums[1], sums[0], '32-bit ioctl: the same is filled in')


with guest_test(dimms=[('hp_dimm0', '128M')], allow=[KILLED]) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    t.relay(vm.sh(f'/root/chr_map /dev/karray {SIZE}', check=False, timeout=600))
    t.relay(vm.sh(f'/root/chr_ioctl /dev/karray /dev/karrayb0 {SIZE} 0x100000000',
                  check=False, timeout=600))

    if ARCH == 'amd64':
        by_32bit(t, vm)
    else:
        t.skip('32-bit ioctls', f'gcc for {ARCH} makes no 32-bit programs')

    vm.sh('/root/ring /dev/karray clear; seq 100000 > /run/in;'
          '/root/ring /dev/karray put < /run/in >/dev/null 2>&1 & '
          '/root/ring /dev/karray take 100000 > /run/out', timeout=600)
    t.is_(vm.sh('cmp /run/in /run/out', check=False).rc, 0,
          'the example: 100000 messages through a ring of 32768')
    vm.sh('seq 10 | /root/ring /dev/karray put')
    t.like(vm.sh('/root/ring /dev/karray take 10 > /dev/full', check=False).err, 'No space',
           'the example: what can\'t be written')
    t.is_(vm.sh('/root/ring /dev/karray take 10').out.split(), [str(i) for i in range(1, 11)], 'is not taken')
    t.ok(vm.sh('/root/ring /dev/karray bogus', check=False).rc == 2, 'the example: wrong usage')
    t.like(vm.sh('wipefs -qa /dev/karrayb0; mkfs.ext4 -qF /dev/karrayb0; mount /dev/karrayb0 /tmp;'
                 '/root/ring /dev/karray clear; umount /tmp', check=False).err, 'busy',
           'the example: not while the disk is mounted')

    # A node that can't be added, but was found meanwhile by another, made by hand.
    vm.sh('mknod /run/node c $(tr : " " < /sys/class/karray/karray/dev); '
          'echo 0 > /sys/bus/karray/devices/karray0/online; insmod /root/karray_fail.ko node=1')
    early = vm.spawn('exec /root/early_map /run/node > /run/early 2>&1')
    online = vm.spawn('echo 1 > /sys/bus/karray/devices/karray0/online')
    vm.wait('grep -q mapped /run/early', 60, 'the node to be mapped')
    vm.sh('echo 1 > /sys/module/karray_fail/parameters/go')
    t.ok(online.wait(60).rc, "a node that can't be added: the device stays offline")
    t.is_(early.wait(120).rc, 0, 'who had opened it ends')
    t.is_(vm.sh('cat /run/early').out.split(), ['mapped', 'SIGBUS'], 'and its mapping did')
    t.is_(vm.sh('cat /sys/bus/karray/devices/karray0/users').out, '0\n', 'no user is left')
    vm.sh('rmmod karray_fail; echo 1 > /sys/bus/karray/devices/karray0/online; /root/karray_test')
