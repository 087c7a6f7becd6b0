#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""200 times: plug a DIMM, use it, unplug it. Nothing piles up in the guest's memory."""

from harness import free_memory, guest_test

KASAN_KEEPS = 'KASAN keeps what is freed for a while'

ROUNDS = 200
WARM_UP = 50        # caches fill, and tables grow to their size
KIB = 256           # for all rounds after that: less than 2 KiB a round

# Written by each device, read by the other. Without many processes: they are slow.
USE = '''
i=0
until read -r online < /sys/bus/karray/devices/karray0/online && [ $online = 1 ]; do
    i=$((i + 1)); [ $i -lt 3000 ] || exit 1; sleep 0.02
done 2> /dev/null
set -e
yes "round $1" | head -c 64K > /run/want
cat /run/want > /dev/karray
cmp -n 65536 /run/want /dev/karrayb0
dd if=/run/want of=/dev/karrayb0 bs=64K seek=1 oflag=direct 2> /dev/null
cmp -n 65536 /run/want /dev/karray 0 65536
'''


def memory(vm):
    """What the guest's kernel has taken, KiB."""
    free = free_memory(vm)[0]
    slab, vmalloc = (int(n) for n in vm.sh("awk '/^(Slab|VmallocUsed)/ { print $2 }' /proc/meminfo").out.split())
    return {'slab': slab, 'vmalloc': vmalloc, 'memory': -free}


with guest_test(dimms=[]) as (t, vm):
    # The kernel itself loses some 3 KiB with each disk that has polled queues.
    vm.sh(f'insmod /root/karray.ko poll_queues=0; cat > /run/use <<"EOF"\n{USE}\nEOF')
    failures = []
    for n in range(ROUNDS):
        if n == WARM_UP:
            before = memory(vm)
        vm.plug('dimm', '128M')
        used = vm.sh(f'sh /run/use {n}', check=False)
        vm.unplug('dimm')
        gone = vm.unplug_result('dimm', 60)
        if used.rc or gone != 'deleted':
            failures.append((n, used, gone))
    t.is_(failures, [], f'{ROUNDS} rounds of plug, use, unplug')
    for what, after in memory(vm).items():
        growth = after - before[what]
        t.diag(f'{what}: {growth:+} KiB in {ROUNDS - WARM_UP} rounds')
        if vm.kasan:
            t.skip(f'{what} does not grow', KASAN_KEEPS)
        else:
            t.ok(growth < KIB, f'{what} does not grow', f'{growth} KiB')
