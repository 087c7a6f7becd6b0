#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""karrayctl as people use it: every command, in every state, with wrong arguments, without
privileges and without the module. It's built with sanitizers, which a leak makes fail."""

import json
import re
import sys

from harness import BUS, Tap, guest_test, plug, start_udev

CTL = '/root/karrayctl-asan'
MIB = 1 << 20
REGION = 'memmap=128M$0x100000000'
SETTINGS = {'queue_mode': 'bio', 'nr_queues': '1', 'poll_queues': '0', 'queue_depth': '64',
            'logical_block_size': '4096', 'dax': '0', 'read_only': '1'}


class Ctl:
    """Calls karrayctl in the guest."""

    def __init__(self, t, vm):
        self.t, self.vm = t, vm

    def __call__(self, args, before=''):
        return self.vm.sh(f'{before} {CTL} {args} < /dev/null', check=False, timeout=120)

    def works(self, args, what, out=None, err=None):
        """A test point: the command succeeds, with that on stdout, and like that on stderr."""
        got = self(args)
        self.t.ok(got.rc == 0 and (out is None or got.out == out) and (err is None or re.search(err, got.err)),
                  what, f'karrayctl {args}\n{got}')
        return got.out

    def fails(self, args, what, *err, rc=1, before=''):
        """A test point: it fails, and says like each of @err why."""
        got = self(args, before)
        self.t.ok(got.rc == rc and all(re.search(e, got.err) for e in err) and 'Sanitizer' not in got.err,
                  what, f'karrayctl {args}\nwant: {err}\n{got}')

    def devices(self, args):
        """What it lists, from JSON."""
        return json.loads(self(args + ' -J').out)['karraydevices']


def words(t, vm, ctl):
    """--help and wrong arguments."""
    commands = re.findall(r'(?m)^  (\S+)  ', ctl.works('--help', '--help'))
    t.ok(len(commands) == 15, 'it has 15 commands', commands)
    failed = [c for c in commands if 'Usage: karrayctl ' + c not in ctl(f'{c} --help').out]
    t.is_(failed, [], 'each has --help')
    failed = [c for c in commands if ctl(f'{c} --frobnicate').rc != 2]
    t.is_(failed, [], 'each refuses an option that there is not')
    version = vm.sh('modinfo -F version /root/karray.ko').out
    ctl.works('--version', "--version is the module's", f'karrayctl {version}')
    ctl.fails('frobnicate', 'a command that there is not', 'no command', rc=2)
    for command in ('online', 'offline', 'take', 'give-back', 'eject', 'delete', 'zero', 'checksum',
                    'badblocks'):
        ctl.fails(command, f'{command}: which devices?', 'Name them, or say all', rc=2)
    ctl.fails('create', 'create: which?', 'SIZE@START', rc=2)
    ctl.fails('set karray0', 'set: what?', 'NAME=VALUE', rc=2)
    ctl.fails('set karray0 speed=11', 'set: what there is not', 'no setting .speed=11', rc=2)
    ctl.fails('monitor karray0', 'monitor: of all only', 'takes no devices', rc=2)
    for size in ('', '-1', '1Q', '20E', '99999999999999999999', '1G2'):
        ctl.fails(f'zero -s "{size}" karray0', f'no size: {size!r}', "that's no size", rc=2)


