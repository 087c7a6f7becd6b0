# SPDX-License-Identifier: GPL-2.0
"""The results in words and tables, as Markdown."""

import shutil

from harness.vm import TOP

from .results import checks, gain, ratio

DOCS = TOP / 'docs'
BEGIN_OF_RESULTS = '<!-- From here on all is by bench.sh --docs. -->\n'

BUSY = 0.15             # a spread of the rounds that tells of other load
SIGNS = {True: '✓', False: '✗', None: '–'}


def number(value, form):
    """A value may be None."""
    return '' if value is None else format(value, form)


def table(header, rows):
    """All columns but the first are figures."""
    lines = [header, ['---'] + ['---:'] * (len(header) - 1), *rows]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines) + '\n'


def problems(facts):
    if not facts['problems']:
        return ''
    lines = ''.join(f'- {problem.splitlines()[0]}\n' for problem in facts['problems'])
    return f'**SOMETHING IS MISSING IN THIS RUN, and so it has failed:**\n\n{lines}\n'


def environment(facts):
    text = (f'- Guest: Linux {facts["release"]}\n'
            f'- Host: {facts["host"]}; QEMU {facts["qemu"]}\n'
            f'- {facts["date"]}, a {"quick" if facts["quick"] else "full"} run of '
            f'{facts["seconds"] / 60:.0f} minutes\n')
    for name, meter in facts['meters'].items():
        text += (f'- Meter *{name}*: accelerator `{meter["accel"]}`, CPU model `{meter["cpu"]}`, '
                 f'{meter["cpus"]} CPU{"s" if meter["cpus"] > 1 else ""}')
        if meter['rounds'] > 1:
            text += (f'; medians of {meter["rounds"]} rounds, of which the middle half is typically '
                     f'{meter["spread"]:.0%} apart')
        text += '\n'
    return text + '\n'


def reading(facts):
    """What to make of the figures, and what not."""
    meters = facts['meters']
    emulated = any(meter['accel'].startswith('tcg') for meter in meters.values())
    words = ['zram is not there at 512 bytes, since its blocks have 4 KiB. fio\'s data can\'t be compressed: '
             'zram\'s writes show what trying costs, and its reads are plain copies.']
    if 'instructions' in meters:
        words.append('An instruction is not a nanosecond: the meter shows how much there is to do, not how '
                     'long a real processor waits for memory and locks.')
    if emulated:
        words += ['QEMU\'s emulator has no caches, and all memory is equally near. Ratios on a real machine '
                  'may be others, above all where much is copied.',
                  'brd\'s copy of a page is a single `rep movsq`, 512 counted instructions, where the others call '
                  'memcpy(), a loop of about 1,400 on this CPU model. So 512 bytes compare the drivers best. '
                  'The char device copies by such an instruction as well, which the emulator does faster than '
                  'memcpy(), its limit elsewhere.']
    if meters.get('wall', {}).get('spread', 0) > BUSY:
        words.append('**The machine was busy: by the clock, differences of less than '
                     f'{meters["wall"]["spread"]:.0%} mean nothing here.**')
    return ''.join(f'- {word}\n' for word in words) + '\n'


def goals(results, ram):
    """For each case a line for each job, and a column for each goal."""
    all_checks = checks(results, ram)
    if not all_checks:
        return ''
    met = [check.met for check in all_checks]
    text = ('## The speed to reach\n\n'
            f'{met.count(True)} of {len(met)} goals are reached (✓), {met.count(False)} are not (✗), '
            f'{met.count(None)} can\'t be judged (–).\n\n')
    for case in dict.fromkeys(check.case for check in all_checks):
        cells = {(check.job, f'{check.mode} {check.goal}'): check
                 for check in all_checks if check.case == case}
        columns = list(dict.fromkeys(column for _, column in cells))
        rows = []
        for job in dict.fromkeys(job for job, _ in cells):
            row = [cells[job, column] for column in columns]
            rows.append([job, *(f'{number(check.ratio, ",.2f")} {SIGNS[check.met]} {check.note}'.strip()
                                for check in row)])
        signs = str.maketrans({'<': '&lt;', '>': '&gt;'})
        text += f'**{case}**\n\n' + table(['', *(column.translate(signs) for column in columns)], rows)
    return text


