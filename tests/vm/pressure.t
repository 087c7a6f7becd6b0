#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""More memory is wanted than there is: swap on a DIMM has to take it, while ext4 and XFS on
two others are written, with fsync after each write. All get on, all the time, and what
comes back from swap is what went there; in one queue mode with each kernel, or in both with
KARRAY_TEST_LONG=1.  KARRAY_SECONDS makes it longer."""

import os
import time

from harness import BUS, configure, guest_test, pairings

SECONDS = int(os.environ.get('KARRAY_SECONDS', '5'))
PATIENCE = 600

ROLES = {'ext4': 'append /mnt/ext4/file', 'xfs': 'append /mnt/xfs/file'}


def value(vm, file, name):
    return int(vm.sh(f"sed -n 's/^{name}:* *\\([0-9]*\\).*/\\1/p' /proc/{file}", timeout=PATIENCE).out)


def progress(vm, labels):
    out = vm.sh(f'cd /run; cat {" ".join(f"storm.{label}" for label in labels)}', timeout=PATIENCE).out
    return [int(line.split()[0]) for line in out.splitlines()]


with guest_test(dimms=[(f'hp_dimm{n}', '512M') for n in range(3)], mem='768M') as (t, vm):
    vm.sh('insmod /root/karray.ko; mkdir -p /mnt/ext4 /mnt/xfs')
    for mode, _ in pairings(vm, ('bio', 'mq'), ['swap']):
        for n in range(3):
            configure(vm, f'karray{n}', queue_mode=mode)
        vm.sh('set -e; rm -f /run/stop; mkswap /dev/karrayb0; swapon /dev/karrayb0;'
              'mkfs.ext4 -qF /dev/karrayb1; mkfs.xfs -qf /dev/karrayb2;'
              'mount /dev/karrayb1 /mnt/ext4; mount /dev/karrayb2 /mnt/xfs', timeout=PATIENCE)
        # As much as there is altogether, which others have a part of.
        mib = value(vm, 'meminfo', 'MemTotal') >> 10
        swapped = value(vm, 'vmstat', 'pswpout'), value(vm, 'vmstat', 'pswpin')
        labels = {**ROLES, 'hog': f'hog {mib}'}
        jobs = {label: vm.spawn(f'exec /root/storm {label} {role}') for label, role in labels.items()}
        vm.wait(' && '.join(f'[ -s /run/storm.{label} ]' for label in labels), PATIENCE, 'all to begin')

        end = time.monotonic() + SECONDS
        longest = windows = 0
        # At least so often all get on, whatever the machine's speed, and in swap as well.
        while time.monotonic() < end or windows < 3 or value(vm, 'vmstat', 'pswpin') - swapped[1] < 1000:
            begin, before = time.monotonic(), progress(vm, labels)
            vm.wait(lambda before=before: all(map(int.__gt__, progress(vm, labels), before)), PATIENCE,
                    f'ext4, XFS and the hog to get on from {before}')
            longest = max(longest, time.monotonic() - begin)
            windows += 1
        t.ok(True, f'{mode}: all get on, {windows} times')
        t.diag(f'{mode}: {mib} MiB wanted, of as many; longest wait for all to get on: {longest:.1f} s')
        t.diag(f'{mode}: pages out {value(vm, "vmstat", "pswpout") - swapped[0]}, '
               f'in {value(vm, "vmstat", "pswpin") - swapped[1]}')

        vm.sh('touch /run/stop', timeout=PATIENCE)
        for label, job in jobs.items():
            result = job.wait(PATIENCE)
            t.diag(f'{mode}: {label}: {result.out.strip()}')
            t.is_(result.rc, 0, f'{mode}: {label}: nothing wrong was seen', result.out + result.err)
        vm.sh('set -e; umount /mnt/ext4 /mnt/xfs; swapoff /dev/karrayb0; e2fsck -fn /dev/karrayb1;'
              'xfs_repair -n /dev/karrayb2', timeout=PATIENCE)
        t.is_(vm.sh(f'cat {BUS}/*/users').out.split(), ['0'] * 3, f'{mode}: no user is left')