def listing(t, vm, ctl):
    """Tables and JSON."""
    t.is_(ctl.works('', 'without arguments it lists').split('\n')[0].split(),
          'NAME SIZE STATE MODE NODE RO BLOCKDEV MOUNTPOINT'.split(), 'the default columns')
    t.is_(ctl.devices(''), [
        {'name': f'karray{n}', 'size': 128 * MIB, 'state': 'online', 'mode': 'mq', 'node': 0, 'ro': False,
         'blockdev': f'/dev/karrayb{n}', 'mountpoint': None} for n in (0, 1)], 'JSON: numbers and booleans')
    ctl.works('list -nro NAME,SIZE', 'raw, without headings', 'karray0 128M\nkarray1 128M\n')
    ctl.works('list -bnro SIZE karray1', 'one device, in bytes', f'{128 * MIB}\n')
    t.is_(list(ctl.devices('list -o +users')[0])[-2:], ['mountpoint', 'users'], '+COLUMN adds one')
    ctl.fails('list -o NAME,COLOUR', 'a column that there is not', "unknown column 'COLOUR'", rc=2)
    everything = ctl.devices('list -O')[0]
    t.is_(everything, ctl.devices('info karray0')[0], 'info is all there is to know')
    t.is_((everything['chardev'], everything['bad'], everything['log-sec'], everything['holders']),
          ('/dev/karray', 0, 512, [None]), 'and of the right kind')
    for attr in ('serial', 'wwid', 'model', 'phys_addr', 'origin'):
        t.is_(everything[attr.replace('_', '-')], vm.sh(f'cat {BUS}/karray0/{attr}').out.strip(),
              f'{attr} is what sysfs says')
    t.like(ctl.works('info karray0', 'info for people'), r'(?m)^serial +\S+-0x00$', 'has lines')

    serial = everything['serial']
    vm.sh('printf "label: gpt\\n,32M\\n" | sfdisk -q /dev/karrayb0; udevadm settle')
    for name in ('karray0', 'karrayb0', 'karray', '/dev/karray', '/dev/karrayb0', '/dev/karrayb0p1',
                 f'/dev/disk/by-id/karray-{serial}', f'/dev/disk/by-id/karray-{serial}-part1'):
        ctl.works(f'list -nro NAME {name}', f'by name: {name}', 'karray0\n')
    ctl.fails('list karray7', 'a device that there is not', "there is no device 'karray7'")
    ctl.fails('list /dev/null', 'a node of something else', "there is no device '/dev/null'")
    ctl.fails('list ""', 'a device without a name', "there is no device ''")
    ctl.fails('-n list', 'options before the command', 'the command comes first', rc=2)
    ctl.fails('--version > /dev/full', 'what can not be written', 'cannot write')
    ctl.works('list -nro NAME karray1 all karray0 karrayb1', 'each once', 'karray0\nkarray1\n')
    t.is_(ctl.devices('list -o FSTYPE,PTTYPE')[0], {'fstype': None, 'pttype': 'gpt'}, 'what is on the disk')
    vm.sh('wipefs -qa /dev/karrayb0p1 /dev/karrayb0; udevadm settle')


def completion(t, vm):
    """What bash makes of the last of these words: the words that it could be, and how, which is
    told by compopt."""
    vm.sh("""cat > /run/complete <<'EOF'
. /root/karrayctl.bash-completion
compopt() { how=$2; }
COMP_WORDS=(karrayctl "$@") COMP_CWORD=$#
_karrayctl
printf '%s\\n' "$how" "${COMPREPLY[@]}"
EOF
cd /run; touch 'one file' other""")
    commands = 'list info online offline set take give-back create delete eject badblocks zero checksum monitor apply'
    for args, how, *want in (
            ("''", '', *commands.split()),
            ('gi', '', 'give-back'),
            ('list k', '', 'karray0', 'karray1'),
            ('offline karray0 a', '', 'all'),
            ("monitor ''", ''),
            ('apply --', '', '--dry-run', '--config', '--udev', '--help', '--version'),
            ('-', '', '--output', '--output-all', '--noheadings', '--raw', '--bytes', '--json', '--help', '--version'),
            ('list -o SI', 'nospace', 'SIZE'),
            ('list -o NAME,SI', 'nospace', 'NAME,SIZE'),
            ('list -o NAME,SIZE,S', 'nospace', 'NAME,SIZE,STATE', 'NAME,SIZE,SERIAL'),
            ('list -o +SIZE,US', 'nospace', '+SIZE,USERS'),
            ('-nro +QUEUE', 'nospace', '+QUEUES', '+QUEUE-DEPTH'),
            ('list --output = NAME,SI', 'nospace', 'NAME,SIZE'),
            ('set karray0 queue', 'nospace', 'queue_mode=', 'queue_depth='),
            ('set karray0 queue_mode =', ''),
            ('set karray0 queue_mode = b', ''),
            ('apply -C o', 'filenames', 'one file', 'other'),
            ('apply --config = /run/ot', 'filenames', '/run/other'),
            ('info /dev/karrayb', 'filenames', '/dev/karrayb0', '/dev/karrayb1'),
            ("zero -s ''", '')):
        got = vm.sh(f'cd /run; bash /run/complete {args}').out.split('\n')[:-1]
        t.is_((got[0], sorted(filter(None, got[1:]))), (how, sorted(want)), f'completed: {args}')


