#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Memory that was set aside at boot, reserved and soft-reserved: named by parameter and
by create, given up by delete; and all that is refused. (Many who do that at once are in
regionrace.t.)"""

import re

from harness import guest_test, pio

BUS = '/sys/bus/karray'
MIB = 1 << 20

# Of the 3 GiB, 2 are below 4 GiB, and stay System RAM. The DIMM's address is reserved, too.
# Type 4026531839 is soft-reserved.
RESERVED, SOFT, RAM, DIMM = 0x100000000, 0x120000000, 0x130000000, 0x140000000
CMDLINE = (f'memmap=512M${RESERVED:#x} memmap=256M%{SOFT:#x}-1+4026531839 '
           f'memmap=128M${DIMM:#x}')

SYNTAX = 'region {} is not SIZE@START, as in 2G@0x100000000'
BEYOND = 'region {} goes beyond the last address'
PAGES = r'\[mem {}\] does not begin and end at a page: use multiples of 4096'
IS_RAM = (r'\[mem {}\] is in use as System RAM: set it aside at boot, by memmap={}\${}, '
          'or acpi_no_memhotplug for a DIMM')
NOT_ALL = (r'\[mem {}\] is not part of one Reserved or Soft Reserved range: '
           'look in /proc/iomem')
MEETS = r'\[mem {}\] meets {}, left alone'

FIRMWARE = (r'\[mem {}\] is what the firmware has reserved for itself: '
            'use memory that memmap= sets aside')

# What is refused, what the writer hears, and what the log says.
WRONG = [
    *((words, 'Invalid argument', SYNTAX.format(re.escape(words))) for words in (
        'x', '2G', '@', '2G@', '@4G', '2G@4G@4G', '2G@4Gx', '2G@4G ', ' 2G@4G', '2X@4G', '2GG@4G',
        '-1@4G', '0@4G', '0x@4G', '64M@-1', '64M,4G', '64M@4G,64M@5G')),
    *((words, 'Numerical result out of range', BEYOND.format(words)) for words in (
        '18446744073709551616@4G', '16E@4G', '64M@16E', '64M@0xffffffffffffffff', '8E@9E')),
    ('4097@4G', 'Invalid argument', PAGES.format('0x100000000-0x100001000')),
    ('4096@0x100000800', 'Invalid argument', PAGES.format('0x100000800-0x1000017ff')),
    ('64M@256M', 'resource busy', IS_RAM.format('0x10000000-0x13ffffff', '0x4000000', '0x10000000')),
    ('512M@0x120000000', 'resource busy', IS_RAM.format('0x120000000-0x13fffffff', '0x20000000', '0x120000000')),
    ('4G@2G', 'resource busy', IS_RAM.format('0x80000000-0x17fffffff', '0x100000000', '0x80000000')),
    ('1M@1T', 'No such device or address', NOT_ALL.format('0x10000000000-0x100000fffff')),
    ('4K@0xfee00000', 'No such device or address', NOT_ALL.format('0xfee00000-0xfee00fff')),
    ('4K@0xfed1c000', 'No such device or address', FIRMWARE.format('0xfed1c000-0xfed1cfff')),
    ('512M@0xfffff000', 'No such device or address', FIRMWARE.format('0xfffff000-0x11fffefff')),
    ('513M@0xfff00000', 'No such device or address', NOT_ALL.format('0xfff00000-0x11fffffff')),
    ('768M@4G', 'No such device or address', NOT_ALL.format('0x100000000-0x12fffffff')),
    ('8E@0', 'resource busy', IS_RAM.format('0x00000000-0x7fffffffffffffff', '0x8000000000000000', '0x0')),
]


def devices(vm):
    """The bus, as {name: [origin, serial, size, online]}."""
    out = vm.sh(f'cd {BUS}/devices; for d in *; do [ ! -e $d ] || '
                'echo $d $(cat $d/origin $d/serial $d/size $d/online); done').out
    return {name: rest for name, *rest in map(str.split, out.splitlines())}


def write(vm, attribute, words):
    """Write to one of the bus's files: (what the writer hears, the log since)."""
    result = vm.sh(f"dmesg -c >/dev/null; bash -c \"printf '%s\\n' '{words}' > {BUS}/{attribute}\"; dmesg",
                   check=False)
    return result.err, [line.split('] ', 1)[1] for line in result.out.splitlines()]


def refused(t, vm, attribute, words, error, says):
    before = devices(vm)
    err, log = write(vm, attribute, words)
    t.like(err, f'{error}$', f'{attribute} "{words}": refused')
    t.ok(len(log) == 1, f'{attribute} "{words}": one line in the log', '\n'.join(log))
    t.like('\n'.join(log), f'karray(: | karray\\d: ){says}$', f'{attribute} "{words}": in clear words')
    t.is_(devices(vm), before, f'{attribute} "{words}": nothing is left behind')