def chapter(title, words, plot, results, meter, jobs, value):
    """A plot, and a table of value(job, device) for each job and device that has one."""
    jobs = results.jobs(meter, jobs)
    if not jobs:
        return ''
    devices = [device for device in results.devices(meter) if any(value(job, device) for job in jobs)]
    return (f'## {title}\n\n{words}\n\n' + (f'![{title}]({plot})\n\n' if plot else '')
            + table(['job', *devices], [[job, *(value(job, device) for device in devices)] for job in jobs]))


def measured(results):
    def instructions(job, device):
        return number(results.ns(job, 'instructions', device), ',.0f')

    def against_peers(job, device):
        best = results.best(job, 'wall') if device != 'memcpy' else None
        return number(ratio(best, results.ns(job, 'wall', device)), '.2f')

    def against_memcpy(job, device):
        limit = results.ns(job, 'wall', 'memcpy')
        return number(ratio(limit, results.ns(job, 'wall', device)), '.0%')

    def two_jobs(job, device):
        return number(gain(results, job, device), '.2f')

    return ''.join([
        chapter('Instructions per I/O', 'All that is executed for an I/O: fio, kernel and driver. Less is better.',
                'instructions.svg', results, 'instructions', '(?!mmap|dax).*', instructions),
        chapter('IOPS by the clock', 'As a part of the best peer\'s (of brd, pmem, null_blk and zram). More is better.',
                'iops.svg', results, 'wall', r'rand.*-(psync|uring-\d+)', against_peers),
        chapter('Bandwidth by the clock', 'As a part of what memcpy alone does with the same memory. More is better.',
                'bandwidth.svg', results, 'wall', r'seq.*-(psync|uring-\d+)', against_memcpy),
        chapter('Two jobs on two CPUs', 'IOPS, as a multiple of one job\'s. More is better.',
                None, results, 'wall', '.*-jobs-2', two_jobs),
        chapter('Page cache, trim, file system', 'By the clock, as a part of the best peer\'s IOPS. More is better.',
                None, results, 'wall', '.*-buffered|trim-.*|ext4-.*', against_peers),
        chapter('Page faults', 'Instructions of the first load from each 2 MiB of a mapping, of device-dax (pmem-dax) and '
                'System RAM (memcpy, in small pages) as well. Less is better.',
                None, results, 'instructions', 'mmap-fault-.*', instructions),
        chapter('Files by DAX', 'Instructions of an access to a file on ext4, mounted with dax=always: by a mapping, page '
                'faults included, or by system calls. pmem-fsdax is an NVDIMM in that mode. Less is better.',
                None, results, 'instructions', 'dax-.*', instructions),
        chapter('Mapped memory by the clock', 'Bandwidth of reading it from its first byte to the last, page faults '
                'included, as a part of the same with System RAM (memcpy). More is better.',
                None, results, 'wall', 'mmap-read-.*', against_memcpy)])


def memory(ram):
    if not ram:
        return ''
    return ('## System RAM\n\nWhat a 2 GiB disk takes of System RAM while it is online: free memory with caches dropped '
            'and the CPUs\' lists drained, online against offline, the median of several times. In whole '
            'pages: what finds room in pages that slab caches hold anyway is not seen.\n\n'
            + table(['mode', 'KiB'], [[mode, f'{size / 1024:.0f}'] for mode, size in ram.items()]))


def report(results, facts):
    return ('# karray: a run of the benchmark\n\n' + problems(facts) + environment(facts) + reading(facts)
            + goals(results, facts['ram']) + measured(results) + memory(facts['ram']))


def publish(out):
    """Put what is in the directory @out into docs/performance.md, and the plots beside
    it."""
    page = DOCS / 'performance.md'
    text = (out / 'report.md').read_text(encoding='utf-8')
    before, begin, _ = page.read_text(encoding='utf-8').partition(BEGIN_OF_RESULTS)
    results = text.split('\n', 1)[1].replace('](', '](performance/')
    page.write_text(before + begin + results, encoding='utf-8')
    (DOCS / 'performance').mkdir(exist_ok=True)
    for plot in out.glob('*.svg'):
        shutil.copy(plot, DOCS / 'performance')
