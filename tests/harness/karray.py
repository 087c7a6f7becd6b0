# SPDX-License-Identifier: GPL-2.0
"""What many tests do with karray's devices in a guest."""

import collections
import os
import pathlib
import re
import statistics

from .vm import DEFAULT_KERNEL

DOCS = pathlib.Path(__file__).resolve().parents[2] / 'docs'
BUS = '/sys/bus/karray/devices'
DRIVER = '/sys/bus/acpi/drivers/karray'
BADBLOCKS = '/sys/block/karrayb0/badblocks'


def configure(vm, device='karray0', **settings):
    """Take a device offline, change its settings, and bring it back."""
    changes = ''.join(f'echo {value} > {name}; ' for name, value in settings.items())
    vm.sh(f'set -e; cd {BUS}/{device}; echo 0 > online; {changes}echo 1 > online')


def plug(vm, dimm, size, device, **props):
    """Plug a DIMM and wait for its @device."""
    vm.plug(dimm, size, **props)
    vm.wait(f'[ "$(cat {BUS}/{device}/online)" = 1 ]', 60, f'{device} for {dimm}')


def pio(vm, *calls):
    """What came of reads and writes by pio.c, each call's arguments a string: bytes, or
    the error's name."""
    script = ''.join(f'/root/pio {args}; ' for args in calls)
    return vm.sh(script, check=False).out.splitlines()


def try_pio(t, vm, what, *calls):
    """A test point each for calls of pio.c: (arguments, what must come of it, why)."""
    for (args, want, why), got in zip(calls, pio(vm, *(call[0] for call in calls)), strict=True):
        t.is_(got, want, f'{what}: {why}', f'pio {args}')


def mark_bad(vm, *ranges):
    """Put "SECTOR COUNT" on the disk's list of bad sectors."""
    vm.sh('set -e; ' + ''.join(f'echo "{r}" > {BADBLOCKS}; ' for r in ranges))


def extents(vm, path):
    """Where on the disk a file is: (first page, pages)."""
    return [(int(first), int(pages)) for first, pages in
            re.findall(r'\d+: +\d+\.\. +\d+: +(\d+)\.\. +\d+: +(\d+):', vm.sh(f'filefrag -b4096 -v {path}').out)]


def pairings(vm, modes, kinds):
    """Pairs of a mode and a kind, half of those that there are: all modes, all kinds, and
    with the other kernels the other half. With KARRAY_TEST_LONG=1 all."""
    half = int(vm.kernel == DEFAULT_KERNEL)
    return [(mode, kind) for i, mode in enumerate(modes) for j, kind in enumerate(kinds)
            if (i + j) % 2 == half or os.environ.get('KARRAY_TEST_LONG') == '1']


def bad_sectors(vm):
    """The disk's list of bad sectors, "SECTOR COUNT" each."""
    return vm.sh(f'cat {BADBLOCKS}').out.splitlines()


# A DIMM, and as much memory that is set aside, for tests of what becomes of contents.
KEEPERS = {'dimms': [('hp_dimm0', '64M')], 'mem': '3G', 'cmdline': 'memmap=64M$0x100000000'}


def load_keepers(t, vm, what):
    """Load karray for KEEPERS; the devices' numbers."""
    vm.sh('insmod /root/karray.ko region=64M@0x100000000')
    t.is_(vm.sh(f'cat {BUS}/*/serial').out.split(), ['140000000-0x00', '100000000-region'],
          f'{what}: a DIMM and a region')
    return 0, 1


def _sum(vm, n):
    return vm.sh(f'/root/ioctl /dev/karray{n or ""} checksum 0 {64 << 20} 0', timeout=120).out.strip()


