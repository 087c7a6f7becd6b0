#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""DIMMs are plugged, pulled and taken by force in a random order, while others are in use
by fio, a file system, the char device and its mappings, and while many open all nodes and
write all settings: what stays loses no byte, what is in use stays, and in the end nobody is
left.  KARRAY_SEED repeats the order, KARRAY_STEPS makes it longer."""

import os
import random

from harness import BUS, DRIVER, Load, guest_test

STEPS = int(os.environ.get('KARRAY_STEPS', '15'))
STAY, SLOTS = 3, 6      # slots below STAY have DIMMs that stay, and karray0 to karray2
PATIENCE = 300

# Raw I/O by fio. The device is open all the time, also between two runs.
FIO = ('exec 7< /dev/karray; while [ ! -e /run/stop ]; do fio --name=raw --filename=/dev/karrayb0 --size=8M '
       '--rw=randrw --bs=4k --direct=1 --ioengine=io_uring --iodepth=8 --rate_iops=1000 --verify=crc32c '
       '--verify_fatal=1 --verify_state_save=0 --output=/run/raw || exit; echo >> /run/raws; done')

KEEPERS = {
    'disk': 'io /dev/karrayb2 strict 0 1024',
    'bytes': 'io /dev/karray2 strict 1024 1024',
    'mapping': 'map /dev/karray2 strict 8192 2048',
}
OTHERS = {
    'sysfs': f'sysfs {STAY} {SLOTS - 1} {STAY}',
    'openers': f'open 0 {SLOTS - 1}',
    # These keep one of those that come and go, where they find it.
    'user': 'io /dev/karrayb3 loose 0 1024',
    'mapper': 'map /dev/karray3 loose 1024 2048',
}


class Storm:
    """What comes and goes, by slot."""

    def __init__(self, vm, dice):
        self.vm, self.dice = vm, dice
        self.dimms = {}
        self.count = 0

    def device(self, slot):
        """The name of the slot's device, if it has one."""
        return self.vm.sh(f'cd {BUS}; grep -l acpi:PNP0C80:{slot:02x} */origin | cut -d/ -f1', check=False).out.strip()

    def plug(self):
        free = [slot for slot in range(STAY, SLOTS) if slot not in self.dimms]
        if not free:
            return None
        slot = self.dice.choice(free)
        self.count += 1
        self.dimms[slot] = f'dimm{self.count}'
        self.vm.plug(self.dimms[slot], '128M', slot=slot)
        self.vm.wait(lambda: self.device(slot), PATIENCE, 'the device')
        return f'plug slot {slot}', True

    def pull(self):
        if not self.dimms:
            return None
        slot = self.dice.choice(list(self.dimms))
        self.vm.unplug(self.dimms[slot])
        result = self.vm.unplug_result(self.dimms[slot], PATIENCE)
        if result == 'deleted':
            del self.dimms[slot]
            return f'pull slot {slot}: it goes', not self.device(slot)
        return f'pull slot {slot}: in use, it stays', result[1] == 0x82 and self.device(slot)

    def refuse(self):
        slot = self.dice.randrange(STAY)
        self.vm.unplug(f'stay{slot}')
        result = self.vm.unplug_result(f'stay{slot}', PATIENCE)
        return f'pull slot {slot}, which stays', result == ('vetoed', 0x82)

    def force(self):
        if not self.dimms:
            return None
        slot = self.dice.choice(list(self.dimms))
        commands = '; '.join(f'echo PNP0C80:{slot:02x} > {DRIVER}/{how}' for how in ('unbind', 'bind'))
        done = self.vm.sh(f'set -e; {commands}', timeout=PATIENCE, check=False)
        return f'slot {slot}: unbind and bind {done.err}', done.rc == 0 and self.device(slot)

    def mount(self):
        if not self.dimms:
            return None
        slot = self.dice.choice(list(self.dimms))
        number = self.device(slot).removeprefix('karray')
        # Others may have it offline, read-only, or with bad sectors.
        if self.vm.sh(f'mkfs.ext4 -qF /dev/karrayb{number} && mount /dev/karrayb{number} /run/moving', check=False,
                      timeout=PATIENCE).rc:
            return f'slot {slot}: no file system', True
        self.vm.unplug(self.dimms[slot])
        result = self.vm.unplug_result(self.dimms[slot], PATIENCE)
        self.vm.sh('umount /run/moving')
        return f'slot {slot}: pull while it is mounted', result == ('vetoed', 0x82)

    def step(self):
        steps = [self.plug] * 4 + [self.pull] * 3 + [self.refuse, self.force, self.force, self.mount]
        while not (did := self.dice.choice(steps)()):
            pass
        return did


with guest_test(dimms=[(f'stay{n}', '128M') for n in range(STAY)]) as (t, vm):
    seed = os.environ.get('KARRAY_SEED') or str(random.randrange(1 << 32))
    t.diag(f'KARRAY_SEED={seed} KARRAY_STEPS={STEPS}')
    vm.sh('insmod /root/karray.ko; mkdir -p /run/moving; mkfs.ext4 -qF /dev/karrayb1; mount /dev/karrayb1 /mnt',
          timeout=PATIENCE)
    load = Load(vm, '/mnt')
    jobs = {'fio': vm.spawn(FIO)}
    # What stays is in use before anybody tries to change that.
    for roles in KEEPERS, OTHERS:
        for label, role in roles.items():
            jobs[label] = vm.spawn(f'KARRAY_SEED={seed} exec /root/storm {label} {role}')
        vm.wait(f'[ $(cat {BUS}/karray0/users) != 0 ]'
                + ''.join(f' && [ "$(cat /run/storm.{label})" ]' for label in roles), PATIENCE, f'{list(roles)} to begin')

    storm = Storm(vm, random.Random(seed))
    for number in range(STEPS):
        what, right = storm.step()
        t.ok(right, f'step {number}: {what}', vm.sh('dmesg | tail -n 15').out)
    vm.wait('[ -e /run/rounds -a -e /run/raws ]', PATIENCE, 'fio to have verified all once')

    result = load.stop()
    t.is_(result.rc, 0, 'fio on ext4 met no error', result.out + result.err)
    for label, job in jobs.items():
        result = job.wait(PATIENCE)
        t.diag(f'{label}: {result.out.strip()}')
        t.is_(result.rc, 0, f'{label}: nothing wrong was seen', result.out + result.err)
    vm.sh('umount /mnt; e2fsck -fn /dev/karrayb1', timeout=PATIENCE)
    t.is_(set(vm.sh(f'cat {BUS}/*/users').out.split()), {'0'}, 'no user is left')
    for slot, dimm in storm.dimms.items():
        vm.unplug(dimm)
        t.is_(vm.unplug_result(dimm, PATIENCE), 'deleted', f'slot {slot}: now it goes')
