#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Bad sectors, put on the list by hand: what becomes of them under the disk, its
partitions and the char node.  (poison.t: errors that a copy meets, and file systems.)"""

import json
import random
import sys

from harness import Tap, bad_sectors, configure, guest_test, mark_bad, pio, try_pio

DISK, CHR = '/dev/karrayb0', '/dev/karray'
LIST = '/sys/block/karrayb0/badblocks'


def by_hand(t, vm, mode):
    """Sectors 64 to 71, bytes 32768 to 36863."""
    t.is_(pio(vm, f'w {CHR} 0 1048576'), ['1048576'], f'{mode}: filled')
    t.is_(bad_sectors(vm), [], f'{mode}: nothing is bad')
    mark_bad(vm, '64 8')
    t.is_(bad_sectors(vm), ['64 8'], f'{mode}: the list')
    try_pio(t, vm, mode,
            (f'-d r {DISK} 32768 4096', 'EIO', 'direct read of what is bad'),
            (f'-d r {DISK} 32768 512', 'EIO', 'of its first sector'),
            (f'-d r {DISK} 36352 512', 'EIO', 'of its last'),
            (f'-d r {DISK} 0 1048576', 'EIO', 'of more than that'),
            (f'-d -c r {DISK} 0 32768', '32768', 'of all before'),
            (f'-d -c r {DISK} 36864 8192', '8192', 'of what comes behind'),
            (f'-c r {DISK} 0 65536', '32768', 'buffered read up to it'),
            (f'r {DISK} 32768 1', 'EIO', 'buffered read of it'),
            (f'-c r {DISK} 36864 4096', '4096', 'buffered read behind'),
            (f'-c r {CHR} 0 65536', '32768', 'char read up to it'),
            (f'-c r {CHR} 32767 2', '1', 'char read of a byte before'),
            (f'r {CHR} 32768 1', 'EIO', 'char read of its first byte'),
            (f'r {CHR} 36863 2', 'EIO', 'char read of its last'),
            (f'-c r {CHR} 36864 4096', '4096', 'char read behind'),
            (f'-k 1 w {CHR} 32768 511', 'EIO', 'char write of less than a sector'),
            (f'-k 1 w {CHR} 32769 511', 'EIO', 'of a part that ends with it'),
            (f'-k 1 w {CHR} 36863 1', 'EIO', 'of its last byte'),
            (f'-k 1 w {CHR} 36863 2', 'EIO', 'of its last byte and more'),
            (f'w {CHR} 32000 1000', '768', 'char write of good bytes and part of it'),
            (f'w {DISK} 36000 100', 'EIO', 'buffered write of less than a page'))
    for first, error in ((64, 'Input/output error'), (56, 'Input/output error'), (48, 'Operation canceled')):
        t.like(vm.sh(f'insmod /root/karray_chain.ko disk={DISK} sector={first}', check=False).err, error,
               f'{mode}: two pages from sector {first} on, by chained bios')
    t.is_(bad_sectors(vm), ['64 8'], f'{mode}: still bad, all of it')

    # Whole sectors that are written are good again.
    try_pio(t, vm, mode, (f'-k 1 w {CHR} 32768 1000', '512', 'char write of a sector and a part'))
    t.is_(bad_sectors(vm), ['65 7'], f'{mode}: the sector is good')
    try_pio(t, vm, mode, (f'-d -k 1 w {DISK} 33280 512', '512', 'direct write of a sector'))
    t.is_(bad_sectors(vm), ['66 6'], f'{mode}: it is good')
    try_pio(t, vm, mode, (f'-d -k 1 w {DISK} 34304 512', '512', 'direct write of one amid others'))
    t.is_(bad_sectors(vm), ['66 1', '68 4'], f'{mode}: it is good, and its neighbours are not')
    vm.sh(f'blkdiscard -f -o 34816 -l 512 {DISK}')
    t.is_(bad_sectors(vm), ['66 1', '69 3'], f'{mode}: discarded, it is good')
    vm.sh(f'blkdiscard -f -z -o 35328 -l 1024 {DISK}')
    t.is_(bad_sectors(vm), ['66 1', '71 1'], f'{mode}: zeroed, they are good')
    t.is_(vm.sh(f'dd if={CHR} bs=512 skip=68 count=3 2>/dev/null | tr -d "\\0" | wc -c').out.strip(),
          '0', f'{mode}: and zeros')
    try_pio(t, vm, mode,
            (f'-c -k 1 r {CHR} 32768 1024', '1024', 'what was written is there'),
            (f'-d -c -k 1 r {DISK} 34304 512', '512', 'amid others, too'),
            (f'w {DISK} 32768 4096', '4096', 'buffered write of a page'))
    vm.sh('sync')
    t.is_(bad_sectors(vm), [], f'{mode}: all is good')
    mark_bad(vm, '64 8')
    try_pio(t, vm, mode,
            (f'w {CHR} 32000 6000', '6000', 'char write over all of it'),
            (f'-d -c r {DISK} 0 1048576', '1048576', 'all bytes are right'))
    t.is_(bad_sectors(vm), [], f'{mode}: and good')

    mark_bad(vm, '8 1', '100 600')
    want = bad_sectors(vm)
    configure(vm)
    t.is_(bad_sectors(vm), want, f'{mode}: the list survives offline and online')
    try_pio(t, vm, mode, (f'r {CHR} 4096 1', 'EIO', 'and still holds'))
    vm.sh('rmmod karray; insmod /root/karray.ko')
    configure(vm, queue_mode=mode)
    try_pio(t, vm, mode, (f'-c r {CHR} 0 1048576', '1048576', 'after a reload all can be read'))


class Model:
    """What a device with bad sectors should do, as calls of pio.c and their results."""

    def __init__(self):
        self.bad = set()

    def read(self, offset, length):
        """By the char node."""
        bad = [sector * 512 for sector in self.bad if offset < sector * 512 + 512 and sector * 512 < offset + length]
        return max(min(bad), offset) - offset if bad else length

    def write(self, offset, length):
        """By the char node: no sector is mended in part."""
        end = offset + length
        if offset % 512 and offset // 512 in self.bad:
            return 0
        if end % 512 and end // 512 in self.bad:
            end -= end % 512
        self.bad -= set(range(-(-offset // 512), end // 512))
        return max(end - offset, 0)

    def step(self, dice):
        """A shell command, and what it must print."""
        action = dice.choice(('mark', 'mark', 'read', 'write', 'disk read', 'disk write'))
        offset, length = dice.randrange(60000), dice.randrange(1, 5000)
        first, count = offset // 512, length // 512 + 1
        done = length
        # Where ranges overlap, 6.1's list can lose sectors.
        if action == 'mark' and self.bad & set(range(first, first + count)):
            action = 'read'
        if action == 'mark':
            self.bad |= set(range(first, first + count))
            return f'echo "{first} {count}" > {LIST}; echo marked', 'marked'
        if action == 'read':
            done = self.read(offset, length)
            call = f'-c r {CHR} {offset} {length}'
        elif action == 'write':
            done = self.write(offset, length)
            call = f'w {CHR} {offset} {length}'
        elif action == 'disk read':
            done = 512 * count if not self.bad & set(range(first, first + count)) else 0
            call = f'-d -c r {DISK} {512 * first} {512 * count}'
        else:
            done = self.write(512 * first, 512 * count)
            call = f'-d w {DISK} {512 * first} {512 * count}'
        return f'/root/pio {call}', str(done or 'EIO')


def at_random(t, vm, mode):
    """Marks, reads and writes anywhere in 64 KiB, against the model."""
    model, dice = Model(), random.Random(mode)
    commands, want = [], []
    for _ in range(250):
        command, result = model.step(dice)
        commands.append(f'{command}; echo $(cat {LIST})')
        want.append((command, result, sorted(model.bad)))
    lines = vm.sh('\n'.join(commands), timeout=120).out.splitlines()
    got = []
    for (command, _, _), result, ranges in zip(want, lines[::2], lines[1::2]):
        words = [int(word) for word in ranges.split()]
        got.append((command, result, [sector for first, count in zip(words[::2], words[1::2])
                                      for sector in range(first, first + count)]))
    wrong = next((f' got: {g}\nwant: {w}' for g, w in zip(got, want) if g != w), '')
    t.ok(len(got) == len(want) and not wrong, f'{mode}: 250 steps at random do what they should', wrong)
    pio(vm, f'w {CHR} 0 65536')


def batches(t, vm, mode, args):
    """Many at a time: each that meets a bad sector has an error, and no other."""
    mark_bad(vm, '64 8', '200 1', '201 1', '1000 20')
    result = vm.sh(f'fio --name=b --filename={DISK} --rw=read --bs=4k --size=1M --direct=1 --ioengine=io_uring '
                   f'--iodepth=32 --iodepth_batch=16 --continue_on_error=io --output-format=json {args}', check=False)
    job = json.loads(result.out[result.out.index('{'):])['jobs'][0]
    t.is_((job['total_err'], job['first_error']), (5, 5), f'{mode}: batches{args}: an EIO for each of 5 bad blocks')
    pio(vm, f'w {CHR} 0 1048576')
    t.is_(bad_sectors(vm), [], f'{mode}: batches{args}: all is good')


def partition(t, vm, mode):
    vm.sh(f'echo 2048,,L | sfdisk -q {DISK}')
    mark_bad(vm, '2058 1')
    try_pio(t, vm, mode,
            (f'w {DISK}p1 0 4096', '4096', 'partition: write'),
            (f'-d -c r {DISK}p1 0 4096', '4096', 'partition: read before a bad sector'),
            (f'-d r {DISK}p1 5120 512', 'EIO', 'partition: read of it'),
            (f'-d w {DISK}p1 5120 512', '512', 'partition: write of it'),
            (f'-d -c r {DISK}p1 5120 512', '512', 'partition: then it can be read'))
    t.is_(bad_sectors(vm), [], f'{mode}: partition: which takes it off the list')
    vm.sh(f'sfdisk -q --delete {DISK}')


def full_list(t, vm, mode):
    vm.sh(f'for i in $(seq 0 510); do echo "$((i * 4)) 1"; done > /run/ranges; echo "4000 3" >> /run/ranges;'
          f'while read range; do echo "$range" > {LIST}; done < /run/ranges')
    t.ok(vm.sh(f'echo "5000 1" > {LIST}', check=False).rc, f'{mode}: a full list takes no more')
    try_pio(t, vm, mode,
            (f'-d r {DISK} 2048 512', 'EIO', 'full list: its sectors are bad'),
            (f'w {CHR} 2560 512', '512', 'full list: others are not'),
            (f'-d -c r {DISK} 2560 512', '512', 'full list: and can be read'),
            (f'-d w {DISK} 2048512 512', '512', 'full list: write amid a range'),
            (f'-d r {DISK} 2048512 512', 'EIO', 'full list: which it can not split'),
            (f'-d w {DISK} 2048000 1536', '1536', 'full list: write of the range'),
            (f'-d -c r {DISK} 2048000 1536', '1536', 'full list: mends it'))
    vm.sh(f'blkdiscard -f -l 4M {DISK}')
    t.is_(bad_sectors(vm), [], f'{mode}: full list: all can be mended at once')


def races(t, vm, mode):
    """Whoever marks and mends elsewhere doesn't make anybody miss what is bad."""
    mark_bad(vm, *(f'{first} 8' for first in range(0, 2000, 20)))
    vm.sh(f'while [ ! -e /run/stop ]; do echo "2048 1" > {LIST}; /root/pio -d w {DISK} 1048576 512; done'
          ' >/dev/null 2>&1 &')
    try_pio(t, vm, mode,
            (f'-d -t 30000 r {DISK} 3584 512', 'EIO', '30000 direct reads of a bad sector beside a writer'),
            (f'-t 30000 r {CHR} 3584 512', 'EIO', '30000 char reads of it'))
    vm.sh('touch /run/stop')
    vm.wait('[ $(cat /sys/bus/karray/devices/karray0/users) = 0 ]', 20, 'the writer to end')
    vm.sh('rm /run/stop')

    # What is before others moves them in the list, beside those who look at them.
    t.is_(vm.sh(f'/root/badblocks_race {CHR} {LIST} 100000', timeout=300, check=False).out,
          'right 100000 times\n', f'{mode}: entries move beside who looks at them')
    pio(vm, f'w {CHR} 0 2097152')


tap = Tap()

with guest_test(tap=tap, dimms=[('hp_dimm0', '320M')]) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    for mode in ('mq', 'bio'):
        configure(vm, queue_mode=mode)
        by_hand(t, vm, mode)
        at_random(t, vm, mode)
        batches(t, vm, mode, '')
        if mode == 'mq':
            batches(t, vm, mode, ' --hipri')
        partition(t, vm, mode)
        full_list(t, vm, mode)

with guest_test('badblocks-races', tap=tap, dimms=[('hp_dimm0', '128M')], parallel=True) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    for mode in ('mq', 'bio'):
        configure(vm, queue_mode=mode)
        races(t, vm, mode)

sys.exit(tap.done())
