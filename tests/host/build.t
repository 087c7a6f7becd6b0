#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make, make install, make clean and make help, as users of an out-of-tree module
expect them, and the compile probes, for each kernel whose headers are here."""

import glob
import os
import re
import shutil
import subprocess
import sys

from harness import BUILD, Tap

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), '../..'))
SOURCES = ['Kbuild', 'Makefile', 'VERSION', 'drivers', 'include', 'probes']


def tree(path):
    return sorted(os.path.relpath(os.path.join(base, name), path)
                  for base, _, names in os.walk(path) for name in names)


def fresh_copy(where):
    """The sources alone, as a release has them."""
    shutil.rmtree(where, ignore_errors=True)
    files = subprocess.run(['git', '-c', 'safe.directory=*', 'ls-files', '-co',
                            '--exclude-standard', *SOURCES], cwd=TOP, check=True,
                           capture_output=True, text=True).stdout.split()
    for name in files:
        os.makedirs(os.path.join(where, os.path.dirname(name)), exist_ok=True)
        shutil.copy2(os.path.join(TOP, name), os.path.join(where, name))
    return tree(where)


def not_ignored(names):
    """Those of this set of files, made in the source tree, that git would take for sources."""
    ignored = subprocess.run(['git', '-c', 'safe.directory=*', 'check-ignore', '--no-index', '--stdin'],
                             cwd=TOP, input='\n'.join(names), capture_output=True, text=True).stdout.split()
    return sorted(names - set(ignored))


def make(where, *args):
    # prove and make must not meet in the environment.
    env = {k: v for k, v in os.environ.items() if not k.startswith('MAKE')}
    return subprocess.run(['make', *args], cwd=where, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def expected_probes(kernel):
    with open(os.path.join(TOP, 'tests/host/probes.expected'), encoding='ascii') as f:
        rows = [line.split() for line in f if not line.startswith('#')]
    return {probe: result for version, probe, result in rows if version == kernel}


def test_probes(t, name, built):
    probed = re.search(r'PROBED\s+(.*)', built.stdout)
    t.is_(dict(pair.split('=') for pair in probed[1].split()) if probed else None,
          expected_probes(name.split('-')[0]), f'{name}: the probes find what they should')


def test_kernel(t, kernel, kdir):
    where = os.path.join(BUILD, 'host', kernel)
    sources = fresh_copy(where)

    built = make(where, '-j2', f'KDIR={kdir}')
    t.is_(built.returncode, 0, f'{kernel}: make', built.stdout)
    t.is_(not_ignored(set(tree(where)) - set(sources)), [], f'{kernel}: git ignores all that it makes')
    test_probes(t, kernel, built)
    info = subprocess.run(['/sbin/modinfo', f'{where}/karray.ko'], text=True,
                          capture_output=True).stdout
    for field in ('license: *GPL', r'version: *\d+\.\d+\.\d+', 'description: *\\S',
                  'parm: *queue_depth:', 'parm: *nr_queues:'):
        t.like(info, field, f'{kernel}: modinfo has {field}')

    again = make(where, f'KDIR={kdir}')
    t.ok(not re.search(r'^ +(CC|PROBE|LD)', again.stdout, re.M),
         f'{kernel}: a second make has nothing to do', again.stdout)
    os.utime(f'{where}/drivers/base/karray_mem.c')
    verbose = make(where, f'KDIR={kdir}', 'V=1')
    t.ok('-DKBUILD_MODNAME' in verbose.stdout, f'{kernel}: V=1 shows commands')

    dest = f'{where}.dest'
    shutil.rmtree(dest, ignore_errors=True)
    done = make(where, f'KDIR={kdir}', f'DESTDIR=../{kernel}.dest', 'install')
    t.is_(done.returncode, 0, f'{kernel}: make install', done.stdout)
    t.is_(len(glob.glob(f'{dest}/lib/modules/*/updates/**/karray.ko*',
                        recursive=True)), 1, f'{kernel}: under DESTDIR, updates/')

    done = make(where, f'KDIR={kdir}', f'DESTDIR=../{kernel}.dest', 'uninstall')
    t.is_(glob.glob(f'{dest}/**/karray*', recursive=True), [], f'{kernel}: make uninstall removes it', done.stdout)

    done = make(where, f'KDIR={kdir}', 'clean')
    t.is_(done.returncode, 0, f'{kernel}: make clean', done.stdout)
    t.is_(tree(where), sources, f'{kernel}: which leaves the sources alone')

    # Straight through the kernel's makefiles, as DKMS and distributions do.
    direct = make(where, '-j2', '-C', kdir, f'M={where}', 'modules')
    t.is_(direct.returncode, 0, f'{kernel}: make -C KDIR M=', direct.stdout)

    # Controls that lie stop the build.
    for control, lie in (('control_pass', 'control_fail'),
                         ('control_fail', 'control_pass')):
        fresh_copy(where)
        shutil.copy(f'{TOP}/probes/{lie}.c', f'{where}/probes/{control}.c')
        lied = make(where, f'KDIR={kdir}')
        t.ok(lied.returncode and f"compile probe '{control}'" in lied.stdout,
             f'{kernel}: a wrong {control} stops the build', lied.stdout)


def test_flavour(t, name, kdir):
    """What a flavour is configured for (locks that sleep, no huge pages, no machine checks)
    chooses other code, also among ours."""
    where = os.path.join(BUILD, 'host', name)
    fresh_copy(where)
    built = make(where, '-j2', 'W=1', f'KDIR={kdir}')
    t.is_(built.returncode, 0, f'{name}: make', built.stdout)
    t.ok(not re.search('warning', built.stdout, re.I), f'{name}: without a warning', built.stdout)
    test_probes(t, name, built)
    magic = subprocess.run(['/sbin/modinfo', '-F', 'vermagic', f'{where}/karray.ko'], text=True,
                           capture_output=True).stdout
    t.like(magic, rf'^\S+-{name.split("-")[1]}-\S+ ', f"{name}: the module is this flavour's")


def main(t):
    # test.sh fetches them first.
    kernels, flavours = (sorted(glob.glob(f'{BUILD}/{which}/headers'))
                         for which in ('kernels/[0-9]*', 'flavours/*'))
    t.ok(kernels, 'there are kernel headers')
    for kdir in kernels:
        test_kernel(t, kdir.split('/')[-2], os.path.realpath(kdir))
    names = [kdir.split('/')[-2] for kdir in flavours]
    t.is_({name.split('-')[1] for name in names}, {'rt', 'cloud'}, 'and of other flavours')
    for name, kdir in zip(names, flavours):
        test_flavour(t, name, os.path.realpath(kdir))

    # The header is all that programs need, in C and C++, on 32 and 64 bits.
    dest = f'{BUILD}/host/headers'
    shutil.rmtree(dest, ignore_errors=True)
    done = make(TOP, 'headers_install', f'INSTALL_HDR_PATH={dest}')
    t.is_(done.returncode, 0, 'make headers_install', done.stdout)
    t.is_(tree(dest), ['include/linux/karray.h'], 'installs the header')
    for language in ('c', 'c++'):
        built = subprocess.run(['gcc', '-x', language, '-Wall', '-Wextra', '-Wpadded', '-Werror',
                                f'-I{dest}/include', '-fsyntax-only', '-'],
                               input='#include <linux/karray.h>\n', text=True,
                               capture_output=True)
        t.is_(built.returncode, 0, f'which compiles as {language}, and has no holes', built.stderr)
    example = subprocess.run(['gcc', '-O2', '-Wall', '-Wextra', '-Werror', f'-I{dest}/include',
                              '-o', f'{dest}/ring', f'{TOP}/examples/ring.c'],
                             text=True, capture_output=True)
    t.is_(example.returncode, 0, 'the example compiles', example.stderr)

    dest = f'{BUILD}/host/tools.dest'
    shutil.rmtree(dest, ignore_errors=True)
    done = make(TOP, 'install-tools', f'DESTDIR={dest}', f'O={BUILD}/host/tools')
    t.is_((done.returncode, len(tree(dest))), (0, 8), 'make install-tools', done.stdout)
    t.is_(not_ignored({f'tools/{name}' for name in tree(f'{BUILD}/host/tools')}), [], 'git ignores all that it makes')
    done = make(TOP, 'uninstall-tools', f'DESTDIR={dest}')
    t.is_(tree(dest), ['etc/karray.conf'], 'make uninstall-tools leaves the configuration', done.stdout)

    usage = make(TOP, 'help')
    for word in ('make install', 'make check', 'make headers_install', 'make clean', 'KDIR=', 'DESTDIR=', 'V=1',
                 'KERNELRELEASE='):
        t.ok(word in usage.stdout, f'make help knows {word}')
    lost = make(TOP, 'KDIR=/nonexistent')
    t.ok(lost.returncode and 'no kernel headers in /nonexistent' in lost.stdout,
         'missing headers: a clear line', lost.stdout)
    lost = make(TOP, 'KERNELRELEASE=1.2.3')
    t.ok('/lib/modules/1.2.3/build' in lost.stdout, 'KERNELRELEASE chooses headers',
         lost.stdout)


if __name__ == '__main__':
    tap = Tap()
    main(tap)
    sys.exit(tap.done())
