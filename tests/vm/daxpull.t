#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Memory with struct pages that is asked to go, or goes: pinned pages veto, mappings of
files are revoked, and no page is gone while somebody holds it."""

import sys

from harness import BUS, DRIVER, Tap, configure, guest_test, pairings

DISK, CHR, OTHER = '/dev/karrayb0', '/dev/karray', '/dev/karrayb1'
MKFS = {'ext4': 'mkfs.ext4 -qF', 'xfs': 'mkfs.xfs -qf', 'xfs with rmapbt': 'mkfs.xfs -qf -m rmapbt=1,reflink=1'}
KILLED = 'Memory failure: .*(Killing|kill) .*dax_map'


def hold(vm, target, how):
    """A process that keeps pages, and nothing else. Its Job, or None where it can't."""
    job = vm.spawn(f'echo $$ > /run/holder; exec /root/dax_map {target} {how} > /run/held 2>&1')
    vm.wait('grep -q . /run/held', 30, 'the holder to say something')
    return job if 'pinned' in vm.sh('cat /run/held').out else None


def map_until_gone(vm, target, number=0):
    """A process that touches mapped memory until it's gone, and is at it now."""
    job = vm.spawn(f'exec /root/dax_map {target} until-gone > /run/gone{number} 2>&1')
    vm.wait(f'grep -q mapped /run/gone{number}', 60, 'the memory to be mapped')
    return job


def relay_gone(t, vm, job, number=0):
    t.relay(job.wait(120)._replace(out=vm.sh(f'cat /run/gone{number}').out))


def let_go(vm, job):
    vm.sh('kill $(cat /run/holder)')
    job.wait(20)


def veto(t, vm, how):
    configure(vm, dax=1)
    job = hold(vm, CHR, how)
    if not job:
        t.skip(f'{how}: pins', 'this kernel registers no buffers of files')
        return
    t.is_(vm.sh(f'cat {BUS}/karray0/users').out.strip(), '0', f'{how}: no user is left')
    vm.sh('dmesg -c > /dev/null')
    t.is_(vm.sh(f'echo 0 > {BUS}/karray0/online', check=False).rc, 1, f'{how}: but it stays online')
    t.like(vm.sh('dmesg -c').out, r'karray0: busy, stays online: pinned pages: 16$', f'{how}: the log says why')
    vm.unplug('hp_dimm0')
    t.is_(vm.unplug_result('hp_dimm0', 20), ('vetoed', 0x82), f'{how}: the DIMM stays')
    t.is_(vm.sh(f'head -c 4096 {CHR} | wc -c; cat {BUS}/karray0/online').out.split(), ['4096', '1'],
          f'{how}: it can still be used')

    # By force: what is pinned is waited for.
    unbind = vm.spawn(f'echo PNP0C80:00 > {DRIVER}/unbind')
    vm.wait('dmesg | grep -q "waiting for pinned pages: 16"', 30, 'the log to say that it waits')
    t.ok(unbind.poll() is None, f'{how}: unbind waits, and says so')
    let_go(vm, job)
    t.is_(unbind.wait(30).rc, 0, f'{how}: until they are let go')
    t.like(vm.sh('dmesg').out, 'no pages are pinned any more', f'{how}: which it says, too')
    t.is_(vm.sh('grep -c karray0 /proc/iomem', check=False).out.strip(), '0', f'{how}: the memory is released')
    vm.sh(f'echo PNP0C80:00 > {DRIVER}/bind')


