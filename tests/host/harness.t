#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The harness, as far as it needs no guest: judging logs, writing and counting TAP,
and what test.sh's last line says of tests that pass, fail, skip, die or hang."""

import contextlib
import io
import os
import pathlib
import subprocess
import sys
import tempfile

from harness import Tap, console_problems
from harness.console import REPORT
from harness.count import main as count_main

TOP = pathlib.Path(__file__).resolve().parents[2]
BOOT = 'Linux version 6.12\n'

CLEAN = [
    'PCI: Using host bridge windows from ACPI; if necessary, use "pci=nocrs" and report a bug',
    'AMD-Vi: AMD IOMMUv2 functionality not available on this system - This is not a bug.',
    'karray: loading out-of-tree module taints kernel.',
    'EXT4-fs (karrayb0): mounted filesystem',
    'debug: nothing',
]
DIRTY = [
    'BUG: kernel NULL pointer dereference, address: 0000000000000000',
    'WARNING: CPU: 0 PID: 1 at kernel/foo.c:1 foo+0x1/0x2',
    'WARNING: possible circular locking dependency detected',
    'Oops: 0000 [#1] PREEMPT SMP',
    'BUG: KASAN: slab-use-after-free in foo',
    'UBSAN: array-index-out-of-bounds in foo.c',
    'INFO: task fio:123 blocked for more than 120 seconds.',
    'watchdog: BUG: soft lockup - CPU#0 stuck for 26s!',
    'rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:',
    'BUG: sleeping function called from invalid context at foo.c:1',
    'refcount_t: underflow; use-after-free.',
    'general protection fault, probably for non-canonical address',
    'Kernel panic - not syncing: Fatal exception',
    'Call Trace:',
]

# A test's text, its exit status, and what it counts as: passed, failed, skipped.
COUNTS = [
    ('ok 1 - a\nok 2 - b\n1..2\n', 0, (2, 0, 0), 'pass'),
    ('1..2\nok 1 - a\nok 2 - b\n', 0, (2, 0, 0), 'the plan first'),
    ('ok 1 - a\nnot ok 2 - b\n1..2\n', 1, (1, 1, 0), 'fail'),
    ('ok 1 - a\nok 2 - b # SKIP no reason\n1..2\n', 0, (1, 0, 1), 'skip'),
    ('ok 1 - a\n', 0, (1, 1, 0), 'no plan'),
    ('ok 1 - a\n1..2\n', 0, (1, 1, 0), 'a broken plan'),
    ('ok 1 - a\n1..1\n', 3, (1, 1, 0), 'an exit status that no test point explains'),
    ('ok 1 - a\n', 124, (1, 1, 0), 'a time-out'),
    ('1..0\n', 0, (0, 1, 0), 'no test point'),
    ('', 0, (0, 1, 0), 'no output'),
    ('Bail out! no guest\n', 255, (0, 1, 0), 'bailing out'),
]


def count(texts, **env):
    """What counting these (text, status) says last, its exit status, and what it says before."""
    with tempfile.TemporaryDirectory() as where:
        paths = []
        for n, (text, status) in enumerate(texts):
            paths.append(f'{where}/{n}.tap')
            pathlib.Path(paths[-1]).write_text(text, encoding='utf-8')
            pathlib.Path(f'{where}/{n}.status').write_text(str(status), encoding='utf-8')
        out = io.StringIO()
        before = os.environ.get('CI')
        os.environ['CI'] = env.get('CI', 'false')
        try:
            with contextlib.redirect_stdout(out):
                status = count_main(paths)
        finally:
            os.environ.pop('CI')
            if before is not None:
                os.environ['CI'] = before
        *what, total = out.getvalue().replace(f'{where}/', '').splitlines()
        return total, status, what


def test_console(t):
    t.is_(console_problems(BOOT + '\n'.join(CLEAN)), [], 'a clean log')
    for line in DIRTY:
        t.is_(console_problems(f'{BOOT}[    1.0] {line}\n'), [f'[    1.0] {line}'],
              f'found: {line}')
    t.is_(console_problems(f'{BOOT}{DIRTY[0]}\n{DIRTY[1]}', allow=['NULL']), [DIRTY[1]],
          'what is allowed is, and nothing else')
    report = [DIRTY[0], *(f'line {n} after it' for n in range(REPORT))]
    t.is_(console_problems(BOOT + '\n'.join([*CLEAN, *report, DIRTY[1]])), [*report[:-1], DIRTY[1]],
          'what follows the first problem is shown')
    t.ok(console_problems(''), 'an empty log is a problem')
    t.ok(console_problems('\n'.join(CLEAN)), 'a log without its beginning is a problem')


def test_tap(t):
    out = io.StringIO()
    sample = Tap(out)
    sample.ok(True, 'good')
    sample.is_(1, 2, 'bad')
    sample.skip('maybe', 'no time')
    t.is_(sample.done(), 1, 'Tap: a failure is the exit status')
    t.like(out.getvalue(), r'ok 1 - good\nnot ok 2 - bad\n#  got: 1\n# want: 2\n'
           r'(#.*\n)*ok 3 - maybe # SKIP no time\n1\.\.3\n', 'Tap: writes TAP')
    t.is_(Tap(io.StringIO()).done(), 1, 'Tap: no test point is a failure')


def test_count(t):
    for text, status, (passed, failed, skipped), what in COUNTS:
        t.is_(count([(text, status)])[:2],
              (f'{passed} passed, {failed} failed, {skipped} skipped',
               1 if failed else 0), f'counted: {what}')
    t.is_(count([(COUNTS[0][0], 0), (COUNTS[2][0], 1), (COUNTS[3][0], 0)])[:2],
          ('4 passed, 1 failed, 1 skipped', 1), 'counted: the sum of three')
    t.is_(count([])[:2], ('0 passed, 1 failed, 0 skipped', 1), 'counted: no test at all')
    t.is_(count([('# a\nok 1\n# b\nnot ok 2 - x\n# c\nok 3\n# d\n1..3\n', 1)])[2],
          ['0: # b', '0: not ok 2 - x', '0: # c'], 'counted: a failure is shown with what was said about it')
    t.is_(count([(COUNTS[3][0], 0)], CI='true')[:2], ('1 passed, 1 failed, 0 skipped', 1),
          'counted: in CI a skip that nobody expects has failed')


def test_runner(t):
    """run_test.sh keeps output and status, and ends what hangs."""
    with tempfile.TemporaryDirectory() as where:
        def run(name, script, **env):
            path = pathlib.Path(where, f'{name}.t')
            path.write_text(f'#!/bin/sh\n{script}\n', encoding='utf-8')
            path.chmod(0o755)
            subprocess.run([f'{TOP}/scripts/run_test.sh', str(path)], check=False,
                           env={**os.environ, 'RESULTS': where, **env},
                           stdout=subprocess.DEVNULL)
            return tuple(pathlib.Path(where, f'{name}.{end}').read_text(encoding='utf-8')
                         for end in ('tap', 'status'))

        t.is_(run('good', 'echo ok 1; echo 1..1'), ('ok 1\n1..1\n', '0\n'), 'run: good')
        t.is_(run('bad', 'echo not ok 1; exit 1'), ('not ok 1\n', '1\n'), 'run: bad')
        t.is_(run('hangs', 'echo ok 1; sleep 100', TEST_TIMEOUT='1'),
              ('ok 1\n', '124\n'), 'run: hanging')


if __name__ == '__main__':
    tap = Tap()
    test_console(tap)
    test_tap(tap)
    test_count(tap)
    test_runner(tap)
    sys.exit(tap.done())
