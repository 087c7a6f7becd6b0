#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Takes a DIMM from System RAM for karray, and gives it back, on the machine where it
# runs. Needs root.

usage() {
	cat <<-END
	usage: system_ram.sh take [--dry-run] DEVICE
	       system_ram.sh give-back DEVICE
	       system_ram.sh list

	  take       makes the System RAM of DEVICE (karray0, ...) its memory
	  --dry-run  only tells whether that would succeed
	  give-back  makes the memory of DEVICE, which nobody may be using, System RAM
	  list       shows the devices and their states
	END
}

die() {
	echo "system_ram.sh: $*" >&2
	exit 1
}

bus=/sys/bus/karray/devices

# change STATE: the kernel says in its log why not.
change() {
	last=$(dmesg | tail -n 1)
	if ! (echo "$1" >"$bus/$device/state") 2>/dev/null; then
		reason=$(dmesg | awk -v last="$last" '$0 == last { new = ""; next } { new = new $0 "\n" }
				END { printf "%s", new }' | grep " $device: " | tail -n 1)
		[ "$reason" ] || die "$device did not become $1; see dmesg"
		echo "${reason#\[*\] }" >&2
		exit 1
	fi
	echo "$device is $(cat "$bus/$device/state")," \
	     "$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1 KiB/p' /proc/meminfo) of System RAM"
}

verb=${1-}
[ $# = 0 ] || shift
dry=
if [ "${1-}" = --dry-run ]; then
	dry=yes
	shift
fi
device=${1-}

case $verb in
list)
	if [ $# != 0 ] || [ "$dry" ]; then
		usage >&2
		exit 2
	fi
	[ -e "$bus" ] || die 'karray is not loaded'
	;;
take | give-back)
	if [ $# != 1 ] || { [ "$dry" ] && [ "$verb" != take ]; }; then
		usage >&2
		exit 2
	fi
	[ -e "$bus" ] || die 'karray is not loaded'
	[ "$(id -u)" = 0 ] || die 'this needs root'
	[ -e "$bus/$device/state" ] || die "there is no $device; system_ram.sh list shows what there is"
	[ -e "$bus/$device/takeable" ] || die "$device is not from System RAM"
	;;
esac

case $verb in
take)
	if [ "$dry" ]; then
		answer=$(cat "$bus/$device/takeable")
		echo "$device: $answer"
		[ "$answer" = yes ]
	else
		change online
	fi
	;;
give-back)
	change system-ram
	;;
list)
	for path in "$bus"/*; do
		[ -e "$path" ] || die 'karray has no devices'
		echo "${path##*/} $(cat "$path/state") $(($(cat "$path/size") >> 20)) MiB $(cat "$path/origin")"
	done
	;;
-h | --help)
	usage
	;;
*)
	usage >&2
	exit 2
	;;
esac
