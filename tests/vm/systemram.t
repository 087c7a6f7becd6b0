#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""DIMMs that the kernel's memory hotplug has made System RAM: listed, taken, used,
given back, and ejected in each state."""

from harness import BUS, Tap, guest_test

MEMORY = '/sys/devices/system/memory'
MOVABLE = 'memhp_default_state=online_movable'
DIMM = 512 << 10    # KiB


def state(vm, device='karray0'):
    return vm.sh(f'cat {BUS}/{device}/state').out.strip()


def set_state(vm, wish, device='karray0'):
    """Exit status of the wish for a state, and what the kernel said."""
    rc = vm.sh(f'dmesg -c > /dev/null; echo {wish} > {BUS}/{device}/state', check=False, timeout=180).rc
    return rc, vm.sh('dmesg').out


def mem_total(vm):
    return int(vm.sh("sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo").out)


def blocks(vm):
    """How the hot-plugged memory blocks are, {name: zone, or "offline"}."""
    out = vm.sh(f'cd {MEMORY}; for m in memory*; do n=${{m#memory}}; [ $n -lt 32 ] || '
                'echo $m $(cat $m/state $m/valid_zones | head -n 2 | cut -d " " -f 1); done').out
    return {name: how if how == 'offline' else zone
            for name, how, zone in map(str.split, out.splitlines())}


def listed(vm):
    return vm.sh(f'ls {BUS}').out.split()


def appears(vm, device):
    vm.wait(f'[ -e {BUS}/{device}/state ]', 30, f'{device} on the bus')


def onlined(vm, count):
    """So many memory blocks are there, and the kernel is done with them."""
    vm.wait(lambda: list(blocks(vm).values()) == ['Movable'] * count, 60, f'{count} memory blocks')


def vanishes(vm, device):
    vm.wait(f'[ ! -e {BUS}/{device} ]', 30, f'{device} off the bus')


t = Tap()

with guest_test('systemram', dimms=[], memhotplug=True, cmdline=MOVABLE, tap=t) as (t, vm):
    vm.plug('hp_dimm0', '512M')
    onlined(vm, 4)
    total, before = mem_total(vm), blocks(vm)
    iomem = vm.sh('cat /proc/iomem').out
    vm.sh('dmesg -c > /dev/null; insmod /root/karray.ko')
    log = vm.sh('dmesg').out
    t.like(log, r'karray0: 512 MiB of acpi:PNP0C80:00 are System RAM: write online to state to take them',
           'a line tells of the DIMM, and what to do')
    t.ok('error' not in log and 'fail' not in log.replace('verification failed', ''),
         'nothing alarming', log)
    t.is_((state(vm), vm.sh(f'cat {BUS}/karray0/online').out), ('system-ram', '0\n'),
          'it is listed, offline')
    t.is_(vm.sh('ls /dev | grep karray', check=False).out, '', 'without nodes')
    t.is_(vm.sh(f'echo 1 > {BUS}/karray0/online', check=False).rc, 1,
          'System RAM does not just go online')
    t.is_(set_state(vm, 'dead')[0], 1, 'nonsense for a state is refused')
    t.is_(set_state(vm, 'system-ram')[0], 0, 'what is System RAM can be made that')
    t.is_(blocks(vm), before, 'nothing has changed')

    # Dry run, take. What user space does meanwhile is announced.
    vm.sh('udevadm monitor -k -p -s karray > /run/events 2>&1 & echo $! > /run/monitor; sleep 1')
    t.is_(vm.sh(f'cat {BUS}/karray0/takeable', timeout=120).out, 'yes\n', 'it could be taken')
    t.like(vm.sh('karrayctl take --dry-run karray0', timeout=120).err, 'karray0: could be taken', 'a dry run says yes')
    t.is_((state(vm), mem_total(vm), blocks(vm)), ('system-ram', total, before), 'and does nothing')

    # Secrets in the DIMM, from where user memory is taken first.
    vm.sh('mount -t tmpfs -o size=100% tmpfs /mnt; '
          'yes SECRETofSOMEBODY | head -c 67108864 > /mnt/file', timeout=120)
    vm.sh('rm /mnt/file; umount /mnt')
    t.like(vm.sh('karrayctl take karray0', timeout=300).err, '1 device taken', 'one command takes it')
    t.is_(total - mem_total(vm), DIMM, 'MemTotal is less by the DIMM')
    t.is_((state(vm), vm.sh(f'cat {BUS}/karray0/online').out), ('online', '1\n'), 'it is online')
    t.is_(blocks(vm), {}, 'its memory blocks are gone')
    t.is_(vm.sh('tr -d "\\0" < /dev/karray | head -c 100', timeout=120).out, '',
          'all its bytes are zeroes: no secrets')
    t.like(vm.sh('cat /proc/iomem').out, '100000000-11fffffff : karray0', 'the range is ours')
    vm.sh('/root/karray_test')
    vm.sh('mkfs.ext4 -q /dev/karrayb0; mount /dev/karrayb0 /mnt; echo kept > /mnt/file')

    # In use: no way out.
    rc, log = set_state(vm, 'system-ram')
    t.is_(rc, 1, 'in use it can not be given back')
    t.like(log, 'karray0: busy, stays online: users: disk 1', 'and the log says why')
    vm.unplug('hp_dimm0')
    t.is_(vm.unplug_result('hp_dimm0', 60), ('vetoed', 0x82), 'nor ejected')
    t.is_(vm.sh('cat /mnt/file').out, 'kept\n', 'the file system is well')

    # Other DIMMs come and go meanwhile.
    vm.plug('hp_dimm1', '256M')
    appears(vm, 'karray1')
    t.is_(state(vm, 'karray1'), 'system-ram', 'a DIMM that is plugged now is listed')
    t.is_((state(vm), vm.sh('cat /mnt/file').out), ('online', 'kept\n'),
          'the rescan of the bus leaves the taken one alone')
    vm.unplug('hp_dimm1')
    t.is_(vm.unplug_result('hp_dimm1', 60), 'deleted', 'System RAM leaves as ever')
    vanishes(vm, 'karray1')
    t.is_(listed(vm), ['karray0'], 'and is not listed any more')

    # Offline is not given back; contents stay.
    vm.sh('umount /mnt')
    vm.sh(f'echo 0 > {BUS}/karray0/online; echo bio > {BUS}/karray0/queue_mode; '
          f'echo online > {BUS}/karray0/state')
    t.is_(vm.sh('mount /dev/karrayb0 /mnt; cat /mnt/file; umount /mnt').out, 'kept\n',
          'offline and online: contents stay, settings change')
    t.is_(set_state(vm, 'offline')[0], 0, 'offline by way of the state')
    t.is_((state(vm), total - mem_total(vm)), ('offline', DIMM), 'is still ours')

    t.like(vm.sh('karrayctl give-back -f karray0', timeout=120).err, '1 device given back', 'one command gives it back')
    t.is_(state(vm), 'system-ram', 'it is System RAM')
    t.is_(mem_total(vm), total, 'MemTotal is as before')
    t.is_(blocks(vm), before, 'all blocks are as before')
    t.is_(vm.sh('cat /proc/iomem').out, iomem, 'the memory map is as before')
    vm.sh('kill $(cat /run/monitor)')
    events = [line.split('=')[1] for line in vm.sh('grep KARRAY_STATE /run/events').out.splitlines()]
    t.is_(events, ['offline', 'online', 'system-ram', 'offline', 'online', 'offline', 'system-ram']
          if 'system-ram' in events[:3] else
          ['offline', 'online', 'offline', 'online', 'offline', 'system-ram'],
          'each change of state was announced')

    # As often as one likes, with a block that is offline.
    vm.sh(f'echo offline > {MEMORY}/memory35/state', timeout=120)
    for lap in range(3):
        mixed, lap_total = blocks(vm), mem_total(vm)
        t.is_(set_state(vm, 'offline')[0], 0, f'lap {lap}: taken, but not yet online')
        t.is_(state(vm), 'offline', f'lap {lap}: offline')
        t.is_(set_state(vm, 'system-ram')[0], 0, f'lap {lap}: given back')
        t.is_((blocks(vm), mem_total(vm)), (mixed, lap_total), f'lap {lap}: as it was')

    # With struct pages of its own.
    before, total = blocks(vm), mem_total(vm)
    vm.sh(f'echo 1 > {BUS}/karray0/dax')
    t.is_(set_state(vm, 'online')[0], 0, 'taken with dax')
    vm.sh('mkfs.ext4 -q /dev/karrayb0 && mount -o dax=always /dev/karrayb0 /mnt && echo kept > /mnt/file')
    t.is_(vm.sh('cat /mnt/file; umount /mnt').out, 'kept\n', 'a file system with DAX')
    t.is_((set_state(vm, 'system-ram')[0], blocks(vm), mem_total(vm)), (0, before, total),
          'and given back as it was')
    vm.sh(f'echo 0 > {BUS}/karray0/dax')

    # Ejected in each state: given back; taken and free.
    vm.unplug('hp_dimm0')
    t.is_(vm.unplug_result('hp_dimm0', 60), 'deleted', 'what was given back can be ejected')
    vanishes(vm, 'karray0')
    vm.plug('hp_dimm2', '256M')
    appears(vm, 'karray0')
    t.is_(set_state(vm, 'online')[0], 0, 'another DIMM in the same slot is taken')
    t.is_(vm.sh(f'cat {BUS}/karray0/size').out.strip(), str(256 << 20), 'with its own size')
    vm.unplug('hp_dimm2')
    t.is_(vm.unplug_result('hp_dimm2', 60), 'deleted', 'taken and free: it leaves')
    vanishes(vm, 'karray0')
    t.is_(vm.sh('ls /dev | grep karray', check=False).out, '', 'with its nodes')

    # The module goes while DIMMs are taken: they go home.
    vm.plug('hp_dimm3', '256M')
    vm.plug('hp_dimm4', '256M')
    appears(vm, 'karray1')
    onlined(vm, 4)
    before, total = blocks(vm), mem_total(vm)
    set_state(vm, 'online', 'karray0')
    set_state(vm, 'offline', 'karray1')
    t.is_((state(vm), state(vm, 'karray1'), blocks(vm)), ('online', 'offline', {}), 'two are taken')
    vm.sh('rmmod karray', timeout=120)
    t.is_((blocks(vm), mem_total(vm)), (before, total), 'unloading gives them back')
    for dimm in ('hp_dimm3', 'hp_dimm4'):
        vm.unplug(dimm)
        t.is_(vm.unplug_result(dimm, 60), 'deleted', f'{dimm} leaves after that')
    vm.sh('insmod /root/karray.ko')
    t.is_(listed(vm), [], 'loaded again: nothing left to list')

# Memory that the kernel itself is in can't be taken, and stays as it is.
with guest_test('systemram_normal', dimms=[('hp_dimm0', '512M')], memhotplug=True,
                cmdline='memhp_default_state=online_kernel', tap=t) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    vm.sh(f'for m in 33 34 35; do echo offline > {MEMORY}/memory$m/state && '
          f'echo online_movable > {MEMORY}/memory$m/state; done; true', timeout=120)
    before, total = blocks(vm), mem_total(vm)
    answer = vm.sh('karrayctl take --dry-run karray0', check=False, timeout=120)
    t.like(answer.err, r'karray0: no: memory32 is online in ZONE_NORMAL, and its page at 0x10\w+ is '
           r'unmovable \(booting with memhp_default_state=online_movable helps\)',
           'a dry run names the block, and what would help')
    t.is_(answer.rc, 1, 'and its exit status says no')
    result = vm.sh('karrayctl take karray0', check=False, timeout=180)
    t.is_(result.rc, 1, 'it can not be taken')
    t.like(result.err, r'karray0: stays System RAM: memory32 is online in ZONE_NORMAL, and its page at '
           r'0x10\w+ is unmovable \(booting with memhp_default_state=online_movable helps\)',
           'the command says why')
    t.is_((state(vm), blocks(vm), mem_total(vm)), ('system-ram', before, total),
          'all blocks are as they were')
    vm.unplug('hp_dimm0')
    t.is_(vm.unplug_result('hp_dimm0', 60)[0], 'vetoed', 'nor can it be ejected')

# Without the memory hotplug there is nothing to take.
with guest_test('systemram_none', dimms=[('hp_dimm0', '256M')], tap=t) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    rc, log = set_state(vm, 'system-ram')
    t.is_(rc, 1, 'a DIMM that never was System RAM can not be made that')
    t.like(log, 'karray0: acpi:PNP0C80:00 is not from System RAM', 'and the log says so')
    t.is_(vm.sh(f'[ -e {BUS}/karray0/takeable ]', check=False).rc, 1, 'nothing to ask')
    t.is_((set_state(vm, 'offline')[0], state(vm)), (0, 'offline'), 'offline by way of the state')
    t.is_((set_state(vm, 'online')[0], state(vm)), (0, 'online'), 'and online')
    for words, why in (('take karray0', 'karray0: is not System RAM'), ('take --dry-run karray0', 'is not System RAM'),
                       ('give-back -f karray0', 'karray0: is not from System RAM'),
                       ('give-back -f karray7', "there is no device 'karray7'")):
        result = vm.sh(f'karrayctl {words}', check=False)
        t.ok(result.rc == 1 and why in result.err, f'refused: {words}', result)
    t.is_(state(vm), 'online', 'it is what it was')

raise SystemExit(t.done())
