#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds build/VERSION/karray.ko from a mirror of the sources, so that the kernels
# don't share objects and the source tree stays clean. What did not change is
# neither copied nor compiled again. With COVERAGE set the module counts what is reached
# (scripts/coverage.sh).
#
# usage: compile_karray.sh [VERSION...]

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
help_asked "$@"

compile() {
	local version=$1
	local src=$BUILD/$version/src kdir=$BUILD/kernels/$version/headers

	step "Compiling karray.ko for $version"
	mirror_sources "$src"
	make -C "$src" --no-print-directory -j"$(nproc)" -s KDIR="$kdir" \
		${COVERAGE:+GCOV_PROFILE=y} modules ||
		die "karray does not compile for $version"
	cp -pu "$src/karray.ko" "$BUILD/$version/"
}

select_kernels "$@"
ensure_packages make "${compiler[@]}" libelf1 pahole
"$TOP/scripts/fetch_kernel.sh" "${versions[@]}"
for version in "${versions[@]}"; do
	compile "$version"
done