def states(t, vm, ctl):
    """online, offline, set."""
    ctl.works('offline karray0', 'offline', '', '1 device offline')
    t.is_(ctl.devices('list -o STATE,BLOCKDEV,CHARDEV,BAD karray0'),
          [{'state': 'offline', 'blockdev': None, 'chardev': None, 'bad': None}], 'has no nodes')
    ctl.works('offline karray0', 'offline again', '', '1 device offline')
    ctl.fails('checksum karray0', 'offline: no checksum', 'it is not online')
    ctl.works('offline all', 'all that are not offline', '', '1 device offline')
    ctl.works('online all', 'all online', '', '2 devices online')
    ctl.fails('online karray0 karray9', 'one that is there, one that is not', '1 device online, 1 failed')

    settings = vm.sh(f'cd {BUS}/karray0; for f in *; do [ ! -w $f ] || ! [ -f $f ] || echo $f; done').out.split()
    t.is_({s for s in SETTINGS if s in settings}, set(SETTINGS), 'the settings are there')
    wish = ' '.join(f'{name}={value}' for name, value in SETTINGS.items())
    ctl.works(f'set karray0 {wish}', 'set all settings')
    t.is_(vm.sh(f'cd {BUS}/karray0; cat {" ".join(SETTINGS)} state').out.split(), [*SETTINGS.values(), 'online'],
          'they are set, and the device is online')
    ctl.works('set karray0 queue_mode=mq read_only=0 logical_block_size=512 nr_queues=0 poll_queues=1 '
              'queue_depth=0', 'and back')
    ctl.fails('set karray0 queue_mode=', 'no value', 'no setting', rc=2)
    ctl.fails('set karray0 nr_queues=1 queue_mode=telepathy', 'a wrong value: says so', 'telepathy')
    t.is_(vm.sh(f'cd {BUS}/karray0; cat nr_queues queue_mode state').out.split(), ['0', 'mq', 'online'],
          'a wrong value: all is as before')
    ctl.works('offline karray1', 'an offline device')
    ctl.works('set karray1 nr_queues=2', 'is set')
    t.is_(vm.sh(f'cd {BUS}/karray1; cat nr_queues state').out.split(), ['2', 'offline'], 'and stays offline')
    ctl.works('set karray1 nr_queues=0', 'and back')
    ctl.works('online karray1', 'online again')


