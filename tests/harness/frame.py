# SPDX-License-Identifier: GPL-2.0
"""The frame of a test in a guest: boot, the test, the closing verdict."""

import base64
import contextlib
import io
import os
import pathlib
import sys
import tarfile
import time

from .console import console_problems
from .tap import Tap
from .vm import VM, VMDied

# Taint bits that show trouble: W (warned), D (died), B (bad page).  An out-of-tree
# module always sets O, and E where modules are signed.
BAD_TAINT = 1 << 9 | 1 << 7 | 1 << 5

# After these lockdep is off: R (a module was removed by force), M (a machine check).
LOCKDEP_OFF = 1 << 3 | 1 << 4

# Prints where karray was left behind: nothing, if all is well.  It is one command because a guest
# under emulation takes its time to begin each.
LEAKS = ('grep karray /proc/modules /proc/iomem /proc/devices /proc/vmallocinfo; '
         'ls -d /sys/bus/*karray* /sys/class/*karray* /sys/block/*karray* /sys/bus/acpi/drivers/*karray* '
         '/dev/*karray* 2>/dev/null')


def mappings(vm):
    """What the guest's kernel has mapped by memremap(), by physical address."""
    lines = vm.sh("grep -o 'memremap.*phys=[^ ]*' /proc/vmallocinfo | sed 's/.*phys/phys/'",
                  check=False).out
    return sorted(lines.splitlines())


def unload(vm, patience=5):
    """Unload karray if it is loaded; for a while, busy only means not yet."""
    deadline = vm.deadline(patience)
    while vm.sh('grep -q "^karray " /proc/modules', check=False).rc == 0:
        result = vm.sh('rmmod karray', check=False)
        if result.rc and time.monotonic() > deadline:
            return result.err
        vm.idle(0.1 if result.rc else 0)
    return ''


def leaks(vm, mapped_before):
    """What karray left behind in the guest."""
    left = vm.sh(LEAKS, check=False).out.splitlines()
    return left + [f'mapped: {line}' for line in mappings(vm) if line not in mapped_before]


def kmemleak(vm):
    """Memory that nobody points to any more."""
    vm.idle(6)      # what is younger is not looked at
    return vm.sh('echo scan > /sys/kernel/debug/kmemleak; cat /sys/kernel/debug/kmemleak', timeout=120).out


def save_coverage(vm):
    """Leave for scripts/coverage.sh what the module, built for it, has counted."""
    counts = vm.sh('cd /sys/kernel/debug/gcov 2>/dev/null || exit 0; find . -name "*.gcda" | while read -r f; do '
                   'to=/tmp/gcov/${f#*/src/}; mkdir -p "${to%/*}"; cat "$f" > "$to"; done; '
                   'cd /tmp/gcov && tar cz drivers | base64 -w 0').out
    if counts:
        into = vm.build / 'coverage' / f'{vm.name}.{time.time_ns()}'
        into.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(counts))) as tar:
            tar.extractall(into)


def verdict(t, vm, mapped_before, allow):
    """The test points that close every test in a guest."""
    def no_trouble(what, trouble):
        """@trouble is a function that returns what is wrong: nothing, if all is well."""
        try:
            found = trouble()
        except VMDied:
            t.fail(what, 'the guest is gone')
        except Exception:   # pylint: disable=broad-except
            t.exception(what)
        else:
            t.ok(not found, what, found if isinstance(found, str) else '\n'.join(found))

    def no_answer():
        return '' if vm.sh('echo here').out == 'here\n' else 'it does not'

    def bad_taint():
        taint = int(vm.sh('cat /proc/sys/kernel/tainted').out)
        return f'tainted is {taint}' if taint & BAD_TAINT else ''

    def no_lockdep():
        """After its first report lockdep's silence means nothing. Nor does it say any more
        after a module was removed by force, or a machine check."""
        off = vm.sh("grep 'debug_locks: *0' /proc/lockdep_stats", check=False).out
        taint = int(vm.sh('cat /proc/sys/kernel/tainted').out)
        return '' if taint & LOCKDEP_OFF else off

    def no_end():
        if not vm.alive():
            vm.died()
        vm.poweroff()
        return ''

    no_trouble('the guest answers', no_answer)
    no_trouble('karray unloads', lambda: unload(vm))
    no_trouble('karray leaves nothing behind', lambda: leaks(vm, mapped_before))
    no_trouble('the kernel is not tainted by trouble', bad_taint)
    if os.environ.get('COVERAGE'):
        save_coverage(vm)
    if vm.kernel == 'debug':
        no_trouble('lockdep still watches', no_lockdep)
    if vm.kmemleak:
        no_trouble('no memory leaks', lambda: kmemleak(vm))
    no_trouble('the guest powers off', no_end)
    no_trouble('the console log is clean', lambda: console_problems(vm.console(), allow))


@contextlib.contextmanager
def guest_test(name=None, allow=(), tap=None, **vm_args):
    """Boot a guest, run the body with (tap, vm), then the closing verdict.

    @allow: regular expressions of console lines that the test provokes
    @tap:   a Tap to go on with; without one, the frame makes its own and ends the
            process with its exit status
    """
    t = tap or Tap()
    name = name or pathlib.Path(sys.argv[0]).stem
    vm = VM(name, **vm_args)
    mapped_before = []
    try:
        try:
            vm.start()
            mapped_before = mappings(vm)
            yield t, vm
        except (Exception, SystemExit):     # pylint: disable=broad-except
            t.exception('the test runs to its end')
        else:
            t.ok(True, 'the test runs to its end')
        verdict(t, vm, mapped_before, allow)
    finally:
        vm.close()
    if tap is None:
        sys.exit(t.done())
