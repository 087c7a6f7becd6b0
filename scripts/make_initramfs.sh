#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes build/VERSION/initramfs.img, three archives one after the other: the base
# user space (made once), the kernel's modules (made once for a kernel), and the
# overlay with karray and its tests (made each time, and small).
#
# usage: make_initramfs.sh [VERSION...]

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
help_asked "$@"

modules=(
	virtio_pci virtio_console virtio_blk virtio_scsi sd_mod
	ext4 xfs vfat loop dm_mod dm_mirror raid1 md_mod crc32c_generic
	bfq kyber-iosched virtio_net nvme_tcp nvmet nvmet_tcp
)
# And what only amd64's tests and its benchmark have to do with.
[ "$ARCH" != amd64 ] || modules+=(
	crc32c_intel brd null_blk zram libnvdimm nd_pmem nfit device_dax dax_pmem dax_hmem kmem
)

# The files of a module and of all that it depends on; a built-in one has none. A debug
# kernel lacks those that serve the benchmark alone.
module_files() {
	modprobe --dirname "$BUILD/kernels/$1" --set-version "$release" \
		--show-depends "$2" 2>/dev/null | awk '$1 == "insmod" { print $2 }' ||
		! kernel_metapackage "$1" >/dev/null
}

make_modules() {
	local version=$1 dir=$BUILD/$1/modules archive=$BUILD/$1/modules.cpio
	local release module file into
	release=$(cat "$BUILD/kernels/$version/release")
	into=$dir/usr/lib/modules/$release	# /lib is a link to it

	if [ "$archive" -nt "$0" ] && [ "$archive" -nt "$BUILD/kernels/$version/stamp" ]; then
		return
	fi
	note "collecting the modules of $release"
	rm -rf "$dir"
	mkdir -p "$into"
	cp "$BUILD/kernels/$version/modules"/modules.{order,builtin,builtin.modinfo} "$into/"
	for module in "${modules[@]}"; do
		module_files "$version" "$module"
	done | sort -u | while read -r file; do
		case $file in
		*.xz)	xz -dc "$file" >"$into/$(basename "$file" .xz)" ;;
		*)	cp "$file" "$into/" ;;
		esac
	done
	depmod -b "$dir/usr" "$release"
	pack_cpio "$dir" "$archive"
}

make_initramfs() {
	local build=$BUILD/$1
	make_modules "$1"
	pack_cpio "$build/overlay" "$build/overlay.cpio"
	cat "$BUILD/rootfs/base.cpio" "$build/modules.cpio" "$build/overlay.cpio" >"$build/initramfs.img.new"
	mv "$build/initramfs.img.new" "$build/initramfs.img"
}

select_kernels "$@"
ensure_packages cpio kmod xz-utils
"$TOP/scripts/extract_rootfs.sh"
for version in "${versions[@]}"; do
	step "Making the initramfs for $version"
	[ -e "$BUILD/$version/overlay" ] || "$TOP/scripts/assemble_test.sh" "$version"
	make_initramfs "$version"
done