def busy(t, vm, ctl):
    """Who holds a device."""
    def held(what, begin, end, *sentences):
        vm.sh(f'set -e; {begin}')
        for command in ('offline', 'eject -f'):
            ctl.fails(f'{command} karray0', f'{command}: {what}', 'busy, stays online', *sentences)
        t.is_(vm.sh(f'cat {BUS}/karray0/state').out, 'online\n', f'{what}: it stays')
        vm.sh(f'{end}; udevadm settle')

    held('mounted', 'mkfs.ext4 -qF /dev/karrayb0; mount /dev/karrayb0 /mnt', 'umount /mnt',
         'karray0: /dev/karrayb0 is mounted on /mnt')
    held('mounted elsewhere', "unshare -m sh -c 'mount /dev/karrayb0 /mnt; exec sleep 1000' > /run/out 2>&1 & echo $! > /run/pid;"
         'until grep -q karrayb0 /proc/$(cat /run/pid)/mountinfo; do sleep 0.1; done',
         f'kill $(cat /run/pid); until grep -qx 0 {BUS}/karray0/users; do sleep 0.1; done',
         r'karray0: /dev/karrayb0 is mounted on /mnt in the mount namespace of process \d+ \(sleep\)\n')
    held('swap', 'mkswap -q /dev/karrayb0; swapon /dev/karrayb0', 'swapoff /dev/karrayb0',
         '/dev/karrayb0 is used for swap')
    held('open', 'sleep 1000 < /dev/karray > /run/out 2>&1 & echo $! > /run/pid', 'kill $(cat /run/pid)',
         r'process \d+ \(sleep\) has opened /dev/karray\n')
    held('mapped', '/root/ring /dev/karray clear; /root/ring /dev/karray take 1 > /run/out 2>&1 & echo $! > /run/pid',
         'kill $(cat /run/pid)', r'process \d+ \(ring\) has mapped /dev/karray\n')
    held('a loop device', 'modprobe loop; losetup /dev/loop0 /dev/karrayb0; mkfs.ext4 -qF /dev/loop0; mount /dev/loop0 /mnt',
         'umount /mnt; losetup -d /dev/loop0', '/dev/loop0 on /dev/karrayb0 is mounted on /mnt')
    held('device mapper', 'dmsetup create linear --table "0 8192 linear /dev/karrayb0 0";'
         'mkswap -q /dev/mapper/linear; swapon /dev/mapper/linear',
         'swapoff /dev/mapper/linear; udevadm settle; dmsetup remove --retry linear',
         '/dev/dm-0 on /dev/karrayb0 is used for swap', '/dev/karrayb0 is a part of /dev/dm-0')

    vm.sh('wipefs -qa /dev/karrayb0; mkfs.ext4 -qF /dev/karrayb0; mount /dev/karrayb0 /mnt')
    t.is_(ctl.devices('list -o MOUNTPOINT,MOUNTPOINTS,HOLDERS,FSTYPE karray0'),
          [{'mountpoint': '/mnt', 'mountpoints': ['/mnt'], 'holders': ['/dev/karrayb0 is mounted on /mnt'],
            'fstype': 'ext4'}], 'listed as mounted')
    ctl.fails('zero -f karray0', 'what is mounted is not zeroed', 'busy', 'mounted on /mnt')
    vm.sh('umount /mnt')

    # Namespaces with all that ours has: in the one umount is followed, in the other not.
    for how, stays in (('slave', 0), ('private', 1)):
        vm.sh('mkdir -p /run/in; mount -t tmpfs --make-shared tmpfs /run/in; mkdir /run/in/mnt; '
              'mount /dev/karrayb0 /run/in/mnt;'
              f'unshare -m --propagation {how} sleep 1000 > /run/out 2>&1 & echo $! > /run/pid;'
              'until grep -q sleep /proc/$(cat /run/pid)/comm; do sleep 0.1; done')
        told = ['/dev/karrayb0 is mounted on /run/in/mnt']
        copies = [f'{told[0]} in the mount namespace of process {vm.sh("cat /run/pid").out.strip()} (sleep)'] * stays
        t.is_(ctl.devices('list -o HOLDERS karray0')[0]['holders'], told + copies, f'{how}: the mount is told of once'
              + ', and its copy' * stays)
        vm.sh('umount /run/in/mnt')
        t.is_(ctl.devices('list -o HOLDERS karray0')[0]['holders'], copies or [None], f'{how}: unmounted')
        vm.sh(f'kill $(cat /run/pid); until grep -qx 0 {BUS}/karray0/users; do sleep 0.1; done; umount /run/in')


