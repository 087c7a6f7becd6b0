#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Two programs of random calls (tests/guest/fuzz.c), each on a device of its own, and then
loads with random parameters: no trouble, what nobody calls on is as before, and all is
let go.  KARRAY_SEED repeats the calls, KARRAY_CALLS says how many."""

import os
import random
import time

from harness import BUS, guest_test

CALLS = int(os.environ.get('KARRAY_CALLS', '50000'))
LOADS = max(CALLS // 1000, 10)

# Seconds: how long the callers may get no further, and how often that is looked at and told.
STUCK = 60
LOOK = 15

# A DIMM is karray0, and regions come after that.
REGIONS = '16M@4G,16M@0x101000000'


def counts(result):
    """{kind: (calls, of which succeeded, milliseconds)}, as fuzz prints it."""
    lines = [line.rsplit(' ', 3) for line in result.out.splitlines() if not line.startswith('#')]
    return {kind: (int(calls), int(good), int(ms)) for kind, calls, good, ms in lines}


def wait(t, vm, jobs, of):
    """Until all callers have come to their ends.  If they get no further they are killed, and the
    kernel says where the CPUs are."""
    made, look, deadline = None, time.monotonic() + LOOK, 0
    while any(job.poll() is None for job in jobs):
        vm.idle(0.5)
        if time.monotonic() < look:
            continue
        look += LOOK
        before, made = made, vm.sh('cat /run/fuzz*', check=False).out.split()
        t.diag(f'{" and ".join(made)} of {of}')
        if made != before:
            deadline = vm.deadline(STUCK)
        elif time.monotonic() > deadline:
            vm.sh('echo l > /proc/sysrq-trigger; killall -KILL fuzz', check=False)
            t.fail(f'some call comes to no end, after {made}', vm.sh('dmesg | grep -v "I/O error" | tail -n 150').out)
    return [job.wait() for job in jobs]


with guest_test(dimms=[('hp_dimm0', '16M')], mem='3G', cmdline='memmap=64M$0x100000000') as (t, vm):
    seed = int(os.environ.get('KARRAY_SEED') or random.randrange(1 << 32))
    t.diag(f'KARRAY_SEED={seed} KARRAY_CALLS={CALLS}')
    vm.sh(f'insmod /root/karray.ko region={REGIONS}; head -c 16M /dev/urandom > /dev/karray2')
    # One more is in use all the time, and so can't be deleted.
    before = vm.sh('/root/ioctl /dev/karray2 checksum 0 0x1000000 0; sleep 100000 < /dev/karray2 > /dev/null 2>&1 &').out
    emulates = vm.sh('/root/ioctl32 /dev/karray 42', check=False).rc == 0

    jobs = [vm.spawn(f'exec /root/fuzz {seed + n} {CALLS // 2} {n}') for n in (0, 1)]
    results = wait(t, vm, jobs, f'{CALLS // 2} calls')
    for n, result in enumerate(results):
        t.is_(result.rc, 0, f'karray{n}: the caller comes to its end', result.out + result.err)
        found = counts(result)
        t.is_(found.get('all', (0,))[0], CALLS // 2, f'karray{n}: so many calls were made')
        for kind, (calls, good, ms) in found.items():
            t.diag(f'karray{n}: {kind}: {calls} calls, {good} succeeded, {ms / 1000:.1f} s')
        t.is_([kind for kind, (_, good, _) in found.items() if not good and (emulates or '32' not in kind)], [],
              f'karray{n}: some of each kind succeed')
    t.is_(vm.sh(f'cat {BUS}/karray[01]/users').out.split(), ['0', '0'], 'no user is left')
    t.is_(vm.sh('/root/ioctl /dev/karray2 checksum 0 0x1000000 0').out, before, 'karray2 is as it was')
    t.is_(vm.sh('grep . /sys/block/karrayb2/badblocks', check=False).out, '', 'and has no bad sectors')

    vm.sh('kill $(pidof sleep); sleep 0.5; rmmod karray')
    vm.sh('rm /run/fuzz*')
    loads, = wait(t, vm, [vm.spawn(f'exec /root/fuzz {seed} {LOADS} /root/karray.ko')], f'{LOADS} loads')
    t.diag(f'loads: {LOADS}, {counts(loads)["all"][1]} succeeded')
    t.ok(0 < counts(loads)['all'][1] < LOADS, 'some random parameters are good, and some are not', loads.out)
    vm.sh(f'insmod /root/karray.ko region={REGIONS}')
    t.is_(vm.sh('/root/ioctl /dev/karray2 checksum 0 0x1000000 0').out, before, 'after all, karray2 is as it was')
