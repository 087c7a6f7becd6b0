#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What every file must have. The tools are in check.t."""

import os
import subprocess
import sys

from harness import Tap

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), '../..'))


def run(*args):
    return subprocess.run(args, cwd=TOP, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)


def main(t):
    files = run('git', '-c', 'safe.directory=*', 'ls-files', '-co',
                '--exclude-standard').stdout.split()
    files = [f for f in files if os.path.isfile(os.path.join(TOP, f))]
    for name in files:
        if name.endswith(('.c', '.h', '.sh', '.py', '.t')) or name == 'Kbuild':
            with open(os.path.join(TOP, name), encoding='utf-8') as f:
                head = f.read(200)
            t.ok('SPDX-License-Identifier: GPL-2.0' in head, f'{name} says its licence')


if __name__ == '__main__':
    tap = Tap()
    main(tap)
    sys.exit(tap.done())