def pull(t, vm, mode, kind):
    """Forced removal of what is mounted, mapped, and written."""
    what = f'{mode}: {kind}'
    vm.sh(f'echo 0 > {BUS}/karray0/online; cd {BUS}/karray0; echo 1 > dax; echo {mode} > queue_mode; echo 1 > online')
    vm.sh(f'wipefs -qa {DISK}; {MKFS[kind]} {DISK} && mount -o dax=always {DISK} /mnt')
    vm.sh('head -c 16M /dev/zero > /mnt/file; head -c 8M /dev/urandom > /mnt/kept; sync; '
          'sha256sum < /mnt/kept > /run/sum')
    jobs = [map_until_gone(vm, '/mnt/file', number) for number in range(2)]
    writer = vm.spawn('while cat /mnt/kept > /mnt/other; do :; done')
    vm.idle(2)
    logged = len(vm.console())
    vm.sh(f'echo PNP0C80:00 > {DRIVER}/unbind', timeout=120)
    # Not from dmesg: XFS may have the kernel say much more than that holds.
    t.ok('karray0: removed by force, users get errors: disk ' in vm.console()[logged:],
         f'{what}: unbind returns, and the log says who had it')
    t.is_(vm.sh('grep -c karray0 /proc/iomem', check=False).out.strip(), '0', f'{what}: the memory is released')
    vm.sh(f'echo PNP0C80:00 > {DRIVER}/bind; echo 0 > {BUS}/karray0/online; echo 1 > {BUS}/karray0/dax;'
          f'echo 1 > {BUS}/karray0/online')
    for number, job in enumerate(jobs):
        relay_gone(t, vm, job, number)
    t.ok(writer.wait(60) and True, f'{what}: the writer is told')
    t.ok(vm.sh('cat /mnt/kept > /dev/null', check=False).rc, f'{what}: the old mount does not reach the new device')
    vm.sh('umount /mnt', timeout=120)
    vm.wait(f'[ $(cat {BUS}/karray0/users) = 0 ]', 20, 'the last user')
    vm.sh(f'mount -o dax=always {DISK} /mnt', timeout=120)
    t.is_(vm.sh('sha256sum < /mnt/kept').out, vm.sh('cat /run/sum').out, f'{what}: what was synced is there')
    vm.sh('umount /mnt')


def reflinked(vm):
    """XFS whose files share blocks, which it can't by the page: such a page leads to no file."""
    configure(vm, dax=1)
    vm.sh(f'wipefs -qa {DISK}; mkfs.xfs -qf -m reflink=1,rmapbt=0 {DISK} && mount -o dax=always {DISK} /mnt &&'
          'head -c 16M /dev/urandom > /mnt/file && cp --reflink=always /mnt/file /mnt/copy && sync')


def shared(t, vm):
    """Files with shared blocks, that are written by mappings: by and by, and then by force."""
    reflinked(vm)
    vm.sh(f'/root/touch_file -w /mnt/copy {" ".join(str(at) for at in range(0, 4 << 20, 4096))} > /dev/null; umount /mnt')
    vm.wait(f'[ $(cat {BUS}/karray0/users) = 0 ]', 20, 'the last user')
    t.is_(vm.sh(f'echo 0 > {BUS}/karray0/online', check=False, timeout=60).rc, 0,
          'shared blocks: offline when all is unmounted')
    vm.sh(f'echo 1 > {BUS}/karray0/online')

    # Another XFS, on the other DIMM, has a page that is pinned, which is none of our business.
    configure(vm, 'karray1', dax=1)
    vm.sh(f'mkdir -p /mnt1; mkfs.xfs -qf -m reflink=1,rmapbt=0 {OTHER} && mount -o dax=always {OTHER} /mnt1 &&'
          'head -c 16M /dev/zero > /mnt1/file && sync')
    reflinked(vm)
    holder = hold(vm, '/mnt1/file', 'pipe')
    job = map_until_gone(vm, '/mnt/copy')
    vm.sh(f'echo PNP0C80:00 > {DRIVER}/unbind', timeout=120)
    t.is_(vm.sh('grep -c karray0 /proc/iomem', check=False).out.strip(), '0', 'shared blocks: the memory is released')
    vm.sh(f'echo PNP0C80:00 > {DRIVER}/bind')
    relay_gone(t, vm, job)
    t.is_(vm.sh('head -c 4096 /mnt1/file | wc -c', check=False).out.strip(), '4096', 'shared blocks: not so another XFS')
    let_go(vm, holder)
    vm.sh('umount /mnt; umount /mnt1', timeout=120)
    vm.wait(f'[ $(cat {BUS}/karray0/users) = 0 ]', 20, 'the last user')


