# SPDX-License-Identifier: GPL-2.0
"""What many tests do with karray's devices in a guest."""

BUS = '/sys/bus/karray/devices'
BADBLOCKS = '/sys/block/karrayb0/badblocks'


def configure(vm, device='karray0', **settings):
    """Take a device offline, change its settings, and bring it back."""
    changes = ''.join(f'echo {value} > {name}; ' for name, value in settings.items())
    vm.sh(f'set -e; cd {BUS}/{device}; echo 0 > online; {changes}echo 1 > online')


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


def bad_sectors(vm):
    """The disk's list of bad sectors, "SECTOR COUNT" each."""
    return vm.sh(f'cat {BADBLOCKS}').out.splitlines()
