#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds build/VERSION/karray.ko from a mirror of the sources, so that the kernels
# don't share objects and the source tree stays clean. What did not change is
# neither copied nor compiled again.
#
# usage: compile_karray.sh [VERSION...]

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

sources() {
	cd "$TOP"
	find Kbuild Makefile drivers include probes -type f \
		\( -name Kbuild -o -name Makefile -o -name '*.[chS]' -o -name '*.sh' \) \
		! -name '*.mod.c' ! -name karray_probes.h | sort
}

# Make $1 the same as the source tree, and leave alone what make put there.
mirror() {
	local src=$1
	mkdir -p "$src"
	touch "$src.list"
	sources >"$src.list.new"
	(cd "$TOP" && xargs -r cp -pu --parents -t "$src") <"$src.list.new"
	(cd "$src" && comm -23 "$src.list" "$src.list.new" | xargs -r rm -fv)
	mv "$src.list.new" "$src.list"
}

compile() {
	local version=$1
	local src=$BUILD/$version/src kdir=$BUILD/kernels/$version/headers

	step "Compiling karray.ko for $version"
	mirror "$src"
	make -C "$src" --no-print-directory -j"$(nproc)" -s KDIR="$kdir" modules ||
		die "karray does not compile for $version"
	cp -pu "$src/karray.ko" "$BUILD/$version/"
}

select_kernels "$@"
ensure_packages make gcc gcc-12 libc6-dev libelf1 pahole
"$TOP/scripts/fetch_kernel.sh" "${versions[@]}"
for version in "${versions[@]}"; do
	compile "$version"
done
