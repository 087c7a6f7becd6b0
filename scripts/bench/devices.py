# SPDX-License-Identifier: GPL-2.0
"""What is compared: karray in its modes, and the kernel's other RAM disks."""

import collections

from .jobs import AREA
from .results import full_name

class Device(collections.namedtuple('Device', 'device mode node setup can min_bs changes part',
                                    defaults=('', ('io', 'trim', 'files', 'cache'), 512, {}, 1))):
    """A row of the table below.

    @device, @mode: its names in the results
    @node:          what jobs are run on
    @setup:         shell commands that make it, in the guest; karray is loaded then,
                    and has karray0 and karray1
    @can:           what it does, see Job.needs
    @min_bs:        the smallest block that it takes
    @changes:       to the jobs' options
    @part:          of the I/Os that are counted, enough for one that takes long
    """

    @property
    def name(self):
        return full_name(self.device, self.mode)

    @property
    def mount(self):
        """Where its file system is."""
        return f'/mnt/{self.name}'

    def takes(self, job):
        return job.needs <= set(self.can) and job.bs >= self.min_bs

    def place(self, job):
        """What @job is run on."""
        return self.mount if job.needs & {'files', 'dax'} else self.node


DEVICES = (
    Device('karray', 'mq', '/dev/karrayb0'),
    Device('karray', 'bio', '/dev/karrayb1', '''
        cd /sys/bus/karray/devices/karray1
        echo 0 > online
        echo bio > queue_mode
        echo 1 > online'''),
    # karray0 once more, by a way that knows neither O_DIRECT nor a cache.
    Device('karray', 'chr', '/dev/karray', can=('io', 'map'), changes={'direct': 0, 'filesize': AREA}),
    Device('brd', 'bio', '/dev/ram0', f'modprobe brd rd_nr=1 rd_size={AREA >> 10}',
           can=('io', 'files', 'cache')),
    Device('pmem', 'bio', '/dev/pmem0', 'modprobe -a nfit nd_pmem', can=('io', 'files', 'cache')),
    # Another NVDIMM, as device-dax.
    Device('pmem', 'dax', '/dev/dax1.0', '''
        modprobe -a nfit nd_pmem dax_pmem device_dax
        cd /sys/bus/nd
        echo namespace1.0 > drivers/nd_pmem/unbind
        cat /proc/sys/kernel/random/uuid > devices/dax1.0/uuid
        echo ram > devices/dax1.0/mode
        echo namespace1.0 > devices/dax1.0/namespace
        echo dax1.0 > drivers/dax_pmem/bind''', can=('map',), changes={'filesize': AREA}),
    # A DIMM and an NVDIMM more, for files that are mapped.
    Device('karray', 'fsdax', '/dev/karrayb3', '''
        cd /sys/bus/karray/devices/karray3
        echo 0 > online
        echo 1 > dax
        echo 1 > online''', can=('dax',)),
    Device('pmem', 'fsdax', '/dev/pmem2', '''
        modprobe -a nfit nd_pmem
        cd /sys/bus/nd
        echo namespace2.0 > drivers/nd_pmem/unbind
        cat /proc/sys/kernel/random/uuid > devices/pfn2.0/uuid
        echo ram > devices/pfn2.0/mode
        echo namespace2.0 > devices/pfn2.0/namespace
        echo pfn2.0 > drivers/nd_pmem/bind''', can=('dax',)),
    # System RAM: for what is mapped, the limit.
    Device('memcpy', '', '/dev/shm/ram', f'''
        mkdir -p /dev/shm
        mount -t tmpfs none /dev/shm
        head -c {AREA} /dev/urandom > /dev/shm/ram''', can=('map',)),
    Device('null_blk', 'mq', '/dev/nullb0', f'''
        modprobe null_blk nr_devices=0
        mount -t configfs none /sys/kernel/config
        mkdir /sys/kernel/config/nullb/nullb0
        cd /sys/kernel/config/nullb/nullb0
        echo {AREA >> 20} > size
        echo 1 > memory_backed
        echo 1 > discard
        echo 512 > blocksize
        echo 2 > queue_mode
        echo 0 > irqmode
        nproc > submit_queues
        echo 1 > power
        echo none > /sys/block/nullb0/queue/scheduler'''),
    Device('zram', 'bio', '/dev/zram0', f'''
        modprobe zram num_devices=1
        echo {AREA} > /sys/block/zram0/disksize''', min_bs=4096, part=1 / 4),
)
