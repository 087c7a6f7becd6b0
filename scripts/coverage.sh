#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Which lines and branches of karray the tests reach: builds the module for coverage,
# runs the tests on the debug kernel, and writes build/debug/coverage/lines.txt (what
# was not reached) and html/index.html (all, to look at). Results of earlier runs on the
# same sources count, too.
#
# usage: coverage.sh [TEST...]		all, unless said

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
help_asked "$@"
only_amd64

dir=$BUILD/debug/coverage
src=$BUILD/debug/src
with_branches=(--rc lcov_branch_coverage=1)

# The counts of one guest (frame.py has put them there), as DIR/info.
capture() {
	local file
	while read -r file; do
		ln -sf "$src/${file%.gcda}.gcno" "$1/${file%.gcda}.gcno"
	done < <(cd "$1" && find drivers -name '*.gcda')
	lcov -q "${with_branches[@]}" -c -d "$1" -b "$src" -o "$1/info"
}

# What is karray's: not the kernel's headers.
report() {
	local info args=()
	for info in "$dir"/*/info; do
		args+=(-a "$info")
	done
	[ ${#args[@]} -gt 0 ] || die "no test has left any counts in ${dir#"$TOP/"}"
	lcov -q "${with_branches[@]}" "${args[@]}" -o "$dir/all.info"
	lcov -q "${with_branches[@]}" -e "$dir/all.info" '*/drivers/*/karray*' -o "$dir/karray.info"
	genhtml -q "${with_branches[@]}" -p "$src" -o "$dir/html" "$dir/karray.info"
	lcov "${with_branches[@]}" --list "$dir/karray.info"
	# DA:LINE,COUNT below SF:FILE
	awk -F '[:,]' '
		$1 == "SF" { name = file = $2; sub(/.*\/src\//, "", name) }
		$1 == "DA" && $3 == 0 {
			while ((getline text < file) > 0 && ++n < $2) { }
			close(file); n = 0
			print name ":" $2 ":" text
		}' "$dir/karray.info" >"$dir/lines.txt"
	note "not reached: ${dir#"$TOP/"}/lines.txt, all: ${dir#"$TOP/"}/html/index.html"
}

ensure_packages lcov gcc
# Counts of other sources would be taken for those of these.
sum=$(cd "$TOP" && sources | xargs cat | sha256sum)
[ "$(cat "$dir/of" 2>/dev/null)" = "$sum" ] || rm -rf "$dir"
mkdir -p "$dir"
echo "$sum" >"$dir/of"

failed=0
COVERAGE=1 KERNEL=debug "$TOP/scripts/test.sh" "$@" || failed=1
step 'Counting what was reached'
for counts in "$dir"/*/drivers; do
	[ -e "$counts/../info" ] || capture "$(dirname "$counts")"
done
report
exit $failed
