#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Fetches Debian's kernel VERSION, its modules and its headers into
# build/kernels/VERSION, without root and without installing anything:
#
#   vmlinuz    the kernel as Debian has it
#   vmlinux    the same, unpacked where it's packed, to boot
#   headers    what to give make as KDIR=
#   modules    /lib/modules/RELEASE, with modules.dep
#   release    the release as uname -r prints it
#
# The kernels that aren't Debian's are built (build-debug-kernel.sh).
#
# With --flavours it fetches no kernel, but the headers of Debian's other flavours of
# VERSION, into build/flavours/VERSION-FLAVOUR (headers, release).
#
# usage: fetch_kernel.sh [--flavours] [VERSION...]

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
help_asked "$@"

# The packages that PACKAGE depends on, by the names in apt's lists.
depends() {
	apt-cache "${guest_apt[@]}" depends --important "$1" 2>/dev/null | sed -n 's/^ *Depends: //p'
}

# Sets the $release and the $packages that make up the kernel, or the headers, of $1.
resolve() {
	local meta=$1 first
	first=$(depends "$meta" | grep -E '^linux-(image|headers)-') || return
	release=${first#linux-*-}
	mapfile -t packages < <(
		printf '%s\n' "$first" "linux-headers-$release" | uniq
		depends "linux-headers-$release" | grep -E '^linux-headers-'
		# Programs, which run here.
		depends "linux-headers-$release" | grep -E '^linux-kbuild-' | sed "s/\$/:$machine/"
	)
	[[ ${packages[*]} == *"$release linux-headers-"*' linux-kbuild-'* ]]
}

unpack() {
	local dir=$1 deb headers
	shift
	for deb; do
		dpkg -x "$CACHE/debs/$deb" "$dir"
	done

	# The headers' top Makefile includes the common one by its installed path.
	headers=$dir/usr/src/linux-headers-$release
	# shellcheck disable=SC2016
	sed -i 's,^include /usr/src/,include $(dir $(realpath $(lastword $(MAKEFILE_LIST))))../,' \
		"$headers/Makefile"
	ln -s "usr/src/linux-headers-$release" "$dir/headers"
	echo "$release" >"$dir/release"
}

# What is needed to boot what was unpacked.
prepare_boot() {
	local dir=$1
	ln -s "boot/vmlinuz-$release" "$dir/vmlinuz"
	if [ "$ARCH" = amd64 ]; then
		unpack_kernel "$dir/vmlinuz" >"$dir/vmlinux"
	else
		ln -s vmlinuz "$dir/vmlinux"
	fi
	ln -s "lib/modules/$release" "$dir/modules"
	depmod -b "$dir" "$release"
}

# Fetch what is known as $1 into the directory $2.
fetch() {
	local dir=$2 meta what='kernel and headers' stamp debs
	stamp=$dir/stamp
	meta=$(kernel_metapackage "$1")
	[[ $meta == linux-image-* ]] || what='headers'

	up_to_date "$stamp" && return
	guest_need_lists
	if ! resolve "$meta" && ! { guest_update && resolve "$meta"; }; then
		if [ -e "$stamp" ]; then
			note "apt does not know $meta: going on with $(cat "$dir/release")"
			return
		fi
		die "apt does not know $meta or its headers: are bookworm and" \
		    "bookworm-security (for 6.12) among apt's sources?"
	fi
	debs=$(deb_names "${guest_apt[@]}" "${packages[@]}")
	if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$debs" ] && [ "$stamp" -nt "$0" ]; then
		touch "$stamp"
		return
	fi

	step "Fetching $what of $release"
	download_debs "${guest_apt[@]}" "${packages[@]}" ||
		{ guest_update && download_debs "${guest_apt[@]}" "${packages[@]}"; } ||
		die "cannot download: ${packages[*]}"
	note "unpacking into ${dir#"$TOP/"}"
	rm -rf "$dir"
	mkdir -p "$dir"
	# shellcheck disable=SC2086
	unpack "$dir" $debs
	[[ $meta != linux-image-* ]] || prepare_boot "$dir"
	echo "$debs" >"$stamp"
}

flavours=''
if [ "${1-}" = --flavours ]; then
	flavours=$FLAVOURS
	shift
fi
select_kernels "$@"
machine=$(dpkg --print-architecture)
ensure_packages kmod xz-utils zstd
if [ -n "$flavours" ]; then
	for version in "${debians[@]}"; do
		for flavour in $flavours; do
			fetch "$version-$flavour" "$BUILD/flavours/$version-$flavour"
		done
	done
	exit
fi
for version in "${versions[@]}"; do
	if kernel_metapackage "$version" >/dev/null; then
		fetch "$version" "$BUILD/kernels/$version"
	else
		"$TOP/scripts/build-debug-kernel.sh" "$version"
	fi
done