def let_go_below(t, vm):
    """Device mapper lets go of the disk below a mount whose file is mapped. So nobody keeps
    the device from going offline, nor from being written by the char device; but nobody may
    have the memory afterwards."""
    for device in ('karray0', 'karray1'):
        configure(vm, device, dax=1)
    vm.sh(f'dmsetup create moving --table "0 262144 linear {DISK} 0" && dmsetup mknodes && mkfs.ext4 -qF -b 4096 -O ^has_journal '
          '/dev/mapper/moving 14M && mount -o dax=always /dev/mapper/moving /mnt && '
          'head -c 64K /dev/zero > /mnt/file && sync')
    job = vm.spawn('echo $$ > /run/mapper; exec /root/touch_file -kw /mnt/file 0 > /run/touched')
    vm.wait('grep -q . /run/touched', 30, 'the file to be mapped')

    def frame():
        """Where in memory the mapped page is, if anywhere."""
        entry = int(vm.sh('pid=$(cat /run/mapper); at=$(grep /mnt/file /proc/$pid/maps | cut -d- -f1);'
                          'dd if=/proc/$pid/pagemap bs=8 skip=$((0x$at / 4096)) count=1 2> /dev/null | od -An -t u8').out)
        return (entry & (1 << 55) - 1) << 12 if entry >> 63 else None

    start = int(vm.sh(f'cat {BUS}/karray0/phys_addr').out, 16)
    at = frame()
    t.ok(at is not None and start <= at < start + (14 << 20), 'a file has memory of the device mapped', at)
    vm.sh(f'dmsetup suspend --nolockfs moving; echo "0 262144 linear {OTHER} 0" | dmsetup load moving; dmsetup resume moving')
    vm.wait(f'[ $(cat {BUS}/karray0/users) = 0 ]', 20, 'device mapper to let go of the disk')
    t.is_(frame(), at, 'device mapper lets go of the disk, but not of the memory')
    vm.sh(f'(/root/dax_map {CHR} until-gone > /dev/null & pid=$!; sleep 2; kill $pid; wait $pid; true)')
    t.is_(vm.sh(f'echo 0 > {BUS}/karray0/online', check=False, timeout=60).rc, 0, 'the device goes offline')
    t.is_(frame(), None, 'nobody has its memory mapped any more')
    vm.sh('kill $(cat /run/mapper)')
    job.wait(20)
    vm.sh('umount /mnt; dmsetup remove moving; rm -f /dev/mapper/moving')


tap = Tap()

with guest_test(tap=tap, dimms=[('hp_dimm0', '512M'), ('hp_dimm1', '512M')], parallel=True, allow=[KILLED]) as (t, vm):
    vm.sh('insmod /root/karray.ko; mkdir -p /mnt')
    for how in ('pipe', 'ring'):
        veto(t, vm, how)

    configure(vm, dax=1)
    job = map_until_gone(vm, CHR)
    vm.sh(f'echo PNP0C80:00 > {DRIVER}/unbind; echo PNP0C80:00 > {DRIVER}/bind', timeout=60)
    relay_gone(t, vm, job)

    shared(t, vm)
    let_go_below(t, vm)
    for mode, kind in pairings(vm, ('mq', 'bio'), MKFS):
        pull(t, vm, mode, kind)

    vm.sh(f'cd {BUS}/karray0; echo 0 > online; echo 1 > dax; echo 1 > online')
    vm.unplug('hp_dimm0')
    t.is_(vm.unplug_result('hp_dimm0', 20), 'deleted', 'in the end it leaves')

sys.exit(tap.done())
