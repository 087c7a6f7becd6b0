#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The disk's properties, every kind of request, and the statistics, in both modes."""

from harness import configure, guest_test, pio, try_pio

DISK, CHR = '/dev/karrayb0', '/dev/karray'
QUEUE = '/sys/block/karrayb0/queue'
SIZE = 512 << 20

# Of a disk's "stat": how many, and sectors. Zeroes count as written.
STAT = {'reads': 0, 'sectors read': 2, 'writes': 4, 'sectors written': 6,
        'discards': 11, 'sectors discarded': 13}


def queue(vm, name):
    return vm.sh(f'cat {QUEUE}/{name}').out.strip()


def properties(t, vm, mode):
    for name, want, what in (
            ('rotational', '0', 'not rotational'),
            ('add_random', '0', 'no source of randomness'),
            ('write_cache', 'write through', 'no volatile cache'),
            ('fua', '0', 'so no need for FUA'),
            ('logical_block_size', '512', 'logical blocks of 512 bytes'),
            ('physical_block_size', '4096', 'physical blocks of a page'),
            ('dma_alignment', '3', 'buffers begin at any word'),
            ('discard_granularity', '4096', 'discards of pages'),
            ('discard_max_bytes', str(2 << 20), 'of up to 2 MiB'),
            ('write_zeroes_max_bytes', str(2 << 20), 'zeroes: likewise'),
            ('max_hw_sectors_kb', str(2 << 10), 'requests: likewise'),
            ('iostats', '1', 'statistics are on')):
        t.is_(queue(vm, name), want, f'{mode}: {what}')
    t.is_(vm.sh('readlink -f /sys/block/karrayb0/device').out.strip(),
          vm.sh('readlink -f /sys/bus/karray/devices/karray0').out.strip(),
          f"{mode}: the disk's parent is karray0")
    if mode == 'mq':
        t.like(queue(vm, 'scheduler'), r'\[none\]', 'mq: no scheduler')
        t.is_(queue(vm, 'nomerges'), '2', 'mq: no merging')


def zeroing(t, vm, mode):
    """What is zeroed, and what is beside it."""
    kib, mib = 1 << 10, 1 << 20
    for what, call, where, length in (
            ('discard', f'blkdiscard -f -o {mib} -l {5 * mib}', mib, 5 * mib),
            ('discard of a block', 'blkdiscard -f -o 4608 -l 512', 4608, 512),
            ('discard in pieces', f'echo {mib} > {QUEUE}/discard_max_bytes; blkdiscard -f -o 512 -l {4 * mib}',
             512, 4 * mib),
            ('write zeroes', f'blkdiscard -f -z -o {mib} -l {5 * mib}', mib, 5 * mib),
            ('write zeroes of a block', 'blkdiscard -f -z -o 4608 -l 512', 4608, 512),
            ('fallocate: zero', f'fallocate -z -o {64 * kib} -l {mib}', 64 * kib, mib),
            ('fallocate: punch', f'fallocate -p -o {64 * kib} -l {4 * kib}', 64 * kib, 4 * kib)):
        fill = where + length + mib
        pio(vm, f'w {CHR} 0 {fill}')
        vm.sh(f'blockdev --flushbufs {DISK}; {call} {DISK}')
        try_pio(t, vm, f'{mode}: {what}',
                (f'-z r {CHR} {where} {length}', str(length), 'there are zeros'),
                (f'-c r {CHR} 0 {where}', str(where), 'not before'),
                (f'-c r {CHR} {where + length} {mib}', str(mib), 'nor behind'))
    t.like(vm.sh(f'blkdiscard -f -s -l {mib} {DISK}', check=False).err, 'not supported',
           f'{mode}: no secure erase')
    vm.sh(f'echo 0 > {QUEUE}/discard_max_bytes')
    t.like(vm.sh(f'blkdiscard -f -l {mib} {DISK}', check=False).err, 'not supported',
           f'{mode}: discards can be switched off')
    configure(vm)


