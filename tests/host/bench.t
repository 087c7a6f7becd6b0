#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The benchmark as far as it needs no guest: fio's job files, and what is made of
results, with made-up ones."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from bench import __main__ as program
from bench.devices import DEVICES
from bench.jobs import AREA, JOBS_DIR, all_jobs, in_bytes, planned, read_sections
from bench.measure import Sample, fio_command, median, read_fio, read_ram
from bench.meters import METERS
from bench.report import report
from bench.results import PEERS, Results, checks
from harness import Tap

# What an I/O takes: a karray that reaches every goal.
GOOD = {'karray-mq': 100, 'karray-bio': 80, 'karray-chr': 50, 'brd': 95, 'pmem': 110,
        'pmem-dax': 60, 'karray-fsdax': 50, 'pmem-fsdax': 50, 'null_blk': 150, 'zram': 200, 'memcpy': 10}
GOOD_WALL = {**GOOD, 'karray-mq': 11, 'karray-bio': 11, 'karray-chr': 10}
RAM = {'mq': 200 << 10, 'bio': 0}


def rows(meter, times, jobs=None):
    """Rows of all @jobs of a @meter, by the @times of the devices."""
    for job in jobs or planned(meter):
        for device in [*DEVICES, None]:
            name = device.name if device else 'memcpy'
            takes = device.takes(job) if device else 'io' in job.needs
            if name not in times or not takes:
                continue
            ns = times[name] / job.numjobs
            yield {'job': job.name, 'rw': job.rw, 'bs': job.bs, 'ioengine': job.ioengine,
                   'iodepth': job.iodepth, 'numjobs': job.numjobs,
                   'device': device.device if device else 'memcpy', 'mode': device.mode if device else '',
                   'meter': meter, 'iops': 1e9 / ns, 'mib_s': job.bs * 1e9 / ns / (1 << 20), 'ns_per_io': ns}


def facts(**more):
    meter = {'accel': 'tcg', 'cpu': 'max', 'cpus': 2, 'rounds': 3, 'spread': 0.01}
    return {'release': '6.12', 'host': 'h', 'qemu': '7.2', 'date': 'today', 'quick': False, 'seconds': 60,
            'meters': {'instructions': meter, 'wall': meter}, 'ram': RAM, 'problems': [], **more}


def verdicts(instructions=GOOD, wall=GOOD_WALL, ram=RAM):
    return checks(Results([*rows('instructions', instructions), *rows('wall', wall)]), ram)