def create(t, vm, words, what):
    t.is_(write(vm, 'create', words)[0], '', what)


with guest_test(dimms=[('hp_dimm0', '128M')], mem='3G', cmdline=CMDLINE) as (t, vm):
    iomem = vm.sh('cat /proc/iomem').out
    total = vm.sh('grep MemTotal /proc/meminfo').out
    for line in (f'-{SOFT - 1:x} : Reserved', f'{SOFT:x}-{RAM - 1:x} : Soft Reserved'):
        t.ok(f'{line}\n' in iomem, f'set aside: {line}', iomem)

    # By the parameter: a range that is refused is no reason to do without the others.
    vm.sh('insmod /root/karray.ko region=256M@4G,1G@256M,0x10000000@0x120000000,128M@0x140000000')
    found = devices(vm)
    t.is_(found, {
        'karray0': ['acpi:PNP0C80:00', '140000000-0x00', str(128 * MIB), '1'],
        'karray1': ['region:0x100000000', '100000000-region', str(256 * MIB), '1'],
        'karray2': ['region:0x120000000', '120000000-region', str(256 * MIB), '1'],
    }, 'parameter: DIMMs first, then the regions')
    log = vm.sh('dmesg').out
    for says in (IS_RAM.format('0x10000000-0x4fffffff', '0x40000000', '0x10000000'),
                 MEETS.format('0x140000000-0x147ffffff', 'karray0'),
                 r'karray1: \[mem 0x100000000-0x10fffffff\] of region:0x100000000 online, 256 MiB, node 0'):
        t.like(log, says, 'parameter: the log tells what became of each')
    t.is_(vm.sh(f'cat {BUS}/devices/karray*/node').out.split(), ['0'] * 3, 'their node')
    claimed = vm.sh('grep karray /proc/iomem').out
    for line in ('100000000-10fffffff : karray1', '120000000-12fffffff : karray2'):
        t.ok(line in claimed, 'the range is claimed', claimed)
    t.is_(vm.sh(f'stat -c %a {BUS}/create {BUS}/delete').out.split(), ['200'] * 2, 'only root creates and deletes')

    # Reserved and soft-reserved, by both devices, with and without a file system.
    for n, sort in ((1, 'reserved'), (2, 'soft-reserved')):
        ends = (f'0 {4 * MIB}', f'{252 * MIB} {4 * MIB}')
        t.is_(pio(vm, *(f'-k {n} w /dev/karray{n} {where}' for where in ends),
                  *(f'-c -k {n} r /dev/karrayb{n} {where}' for where in ends)),
              [str(4 * MIB)] * 4, f'{sort}: the same bytes by both devices, up to the ends')
        vm.sh(f'mkfs.ext4 -qF /dev/karrayb{n}; mount /dev/karrayb{n} /mnt; head -c 8M /dev/urandom > /mnt/file;'
              'sha256sum /mnt/file > /run/sum; umount /mnt')
        t.is_(vm.sh(f'mount /dev/karrayb{n} /mnt; sha256sum -c /run/sum; umount /mnt; e2fsck -fn /dev/karrayb{n}',
                    check=False).rc, 0, f'{sort}: a file system')

    # Delete asks first.
    for who, begin, end, says in (
            ('a mount', 'mount /dev/karrayb1 /mnt', 'umount /mnt', 'disk 1, char device 0'),
            ('an open file', 'sleep 1000 </dev/karray1 >/dev/null 2>&1 & echo $! >/run/user',
             'kill $(cat /run/user)', 'disk 0, char device 1'),
            ('a mapping', 'wipefs -qa /dev/karrayb1; /root/ring /dev/karray1 clear;'
             '/root/ring /dev/karray1 take 1 >/dev/null 2>&1 & echo $! >/run/user',
             'kill $(cat /run/user)', 'disk 0, char device 1')):
        vm.sh(begin)
        vm.wait(f'[ $(cat {BUS}/devices/karray1/users) = 1 ]', 20, f'{who} to come')
        refused(t, vm, 'delete', 'karray1', 'resource busy', f'busy, stays online: users: {says}')
        vm.sh(end)
        vm.wait(f'[ $(cat {BUS}/devices/karray1/users) = 0 ]', 20, f'{who} to go')
    for name, error, says in (('karray9', 'No such device', 'there is no device karray9 to delete'),
                              ('', 'No such device', 'there is no device  to delete'),
                              ('karray1 ', 'No such device', 'there is no device karray1  to delete'),
                              ('karray0', 'Operation not permitted',
                               'is not a region but from acpi:PNP0C80:00: it is ejected, not deleted')):
        refused(t, vm, 'delete', name, error, says)

    # Two can't have the same, whether online or not.
    for state in (1, 0):
        vm.sh(f'echo {state} > {BUS}/devices/karray1/online')
        for words, mem, name in (('256M@4G', '0x100000000-0x10fffffff', 'karray1'),
                                 ('4K@4G', '0x100000000-0x100000fff', 'karray1'),
                                 ('512M@4G', '0x100000000-0x11fffffff', 'karray1'),
                                 ('8K@0x10ffff000', '0x10ffff000-0x110000fff', 'karray1'),
                                 ('4K@0x147fff000', '0x147fff000-0x147ffffff', 'karray0')):
            refused(t, vm, 'create', words, 'File exists', MEETS.format(mem, name))

    # Deleted, also while offline; its neighbours begin where it ended.
    t.is_(write(vm, 'delete', 'karray1')[0], '', 'delete, offline')
    t.is_(write(vm, 'delete', 'karray2')[0], '', 'delete, online')
    t.is_(list(devices(vm)), ['karray0'], 'both are gone')
    t.is_(vm.sh('ls /dev | grep karray').out.split(), ['karray', 'karrayb0'], 'and their nodes')
    refused(t, vm, 'delete', 'karray1', 'No such device', 'there is no device karray1 to delete')
    for words, error, says in WRONG:
        refused(t, vm, 'create', words, error, says)
    t.like('\n'.join(write(vm, 'create', '2G\n@4G')[1]), f'karray: {SYNTAX.format("2G")}$',
           'create, two lines: the log has one')
    create(t, vm, '0x8000000@4G', 'create, in hexadecimal')
    create(t, vm, '4k@0x108000000', 'create, of one page, next to the other')
    t.is_({name: rest[2] for name, rest in devices(vm).items()},
          {'karray0': str(128 * MIB), 'karray1': str(128 * MIB), 'karray2': '4096'}, 'they have their sizes')
    vm.sh('/root/karray_test /dev/karray1 && /root/karray_test /dev/karray2')
    for name in ('karray2', 'karray1'):
        vm.sh(f'echo {name} > {BUS}/delete')

    # A disk that can't be added.
    vm.sh('insmod /root/karray_fail.ko')
    err, log = write(vm, 'create', '64M@4G')
    t.like(err, 'Cannot allocate memory', 'a device that fails on its way: the writer hears it')
    t.ok(any('disk: error -12' in line for line in log), 'and the log has it', '\n'.join(log))
    t.is_(list(devices(vm)), ['karray0'], 'nothing is left of it')
    vm.sh('rmmod karray_fail')
    create(t, vm, '64M@4G', 'the next is well')

    # Unloading takes them along.
    vm.sh('rmmod karray')
    t.is_(vm.sh('cat /proc/iomem').out, iomem, 'after unloading, /proc/iomem is as before')
    t.is_(vm.sh('grep MemTotal /proc/meminfo').out, total, 'System RAM is as large as before')

    # The kernel's own driver for soft-reserved memory: who comes first has it.
    bind = ('modprobe dax_hmem; cd /sys/bus/dax; [ -e devices/dax0.0/driver ] || '
            'echo dax0.0 > drivers/device_dax/new_id')
    vm.sh('modprobe device_dax; insmod /root/karray.ko region=256M@0x120000000')
    vm.sh(bind, check=False)
    t.ok('12fffffff : karray1' in vm.sh('cat /proc/iomem').out, 'karray keeps what it has')
    vm.sh(f'rmmod karray; rmmod dax_hmem; insmod /root/karray.ko; {bind}')
    t.ok('12fffffff : dax0.0' in vm.sh('cat /proc/iomem').out, 'the other has its range')
    refused(t, vm, 'create', '16M@0x124000000', 'resource busy',
            r'\[mem 0x124000000-0x124ffffff\] meets a range that another owner has claimed '
            r'\(see /proc/iomem\), left alone')
    vm.sh('rmmod dax_hmem')
    create(t, vm, '16M@0x124000000', 'when that has gone, karray may')
    vm.sh('rmmod karray')

    # A parameter that makes no sense: as any other.
    for words, says in (('256M@4G,2G', SYNTAX.format('2G')), ('256M@4G,,2G@6G', SYNTAX.format('')),
                        ('16E@0', BEYOND.format('16E@0'))):
        vm.sh('dmesg -c >/dev/null')
        t.ok(vm.sh(f'insmod /root/karray.ko region={words}', check=False).rc, f'region={words}: does not load')
        log = vm.sh('dmesg').out.splitlines()
        t.ok(len(log) == 1 and log[0].endswith(says), f'region={words}: one line says why', '\n'.join(log))
        t.is_(vm.sh('ls /sys/bus | grep karray', check=False).out, '', f'region={words}: nothing left behind')
