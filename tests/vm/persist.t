#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Contents survive what memory survives: all that can be done to devices, reboots, and,
as the host keeps the DIMM in a file, the end of QEMU. (kexec is in kexec.t, and what going
offline and reloading do with open files in reload.t.)"""

import sys
import tempfile

from harness import BUILD, KEEPERS, Tap, fill, guest_test, load_keepers, survived

BUS = '/sys/bus/karray'
BOOT_ID = 'cat /proc/sys/kernel/random/boot_id'

tap = Tap()

with tempfile.TemporaryDirectory(dir=BUILD) as where:
    machine = KEEPERS | {'dimms': [('hp_dimm0', '64M', f'{where}/dimm,0')]}

    with guest_test(tap=tap, **machine) as (t, vm):
        want = {n: fill(vm, n) for n in load_keepers(t, vm, 'first')}
        vm.sh(f'set -e; for n in 0 1; do cd {BUS}/devices/karray$n; echo 0 > online; echo 1 > online; done;'
              f'echo karray1 > {BUS}/delete; echo 64M@0x100000000 > {BUS}/create; rmmod karray')
        for n in load_keepers(t, vm, 'offline, delete, unload'):
            survived(t, vm, n, want[n], 'offline, delete, unload')

        for how in ('reboot -f', 'echo b > /proc/sysrq-trigger'):
            before = vm.sh(BOOT_ID).out
            vm.reboot(how, timeout=300)
            t.ok(vm.sh(BOOT_ID).out != before, f'{how}: a boot')
            for n in load_keepers(t, vm, how):
                survived(t, vm, n, want[n], how)

    with guest_test(tap=tap, **machine) as (t, vm):
        load_keepers(t, vm, 'another QEMU')
        survived(t, vm, 0, want[0], 'another QEMU')

sys.exit(tap.done())