def requests(t, vm, mode):
    """Single reads and writes; what was written is checked by the other view."""
    big = 4 << 20
    for what, write, read in (
            ('a block', f'-d w {DISK} 512 512', f'-c r {CHR} 512 512'),
            ('a block by the char node', f'-k 1 w {CHR} 512 512', f'-d -c -k 1 r {DISK} 512 512'),
            ('the last block', f'-d w {DISK} {SIZE - 512} 512', f'-c r {CHR} {SIZE - 512} 512'),
            ('FUA', f'-d -s -k 2 w {DISK} 4096 4096', f'-c -k 2 r {CHR} 4096 4096'),
            ('NOWAIT', f'-d -n -k 3 w {DISK} 4096 4096', f'-d -n -c -k 3 r {DISK} 4096 4096'),
            ('a buffer at 4 bytes', f'-d -b 4 -k 4 w {DISK} 4096 8192', f'-d -b 4092 -c -k 4 r {DISK} 4096 8192'),
            ('a buffer at 4 bytes, large', f'-d -b 4 w {DISK} 512 {big}', f'-d -b 516 -c r {DISK} 512 {big}'),
            ('more than a request', f'-d -k 5 w {DISK} 1536 {5 * big}', f'-d -c -k 5 r {DISK} 1536 {5 * big}'),
            ('huge pages', f'-d -h -k 6 w {DISK} 8192 {2 * big}', f'-d -h -c -k 6 r {DISK} 8192 {2 * big}'),
            ('huge pages, at odd places', f'-d -h -b 1540 -k 7 w {DISK} 3584 {big + 512}',
             f'-d -h -b 2097148 -c -k 7 r {DISK} 3584 {big + 512}'),
            ('buffered', f'-k 8 w {DISK} 100 99999', f'-c -k 8 r {DISK} 100 99999')):
        length = write.split()[-1]
        t.is_(pio(vm, write, read), [length, length], f'{mode}: {what}', f'pio {write}; pio {read}')

    try_pio(t, vm, mode,
            (f'-d -b 2 w {DISK} 0 512', 'EINVAL', 'a buffer at 2 bytes is refused'),
            (f'-d w {DISK} 0 256', 'EINVAL', 'half a block, too'),
            (f'-d w {DISK} 256 512', 'EINVAL', 'and where none begins'),
            (f'-d r {DISK} {SIZE} 512', '0', 'no read behind the end'),
            (f'-d r {DISK} {SIZE - 512} 1024', '512', 'nor over it'),
            (f'-d w {DISK} {SIZE} 512', 'ENOSPC', 'no write behind the end'),
            (f'-d w {DISK} {SIZE - 512} 1024', '512', 'nor over it'))
    t.is_(vm.sh(f'dd if=/dev/zero of={DISK} bs=4k count=10 conv=fsync; sync {DISK}', check=False).rc, 0,
          f'{mode}: flush')

    # Requests much smaller than what is asked for.
    was = queue(vm, 'max_sectors_kb')
    vm.sh(f'echo 16 > {QUEUE}/max_sectors_kb')
    t.is_(pio(vm, f'-d -k 9 w {DISK} 1536 {big}', f'-d -b 512 -c -k 9 r {DISK} 1536 {big}'), [str(big)] * 2,
          f'{mode}: requests of 16 KiB')
    vm.sh(f'echo {was} > {QUEUE}/max_sectors_kb')


def fio(t, vm, what, args, says=None):
    """Run fio with verification: it must succeed, or fail with an error that it names."""
    result = vm.sh(f'fio --name=v --filename={DISK} --size=1M --rw=randrw --bs=4k --direct=1 --verify=crc32c '
                   f'--verify_fatal=1 --randrepeat=0 --ioengine=io_uring --iodepth=16 {args}',
                   timeout=120, check=False)
    good = says in result.err + result.out if says else not result.rc
    t.ok(good, what, (result.out + result.err)[-1500:])


def polling(t, vm, mode):
    if mode == 'mq':
        t.is_(queue(vm, 'io_poll'), '1', 'mq: polling')
        t.is_(vm.sh('cat /sys/kernel/debug/block/karrayb0/hctx*/type').out.split(), ['default', 'default', 'poll'],
              'mq: by a queue of its own')
        fio(t, vm, 'mq: io_uring, polled', '--hipri')
        fio(t, vm, 'mq: io_uring, polled, all at once', '--hipri --iodepth_batch=16 --fixedbufs --registerfiles')
        fio(t, vm, 'mq: io_uring, polled, more than a request', '--hipri --bs=4M --size=16M --iodepth=2')
        configure(vm, poll_queues=0)
    t.is_(queue(vm, 'io_poll'), '0', f'{mode}: no polling')
    # Older kernels then do the I/O all the same.
    fio(t, vm, f'{mode}: no polling: io_uring is told', '--hipri',
        None if vm.kernel == '6.1' else 'Operation not supported')
    # To poll is but a wish of preadv2() and pwritev2().
    try_pio(t, vm, f'{mode}: no polling',
            (f'-d -p -k 2 w {DISK} 0 4096', '4096', 'pwritev2'),
            (f'-d -p -c -k 2 r {DISK} 0 4096', '4096', 'preadv2'))
    configure(vm, poll_queues=1)


