#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""System RAM that can't be taken, though nothing is in its way: of a DIMM that is just
leaving, of DIMMs that the memory hotplug believes to have as a whole, and hasn't, and
where memory is bad; which can't be given back, either. Blocks that describe themselves
can. What is interrupted leaves all blocks in their zones."""

from harness import BUS, Tap, guest_test

MEMORY = '/sys/devices/system/memory'
MOVABLE = 'memhp_default_state=online_movable'


def listed(vm, last):
    vm.wait(f'[ -e {BUS}/karray0/state ] && grep -q online {MEMORY}/memory{last}/state', 60,
            'a DIMM that is online')


def refused(t, vm, what, why="the kernel's memory hotplug doesn't have all of the DIMM"):
    """Neither the dry run nor the real one does it, and both say why."""
    t.is_(vm.sh(f'cat {BUS}/karray0/takeable').out, f'no: {why}\n', f'{what}: the dry run says no')
    result = vm.sh('karrayctl take karray0', check=False)
    t.is_((result.rc, result.err.split('\n')[0]), (1, f'karrayctl: karray0: stays System RAM: {why}'), f'{what}: refused')
    t.is_(vm.sh(f'cat {BUS}/karray0/state').out, 'system-ram\n', f'{what}: it stays what it was')


t = Tap()

with guest_test('ramrefuse', dimms=[], memhotplug=True, cmdline=MOVABLE, tap=t) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    for lap in range(5):
        vm.plug(f'dimm{lap}', '512M', slot=0)
        listed(vm, 35)
        # They wait for the eject to let go of the lock, and so may come before the work
        # that finds out what has become of the DIMM.
        vm.sh(f'(while grep -q online {MEMORY}/memory32/state; do :; done; '
              f'for i in 1 2 3 4 5 6 7 8; do (echo offline > {BUS}/karray0/state) & done; wait) '
              '> /dev/null 2>&1 & echo $! > /run/wishers')
        vm.unplug(f'dimm{lap}')
        t.is_(vm.unplug_result(f'dimm{lap}', 120), 'deleted', f'lap {lap}: a DIMM leaves')
        vm.wait('[ ! -e /proc/$(cat /run/wishers) ]', 60, 'the end of the wishes')
        vm.wait(f'[ ! -e {BUS}/karray0 ]', 30, 'its device to go')
        t.ok(True, f'lap {lap}: and nobody takes what has left')

    # Taken, it is ejected while the module goes, in either order.
    for lap in range(3):
        vm.plug(f'both{lap}', '256M', slot=0)
        listed(vm, 33)
        vm.sh(f'echo offline > {BUS}/karray0/state', timeout=60)
        vm.sh(f'echo 1 > /sys/bus/acpi/devices/PNP0C80:00/eject & sleep 0.0{lap * 2}; rmmod karray; wait',
              check=False, timeout=120)
        vm.wait('[ ! -e /sys/module/karray ]', 60, 'the module to go')
        if vm.sh('[ $(cat /sys/bus/acpi/devices/PNP0C80:00/status) = 0 ]', check=False).rc:
            vm.unplug(f'both{lap}')
            t.is_(vm.unplug_result(f'both{lap}', 120), 'deleted', f'unload first, lap {lap}: then it leaves')
        else:
            t.ok(True, f'eject first, lap {lap}')
        vm.sh('insmod /root/karray.ko')
        t.is_(vm.sh(f'ls {BUS}').out, '', f'lap {lap}: no device')

with guest_test('ramrefuse_claimed', dimms=[], memhotplug=True, cmdline='memmap=512M$4G', tap=t) as (t, vm):
    vm.sh('insmod /root/karray.ko region=512M@4G')
    vm.plug('hp_dimm0', '512M', slot=0)
    vm.wait('[ -e /sys/bus/acpi/devices/PNP0C80:00/status ] && '
            '[ $(cat /sys/bus/acpi/devices/PNP0C80:00/status) = 15 ]', 30, 'the DIMM')
    vm.idle(1)
    t.is_(vm.sh(f'ls {BUS}; cat {BUS}/*/origin').out.split(), ['karray0', 'region:0x100000000'],
          'a DIMM that comes where a region is has no device')
    vm.sh('echo karray0 > /sys/bus/karray/delete; rmmod karray; insmod /root/karray.ko')
    vm.wait(f'[ -e {BUS}/karray0/state ]', 30, 'its device')
    refused(t, vm, 'a DIMM that was claimed when it came')

# Memory that was there at boot, and ends amid a block.
with guest_test('ramrefuse_boot', dimms=[('hp_dimm0', '576M')], memhotplug=True, mem='2G',
                cmdline='movable_node memmap=512M@4G',
                qemu_args=['-object', 'memory-backend-ram,id=ram0,size=2G',
                           '-numa', 'node,nodeid=0,cpus=0-1,memdev=ram0', '-numa', 'node,nodeid=1'],
                tap=t) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    vm.wait(f'[ -e {BUS}/karray0/state ]', 30, 'its device')
    refused(t, vm, 'a DIMM that was memory at boot')

with guest_test('ramrefuse_memmap', dimms=[], memhotplug=True,
                cmdline=f'{MOVABLE} memory_hotplug.memmap_on_memory=1', tap=t) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    vm.plug('hp_dimm0', '128M', slot=0)
    listed(vm, 32)
    t.is_(vm.sh(f'cat {BUS}/karray0/takeable').out, 'yes\n', 'a block that describes itself: can be taken')
    for state in ('online', 'system-ram'):
        t.is_(vm.sh(f'echo {state} > {BUS}/karray0/state', check=False, timeout=120).rc, 0, f'becomes {state}')

    vm.sh(f'echo online > {BUS}/karray0/state; echo "8 1" > /sys/block/karrayb0/badblocks', timeout=120)
    t.ok(vm.sh(f'dmesg -c > /dev/null; echo system-ram > {BUS}/karray0/state', check=False).rc,
         'with a bad sector it can not be given back')
    t.like(vm.sh('dmesg').out, "can't be given back: karray0 has bad sectors, write them first", 'and the log says why')
    t.is_(vm.sh(f'cat {BUS}/karray0/state').out, 'online\n', 'it stays online')
    t.is_(vm.sh(f'/root/pio w /dev/karray 4096 512; echo system-ram > {BUS}/karray0/state', check=False, timeout=60).rc,
          0, 'but when that was written')
    vm.unplug('hp_dimm0')
    t.is_(vm.unplug_result('hp_dimm0', 60), 'deleted', 'and leaves')

    # A block with a bad page would not get online again, if it had to. The other slot is not
    # just being emptied.
    vm.wait(f'[ ! -e {BUS}/karray0 ]', 30, 'its device to go')
    vm.plug('hp_dimm1', '256M', slot=1)
    listed(vm, 33)
    vm.sh(f'echo 0x10c000000 > {MEMORY}/hard_offline_page')
    refused(t, vm, 'a bad page', 'its page at 0x10c000000 is bad memory')
    t.is_(vm.sh(f'cat {MEMORY}/memory32/state {MEMORY}/memory33/state').out, 'online\nonline\n', 'a bad page: all is online')

# Onlined by hand into another zone than the kernel would choose by itself.
with guest_test('ramrefuse_zone', dimms=[], memhotplug=True, cmdline='memhp_default_state=offline', tap=t) as (t, vm):
    vm.plug('hp_dimm0', '512M', slot=0)
    vm.wait(f'[ -e {MEMORY}/memory35/state ]', 60, 'a DIMM')
    vm.sh(f'set -e; for n in 35 34 33 32; do echo online_movable > {MEMORY}/memory$n/state; done;'
          f'echo online > {MEMORY}/auto_online_blocks')
    zones = vm.sh(f'cat {MEMORY}/memory3[2-5]/valid_zones').out
    t.is_(zones, 'Movable\n' * 4, 'all blocks are movable')
    vm.sh('insmod /root/karray.ko')
    interrupted = vm.sh('karrayctl take karray0 & '
                        'until dmesg | grep -q "zeroing 512 MiB"; do :; done; kill $!; wait $!',
                        check=False, timeout=120)
    t.is_((interrupted.rc, interrupted.err.split('\n')[0]), (128 + 15, 'karrayctl: karray0: zeroing was interrupted'),
          'its zeroing is interrupted')
    t.is_(vm.sh(f'cat {BUS}/karray0/state').out, 'system-ram\n', 'which gives it back')
    t.is_(vm.sh(f'cat {MEMORY}/memory3[2-5]/state').out, 'online\n' * 4, 'all blocks are online')
    # But where the kernel has put something unmovable in the short time that it could.
    left = vm.sh('dmesg | grep "not as before" | grep -v "error -16"', check=False).out
    movable = vm.sh(f'cat {MEMORY}/memory3[2-5]/valid_zones').out.count('Movable')
    t.ok(not left and movable, f'and in their zone, {movable} of 4', left)

raise SystemExit(t.done())
