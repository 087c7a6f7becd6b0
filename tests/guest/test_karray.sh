#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs karray_test, and says how that went.
#
# usage: test_karray.sh [DEVICE]

if "$(dirname "$0")/karray_test" "$@"; then
	echo 'karray_test: passed'
else
	echo 'karray_test: FAILED'
	exit 1
fi
