#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs one test for prove, within a time limit, and keeps its raw output and its
# exit status in the directory RESULTS.
#
# usage: RESULTS=DIR run_test.sh TEST

set -o pipefail

: "${RESULTS:?usage: RESULTS=DIR run_test.sh TEST}" "${1:?usage: RESULTS=DIR run_test.sh TEST}"
name=$(basename "$1" .t)
case $KARRAY_KERNEL in
debug | kcsan)	limit=3600 ;;
*)		limit=1200 ;;
esac
setpriv --pdeathsig TERM timeout --kill-after=10 "${TEST_TIMEOUT:-$limit}" "$1" 2>&1 |
	tee "$RESULTS/$name.tap"
status=$?
echo $status >"$RESULTS/$name.status"
exit $status
