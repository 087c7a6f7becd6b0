# SPDX-License-Identifier: GPL-2.0
"""What tests of karray are written with: TAP, virtual machines, and the frame
that joins the two.  Python's standard library is all that it needs."""

from .console import console_problems
from .frame import guest_test
from .karray import (BUS, DRIVER, KEEPERS, Load, bad_sectors, configure, extents, fill, follow,
                     free_memory, load_keepers, mark_bad, memory_cost, pairings, pio, plug, recipe, start_udev,
                     survived, try_pio)
from .tap import Tap
from .vm import (ARCH, BUILD, DEBUG_KERNELS, DEFAULT_KERNEL, KASAN_SHADOW, MACHINE, VM, GuestError, VMDied,
                 VMTimeout)

__all__ = ['ARCH', 'BUILD', 'BUS', 'DEBUG_KERNELS', 'DEFAULT_KERNEL', 'DRIVER', 'GuestError', 'KASAN_SHADOW',
           'KEEPERS', 'Load', 'MACHINE', 'Tap', 'VM', 'VMDied', 'VMTimeout', 'bad_sectors', 'configure',
           'console_problems', 'extents', 'fill', 'follow', 'free_memory', 'guest_test', 'load_keepers', 'mark_bad',
           'memory_cost', 'pairings', 'pio', 'plug', 'recipe', 'start_udev', 'survived', 'try_pio']
