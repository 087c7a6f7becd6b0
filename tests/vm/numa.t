#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Two NUMA nodes: a device knows the one its DIMM is on, and lives there itself; a queue
of its disk lives where the CPUs are that use it."""

import re

from harness import KASAN_SHADOW, configure, guest_test, memory_cost, plug

NODES = [arg for n in (0, 1) for arg in (
    '-object', f'memory-backend-ram,id=node{n},size=1G',
    '-numa', f'node,nodeid={n},cpus={n},memdev=node{n}')]
NODES += ['-numa', 'node,nodeid=2']     # nothing but DIMMs
EVENT = '/sys/kernel/tracing/events/kmem/kmalloc'

# What is used for each I/O; strings and the like, which are not, are smaller.
STRUCTS = {'karray_create', 'karray_blk_attach', 'karray_chr_attach'}
LARGE = 128


def wanted_nodes(trace):
    """Which functions asked for memory on which NUMA node, from a trace of kmalloc()."""
    found = re.findall(r'call_site=(\w+)\+.* bytes_req=(\d+) .* node=(-?\d+)', trace)
    return {(function, int(node)) for function, size, node in found
            if function in STRUCTS and int(size) >= LARGE}


with guest_test(dimms=[], mem='2G', smp='2,sockets=2', qemu_args=NODES) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    for n in (1, 0):
        device = f'/sys/bus/karray/devices/karray{1 - n}'
        vm.sh(f'echo > /sys/kernel/tracing/trace; echo 1 > {EVENT}/enable')
        plug(vm, f'dimm{n}', '256M', f'karray{1 - n}', node=n)
        vm.sh(f'echo 0 > {EVENT}/enable')
        t.is_(vm.sh(f'cat {device}/node').out.strip(), str(n), f'on node {n}: says so')
        t.like(vm.sh(f'dmesg | grep karray{1 - n}').out, f'online, 256 MiB, node {n}$',
               f'on node {n}: the log, too')
        trace = vm.sh("grep 'call_site=karray' /sys/kernel/tracing/trace", check=False).out
        t.is_(wanted_nodes(trace), {(function, n) for function in STRUCTS}, f'on node {n}: its structs', trace)

        # A queue for each CPU, and so deep that they are seen among all else.
        configure(vm, f'karray{1 - n}', nr_queues=2, poll_queues=0, queue_depth=4096)
        cost = memory_cost(vm, f'karray{1 - n}', 3)
        t.diag(f'System RAM by node: {cost}')
        what = f'DIMM on node {n}: each queue has its requests where its CPU is'
        if vm.kasan:
            t.skip(what, KASAN_SHADOW)
            continue
        t.ok(min(cost.values()) > 512 and max(cost.values()) < 2048, what, cost)
    vm.sh('/root/karray_test /dev/karray1')

    # Where there is no memory for structs there is another node's.
    plug(vm, 'dimm2', '256M', 'karray2', node=2)
    t.is_(vm.sh('cat /sys/bus/karray/devices/karray2/node').out.strip(), '2', 'a node without memory: says so')
    for mode in ('bio', 'mq'):
        configure(vm, 'karray2', queue_mode=mode)
        vm.sh('/root/karray_test /dev/karray2; dd if=/dev/karrayb2 of=/dev/null bs=1M count=16 iflag=direct')
        t.ok(True, f'a node without memory: {mode}')
