#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Loads karray with its trace on, and shows the devices. The DIMMs are bound only
# after the trace is on, so that it tells of the first one too.
#
# usage: setup_karray.sh [PARAMETER=VALUE...]

acpi=/sys/bus/acpi
trace=/sys/kernel/tracing/instances/karray
module=$(dirname "$0")/karray.ko

if [ -e /sys/module/karray ]; then
	echo 'setup_karray.sh: karray is loaded already; remove_karray.sh unloads it' >&2
	exit 1
fi

[ ! -e $acpi/drivers_autoprobe ] || echo 0 >$acpi/drivers_autoprobe
insmod "$module" "$@"
failed=$?
if [ $failed = 0 ] && [ -e $trace/events/karray/enable ]; then
	echo 1 >$trace/events/karray/enable
fi
[ ! -e $acpi/drivers_autoprobe ] || echo 1 >$acpi/drivers_autoprobe
if [ $failed != 0 ]; then
	echo "setup_karray.sh: karray does not load, the kernel's words:" >&2
	dmesg | grep karray | tail -n 5 >&2
	exit 1
fi

# Bind the DIMMs that are plugged in and free. One that is bound, to karray or to
# the kernel's memory hotplug, has a physical node.
for dimm in "$acpi"/devices/PNP0C80:*; do
	if [ -e "$dimm/status" ] && [ "$(cat "$dimm/status")" != 0 ] &&
	   [ ! -e "$dimm/physical_node" ] && [ -e $acpi/drivers/karray ]; then
		echo "${dimm##*/}" >$acpi/drivers/karray/bind
	fi
done

for device in /sys/bus/karray/devices/*; do
	[ -e "$device" ] || { echo 'karray is loaded and has no devices'; break; }
	printf '%s:' "${device##*/}"
	for attribute in size phys_addr node origin online; do
		printf ' %s=%s' $attribute "$(cat "$device/$attribute")"
	done
	echo
done
