#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds kernels that find bugs from Debian's source of Linux 6.12 and the fragments in
# scripts/kernel, small ones for guests of QEMU:
#
#   debug  KASAN, lockdep, kmemleak, UBSAN, debug objects, fault injection, gcov
#   kcsan  data races
#
# They are kept in ~/.cache/karray/kernels under a key made of the source's version, the
# fragments and the compiler, and build/kernels/NAME points there; it has
# the same files as a kernel that fetch_kernel.sh makes. Takes about ten minutes on two
# CPUs, and nothing where all is as it was.
#
# usage: build-debug-kernel.sh [NAME...]		both, unless said

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
help_asked "$@"
only_amd64

fragments=$TOP/scripts/kernel
source=$BUILD/source/6.12
tree=$BUILD/kernel-build	# one at a time, and gone when it's in the cache

# Modules are compiled with what the kernel's configuration says. Of the kernel itself only
# those parts are that karray's memory and objects are handed to: it's much faster so.
kasan_in='block drivers/acpi drivers/base drivers/dax fs/kernfs fs/sysfs kernel/locking lib mm'

# A variable of make's that is given to it has precedence over those of makefiles.
sanitized() {
	case $1 in
	debug)	echo "KASAN_SANITIZE=\$(if \$(filter $kasan_in,\$(obj)),y,n)" ;;
	kcsan)	echo KCSAN_SANITIZE=n ;;
	esac
}

key() {
	{
		deb_names linux-source-6.12
		gcc --version
		sanitized "$1"
		cat "$fragments/base.config" "$fragments/$1.config"
	} | sha256sum | cut -c -12
}

# Every line of the fragments must have come out: what a line depends on may be missing.
check_config() {
	local line absent=0
	while read -r line; do
		case $line in
		*' is not set')	! grep -q "^$(cut -d ' ' -f 2 <<<"$line")=" "$tree/.config" ;;
		*)		grep -qxF "$line" "$tree/.config" ;;
		esac || { echo "not in the configuration: $line" >&2; absent=1; }
	done < <(grep -hE '^(# )?CONFIG_' "$@")
	return $absent
}

# make for the kernel, which says little.
kmake() {
	make -C "$source" O="$tree" -s -j"$(nproc)" KBUILD_BUILD_TIMESTAMP=@0 \
		KBUILD_BUILD_USER=karray KBUILD_BUILD_HOST=karray "$@"
}

# A line every half minute: how many objects there are.
progress() {
	local begin=$SECONDS
	while sleep 30; do
		note "$((SECONDS - begin)) s: $(find "$tree" -name '*.o' | wc -l) objects"
	done
}

build() {
	local name=$1 into=$2 config=("$fragments/base.config" "$fragments/$1.config")

	"$TOP/scripts/fetch_source.sh" 6.12
	step "Building the kernel '$name' (about ten minutes on two CPUs)"
	rm -rf "$tree" "$into.new"
	mkdir -p "$tree" "$into.new"
	kmake tinyconfig
	(cd "$tree" && "$source/scripts/kconfig/merge_config.sh" -m .config "${config[@]}" >merge.log)
	kmake olddefconfig
	check_config "${config[@]}" || die "the kernel '$name' would not be what it should"

	progress &
	reporter=$!
	trap 'kill $reporter 2>/dev/null || true' EXIT
	kmake "$(sanitized "$name")" bzImage modules
	kill $reporter

	kmake INSTALL_MOD_PATH="$into.new" modules_install
	kmake run-command KBUILD_RUN_COMMAND="\$(srctree)/scripts/package/install-extmod-build $into.new/headers"
	cp "$tree/arch/x86/boot/bzImage" "$into.new/vmlinuz"
	unpack_kernel "$into.new/vmlinuz" >"$into.new/vmlinux"
	cp "$tree/.config" "$into.new/config"
	cp "$tree/System.map" "$into.new/"
	cat "$tree/include/config/kernel.release" >"$into.new/release"
	ln -s "lib/modules/$(cat "$into.new/release")" "$into.new/modules"
	rm -f "$into.new/modules/build"
	touch "$into.new/stamp"
	rm -rf "$into" "$tree"
	mv "$into.new" "$into"
}

make_kernel() {
	local name=$1 into
	into=$CACHE/kernels/$name-$(key "$name")
	if [ ! -e "$into/stamp" ] || [ ! -e "$into/vmlinux" ]; then
		build "$name" "$into"
	fi
	mkdir -p "$BUILD/kernels"
	# What was made for another kernel of this name may be newer than this one.
	[ "$(readlink "$BUILD/kernels/$version")" = "$into" ] ||
		rm -rf "$BUILD/$version"/{src,kmod,modules.cpio}
	ln -sfn "$into" "$BUILD/kernels/$name"
}

select_kernels "${*:-$DEBUG_KERNELS}"
ensure_packages gcc make flex bison bc libelf-dev libssl-dev cpio kmod perl xz-utils
apt_need_lists
for version in "${versions[@]}"; do
	make_kernel "$version"
done
