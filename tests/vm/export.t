#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Beyond one machine: one guest ("far") exports its DIMM by the kernel's NVMe target over
TCP, another ("near") uses it as a disk, and as one half of a mirror that outlives the loss
of far, by the commands in docs/export.md.

There is no Python in a guest, and so no nvmetcli: the test has the guest do what nvmetcli
would do with examples/nvmet-karray.json. KARRAY_SECONDS (2) is how long each measurement
takes that compares the two disks."""

import json
import os

from harness import DRIVER, VM, Load, console_problems, follow, guest_test, plug, start_udev
from harness.vm import TOP

SECONDS = int(os.environ.get('KARRAY_SECONDS', 2))
DOC = 'export.md'
CONFIG = json.loads((TOP / 'examples/nvmet-karray.json').read_text(encoding='utf-8'))
HOST = CONFIG['hosts'][0]['nqn']
NAME = CONFIG['subsystems'][0]['nqn']
NAMESPACE = CONFIG['subsystems'][0]['namespaces'][0]['device']
PORT = CONFIG['ports'][0]['addr']
LOCAL = '/dev/karrayb0'
REMOTE = f'/dev/disk/by-id/nvme-uuid.{NAMESPACE["uuid"]}'
NVMET = '/sys/kernel/config/nvmet'
MD = '/sys/block/md0/md'


def machine(number, connection):
    """A guest with a DIMM, and a network card. The cable is a socket in near's directory."""
    return {'dimms': [('dimm0', '64M')],
            'qemu_args': ['-netdev', f'stream,id=net,addr.type=unix,{connection}', '-device',
                          f'virtio-net-pci,netdev=net,mac=52:54:00:00:00:0{number},romfile=']}


NEAR = machine(2, 'server=on,addr.path=net')
FAR = machine(1, 'server=off,addr.path=../export/net')


# What nvmetcli does ----------------------------------------------------------

def attributes(node, path, group):
    lines = [f'echo "{value}" > {path}/{group}_{name}' for name, value in node[group].items()]
    if 'enable' in node:
        lines.append(f'echo {node["enable"]} > {path}/enable')
    return lines


def restore():
    """The shell commands for `nvmetcli restore`, in its order; of what can be in such a file
    it knows what is in ours."""
    def known(node, *names):
        assert set(node) <= set(names), f'nobody would look at {set(node) - set(names)}'

    lines = ['set -e', 'modprobe nvmet', f'cd {NVMET}']
    known(CONFIG, 'hosts', 'subsystems', 'ports')
    for host in CONFIG['hosts']:
        known(host, 'nqn')
        lines.append(f'mkdir hosts/{host["nqn"]}')
    for subsystem in CONFIG['subsystems']:
        known(subsystem, 'nqn', 'namespaces', 'allowed_hosts', 'attr')
        path = f'subsystems/{subsystem["nqn"]}'
        lines.append(f'mkdir {path}')
        for namespace in subsystem['namespaces']:
            known(namespace, 'nsid', 'device', 'enable')
            where = f'{path}/namespaces/{namespace["nsid"]}'
            lines += [f'mkdir {where}', *attributes(namespace, where, 'device')]
        lines += [f'ln -s {NVMET}/hosts/{nqn} {path}/allowed_hosts/' for nqn in subsystem['allowed_hosts']]
        lines += attributes(subsystem, path, 'attr')
    for port in CONFIG['ports']:
        known(port, 'portid', 'addr', 'subsystems', 'referrals')
        path = f'ports/{port["portid"]}'
        lines += [f'mkdir {path}', *attributes(port, path, 'addr')]
        lines += [f'ln -s {NVMET}/subsystems/{nqn} {path}/subsystems/' for nqn in port['subsystems']]
    return '\n'.join(lines)


CLEAR = f'''set -e
cd {NVMET}
rm ports/*/subsystems/*
rmdir ports/*
rmdir subsystems/*/namespaces/*
rm subsystems/*/allowed_hosts/*
rmdir subsystems/* hosts/*'''

NVMETCLI = f'''#!/bin/sh
case $1 in
restore)
{restore()}
;;
clear)
{CLEAR}
;;
esac
'''


# Both guests -----------------------------------------------------------------

