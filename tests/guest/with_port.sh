#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Waits for the virtio port NAME to the host, makes udev's link to it, and runs
# COMMAND with the link as its last argument.
#
# usage: with_port.sh NAME COMMAND...

name=$1
shift

link=/dev/virtio-ports/$name
until port=$(grep -lxF "$name" /sys/class/virtio-ports/*/name 2>/dev/null); do
	sleep 0.05
done
port=${port%/name}
mkdir -p "${link%/*}"
ln -sfn "../${port##*/}" "$link"
exec "$@" "$link"
