#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""RAID-1 over two DIMMs: one goes, asked or by force, the file system goes on, the DIMM
comes back and is made good, by the commands in docs/growth.md."""

from harness import DRIVER, Load, follow, guest_test, plug, start_udev

DOC = 'growth.md'
MD = '/sys/block/md0/md'


def wait_whole(vm):
    """Wait until both halves are the same again."""
    vm.wait(f'[ $(cat {MD}/sync_action) = idle ] && [ $(cat {MD}/degraded) = 0 ]', 200, 'the resync')


def wait_rounds(vm, load):
    before = load.rounds()
    vm.wait(lambda: load.rounds() > before + 1, 200, 'the load to go on')


with guest_test(dimms=[('dimm0', '128M'), ('dimm1', '128M')]) as (t, vm):
    start_udev(vm)
    vm.sh('insmod /root/karray.ko; udevadm settle; mkdir -p /mnt; modprobe raid1')
    follow(vm, DOC, 'Mirror two DIMMs')
    vm.sh('head -c 32M /dev/urandom > /mnt/kept; sha256sum /mnt/kept > /run/sum')
    wait_whole(vm)
    load = Load(vm, '/mnt')
    wait_rounds(vm, load)

    vm.unplug('dimm1')
    t.is_(vm.unplug_result('dimm1', 60), ('vetoed', 0x82), 'the array holds its DIMM')

    # As it should be: another DIMM comes in its place.
    since = len(vm.events)
    follow(vm, DOC, 'Take one half out')
    vm.wait_event('DEVICE_DELETED', 60, lambda data: data.get('device') == 'dimm1', since)
    t.is_(vm.sh(f'cat {MD}/degraded').out, '1\n', 'one half is out')
    wait_rounds(vm, load)
    plug(vm, 'dimm2', '128M', 'karray1')
    follow(vm, DOC, 'Put it back')
    wait_whole(vm)
    t.ok(True, 'a new DIMM becomes the other half')

    # By force, in the middle of it all; the same DIMM comes back.
    dimm = vm.sh('basename $(realpath /sys/bus/karray/devices/karray1/..)').out.strip()
    vm.sh(f'echo {dimm} > {DRIVER}/unbind')
    wait_rounds(vm, load)
    follow(vm, DOC, 'When it goes by force')
    t.is_(vm.sh(f'cat {MD}/degraded; ls -d {MD}/dev-*').out.split(), ['1', f'{MD}/dev-karrayb0'],
          'by force: the array goes on with one half')
    vm.sh('head -c 16M /dev/urandom > /mnt/later; sha256sum /mnt/later >> /run/sum')
    vm.sh(f'echo {dimm} > {DRIVER}/bind; udevadm settle')
    follow(vm, DOC, 'Put it back')
    wait_whole(vm)
    t.ok(True, 'the DIMM that was gone is the other half again')
    result = load.stop()
    t.is_(result.rc, 0, 'the load has noticed nothing', result.out + result.err)
    t.is_(vm.sh(f'echo check > {MD}/sync_action; mdadm --wait /dev/md0; cat {MD}/mismatch_cnt',
                timeout=200).out, '0\n', 'both halves are the same')

    # All is on the half that came back.
    vm.sh('umount /mnt; mdadm /dev/md0 --fail /dev/karrayb0 --remove /dev/karrayb0; mount /dev/md0 /mnt')
    t.is_(vm.sh('sha256sum -c /run/sum', check=False).rc, 0, 'the half that came back has all data')
    vm.sh('umount /mnt; mdadm --stop /dev/md0; udevadm settle')
