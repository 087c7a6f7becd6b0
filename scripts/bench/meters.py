# SPDX-License-Identifier: GPL-2.0
"""What is measured with."""

import collections

from .jobs import in_bytes

# name:      as in the results
# accel:     QEMU's accelerator; None for the fastest that works here
# cpus:      of the guest
# qemu_args: more for QEMU
# rounds:    how often each device has its turn at a job
# seconds:   rounds beyond the third begin only if they should end within that
# turn:      seconds that it takes all devices to have a turn, roughly
# limit:     a function: the options that make a Job as long as it should be on a Device
Meter = collections.namedtuple('Meter', 'name accel cpus qemu_args rounds seconds turn limit')


MOST_BYTES = 1 << 30    # where blocks are so large that fewer will do


def by_count(ios):
    """So many I/Os that a millisecond, in which fio tells the time, is little."""
    def limit(job, device):
        return {'io_size': min(int(ios * device.part) * job.bs, MOST_BYTES)}
    return limit


def by_time(milliseconds):
    """What goes through a cache is done only when all has been written back, so it
    can't be stopped by the clock."""
    def limit(job, _device):
        if not job.direct:
            return {'io_size': min(8192 * job.bs, in_bytes(job.options['size']))}
        return {'runtime': f'{milliseconds}ms', 'time_based': 1}
    return limit


def meters(ios, rounds):
    """With icount the guest's clock counts instructions, one a nanosecond. Figures
    repeat, so that one round is enough."""
    return {meter.name: meter for meter in (
        Meter('instructions', 'tcg,thread=single', 1, ['-icount', 'shift=0', '-seed', '1'],
              1, 0, 12, by_count(ios)),
        Meter('wall', None, 2, [], rounds, 600, 4, by_time(200)))}


METERS = meters(ios=98304, rounds=5)
QUICK_METERS = meters(ios=65536, rounds=3)
