#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The char node's mappings with dax=1: chr_map.c, and dax_map.c for what needs struct
pages; the claim that pinned pages keep; and a range that can't have any."""

from harness import BUS, configure, guest_test

# What the kernel says of a program that touches bad memory.
KILLED = '(MCE|Memory failure): .*(Killing|kill) .*(chr|dax)_map'

MKFS, MOUNT = 'mkfs.ext4 -qF /dev/karrayb0', 'mount /dev/karrayb0 /mnt'


def claims(t, vm, how):
    """Pages pinned through a writable mapping keep file systems out, the file being closed."""
    job = vm.spawn(f'echo $$ > /run/holder; exec /root/dax_map /dev/karray {how} > /run/held 2>&1')
    vm.wait('grep -q . /run/held', 30, 'the holder to say something')
    if 'pinned' not in vm.sh('cat /run/held').out:
        t.skip(f'{how}: the claim', 'this kernel registers no buffers of files')
        return
    t.is_(vm.sh(f'cat {BUS}/karray0/users').out.strip(), '0', f'{how}: no file is open')
    vm.idle(1)      # for the kernel to look again a few times
    for what in (MKFS, MOUNT):
        t.like(vm.sh(what, check=False).err, 'busy|in use', f'{how}: no {what.split()[0]}')
    t.is_(vm.sh('exec 7<>/dev/karray', check=False).rc, 0, f'{how}: but another writer')
    t.like(vm.sh(MOUNT, check=False).err, 'busy', f'{how}: whose end changes nothing')
    vm.sh('kill $(cat /run/holder)')
    job.wait(60)
    vm.wait(MKFS, 60, 'the claim to end with the last pin')
    t.is_(vm.sh(f'{MOUNT} && umount /mnt', check=False).rc, 0, f'{how}: let go: mounted')

with guest_test(dimms=[('hp_dimm0', '512M'), ('hp_dimm1', '256M')], mem='3G', cmdline='memmap=64M$0x100000000',
                allow=[KILLED]) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    configure(vm, dax=1)
    t.relay(vm.sh(f'/root/chr_map /dev/karray {512 << 20} dax', check=False, timeout=600))
    t.relay(vm.sh('/root/dax_map /dev/karray /dev/karrayb1', check=False, timeout=600))

    vm.sh(f'mkdir -p /mnt; {MKFS}')
    for how in ('ring', 'pipe'):
        claims(t, vm, how)

    # Not at multiples of 2 MiB.
    vm.sh('echo 32M@0x100001000 > /sys/bus/karray/create')
    vm.sh(f'cd {BUS}/karray2; echo 0 > online; echo 1 > dax; dmesg -c > /dev/null')
    t.ok(vm.sh(f'echo 1 > {BUS}/karray2/online', check=False).rc, 'memory at an odd address can not have dax')
    t.like(vm.sh('dmesg').out, 'karray2: dax=1 needs memory that begins and ends at a multiple of 2048 KiB',
           'and the log says why')
    vm.sh(f'cd {BUS}/karray2; echo 0 > dax; echo 1 > online; head -c 4096 /dev/karray2 > /dev/null')
    t.is_(vm.sh('echo karray2 > /sys/bus/karray/delete', check=False).rc, 0, 'without it can be used')
