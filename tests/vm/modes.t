#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""fio's verification: blocks of all sizes, by three engines, two jobs of each, all at
the same time, in both modes; and what was written in one mode, read in the other. With
KARRAY_TEST_LONG=1 for minutes."""

import os

from harness import configure, guest_test

LAPS = 8 if os.environ.get('KARRAY_TEST_LONG') == '1' else 1

# Block size, and bytes for a job of it.
SIZES = [('512', '512k'), ('4k', '2m'), ('64k', '8m'), ('1m', '16m')]
ENGINES = [('psync', ''),
           ('io_uring', 'iodepth=32\niodepth_batch=8'),
           ('libaio', 'iodepth=16\niodepth_batch=4')]

GLOBAL = '''[global]
filename=${KARRAY_DEV}
offset_increment=16m
numjobs=2
group_reporting
verify=crc32c
verify_fatal=1
verify_state_save=0
'''


def jobs():
    """A job file: each section has 32 MiB of the disk."""
    text = GLOBAL
    for n, (bs, size, engine, more) in enumerate((*size, *engine) for size in SIZES for engine in ENGINES):
        text += f'[{bs}-{engine}]\nbs={bs}\nsize={size}\noffset={32 * n}m\nioengine={engine}\n{more}\n'
    return text


def fio(t, vm, what, dev, args):
    result = vm.sh(f'KARRAY_DEV={dev} fio {args} /run/jobs.fio', timeout=600, check=False)
    t.is_(result.rc, 0, what, (result.out + result.err)[-3000:])


with guest_test(dimms=[('hp_dimm0', '512M')]) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    vm.sh(f"cat > /run/jobs.fio <<'END'\n{jobs()}END\n")

    for lap in range(LAPS):
        for mode, other in (('mq', 'bio'), ('bio', 'mq')):
            configure(vm, queue_mode=mode)
            seed = f'--randseed={2 * lap + (mode == "mq") + 1}'
            fio(t, vm, f'{mode}: random reads and writes, lap {lap + 1}', '/dev/karrayb0',
                '--rw=randrw --direct=1 --randrepeat=0')
            vm.sh('blkdiscard -f /dev/karrayb0')
            fio(t, vm, f'{mode}: random writes', '/dev/karrayb0', f'--rw=randwrite --direct=1 --do_verify=0 {seed}')
            configure(vm, queue_mode=other)
            fio(t, vm, f'which {other} finds', '/dev/karrayb0', f'--rw=randwrite --direct=1 --verify_only {seed}')
            fio(t, vm, f'{other}: through the page cache', '/dev/karrayb0', '--rw=randrw --randrepeat=0')
