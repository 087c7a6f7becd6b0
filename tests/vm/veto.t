#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A DIMM in use stays, the firmware is told, and the log says who uses it."""

from harness import guest_test

ONLINE = '/sys/bus/karray/devices/karray0/online'
USED = '/sys/bus/karray/devices/karray0/users'

CHR_BUSY = 'users: disk 0, char device 1$'
BLK_BUSY = 'users: disk [1-9]\\d*, char device 0$'

# Who uses it, how that begins, how it ends, what the log says.
USERS = [
    ('a reader of the char node',
     'sleep 1000 < /dev/karray & echo $! > /run/user', 'kill $(cat /run/user)',
     CHR_BUSY),
    ('a writer of the char node',
     'sleep 1000 > /dev/karray & echo $! > /run/user', 'kill $(cat /run/user)',
     CHR_BUSY),
    ('an open disk',
     'sleep 1000 < /dev/karrayb0 & echo $! > /run/user', 'kill $(cat /run/user)',
     BLK_BUSY),
    ('an open partition',
     'echo ",,L" | sfdisk -q /dev/karrayb0;'
     'sleep 1000 < /dev/karrayb0p1 & echo $! > /run/user',
     'kill $(cat /run/user)', BLK_BUSY),
    ('a mounted partition',
     'mkfs.ext4 -q /dev/karrayb0p1; mount /dev/karrayb0p1 /mnt', 'umount /mnt',
     BLK_BUSY),
    ('a mounted disk',
     'wipefs -qa /dev/karrayb0; mkfs.ext4 -qF /dev/karrayb0;'
     'mount /dev/karrayb0 /mnt', 'umount /mnt', BLK_BUSY),
    ('swap',
     'mkswap -q /dev/karrayb0 && swapon /dev/karrayb0', 'swapoff /dev/karrayb0',
     BLK_BUSY),
    ('a loop device',
     'losetup /dev/loop0 /dev/karrayb0', 'losetup -d /dev/loop0', BLK_BUSY),
]

with guest_test(dimms=[('hp_dimm0', '512M')]) as (t, vm):
    vm.sh('insmod /root/karray.ko; modprobe loop')
    vm.sh('mkdir -p /mnt')

    for who, begin, end, says in USERS:
        vm.sh(f'({begin}) >/dev/null 2>&1')
        vm.wait(f'[ $(cat {USED}) != 0 ]', 20, f'{who} to come')
        vm.sh('dmesg -c > /dev/null')
        vm.unplug('hp_dimm0')
        result = vm.unplug_result('hp_dimm0', 20)
        t.is_(result[0], 'vetoed', f'{who} keeps the DIMM')
        t.is_(result[1], 0x82, f'{who}: the firmware hears "busy"')
        t.like(vm.sh('dmesg').out, f'(?m)karray0: busy, stays online: {says}',
               f'{who}: the log says so')
        t.is_(vm.sh(f'echo 0 > {ONLINE}', check=False).rc, 1,
              f'{who} keeps it online')
        t.is_(vm.sh(f'cat {ONLINE}').out.strip(), '1', f'{who}: still online')
        t.is_(vm.sh('head -c 4096 /dev/karray | wc -c').out.strip(), '4096',
              f'{who}: still usable')
        vm.sh(end)
        vm.wait(f'[ $(cat {USED}) = 0 ]', 20, f'{who} to go')
        t.ok(True, f'{who} is gone')

    # The module is as busy as its devices.
    vm.sh('sleep 1000 < /dev/karray >/dev/null 2>&1 & echo $! > /run/user')
    vm.wait(f'[ $(cat {USED}) != 0 ]', 20, 'the reader to come')
    t.is_(vm.sh('rmmod karray', check=False).rc, 1, 'rmmod of a busy module fails')
    vm.sh('kill $(cat /run/user)')
    vm.wait(f'[ $(cat {USED}) = 0 ]', 20, 'the reader to go')

    vm.unplug('hp_dimm0')
    t.is_(vm.unplug_result('hp_dimm0', 20), 'deleted', 'in the end it leaves')
