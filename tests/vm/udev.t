#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""udev's links to the disks and their partitions, by our rule beside Debian's own."""

from harness import guest_test, start_udev

UUID = '0a1b2c3d-1111-2222-3333-444455556666'
PART_UUID = '7e57ab1e-aaaa-bbbb-cccc-ddddeeeeffff'
ID = 'karray-100000000-0x00'


def links(vm):
    """The links in /dev/disk to our disks."""
    vm.sh('udevadm settle --timeout=20')
    out = vm.sh('cd /dev/disk 2>/dev/null && find . -type l | while read l; do echo $l $(readlink -f $l); done',
                check=False).out
    found = dict(line.split() for line in out.replace('./', '').splitlines())
    return {link: dev.removeprefix('/dev/') for link, dev in found.items() if 'karray' in dev}


with guest_test(dimms=[('hp_dimm0', '256M')]) as (t, vm):
    start_udev(vm)
    vm.sh('insmod /root/karray.ko; mkdir -p /mnt')
    disk = {f'by-id/{ID}': 'karrayb0'}
    t.is_(links(vm), disk, 'the disk has its name by address and slot')
    t.is_(vm.sh('stat -c %G /dev/karrayb0').out.strip(), 'disk', 'and belongs to the group disk')
    # The debug kernels have nothing that would.
    t.is_(vm.sh('cat /sys/block/karrayb0/queue/wbt_lat_usec || echo 0', check=False).out.strip(), '0',
          'writes are not held back')
    info = vm.sh('udevadm info -q property /dev/karrayb0; lsblk -dnPo MODEL,SERIAL,WWN /dev/karrayb0').out
    for line in (f'ID_SERIAL={ID}', 'ID_SERIAL_SHORT=100000000-0x00', 'ID_MODEL=karray',
                 'MODEL="karray" SERIAL="100000000-0x00" WWN="karray.100000000-0x00"'):
        t.ok(line in info.splitlines(), f'udev knows {line}', info)

    # Partitions, and what is on them.
    vm.sh(f'printf "label: gpt\\nsize=64M, name=first, uuid={PART_UUID}\\n,,L\\n" | sfdisk -q /dev/karrayb0')
    vm.sh(f'udevadm settle; mkfs.ext4 -q -L below -U {UUID} /dev/karrayb0p1')
    vm.wait(lambda: 'by-label/below' in links(vm), 20, 'udev to look again')
    found = links(vm)
    second = [link for link in found if link.startswith('by-partuuid/') and PART_UUID not in link]
    t.is_({link: dev for link, dev in found.items() if link not in second}, disk | {
        f'by-id/{ID}-part1': 'karrayb0p1', f'by-id/{ID}-part2': 'karrayb0p2',
        f'by-partuuid/{PART_UUID}': 'karrayb0p1', 'by-partlabel/first': 'karrayb0p1',
        f'by-uuid/{UUID}': 'karrayb0p1', 'by-label/below': 'karrayb0p1'}, 'all names of partitions')
    t.is_([found[link] for link in second], ['karrayb0p2'], 'a GUID of its own for the second')
    for source in (f'UUID={UUID}', 'LABEL=below', f'PARTUUID={PART_UUID}', f'/dev/disk/by-id/{ID}-part1'):
        t.is_(vm.sh(f'mount {source} /mnt && findmnt -no SOURCE /mnt; umount /mnt', check=False).out.strip(),
              '/dev/karrayb0p1', f'mount {source}')

    # Offline, online, another mode, a reload.
    vm.sh('udevadm settle')
    device = '/sys/bus/karray/devices/karray0'
    vm.sh(f'echo 0 > {device}/online')
    t.is_(links(vm), {}, 'offline: no names')
    vm.sh(f'echo bio > {device}/queue_mode; echo 1 > {device}/online')
    t.is_(links(vm), found, 'online in the other mode: the same')
    vm.sh('dmesg -c > /run/log; rmmod karray; insmod /root/karray.ko')
    t.is_(links(vm), found, 'reloaded: the same')

    # Another DIMM, another name.
    vm.plug('hp_dimm1', '128M')
    vm.wait('[ -b /dev/karrayb1 ]', 20, 'the second disk')
    t.is_({link for link, dev in links(vm).items() if dev == 'karrayb1'}, {'by-id/karray-110000000-0x01'},
          'the second DIMM has a name of its own')
    vm.sh('udevadm settle')
    vm.unplug('hp_dimm1')
    t.is_(vm.unplug_result('hp_dimm1', 20), 'deleted', 'udev does not keep it here')
    t.is_(links(vm), found, 'its name went with it')

    # Signatures that go take names with them.
    vm.sh('wipefs -qa /dev/karrayb0p1')
    vm.wait(lambda: 'by-label/below' not in links(vm), 20, 'udev to look again')
    t.ok(f'by-uuid/{UUID}' not in links(vm), 'a file system that is wiped has no names')

    log = vm.sh('cat /run/log; dmesg').out
    t.ok('karray.rules' not in log, 'udev has nothing against the rule', log)
    vm.sh('udevadm control --exit')
