#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The char node against the disk: the same bytes (chr_cache.c), and one writer's kind
at a time; and what its files see when the memory goes."""

import random

from harness import DRIVER, guest_test, pio

SIZE = 256 << 20
USERS = '/sys/bus/karray/devices/karray0/users'

# What holds the disk, how that begins, how it ends.
HOLDERS = [
    ('a mount', 'mkfs.ext4 -qF /dev/karrayb0; mount /dev/karrayb0 /mnt', 'umount /mnt'),
    ('swap', 'mkswap -q /dev/karrayb0; swapon /dev/karrayb0', 'swapoff /dev/karrayb0'),
    ('a mounted partition',
     'wipefs -qa /dev/karrayb0; echo ",,L" | sfdisk -q /dev/karrayb0;'
     'mkfs.ext4 -qF /dev/karrayb0p1; mount /dev/karrayb0p1 /mnt', 'umount /mnt'),
]

with guest_test(dimms=[('hp_dimm0', '256M')], parallel=True) as (t, vm):
    vm.sh('insmod /root/karray.ko; mkdir -p /mnt')

    def cache(disk, size, start=''):
        t.relay(vm.sh(f'/root/chr_cache /dev/karray {disk} {size} {random.getrandbits(32)} {start}',
                      check=False, timeout=120))

    for mode in ('mq', 'bio'):
        vm.sh('cd /sys/bus/karray/devices/karray0; echo 0 > online;'
              f'echo {mode} > queue_mode; echo 1 > online')
        cache('/dev/karrayb0', SIZE)
    vm.sh('echo "2048,,L" | sfdisk -q /dev/karrayb0')
    cache('/dev/karrayb0p1', SIZE - (1 << 20), 1 << 20)

    # A file system's buffers, which CPUs keep for a while.
    vm.sh('wipefs -qa /dev/karrayb0; modprobe vfat; sleep 1000 </dev/karrayb0 >/dev/null 2>&1 & echo $! > /run/1;'
          'mount -t vfat /dev/karrayb0 /mnt', check=False)
    t.is_(pio(vm, 'w /dev/karray 0 4096', '-c r /dev/karrayb0 0 4096'), ['4096', '4096'],
          'after a mount that failed: the disk shows what is written')
    vm.sh('kill $(cat /run/1)')

    def opens(mode, node='/dev/karray'):
        return vm.sh(f'exec 7{mode}{node}', check=False)

    for who, begin, end in HOLDERS:
        vm.sh(f'({begin}) >/dev/null 2>&1')
        t.like(opens('<>').err, 'busy', f'{who}: the node is not opened for writing')
        t.is_(opens('<').rc, 0, f'{who}: but for reading')
        vm.sh(end)
        t.is_(opens('<>').rc, 0, f'after {who}: for writing as well')

    # The other way round, with two writers, of whom either may be the last.
    vm.sh('mkfs.ext4 -qF /dev/karrayb0')
    vm.sh('for i in 1 2; do sleep 1000 <>/dev/karray >/dev/null 2>&1 & echo $! > /run/$i; done')
    vm.wait(f'[ $(cat {USERS}) = 2 ]', 20, 'two writers')
    for left in (2, 1):
        for what in ('mount /dev/karrayb0 /mnt', 'mkfs.ext4 -qF /dev/karrayb0'):
            t.like(vm.sh(what, check=False).err, 'busy|in use', f'{left} writers: no {what.split()[0]}')
        t.is_(opens('<', '/dev/karrayb0').rc, 0, f'{left} writers: the disk can be read')
        vm.sh(f'kill $(cat /run/{left})')
        vm.wait(f'[ $(cat {USERS}) = {left - 1} ]', 20, 'a writer to go')
    vm.sh('sleep 1000 </dev/karray >/dev/null 2>&1 & echo $! > /run/1; sleep 0.2')
    t.is_(vm.sh('mount /dev/karrayb0 /mnt && umount /mnt', check=False).rc, 0,
          'a reader is in nobody\'s way')
    vm.sh('kill $(cat /run/1); mkswap -q /dev/karrayb0')
    t.like(vm.sh('swapon /dev/karrayb0 7<>/dev/karray', check=False).err, 'busy', 'a writer: no swapon')
    vm.sh('wipefs -qa /dev/karrayb0; mkfs.ext4 -qF /dev/karrayb0')

    # Both sides at once, from two CPUs: never both inside.
    vm.sh('cat > /run/writer <<"E"\n'
          'n=0; for i in $(seq 300); do (exec 7<>/dev/karray) 2>/dev/null && n=$((n + 1)); done\n'
          'echo writer $n\nE\n'
          'cat > /run/mounter <<"E"\n'
          'n=0; for i in $(seq 100); do if mount /dev/karrayb0 /mnt 2>/dev/null; then n=$((n + 1))\n'
          '(exec 7<>/dev/karray) 2>/dev/null && echo BOTH; umount /mnt; fi; done\n'
          'echo mounter $n\nE')
    jobs = [vm.spawn(f'sh /run/{who}') for who in ('writer', 'mounter')]
    out = ''.join(job.wait(120).out for job in jobs)
    t.ok('BOTH' not in out, 'writers against mounts: never both', out)
    t.like(out, 'writer [1-9]', 'writers got in')
    t.like(out, 'mounter [1-9]', 'mounts got in', )
    t.is_(vm.sh(f'cat {USERS}').out.strip(), '0', 'no user is left over')

    # By force, under files that are mapped and written.
    job = vm.spawn(f'/root/chr_map /dev/karray {SIZE} until-gone')
    vm.wait(f'[ $(cat {USERS}) = 2 ]', 20, 'the mapping')
    vm.idle(0.5)
    busy = vm.spawn('while dd if=/dev/zero of=/dev/karray bs=64k conv=notrunc 2>/run/dd.err; do :; done')
    vm.idle(0.5)
    vm.sh(f'echo PNP0C80:00 > {DRIVER}/unbind; echo PNP0C80:00 > {DRIVER}/bind', timeout=60)
    t.is_(vm.sh('mount /dev/karrayb0 /mnt && umount /mnt', check=False).rc, 32,
          'the new disk is not held by writers of the old one (but overwritten)')
    vm.sh('mkfs.ext4 -qF /dev/karrayb0 && mount /dev/karrayb0 /mnt; umount /mnt')
    t.relay(job.wait(60))
    vm.sh('pkill dd; true')

    for lap in range(20):
        vm.sh(f'sleep 100 <>/dev/karray >/dev/null 2>&1 & pid=$!; sleep 0.0{lap % 5};'
              f'echo PNP0C80:00 > {DRIVER}/unbind; echo PNP0C80:00 > {DRIVER}/bind; kill $pid; wait $pid; true')
    vm.wait(f'[ $(cat {USERS}) = 0 ]', 20, 'no users')
    t.ok(True, '20 removals by force under a writer')
