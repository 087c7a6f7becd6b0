#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Contents survive offline and online, and a reload of the module."""

from harness import guest_test

ONLINE = '/sys/bus/karray/devices/karray0/online'
SUM = 'sha256sum < /dev/karray'

with guest_test(dimms=[('hp_dimm0', '64M')], kmemleak=True) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    vm.sh('dd if=/dev/urandom of=/dev/karray bs=1M count=64 2>/dev/null',
          timeout=120)
    want = vm.sh(SUM, timeout=120).out

    vm.sh(f'echo 0 > {ONLINE}')
    t.is_(vm.sh('ls /dev | grep karray', check=False).out, '', 'offline: no nodes')
    t.is_(vm.sh(f'cat {ONLINE}').out.strip(), '0', 'offline: says so')
    t.is_(vm.sh('grep -c karray /proc/iomem', check=False).out.strip(), '0',
          'offline: the range is released')
    vm.sh(f'echo 1 > {ONLINE}')
    t.is_(vm.sh(SUM, timeout=120).out, want, 'offline, online: the same bytes')

    vm.sh('rmmod karray && insmod /root/karray.ko')
    t.is_(vm.sh(SUM, timeout=120).out, want, 'reloaded: the same bytes')
    t.is_(vm.sh('sha256sum < /dev/karrayb0', timeout=120).out, want,
          'through the disk as well')

    vm.sh('for i in $(seq 20); do rmmod karray && insmod /root/karray.ko || exit; '
          'done', timeout=120)
    t.ok(True, '20 reloads')
    vm.sh(f'for i in $(seq 20); do echo 0 > {ONLINE} && echo 1 > {ONLINE} || exit; '
          'done', timeout=120)
    t.ok(True, '20 times offline and online')
    t.is_(vm.sh(SUM, timeout=120).out, want, 'still the same bytes')

    # By force, with open files: their memory goes at once, the module after them.
    vm.sh('sleep 1000 </dev/karray >/dev/null 2>&1 & echo $! > /run/chr;'
          'sleep 1000 </dev/karrayb0 >/dev/null 2>&1 & echo $! > /run/blk; sleep 0.2')
    rmmod = vm.spawn('rmmod -f karray')
    vm.wait('dmesg | grep -q "karray: waiting for files that are still open"', 30,
            'a forced rmmod to wait')
    t.is_(vm.sh('ls /dev | grep karray', check=False).out, '',
          'forced rmmod: the nodes are gone')
    t.ok(rmmod.poll() is None, 'forced rmmod: waits for open files')
    vm.sh('kill $(cat /run/chr)')
    vm.idle(0.5)
    t.ok(rmmod.poll() is None, 'forced rmmod: for each of them')
    vm.sh('kill $(cat /run/blk)')
    t.is_(rmmod.wait(30).rc, 0, 'forced rmmod: ends with the last')
