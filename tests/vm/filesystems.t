#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""ext4 and XFS on the disk and on a partition; trim; data after a remount."""

from harness import guest_test

with guest_test(dimms=[('hp_dimm0', '1G')]) as (t, vm):
    vm.sh('insmod /root/karray.ko; mkdir -p /mnt')

    def use(mkfs, dev, check):
        vm.sh(f'wipefs -qa {dev}; {mkfs} {dev}', timeout=120)
        vm.sh(f'mount {dev} /mnt')
        vm.sh('dd if=/dev/urandom of=/mnt/random bs=1M count=16 2>/dev/null;'
              'cp -a /bin/busybox /mnt; for i in $(seq 200); do '
              'echo $i > /mnt/file$i; done')
        want = vm.sh('cd /mnt && sha256sum random busybox file*').out
        vm.sh(f'umount /mnt; blockdev --flushbufs {dev}; mount {dev} /mnt')
        t.is_(vm.sh('cd /mnt && sha256sum random busybox file*').out, want,
              f'{mkfs.split()[0]} {dev}: the same data after a remount')
        vm.sh('rm /mnt/random; sync')
        t.is_(vm.sh('fstrim -v /mnt', check=False).rc, 0,
              f'{mkfs.split()[0]} {dev}: trim')
        t.is_(vm.sh('cd /mnt && sha256sum busybox file*').out,
              '\n'.join(line for line in want.splitlines()
                        if not line.endswith('random')) + '\n',
              f'{mkfs.split()[0]} {dev}: trim leaves the other files alone')
        vm.sh('umount /mnt')
        t.is_(vm.sh(f'{check} {dev}', check=False, timeout=120).rc, 0,
              f'{mkfs.split()[0]} {dev}: checks clean')

    use('mkfs.ext4 -qF', '/dev/karrayb0', 'e2fsck -fn')
    use('mkfs.xfs -qf', '/dev/karrayb0', 'xfs_repair -n')

    # Partitions: made, found again after a reload, used, deleted.
    vm.sh('wipefs -qa /dev/karrayb0;'
          'printf "label: gpt\\n,400M\\n,,L\\n" | sfdisk -q /dev/karrayb0')
    t.is_(vm.sh('ls /dev | grep karrayb').out.split(),
          ['karrayb0', 'karrayb0p1', 'karrayb0p2'], 'two partitions')
    vm.sh('rmmod karray && insmod /root/karray.ko')
    t.is_(vm.sh('ls /dev | grep karrayb').out.split(),
          ['karrayb0', 'karrayb0p1', 'karrayb0p2'], 'found again after a reload')
    use('mkfs.ext4 -qF', '/dev/karrayb0p1', 'e2fsck -fn')
    use('mkfs.xfs -qf', '/dev/karrayb0p2', 'xfs_repair -n')
    vm.sh('sfdisk -q --delete /dev/karrayb0')
    t.is_(vm.sh('ls /dev | grep karrayb').out.split(), ['karrayb0'],
          'no partitions left')
