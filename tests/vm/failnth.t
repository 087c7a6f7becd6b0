#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Every allocation fails: of a load, a bind and an unbind, of going online and offline in
each mode, of a range that is created and deleted, of taking System RAM and giving it back,
of an open, a mapping, an ioctl and a mount. After each the state is what it was before,
and the next try succeeds.

KARRAY_STEP=5 fails every fifth only, KARRAY_DEPTH says how many callers up karray may be
(at most 32), and KARRAY_PLUGS how often a DIMM is plugged with some allocation failing."""

import os
import random
import re
import sys

from harness import BUS, DRIVER, Tap, configure, guest_test

STEP = int(os.environ.get('KARRAY_STEP', 1))
DEPTH = int(os.environ.get('KARRAY_DEPTH', 10))
PLUGS = int(os.environ.get('KARRAY_PLUGS', 20))
SEED = os.environ.get('KARRAY_SEED') or f'{random.getrandbits(32):08x}'

ONLINE = f'{BUS}/karray0/online'
STATE = f'{BUS}/karray0/state'
REGION = 'memmap=128M$0x100000000'

# Where modules are, with addresses that hold still: among the callers of what is failed
# there is one. karray's are the only ones to allocate in these calls.
MODULES = ('0xffffffffa0000000', '0xffffffffff000000')

# Not ours: bus_register() ends the life of a lock that it has not begun, ACPICA does wrong in
# many ways, and x86 warns where it can't make struct pages, which is why karray asks first
# whether there is enough memory. What lies between these symbols is left alone.
REJECT = {'insmod': ('bus_register', 'bus_add_device'),
          'acpi': ('acpi_ds_execute_arguments', 'acpi_acquire_mutex'),
          'dax': ('add_pages', 'arch_add_memory')}


def set_up(vm, reject=None):
    """Say what may be failed, and that nobody tells of it."""
    between = ('0', '0')
    if reject:
        between = (vm.sh(f"sed -n 's/^\\([0-9a-f]*\\) . {name}$/0x\\1/p' /proc/kallsyms").out.split()[0]
                   for name in REJECT[reject])
    settings = {'ignore-gfp-wait': 'N', 'verbose': 0, 'times': -1, 'stacktrace-depth': DEPTH,
                **dict(zip(('require-start', 'require-end'), MODULES)),
                **dict(zip(('reject-start', 'reject-end'), between))}
    for name, more in ('failslab', {}), ('fail_page_alloc', {'ignore-gfp-highmem': 'N', 'min-order': 0}):
        vm.sh('set -e; ' + ''.join(f'echo {value} > /sys/kernel/debug/{name}/{key}; '
                                   for key, value in {**settings, **more}.items()))


def fail_each(t, vm, what, call, undo='nothing', least=1, reject=None):
    """Fail each allocation of @call, at least so many."""
    set_up(vm, reject)
    said = vm.sh(f'/root/fail_nth {STEP} {call} / {undo} 2>&1', timeout=900, check=False)
    points, failed = map(int, re.findall(r'\d+', said.out)) if not said.rc else (0, 0)
    t.diag(f'{what}: {said.out}')
    t.ok(not said.rc and points >= least // STEP, f'{what}: no allocation that fails does harm',
         f'{points} allocations failed, {failed} calls\n{said.out[-2000:]}')
    return points


def plugs(t, vm):
    """A DIMM is plugged, in a worker of the kernel's, with some allocation failing: it is
    karray's or isn't, and always leaves."""
    dice = random.Random(SEED)
    refused = 0
    for plug in range(PLUGS):
        set_up(vm, 'acpi')
        vm.sh('dmesg -c > /dev/null; cd /sys/kernel/debug; for where in failslab fail_page_alloc; do '
              f'echo {dice.randrange(1, 60)} > $where/interval; echo 1 > $where/times; echo 100 > $where/probability; done')
        vm.plug('hp_dimm1', '128M')
        vm.wait('[ -e /sys/bus/acpi/devices/PNP0C80:01/physical_node ] || dmesg | grep -q PNP0C80:01', 60, 'the DIMM to be seen')
        vm.sh('for where in failslab fail_page_alloc; do echo 0 > /sys/kernel/debug/$where/probability; done')
        refused += vm.sh(f'[ -e {BUS}/karray1 ]', check=False).rc
        vm.unplug('hp_dimm1')
        t.is_(vm.unplug_result('hp_dimm1', 60), 'deleted', f'plug {plug}: the DIMM leaves')
    t.diag(f'{PLUGS} plugs, {refused} of them refused')
    return PLUGS


def devices(t, vm):
    """All calls, on a DIMM and a region, in each mode."""
    vm.sh('mkdir -p /mnt')
    total = fail_each(t, vm, 'load', 'insmod /root/karray.ko ""', 'rmmod karray', 20, 'insmod')
    vm.sh(f'insmod /root/karray.ko; echo PNP0C80:00 > {DRIVER}/unbind')
    total += fail_each(t, vm, 'bind', f'write {DRIVER}/bind PNP0C80:00', f'write {DRIVER}/unbind PNP0C80:00', 20, 'acpi')
    vm.sh(f'echo PNP0C80:00 > {DRIVER}/bind')
    total += fail_each(t, vm, 'unbind', f'write {DRIVER}/unbind PNP0C80:00', f'write {DRIVER}/bind PNP0C80:00', 1, 'acpi')
    total += fail_each(t, vm, 'create', 'write /sys/bus/karray/create 128M@0x100000000',
                       'write /sys/bus/karray/delete karray1', 20)

    for mode, settings in ('mq', {}), ('bio', {'queue_mode': 'bio'}), ('dax', {'queue_mode': 'mq', 'dax': 1}):
        configure(vm, **settings)
        option = 'dax=always' if mode == 'dax' else '""'
        total += sum(fail_each(t, vm, f'{mode}: {call.split()[0]} {call.split()[1]}', call, least=0) for call in (
            'open /dev/karray', 'open /dev/karrayb0', f'map /dev/karray {4 << 20}', f'fill /dev/karray {1 << 20}',
            f'checksum /dev/karray {1 << 20}', f'direct /dev/karray {1 << 20}', f'direct /dev/karrayb0 {1 << 20}'))
        vm.sh('mkfs.ext4 -qF -b 4096 /dev/karrayb0')
        total += fail_each(t, vm, f'{mode}: mount', f'mount /dev/karrayb0 ext4 {option}', 'umount', 0)
        total += fail_each(t, vm, f'{mode}: offline', f'write {ONLINE} 0', f'write {ONLINE} 1', 0)
        vm.sh(f'echo 0 > {ONLINE}')
        total += fail_each(t, vm, f'{mode}: online', f'write {ONLINE} 1', f'write {ONLINE} 0', 10,
                           mode if mode in REJECT else None)
        vm.sh(f'echo 1 > {ONLINE}')
    return total + plugs(t, vm)


def system_ram(t, vm):
    """Taking a DIMM from System RAM, and giving it back."""
    total = fail_each(t, vm, 'load beside System RAM', 'insmod /root/karray.ko ""', 'rmmod karray', 20, 'insmod')
    vm.sh('insmod /root/karray.ko')
    give, take = f'write {STATE} system-ram', f'write {STATE} online'
    total += fail_each(t, vm, 'take', take, give, 20, 'acpi')
    vm.sh(f'echo online > {STATE}', timeout=60)
    return total + fail_each(t, vm, 'give back', give, take, 1, 'acpi')


if os.environ.get('KARRAY_KERNEL') != 'debug':
    print('1..0 # SKIP this kernel injects no faults')
    sys.exit()

# The kernel shows who asked when it can't make a cache of objects, as for a disk's bios.
# What is worse has a line of its own.
TOLD = ['Call Trace']

t = Tap()
t.diag(f'KARRAY_SEED={SEED}')
count = 0
with guest_test('failnth', tap=t, kmemleak=True, dimms=[('hp_dimm0', '128M')], mem='3G', cmdline=REGION,
                allow=TOLD) as (t, vm):
    count += devices(t, vm)
with guest_test('failnth.ram', tap=t, kmemleak=True, dimms=[('hp_dimm0', '128M')], memhotplug=True,
                cmdline='memhp_default_state=online_movable', allow=TOLD) as (t, vm):
    count += system_ram(t, vm)
t.diag(f'{count} allocations failed')
sys.exit(t.done())
