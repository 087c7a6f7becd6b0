# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# What the scripts here share: paths, messages, packages, and which kernels there
# are. To be sourced; needs only bash, coreutils and apt.

set -euo pipefail
shopt -s inherit_errexit nullglob

TOP=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
BUILD=$TOP/build					# everything that is made, for amd64
CACHE=${XDG_CACHE_HOME:-${HOME:-$TOP/build}/.cache}/karray		# downloaded packages
ARCH=${ARCH:-amd64}					# of the guest, Debian's name
KERNELS='6.1 6.12'					# Debian's; the last one is the default
FLAVOURS='rt cloud'					# Debian's others of these, to compile for
DEBUG_KERNELS='debug kcsan'				# our own, see build-debug-kernel.sh

# Messages ------------------------------------------------------------------

if [ -t 1 ]; then
	bold=$'\e[1m' plain=$'\e[0m'
else
	bold='' plain=''
fi

step() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '    %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# The kernel's build splits paths at spaces.
[[ $TOP$CACHE != *' '* ]] || die "the kernel's build can't do with the space in '$TOP' or '$CACHE'"

# What depends on the guest's architecture; but for the machine itself, which
# tests/harness/vm.py knows.
case $ARCH in
amd64)
	export -n ARCH		# which the kernel's makefiles call x86
	cc=gcc
	compiler=(gcc gcc-12 libc6-dev)
	qemu=(qemu-system-x86)
	;;
arm64)
	export ARCH CROSS_COMPILE=aarch64-linux-gnu-
	BUILD=$BUILD/$ARCH
	cc=${CROSS_COMPILE}gcc
	compiler=(gcc-aarch64-linux-gnu gcc-12-aarch64-linux-gnu libc6-dev-arm64-cross)
	qemu=(qemu-system-arm qemu-efi-aarch64)
	;;
*)
	die "unknown ARCH '$ARCH', the known ones are Debian's names amd64 and arm64 (unset is amd64)"
	;;
esac

# What karrayctl is built with.
libraries=(pkg-config libsmartcols-dev libmount-dev libblkid-dev libudev-dev)

# For what is made or measured on amd64 alone.
only_amd64() {
	[ "$ARCH" = amd64 ] || die "not for $ARCH: unset ARCH"
}

# --help: a script's head is its manual.
help_asked() {
	case " $* " in
	*' -h '* | *' --help '*)
		sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
		exit ;;
	esac
}

# Kernels -------------------------------------------------------------------

# Debian's meta-package for a kernel of ours, or (VERSION-FLAVOUR) for the headers of
# another flavour: the one place that knows them.
kernel_metapackage() {
	case $1 in
	6.1)	echo "linux-image-$ARCH" ;;
	6.12)	echo "linux-image-6.12-$ARCH" ;;
	6.1-*)	echo "linux-headers-${1#*-}-$ARCH" ;;
	6.12-*)	echo "linux-headers-$1-$ARCH" ;;
	*)	return 1 ;;
	esac
}

# Sets $versions, the kernels to work on: the arguments, or those that KERNEL names, or
# all of Debian's; and $debians, those of them that are Debian's.
select_kernels() {
	local version
	debians=()
	read -ra versions <<<"${*:-${KERNEL:-$KERNELS}}"
	for version in "${versions[@]}"; do
		[[ " $KERNELS $DEBUG_KERNELS " == *" $version "* ]] ||
			die "unknown kernel '$version', the known ones are: $KERNELS $DEBUG_KERNELS"
		! kernel_metapackage "$version" >/dev/null || debians+=("$version")
	done
}

# Packages ------------------------------------------------------------------

can_be_root() {
	[ "$(id -u)" = 0 ] || command -v sudo >/dev/null
}

