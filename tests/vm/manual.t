#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The manual pages' examples, as their sources have them: all of them work, and each command
of karrayctl has one."""

import pathlib
import re

from harness import BUS, guest_test, start_udev

MAN = pathlib.Path(__file__).resolve().parents[2] / 'man'
GLYPHS = {'-': '-', 'e': '\\', '(aq': "'", '(dq': '"'}
DIMM = 256 << 20

# What the examples of each command say.
SAYS = {
    'apply': r'karray0: take queue_mode=bio\n(.|\n)*1 device as configured',
    'badblocks': r'karray0 +1048576 +4096\n',
    'checksum': r'(\w{8})\n(.|\n)*\1\n',
    'create': r'^karray1\n',
    'delete': '1 device deleted',
    'eject': '1 device ejected',
    'give-back': '1 device given back',
    'info': r'\nserial +140000000-0x00\n',
    'list': f'^{DIMM}\n$',
    'offline': '1 device offline',
    'online': '1 device online',
    'set': '1 device set',
    'take': 'could be taken(.|\n)*1 device taken',
    'zero': '1 device zeroed',
}


def sources(page):
    """What stands between .EX and .EE."""
    return re.findall(r'(?ms)^\.EX$\n(.*?)^\.EE$', (MAN / page).read_text(encoding='utf-8'))


def examples(page):
    """The same as people see it."""
    return [re.sub(r'\\(\(..|.)', lambda glyph: GLYPHS[glyph[1]], block) for block in sources(page)]


def verbs_of(block):
    return re.findall(r'(?m)^karrayctl ([a-z-]+)', block)


def documented():
    """The commands that karrayctl(8) tells of."""
    commands = re.search(r'(?ms)^\.SH COMMANDS$(.*?)^\.SH', (MAN / 'karrayctl.8').read_text(encoding='utf-8'))[1]
    return {verb.replace('\\', '') for verb in re.findall(r'(?m)^\.T[PQ]\n\.BR "?([a-z\\-]+)', commands)}


with guest_test(dimms=[('dimm0', f'{DIMM >> 20}M')], memhotplug=True, mem='3G',
                cmdline='memhp_default_state=online_movable memmap=1G$4G') as (t, vm):
    start_udev(vm)
    vm.sh('/root/install_karray.sh')

    def run(block):
        done = vm.sh(f'set -e; {block}', check=False, timeout=120)
        t.is_(done.rc, 0, '; '.join(block.splitlines()), done)
        return done

    def settings(name):
        return vm.sh(f'cat {BUS}/*/{name}').out.split()

    for page in sorted(MAN.iterdir()):
        blocks = sources(page.name)
        t.ok(blocks and not re.search(r'(?<!\\)-', ''.join(blocks)),
             f"{page.name}: has examples, and no hyphen there where a shell wants a minus")

    load, *use = examples('karray.4')
    run(load)
    t.is_((settings('state'), settings('logical_block_size')), (['system-ram', 'online'], ['4096'] * 2),
          'a DIMM and a range, with that setting')

    policy, *apply = examples('karray.conf.5')
    vm.sh(f"cat > /etc/karray.conf <<'EOF'\n{policy}EOF")
    t.is_(''.join(run(block).out for block in apply),
          'karray0: take queue_mode=bio\nkarray1: online dax=1\n', 'what would be done')
    t.is_((settings('state'), settings('queue_mode'), settings('dax')),
          (['online'] * 2, ['bio', 'mq'], ['0', '1']), 'it is done')

    t.like(''.join(run(block).out for block in use), 'hello$', 'the bytes are there')
    t.like(vm.sh('grep /mnt /proc/mounts').out, '^/dev/karrayb0 /mnt ext4 ', 'so is the file system')

    # From the beginning again.
    vm.sh('umount /mnt; rmmod karray; insmod /root/karray.ko')
    blocks = examples('karrayctl.8')
    told = {verb for block in blocks for verb in verbs_of(block)}
    known = set(re.findall(r'(?m)^  (\S+)  ', vm.sh('karrayctl --help').out))
    t.is_(documented(), known, 'karrayctl(8) has the commands that there are')
    t.is_(told, known, 'and an example of each')
    watching = None
    for block in blocks:
        if 'monitor' in verbs_of(block):
            watching = vm.spawn(block)
            vm.wait('pidof karrayctl')
            vm.idle(1)
            continue
        done = run(block)
        for verb in dict.fromkeys(verbs_of(block)):
            t.like(done.out + done.err, SAYS[verb], f'{verb} says what it has done')
    t.is_(vm.sh(f'ls {BUS}').out, '', 'nothing is left')
    vm.sh('kill -INT $(pidof karrayctl)')
    seen = watching.wait()
    t.is_(seen.rc, 0, 'monitor ends when it is interrupted', seen)
    for event in ('change +karray0 +online', 'add +karray1', 'remove +karray0'):
        t.like(seen.out, event, 'it has shown what happened')
