# SPDX-License-Identifier: GPL-2.0
"""Writes the Test Anything Protocol."""

import re
import sys
import traceback


class Tap:
    """Writes test points.  The plan comes last, so that a test which dies early
    has none and counts as failed."""

    def __init__(self, out=sys.stdout):
        self.out = out
        self.count = 0
        self.failed = 0

    def _print(self, text):
        print(text, file=self.out, flush=True)

    def diag(self, text):
        for line in str(text).splitlines():
            self._print(f'# {line}')

    def ok(self, cond, what, diag=''):
        """A test point: @cond is true.  @diag is shown if it is not."""
        self.count += 1
        if not cond:
            self.failed += 1
        self._print(f'{"ok" if cond else "not ok"} {self.count} - {what.replace("#", "")}')
        if not cond and diag:
            self.diag(diag)
        return bool(cond)

    def fail(self, what, diag=''):
        return self.ok(False, what, diag)

    def is_(self, got, want, what, diag=''):
        return self.ok(got == want, what, f' got: {got!r}\nwant: {want!r}\n{diag}')

    def like(self, text, regex, what, diag=''):
        return self.ok(re.search(regex, text), what,
                       f'       text: {text!r}\nis not like: {regex!r}\n{diag}')

    def skip(self, what, reason):
        self.count += 1
        self._print(f'ok {self.count} - {what} # SKIP {reason}')

    def relay(self, result):
        """The test points of a program that ran in the guest, by its Result."""
        count = 0
        for line in result.out.splitlines():
            if point := re.match(r'(not )?ok \d+ - (.*)', line):
                count += 1
                self.ok(not point[1], point[2])
            elif line.startswith('#'):
                self._print(line)
        self.ok(f'1..{count}' in result.out.splitlines() and result.rc in (0, 1),
                'the program in the guest ran to its end',
                f'exit status {result.rc}\n{result.err}')

    def exception(self, what):
        """The exception in flight becomes a failed test point."""
        self.fail(what, traceback.format_exc())

    def bail(self, reason):
        self._print(f'Bail out! {reason}')
        sys.exit(255)

    def done(self):
        """Print the plan and return the exit status.  No test points is a failure."""
        self._print(f'1..{self.count}')
        return 1 if self.failed or not self.count else 0
