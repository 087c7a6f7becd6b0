# SPDX-License-Identifier: GPL-2.0
"""Reads the Test Anything Protocol back and counts: test.sh's last line."""

import os
import re
import sys


class Count:
    """What a test's output, and its exit status, amount to.  In @failures are the lines of
    each test point that failed, with the comments around it."""

    POINT = re.compile(r'(not )?ok\b\s*(\d*)[^#]*(?:#\s*(SKIP)\S*\s*(.*))?', re.IGNORECASE)
    PLAN = re.compile(r'1\.\.(\d+)\s*(?:#\s*SKIP\S*\s*(.*))?$', re.IGNORECASE)

    def __init__(self, text, status=0):
        self.passed = 0
        self.failed = 0
        self.failures = []
        self.failures = []
        self.skips = []         # the reasons
        self.problem = ''       # why the test as a whole cannot be trusted
        self._parse(text.splitlines(), status)

    def _parse(self, lines, status):
        plans, numbers = [], []
        self.failures = self._failures(lines)
        for line in lines:
            if point := self.POINT.match(line):
                numbers.append(int(point[2] or len(numbers) + 1))
                if point[1]:
                    self.failed += 1
                elif point[3]:
                    self.skips.append(point[4].strip())
                else:
                    self.passed += 1
            elif plan := self.PLAN.match(line):
                plans.append(int(plan[1]))
                if plan[1] == '0' and plan[2]:
                    self.skips.append(plan[2].strip())
            elif line.startswith('Bail out!'):
                self.problem = line

        if status == 124:
            self.problem = 'timed out'
        elif self.problem:
            pass
        elif len(plans) != 1:
            self.problem = 'has no plan: it died' if not plans else 'has several plans'
        elif numbers != list(range(1, plans[0] + 1)):
            self.problem = f'planned {plans[0]} test points, and ran {len(numbers)}'
        elif not numbers and not self.skips:
            self.problem = 'ran no test points'
        elif status and not self.failed:
            self.problem = f'exited with {status}'
        if self.problem:
            self.failed += 1


    def _failures(self, lines):
        found, comments, failed = [], [], False
        for line in lines:
            if point := self.POINT.match(line):
                failed = bool(point[1])
                found += [*comments, line] if failed else []
                comments = []
            elif failed:
                found.append(line)
            else:
                comments.append(line)
        return found


def read(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def main(paths):
    """Count over the raw outputs @paths (each NAME.tap, its exit status in
    NAME.status) and print what failed, and the sum as the last line.  Where CI is true, a skip for
    a reason that is not in skips.allowed is a failure."""
    allowed = [line for line in read(os.path.join(os.path.dirname(__file__), 'skips.allowed')).splitlines()
               if line and not line.startswith('#')]
    strict = os.environ.get('CI') == 'true'
    passed = failed = skipped = 0
    for path in paths:
        name = path.removesuffix('.tap')
        try:
            count = Count(read(path), int(read(f'{name}.status')))
        except (OSError, ValueError):
            count = Count('', 255)
        if count.problem:
            print(f'{name}: {count.problem}')
        for line in count.failures:
            print(f'{name}: {line}')
        for reason in count.skips:
            if strict and not any(re.search(regex, reason) for regex in allowed):
                print(f'{name}: unexpected skip: {reason}')
                failed += 1
            else:
                skipped += 1
        passed += count.passed
        failed += count.failed
    if not paths:
        print('no tests ran')
        failed += 1
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
