#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Debian's packages: they build, lintian has nothing to say, and in a clean Debian 12 they
are installed, upgraded and purged, and DKMS builds the module for both kernels."""

import os
import re
import shutil
import subprocess
import sys

from harness import BUILD, Tap

TOP = BUILD.parent
ROOT = BUILD / 'packages' / 'chroot'
VERSION = (TOP / 'VERSION').read_text(encoding='utf-8').strip()
NEXT = VERSION + '.1'
PACKAGES = ('karray-dkms', 'karray-utils', 'libkarray-dev')
HEADERS = ('linux-headers-amd64', 'linux-headers-6.12-amd64')


def run(*args, **kwargs):
    return subprocess.run(args, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          **kwargs)


def works(t, what, done):
    return t.ok(done.returncode == 0, what, done.stdout[-3000:])


def inside(*args):
    """A command in the clean Debian, with mounts that end with it."""
    mount = 'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$0" "$@"'
    return run('unshare', '--mount', 'sh', '-c', mount, ROOT, *args,
               env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root',
                    'DEBIAN_FRONTEND': 'noninteractive', 'LC_ALL': 'C.UTF-8'})


def clean_debian():
    """Debian 12 with what DKMS and the tools need."""
    return run(TOP / 'scripts/make_debian.sh', '--tree', ROOT, 'dkms', *HEADERS, 'libsmartcols1', 'libmount1',
               'libblkid1', 'libudev1', 'linux-libc-dev', 'pahole')


def install(version):
    shutil.rmtree(ROOT / 'debs', ignore_errors=True)
    (ROOT / 'debs').mkdir()
    for name in PACKAGES:
        shutil.copy(next((BUILD / 'packages' / version).glob(f'{name}_*.deb')), ROOT / 'debs')
    return inside('sh', '-c', 'dpkg -i /debs/*.deb')


def traces():
    """Files of karray's."""
    return inside('find', '/', '-xdev', '-name', '*karray*', '-not', '-path', '/proc/*').stdout


def kernels():
    return sorted(p.name for p in (ROOT / 'lib/modules').glob('*') if (p / 'build').is_symlink())


def build_modules(t, version, releases):
    for kernel in releases:
        done = inside('dkms', 'install', f'karray/{version}', '-k', kernel)
        # Which may be compressed.
        info = inside('modinfo', '-k', kernel, '-F', 'version', 'karray').stdout
        t.is_(info, version + '\n', f'DKMS builds {version} for {kernel}',
              done.stdout + inside('sh', '-c', 'tail -n 30 /var/lib/dkms/karray/*/build/make.log').stdout)


def main(t):
    changelog = (TOP / 'debian/changelog').read_text(encoding='utf-8')
    dkms = (TOP / 'dkms.conf').read_text(encoding='utf-8')
    t.is_([re.search(r'\((.*?)\)', changelog)[1], re.search(r'PACKAGE_VERSION="(.*)"', dkms)[1]],
          [VERSION] * 2, 'the version is the same everywhere')

    works(t, 'the packages build', run(TOP / 'scripts/make_packages.sh'))
    works(t, 'and the next version', run(TOP / 'scripts/make_packages.sh', NEXT))
    changes = next((BUILD / 'packages' / VERSION).glob('*.changes'))
    t.is_(run('lintian', '--allow-root', '--fail-on', 'none', changes).stdout, '', 'lintian has nothing to say')

    if run('unshare', '--mount', 'true').returncode:
        t.skip('in a clean Debian 12', 'a clean Debian needs mounts, which are forbidden here')
        return
    if not works(t, 'a clean Debian 12', clean_debian()):
        return
    t.is_(traces(), '', 'which knows nothing of karray')
    t.is_(len(kernels()), len(HEADERS), 'with headers of both kernels', kernels())

    works(t, 'they are installed', install(VERSION))
    build_modules(t, VERSION, kernels())
    t.is_(inside('karrayctl', '--version').stdout, f'karrayctl {VERSION}\n', 'karrayctl runs')
    for path in ('/etc/karray.conf', '/usr/lib/udev/rules.d/60-karray.rules', '/usr/include/linux/karray.h',
                 '/usr/lib/systemd/system/karray@.service', '/usr/share/man/man8/karrayctl.8.gz'):
        t.ok((ROOT / path[1:]).exists(), f'there is {path}')

    with open(ROOT / 'etc/karray.conf', 'a', encoding='utf-8') as conf:
        conf.write('* online\n')
    works(t, 'they are upgraded', install(NEXT))
    build_modules(t, NEXT, kernels()[-1:])
    status = inside('dkms', 'status').stdout
    t.ok(f'karray/{VERSION},' not in status, 'the old module is gone', status)
    t.ok('* online\n' in (ROOT / 'etc/karray.conf').read_text(encoding='utf-8'), 'karray.conf is as it was')

    works(t, 'they are purged', inside('dpkg', '--purge', *PACKAGES))
    shutil.rmtree(ROOT / 'debs')
    t.is_(traces(), '', 'and nothing is left')
    shutil.rmtree(ROOT, ignore_errors=True)


if os.getuid():
    print('1..0 # SKIP a clean Debian needs root')
    sys.exit()
tap = Tap()
main(tap)
sys.exit(tap.done())
