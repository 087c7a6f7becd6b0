#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes build/VERSION/debian.img, a disk with a Debian 12 that systemd and udev run, in
# which the package karray-utils is installed, and karray.ko for that kernel. Needs root.
#
# usage: make_debian.sh [VERSION...]
#        make_debian.sh --tree DIR PACKAGE...	only a minimal Debian with these, in DIR
#        make_debian.sh --prepare		only install what all that needs

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
help_asked "$@"
only_amd64

packages=(systemd-sysv udev kmod e2fsprogs util-linux-extra qemu-guest-agent valgrind
	  libsmartcols1 libmount1 libblkid1 libudev1)
tree=$BUILD/rootfs/debian

# By this machine's settings of apt, and from where it has packages.
make_tree() {
	local dir=$1 conf=$1.apt.conf sources
	shift
	sources=(/etc/apt/sources.list.d/*.{list,sources})
	[ ! -e /etc/apt/sources.list ] || sources+=(/etc/apt/sources.list)
	apt_need_lists
	as_root rm -rf "$dir"
	mkdir -p "${dir%/*}"
	apt-config dump Acquire >"$conf"
	as_root mmdebstrap --quiet --variant=minbase --aptopt="$conf" \
		--include="$(IFS=,; echo "$*")" bookworm "$dir" "${sources[@]}"
}

make_image() {
	local build=$BUILD/$1 root=$BUILD/$1/debian release
	release=$(cat "$BUILD/kernels/$1/release")
	step "Making a disk with it for $1"
	as_root rm -rf "$root"
	as_root cp -a "$tree" "$root"
	as_root dpkg --root="$root" -i "$BUILD/packages/$(cat "$TOP/VERSION")"/karray-utils_*.deb >"$root.log" 2>&1 ||
		die "karray-utils can't be installed, see ${root#"$TOP/"}.log"
	as_root cp -r "$build/modules/usr/lib/modules" "$root/usr/lib/"
	as_root install -D -m 644 -t "$root/usr/lib/modules/$release/updates" "$build/karray.ko"
	as_root depmod -b "$root" "$release"
	as_root sh -c "echo karray >'$root/etc/hostname'; : >'$root/etc/machine-id'"
	rm -f "$build/debian.img"
	as_root mke2fs -q -t ext4 -d "$root" "$build/debian.img" 1G
	as_root rm -rf "$root"
}

case ${1-} in
--tree | --prepare)	;;	# no kernels there
*)			select_kernels "$@" ;;
esac
ensure_packages mmdebstrap e2fsprogs kmod
case ${1-} in
--tree)
	make_tree "${@:2}"
	exit ;;
--prepare)
	exec "$TOP/scripts/make_packages.sh" --prepare ;;
esac
"$TOP/scripts/make_packages.sh"
if ! up_to_date "$tree.stamp"; then
	step 'Making a Debian with systemd and udev'
	make_tree "$tree" "${packages[@]}"
	touch "$tree.stamp"
fi
for version in "${versions[@]}"; do
	make_image "$version"
done