def test_jobs(t):
    env = {**os.environ, 'KARRAY_DEV': '/dev/null', 'KARRAY_DIR': '/tmp'}
    for path in sorted(JOBS_DIR.glob('*.fio')):
        done = subprocess.run(['fio', '--parse-only', path], env=env, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        t.is_((done.returncode, done.stdout), (0, ''), f'fio parses {path.name}')
        t.ok('usage: ' in path.read_text(encoding='utf-8'), f'{path.name} tells how to use it')
        first, *others = read_sections(path).values()
        t.ok(first and all('stonewall' in section for section in others),
             f'the sections of {path.name} wait for each other')

    jobs = all_jobs()
    t.is_({job.file for meter in METERS for job in planned(meter)}, {job.file for job in jobs.values()},
          'something of every file is measured')
    for meter in METERS:
        quick = planned(meter, quick=True)
        t.ok(0 < len(quick) < len(planned(meter)), f'{meter}: a quick run does some of it')
    t.is_([job.name for job in planned('wall', patterns='trim-4k seqread-1m-*')],
          ['seqread-1m-psync', 'seqread-1m-uring-8', 'seqread-1m-uring-32', 'trim-4k'], 'patterns choose jobs')
    t.is_([in_bytes(text) for text in ('512', '4k', '1M')], [512, 4096, 1 << 20], 'sizes')

    job = jobs['randread-4k-uring-128']
    t.is_((job.rw, job.bs, job.ioengine, job.iodepth, job.numjobs, job.needs),
          ('randread', 4096, 'io_uring', 128, 1, {'io'}), 'what a job does is known')
    t.is_(jobs['ext4-fsync'].needs, {'io', 'files', 'cache'}, 'what a job needs, too')
    chr_device = next(device for device in DEVICES if device.mode == 'chr')
    text = fio_command(job, DEVICES[:3])
    t.is_(text.count('filename=/dev/karray\n'), 1, 'a section for each device')
    t.like(text, f'direct=0\n(.*\n)*filesize={AREA}', 'with what is different on it')
    t.ok(not chr_device.takes(jobs['randread-4k-buffered']), 'and none for what it can\'t do')


def test_samples(t):
    way = {'total_ios': 0, 'io_bytes': 0, 'runtime': 0}
    output = json.dumps({'jobs': [{'jobname': 'brd', 'read': {'total_ios': 10, 'io_bytes': 5120, 'runtime': 2},
                                   'write': {'total_ios': 10, 'io_bytes': 5120, 'runtime': 4}, 'trim': way}]})
    sample = read_fio(f'fio: note\n{output}')['brd']
    t.is_((sample.ios, sample.size, sample.seconds, sample.ns_per_io), (20, 10240, 0.004, 200_000),
          "fio's JSON is understood, also after a message")
    t.is_(median([Sample(1, 1, seconds) for seconds in (3, 9, 1)]).seconds, 3, 'the median of three')
    t.is_(median([Sample(1, 1, seconds) for seconds in (3, 1)]).seconds, 1, 'of two: one of them')
    t.is_(read_ram('1000 900 1000 900 9000 8900 9000'), 100 << 10,
          'System RAM: what else is freed meanwhile does not count')


def test_goals(t):
    good = verdicts()
    t.is_([check for check in good if not check.met], [], 'all goals can be reached')
    chr_cases = {check.case for check in good if check.mode == 'chr'}
    dax_cases = {check.case for check in good if check.mode == 'fsdax'}
    disk_cases = {check.case for check in good} - chr_cases - dax_cases
    t.is_({(check.case, check.mode) for check in good if check.mode not in ('chr', 'fsdax')},
          {(case, mode) for case in disk_cases for mode in ('mq', 'bio')}, 'each of the disk\'s is for both modes')
    t.is_((len(disk_cases), len(chr_cases), len(dax_cases)), (6, 4, 1),
          'six cases for the disk, four for the char device, one for DAX')

    def missed(mode, **changes):
        return {check.goal for check in verdicts(**changes) if check.mode == mode and check.met is False}

    t.is_(missed('mq', instructions={**GOOD, 'karray-mq': 140}),
          {'<= 1.20 × pmem', '<= 0.85 × null_blk', '<= 0.90 × null_blk', '< 1.00 × pmem', '<= 1.15 × brd'},
          'a slow mq misses its goals')
    t.is_(missed('mq', instructions={**GOOD, 'karray-mq': 110}), {'< 1.00 × pmem', '<= 1.15 × brd'},
          'better than pmem is not as good as pmem')
    t.is_(missed('bio', instructions={**GOOD, 'karray-bio': 96}),
          {'<= 1.00 × the best of brd, pmem', '<= 1.00 × the best peer'}, 'bio has to beat the best')
    t.is_(missed('bio', wall={**GOOD_WALL, 'karray-bio': 90}), {'>= 1.10 × the best peer', '>= 0.90 × memcpy'},
          'bandwidth: the more the better')
    t.is_(missed('chr', instructions={**GOOD, 'karray-chr': 61}, wall={**GOOD_WALL, 'karray-chr': 11}),
          {'<= 0.50 × karray-mq', '>= 0.95 × memcpy', '<= 1.00 × pmem-dax'}, 'a slow char device misses its goals')
    t.is_(missed('mq', ram={'mq': 1 << 20, 'bio': 0}), {'< 1024 KiB'}, 'System RAM: less than 1 MiB')

    # Two jobs that do what one does.
    flat = [dict(row, iops=row['iops'] / row['numjobs']) for row in rows('wall', GOOD_WALL)]
    two = [check for check in checks(Results(flat), {}) if 'Two jobs' in check.case]
    t.is_([(check.ratio, check.met, check.note) for check in two], [(1, None, 'the peers reach 1.00')] * 4,
          'two jobs: where the peers don\'t scale, nobody can tell')
    slow = [row if row['device'] != 'karray' else dict(row, iops=row['iops'] / row['numjobs'])
            for row in rows('wall', GOOD_WALL)]
    t.is_({check.met for check in checks(Results(slow), {}) if 'Two jobs' in check.case}, {False},
          'where they do, karray must')
    gone = {check for check in verdicts(instructions={name: time for name, time in GOOD.items() if name != 'karray-bio'})
            if check.met is None}
    t.is_({(check.mode, check.note) for check in gone}, {('bio', 'not measured')}, 'what is missing is not reached')


def test_report(t):
    results = Results([*rows('instructions', GOOD), *rows('wall', GOOD_WALL)])
    text = report(results, facts())
    t.ok('MISSING' not in text, 'a whole run: nothing is missing')
    for device in ('karray-mq', 'karray-bio', 'karray-chr', *PEERS, 'pmem-dax', 'memcpy'):
        t.ok(f'| {device} |' in text, f'{device} is in the report')
    t.like(text, r'\| randread-512-psync \| 0\.91 ✓ \| 0\.67 ✓ \| 0\.84 ✓ \|', 'ratios with their verdicts')
    t.like(text, r'\| randread-512-psync \| 100 \| 80 \| 50 \| 95 \| 110 \| 150 \|  \| 10 \|', 'instructions')
    for case in {check.case for check in verdicts()}:
        t.ok(case in text, f'{case}: in the report')
    t.ok('busy' not in text, 'a quiet machine: no warning')
    noisy = {name: {**meter, 'spread': 0.4} for name, meter in facts()['meters'].items()}
    t.ok('The machine was busy' in report(results, facts(meters=noisy)), 'a busy machine: a warning')
    t.like(report(results, facts(problems=['brd is missing: no such module\nmore'])),
           r'MISSING IN THIS RUN.*\n\n- brd is missing: no such module\n', 'a missing peer is named')


def test_run(t):
    """What a run writes and returns, with the measuring left out."""
    def run(out, problem=None, patterns='*'):
        def measure(meter, jobs, _devices, _kernel, run_facts, _progress):
            run_facts.update({**facts(), 'meters': {**run_facts['meters'], meter.name: facts()['meters'][meter.name]},
                              'problems': run_facts['problems'] + ([problem] if problem else [])})
            return list(rows(meter.name, GOOD if meter.name == 'instructions' else GOOD_WALL, jobs))

        real, program.measure = program.measure, measure
        words = io.StringIO()
        try:
            with contextlib.redirect_stdout(words), contextlib.redirect_stderr(words):
                status = program.run(out, patterns=patterns)
        finally:
            program.measure = real
        return status, words.getvalue()

    with tempfile.TemporaryDirectory() as where:
        out = pathlib.Path(where, 'bench')
        status, words = run(out)
        t.is_(status, 0, 'a whole run succeeds', words)
        t.is_(len(json.loads((out / 'results.json').read_text(encoding='utf-8'))),
              len([*rows('instructions', GOOD), *rows('wall', GOOD_WALL)]), 'results.json has every row')
        for name in ('instructions', 'iops', 'bandwidth'):
            t.like(xml.etree.ElementTree.parse(out / f'{name}.svg').getroot().tag, 'svg$', f'{name}.svg is one')
            t.ok(f'({name}.svg)' in (out / 'report.md').read_text(encoding='utf-8'), 'and in the report')
        status, words = run(out, 'brd is missing')
        t.is_(status, 1, 'a run without a peer fails')
        t.ok('*** brd is missing' in words, 'and says so', words)
        t.ok('brd is missing' in (out / 'report.md').read_text(encoding='utf-8'), 'in the report as well')
        status, words = run(out, patterns='nonsense')
        t.ok(status == 2 and 'nonsense' in words, 'a pattern without a job: a clear line', words)


def test_mistakes(t):
    for args, says in ((['--report', '--out', '/nonexistent'], '/nonexistent has no results.json: measure first'),
                       (['--docs', '--out', '/nonexistent'], '/nonexistent has no report.md: measure first'),
                       (['--out', '/proc/nowhere'], 'cannot write results: '),
                       (['--out', __file__], 'cannot write results: '),
                       (['--profile', 'nonsense'], 'no job is called nonsense')):
        done = subprocess.run([sys.executable, '-m', 'bench', *args], text=True, capture_output=True, check=False)
        t.ok(done.returncode == 2 and says in done.stderr and 'Traceback' not in done.stderr,
             f'{" ".join(args)}: {says}', done.stderr)


if __name__ == '__main__':
    tap = Tap()
    test_jobs(tap)
    test_samples(tap)
    test_goals(tap)
    test_report(tap)
    test_run(tap)
    test_mistakes(tap)
    sys.exit(tap.done())
