#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""DIMMs that are plugged into the running guest, and pulled."""

from harness import guest_test

BUS = '/sys/bus/karray/devices'


def devices(vm):
    """The bus, as {name: (physical address, size)}."""
    out = vm.sh(f'cd {BUS} && for d in *; do [ -e $d ] && '
                'echo $d $(cat $d/phys_addr $d/size); done; true').out
    return {name: (int(addr, 16), int(size))
            for name, addr, size in map(str.split, out.splitlines())}


def nodes(vm):
    return sorted(vm.sh('ls /dev | grep karray', check=False).out.split())


def plug(vm, dimm, size, name):
    vm.plug(dimm, size)
    vm.wait(f'[ "$(cat {BUS}/{name}/online)" = 1 ]', 20, f'{name} for {dimm}')


with guest_test(dimms=[], kmemleak=True) as (t, vm):
    # Before the module is loaded.
    vm.plug('early', '512M')
    vm.wait('grep -q 15 /sys/bus/acpi/devices/PNP0C80:00/status', 20,
            'the DIMM in the guest')
    vm.sh('insmod /root/karray.ko')
    t.is_(list(devices(vm)), ['karray0'], 'plugged before load: karray0')

    # After.
    plug(vm, 'late', '1G', 'karray1')
    t.is_(devices(vm)['karray1'][1], 1 << 30, 'plugged after load: karray1')
    t.is_(nodes(vm), ['karray', 'karray1', 'karrayb0', 'karrayb1'],
          'its nodes have its number')

    # Four at once, each with bytes of its own.
    plug(vm, 'third', '256M', 'karray2')
    plug(vm, 'fourth', '256M', 'karray3')
    t.is_(len({addr for addr, _ in devices(vm).values()}), 4,
          'four DIMMs at four addresses')
    for n, node in enumerate(('karray', 'karray1', 'karray2', 'karray3')):
        vm.sh(f'yes disk{n}xx | dd of=/dev/{node} bs=1M count=64 iflag=fullblock '
              '2>/dev/null')
    for n in range(4):
        t.is_(vm.sh(f'dd if=/dev/karrayb{n} bs=1M count=64 2>/dev/null | uniq')
              .out.strip(), f'disk{n}xx', f'karrayb{n} holds its own bytes')

    # Pull one that nobody uses; its number is free again.
    vm.unplug('late')
    t.is_(vm.unplug_result('late', 20), 'deleted', 'a free DIMM leaves')
    t.is_(list(devices(vm)), ['karray0', 'karray2', 'karray3'],
          'and its device is gone')
    t.is_(nodes(vm), ['karray', 'karray2', 'karray3',
                      'karrayb0', 'karrayb2', 'karrayb3'], 'and its nodes')
    plug(vm, 'again', '512M', 'karray1')
    t.is_(devices(vm)['karray1'][1], 512 << 20, 'the next takes the number')
    t.is_(vm.sh('dd if=/dev/karray1 bs=1M count=1 2>/dev/null | tr -d "\\0" '
                '| wc -c').out.strip(), '0', 'and shows its own bytes')

    # The first number as well: /dev/karray goes and comes.
    vm.unplug('early')
    t.is_(vm.unplug_result('early', 20), 'deleted', 'the first DIMM leaves')
    t.ok('karray' not in nodes(vm), 'no /dev/karray')
    plug(vm, 'first', '256M', 'karray0')
    t.ok('karray' in nodes(vm), '/dev/karray is back')

    # Offline by hand, then pulled; and pulled without a driver.
    vm.sh(f'echo 0 > {BUS}/karray3/online')
    vm.unplug('fourth')
    t.is_(vm.unplug_result('fourth', 20), 'deleted', 'an offline DIMM leaves')
    vm.sh('rmmod karray')
    vm.unplug('third')
    t.is_(vm.unplug_result('third', 20), 'deleted',
          'without the module a DIMM leaves')
    vm.sh('insmod /root/karray.ko')
    t.is_(len(devices(vm)), 2, 'the module finds the two that are left')

    for lap in range(5):
        plug(vm, f'lap{lap}', '256M', 'karray2')
        vm.sh('/root/karray_test /dev/karray2')
        vm.unplug(f'lap{lap}')
        t.is_(vm.unplug_result(f'lap{lap}', 20), 'deleted',
              f'plug, use, pull: lap {lap + 1}')
