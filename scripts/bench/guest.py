# SPDX-License-Identifier: GPL-2.0
"""The guest that has all devices, and measures.

While it measures, nobody talks to it: its answers would count as well. It writes
what it has to say into a file on the host.
"""

import itertools
import os
import re
import time

from harness import VM, GuestError, VMTimeout

from .jobs import AREA

PORT = 'karray.bench'


class Guest(VM):
    """A VM with memory for all devices, and for a @meter."""

    def __init__(self, name, meter, **vm_args):
        area = f'{AREA >> 20}M'
        super().__init__(
            name, mem='2G', smp=meter.cpus, accel=meter.accel, parallel=True,
            cmdline='nokaslr norandmaps',   # the same addresses every time
            dimms=[('hp_dimm0', area), ('hp_dimm1', area), ('hp_dimm2', '2G'), ('hp_dimm3', '128M')],
            qemu_args=['-machine', 'nvdimm=on',
                       # All of a size, since QEMU puts them in an order of its own; DAX keeps
                       # some of that for itself.
                       *itertools.chain.from_iterable(
                           ('-object', f'memory-backend-ram,id=nvmem{i},size={(AREA >> 20) + 128}M',
                            '-device', f'nvdimm,id=nvdimm{i},memdev=nvmem{i}') for i in range(3)),
                       '-chardev', 'file,id=bench,path=bench.log',
                       '-device', f'virtserialport,chardev=bench,name={PORT}',
                       *meter.qemu_args],
            **vm_args)
        if self.accel.startswith('tcg'):
            # An emulated rep movsb copies byte by byte.
            self.cpu = 'max,-erms'
        self._runs = 0

    def prepare(self):
        """Boot, and load karray."""
        self.start()
        self.sh(f'/root/with_port.sh {PORT} true')
        self.sh('insmod /root/karray.ko')
        self.sh('echo 0 > /sys/bus/karray/devices/karray2/online')

    def set_up(self, device):
        """Make a device. Returns what is wrong if it can't be had."""
        try:
            self.sh(f'set -e\n{device.setup}')
            self.wait(f'test -e {device.node}', what=f'{device.node} is there')
        except (GuestError, VMTimeout) as error:
            return str(error).strip()
        return ''

    def run(self, commands, timeout=600):
        """Run shell commands one after the other, undisturbed; return their outputs.
        If one fails, that is an exception."""
        self._runs += 1
        script = ''.join(f'({command}\n) 2>&1; echo "\n@{self._runs} $?"\n' for command in commands)
        mark = re.compile(rf'\n@{self._runs} (\d+)\n')
        deadline = time.monotonic() + timeout
        with open(self.dir / 'bench.log', encoding='utf-8', errors='replace') as log:
            log.seek(0, os.SEEK_END)
            job = self.spawn(f'exec >/dev/virtio-ports/{PORT}\n{script}')
            text = ''
            while len(mark.findall(text)) < len(commands):
                if time.monotonic() > deadline:
                    raise VMTimeout(f'after {timeout} s, still running in the guest: {script}\n{text}')
                self.idle(0.02)
                text += log.read()
        job.wait()
        parts = mark.split(text)
        for command, output, status in zip(commands, parts[::2], parts[1::2]):
            if status != '0':
                raise GuestError(f'guest# {command}\nexit status {status}\n{output}')
        return parts[:-1:2]
