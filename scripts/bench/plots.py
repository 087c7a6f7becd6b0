# SPDX-License-Identifier: GPL-2.0
"""The results in pictures: diagrams of grouped bars, drawn by gnuplot."""

import collections
import re
import subprocess

# The colours of Okabe and Ito, which everybody can tell apart: cold ones for karray,
# warm ones for its peers.
COLOURS = {
    'karray-mq': '#0072b2', 'karray-bio': '#56b4e9', 'karray-chr': '#009e73',
    'brd': '#e69f00', 'pmem': '#d55e00', 'null_blk': '#cc79a7', 'zram': '#f0e442',
    'memcpy': '#777777',
}

WIDTH, HEIGHT = 1280, 480       # of a diagram
GAP = 1.5                       # between groups, in bars

SETUP = f'''
set encoding utf8
set style data histograms
set style histogram clustered gap {GAP}
set style fill solid 1.0 border rgb "white"
set border 3 lc rgb "#444444"
set grid ytics lc rgb "#cccccc" lt 1
set xtics nomirror scale 0 noenhanced
set ytics nomirror
set bmargin 3.2
set key outside top center horizontal maxrows 1 samplen 1 width -1 noenhanced
'''

# One diagram: bars of value(job, device), a group for each of @jobs. A bar that ends
# above @top is cut off, and labelled with its value in the format @form; the axis has
# @unit. A line goes across at @line.
Diagram = collections.namedtuple('Diagram', 'title jobs value form unit top line',
                                 defaults=('.1f', '', None, None))


def way(job):
    """What a job does: read, write, rw."""
    return re.match('(?:rand|seq)?([a-z]*)', job)[1]


def job_label(job):
    """How a job is called below its bars: what it does, and how."""
    _, size, how = job.split('-', 2)
    return f'{way(job)} {size}\\n' + re.sub(r'uring-(\d+)', r'io_uring, depth \1', how).replace('jobs-2', '2 jobs')


def diagram_script(diagram):
    diagram = diagram._replace(jobs=sorted(diagram.jobs, key=way))
    devices = [device for device in COLOURS if any(diagram.value(job, device) for job in diagram.jobs)]
    values = [[diagram.value(job, device) for device in devices] for job in diagram.jobs]
    highest = max(value for group in values for value in group if value)
    top = min(highest * 1.05, diagram.top or highest * 1.05)
    lines = [f'set title "{diagram.title}" font ",20" noenhanced',
             f'set xrange [-0.6:{len(diagram.jobs) - 0.4}]', f'set yrange [0:{top}]', f'set format y "%g{diagram.unit}"'.replace('%"', '%%"'), 'unset label', 'unset arrow']
    for i, group in enumerate(values):
        for k, value in enumerate(group):
            if value and value > top:
                x = i + (k - (len(devices) - 1) / 2) / (len(devices) + GAP)
                lines.append(f'set label "{value:{diagram.form}}{diagram.unit}" at {x},{top} offset 0,-0.3 '
                             'rotate right font ",13" front')
    if diagram.line:
        lines.append(f'set arrow from graph 0, first {diagram.line} to graph 1, first {diagram.line} '
                     'nohead lw 2 dt 2 lc rgb "#444444" front')
    lines.append('$data << END')
    for job, group in zip(diagram.jobs, values):
        lines.append(f'"{job_label(job)}" ' + ' '.join(str(value or 'NaN') for value in group))
    lines.append('END')
    lines.append('plot ' + ', '.join(
        f'$data using {column}{":xtic(1)" if column == 2 else ""} title "{device}" lc rgb "{COLOURS[device]}"'
        for column, device in enumerate(devices, 2)))
    return '\n'.join(lines)


def draw(path, diagrams):
    """Draw diagrams one below the other, those that have any figures."""
    path.unlink(missing_ok=True)
    diagrams = [diagram for diagram in diagrams
                if any(diagram.value(job, device) for job in diagram.jobs for device in COLOURS)]
    if not diagrams:
        return
    script = '\n'.join([
        f'set terminal svg size {WIDTH},{HEIGHT * len(diagrams)} font "DejaVu Sans,15" background "white"',
        f'set output "{path}"', SETUP, f'set multiplot layout {len(diagrams)},1',
        *(diagram_script(diagram) for diagram in diagrams), 'unset multiplot', ''])
    subprocess.run(['gnuplot'], input=script, text=True, check=True)


def plot(results, out):
    """instructions.svg, iops.svg and bandwidth.svg, as far as there are figures."""
    def instructions(job, device):
        return results.ns(job, 'instructions', device)

    def against_peers(job, device):
        time, best = results.ns(job, 'wall', device), results.best(job, 'wall')
        return time and best and device != 'memcpy' and best / time

    def against_memcpy(job, device):
        time, limit = results.ns(job, 'wall', device), results.ns(job, 'wall', 'memcpy')
        return time and limit and device != 'memcpy' and 100 * limit / time

    def instruction_diagram(size, jobs):
        jobs = results.jobs('instructions', jobs)
        top = max((value for job in jobs for device in ('brd', 'pmem', 'null_blk', 'karray-mq')
                   if (value := instructions(job, device))), default=0)
        return Diagram(f'Instructions per I/O, {size} random (lower is better)', jobs, instructions, ',.0f',
                       top=1.1 * top)

    def wall_diagram(title, jobs, *args, **kwargs):
        return Diagram(title, results.jobs('wall', jobs), *args, **kwargs)

    draw(out / 'instructions.svg',
         [instruction_diagram('512 B', r'rand(read|write)-512-(psync|uring-\d+)'),
          instruction_diagram('4 KiB', r'rand(read|write)-4k-(psync|uring-\d+)')])
    draw(out / 'iops.svg',
         [wall_diagram(f'IOPS by the clock, {size} random: × the best peer (higher is better)',
                       rf'rand(read|write)-{name}-(psync|uring-\d+)', against_peers, '.1f', '×', 2.5, 1)
          for size, name in (('512 B', '512'), ('4 KiB', '4k'), ('64 KiB', '64k'))])
    draw(out / 'bandwidth.svg',
         [wall_diagram(f'Bandwidth by the clock, sequential {way}s: % of memcpy, the limit (higher is better)',
                       rf'seq{way}-.*-(psync|uring-\d+)', against_memcpy, '.0f', '%', 150, 100)
          for way in ('read', 'write')])