def contents(t, vm, ctl):
    """zero, checksum, badblocks."""
    vm.sh('head -c 64M /dev/urandom > /dev/karray')
    whole = vm.sh(f'/root/ioctl /dev/karray checksum 0 {128 * MIB} 0').out.strip()
    table = ctl.devices('checksum karray0')
    t.is_((table[0]['length'], int(table[0]['crc32c'], 16)), (128 * MIB, int(whole, 0)), 'checksum of all of it')
    ctl.works('checksum -nr -s 1M -l 3 karray0', 'of a range')
    ctl.fails('checksum -s 127M -l 2M karray0', 'past the end', 'ends past the end')
    ctl.fails('checksum -s 1 -l 16E karray0', 'an end that is too large to be a number', "no size", rc=2)
    ctl.fails('zero karray0', 'zero: not without --force where nobody can be asked', 'Use --force')
    t.is_(vm.sh(f'/root/ioctl /dev/karray checksum 0 {128 * MIB} 0').out.strip(), whole, 'nothing is zeroed')
    before, after = (ctl.devices(f'checksum -s {s} -l {n} karray0')[0]['crc32c']
                     for s, n in ((0, '1M'), ('2M', '126M')))
    ctl.works('zero -f -s 1M -l 1M karray0', 'zero a range', '', '1 device zeroed')
    t.is_(vm.sh('dd if=/dev/karray bs=1M skip=1 count=1 2>/dev/null | tr -d "\\0" | wc -c').out.strip(), '0',
          'it is zero')
    t.is_([ctl.devices(f'checksum -s {s} -l {n} karray0')[0]['crc32c'] for s, n in ((0, '1M'), ('2M', '126M'))],
          [before, after], 'and nothing beside it')

    ctl.works('badblocks -n karray0', 'nothing is bad', '')
    ctl.works('badblocks -f --add 1M+1K karray0', 'mark two sectors')
    ctl.works('badblocks -f --add 8M+512K karray0', 'mark 1024')
    t.is_(ctl.devices('badblocks karray0'), [{'name': 'karray0', 'offset': MIB, 'length': 1024},
                                             {'name': 'karray0', 'offset': 8 * MIB, 'length': 512 << 10}],
          'they are listed')
    ctl.fails('badblocks --add 4M+1K karray0', 'mark: asks', 'Use --force')
    ctl.fails('badblocks --add 1+512 karray0', 'no sector', 'multiples of 512', rc=2)
    ctl.fails('badblocks -f --add 4M+1K -s 4M karray0', 'two ranges', '--start and --length are not for it', rc=2)
    ctl.fails('checksum karray0', "what is bad can't be read", 'cannot read all of it: there is bad memory')
    ctl.works('badblocks --clear -f karray0', 'make them good')
    t.is_(ctl.devices('badblocks karray0'), [], 'nothing is bad any more')
    ctl.works('zero -f all', 'zero all', '', '2 devices zeroed')


def ranges(t, vm, ctl):
    """create, delete."""
    vm.sh('echo before > /dev/karray1')
    ctl.works('delete karray1', 'delete', '', '1 device deleted')
    ctl.works('create 128MiB@4G', 'create prints the name', 'karray1\n')
    t.is_(vm.sh('head -c 6 /dev/karray1').out, 'before', 'it holds what it held')
    ctl.fails('create 128M@8G 1M', 'no range', "'1M' is no range: SIZE@START", rc=2)
    ctl.fails('create 16M@16M', 'System RAM', 'System RAM')
    ctl.fails('delete karray0', 'a DIMM', 'it is ejected, not deleted')
    ctl.fails('eject -f karray1', 'a range', 'is no DIMM: only these')
    # Descriptors 0 to 2 are closed: nothing that is said must go to a device.
    vm.sh(f'sh -c "exec {CTL} zero -f -l 4096 karray1 <&- >&- 2>&-"; {CTL} badblocks -f --add 0+512 karray1;'
          f'sh -c "exec {CTL} checksum karray1 <&- >&- 2>&-"', check=False)
    ctl.works('badblocks --clear -f karray1', 'good again')
    t.is_(vm.sh('head -c 4096 /dev/karray1 | tr -d "\\0" | wc -c').out.strip(), '0', 'no message is in it')
    vm.sh('sleep 1000 < /dev/karrayb1 > /run/out 2>&1 & echo $! > /run/pid')
    ctl.fails('delete karray1', 'in use', r'process \d+ \(sleep\) has opened /dev/karrayb1')
    vm.sh('kill $(cat /run/pid)')
    for command in ('take', 'take --dry-run', 'give-back -f'):
        ctl.fails(f'{command} karray1', f'{command} what is not from System RAM', 'not (from )?System RAM')


