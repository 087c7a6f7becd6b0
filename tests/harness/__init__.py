# SPDX-License-Identifier: GPL-2.0
"""What tests of karray are written with: TAP, virtual machines, and the frame
that joins the two.  Python's standard library is all that it needs."""

from .console import console_problems
from .frame import guest_test
from .karray import bad_sectors, configure, mark_bad, pio, try_pio
from .tap import Tap
from .vm import VM, GuestError, VMDied, VMTimeout

__all__ = ['GuestError', 'Tap', 'VM', 'VMDied', 'VMTimeout', 'bad_sectors', 'configure',
           'console_problems', 'guest_test', 'mark_bad', 'pio', 'try_pio']
