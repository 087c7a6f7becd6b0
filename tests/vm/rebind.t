#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Two DIMMs that are written and verified by disk, char device and mapping, by as many
programs as keep two CPUs busy; one CPU takes the first DIMM by force and brings it back,
the other takes the second one offline, when nobody has it, and online: in each mode, no
byte is lost.  KARRAY_ROUNDS makes it longer."""

import os

from harness import BUS, DRIVER, guest_test

ROUNDS = int(os.environ.get('KARRAY_ROUNDS', '8'))
PATIENCE = 600 + 20 * ROUNDS

MODES = {
    'mq': {'queue_mode': 'mq', 'dax': 0},
    'bio': {'queue_mode': 'bio', 'dax': 0},
    'dax': {'queue_mode': 'mq', 'dax': 1},
}

ROLES = {
    'disk': 'io /dev/karrayb{n} exact 0 256',
    'bytes': 'io /dev/karray{c} exact 256 256',
    'mapping': 'map /dev/karray{c} exact 1024 1024',
}

REBIND = (f'for i in $(seq {ROUNDS}); do echo PNP0C80:00 > {DRIVER}/unbind || exit; '
          f'echo PNP0C80:00 > {DRIVER}/bind || exit; sleep 0.2; done')
SWITCH = (f'off=0; busy=0; while [ ! -e /run/enough -o $off -lt {ROUNDS} ]; do '
          f'if echo 0 > {BUS}/karray1/online; then off=$((off + 1)); else busy=$((busy + 1)); fi; '
          f'echo 1 > {BUS}/karray1/online || exit; usleep 20000; done 2> /dev/null; echo $off $busy')

with guest_test(dimms=[('hp_dimm0', '128M'), ('hp_dimm1', '128M')], parallel=True) as (t, vm):
    for mode, settings in MODES.items():
        vm.sh(f'insmod /root/karray.ko {" ".join(f"{name}={value}" for name, value in settings.items())};'
              'rm -f /run/stop /run/enough')
        jobs = {f'{label}, karray{n}': vm.spawn(f'exec /root/storm {label}{n} '
                                                 + role.format(n=n, c=n or ''))
                for label, role in ROLES.items() for n in (0, 1)}
        switch = vm.spawn(f'taskset -p 2 $$ > /dev/null; {SWITCH}')
        rebind = vm.sh(f'taskset -p 1 $$ > /dev/null; {REBIND}', timeout=PATIENCE, check=False)
        t.is_(rebind.rc, 0, f'{mode}: {ROUNDS} times unbind and bind', rebind.err)
        vm.sh('touch /run/enough')
        result = switch.wait(PATIENCE)
        vm.sh('touch /run/stop')
        t.is_(result.rc, 0, f'{mode}: offline, and online again', result.out)
        t.diag(f'{mode}: karray1 was offline, and in use, so often: {result.out.strip()}')
        for label, job in jobs.items():
            result = job.wait(PATIENCE)
            t.diag(f'{mode}: {label}: {result.out.strip()}')
            t.is_(result.rc, 0, f'{mode}: {label}: all bytes are what was written', result.out + result.err)
        t.is_(vm.sh(f'cat {BUS}/*/users').out.split(), ['0', '0'], f'{mode}: no user is left')
        vm.sh('rmmod karray')
