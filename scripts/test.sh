#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The test suite: tests/host/*.t once, tests/vm/*.t in guests with each kernel.
#
# usage: test.sh [--short] [TEST...]
#
# TEST is the name or path of a test to run only that. KERNEL names the kernels, '6.1
# 6.12' unless said; debug and kcsan are those of build-debug-kernel.sh, which are slow.
# With --short kernels run what tests/lists says, as a guest of another ARCH (arm64) always
# does.
# Raw outputs go to build/VERSION/results and build/host/results; the last line counts
# the test points.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
help_asked "$@"

results=()
failed=0

# Prints the tests that tests/lists names in the line that begins with $1.
listed() {
	sed -n "s/^$1: *//p" "$TOP/tests/lists"
}

# Sets $tests to those of the directory tests/$1 that are to run, with the kernel $2.
choose() {
	local names="${only[*]}" but='' test name line=${2-}
	[ "$ARCH" = amd64 ] || line=$ARCH
	if [ -z "$names" ] && [ -n "$short" ]; then
		names=$(listed "$line")
		but=$(listed "not $line")
	fi
	tests=()
	for name in $(listed first) $(cd "$TOP/tests/$1" && basename -s .t ./*.t); do
		test=$TOP/tests/$1/$name.t
		[ -e "$test" ] || continue
		[[ " ${tests[*]} " != *" $test "* ]] || continue
		[ -z "$names" ] || [[ " $names " == *" $name "* ]] || continue
		[[ " $but " == *" $name "* ]] || tests+=("$test")
	done
}

run() {
	local dir=$1 test
	rm -rf "$dir"
	mkdir -p "$dir"
	for test in "${tests[@]}"; do
		results+=("$dir/$(basename "$test" .t).tap")
	done
	RESULTS=$dir prove --merge --timer -j$(($(nproc) + 1)) --exec "$TOP/scripts/run_test.sh" "${tests[@]}" || failed=1
}

# One at a time: they share build/, and guests have the names of their tests.
alone() {
	mkdir -p "$BUILD"
	exec 9>"$BUILD/lock"
	flock -n 9 || die "another test.sh is at work here: wait for its end"
}

short='' only=()
for word; do
	case $word in
	--short)	short=1 ;;
	*)		name=${word##*/} name=${name%.t}
			[[ " ${only[*]} " == *" $name "* ]] || only+=("$name") ;;
	esac
done
[ "$ARCH" = amd64 ] || short=1
for name in "${only[@]}" $(listed '[^#:]*'); do
	[ -e "$TOP/tests/host/$name.t" ] || [ -e "$TOP/tests/vm/$name.t" ] ||
		die "unknown test '$name', the known ones are: $(
		basename -s .t "$TOP"/tests/{host,vm}/*.t | sort -u | xargs)"
done

select_kernels ${KERNEL:+"$KERNEL"}
alone
ensure_packages perl python3 "${qemu[@]}" acpica-tools git fio gnuplot-nox g++
export PYTHONPATH=$TOP/tests:$TOP/scripts PYTHONDONTWRITEBYTECODE=1

choose host
if [ ${#tests[@]} -gt 0 ] && [ ${#debians[@]} -gt 0 ]; then
	# The build is tested against each kernel's headers, by the compilers that are
	# installed for the other builds.
	"$TOP/scripts/compile_karray.sh" "${debians[@]}"
	if [[ " ${tests[*]} " == */build.t* ]]; then
		"$TOP/scripts/fetch_kernel.sh" --flavours "${debians[@]}"
		ensure_packages "${libraries[@]}"
	fi
	# And the tools need packages, which two tests at once can't install.
	[[ " ${tests[*]} " != */check.t* ]] || "$TOP/scripts/check.sh" --prepare
	if [[ " ${tests[*]} " == */packages.t* ]]; then
		"$TOP/scripts/make_debian.sh" --prepare
		ensure_packages lintian
	fi
	step 'Tests on the host'
	run "$BUILD/host/results"
fi

for version in "${versions[@]}"; do
	choose vm "$version"
	[ ${#tests[@]} -gt 0 ] || continue
	begin=$SECONDS
	build_guest "$version"
	[[ " ${tests[*]} " != */systemd.t* ]] || "$TOP/scripts/make_debian.sh" --prepare
	step "Tests with kernel $version"
	KARRAY_KERNEL=$version run "$BUILD/$version/results"
	note "kernel $version took $((SECONDS - begin)) s"
done

python3 -m harness.count "${results[@]}" || failed=1
exit "$failed"
