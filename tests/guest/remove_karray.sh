#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Unloads karray.

if ! rmmod karray; then
	echo 'remove_karray.sh: karray is in use or not loaded: close, unmount,' \
	     'swapoff what uses /dev/karray*, then try again' >&2
	exit 1
fi
echo 'karray is unloaded'
