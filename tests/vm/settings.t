#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Each setting: its default, changes while offline and what they do, refusals; by
device, by module parameter, and across offline and online."""

from harness import configure, guest_test, pio

BUS = '/sys/bus/karray/devices'
DEFAULTS = {'queue_mode': 'mq', 'nr_queues': '0', 'poll_queues': '1', 'queue_depth': '0',
            'logical_block_size': '512', 'read_only': '0', 'dax': '0'}

# What is where: each is a command with %s for the disk.
SEEN = {
    'mq': 'ls /sys/block/%s/mq 2>/dev/null | xargs',
    'cpus': 'cat /sys/block/%s/mq/0/cpu_list',
    'nr_tags': 'cat /sys/block/%s/mq/*/nr_tags 2>/dev/null | xargs',
    'io_poll': 'cat /sys/block/%s/queue/io_poll',
    'scheduler': 'cat /sys/block/%s/queue/scheduler',
    'logical': 'cat /sys/block/%s/queue/logical_block_size',
    'physical': 'cat /sys/block/%s/queue/physical_block_size',
    'getss': 'blockdev --getss /dev/%s',
    'getpbsz': 'blockdev --getpbsz /dev/%s',
    'LOG-SEC': 'lsblk -dno LOG-SEC /dev/%s',
    'PHY-SEC': 'lsblk -dno PHY-SEC /dev/%s',
    'ro': 'cat /sys/block/%s/ro',
    'getro': 'blockdev --getro /dev/%s',
    'RO': 'lsblk -dno RO /dev/%s',
    'size': 'blockdev --getsize64 /dev/%s',
    'dax': 'cat /sys/block/%s/queue/dax',
}

# Settings, and what is to be seen of them on a machine with two CPUs.
EFFECTS = [
    ({}, {'mq': '0 1 2', 'cpus': '0', 'nr_tags': '256 256 256', 'io_poll': '1',
          'scheduler': '[none] mq-deadline', 'logical': '512', 'physical': '4096', 'getss': '512',
          'getpbsz': '4096', 'LOG-SEC': '512', 'PHY-SEC': '4096', 'ro': '0', 'getro': '0', 'RO': '0',
          'size': str(256 << 20), 'dax': '0'}),
    ({'queue_mode': 'bio'}, {'mq': '', 'nr_tags': '', 'io_poll': '0', 'logical': '512',
                             'size': str(256 << 20)}),
    ({'nr_queues': 1}, {'mq': '0 1', 'cpus': '0, 1'}),
    ({'nr_queues': 2}, {'mq': '0 1 2', 'cpus': '0'}),
    ({'poll_queues': 0}, {'mq': '0 1', 'io_poll': '0'}),
    ({'poll_queues': 2}, {'mq': '0 1 2 3', 'io_poll': '1'}),
    ({'nr_queues': 1, 'poll_queues': 0}, {'mq': '0', 'cpus': '0, 1', 'io_poll': '0'}),
    ({'queue_depth': 1}, {'nr_tags': '1 1 1'}),
    ({'queue_depth': 48}, {'nr_tags': '48 48 48'}),
    ({'queue_depth': 10240, 'nr_queues': 1, 'poll_queues': 0}, {'nr_tags': '10240'}),
    *(({'logical_block_size': size, 'queue_mode': mode},
       {'logical': str(size), 'physical': '4096', 'getss': str(size), 'LOG-SEC': str(size),
        'size': str(256 << 20)})
      for size in (1024, 2048, 4096) for mode in ('mq', 'bio')),
    *(({'read_only': 1, 'queue_mode': mode}, {'ro': '1', 'getro': '1', 'RO': '1'})
      for mode in ('mq', 'bio')),
    *(({'dax': 1, 'queue_mode': mode}, {'dax': '1', 'size': str(256 << 20)}) for mode in ('mq', 'bio')),
]

# What is wrong, and what the log must say of it.
WRONG = [
    ('queue_mode', 'foo', 'queue_mode=foo is not mq or bio'),
    ('queue_mode', '', 'queue_mode= is not mq or bio'),
    ('nr_queues', '3', "nr_queues=3 is more than this machine's 2 CPUs"),
    ('nr_queues', '-1', 'nr_queues=-1 is not a number'),
    ('poll_queues', '3', "poll_queues=3 is more than this machine's 2 CPUs"),
    ('queue_depth', '10241', 'queue_depth=10241 is more than 10240'),
    ('queue_depth', '4294967296', 'queue_depth=4294967296 is not a number'),
    ('queue_depth', '8x', 'queue_depth=8x is not a number'),
    ('logical_block_size', '0', 'logical_block_size=0 is not 512, 1024, 2048 or 4096'),
    ('logical_block_size', '513', 'logical_block_size=513 is not 512, 1024, 2048 or 4096'),
    ('logical_block_size', '8192', 'logical_block_size=8192 is not 512, 1024, 2048 or 4096'),
    ('read_only', '2', 'read_only=2 is not 0 or 1'),
    ('read_only', 'yes', 'read_only=yes is not 0 or 1'),
    ('dax', '2', 'dax=2 is not 0 or 1'),
]


def say(settings):
    return ' '.join(f'{name}={value}' for name, value in settings.items()) or 'defaults'


def settings(vm, device='karray0'):
    """What the device's attributes say."""
    values = vm.sh(f'cd {BUS}/{device}; cat {" ".join(DEFAULTS)}').out.splitlines()
    return dict(zip(DEFAULTS, values))


