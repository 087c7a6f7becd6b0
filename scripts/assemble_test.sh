#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Puts together what the guest has besides Debian's programs: karray.ko, karrayctl (and
# the same with sanitizers, karrayctl-asan), the test programs and examples
# (tests/guest/*.c, examples/*.c; linked statically, but for those that use cmocka) and
# modules (tests/kmod/*.c), its scripts and the fio jobs, in build/VERSION/overlay.
#
# usage: assemble_test.sh [VERSION...]

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
help_asked "$@"

guest=$TOP/tests/guest
sources=("$guest"/*.c "$TOP"/examples/*.c)
programs=$BUILD/programs
warnings=(-Wall -Wextra -Werror)

# Is the program newer than everything that it is made from?
built() {
	local program=$1 part
	shift
	for part; do
		[ "$program" -nt "$part" ] || return
	done
}

# compile PROGRAM SOURCE [OPTION...]
compile() {
	local program=$1 source=$2
	shift 2
	built "$program" "$source" "$guest"/*.h "$TOP"/include/uapi/linux/*.h "$0" && return
	note "compiling ${source#"$TOP/"}"
	"$cc" -O2 "${warnings[@]}" -I"$TOP/include/uapi" -pthread -o "$program" "$source" "$@"
}

build_programs() {
	local source link=() cmocka=(-lcmocka)

	mkdir -p "$programs"
	# The package that links to another architecture's can't be installed: the library itself.
	[ "$ARCH" = amd64 ] || cmocka=("$BUILD"/rootfs/tree/usr/lib/*/libcmocka.so.0)
	for source in "${sources[@]}"; do
		link=(-static)
		! grep -q '"unit.h"' "$source" || link=("${cmocka[@]}")
		compile "$programs/$(basename "$source" .c)" "$source" "${link[@]}"
	done
	[ "$ARCH" = amd64 ] || return 0		# gcc makes no 32-bit programs
	# The headers are the same; only the package that would link to them from
	# where -m32 looks can't be installed beside cross compilers.
	compile "$programs/ioctl32" "$guest/ioctl.c" -static -m32 \
		-idirafter "/usr/include/$(gcc -print-multiarch)"
}

# Called by people, and by tests of it. There is none for another architecture, whose
# libraries' packages can't be installed beside those of this machine.
build_tools() {
	[ "$ARCH" = amd64 ] || return 0
	make -C "$TOP/tools" -s O="$programs/tools" CFLAGS='-O2 -Werror'
	make -C "$TOP/tools" -s O="$programs/tools-asan" CFLAGS='-O1 -g -Werror -fsanitize=address,undefined' \
		LDFLAGS='-static-libasan -static-libubsan'
}

build_modules() {
	local version=$1 dir=$BUILD/$1/kmod
	mkdir -p "$dir"
	cp -pu "$TOP"/tests/kmod/{Kbuild,*.c} "$dir/"
	make -C "$BUILD/kernels/$version/headers" M="$dir" --no-print-directory -s modules ||
		die "the tests' modules do not compile for $version"
}

assemble() {
	local version=$1 root=$BUILD/$1/overlay/root source

	rm -rf "$BUILD/$version/overlay"
	mkdir -p "$root"
	cp "$guest/init" "$root/../init"
	cp "$guest"/*.sh "$root/"
	for source in "${sources[@]}"; do
		cp "$programs/$(basename "$source" .c)" "$root/"
	done
	[ "$ARCH" != amd64 ] || cp "$programs/ioctl32" "$root/"
	cp -r "$TOP/fio-jobs" "$root/"
	if [ "$ARCH" = amd64 ]; then
		install -D -s "$programs/tools/karrayctl" "$root/../usr/sbin/karrayctl"
		install -s "$programs/tools-asan/karrayctl" "$root/karrayctl-asan"
		cp "$TOP/tools/karrayctl.bash-completion" "$root/"
	fi
	install -D -m 644 -t "$root/../etc/udev/rules.d" "$TOP"/udev/*.rules
	cp "$BUILD/$version/karray.ko" "$BUILD/$version/kmod"/*.ko "$root/"
}

select_kernels "$@"
ensure_packages "${compiler[@]}" make libcmocka-dev
if [ "$ARCH" = amd64 ]; then
	ensure_packages libc6-dev-i386 "lib32gcc-$(gcc -dumpversion)-dev" "${libraries[@]}"
else
	"$TOP/scripts/extract_rootfs.sh"
fi
build_programs
build_tools
for version in "${versions[@]}"; do
	[ -e "$BUILD/$version/karray.ko" ] || "$TOP/scripts/compile_karray.sh" "$version"
	build_modules "$version"
	assemble "$version"
done
