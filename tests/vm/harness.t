#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The frame of the guest tests, tested: each kind of trouble in a guest must turn a
test red, and for the right reason."""

import os
import subprocess
import sys
import time

from harness import Tap
from harness.vm import DEFAULT_KERNEL

# Name, body, and the failed test points that it must lead to.
SAMPLES = [
    ('pass', "t.ok(True, 'fine'); vm.sh('insmod /root/karray.ko')", []),
    ('fail', "t.ok(False, 'not fine')", ['not fine']),
    ('exception', "vm.sh('exit 3')", ['the test runs to its end']),
    ('time-out', "vm.sh('sleep 100', timeout=1)", ['the test runs to its end']),
    ('oops', "vm.sh('echo c > /proc/sysrq-trigger')",
     ['the test runs to its end', 'the guest answers', 'karray unloads',
      'karray leaves nothing behind', 'the kernel is not tainted by trouble',
      'the guest powers off', 'the console log is clean']),
    ('warning', "vm.sh('echo WARNING: CPU: 0 PID: 1 at nowhere > /dev/kmsg')",
     ['the console log is clean']),
    ('expected warning',
     "vm.sh('echo WARNING: CPU: 0 PID: 1 at nowhere > /dev/kmsg')", []),
    ('busy', "vm.sh('insmod /root/karray.ko; sleep 100 </dev/karray >/dev/null 2>&1 &')",
     ['karray unloads', 'karray leaves nothing behind']),
    ('busy machine', "vm.spawn('yes > /dev/null'); vm.freeze(30); vm.sh('sleep 5')", []),
    ('leak', "vm.sh('touch /dev/karray-was-here')", ['karray leaves nothing behind']),
]

BODY = '''
from harness import guest_test
with guest_test(name='harness-sample', dimms=[('hp_dimm0', '128M')], allow={allow!r}) as (t, vm):
    {body}
'''

if os.environ.get('KARRAY_KERNEL') not in (None, DEFAULT_KERNEL):
    print(f'1..0 # SKIP the frame is the same with every kernel: tested with {DEFAULT_KERNEL}')
    sys.exit()

t = Tap()
for name, body, failures in SAMPLES:
    allow = ['at nowhere'] if name.startswith('expected') else []
    begin = time.monotonic()
    run = subprocess.run([sys.executable, '-c', BODY.format(body=body, allow=allow)],
                         text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seconds = time.monotonic() - begin
    red = [line.split(' - ', 1)[1] for line in run.stdout.splitlines()
           if line.startswith('not ok')]
    t.is_(red, failures, f'{name}: the right test points are red', run.stdout)
    t.is_(run.returncode, 1 if failures else 0, f'{name}: the exit status is true')
    t.like(run.stdout, r'\n1\.\.\d+\n', f'{name}: the plan is there')
    if name == 'oops':
        t.ok(seconds < 60, 'oops: noticed at once, not by a time-out',
             f'after {seconds:.0f} s')
sys.exit(t.done())