def fill(vm, n):
    """Put a file system with a file in one half of a device of 64 MiB, and random bytes in
    the other; their checksums, for survived()."""
    vm.sh(f'set -e; mkfs.ext4 -qF /dev/karrayb{n} 32M; mount /dev/karrayb{n} /mnt;'
          'head -c 4M /dev/urandom > /mnt/file; sha256sum < /mnt/file > /run/sum; umount /mnt;'
          'head -c 8M /dev/urandom > /run/random; for at in 32 40 48 56; do '
          f'dd if=/run/random of=/dev/karray{n or ""} bs=1M seek=$at 2>/dev/null; done; rm /run/random',
          timeout=300)
    return _sum(vm, n), vm.sh('cat /run/sum').out


def survived(t, vm, n, want, what):
    """A test point each for all the bytes that fill() left, and for the file."""
    t.is_(_sum(vm, n), want[0], f'{what}: karray{n} has the same bytes')
    t.is_(vm.sh(f'mount -o ro,noload /dev/karrayb{n} /mnt && sha256sum < /mnt/file; umount /mnt').out,
          want[1], f'{what}: the same file')


def free_memory(vm):
    """The guest's free memory, KiB, by NUMA node. Pages that CPUs keep at hand are as
    free as the others; caches are emptied for it."""
    pages = collections.Counter()
    vm.sh('sync; echo 3 > /proc/sys/vm/drop_caches; cat /proc/sys/vm/stat_refresh')
    for line in vm.sh("grep -E '^Node|nr_free_pages|count:' /proc/zoneinfo").out.splitlines():
        words = line.replace(',', '').split()
        if words[0] == 'Node':
            node = int(words[1])
        else:
            pages[node] += int(words[1])
    return {node: n * 4 for node, n in pages.items()}


def memory_cost(vm, device, rounds=5):
    """What a device that is online takes of the guest's memory, KiB, by NUMA node: the
    median of some rounds, for others take and give back memory at the same time."""
    costs = collections.defaultdict(list)
    for _ in range(rounds):
        free = []
        for online in (0, 1):
            vm.sh(f'echo {online} > {BUS}/{device}/online')
            vm.idle(0.3)    # what waits for a grace period of RCU is given back
            free.append(free_memory(vm))
        for node in free[0]:
            costs[node].append(free[0][node] - free[1][node])
    return {node: statistics.median(cost) for node, cost in costs.items()}


def recipe(doc, heading):
    """The shell commands of a document that come first below a heading."""
    text = (DOCS / doc).read_text(encoding='utf-8')
    return re.search(rf'(?ms)^#+ {re.escape(heading)}$(?:(?!^#).)*?^```sh$(.*?)^```$', text)[1]


def follow(vm, doc, heading, **replace):
    """Do what a document says below a heading, with some of its words replaced."""
    commands = recipe(doc, heading)
    for old, new in replace.items():
        commands = commands.replace(old, new)
    return vm.sh(f'set -e; {commands}', timeout=300)


def start_udev(vm):
    """udev runs as it does in a booted system, with Debian's rules and karray's."""
    vm.sh('echo disk:x:6: >> /etc/group; ln -s /usr/bin/udevadm /run/systemd-udevd;'
          '/run/systemd-udevd --daemon')
    vm.wait('udevadm control --ping', 20)


class Load:
    """A program that writes files in a directory and verifies them, over and over, until
    it is told to stop."""

    def __init__(self, vm, directory):
        self.vm = vm
        vm.sh('rm -f /run/stop')
        self.job = vm.spawn(
            f'while [ ! -e /run/stop ]; do fio --name=load --directory={directory} --size=4M '
            '--rw=randrw --bs=4k --direct=1 --ioengine=psync --rate_iops=500 --verify=crc32c '
            '--verify_fatal=1 --verify_state_save=0 --output=/run/fio || exit; echo >> /run/rounds; done')

    def rounds(self):
        """How often it has written and verified all."""
        return int(self.vm.sh('cat /run/rounds 2>/dev/null | wc -l').out)

    def stop(self):
        """Its Result: status 0 if it never met an error."""
        self.vm.sh('touch /run/stop')
        return self.job.wait(300)
