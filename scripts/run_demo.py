#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What run.sh shows: a guest, a DIMM, and all that karray does with it.

Each step is announced, each guest command is shown with its output, and a summary
tells how the steps went.  The exit status is true if all went well.
"""

import argparse
import os
import sys
import time

from harness import VM, console_problems
from harness.vm import TOP

TRACE_LOG = TOP / 'build' / 'klogs' / 'ftrace' / 'ftrace.log'
BOLD, PLAIN = ('\033[1m', '\033[0m') if sys.stdout.isatty() else ('', '')


class Demo:
    """The steps in their order, and what became of each."""

    def __init__(self, vm):
        self.vm = vm
        self.results = []       # (title, passed, seconds)

    # Showing ---------------------------------------------------------------

    def guest(self, cmd, timeout=120, fails=False):
        """Run a command in the guest, in sight; it must fail if @fails."""
        print(f'guest# {cmd}', flush=True)
        result = self.vm.sh(f'exec 2>&1; {cmd}', timeout=timeout, check=False)
        print(result.out, end='' if result.out.endswith('\n') or not result.out else '\n', flush=True)
        if (result.rc != 0) != fails:
            raise RuntimeError(f'exit status {result.rc} of: {cmd}')
        return result.out

    def say(self, text):
        print(f'qemu:  {text}', flush=True)

    def expect(self, what, got, want):
        if got != want:
            raise RuntimeError(f'{what} is {got!r}, not {want!r}')

    def step(self, title, function):
        """Do a step.  After one that failed, the others are not tried."""
        if not all(passed for _, passed, _ in self.results):
            self.results.append((title, None, 0))
            return
        print(f'{BOLD}==> {title}{PLAIN}', flush=True)
        begin = time.monotonic()
        try:
            function()
            passed = True
        except Exception as error:      # pylint: disable=broad-except
            print(f'FAILED: {error}', flush=True)
            passed = False
        seconds = time.monotonic() - begin
        if passed:
            print(f'    done in {seconds:.1f} s', flush=True)
        self.results.append((title, passed, seconds))

    def summary(self):
        """Print how it went; true if all went well."""
        words = {True: 'pass', False: 'FAIL', None: 'not tried'}
        print(f'{BOLD}==> Summary{PLAIN}')
        for title, passed, seconds in self.results:
            print(f'    {words[passed]:9}  {seconds:5.1f} s  {title}')
        good = all(passed for _, passed, _ in self.results)
        print('All steps passed.' if good else 'FAILED: see above.', flush=True)
        return good

    # Steps -----------------------------------------------------------------

    def boot(self):
        self.say(f'kernel {self.vm.kernel}, {self.vm.accel}, DIMM hp_dimm0 of 2 GiB')
        self.vm.start()
        self.guest('uname -r')

    def load(self):
        self.guest('/root/setup_karray.sh')

    def show(self):
        self.guest('cd /sys/bus/karray/devices/karray0 && grep . size phys_addr node origin online')
        self.guest('ls -l /dev/karray /dev/karrayb0')
        self.guest('lsblk /dev/karrayb0')

    def char_device(self):
        self.guest('/root/test_karray.sh')

    def filesystem(self):
        self.guest('mkfs.ext4 -q /dev/karrayb0 && mkdir -p /mnt/0 && mount /dev/karrayb0 /mnt/0')
        self.guest('dd if=/dev/urandom of=/mnt/0/file bs=1M count=16 status=none && '
                   'sha256sum /mnt/0/file | tee /run/sum')
        self.guest('umount /mnt/0 && mount /dev/karrayb0 /mnt/0 && sha256sum -c /run/sum')
        self.guest('df -h /mnt/0 && umount /mnt/0')

    def fio(self):
        self.guest('KARRAY_DEV=/dev/karrayb0 fio --output=/run/fio /root/fio-jobs/verify.fio; rc=$?; '
                   "grep -E 'err=|IOPS=|verify' /run/fio; exit $rc")

    def plug(self):
        self.say('plug hp_dimm1 of 1 GiB')
        self.vm.plug('hp_dimm1', '1G')
        self.vm.wait('test -b /dev/karrayb1', what='/dev/karrayb1 is there')
        self.guest('lsblk /dev/karrayb0 /dev/karrayb1')
        self.guest('mkfs.ext4 -q /dev/karrayb1 && mkdir -p /mnt/1 && mount /dev/karrayb1 /mnt/1')

    def refused(self):
        self.say('ask for hp_dimm1 while it is mounted')
        self.vm.unplug('hp_dimm1')
        result = self.vm.unplug_result('hp_dimm1')
        self.say(f'ACPI_DEVICE_OST: {result[0]}, status {result[1]} (130 is "device busy")'
                 if result != 'deleted' else 'DEVICE_DELETED')
        self.expect('the result', result, ('vetoed', 130))
        self.guest('dmesg | grep -i karray1 | tail -n 2')
        self.guest('touch /mnt/1/still-here && ls /mnt/1')

    def removed(self):
        self.guest('umount /mnt/1')
        self.say('ask for hp_dimm1 again')
        self.vm.unplug('hp_dimm1')
        result = self.vm.unplug_result('hp_dimm1')
        self.expect('the result', result, 'deleted')
        self.say('DEVICE_DELETED hp_dimm1')
        self.guest('test ! -e /dev/karrayb1 && lsblk /dev/karrayb0')

    def unload(self):
        self.guest('/root/remove_karray.sh')
        self.guest('ls -d /dev/karray* /sys/bus/karray', fails=True)

    def end(self):
        console = self.vm.console()
        self.vm.poweroff()
        problems = console_problems(console)
        if problems:
            raise RuntimeError('the console log shows:\n' + '\n'.join(problems))
        trace = TRACE_LOG.read_text(errors='replace')
        self.expect('what is missing in the trace',
                    [event for event in ('karray_open:', 'karray_exit:') if event not in trace], [])
        print(f'    the trace of it all is in {os.path.relpath(TRACE_LOG)}')

    def run(self):
        for title, function in (
                ('Boot the guest', self.boot),
                ('Load karray', self.load),
                ('Show the device', self.show),
                ('Use the char device: karray_test', self.char_device),
                ('ext4 on the disk: write, remount, verify', self.filesystem),
                ('fio on the disk, with verification', self.fio),
                ('Hot-plug a second DIMM, mount it', self.plug),
                ('Ask for its removal while mounted: refused', self.refused),
                ('Unmount, ask again: removed', self.removed),
                ('Unload karray: nothing left', self.unload),
                ('Power off, with a clean console log', self.end)):
            self.step(title, function)
        return self.summary()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--kernel')
    parser.add_argument('--shell', action='store_true')
    args = parser.parse_args()

    vm = VM('run', kernel=args.kernel, trace_log=TRACE_LOG)
    if args.shell:
        return vm.interactive()
    try:
        return 0 if Demo(vm).run() else 1
    except KeyboardInterrupt:
        print('\ninterrupted', file=sys.stderr)
        return 130
    finally:
        vm.close()


if __name__ == '__main__':
    sys.exit(main())
