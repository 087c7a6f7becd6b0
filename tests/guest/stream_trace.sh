#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Sends the karray trace to the host, as it happens. setup_karray.sh turns the
# events on.
#
# usage: stream_trace.sh PORT

exec cat /sys/kernel/tracing/instances/karray/trace_pipe >"$1"
