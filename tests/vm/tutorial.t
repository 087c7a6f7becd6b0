#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""docs/tutorial.md, from its first command to its last."""

import re

from harness import follow, guest_test, plug, recipe, start_udev

DOC = 'tutorial.md'
BUSY = ('karrayctl: karray0: busy, stays online: users: disk 1, char device 0\n'
        'karrayctl: karray0: /dev/karrayb0 is mounted on /mnt\n'
        'karrayctl: 0 devices ejected, 1 failed\n')

with guest_test(dimms=[('hp_dimm0', '2G')]) as (t, vm):
    start_udev(vm)
    vm.sh('mkdir -p /mnt; /root/install_karray.sh')

    def step(heading):
        out = follow(vm, DOC, heading).out
        t.ok(True, heading)
        return out

    table = step('Load the module')
    t.is_([line.split() for line in table.splitlines()],
          ['NAME SIZE STATE MODE NODE RO BLOCKDEV MOUNTPOINT'.split(),
           'karray0 2G online mq 0 0 /dev/karrayb0'.split()], 'the table is as it says')
    step('Its bytes')
    t.like(step('A file system'), r'karray0 online +/mnt +/dev/karrayb0 is mounted on /mnt', 'who uses it')
    step('Nobody writes below it')
    plug(vm, 'hp_dimm1', '256M', 'karray1')
    step('Plug another one')
    t.ok('karrayctl eject' in recipe(DOC, "It doesn't leave while it's used"), 'it asks for the removal')
    refused = follow(vm, DOC, "It doesn't leave while it's used")
    t.is_(refused.err, BUSY, 'which is refused, as it says')
    vm.unplug('hp_dimm0')
    t.is_(vm.unplug_result('hp_dimm0', 60), ('vetoed', 0x82), "QEMU's request, too")
    step('Nothing has happened to it')
    figures = dict(re.findall(r'(?m)^(mq|bio);(\d+)$', step('Measure it')))
    t.ok(set(figures) == {'mq', 'bio'} and all(map(int, figures.values())), 'both modes have figures', figures)
    t.diag(f'I/Os in a second: {figures}')
    since = len(vm.events)
    step('Pull them out')
    for dimm in ('hp_dimm0', 'hp_dimm1'):
        vm.wait_event('DEVICE_DELETED', 60, lambda data, dimm=dimm: data.get('device') == dimm, since)
    t.ok(True, 'both DIMMs have left')