def policy(t, vm, ctl):
    """apply."""
    def config(text):
        vm.sh(f"cat > /run/karray.conf <<'EOF'\n{text}\nEOF")

    ctl.fails('apply', 'no configuration', '/etc/karray.conf: No such file', rc=2)
    config('# nothing\n\norigin=region:*\toffline nr_queues=2 # and so on\n* online queue_mode=bio')
    ctl.works('apply -C /run/karray.conf --dry-run', 'only told',
              'karray0: online queue_mode=bio\nkarray1: offline nr_queues=2\n')
    ctl.works('apply -C /run/karray.conf', 'applied', '', '2 devices as configured')
    ctl.works('apply -C /run/karray.conf --udev karray0', "for udev: what is said is in the system's log", '', '^$')
    t.is_(vm.sh(f'cd {BUS}; cat */state */queue_mode */nr_queues').out.split(),
          ['online', 'offline', 'bio', 'mq', '0', '2'], 'to each the first line that matches')
    config('origin=region:* online nr_queues=0\nserial=*-0x00 online queue_mode=mq')
    ctl.works('apply -C /run/karray.conf karray1', 'to one')
    ctl.works('apply -C /run/karray.conf', 'to all')
    t.is_(vm.sh(f'cd {BUS}; cat */state */queue_mode */nr_queues').out.split(),
          ['online', 'online', 'mq', 'mq', '0', '0'], 'as before')
    for line, why in (('karray0 online', 'no match'), ('* explode', 'no action'), ('*', 'no action'),
                      ('* online colour=red', 'no setting'), ('* leave dax=1', 'takes no settings')):
        config(f'* offline\n{line}')
        ctl.fails('apply -C /run/karray.conf', f'{line!r}', f'/run/karray.conf:2: .*{why}', rc=2)
    t.is_(vm.sh(f'cd {BUS}; cat */state').out.split(), ['online'] * 2, 'a wrong line: nothing is done')
    config('* online queue_mode=telepathy')
    ctl.fails('apply -C /run/karray.conf', 'what the kernel refuses', 'telepathy')
    t.is_(vm.sh(f'cd {BUS}; cat */state').out.split(), ['online'] * 2, 'they stay online')


