#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Memory that was set aside at boot, and everybody at once: three create and delete, two
take devices offline and online, one reads; and amid all that the module is unloaded."""

from harness import guest_test

BUS = '/sys/bus/karray'

CHURN = (f'while [ -e /run/go ]; do echo %s > {BUS}/create && echo c >> /run/created; '
         f'echo karray0 > {BUS}/delete; echo karray1 > {BUS}/delete && echo d >> /run/deleted; done')
SWITCH = (f'while [ -e /run/go ]; do for n in 0 1; do echo 0 > {BUS}/devices/karray$n/online; '
          f'echo 1 > {BUS}/devices/karray$n/online; done; done')
READ = 'while [ -e /run/go ]; do head -c 4096 /dev/karray; head -c 4096 /dev/karrayb1; done'

# Two of them want the same.
LOOPS = [CHURN % '64M@4G', CHURN % '32M@4G', CHURN % '64M@0x110000000', SWITCH, SWITCH, READ]

with guest_test(dimms=[], mem='3G', cmdline='memmap=512M$4G', parallel=True) as (t, vm):
    iomem = vm.sh('cat /proc/iomem').out
    for lap in (1, 2):
        vm.sh('insmod /root/karray.ko region=64M@4G; touch /run/go; rm -f /run/created /run/deleted')
        loops = [vm.spawn(f'exec >/dev/null 2>&1; {loop}') for loop in LOOPS]
        vm.wait('[ $(cat /run/created | wc -l) -ge 25 -a $(cat /run/deleted | wc -l) -ge 5 ]', 300,
                'many to come and go')
        unloaded = vm.sh('for i in $(seq 1000); do rmmod karray && exit; done; exit 1', timeout=300,
                         check=False)
        vm.sh('rm /run/go')
        for loop in loops:
            loop.wait(120)
        t.is_(unloaded.rc, 0, f'lap {lap}: unloaded amid it all', unloaded.err[-300:])
        t.is_(vm.sh('cat /proc/iomem').out, iomem, f'lap {lap}: /proc/iomem is as before')
