#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""As many DIMMs as a machine has slots, at once: each has its devices and its bytes, and
all leave."""

from harness import guest_test, plug

DIMMS = 32

with guest_test(dimms=[], slots=DIMMS, maxmem='8G') as (t, vm):
    vm.sh('insmod /root/karray.ko')
    for n in range(DIMMS):
        plug(vm, f'dimm{n}', '128M', f'karray{n}')
    t.is_(vm.sh('cd /sys/bus/karray/devices; cat */size').out.split(), [str(128 << 20)] * DIMMS,
          f'{DIMMS} devices')
    t.is_(len(set(vm.sh('cd /sys/bus/karray/devices; cat */phys_addr').out.split())), DIMMS,
          'each at an address of its own')
    t.is_(vm.sh('ls /dev | grep -c "^karray[0-9]*$"; ls /dev | grep -c "^karrayb[0-9]*$"').out.split(),
          [str(DIMMS)] * 2, 'each has both nodes')

    # All are written before the first is read. The first char node has no number.
    names = ['karray', *(f'karray{n}' for n in range(1, DIMMS))]
    vm.sh(''.join(
        f'yes "bytes of {n}" | head -c 64K > /dev/{name};'
        f'yes "disk of {n}" | head -c 64K | dd of=/dev/karrayb{n} bs=64K seek=1 iflag=fullblock oflag=direct;'
        for n, name in enumerate(names)), timeout=200)
    text = vm.sh(''.join(f'dd if=/dev/karrayb{n} bs=64K count=1 iflag=direct | uniq | head -n 1;'
                         f'dd if=/dev/{name} bs=64K skip=1 count=1 | uniq | head -n 1;'
                         for n, name in enumerate(names)), timeout=200).out
    t.is_(text.splitlines(), [f'{what} of {n}' for n in range(DIMMS) for what in ('bytes', 'disk')],
          'each holds what was written to it')

    # Without a pause between them, and in an order that nothing depends on.
    order = [n * 13 % DIMMS for n in range(DIMMS)]
    for n in order:
        vm.unplug(f'dimm{n}')
    t.is_([vm.unplug_result(f'dimm{n}', 120) for n in order], ['deleted'] * DIMMS, 'all leave')
    t.is_(vm.sh('ls /sys/bus/karray/devices').out, '', 'and no device is left')
