# SPDX-License-Identifier: GPL-2.0
"""What the results amount to: how karray compares, and what it wants to reach."""

import collections
import operator
import re

MODES = ('mq', 'bio')           # of karray's disk
PEERS = ('brd', 'pmem', 'null_blk', 'zram')


def full_name(device, mode):
    """What a device is called: by its mode as well, where there are several."""
    return f'{device}-{mode}' if device == 'karray' or 'dax' in mode else device


class Results:
    """The rows, to be asked for by name. What was not measured is None."""

    def __init__(self, rows):
        self.rows = rows
        self._index = {(row['job'], row['meter'], self.name(row)): row for row in rows}

    @staticmethod
    def name(row):
        return full_name(row['device'], row['mode'])

    def jobs(self, meter, regex=''):
        return list(dict.fromkeys(row['job'] for row in self.rows
                                  if row['meter'] == meter and re.match(f'{regex}$' if regex else '', row['job'])))

    def devices(self, meter):
        return list(dict.fromkeys(self.name(row) for row in self.rows if row['meter'] == meter))

    def row(self, job, meter, device):
        return self._index.get((job, meter, device))

    def ns(self, job, meter, device):
        row = self.row(job, meter, device)
        return row and row['ns_per_io']

    def best(self, job, meter, devices=PEERS):
        """The least time that one of @devices needs for an I/O."""
        times = [self.ns(job, meter, device) for device in devices]
        return min((time for time in times if time), default=None)


def ratio(a, b):
    return a / b if a and b else None


# What karray wants to reach -----------------------------------------

# sign:    of what is wanted: karray's time for an I/O <= or < factor x the time of the
#          best of devices, or its bandwidth >= factor x theirs
Goal = collections.namedtuple('Goal', 'sign factor devices')
Case = collections.namedtuple('Case', 'title meter jobs goals')

CASES = (
    Case('512 B random read and write, psync depth 1', 'instructions',
         'rand(read|write)-512-psync',
         {'mq': [Goal('<=', 1.20, ['pmem']), Goal('<=', 0.85, ['null_blk'])],
          'bio': [Goal('<=', 1.00, ['brd', 'pmem'])]}),
    Case('512 B random read and write, io_uring depth 32 and 128', 'instructions',
         'rand(read|write)-512-uring-(32|128)',
         {'mq': [Goal('<', 1.00, ['pmem']), Goal('<=', 1.15, ['brd'])],
          'bio': [Goal('<=', 1.00, PEERS)]}),
    Case('4 KiB random, psync and io_uring', 'instructions',
         'rand(read|write)-4k-(psync|uring-32|uring-128)',
         {'mq': [Goal('<=', 1.20, ['pmem']), Goal('<=', 0.90, ['null_blk'])],
          'bio': [Goal('<=', 1.00, ['pmem'])]}),
    Case('128 KiB and 1 MiB sequential, bandwidth', 'wall',
         'seq(read|write)-(128k|1m)-(psync|uring-8|uring-32)',
         {mode: [Goal('>=', 1.1, PEERS), Goal('>=', 0.9, ['memcpy'])] for mode in MODES}),
    Case('The char device: 512 B, psync depth 1', 'instructions', 'rand(read|write)-512-psync',
         {'chr': [Goal('<=', 0.5, ['karray-mq'])]}),
    Case('The char device: 1 MiB sequential, bandwidth', 'wall', 'seq(read|write)-1m-psync',
         {'chr': [Goal('>=', 0.95, ['memcpy'])]}),
    Case('The char device mapped: sequential read, bandwidth', 'wall', 'mmap-read-1m',
         {'chr': [Goal('>=', 0.95, ['memcpy'])]}),
    Case('The char device mapped: a page fault for 2 MiB', 'instructions', 'mmap-fault-2m',
         {'chr': [Goal('<=', 1.0, ['pmem-dax'])]}),
    Case('Files by DAX', 'instructions', 'dax-.*', {'fsdax': [Goal('<=', 1.03, ['pmem-fsdax'])]}),
)

TWO_JOBS = 1.9                  # times the IOPS of one
RAM = 1 << 20                   # bytes, that a 2 GiB disk may take

# A goal, and what became of it. @met is None where that can't be told, and @note
# tells why.
Check = collections.namedtuple('Check', 'case job mode goal ratio met note', defaults=('',))


def is_met(sign, value, limit):
    compare = {'<': operator.lt, '<=': operator.le, '>=': operator.ge}[sign]
    return None if value is None else compare(value, limit)


def describe(goal):
    if list(goal.devices) == list(PEERS):
        devices = 'the best peer'
    elif len(goal.devices) > 1:
        devices = 'the best of ' + ', '.join(goal.devices)
    else:
        devices = goal.devices[0]
    return f'{goal.sign} {goal.factor:.2f} × {devices}'


def compare(results):
    """The checks of CASES, as far as their jobs were run."""
    for case in CASES:
        for job in results.jobs(case.meter, case.jobs):
            for mode, goals in case.goals.items():
                for goal in goals:
                    ours = results.ns(job, case.meter, f'karray-{mode}')
                    theirs = results.best(job, case.meter, goal.devices)
                    if goal.sign == '>=':       # bandwidth, which is the less the more time it takes
                        ours, theirs = theirs, ours
                    got = ratio(ours, theirs)
                    yield Check(case.title, job, mode, describe(goal), got,
                                is_met(goal.sign, got, goal.factor), '' if got else 'not measured')


def gain(results, job, device):
    """How many times one job's IOPS two jobs have."""
    one, two = (results.row(job.replace('-jobs-2', how), 'wall', device) for how in ('-psync', '-jobs-2'))
    return ratio(two and two['iops'], one and one['iops'])


def compare_two_jobs(results):
    """Two CPUs should do twice as much as one, if that can be had at all."""
    for job in results.jobs('wall', '.*-4k-jobs-2'):
        peers = max((gain(results, job, peer) or 0 for peer in PEERS), default=0)
        for mode in MODES:
            ours = gain(results, job, f'karray-{mode}')
            met, note = is_met('>=', ours, TWO_JOBS), '' if ours else 'not measured'
            if met is False and peers < TWO_JOBS:
                met, note = None, f'the peers reach {peers:.2f}'
            yield Check('Two jobs on two CPUs, 4 KiB random', job, mode,
                        f'>= {TWO_JOBS:.2f} × one job', ours, met, note)


def compare_ram(ram):
    for mode, size in ram.items():
        yield Check('System RAM of an online 2 GiB disk', 'KiB', mode, f'< {RAM >> 10} KiB',
                    size / 1024, size < RAM)


def checks(results, ram):
    return [*compare(results), *compare_two_jobs(results), *compare_ram(ram)]
