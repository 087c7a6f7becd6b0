# SPDX-License-Identifier: GPL-2.0
"""What the devices are asked to do: sections of the files in fio-jobs/.

Those are made for fio alone. Here they are read to know what each does, and to run
it with other options: a section for each device, one device after the other.
"""

import fnmatch
import re

from harness.vm import TOP

JOBS_DIR = TOP / 'fio-jobs'
AREA = 256 << 20        # of each device, as in device.inc

# Which are measured, and by which meter: 'quick' in every run, 'full' not in a quick
# one. The first pattern that fits a job counts. This is also their order.
PLAN = (
    # job                       instructions  wall
    ('randrw-4k-uring-128',     None,         None),
    ('randrw-4k-*',             'full',       'full'),
    ('randrw-512-psync',        'full',       None),
    ('randrw-64k-psync',        None,         'full'),
    ('randrw-*',                None,         None),
    ('rand*-4k-jobs-2',         None,         'quick'),
    ('rand*-4k-buffered',       'full',       'full'),
    ('rand*-4k-psync',          'quick',      'quick'),
    ('rand*-4k-uring-32',       'quick',      'full'),
    ('rand*-4k-uring-128',      'full',       'full'),
    ('rand*-512-*',             'quick',      'full'),
    ('rand*-64k-uring-128',     None,         None),
    ('rand*-64k-*',             None,         'full'),
    ('seq*-psync',              None,         'quick'),
    ('seq*',                    None,         'full'),
    ('trim-*',                  None,         'full'),
    ('mmap-fault-*',            'quick',      None),
    ('mmap-*',                  None,         'full'),
    ('ext4-*',                  None,         'full'),
    ('dax-*',                   'full',       'full'),
)


def in_bytes(text):
    """What fio understands by a size such as 4k."""
    number, suffix = re.fullmatch(r'(\d+)([kmg]?)', text.lower()).groups()
    return int(number) << {'': 0, 'k': 10, 'm': 20, 'g': 30}[suffix]


def read_options(path):
    """The (section, option, value) of each line of a job file."""
    section = None
    for line in path.read_text(encoding='utf-8').splitlines():
        line = line.split(';')[0].strip()
        if line.startswith('['):
            section = line.strip('[]')
            yield section, None, None
        elif line.startswith('include '):
            for _, option, value in read_options(path.parent / line.split()[1]):
                yield section, option, value
        elif line:
            option, equals, value = line.partition('=')
            yield section, option, value if equals else None


def read_sections(path):
    """The sections of a job file: names, with all that holds for them."""
    sections = {}
    for section, option, value in read_options(path):
        options = sections.setdefault(section, {})
        if option:
            options[option] = value
    common = sections.pop('global', {})
    return {name: {**common, **options} for name, options in sections.items()}


class Job:
    """A section of a job file, by the name FILE-SECTION."""

    def __init__(self, file, section, options):
        self.file = file
        self.name = f'{file}-{section}'
        self.options = options
        self.rw = options.get('rw', 'write')
        self.bs = in_bytes(options.get('bs', '4k'))
        self.ioengine = options['ioengine']
        self.iodepth = int(options.get('iodepth', 1))
        self.numjobs = int(options.get('numjobs', 1))
        self.direct = options.get('direct') == '1'

    @property
    def needs(self):
        """What a device must be able to do."""
        if self.file == 'dax':
            return {'dax'}
        if self.ioengine == 'mmap':
            return {'map'}
        return {need for need, true in (('io', True), ('trim', 'trim' in self.rw),
                                        ('files', 'directory' in self.options),
                                        ('cache', not self.direct)) if true}

    def section(self, name, place, **changes):
        """A section @name for fio: the job at @place, a device's node or a directory,
        with some options changed."""
        lines = [f'[{name}]']
        for option, value in {**self.options, 'stonewall': None, **changes}.items():
            value = re.sub(r'\${KARRAY_\w+}', place, str(value)) if value is not None else None
            lines.append(option if value is None else f'{option}={value}')
        return '\n'.join(lines) + '\n'


# Not by fio: touches memory that is mapped, a byte in every 2 MiB, as tests/guest/fault.c
# does it.
FAULT = Job('mmap-fault', '2m', {'rw': 'read', 'bs': '2m', 'ioengine': 'mmap'})


def all_jobs():
    """All jobs by name. verify.fio is a test, and not measured."""
    jobs = (Job(path.stem, section, options)
            for path in sorted(JOBS_DIR.glob('*.fio')) if path.stem != 'verify'
            for section, options in read_sections(path).items())
    return {job.name: job for job in [*jobs, FAULT]}


def planned(meter, quick=False, patterns='*'):
    """The jobs that @meter measures, in their order, as far as one of @patterns fits."""
    column = ('instructions', 'wall').index(meter)
    left, jobs = all_jobs(), []
    for names, *when in PLAN:
        for name in fnmatch.filter(list(left), names):
            job = left.pop(name)
            if when[column] in (('quick',) if quick else ('quick', 'full')):
                jobs.append(job)
    return [job for job in jobs
            if any(fnmatch.fnmatchcase(job.name, pattern) for pattern in patterns.split())]
