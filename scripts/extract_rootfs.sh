#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the guest's user space, build/rootfs/base.cpio, from Debian packages: the
# programs of the packages named here, and the shared libraries that they ask for.
# No root, no mounts, no maintainer scripts.
#
# usage: extract_rootfs.sh

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
help_asked "$@"

packages=(
	bash busybox-static coreutils dash grep sed ncurses-base
	util-linux mount fdisk kmod udev e2fsprogs xfsprogs fio qemu-guest-agent
	lvm2 dmsetup mdadm nvme-cli libcmocka0
	libgcc-s1	# libpthread loads it at run time
)

# Of no use in the guest; xfs_scrub would bring 30 MB of Unicode tables, and udev has
# 10 MB about keyboards, mice and the like.
unwanted=(usr/share usr/lib/systemd usr/lib/udev/hwdb.d etc/init.d usr/sbin/xfs_scrub)

rootfs=$BUILD/rootfs
tree=$rootfs/tree
debs=$CACHE/debs

# apt as on a machine with nothing installed, so that it finds every dependency.
apt_bare() {
	apt-get -y -qq --no-install-recommends \
		-o Dir::State::status=/dev/null -o Dir::Cache::archives="$debs" \
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
		-o Debug::NoLocking=1 -o APT::Sandbox::User=root \
		"${guest_apt[@]}" install "${packages[@]}" "$@"
}

# Prints "PACKAGE FILE" for each package that apt would install.
resolve() {
	apt_bare --simulate | awk '$1 == "Inst" {
		gsub(/[(]/, "", $3)
		gsub(/:/, "%3a", $3)
		match($0, /\[[a-z0-9]+\]\)/)
		print $2, $2 "_" $3 "_" substr($0, RSTART + 1, RLENGTH - 3) ".deb"
	}'
}

# A tree with merged /usr, as in Debian; tar must not undo its links.
new_tree() {
	local dir
	rm -rf "$1"
	for dir in bin sbin lib lib64; do
		mkdir -p "$1/usr/$dir"
		ln -s "usr/$dir" "$1/$dir"
	done
}

# What was asked for goes into the tree, what that depends on is put beside it.
unpack() {
	local package file dir
	new_tree "$tree"
	new_tree "$rootfs/rest"
	while read -r package file; do
		dir=$rootfs/rest
		[[ " ${packages[*]} " != *" $package "* ]] || dir=$tree
		dpkg --fsys-tarfile "$debs/$file" |
			tar x -C "$dir" --no-same-owner --keep-directory-symlink
	done <"$1"
}

# The libraries that the ELF files among the arguments ask for, without a path.
needed() {
	readelf -d "$@" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u
}

# Copy the shared libraries that the tree's programs need, and what those need.
add_libraries() {
	local files libs lib path
	mapfile -t files < <(find "$tree/usr" -type f \( -perm -100 -o -name '*.so*' \))
	while [ ${#files[@]} -gt 0 ]; do
		mapfile -t libs < <(needed "${files[@]}")
		files=()
		for lib in "${libs[@]}"; do
			[ -z "$(find "$tree/usr/lib" -name "$lib")" ] || continue
			path=$(cd "$rootfs/rest" && find usr/lib -name "$lib" -print -quit)
			[ -n "$path" ] || die "no package has $lib"
			(cd "$rootfs/rest" && cp -L --parents "$path" "$tree")
			files+=("$tree/$path")
		done
	done
	# The programs' interpreter.
	(cd "$rootfs/rest" && cp -P --parents usr/lib{,64}/ld-linux-*.so* "$tree")
}

# Tables of Unicode, 30 MB, that a library of a library of fio's asks for, and in which
# nobody looks anything up.
empty_unicode() {
	local lib
	lib=$(find "$tree/usr/lib" -name 'libicudata.so.*')
	echo "const char icudt${lib##*.}_dat[64];" |
		"$cc" -shared -nostdlib "-Wl,-soname,${lib##*/}" -o "$lib" -x c -
}

# busybox stands in for every program that has no better version. Which there are stands
# in it, one after the other, for it may not run here.
add_busybox() {
	local applet applets
	applets=$(tr '\0' '\n' <"$tree/bin/busybox" | LC_ALL=C sed -n '/^\[\[$/,/^$/{/./p}')
	[[ $applets == *$'\n'cat$'\n'* ]] || die "busybox names no programs"
	for applet in $applets; do
		[ -e "$tree/bin/$applet" ] || [ -e "$tree/sbin/$applet" ] ||
			ln -s busybox "$tree/bin/$applet"
	done
}

remove_unwanted() {
	(cd "$tree" && rm -rf "${unwanted[@]}")
	grep -lrE '^#! ?/usr/bin/(python|perl)' "$tree/usr/bin" "$tree/usr/sbin" | xargs -r rm
}

finish() {
	ln -sf dash "$tree/bin/sh"
	mkdir -p "$tree"/{dev,etc,mnt,proc,root,run,sys,tmp,var}
	ln -sfn ../run "$tree/var/run"
	ln -sfn ../proc/self/mounts "$tree/etc/mtab"
	echo 'root:x:0:0:root:/root:/bin/bash' >"$tree/etc/passwd"
	echo 'root:x:0:' >"$tree/etc/group"
}

ensure_packages binutils cpio "${compiler[@]}"
up_to_date "$rootfs/debs" && exit

guest_need_lists
mkdir -p "$rootfs" "$debs/partial"
resolve >"$rootfs/debs.new" || { guest_update && resolve >"$rootfs/debs.new"; } ||
	die "cannot resolve the guest's packages"
if cmp -s "$rootfs/debs.new" "$rootfs/debs" && [ "$rootfs/debs" -nt "$0" ]; then
	touch "$rootfs/debs"
	exit
fi

step "Making the guest's user space from $(wc -l <"$rootfs/debs.new") packages"
apt_bare --download-only || { guest_update && apt_bare --download-only; } ||
	die "cannot download the guest's packages"
rm -f "$rootfs/debs"
unpack "$rootfs/debs.new"
remove_unwanted
add_libraries
empty_unicode
add_busybox
finish
pack_cpio "$tree" "$rootfs/base.cpio"
rm -rf "$rootfs/rest"
mv "$rootfs/debs.new" "$rootfs/debs"
touch "$rootfs/debs"
note "$(du -h "$rootfs/base.cpio" | cut -f 1) in ${rootfs#"$TOP/"}/base.cpio"
