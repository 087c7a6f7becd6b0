#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What every file must have, and what every script does with what it is told. The tools
are in check.t."""

import os
import re
import subprocess
import sys

from harness import Tap

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), '../..'))


# Of others, and not to be called by people.
PARTS = ('scripts/lib.sh', 'scripts/run_test.sh')

# Each must be told at once.
WRONG = ['scripts/test.sh nonsense', 'scripts/test.sh --nonsense', 'scripts/check.sh nonsense',
         'env ARCH=x86_64 scripts/test.sh',
         'scripts/bench.sh --nonsense', 'scripts/bench.sh --jobs nonsense', 'scripts/bench.sh --profile nonsense',
         'scripts/run.sh --nonsense', 'scripts/run.sh --kernel 2.4', 'scripts/build-debug-kernel.sh nonsense']


def run(*args):
    env = {name: value for name, value in os.environ.items() if name != 'KERNEL'}
    return subprocess.run(args, cwd=TOP, env=env, text=True, stdout=subprocess.PIPE,
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

    for name in files:
        if name.startswith('scripts/') and name.endswith('.sh') and name not in PARTS:
            done = run(name, '--help')
            t.ok(done.returncode == 0 and 'usage: ' in done.stdout, f'{name} --help', done.stdout)
    for command in WRONG:
        done = run(*command.split())
        t.ok(done.returncode and re.search('usage: |unknown |no job is called', done.stdout),
             f'{command}: refused, with what would be right', done.stdout)


if __name__ == '__main__':
    tap = Tap()
    main(tap)
    sys.exit(tap.done())
