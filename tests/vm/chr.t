#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The char node: edges, alignment, bad memory, signals, unknown requests: chr_io.c."""

from harness import guest_test

with guest_test(dimms=[('hp_dimm0', '1G')]) as (t, vm):
    vm.sh('insmod /root/karray.ko')
    t.relay(vm.sh(f'/root/chr_io /dev/karray /dev/karrayb0 {1 << 30}', check=False,
                  timeout=120))
