#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""QEMU is killed at random moments, while records.c writes to ext4 and XFS on DIMMs that
the host keeps in files. The next QEMU's guest must find every record that was synced, and
goes on writing.

Stores that the guest's CPU has made are in the file, killed or not; so what this shows is
that karray holds nothing back, and that file systems find on it the order that they asked
for. KARRAY_ROUNDS (2) is how often it's killed, KARRAY_SEED when."""

import collections
import contextlib
import os
import random
import re
import sys
import tempfile
import time

from harness import BUILD, DEFAULT_KERNEL, VM, Tap, console_problems, guest_test

ROUNDS = int(os.environ.get('KARRAY_ROUNDS', 2))
SEED = int(os.environ.get('KARRAY_SEED') or random.randrange(1 << 32))

# Device: what is on it, and how that is made and checked.
FILE_SYSTEMS = {
    '/dev/karrayb0': ('ext4', 'mkfs.ext4 -qF -b 4096 -E nodiscard', 'e2fsck -fn'),
    '/dev/karrayb1': ('xfs', 'mkfs.xfs -qfK', 'xfs_repair -n'),
}

dice = random.Random(SEED)


# Each queue mode with DAX and without, in turn; other kernels begin with the other two.
SETTINGS = [('mq', 0), ('bio', 1), ('bio', 0), ('mq', 1)]
FIRST = 0 if os.environ.get('KARRAY_KERNEL') in (None, DEFAULT_KERNEL) else 2


def settings(lap):
    return SETTINGS[(FIRST + lap) % len(SETTINGS)]


class Acks:
    """What guests have said over a port of their own: (directory, number) are synced."""

    def __init__(self, path):
        self.path = path
        self.last = collections.Counter()

    def qemu_args(self):
        return ['-chardev', f'file,id=acks,append=on,path={self.path}',
                '-device', 'virtserialport,chardev=acks,name=karray.acks']

    def read(self):
        with contextlib.suppress(FileNotFoundError), open(self.path, encoding='ascii') as file:
            for where, number in re.findall(r'(\S+) (\d+)\n', file.read()):
                self.last[where] = max(self.last[where], int(number))
        return self.last


def prepare(vm, lap):
    mode, dax = settings(lap)
    vm.sh(f'insmod /root/karray.ko queue_mode={mode} dax={dax}')
    for device, (kind, mkfs, _) in FILE_SYSTEMS.items():
        vm.sh(f'mkdir -p /mnt/{kind}' + ('' if lap else f'; {mkfs} {device}'), timeout=300)


def mount(vm, lap):
    _, dax = settings(lap)
    for device, (kind, _, _) in FILE_SYSTEMS.items():
        vm.sh(f'mount {device} /mnt/{kind} {"-o dax=always" if dax else ""}', timeout=300)


def check(t, vm, lap, acks, how):
    """All that was synced is there, and the file systems are sound; the numbers to go on with."""
    following = {}
    mount(vm, lap)
    for device, (kind, _, fsck) in FILE_SYSTEMS.items():
        last = acks.read()[f'/mnt/{kind}']
        result = vm.sh(f'/root/records check /mnt/{kind} {last}', check=False, timeout=300)
        t.ok(result.rc == 0, f'{how}: {kind}: {last} records are there', result.out + result.err)
        following[kind] = int(re.search(r'next (\d+)', result.out)[1])
        result = vm.sh(f'umount /mnt/{kind} && {fsck} {device} 2>&1', check=False, timeout=600)
        t.is_(result.rc, 0, f'{how}: {kind}: the file system is sound', result.out)
    return following


def write_until_killed(vm, lap, acks, following):
    """Some records in each file system, and up to two seconds more."""
    mount(vm, lap)
    vm.spawn('/root/with_port.sh karray.acks sh -c \'exec /root/records write "$1" ' +
             ' '.join(f'/mnt/{kind} {number}' for kind, number in following.items()) + "' -")
    vm.wait(lambda: all(acks.read()[f'/mnt/{kind}'] >= number + 20 for kind, number in following.items()),
            300, 'records to be written')
    vm.idle(dice.uniform(0, 2))
    vm.close()


tap = Tap()
tap.diag(f'{ROUNDS} rounds, KARRAY_SEED={SEED}')

with tempfile.TemporaryDirectory(dir=BUILD) as where:
    acks = Acks(f'{where}/acks')
    machine = {'dimms': [('hp_dimm0', '128M', f'{where}/dimm0'), ('hp_dimm1', '320M', f'{where}/dimm1')],
               'qemu_args': acks.qemu_args()}
    begin = time.monotonic()

    for lap in range(ROUNDS):
        how = f'kill {lap}, then {settings(lap)[0]}' + ', dax' * settings(lap)[1]
        vm = VM('crash', **machine)
        try:
            vm.start()
            prepare(vm, lap)
            following = check(tap, vm, lap, acks, how) if lap else dict.fromkeys(('ext4', 'xfs'), 1)
            write_until_killed(vm, lap, acks, following)
        finally:
            vm.close()
        tap.ok(not (problems := console_problems(vm.console())), f'{how}: a clean console', '\n'.join(problems))

    with guest_test(tap=tap, **machine) as (t, vm):
        prepare(vm, ROUNDS)
        check(t, vm, ROUNDS, acks, f'kill {ROUNDS}, the last')
    tap.diag(f'killed {ROUNDS} times in {time.monotonic() - begin:.0f} s; '
             f'records synced: {sum(acks.read().values())}')

sys.exit(tap.done())
