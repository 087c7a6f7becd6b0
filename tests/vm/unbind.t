#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Forced removal, by sysfs "unbind": users get errors, nothing worse, and what was
synced is there after "bind"."""

from harness import DRIVER, guest_test


with guest_test(dimms=[('hp_dimm0', '256M')], parallel=True) as (t, vm):
    vm.sh('insmod /root/karray.ko; mkdir -p /mnt')

    for lap in (1, 2):
        vm.sh('mkfs.ext4 -qF /dev/karrayb0 && mount /dev/karrayb0 /mnt')
        vm.sh('dd if=/dev/urandom of=/mnt/kept bs=1M count=32 2>/dev/null; sync;'
              'sha256sum < /mnt/kept > /run/sum')
        # A reader of the char node, a writer on the file system.
        vm.sh('while head -c 65536 <&7; do :; done 7</dev/karray >/dev/null '
              '2>/run/cat.err & echo $! > /run/cat')
        fio = vm.spawn('fio --name=w --directory=/mnt --rw=randrw --bs=4k '
                       '--size=64M --numjobs=2 --time_based --runtime=60 '
                       '--ioengine=psync --group_reporting')
        vm.wait('[ $(cat /sys/block/karrayb0/stat | tr -s " " | cut -d" " -f6) '
                '-gt 100 ]', 120, 'fio to write')

        vm.sh(f'echo PNP0C80:00 > {DRIVER}/unbind', timeout=60)
        t.like(vm.sh('dmesg').out, 'karray0: removed by force, users get errors: disk [1-9]',
               f'lap {lap}: unbind under load returns, and the log says who had it')
        t.is_(vm.sh('ls /dev | grep karray', check=False).out, '',
              f'lap {lap}: the nodes are gone')
        t.is_(vm.sh('grep -c karray /proc/iomem', check=False).out.strip(), '0',
              f'lap {lap}: the memory is released')
        result = fio.wait(120)
        t.ok(result.rc != 0, f'lap {lap}: fio is told', result.out[-500:])
        vm.wait('! kill -0 $(cat /run/cat) 2>/dev/null', 20, 'the reader to end')
        t.like(vm.sh('cat /run/cat.err').out, 'No such device',
               f'lap {lap}: the reader is told')
        t.is_(vm.sh('rmmod karray', check=False).rc, 1,
              f'lap {lap}: the mount keeps the module')

        # The number is taken over while the old disk is still mounted.
        vm.sh(f'echo PNP0C80:00 > {DRIVER}/bind')
        t.is_(vm.sh('ls /dev | grep karray').out.split(), ['karray', 'karrayb0'],
              f'lap {lap}: bind brings the nodes back')
        t.ok(vm.sh('dd if=/mnt/kept of=/dev/null iflag=direct bs=1M', check=False).rc,
             f'lap {lap}: the old mount does not reach the new disk')
        vm.sh('umount /mnt')
        t.is_(vm.sh('cat /sys/bus/karray/devices/karray0/users').out.strip(), '0',
              f'lap {lap}: no user is left over')

        vm.sh('e2fsck -fp /dev/karrayb0', check=False)
        t.is_(vm.sh('e2fsck -fn /dev/karrayb0', check=False).rc, 0,
              f'lap {lap}: the file system recovers')
        vm.sh('mount /dev/karrayb0 /mnt')
        t.is_(vm.sh('sha256sum < /mnt/kept').out, vm.sh('cat /run/sum').out,
              f'lap {lap}: what was synced is there')
        vm.sh('umount /mnt')

    # Descriptors from before are dead for good.
    vm.sh('exec 7</dev/karray 8</dev/karrayb0;'
          f'echo PNP0C80:00 > {DRIVER}/unbind; echo PNP0C80:00 > {DRIVER}/bind;'
          'dd <&7 bs=512 count=1 >/run/out 2>/run/err; echo chr $? >> /run/err;'
          'dd <&8 bs=512 count=1 iflag=direct >>/run/out 2>>/run/err;'
          'echo blk $? >> /run/err')
    t.like(vm.sh('cat /run/err').out, 'No such device(.*\n)*chr 1',
           'an old char descriptor: ENODEV')
    t.is_(vm.sh('stat -c %s /run/out').out.strip(), '0',
          'no byte through an old descriptor')

    # Unbind and bind against opens and closes.
    opener = vm.spawn('until [ -e /run/enough ]; do head -c 4096 /dev/karray; '
                      'head -c 4096 /dev/karrayb0; done >/dev/null 2>&1')
    vm.sh(f'for i in $(seq 30); do echo PNP0C80:00 > {DRIVER}/unbind; '
          f'echo PNP0C80:00 > {DRIVER}/bind; done; touch /run/enough', timeout=120)
    opener.wait(20)
    t.is_(vm.sh('cat /sys/bus/karray/devices/karray0/users').out.strip(), '0',
          '30 rounds of unbind and bind against openers: no user is left over')
