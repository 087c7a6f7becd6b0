# SPDX-License-Identifier: GPL-2.0
"""Where the instructions go: how many each function of the kernel takes of an I/O.

A plugin in QEMU's emulator counts what is executed, exactly. The start and the end of
fio fall out by taking the difference between a long and a short run of the job.
"""

import bisect
import collections
import os
import subprocess
import time

from harness import VMTimeout
from harness.vm import TOP

from .guest import Guest
from .jobs import AREA, FAULT
from .measure import FILL, fault_command, fio_command
from .meters import METERS, by_count

SHORT, LONG = 10240, 61440      # I/Os, whole laps of FAULT
KERNEL_SPACE = 1 << 63
LEAST = 3                       # instructions of an I/O that are worth a line


class InstructionCounter:
    """The plugin, see insn_count.c."""

    def __init__(self, directory):
        directory.mkdir(parents=True, exist_ok=True)
        self.plugin = directory / 'insn_count.so'
        self.fifo = directory / 'insn_count.fifo'
        self.counts = directory / 'insn_count.txt'
        subprocess.run(['gcc', '-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-pthread',
                        '-o', self.plugin, TOP / 'scripts/bench/insn_count.c'], check=True)
        self.fifo.unlink(missing_ok=True)
        os.mkfifo(self.fifo)
        self.qemu_args = ['-plugin', f'{self.plugin},fifo={self.fifo}']

    def _command(self, line):
        self.fifo.write_text(f'{line}\n', encoding='ascii')

    def reset(self):
        self._command('reset')

    def read(self, timeout=60):
        """The (address, instructions) of each block of code since the last reset."""
        self.counts.unlink(missing_ok=True)
        self._command(self.counts)
        deadline = time.monotonic() + timeout
        while not self.counts.exists():
            if time.monotonic() > deadline:
                raise VMTimeout('no counts from QEMU')
            time.sleep(0.05)
        for line in self.counts.read_text(encoding='ascii').splitlines():
            address, insns, times = line.split()
            yield int(address, 16), int(insns) * int(times)


class Symbols:
    """The functions of a guest's kernel and its modules."""

    def __init__(self, kallsyms):
        table = sorted((int(address, 16), name) for address, kind, name, *_ in
                       map(str.split, kallsyms.splitlines()) if kind in 'tTwW')
        self.addresses = [address for address, _ in table]
        self.names = [name for _, name in table]

    def name(self, address):
        if address < KERNEL_SPACE:
            return '(user space)'
        index = bisect.bisect_right(self.addresses, address) - 1
        return self.names[index] if index >= 0 else '(unknown)'


def table(job, profiles):
    """Markdown: functions by what they take at most; those that take little are one
    line together. @profiles: a Counter for each device's name."""
    most = collections.Counter()
    for profile in profiles.values():
        for name, count in profile.items():
            most[name] = max(most[name], count)
    rows = [(name, [profile[name] for profile in profiles.values()])
            for name, count in most.most_common() if count >= LEAST]
    little = [name for name, count in most.items() if count < LEAST]
    rows.append(('(all others)', [sum(profile[name] for name in little)
                                  for profile in profiles.values()]))
    rows.append(('**all**', [sum(profile.values()) for profile in profiles.values()]))
    lines = [f'Instructions of an I/O by function: {job.name}', '',
             '| ' + ' | '.join(['function', *profiles]) + ' |',
             '| --- |' + ' ---: |' * len(profiles)]
    lines += [f'| {name} | ' + ' | '.join(f'{count:.0f}' for count in counts) + ' |'
              for name, counts in rows]
    return '\n'.join(lines) + '\n'


def command(job, device, ios):
    """The shell command that has a @device do so many I/Os."""
    if job is FAULT:
        return fault_command([device], ios * job.bs // AREA)
    return fio_command(job, [device], by_count(ios))


def profile(out, job, devices, kernel, say):
    """Write the profile of @job on @devices into the directory @out."""
    counter = InstructionCounter(out)
    meter = METERS['instructions']
    meter = meter._replace(qemu_args=[*meter.qemu_args, *counter.qemu_args])
    guest = Guest('bench-profile', meter, kernel=kernel)
    profiles = {}
    try:
        guest.prepare()
        devices = [device for device in devices if device.takes(job)]
        for device in devices:
            problem = guest.set_up(device)
            if problem:
                say(f'*** {device.name} is missing: {problem}')
                return 1
        guest.run([fio_command(FILL, [device for device in devices if 'io' in device.can])])
        symbols = Symbols(guest.sh('cat /proc/kallsyms', timeout=120).out)
        for device in devices:
            counts = collections.Counter()
            for ios, sign in ((SHORT, -1), (LONG, 1)):
                counter.reset()
                guest.run([command(job, device, ios)])
                for address, insns in counter.read():
                    counts[symbols.name(address)] += sign * insns / ((LONG - SHORT) * device.part)
            profiles[device.name] = counts
            say(f'{device.name}: {sum(counts.values()):.0f} instructions of an I/O')
        guest.poweroff()
    finally:
        guest.close()
    path = out / f'profile-{job.name}.md'
    path.write_text(table(job, profiles), encoding='utf-8')
    say(f'see {os.path.relpath(path)}')
    return 0
