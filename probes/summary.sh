#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Turns the probes' results into karray_probes.h (stdout) and a line for the
# person who watches the build (stderr). Fails if the two controls show that the
# compiler's verdicts can't be trusted.
#
# usage: summary.sh NAME.result...

line=
echo '/* Made by probes/summary.sh: what this kernel has. */'
for result; do
	name=$(basename "$result" .result)
	value=$(cat "$result")
	case $name=$value in
	control_pass=1 | control_fail=0)
		continue ;;
	control_*)
		echo "karray: compile probe '$name' gave $value:" \
		     "this kernel's headers or compiler are not usable" >&2
		cat "$result.log" >&2
		exit 1 ;;
	esac
	line="$line $name=$value"
	if [ "$value" = 1 ]; then
		echo "#define KARRAY_HAVE_$(echo "$name" | tr '[:lower:]' '[:upper:]') 1"
	fi
done
echo "  PROBED $line" >&2