def monitor(t, vm, ctl):
    """Events as they come."""
    vm.sh(f'{CTL} monitor > /run/events 2>&1 & echo $! > /run/pid; sleep 1')
    vm.sh(f'{CTL} monitor -J > /run/json 2>&1 & echo $! > /run/pid2; sleep 1')
    ctl.works('offline karray0', 'something happens')
    ctl.works('online karray0', 'and again')
    plug(vm, 'second', '128M', 'karray2')
    vm.sh('sleep 1; kill $(cat /run/pid /run/pid2); sleep 1')
    events = vm.sh('cat /run/events').out
    told = [line.split()[1:] for line in events.splitlines()]
    t.is_([event[:2] for event in told],
          [[action, f'karray{n}'] for n, actions in ((0, ('change', 'offline')), (0, ('change', 'online')),
                                                     (2, ('add', 'change', 'online'))) for action in actions],
          'they are told', events)
    t.is_([event[2] for event in told if event[0] == 'change'], ['offline', 'online', 'online'],
          'with the new state')
    t.like(events, r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d{4} ', 'with the time')
    decoder, text, heard = json.JSONDecoder(), vm.sh('cat /run/json').out.strip(), []
    while text:
        value, end = decoder.raw_decode(text)
        heard += [(e['action'], e['name']) for e in value['karraydevices']]
        text = text[end:].strip()
    t.is_(heard, [tuple(line.split()[1:3]) for line in events.splitlines()], 'as JSON')


def unprivileged(t, vm, ctl):
    nobody = 'setpriv --reuid 65534 --regid 65534 --clear-groups'
    t.is_(ctl('list -nro NAME', nobody).out, 'karray0\nkarray1\nkarray2\n', 'everybody may list')
    for args in ('offline karray0', 'set karray0 nr_queues=1', 'eject -f karray0', 'zero -f karray0',
                 'checksum karray0', 'create 1M@4G'):
        ctl.fails(args, f'not everybody may: {args}', 'this needs root', before=nobody)


t = Tap()

with guest_test('ctl', tap=t, dimms=[('hp_dimm0', '128M')], mem='3G', cmdline=REGION) as (t, vm):
    ctl = Ctl(t, vm)
    vm.sh('mkdir -p /mnt; chmod 755 /root')
    start_udev(vm)
    ctl.fails('', 'without the module', 'karray is not loaded')
    for command in ('online all', 'zero -f all', 'create 1M@4G', 'eject -f karray0'):
        ctl.fails(command, f'without the module: {command}', 'karray is not loaded')
    vm.sh('insmod /root/karray.ko region=128M@4G; udevadm settle')
    words(t, vm, ctl)
    listing(t, vm, ctl)
    completion(t, vm)
    states(t, vm, ctl)
    busy(t, vm, ctl)
    contents(t, vm, ctl)
    ranges(t, vm, ctl)
    policy(t, vm, ctl)
    monitor(t, vm, ctl)
    unprivileged(t, vm, ctl)
    ctl.works('eject -f karray2', 'eject', '', '1 device ejected')
    t.is_(vm.unplug_result('second', 30), 'deleted', 'the machine has lost the DIMM')
    ctl.works('eject -f all', 'eject all', '', '1 device ejected')
    ctl.works('list -nro NAME', 'a range is left', 'karray1\n')
    ctl.works('delete all', 'delete all', '', '1 device deleted')
    t.is_(ctl.devices(''), [], 'JSON of nothing is an array')

with guest_test('ctl-ram', tap=t, dimms=[], memhotplug=True,
                cmdline='memhp_default_state=online_movable') as (t, vm):
    ctl = Ctl(t, vm)
    vm.sh('insmod /root/karray.ko')
    vm.plug('dimm', '256M')
    vm.wait(f'[ -e {BUS}/karray0/state ]', 60, 'the DIMM')
    vm.wait('[ $(cat /sys/devices/system/memory/memory3[23]/state | grep -c online) = 2 ]', 60, 'its blocks')
    t.is_(ctl.devices('list -o STATE,BLOCKDEV,TAKEABLE'),
          [{'state': 'system-ram', 'blockdev': None, 'takeable': 'yes'}], 'System RAM is listed')
    for command in ('online', 'offline'):
        ctl.fails(f'{command} karray0', f'{command}: not System RAM', 'is System RAM')
    ctl.works(f'{command} all', f'{command} all: means none', '', '0 devices')
    ctl.works('take --dry-run karray0', 'could be taken', '', 'could be taken')
    ctl.works('set karray0 queue_mode=bio', 'set beforehand')
    ctl.works('take all', 'taken', '', '1 device taken')
    t.is_(ctl.devices('list -o STATE,MODE,BLOCKDEV'),
          [{'state': 'online', 'mode': 'bio', 'blockdev': '/dev/karrayb0'}], 'it is a device')
    ctl.fails('take karray0', 'not twice', 'is not System RAM')
    ctl.fails('give-back karray0', 'give back: asks', 'Use --force')
    vm.sh('sleep 1000 < /dev/karrayb0 > /run/out 2>&1 & echo $! > /run/pid')
    ctl.fails('give-back -f karray0', 'not while in use', 'has opened /dev/karrayb0')
    vm.sh('kill $(cat /run/pid)')
    ctl.works('give-back -f all', 'given back', '', '1 device given back')
    t.is_(ctl.devices('list -o STATE'), [{'state': 'system-ram'}], 'it is System RAM')
    vm.sh("echo '* take queue_mode=mq' > /etc/karray.conf")
    ctl.works('apply', 'taken by the configuration')
    t.is_(ctl.devices('list -o STATE,MODE'), [{'state': 'online', 'mode': 'mq'}], 'with its settings')
    ctl.works('give-back -f karray0', 'given back again')
    ctl.works('eject -f karray0', 'System RAM is ejected')

sys.exit(t.done())