def join(vm, number):
    network = PORT['traddr'].rpartition('.')[0]
    vm.sh(f'set -e; modprobe virtio_net; ip addr add {network}.{number}/24 dev eth0;'
          'ip link set eth0 mtu 9000; ip link set eth0 up')
    start_udev(vm)
    vm.sh('insmod /root/karray.ko; udevadm settle; mkdir -p /mnt')


def start_near(near):
    join(near, 2)
    near.sh(f'modprobe raid1; mkdir -p /etc/nvme; echo {HOST} > /etc/nvme/hostnqn;'
            'cat /proc/sys/kernel/random/uuid > /etc/nvme/hostid')


def start_far(far):
    join(far, 1)
    far.sh(f'modprobe nvmet; mount -t configfs configfs /sys/kernel/config; mkdir -p /usr/local/bin;'
           f"cat > /usr/local/bin/nvmetcli <<'END'\n{NVMETCLI}END\nchmod 755 /usr/local/bin/nvmetcli")
    far.sh(f'ls {NAMESPACE["path"]}')


def iops(vm, disk, options):
    out = vm.sh(f'fio --name=figure --filename={disk} --readonly --direct=1 --time_based --runtime={SECONDS} '
                f'--randrepeat=0 {options} --output-format=json').out
    return json.loads(out)['jobs'][0]['read']['iops']


def figures(t, near):
    """How fast the remote disk is, in terms of the local one."""
    for what, options in (('4 KiB, one at a time', '--rw=randread --bs=4k --ioengine=psync'),
                          ('4 KiB, 32 at a time', '--rw=randread --bs=4k --ioengine=io_uring --iodepth=32'),
                          ('1 MiB, 8 at a time', '--rw=read --bs=1m --ioengine=io_uring --iodepth=8')):
        local, remote = (iops(near, disk, options) for disk in (LOCAL, REMOTE))
        t.diag(f'reads of {what}: the local disk has {local / remote:.1f} times the IOPS of the remote one')


# A disk ----------------------------------------------------------------------

def refuse_others(t, near):
    """Only the host that the configuration names may connect."""
    other = HOST[:-1] + ('0' if HOST[-1] != '0' else '1')
    result = near.sh(f'nvme connect --transport=tcp --traddr={PORT["traddr"]} --trsvcid={PORT["trsvcid"]} '
                     f'--nqn={NAME} --hostnqn={other} --hostid=$(cat /proc/sys/kernel/random/uuid)',
                     check=False)
    t.ok(result.rc != 0 and not near.sh('ls /sys/class/nvme').out, 'a host of another name is refused',
         result.out + result.err)


def one_disk(t, near, far):
    follow(far, DOC, 'Export')
    refuse_others(t, near)
    follow(near, DOC, 'Connect')
    follow(near, DOC, 'Use it')
    for bs in ('4k', '64k'):
        result = near.sh(f'fio --name=verify-{bs} --directory=/mnt --size=8M --rw=randrw --bs={bs} '
                         '--direct=1 --ioengine=io_uring --iodepth=16 --verify=crc32c --verify_fatal=1 '
                         '--verify_state_save=0', timeout=300, check=False)
        t.is_(result.rc, 0, f'ext4 on the remote disk: fio verifies {bs}', result.out + result.err)
    near.sh('head -c 8M /dev/urandom > /mnt/kept; sha256sum < /mnt/kept > /run/sum; sync')
    figures(t, near)

    far.unplug('dimm0')
    t.is_(far.unplug_result('dimm0', 60), ('vetoed', 0x82), 'an exported DIMM stays')
    follow(near, DOC, 'Disconnect',
           **{'nvme disconnect': f'sha256sum < {REMOTE} > /run/disk; nvme disconnect'})
    t.is_(far.sh('sha256sum < /dev/karray', timeout=120).out, near.sh('cat /run/disk').out,
          'what near has written is in the DIMM')
    far.unplug('dimm0')
    t.is_(far.unplug_result('dimm0', 60), ('vetoed', 0x82), 'it stays with nobody connected, too')

    since = len(far.events)
    out = follow(far, DOC, 'End the export',
                 **{'karrayctl': f'mount -o ro,noload {LOCAL} /mnt; sha256sum < /mnt/kept;'
                                 'umount /mnt; karrayctl'}).out
    t.is_(out, near.sh('cat /run/sum').out, 'far can mount it when it is no longer exported')
    far.wait_event('DEVICE_DELETED', 60, lambda data: data.get('device') == 'dimm0', since)
    t.ok(True, 'and the DIMM leaves')


