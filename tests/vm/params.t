#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Bad input at load: wrong parameters, ranges that somebody else has, no ACPI."""

import re
import sys

from harness import Tap, guest_test

WRONG = [
    ('queue_depth=10241', 'karray: queue_depth=10241 is more than 10240'),
    ('queue_depth=4294967295', 'queue_depth=4294967295 is more than 10240'),
    ('queue_depth=-1', "invalid for parameter `queue_depth'"),
    ('queue_depth=many', "invalid for parameter `queue_depth'"),
    ('nr_queues=3', "karray: nr_queues=3 is more than this machine's 2 CPUs"),
    ('poll_queues=3', "karray: poll_queues=3 is more than this machine's 2 CPUs"),
    ('logical_block_size=513', 'karray: logical_block_size=513 is not 512, 1024, 2048 or'),
    ('logical_block_size=256', 'karray: logical_block_size=256 is not 512, 1024, 2048 or'),
    ('logical_block_size=8192', 'karray: logical_block_size=8192 is not 512, 1024, 2048 or'),
    ('queue_mode=rq', 'karray: queue_mode=rq is not mq or bio'),
    ('read_only=maybe', "invalid for parameter `read_only'"),
    ('nr_queues=', "invalid for parameter `nr_queues'"),
]

tap = Tap()

with guest_test(tap=tap, dimms=[('hp_dimm0', '256M'), ('hp_dimm1', '256M'),
                                ('hp_dimm2', '256M')],
                cmdline='memmap=64K$0x110010000') as (t, vm):
    for words, says in WRONG:
        vm.sh('dmesg -c > /dev/null')
        result = vm.sh(f'insmod /root/karray.ko {words}', check=False)
        log = [line for line in vm.sh('dmesg').out.splitlines()
               if not re.search('taint|version magic', line)]    # the latter is gcov's
        t.ok(result.rc != 0, f'{words}: refused')
        t.is_(len(log), 1, f'{words}: one line', '\n'.join(log))
        t.ok(says in ' '.join(log), f'{words}: which is clear', '\n'.join(log))
        t.is_(vm.sh('ls /sys/bus | grep karray', check=False).out, '',
              f'{words}: nothing left behind')

    # 64 KiB of the second DIMM belong to somebody else.
    vm.sh('dmesg -c > /dev/null; insmod /root/karray.ko nr_queues=1 queue_depth=16')
    t.like(vm.sh('dmesg').out,
           r'karray1: \[mem 0x110000000-0x11fffffff\] meets a range that another '
           r'owner has claimed', 'a taken range is reported')
    t.is_(vm.sh('cat /sys/bus/karray/devices/karray*/online').out.split(),
          ['1', '0', '1'], 'its device is offline, the others are not')
    t.is_(vm.sh('ls /dev | grep karray').out.split(),
          ['karray', 'karray2', 'karrayb0', 'karrayb2'], 'and have their nodes')
    t.is_(vm.sh('echo 1 > /sys/bus/karray/devices/karray1/online', check=False).rc,
          1, 'another try fails as well')
    vm.sh('/root/karray_test /dev/karray2')

    t.is_(vm.sh('ls /sys/block/karrayb0/mq').out.split(), ['0', '1'],
          'nr_queues is obeyed (and there is a queue for polled I/O)')
    t.is_(vm.sh('cat /sys/block/karrayb0/mq/0/nr_tags').out.strip(), '16',
          'queue_depth is obeyed')

    # Attributes take no nonsense.
    for word in ('2', 'x', ''):
        t.is_(vm.sh(f'echo {word} > /sys/bus/karray/devices/karray0/online',
                    check=False).rc, 1, f'online = "{word}" is refused')
    t.is_(vm.sh('echo PNP0C80:00 > /sys/bus/acpi/drivers/karray/bind',
                check=False).rc, 1, 'a bound DIMM is not bound again')

# Without ACPI there are no DIMMs, and nothing else goes wrong.
with guest_test(tap=tap, dimms=[], smp=1, cmdline='acpi=off') as (t, vm):
    vm.sh('insmod /root/karray.ko')
    t.like(vm.sh('dmesg | tail -n 1').out, 'karray: ACPI is off: there are no DIMMs',
           'without ACPI: the module loads and says so')
    t.is_(vm.sh('ls /sys/bus/karray/devices').out, '', 'without ACPI: no device')

sys.exit(tap.done())
