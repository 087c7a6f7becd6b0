# SPDX-License-Identifier: GPL-2.0
"""Judges a kernel's console log."""

import re

# The first words of the log: without them the log is not whole, and says nothing.
BANNER = 'Linux version'

# What a healthy kernel never says.
PROBLEMS = re.compile(r'''
      \bBUG:
    | \bWARNING:
    | \bOops\b
    | \bKernel\ panic
    | Call\ Trace
    | \bK[AMC]+SAN\b
    | UBSAN
    | general\ protection\ fault
    | [Uu]nable\ to\ handle
    | blocked\ for\ more\ than
    | ([Ss]oft|[Hh]ard)\ ?(lockup|LOCKUP)
    | rcu.*\b(detected\ stalls|self-detected\ stall)
    | (possible|inconsistent|suspicious)\ .*(deadlock|dependency|lock\ state|RCU\ usage)
    | turning\ off\ the\ locking\ correctness\ validator
    | bad\ unlock\ balance
    | held\ lock\ freed
    | scheduling\ while\ atomic
    | sleeping\ function\ called
    | refcount_t
    | Bad\ page\ state
    | \bbad\ p(gd|4d|ud|md)\b
    | kmemleak
    | Out\ of\ memory
    ''', re.VERBOSE)

# Harmless lines that look like one of those.
HARMLESS = re.compile(r'[Cc]ommand line: |kmemleak: (Kernel memory leak detector|Automatic memory scan)')


# So many lines from the first problem on are its report: the stacks, and who was there.
REPORT = 80


def console_problems(text, allow=()):
    """Return the lines of the console log @text that tell of a problem, and what follows the first.

    Lines that match one of the regular expressions in @allow are expected.  A log
    that does not begin at boot is a problem itself.
    """
    problems = []
    if BANNER not in text:
        problems.append(f'the console log has no "{BANNER}": it is not whole')
    end = 0
    for number, line in enumerate(text.splitlines()):
        is_problem = PROBLEMS.search(line) and not HARMLESS.search(line) and \
            not any(re.search(regex, line) for regex in allow)
        if is_problem and not end:
            end = number + REPORT
        if is_problem or number < end:
            problems.append(line)
    return problems
