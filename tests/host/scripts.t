#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Static checks: shellcheck on every shell script, and what commits must not hold."""

import os
import subprocess
import sys

from harness import Tap

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), '../..'))


def run(*args):
    return subprocess.run(args, cwd=TOP, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)


def first_line(name):
    with open(os.path.join(TOP, name), 'rb') as f:
        return f.readline()


def main(t):
    files = run('git', '-c', 'safe.directory=*', 'ls-files', '-co',
                '--exclude-standard').stdout.split()
    files = [f for f in files if os.path.isfile(os.path.join(TOP, f))]
    shell = [f for f in files if b'sh' in first_line(f)
             and first_line(f).startswith(b'#!')] + ['scripts/lib.sh']
    t.ok(len(shell) > 5, 'there are shell scripts')
    for name in sorted(set(shell)):
        result = run('shellcheck', '-x', '-P', 'SCRIPTDIR', name)
        t.is_(result.returncode, 0, f'shellcheck {name}', result.stdout)

    for name in files:
        if name.endswith(('.c', '.h', '.sh', '.py', '.t')) or name == 'Kbuild':
            with open(os.path.join(TOP, name), encoding='utf-8') as f:
                head = f.read(200)
            t.ok('SPDX-License-Identifier: GPL-2.0' in head, f'{name} says its licence')


if __name__ == '__main__':
    tap = Tap()
    main(tap)
    sys.exit(tap.done())
