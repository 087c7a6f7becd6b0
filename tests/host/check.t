#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The static tools: each has nothing to say of the repository, and finds what is wrong in
a small one of our making."""

import pathlib
import shutil
import subprocess
import sys

from harness import Tap

TOP = pathlib.Path(__file__).resolve().parents[2]
PLANTED = TOP / 'build/host/planted'

KERNEL_C = '''\
// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>
#include <linux/slab.h>

int __user *planted_user;

int planted(int *p);
int planted(int *p)
{
\tint unused = 1;

\tunused = 2;
\tif (p)
\t\tkfree(p);
\tif (!p)
\t\treturn *p;
\treturn *planted_user;
}
MODULE_DESCRIPTION("planted");
MODULE_LICENSE("GPL");
'''

PROGRAM_C = '''\
// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

int main(void)
{
\tFILE *file = fopen("planted", "w");

\tfprintf(file, "%d", 1);
\treturn fclose(file);
}
'''

# The pio of the planted tree stores behind its memory.
PIO_C = '''\
// SPDX-License-Identifier: GPL-2.0
int main(int argc, char **argv)
{
\tchar text[2] = "";

\ttext[argc] = argv[0][0];
\treturn text[0];
}
'''

FILES = {
    'Makefile': (TOP / 'Makefile').read_text(encoding='utf-8'),
    'Kbuild': 'obj-m := drivers/planted.o\n',
    'drivers/planted.c': KERNEL_C,
    'include/.keep': '',
    'probes/.keep': '',
    'tests/guest/planted.c': PROGRAM_C,
    'tests/guest/pio.c': PIO_C,
    'scripts/planted.sh': '#!/bin/sh\nrm $1\n',
    'scripts/planted.py': 'import os\n',
    'man/planted.8': '.TH PLANTED 8\n.SH NAME\nplanted \\- wrong\n.EXAMPLES\n',
    'README': 'teh\n',        # codespell:ignore
}

# What a tool says of that.
FINDS = {
    'gcc': 'set but not used',
    'clang': 'set but not used',
    'sparse': 'dereference of noderef expression',
    'analyzer': 'null pointer',
    'coccinelle': 'NULL check before some freeing functions is not needed',
    'checkpatch': 'kfree\\(NULL\\) is safe',
    'fanalyzer': 'possibly-NULL',
    'sanitizers': 'stack-buffer-overflow|out of bounds',
    'shellcheck': 'SC2086',
    'pyflakes': 'imported but unused',
    'groff': "macro 'EXAMPLES' not defined",
    'codespell': 'teh ==> the',     # codespell:ignore
}


def check(top, *args):
    return subprocess.run([f'{top}/scripts/check.sh', *args], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def plant():
    """A tree that has the tools' script, and the kernels, of this one."""
    shutil.rmtree(PLANTED, ignore_errors=True)
    for name, text in FILES.items():
        path = PLANTED / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    for script in TOP.glob('scripts/*.sh'):
        shutil.copy2(script, PLANTED / 'scripts')
    (PLANTED / 'build').mkdir()
    for name in ('kernels', 'source'):
        (PLANTED / 'build' / name).symlink_to(TOP / 'build' / name)
    (PLANTED / '.gitignore').write_text('/build/\n', encoding='utf-8')
    subprocess.run(['git', 'init', '-q', PLANTED], check=True)


def main(t):
    tools = check(TOP, '--list').stdout.split()
    t.is_(sorted(tools), sorted(FINDS), 'the tools are those that are tested')
    for tool in tools:
        done = check(TOP, tool)
        t.is_(done.returncode, 0, f'{tool}: nothing found', done.stdout)
    plant()
    for tool in tools:
        done = check(PLANTED, tool)
        t.ok(done.returncode, f'{tool}: fails where something is wrong')
        t.like(done.stdout, FINDS[tool], f'{tool}: and says what')
    lost = check(TOP, 'nonsense')
    t.ok(lost.returncode and "unknown tool 'nonsense'" in lost.stdout, 'an unknown tool: a clear line')


if __name__ == '__main__':
    tap = Tap()
    main(tap)
    sys.exit(tap.done())
