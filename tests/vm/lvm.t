#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""LVM over DIMMs: a file system in use grows by one, moves off another, and shrinks, by
the commands in docs/growth.md."""

from harness import Load, follow, guest_test, plug, start_udev

DOC = 'growth.md'


def size(vm):
    """Of the mounted file system, MiB."""
    return int(vm.sh('df -m --output=size /mnt | tail -n 1').out)


def grow_and_move(t, vm, fs):
    """From one DIMM to two, and on to a third and off the first."""
    plug(vm, 'dimm0', '320M', 'karray0')
    follow(vm, DOC, 'Begin with one DIMM', **{'mkfs.ext4': f'mkfs.{fs}'})
    vm.sh('head -c 32M /dev/urandom > /mnt/kept; sha256sum /mnt/kept > /run/sum')
    small = size(vm)
    load = Load(vm, '/mnt')

    plug(vm, 'dimm1', '320M', 'karray1')
    follow(vm, DOC, 'Grow', lvextend='cat /sys/bus/karray/devices/karray1/users > /run/users; lvextend')
    t.is_(vm.sh('cat /run/users').out, '0\n', f'{fs}: a disk that is only in the group is not in use')
    t.ok(size(vm) > small * 1.8, f'{fs}: twice as large with the second DIMM', f'{small} to {size(vm)}')
    for n in (0, 1):
        vm.unplug(f'dimm{n}')
        t.is_(vm.unplug_result(f'dimm{n}', 60), ('vetoed', 0x82), f'{fs}: DIMM {n} is held by the volume')

    plug(vm, 'dimm2', '480M', 'karray2')
    since = len(vm.events)
    follow(vm, DOC, 'Take a DIMM out')
    vm.wait_event('DEVICE_DELETED', 60, lambda data: data.get('device') == 'dimm0', since)
    t.ok(True, f'{fs}: the first DIMM leaves')
    rounds = load.rounds()
    vm.wait(lambda: load.rounds() > rounds + 1, 200, 'the load to go on')
    result = load.stop()
    t.is_(result.rc, 0, f'{fs}: the load has noticed nothing', result.out + result.err)
    t.is_(vm.sh('sha256sum -c /run/sum', check=False).rc, 0, f'{fs}: what was there before has moved')


def leave(vm, *ns):
    vm.sh('umount /mnt; vgremove -qqy fast', timeout=120)
    for n in ns:
        vm.sh(f'wipefs -qa /dev/karrayb{n}; udevadm settle')
        vm.unplug(f'dimm{n}')
        vm.unplug_result(f'dimm{n}', 60)


with guest_test(dimms=[]) as (t, vm):
    start_udev(vm)
    vm.sh('insmod /root/karray.ko; mkdir -p /mnt; modprobe dm_mod')

    grow_and_move(t, vm, 'xfs')
    leave(vm, 1, 2)

    grow_and_move(t, vm, 'ext4')
    since = len(vm.events)
    follow(vm, DOC, 'Shrink', **{'lvreduce': 'lvreduce --yes'})
    vm.wait_event('DEVICE_DELETED', 60, lambda data: data.get('device') == 'dimm1', since)
    t.ok(size(vm) < 400, 'ext4: shrunk', size(vm))
    t.is_(vm.sh('sha256sum -c /run/sum', check=False).rc, 0, 'ext4: and has its data')
    vm.sh('umount /mnt')
    t.is_(vm.sh('e2fsck -fn /dev/fast/data', check=False).rc, 0, 'ext4: and is whole')
    vm.sh('mount /dev/fast/data /mnt')
    leave(vm, 2)
