# SPDX-License-Identifier: GPL-2.0
"""The benchmark: karray beside the kernel's other RAM disks, in one guest.

    devices     what is compared
    jobs        what it is asked to do: fio-jobs/*.fio
    meters      the guests in which that is measured
    run         the measuring
    results     what came out, and how it compares
    report      the same in words and tables
    plots       and in pictures
    profile     where the instructions of a job go, by function
"""
