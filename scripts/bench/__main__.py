# SPDX-License-Identifier: GPL-2.0
"""The benchmark's program, see bench.sh."""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

from harness import console_problems
from harness.vm import BUILD

from .devices import DEVICES
from .guest import Guest
from .jobs import all_jobs, planned
from .measure import Bench, expected
from .meters import METERS, QUICK_METERS
from .plots import plot
from .profile import profile
from .report import publish, report
from .results import Results, checks


class Progress:
    """Lines with a clock, for what should take so many @seconds."""

    def __init__(self, seconds):
        self.whole, self.done = seconds, 0
        self.begin = time.monotonic()

    def seconds(self):
        return time.monotonic() - self.begin

    def say(self, text, done=0):
        """Print a line. What should have taken @done seconds is done with it."""
        def clock(seconds):
            return f'{int(seconds) // 60:2}:{int(seconds) % 60:02}'

        self.done += done
        slower = self.seconds() / self.done if self.done else 1
        print(f'[{clock(self.seconds())} of about {clock(self.whole * slower)}] {text}', flush=True)


def host():
    """The host's processor."""
    cpuinfo = pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8')
    model = re.search(r'^model name\s*: (.*)', cpuinfo, re.MULTILINE)
    return f'{os.cpu_count()} CPUs, {model[1] if model else "unknown"}'


def qemu_version():
    words = subprocess.run(['qemu-system-x86_64', '--version'], text=True, check=True,
                           capture_output=True).stdout
    return re.search(r'version (\S+)', words)[1]


def measure(meter, jobs, devices, kernel, facts, progress):
    """The rows of a meter; what else is known of its run is put into @facts."""
    guest = Guest(f'bench-{meter.name}', meter, kernel=kernel)
    try:
        progress.say(f'{meter.name}: booting a guest, writing all devices in full')
        bench = Bench(guest, meter, devices, progress.say)
        bench.measure(jobs)
        facts['ram'].update(bench.ram)
        facts['release'] = guest.sh('uname -r').out.strip()
        guest.poweroff()
        if problems := console_problems(guest.console()):
            bench.complain('the console log has: ' + '\n'.join(problems))
        facts['problems'] += bench.problems
        facts['meters'][meter.name] = {
            'accel': ' '.join([guest.accel, *meter.qemu_args]), 'cpu': guest.cpu, 'cpus': meter.cpus,
            'rounds': bench.rounds, 'spread': bench.spread()}
        return list(bench.rows(jobs))
    finally:
        guest.close()


def write_report(out, rows, facts):
    """report.md and the plots; return the sentence that sums it up."""
    results = Results(rows)
    (out / 'report.md').write_text(report(results, facts), encoding='utf-8')
    plot(results, out)
    met = [check.met for check in checks(results, facts['ram'])]
    return f'{met.count(True)} of {len(met)} goals are reached'


def run(out, kernel=None, meters=tuple(METERS.values()), devices=DEVICES, quick=False, patterns='*'):
    """Measure, and write all that there is to write into the directory @out. Returns
    the exit status."""
    plan = [(meter, planned(meter.name, quick, patterns)) for meter in meters]
    plan = [(meter, jobs) for meter, jobs in plan if jobs]
    if not plan:
        print(f'no job is called {patterns}: they are FILE-SECTION of fio-jobs/FILE.fio', file=sys.stderr)
        return 2

    progress = Progress(sum(expected(meter, jobs) for meter, jobs in plan))
    facts = {'date': time.strftime('%Y-%m-%d'), 'host': host(), 'qemu': qemu_version(), 'quick': quick,
             'meters': {}, 'ram': {}, 'problems': []}
    rows = []
    for meter, jobs in plan:
        rows += measure(meter, jobs, devices, kernel, facts, progress)
    facts['seconds'] = progress.seconds()

    out.mkdir(parents=True, exist_ok=True)
    (out / 'results.json').write_text(json.dumps(rows, indent=1) + '\n', encoding='utf-8')
    (out / 'run.json').write_text(json.dumps(facts, indent=1) + '\n', encoding='utf-8')
    summary = write_report(out, rows, facts)
    for problem in facts['problems']:
        print(f'*** {problem}', flush=True)
    print(f'{summary}; see {os.path.relpath(out)}/report.md')
    return 1 if facts['problems'] else 0


def main():
    parser = argparse.ArgumentParser(prog='bench.sh', description=(
        'karray against the kernel\'s other RAM disks, in one guest. KERNEL=6.1 or 6.12 in the '
        'environment chooses its kernel.'))
    parser.add_argument('--check', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument('--quick', action='store_true', help='fewer jobs and rounds, under 4 minutes')
    parser.add_argument('--jobs', metavar='PATTERNS', default='*',
                        help='only jobs of such names, like "randread-512-* seq*"; '
                             'they are FILE-SECTION of fio-jobs/FILE.fio')
    parser.add_argument('--meter', choices=METERS, help='only what this measures')
    parser.add_argument('--out', metavar='DIR', type=lambda text: pathlib.Path(text).resolve(),
                        default=BUILD / 'bench',
                        help='where results.json, report.md and the plots go (default: build/bench)')
    parser.add_argument('--profile', metavar='JOB',
                        help='where the instructions of this job go, by function of the kernel')
    parser.add_argument('--report', action='store_true',
                        help='measure nothing: report and plots once more, from the results in DIR')
    parser.add_argument('--docs', action='store_true',
                        help='measure nothing: the report and plots in DIR become those of docs/performance.md')
    args = parser.parse_args()

    if args.report or args.docs:
        needed = ('results.json', 'run.json') if args.report else ('report.md',)
        missing = [name for name in needed if not (args.out / name).exists()]
        if missing:
            parser.error(f'{args.out} has no {missing[0]}: measure first')
    if args.profile and args.profile not in all_jobs():
        parser.error(f'no job is called {args.profile}: they are FILE-SECTION of fio-jobs/FILE.fio')
    if not any(planned(meter, args.quick, args.jobs) for meter in METERS if args.meter in (None, meter)):
        parser.error(f'no job is called {args.jobs}: they are FILE-SECTION of fio-jobs/FILE.fio')
    if args.check:
        return 0
    if args.report:
        rows, facts = (json.loads((args.out / name).read_text(encoding='utf-8')) for name in needed)
        print(write_report(args.out, rows, facts))
        return 0
    if args.docs:
        publish(args.out)
        return 0
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f'cannot write results: {error}')
    meters = [meter for name, meter in (QUICK_METERS if args.quick else METERS).items()
              if args.meter in (None, name)]
    try:
        if args.profile:
            return profile(args.out, all_jobs()[args.profile], DEVICES, None, print)
        return run(args.out, None, meters, DEVICES, args.quick, args.jobs)
    except KeyboardInterrupt:
        print('\ninterrupted', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(main())