as_root() {
	can_be_root || die "this needs root, and there is no sudo: $*"
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

apt_update() {
	can_be_root || { note 'the package lists are not updated: no root, and no sudo'; return 1; }
	note 'updating the package lists'
	as_root apt-get -qq update
}

apt_lists=/var/lib/apt/lists

apt_need_lists() {
	local lists=("$apt_lists"/*_Packages*)
	[ ${#lists[@]} -gt 0 ] || apt_update
}

# Options for apt where it is asked for the guest's packages. For another architecture
# they give it lists of its own, so that the machine's apt and dpkg need not know of it.
guest_lists=$CACHE/lists/$ARCH
guest_apt=()
[ "$ARCH" = amd64 ] || guest_apt=(
	-o APT::Architecture="$ARCH" -o APT::Architectures::="$ARCH"
	-o APT::Architectures::="$(dpkg --print-architecture)"	# of the kernel's tools
	-o Dir::State::lists="$guest_lists" -o Dir::State::status=/dev/null
	-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
	-o Acquire::Languages=none -o APT::Sandbox::User=root
)

guest_update() {
	[ ${#guest_apt[@]} -gt 0 ] || { apt_update; return; }
	note "updating the package lists for $ARCH"
	mkdir -p "$guest_lists/partial"
	apt-get -qq "${guest_apt[@]}" update
	touch "$guest_lists"
}

# Lists that are older than the machine's are too old.
guest_need_lists() {
	[ ${#guest_apt[@]} -gt 0 ] || { apt_need_lists; return; }
	local lists=("$guest_lists"/*_Packages*)
	if [ ${#lists[@]} = 0 ] || [ "$apt_lists" -nt "$guest_lists" ]; then
		guest_update
	fi
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends install "$@" |
		sed -un 's/^Setting up/    &/p'
}

# Install what is missing of these packages. Costs next to nothing when all are
# there. Mirrors drop old versions, so a failure may only mean old lists.
ensure_packages() {
	local installed package missing=()

	installed=$(dpkg-query -W -f '${Package}=${db:Status-Status}\n' "$@" 2>/dev/null) || true
	for package; do
		[[ $'\n'$installed$'\n' == *$'\n'$package=installed$'\n'* ]] || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0

	can_be_root ||
		die "packages are missing, and there is no sudo to install them: ${missing[*]}"
	step "Installing packages: ${missing[*]}"
	apt_need_lists
	apt_install "${missing[@]}" || { apt_update && apt_install "${missing[@]}"; } ||
		die "cannot install: ${missing[*]}"
}

# Prints the file names of these packages; they name the versions, too.
deb_names() {
	apt-get -qq --print-uris download "$@" | awk '{ print $2 }'
}

# Download what is missing of these packages to the cache. As root, apt would like to
# change to a user who cannot write there.
download_debs() {
	mkdir -p "$CACHE/debs" || die "cannot write to $CACHE (XDG_CACHE_HOME chooses another place)"
	(cd "$CACHE/debs" && apt-get -q -o APT::Sandbox::User=root download "$@")
}

# Is STAMP newer than the script that made it and than what apt knows?
up_to_date() {
	local stamp=$1
	[ "$stamp" -nt "$0" ] && [ "$stamp" -nt "$TOP/scripts/lib.sh" ] &&
		[ ! "$apt_lists" -nt "$stamp" ]
}

# The module's sources ------------------------------------------------------

sources() {
	cd "$TOP"
	find Kbuild Makefile VERSION drivers include probes -type f \
		\( -name Kbuild -o -name Makefile -o -name VERSION -o -name '*.[chS]' -o -name '*.sh' \) \
		! -name '*.mod.c' ! -name karray_probes.h | sort
}

# Make the directory $1 the same as the source tree, and leave alone what make put there.
mirror_sources() {
	local src=$1
	mkdir -p "$src"
	touch "$src.list"
	sources >"$src.list.new"
	(cd "$TOP" && xargs -r cp -pu --parents -t "$src") <"$src.list.new"
	(cd "$src" && comm -23 "$src.list" "$src.list.new" | xargs -r rm -fv)
	mv "$src.list.new" "$src.list"
}

# Archives ------------------------------------------------------------------

# Pack the directory $1 as the initramfs archive $2, padded so that others can be
# appended.
pack_cpio() {
	(cd "$1" && find . -mindepth 1 -print0 | sort -z |
		cpio -0 -o -H newc -R 0:0 --quiet) >"$2.new"
	truncate -s %512 "$2.new"
	mv "$2.new" "$2"
}

# Guests --------------------------------------------------------------------

# Prints the ELF file that a kernel image contains. QEMU boots that as well (PVH), and
# does without the image's own decompression, which takes longer than all the rest of the
# boot under emulation.
unpack_kernel() {
	local image=$1 sectors offset length begin unpack
	# Of the header: setup_sects, payload_offset, payload_length.
	read -r sectors < <(od -An -tu1 -j 0x1f1 -N 1 "$image")
	read -r offset length < <(od -An -tu4 -j 0x248 -N 8 "$image")
	begin=$(((sectors + 1) * 512 + offset))
	case $(od -An -tx1 -j "$begin" -N 2 "$image") in
	' fd 37')	unpack='xz -dc'; length=$((length - 4)) ;;	# its size comes after it
	' 28 b5')	unpack='zstd -dc'; length=$((length - 4)) ;;
	' 1f 8b')	unpack='gzip -dc' ;;
	*)		die "$image is compressed in an unknown way" ;;
	esac
	head -c $((begin + length)) "$image" | tail -c +$((begin + 1)) | $unpack
}

# All that is needed to boot a guest with these kernels.
build_guest() {
	"$TOP/scripts/fetch_kernel.sh" "$@"
	"$TOP/scripts/compile_karray.sh" "$@"
	"$TOP/scripts/assemble_test.sh" "$@"
	"$TOP/scripts/make_initramfs.sh" "$@"
}
