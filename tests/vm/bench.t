#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The benchmark for real, as small as can be: every device is there and measured, by
both meters, and a run that lacks one fails. No figure matters."""

import contextlib
import io
import json
import os
import sys

from bench import measure
from bench.__main__ import run
from bench.devices import DEVICES
from bench.meters import meters
from bench.results import MODES
from harness import Tap
from harness.vm import BUILD, DEFAULT_KERNEL

KERNEL = DEFAULT_KERNEL
OUT = BUILD / KERNEL / 'bench-test'

COLUMNS = {'job': str, 'rw': str, 'bs': int, 'ioengine': str, 'iodepth': int, 'numjobs': int, 'device': str,
           'mode': str, 'meter': str, 'iops': float, 'mib_s': float, 'ns_per_io': float}
NAMES = [('brd', 'bio'), ('karray', 'bio'), ('karray', 'chr'), ('karray', 'mq'), ('memcpy', ''),
         ('null_blk', 'mq'), ('pmem', 'bio'), ('zram', 'bio')]

INSTRUCTIONS, WALL = meters(ios=1024, rounds=1).values()


def bench(*args, **kwargs):
    """A run's exit status, and what it printed."""
    words = io.StringIO()
    with contextlib.redirect_stdout(words):
        status = run(OUT, KERNEL, *args, **kwargs)
    return status, words.getvalue()


def read(name):
    return (OUT / name).read_text(encoding='utf-8')


if os.environ.get('KARRAY_KERNEL') not in (None, KERNEL):
    print(f'1..0 # SKIP the benchmark is the same with every kernel: tested with {KERNEL}')
    sys.exit()

t = Tap()
# The first MiB will do.
measure.FILL.options['size'] = '1m'

status, words = bench([INSTRUCTIONS, WALL], patterns='randread-4k-psync trim-64k mmap-* ext4-create dax-mmap-randread-4k '
                                           'dax-mmap-write-2m')
t.is_(status, 0, 'a run succeeds', words)
rows = json.loads(read('results.json'))


def devices_of(meter, job):
    return sorted((row['device'], row['mode']) for row in rows if row['meter'] == meter and row['job'] == job)


for meter in ('instructions', 'wall'):
    t.is_(devices_of(meter, 'randread-4k-psync'), NAMES, f'{meter}: every device is there, once')
MAPPED = [('karray', 'chr'), ('memcpy', ''), ('pmem', 'dax')]
t.is_(devices_of('instructions', 'mmap-fault-2m'), MAPPED, 'page faults: all that is mapped')
t.is_(devices_of('wall', 'mmap-read-1m'), MAPPED, 'loads: likewise')
t.is_(len(devices_of('wall', 'trim-64k')), 4, 'trim: every device that can')
t.is_(len(devices_of('wall', 'ext4-create')), 6, 'ext4: every disk')
for meter in ('instructions', 'wall'):
    t.is_(devices_of(meter, 'dax-mmap-write-2m'), [('karray', 'fsdax'), ('pmem', 'fsdax')], f'{meter}: DAX: both')
t.is_([row for row in rows if {column: type(value) for column, value in row.items()} != COLUMNS], [],
      'each row has all columns, of the right kinds')
t.is_([row for row in rows if min(row['iops'], row['mib_s'], row['ns_per_io']) <= 0], [], 'and figures')
t.is_({(row['rw'], row['bs'], row['ioengine'], row['iodepth'], row['numjobs']) for row in rows
       if row['job'] == 'randread-4k-psync'}, {('randread', 4096, 'psync', 1, 1)}, 'and what the job was')
facts = json.loads(read('run.json'))
t.is_(sorted(facts['ram']), sorted(MODES), 'System RAM is measured in both modes')
t.like(facts['meters']['instructions']['accel'], 'tcg.*icount', 'instructions are counted by the emulator')
t.like(read('report.md'), r'Linux \d+\.\d+.*\n(.*\n)*.*accelerator', 'the report tells where it was made')
for plot in ('instructions.svg', 'iops.svg'):
    t.like(read(plot), '<svg', f'{plot} is there')

# Without a peer.
devices = [device._replace(setup='modprobe no-such-module') if device.device == 'brd' else device
           for device in DEVICES if device.device in ('karray', 'brd')]
status, words = bench([WALL], devices, patterns='randread-4k-psync')
t.is_(status, 1, 'without brd a run fails', words)
t.like(words, r'\*\*\* brd is missing:', 'and says so')
t.like(read('report.md'), r'brd is missing:(.*\n)*', 'in the report as well')
t.is_([row for row in json.loads(read('results.json')) if row['device'] == 'brd'], [], 'it has no rows')
t.ok(json.loads(read('results.json')), 'the others have')
sys.exit(t.done())
