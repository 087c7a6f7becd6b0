#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Two NUMA nodes: a device knows the one its DIMM is on."""

from harness import guest_test

NODES = [arg for n in (0, 1) for arg in (
    '-object', f'memory-backend-ram,id=node{n},size=512M',
    '-numa', f'node,nodeid={n},cpus={n},memdev=node{n}')]

with guest_test(dimms=[], smp='2,sockets=2', qemu_args=NODES) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    for n in (1, 0):
        device = f'/sys/bus/karray/devices/karray{1 - n}'
        vm.plug(f'dimm{n}', '256M', node=n)
        vm.wait(f'[ "$(cat {device}/online)" = 1 ]', 20, f'the DIMM on node {n}')
        t.is_(vm.sh(f'cat {device}/node').out.strip(), str(n), f'on node {n}: says so')
        t.like(vm.sh(f'dmesg | grep karray{1 - n}').out, f'online, 256 MiB, node {n}$',
               f'on node {n}: the log, too')
    vm.sh('/root/karray_test /dev/karray1')
