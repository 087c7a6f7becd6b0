# SPDX-License-Identifier: GPL-2.0
"""The measuring: devices take turns at a job, and memcpy shows the limit."""

import collections
import json
import re
import statistics
import time

from harness import GuestError

from .jobs import AREA, FAULT, Job
from .results import MODES

MIN_ROUNDS = 3
FAULT_LAPS = 100        # how often the area is mapped anew

FILL = Job('fill', 'area', {'rw': 'write', 'bs': '1m', 'filename': '${KARRAY_DEV}', 'direct': '1',
                            'size': str(AREA), 'ioengine': 'psync'})


class Sample:
    """What was done at a time: so many I/Os and bytes in so many seconds."""

    def __init__(self, ios, size, seconds):
        self.ios, self.size, self.seconds = ios, size, seconds
        self.ns_per_io = seconds * 1e9 / ios


def median(samples):
    """The sample in the middle, or the better one of two."""
    return sorted(samples, key=lambda sample: sample.ns_per_io)[(len(samples) - 1) // 2]


# fio and memcpy ------------------------------------------------------------

def fio_command(job, devices, limit=lambda job, device: {}):
    """The shell command that has each of @devices do @job, one after the other, with the
    options that limit(job, device) tells."""
    sections = ''.join(job.section(device.name, device.place(job),
                                   **{**limit(job, device), **device.changes})
                       for device in devices)
    return f"fio --output-format=json - <<'END'\n[global]\ndisk_util=0\n{sections}END"


def read_fio(output):
    """What each section has done, by fio's JSON; other messages may come before."""
    samples = {}
    for job in json.loads(output[re.search('^{', output, re.MULTILINE).start():])['jobs']:
        ways = [job[way] for way in ('read', 'write', 'trim')]
        milliseconds = max(1, *(way['runtime'] for way in ways))
        samples[job['jobname']] = Sample(sum(way['total_ios'] for way in ways),
                                         sum(way['io_bytes'] for way in ways), milliseconds / 1e3)
    return samples


def memcpy_command(job, start):
    """The shell command that copies as @job does, from or to the area at @start."""
    return f'''
        insmod /root/karray_memcpy.ko start={start} size={AREA} bs={job.bs} \\
            write={int('write' in job.rw)} random={int('rand' in job.rw)} \\
            depth={job.iodepth} jobs={job.numjobs}
        cat /sys/module/karray_memcpy/parameters/ns
        rmmod karray_memcpy'''


def read_memcpy(output, job):
    ios = AREA // job.bs * job.numjobs
    return Sample(ios, ios * job.bs, int(output) / 1e9)


def fault_command(devices, laps=FAULT_LAPS):
    """The shell command that has each of @devices mapped and touched again and again."""
    return '\n'.join(f'echo {device.name} $(/root/fault {device.node} {AREA} {laps})'
                     for device in devices)


def read_faults(output):
    samples = {}
    for name, ns in map(str.split, output.split('\n')[:-1]):
        ios = AREA // FAULT.bs * FAULT_LAPS
        samples[name] = Sample(ios, ios * FAULT.bs, int(ns) / 1e9)
    return samples


# System RAM ----------------------------------------------------------------

# Prints the free System RAM in KiB when karray2, 2 GiB, is offline, online, offline,
# ..., offline, with nothing left in caches and on the CPUs' lists of free pages. Before
# that it is online once for what is allocated the first time and stays.
RAM_SCRIPT = '''
    free() {{
        echo 3 > /proc/sys/vm/drop_caches
        echo 1 > /proc/sys/vm/compact_memory
        awk '/^MemFree:/ {{ print $2 }}' /proc/meminfo
    }}
    cd /sys/bus/karray/devices/karray2
    echo {mode} > queue_mode
    echo 1 > online
    echo 0 > online
    free
    for i in $(seq 8); do
        echo 1 > online
        free
        echo 0 > online
        free
    done'''


def read_ram(output):
    """Bytes that the online disk takes: each time online against the times offline
    before and after. The median, since the kernel now and then frees something else."""
    free = [int(word) << 10 for word in output.split()]
    return statistics.median((free[i - 1] + free[i + 1]) / 2 - free[i] for i in range(1, len(free), 2))


# All together --------------------------------------------------------------

SETUP = 20      # seconds from a guest's start until all is ready, roughly


def rounds(meter, jobs):
    """How many rounds of @jobs there are at most: few where each costs a lot besides."""
    costly = any(job.needs & {'trim', 'files'} for job in jobs)
    return min(meter.rounds, MIN_ROUNDS) if costly else meter.rounds


def expected(meter, jobs):
    """The seconds that @jobs should take."""
    return SETUP + sum(meter.turn * rounds(meter, [job]) for job in jobs)


class Bench:
    """Measures in a @guest by a @meter, on those of @devices that can be had there.
    @say is called with a line of text for what is done, and the seconds that it should
    have taken."""

    def __init__(self, guest, meter, devices, say):
        self.guest, self.meter, self.say = guest, meter, say
        self.devices = []
        self.problems = []                              # lines of text
        self.failed = []                                # jobs
        self.rounds = 0                                 # the most that a job had
        self.samples = collections.defaultdict(list)    # (job, device): one a round
        guest.prepare()
        # First of all, while there is nothing in memory that would take time to move.
        self.ram = self.measure_ram() if meter.cpus > 1 else {}
        for device in devices:
            problem = guest.set_up(device)
            if problem:
                self.complain(f'{device.name} is missing: {problem}')
            else:
                self.devices.append(device)
        self.spare = guest.sh('cat /sys/bus/karray/devices/karray2/phys_addr').out.strip()
        self.fill([device for device in self.devices if 'io' in device.can])
        say('ready: ' + ', '.join(device.name for device in self.devices), SETUP)

    def complain(self, problem):
        self.problems.append(problem)
        self.say(f'*** {problem}')

    def measure_ram(self):
        """For each of karray's modes, the bytes of System RAM that a disk takes."""
        try:
            outputs = self.guest.run([RAM_SCRIPT.format(mode=mode) for mode in MODES])
        except GuestError as error:
            self.complain(f'System RAM was not measured: {error}')
            return {}
        return dict(zip(MODES, map(read_ram, outputs)))

    def fill(self, devices):
        """Write devices in full: some take memory for a block only when that is
        written for the first time."""
        self.guest.run([fio_command(FILL, devices)])

    def mount(self, devices):
        """File systems of a size that give no blocks back, and leave nothing to do for later."""
        self.fill(devices)
        for device in devices:
            self.guest.sh('mkfs.ext4 -q -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 '
                          f'{device.node} {AREA >> 20}M && mkdir -p {device.mount} && '
                          f'mount {device.node} {device.mount}')

    def mount_dax(self, devices):
        """File systems that map, with a file at multiples of 2 MiB that is written."""
        for device in devices:
            self.guest.sh(f'mkfs.ext4 -q -b 4096 -E nodiscard,lazy_itable_init=0,lazy_journal_init=0,stride=512,'
                          f'stripe_width=512 {device.node} 96M && mkdir -p {device.mount} && '
                          f'mount -o dax=always {device.node} {device.mount} && '
                          f'fallocate -l 64M {device.mount}/dax && '
                          f'dd if=/dev/zero of={device.mount}/dax bs=1M count=64 conv=notrunc 2>/dev/null')

    def take_turns(self, job):
        """Have each device do @job, and say how that went."""
        devices = [device for device in self.devices if device.takes(job)]
        if 'trim' in job.needs:
            self.fill(devices)
        if job is FAULT:
            samples = read_faults(*self.guest.run([fault_command(devices)]))
        else:
            samples = self.run_fio(job, devices)
        for name, sample in samples.items():
            self.samples[job.name, name].append(sample)
        self.say('  '.join([f'{job.name:22}', *(f'{name} {sample.ns_per_io:.0f}'
                                                for name, sample in samples.items())]),
                 self.meter.turn)

    def run_fio(self, job, devices):
        """Have fio do @job on each of @devices, and memcpy what comes nearest to it."""
        commands = [fio_command(job, devices, self.meter.limit)]
        if job.needs == {'io'}:
            commands.append(memcpy_command(job, self.spare))
        fio, *memcpy = self.guest.run(commands)
        samples = read_fio(fio)
        if memcpy:
            samples['memcpy'] = read_memcpy(*memcpy, job)
        return samples

    def play(self, jobs):
        """Rounds of all @jobs, so that a noisy neighbour spoils a round and not a job.
        Those beyond the third take place if there is time."""
        begin = time.monotonic()
        for done in range(rounds(self.meter, jobs)):
            spent = time.monotonic() - begin
            if done >= MIN_ROUNDS and spent * (done + 1) / done > self.meter.seconds:
                break
            for job in jobs:
                if job in self.failed:
                    continue
                try:
                    self.take_turns(job)
                except GuestError as error:
                    self.complain(f'{job.name} failed: {error}')
                    self.failed.append(job)
            self.rounds = max(self.rounds, done + 1)

    def measure(self, jobs):
        """Measure all @jobs: first what leaves the devices as they are, then what takes
        blocks from them, and last what needs file systems on them."""
        def those(need):
            return [job for job in jobs if need in job.needs]

        self.play([job for job in jobs if job not in those('trim') + those('files') + those('dax')])
        self.play(those('trim'))
        if those('files'):
            self.mount([device for device in self.devices if 'files' in device.can])
            self.play(those('files'))
        if those('dax'):
            self.mount_dax([device for device in self.devices if 'dax' in device.can])
            self.play(those('dax'))

    def rows(self, jobs):
        """The results: what each device did in its middle round."""
        names = {device.name: (device.device, device.mode) for device in self.devices}
        names['memcpy'] = 'memcpy', ''
        for job in jobs:
            for name, (device, mode) in names.items():
                if not self.samples[job.name, name]:
                    continue
                sample = median(self.samples[job.name, name])
                yield {'job': job.name, 'rw': job.rw, 'bs': job.bs, 'ioengine': job.ioengine,
                       'iodepth': job.iodepth, 'numjobs': job.numjobs,
                       'device': device, 'mode': mode, 'meter': self.meter.name,
                       'iops': round(sample.ios / sample.seconds, 1),
                       'mib_s': round(sample.size / sample.seconds / (1 << 20), 3),
                       'ns_per_io': round(sample.ns_per_io, 1)}

    def spread(self):
        """How far apart the rounds of a job on a device typically are, as a part of the
        whole: the half of them in the middle."""
        spreads = []
        for samples in self.samples.values():
            if len(samples) >= MIN_ROUNDS:
                low, middle, high = statistics.quantiles(s.ns_per_io for s in samples)
                spreads.append((high - low) / middle)
        return statistics.median(spreads) if spreads else 0

