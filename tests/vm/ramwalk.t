#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""DIMMs taken from System RAM and given back, plugged and pulled, used and not, in a
random order: no warning in any, and all that can be seen is as it should be at each
step.  KARRAY_SEED repeats a walk, KARRAY_STEPS makes it longer."""

import os
import random

from harness import BUS, guest_test

MEMORY = '/sys/devices/system/memory'
STEPS = int(os.environ.get('KARRAY_STEPS', '60'))
SLOTS = 3
BLOCK = 128 << 10   # KiB


class Dimm:
    """What we know of the DIMM in a slot."""

    def __init__(self, slot, name, blocks):
        self.slot = slot
        self.name = name
        self.blocks = blocks    # how many
        self.first = None       # the number of the first
        self.state = 'system-ram'
        self.offline = set()    # blocks that are offline, of a DIMM that is System RAM
        self.user = None        # the command that ends its use


class Walk:
    """The guest, and what should be seen there."""

    def __init__(self, vm, dice):
        self.vm, self.dice = vm, dice
        self.dimms = {}
        self.loaded = False
        self.count = 0
        self.base = self.mem_total()

    # What is seen ----------------------------------------------------------

    def mem_total(self):
        return int(self.vm.sh("sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo").out)

    def devices(self):
        """{slot: (name, state)}."""
        out = self.vm.sh(f'cd {BUS} 2>/dev/null && for d in *; do [ -e $d ] && '
                         'echo $d $(cat $d/state $d/origin); done; true').out
        return {int(origin[-2:], 16): (name, state)
                for name, state, origin in map(str.split, out.splitlines())}

    def seen(self):
        return ({slot: state for slot, (_, state) in self.devices().items()}, self.mem_total())

    def expected(self):
        blocks = sum(d.blocks - len(d.offline) for d in self.dimms.values() if d.state == 'system-ram')
        states = {slot: d.state for slot, d in self.dimms.items()} if self.loaded else {}
        return states, self.base + blocks * BLOCK

    def path(self, dimm):
        return f'{BUS}/{self.devices()[dimm.slot][0]}'

    def write(self, value, file):
        return self.vm.sh(f'echo {value} > {file}', check=False, timeout=240).rc == 0

    # Steps: each returns what it did, and whether that went as it should ----

    def pick(self, condition=lambda dimm: True):
        dimms = [dimm for dimm in self.dimms.values() if condition(dimm)]
        return self.dice.choice(dimms) if dimms else None

    def plug(self):
        free = [slot for slot in range(SLOTS) if slot not in self.dimms]
        if not free:
            return None
        slot, blocks = self.dice.choice(free), self.dice.choice((1, 2))
        self.count += 1
        dimm = self.dimms[slot] = Dimm(slot, f'dimm{self.count}', blocks)
        before = set(self.blocks())
        self.vm.plug(dimm.name, blocks << 27, slot=slot)
        self.vm.wait(lambda: len(set(self.blocks()) - before) == blocks, 60, 'the blocks')
        dimm.first = min(set(self.blocks()) - before)
        return f'plug {blocks} blocks in slot {slot}', True

    def blocks(self):
        return sorted(int(b.removeprefix('memory')) for b in
                      self.vm.sh(f'cd {MEMORY}; ls -d memory*').out.split())

    def pull(self):
        dimm = self.pick()
        if not dimm:
            return None
        if self.dice.random() < 0.5:
            self.vm.unplug(dimm.name)
        else:
            self.vm._asked[dimm.name] = len(self.vm.events)     # pylint: disable=protected-access
            self.write(1, f'/sys/bus/acpi/devices/PNP0C80:{dimm.slot:02x}/eject')
            if dimm.user:
                # Nobody tells QEMU of a request that it didn't make.
                self.vm.idle(1)
                return f'eject slot {dimm.slot}, in use', True
        result = self.vm.unplug_result(dimm.name, 120)
        if dimm.user:
            return f'pull slot {dimm.slot}, in use', result[0] == 'vetoed'
        del self.dimms[dimm.slot]
        return f'pull slot {dimm.slot}, {dimm.state}', result == 'deleted'

    def wish(self):
        dimm = self.pick()
        if not dimm or not self.loaded:
            return None
        state = self.dice.choice(('online', 'online', 'offline', 'system-ram'))
        done = self.write(state, f'{self.path(dimm)}/state')
        what = f'slot {dimm.slot}: {dimm.state} to {state}'
        if dimm.user and state != 'online':
            return f'{what}, in use', not done
        dimm.state = state      # the blocks are offline again that were
        return what, done

    def switch(self):
        dimm = self.pick(lambda dimm: dimm.state != 'system-ram')
        if not dimm:
            return None
        value = self.dice.choice((0, 1))
        done = self.write(value, f'{self.path(dimm)}/online')
        if dimm.user and not value:
            return f'slot {dimm.slot}: online={value}, in use', not done
        dimm.state = 'online' if value else 'offline'
        return f'slot {dimm.slot}: online={value}', done

    def block(self):
        dimm = self.pick(lambda dimm: dimm.state == 'system-ram')
        if not dimm:
            return None
        number = dimm.first + self.dice.randrange(dimm.blocks)
        state = 'online_movable' if number in dimm.offline else 'offline'
        done = self.write(state, f'{MEMORY}/memory{number}/state')
        dimm.offline ^= {number}
        return f'memory{number} {state}', done

    def use(self):
        dimm = self.pick(lambda dimm: dimm.state == 'online' and not dimm.user)
        if not dimm:
            return None
        name = self.devices()[dimm.slot][0]
        number = name.removeprefix('karray')
        node = f'/dev/karray{number if number != "0" else ""}'
        if self.dice.random() < 0.5:
            self.vm.sh(f'mkfs.ext4 -qF /dev/karrayb{number}; mkdir -p /mnt/{number}; '
                       f'mount /dev/karrayb{number} /mnt/{number}; echo {dimm.name} > /mnt/{number}/file',
                       timeout=120)
            dimm.user = f'grep -q {dimm.name} /mnt/{number}/file && umount /mnt/{number}'
        else:
            self.vm.sh(f'sleep 100000 < {node} > /dev/null 2>&1 & echo $! > /run/{number}')
            dimm.user = f'kill $(cat /run/{number}); sleep 0.5'
            self.vm.wait(f'[ $(cat {BUS}/{name}/users) != 0 ]', 30, 'the user')
        return f'use slot {dimm.slot}', True

    def unuse(self):
        dimm = self.pick(lambda dimm: dimm.user)
        if not dimm:
            return None
        done = self.vm.sh(dimm.user, check=False).rc == 0
        dimm.user = None
        self.vm.wait(f'[ $(cat {self.path(dimm)}/users) = 0 ]', 30, 'no users')
        return f'use of slot {dimm.slot} ends', done

    def reload(self):
        if not self.loaded:
            self.vm.sh('insmod /root/karray.ko', timeout=120)
            self.loaded = True
            return 'load', True
        done = self.vm.sh('rmmod karray', check=False, timeout=120).rc == 0
        if any(dimm.user for dimm in self.dimms.values()):
            return 'unload, in use', not done
        self.loaded = False
        for dimm in self.dimms.values():
            dimm.state = 'system-ram'
        return 'unload', done

    def step(self):
        steps = [self.plug, self.pull, self.wish, self.wish, self.wish, self.switch, self.block,
                 self.use, self.unuse, self.reload]
        while True:
            step = self.dice.choice(steps)
            if step == self.reload and self.loaded and self.dice.random() < 0.7:
                continue
            if did := step():
                return did


with guest_test(dimms=[], memhotplug=True, slots=SLOTS,
                cmdline='memhp_default_state=online_movable') as (t, vm):
    seed = os.environ.get('KARRAY_SEED') or str(random.randrange(1 << 32))
    t.diag(f'KARRAY_SEED={seed}')
    walk = Walk(vm, random.Random(seed))
    for number in range(STEPS):
        what, right = walk.step()
        t.ok(right, f'step {number}: {what}', vm.sh('dmesg | tail -n 15').out)
        expected = walk.expected()
        # Devices come and go a moment after their DIMMs.
        try:
            vm.wait(lambda: walk.seen() == expected, 30)
        except Exception:   # pylint: disable=broad-except
            pass
        if not t.is_(walk.seen(), expected, f'step {number}: all is as it should be',
                     vm.sh('dmesg | tail -n 15').out):
            break
    for dimm in list(walk.dimms.values()):
        if dimm.user:
            vm.sh(dimm.user)
