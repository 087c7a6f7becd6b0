#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A Debian that systemd and udev run, in which karray-utils is installed: the module loads
where there are slots for DIMMs, karray.conf is heeded then and at boot, `mount UUID=` works,
also by fstab after a reboot; and valgrind has nothing against karrayctl."""

import os
import re
import subprocess
import sys
import tempfile

from harness import BUILD, BUS, DEBUG_KERNELS, DEFAULT_KERNEL, Tap, guest_test

KERNEL = os.environ.get('KARRAY_KERNEL') or DEFAULT_KERNEL
UUID = '0a1b2c3d-1111-2222-3333-444455556666'
LINK = '/dev/disk/by-id/karray-100000000-0x00'
CONF = '/etc/karray.conf'
VALGRIND = ('valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all '
            '--track-fds=yes karrayctl')

if KERNEL in DEBUG_KERNELS:
    print('1..0 # SKIP this kernel has no cgroups, without which systemd does nothing')
    sys.exit()


def booted(t, vm, what):
    state = vm.sh('systemctl is-system-running --wait', check=False, timeout=300).out
    t.is_(state, 'running\n', f'{what}: all units run', vm.sh('systemctl --failed', check=False).out)


def devices(vm):
    return vm.sh('karrayctl list -nro NAME,STATE,MODE', check=False).out


def silent(t, vm):
    """Nobody has complained of what is karray's. The harness reads what the kernel says; in a
    dump of a page that could not be migrated at once, it names the file: karrayctl too."""
    log = vm.sh('journalctl -b -o short-monotonic --no-pager -p warning; systemctl --failed').out
    t.is_([line for line in log.splitlines()
           if re.search(r'karray[@.]|\S+-karray|karrayctl', line) and ' kernel: ' not in line], [],
          'the journal has nothing against unit and rules')


def story(t, vm, dimm):
    """From the first DIMM to a reboot."""
    booted(t, vm, 'a Debian without DIMMs')
    t.is_(vm.sh('lsmod | grep -o ^karray', check=False).out, 'karray\n', 'as there are slots for them, karray is loaded')
    vm.sh(f'echo "origin=acpi:* online queue_mode=bio" >> {CONF}')

    vm.plug('hp_dimm0', '256M', dimm)
    vm.wait(f'[ -b {LINK} ]', 60, 'the disk of the first DIMM')
    t.ok(True, 'the first DIMM is plugged, and udev names its disk')
    vm.wait(lambda: devices(vm) == 'karray0 online bio\n', 60, 'what karray.conf says')
    t.ok(True, 'with the settings that karray.conf gives it')
    vm.sh('udevadm settle')
    t.is_(vm.sh('stat -c "%G %a" /dev/karray /dev/karrayb0').out.split(), ['disk', '660'] * 2,
          'the nodes are for the group disk')

    vm.sh('karrayctl set karray0 queue_mode=mq; udevadm trigger -c add -s karray; udevadm settle')
    t.is_(devices(vm), 'karray0 online mq\n', 'which is asked once: what people set afterwards stays')

    vm.sh(f'set -e; mkfs.ext4 -q -U {UUID} {LINK}; udevadm settle; mkdir /srv/memory /srv/again;'
          f'echo "UUID={UUID} /srv/memory ext4 nofail" >> /etc/fstab;'
          f'echo "{LINK} /srv/again ext4 nofail" >> /etc/fstab; systemctl daemon-reload; mount UUID={UUID}')
    t.is_(vm.sh('findmnt -no SOURCE /srv/memory').out, '/dev/karrayb0\n', 'mount UUID=')
    vm.sh('head -c 8M /dev/urandom > /srv/memory/file; sha256sum /srv/memory/file > /root/sum')

    vm.reboot('systemctl reboot', 400)
    booted(t, vm, 'after a reboot')
    t.is_(devices(vm), 'karray0 online bio\n', 'the DIMM is as karray.conf says')
    t.is_(vm.sh('findmnt -no SOURCE /srv/memory; findmnt -no SOURCE /srv/again; sha256sum -c /root/sum', check=False).out,
          '/dev/karrayb0\n/dev/karrayb0\n/srv/memory/file: OK\n',
          'it is mounted by its UUID and by its name, and the file is the same')

    vm.unplug('hp_dimm0')
    t.is_(vm.unplug_result('hp_dimm0', 60), ('vetoed', 0x82), 'and stays while it is mounted')
    refused = vm.sh('karrayctl eject -f karray0', check=False).err
    t.ok('/dev/karrayb0 is mounted on /srv/memory' in refused, 'karrayctl says why', refused)
    vm.sh('umount /srv/again /srv/memory')
    vm.unplug('hp_dimm0')
    t.is_(vm.unplug_result('hp_dimm0', 60), 'deleted', 'unmounted, it leaves')
    vm.wait(f'[ ! -e {LINK} ] && ! systemctl is-active -q dev-karrayb0.device', 60, "systemd to forget it")
    t.ok(True, 'and its names and units with it')
    silent(t, vm)

    vm.sh(f'echo "* onlein" > {CONF}')
    vm.plug('hp_dimm0', '256M', dimm)
    vm.wait(f'[ -b {LINK} ]', 60, 'its disk')
    t.is_(devices(vm), 'karray0 online mq\n', 'plugged again, with a karray.conf that is wrong: left alone')
    t.like(vm.sh('journalctl -b -o cat -t karrayctl').out, f"{CONF}:1: 'onlein' is no action", 'the journal says why')
    vm.sh('rmmod karray; udevadm settle')
    t.is_(vm.sh('lsmod | grep karray', check=False).out, '', 'unloaded, it stays unloaded')
    vm.sh(f'sed -i "\\|/srv/|d" /etc/fstab; echo "* take" > {CONF}')


def policy(t, vm):
    """A DIMM that the kernel has made System RAM is taken at boot."""
    booted(t, vm, 'with a DIMM that is System RAM')
    vm.wait(lambda: devices(vm) == 'karray0 online mq\n', 60, 'the DIMM to be taken')
    t.ok(True, 'a DIMM that is System RAM is taken at boot')
    vm.wait('journalctl -b -o cat -u karray@karray0 | grep "1 device as configured"', 60, 'the unit to be done')
    t.ok(True, 'by the unit')
    silent(t, vm)


def memory_errors(t, vm):
    """What needs no memory it should not, ctl.t asks sanitizers about in more cases."""
    for args in ('list -O -J', 'set karray0 queue_mode=bio', 'zero -f -s 252M karray0', 'badblocks karray0',
                 'apply', 'give-back -f karray0'):
        got = vm.sh(f'{VALGRIND} {args} < /dev/null', check=False, timeout=200)
        t.is_(got.rc, 0, f'valgrind: karrayctl {args}', got)
    vm.idle(3)
    t.is_(vm.sh(f'cat {BUS}/karray0/state').out, 'system-ram\n', 'given back, it is not taken again')


if os.getuid() or subprocess.run(('unshare', '--mount', 'true'), check=False).returncode:
    print('1..0 # SKIP a clean Debian needs root, and mounts')
    sys.exit()
tap = Tap()
with tempfile.TemporaryDirectory(dir=BUILD) as where:
    made = subprocess.run((BUILD.parent / 'scripts/make_debian.sh', KERNEL), text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    tap.ok(not made.returncode, 'a Debian with karray-utils', made.stdout[-3000:])
    disk = BUILD / KERNEL / 'debian.img'
    machine = {'tap': tap, 'qemu_args': ['-drive', f'if=virtio,format=raw,file={disk}']}

    with guest_test(cmdline='karray.root', dimms=(), **machine) as (_, guest):
        story(tap, guest, f'{where}/dimm')
    with guest_test(cmdline='karray.root memhp_default_state=online_movable', memhotplug=True,
                    dimms=[('hp_dimm0', '256M')], **machine) as (_, guest):
        policy(tap, guest)
        memory_errors(tap, guest)
sys.exit(tap.done())