def merging_and_schedulers(t, vm):
    """Only for requests: bios are neither merged nor put in order."""
    def merges():
        fields = vm.sh('cat /sys/block/karrayb0/stat').out.split()
        return int(fields[1]) + int(fields[5])

    sequential = '--rw=rw --iodepth_batch=16'
    before = merges()
    fio(t, vm, 'mq: nothing is merged', sequential)
    t.is_(merges() - before, 0, 'mq: so it is')
    vm.sh(f'echo 0 > {QUEUE}/nomerges')
    fio(t, vm, 'mq: merged where wanted', sequential)
    t.ok(merges() > before, 'mq: so it is')

    for scheduler in ('mq-deadline', 'kyber', 'bfq', 'none'):
        vm.sh(f'modprobe -a kyber-iosched bfq; echo {scheduler} > {QUEUE}/scheduler')
        t.like(queue(vm, 'scheduler'), rf'\[{scheduler}\]', f'mq: {scheduler}')
        fio(t, vm, f'mq: {scheduler}: verified', f'{sequential} --numjobs=2 --offset_increment=16M')
    vm.sh(f'echo 2 > {QUEUE}/nomerges')


def counted(vm, command, disk='karrayb0'):
    """What a command adds to the statistics of a disk or partition."""
    stat = f'cat /sys/class/block/{disk}/stat'
    before, after = (list(map(int, line.split()))
                     for line in vm.sh(f'{stat}; {command}; {stat}').out.splitlines())
    counts = {name: after[field] - before[field] for name, field in STAT.items()}
    return {name: count for name, count in counts.items() if count}


def statistics(t, vm, mode):
    zeros = 'dd if=/dev/zero bs=64k oflag=direct 2>/dev/null'
    calls = [
        ('reads', 'dd if={} of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null',
         {'reads': 16, 'sectors read': 2048}),
        ('writes', zeros + ' of={} count=8', {'writes': 8, 'sectors written': 1024}),
        ('discards', 'blkdiscard -f -o 1M -l 2M {}', {'discards': 1, 'sectors discarded': 4096}),
        ('zeroes', 'blkdiscard -f -z -l 512K {}', {'writes': 1, 'sectors written': 1024}),
    ]
    vm.sh(f'wipefs -qa {DISK}; echo "2048,8M,L" | sfdisk -q {DISK}; blockdev --flushbufs {DISK}')
    for what, command, want in calls:
        for disk in ('karrayb0', 'karrayb0p1'):
            t.is_(counted(vm, command.format('/dev/karrayb0p1'), disk), want,
                  f'{mode}: {what} on a partition are counted by {disk}')
    for what, command, want in calls:
        if what == 'reads':
            t.is_(counted(vm, command.format(DISK), 'karrayb0p1'), {},
                  f'{mode}: {what} of the disk are not counted by the partition')
        t.is_(counted(vm, command.format(DISK)), want,
              f'{mode}: {what} of the disk are counted')
    t.is_(vm.sh('cat /sys/block/karrayb0/inflight').out.split(), ['0', '0'], f'{mode}: nothing is in flight')

    vm.sh(f'echo 0 > {QUEUE}/iostats')
    t.is_(counted(vm, calls[0][1].format(DISK)), {}, f'{mode}: statistics off: nothing is counted')
    vm.sh(f'echo 1 > {QUEUE}/iostats')
    t.is_(counted(vm, calls[0][1].format(DISK)), calls[0][2], f'{mode}: and on again')


def not_added(t, vm, mode):
    online = '/sys/bus/karray/devices/karray0/online'
    vm.sh(f'echo 0 > {online}; insmod /root/karray_fail.ko')
    t.like(vm.sh(f'echo 1 > {online} || dmesg | tail -n 1', check=False).out, 'disk: error -12, stays offline',
           f"{mode}: a disk that can't be added")
    t.is_(vm.sh(f'cat {online}; ls /dev/karray*', check=False).out, '0\n', f'{mode}: stays offline')
    vm.sh('rmmod karray_fail')
    t.is_(vm.sh(f'echo 1 > {online}; blockdev --getsz /dev/karrayb0').out.strip(), str((512 << 20) // 512),
          f'{mode}: a second time it can')


with guest_test(dimms=[('hp_dimm0', '512M')]) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    for mode in ('mq', 'bio'):
        configure(vm, queue_mode=mode)
        properties(t, vm, mode)
        zeroing(t, vm, mode)
        requests(t, vm, mode)
        polling(t, vm, mode)
        if mode == 'mq':
            merging_and_schedulers(t, vm)
        statistics(t, vm, mode)
        not_added(t, vm, mode)
