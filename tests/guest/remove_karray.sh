#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Unloads karray.

if [ ! -e /sys/module/karray ]; then
	echo 'remove_karray.sh: karray is not loaded' >&2
	exit 1
fi
if ! rmmod karray; then
	echo 'remove_karray.sh: karray is in use: close, unmount, swapoff what uses it,' \
	     'then try again. Users:' >&2
	grep . /sys/bus/karray/devices/*/users >&2
	exit 1
fi
echo 'karray is unloaded'