def by_force(t, near, far):
    follow(near, DOC, 'Connect')
    follow(near, DOC, 'Use it')
    near.sh('head -c 8M /dev/urandom > /mnt/kept; sha256sum < /mnt/kept > /run/sum; sync')
    load = Load(near, '/mnt')
    wait_rounds(near, load)
    far.sh(f'echo PNP0C80:00 > {DRIVER}/unbind')
    result = load.job.wait(120)
    t.ok(result.rc, 'the DIMM goes by force: near has errors', result.out + result.err)
    t.is_(near.sh('cat /sys/class/nvme/nvme0/state').out, 'live\n', 'and is still connected')
    near.sh('umount /mnt')
    follow(far, DOC, 'By force')
    near.wait(f'udevadm settle; mount {REMOTE} /mnt', 60)
    t.is_(near.sh('sha256sum < /mnt/kept').out, near.sh('cat /run/sum').out,
          'the DIMM is back: near has its data')
    follow(near, DOC, 'Disconnect')
    follow(far, DOC, 'End the export without nvmetcli')


# A mirror --------------------------------------------------------------------

def wait_whole(vm):
    """Wait until both halves are the same again."""
    vm.wait(f'[ $(cat {MD}/sync_action) = idle ] && [ $(cat {MD}/degraded) = 0 ]', 300, 'the resync')


def wait_rounds(vm, load):
    before = load.rounds()
    vm.wait(lambda: load.rounds() > before + 1, 200, 'the load to go on')


def make_mirror(near, far):
    plug(far, 'dimm1', '64M', 'karray0')
    far.wait(f'[ -e {NAMESPACE["path"]} ]')
    follow(far, DOC, 'Export')
    follow(near, DOC, 'Make the mirror')
    near.sh('head -c 8M /dev/urandom > /mnt/kept; sha256sum /mnt/kept > /run/sum')
    wait_whole(near)
    load = Load(near, '/mnt')
    wait_rounds(near, load)
    return load


def lose_far(t, near, far, load):
    far.close()
    near.wait(f'[ $(cat {MD}/degraded) = 1 ]', 120, 'the mirror to give up its other half')
    wait_rounds(near, load)
    t.ok(True, 'far is lost: the mirror goes on')
    near.sh('head -c 8M /dev/urandom > /mnt/later; sha256sum /mnt/later >> /run/sum')
    t.ok(not (problems := console_problems(far.console())), "far's console was clean", '\n'.join(problems))


def mend_mirror(t, near, far, load):
    follow(far, DOC, 'Without nvmetcli')
    near.wait('grep -qx live /sys/class/nvme/nvme0/state', 120, 'near to connect again')
    t.ok(True, 'far is back: near connects again by itself')
    follow(near, DOC, 'When far is back')
    wait_whole(near)
    wait_rounds(near, load)
    result = load.stop()
    t.is_(result.rc, 0, 'the load has noticed nothing', result.out + result.err)
    t.is_(near.sh(f'mdadm --action=check /dev/md0; mdadm --wait /dev/md0; cat {MD}/mismatch_cnt',
                  timeout=300).out, '0\n', 'both halves are the same')
    near.sh(f'umount /mnt; mdadm /dev/md0 --fail {LOCAL} --remove {LOCAL}; mount /dev/md0 /mnt')
    t.is_(near.sh('sha256sum -c /run/sum', check=False).rc, 0, "far's half has all data")
    near.sh(f'umount /mnt; mdadm --stop /dev/md0; mdadm --zero-superblock {REMOTE};'
            f'nvme disconnect --nqn={NAME}; udevadm settle')


with guest_test(**NEAR) as (tap, here):
    if here.sh('modprobe -a nvme_tcp virtio_net', check=False).rc:
        tap.skip('the export', 'this kernel has no NVMe over TCP')
    else:
        start_near(here)
        there = VM('export-far', **FAR)
        try:
            there.start()
            start_far(there)
            one_disk(tap, here, there)
            file_load = make_mirror(here, there)
            lose_far(tap, here, there, file_load)
        finally:
            there.close()
        with guest_test('export-far', tap=tap, **FAR) as (_, there):
            start_far(there)
            mend_mirror(tap, here, there, file_load)
            by_force(tap, here, there)