def see(vm, names, disk='karrayb0'):
    """What is to be seen of the disk."""
    commands = '; '.join(f'echo "$({SEEN[name].replace("%s", disk)})"' for name in names)
    values = [' '.join(line.split()) for line in vm.sh(commands).out.splitlines()]
    return dict(zip(names, values, strict=True))


def refused(t, vm, name, value, says, error):
    """One line in the log that says why, and nothing changed."""
    attr = f'{BUS}/karray0/{name}'
    result = vm.sh(f"cat {attr}; dmesg -c >/dev/null; bash -c 'echo {value} > {attr}'; cat {attr}; dmesg")
    before, after, *log = result.out.splitlines()
    t.like(result.err, error, f'{name}={value}: refused')
    t.is_([line.split('] ', 1)[1] for line in log], [f'karray karray0: {says}'],
          f'{name}={value}: one line says why')
    t.is_(after, before, f'{name}={value}: nothing changed')


with guest_test(dimms=[('hp_dimm0', '256M'), ('hp_dimm1', '256M')], kmemleak=True) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    for device in ('karray0', 'karray1'):
        t.is_(settings(vm, device), DEFAULTS, f'{device}: defaults')

    # What the disk is called; lsblk finds that by itself.
    def identity():
        return vm.sh(f'cd {BUS}/karray0; cat model serial wwid; lsblk -dno MODEL,SERIAL /dev/karrayb0'
                     ).out.split()

    names = identity()
    t.is_(names, ['karray', '100000000-0x00', 'karray.100000000-0x00', 'karray', '100000000-0x00'],
          'model, serial and wwid, made of the address and the slot')
    t.is_(vm.sh(f'cat {BUS}/karray*/serial | uniq | wc -l').out.strip(), '2', 'each DIMM has its own')
    t.is_(vm.sh(f'cd {BUS}/karray0; stat -c %a model serial wwid').out.split(), ['444'] * 3,
          'they are not for writing')

    # Each setting, changed while offline.
    for changes, want in EFFECTS:
        configure(vm, **DEFAULTS | changes)
        t.is_(settings(vm), DEFAULTS | {name: str(value) for name, value in changes.items()},
              f'{say(changes)}: the attributes say so')
        t.is_(see(vm, want), want, f'{say(changes)}: the disk is so')
        t.is_(pio(vm, '-c r /dev/karray 0 4096' if 'read_only' in changes else 'w /dev/karray 0 4096',
                  '-d -c r /dev/karrayb0 0 4096'), ['4096'] * 2, f'{say(changes)}: it can be used')
    t.is_(identity(), names, 'its name is the same with all of these')

    # Refusals.
    configure(vm, **DEFAULTS)
    for name, value in {'queue_mode': 'bio', 'nr_queues': 1, 'poll_queues': 2, 'queue_depth': 16,
                        'logical_block_size': 4096, 'read_only': 1, 'dax': 1}.items():
        refused(t, vm, name, value, f'{name} can be changed only while the device is offline', 'busy')
    vm.sh(f'echo 0 > {BUS}/karray0/online')
    for name, value, says in WRONG:
        refused(t, vm, name, value, says, 'Invalid|out of range')
    vm.sh(f'echo 1 > {BUS}/karray0/online')
    t.is_(see(vm, EFFECTS[0][1]), EFFECTS[0][1], 'after all refusals the disk is as ever')

    # Two devices at the same time; offline and online.
    mine = {'queue_mode': 'bio', 'logical_block_size': '4096'}
    other = {'queue_depth': '32', 'nr_queues': '1', 'read_only': '1'}
    configure(vm, 'karray0', **mine)
    configure(vm, 'karray1', **other)
    for when in ('set', 'offline and online'):
        t.is_(settings(vm), DEFAULTS | mine, f'{when}: one device has its settings')
        t.is_(settings(vm, 'karray1'), DEFAULTS | other, f'{when}: the other has its own')
        t.is_(see(vm, ('mq', 'logical', 'ro')), {'mq': '', 'logical': '4096', 'ro': '0'},
              f'{when}: one disk')
        t.is_(see(vm, ('mq', 'nr_tags', 'logical', 'ro'), 'karrayb1'),
              {'mq': '0 1', 'nr_tags': '32 32', 'logical': '512', 'ro': '1'}, f'{when}: the other')
        for device in ('karray0', 'karray1'):
            configure(vm, device)

    # The same data in each mode, whole and by the char node.
    configure(vm, **DEFAULTS)
    vm.sh('dd if=/dev/urandom of=/run/random bs=1M count=16 2>/dev/null;'
          'cat /run/random > /dev/karrayb0; blockdev --flushbufs /dev/karrayb0')
    sums = set()
    for changes in ({}, {'queue_mode': 'bio'}, {'logical_block_size': 4096}, {'read_only': 1}, {'dax': 1}, {}):
        configure(vm, **DEFAULTS | changes)
        sums |= set(vm.sh('for f in /dev/karray /dev/karrayb0; do head -c 20M $f | sha256sum; done').out.split())
    sums.discard('-')
    t.is_(len(sums), 1, 'every setting shows the same bytes')
    for writer, reader in (('mq', 'bio'), ('bio', 'mq')):
        key = 1 if writer == 'mq' else 2
        configure(vm, **DEFAULTS | {'queue_mode': writer})
        wrote = pio(vm, f'-d -k {key} w /dev/karrayb0 1048576 3145728')
        configure(vm, queue_mode=reader)
        t.is_(wrote + pio(vm, f'-d -c -k {key} r /dev/karrayb0 1048576 3145728'), ['3145728'] * 2,
              f'written in mode {writer}, read in mode {reader}')

    # Module parameters, for every device, also one that comes later.
    params = {'queue_mode': 'bio', 'nr_queues': '1', 'poll_queues': '2', 'queue_depth': '64',
              'logical_block_size': '2048', 'read_only': '1', 'dax': '1'}
    vm.sh(f'rmmod karray; insmod /root/karray.ko {say(params)}')
    t.is_(identity(), names, 'a reload does not change its name')
    vm.plug('late', '256M')
    vm.wait(f'[ "$(cat {BUS}/karray2/online)" = 1 ]', 20, 'the third DIMM')
    for device in ('karray0', 'karray1', 'karray2'):
        t.is_(settings(vm, device), params, f'module parameters: {device} has them')
    t.is_(see(vm, ('mq', 'logical', 'ro')), {'mq': '', 'logical': '2048', 'ro': '1'},
          'module parameters: the disk, too')
    configure(vm, 'karray2', queue_mode='mq', read_only=0)
    t.is_(see(vm, ('mq', 'nr_tags', 'logical', 'ro'), 'karrayb2'),
          {'mq': '0 1 2', 'nr_tags': '64 64 64', 'logical': '2048', 'ro': '0'},
          'module parameters: and are only where one begins')
