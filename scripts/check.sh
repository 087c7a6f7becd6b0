#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The static tools, each of which must have nothing to say:
#
#   the module: gcc and clang (builds with W=1), sparse (C=2), on each kernel;
#       analyzer (clang's), coccinelle (the kernel's semantic patches)
#   programs: fanalyzer (gcc's), sanitizers (of addresses and undefined behaviour)
#   all of C: checkpatch (--strict)
#   scripts: shellcheck, pyflakes
#   manual pages: groff
#   everything: codespell
#
# usage: check.sh [TOOL...]		all, unless said
#        check.sh --list		the tools' names
#        check.sh --prepare		only installs and fetches what the tools need
#
# KERNEL=6.1 or 6.12 limits it to one kernel.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
help_asked "$@"
only_amd64

tools=(gcc clang sparse analyzer coccinelle checkpatch fanalyzer sanitizers
       shellcheck pyflakes groff codespell)
packages=(make gcc gcc-12 libc6-dev libelf1 pahole git perl python3 libcmocka-dev
	  "${libraries[@]}" clang lld llvm sparse shellcheck pyflakes3 groff-base codespell
	  coccinelle libpython3-dev)	# whose scripts are in Python: it looks for the library
work=$BUILD/check
linux=$BUILD/source/6.12
newest=6.12		# where one kernel will do

# Files ---------------------------------------------------------------------

# The repository's files that match the patterns, or all.
files() {
	git -C "$TOP" -c safe.directory='*' ls-files -co --exclude-standard -- "$@" |
		while read -r file; do
			if [ -f "$file" ] && [ ! -L "$file" ]; then echo "$file"; fi
		done
}

# Those that begin like the pattern.
files_beginning() {
	files | while read -r file; do
		# shellcheck disable=SC2053
		[[ $(head -n 1 "$file" | tr -d '\0') != $1 ]] || echo "$file"
	done
}

# One of many arguments or lines of input for each of the commands run at a time.
in_parallel() {
	xargs -r -d '\n' -n "$1" -P "$(nproc)" "${@:2}"
}

# Compilers -----------------------------------------------------------------

# make for the module, with the kernel $1 in $2; a warning is as bad as an error.
kmake() {
	local version=$1 dir=$2 output
	shift 2
	output=$(make -C "$dir" --no-print-directory -j"$(nproc)" -s \
		 KDIR="$BUILD/kernels/$version/headers" "$@" modules 2>&1) &&
		! grep -qiE 'warning|error' <<<"$output" && return
	printf '%s\n' "kernel $version:" "$output"
	return 1
}

# A build that begins with nothing, since a compiler warns only when it compiles.
fresh() {
	rm -rf "$1"
	mirror_sources "$1"
}

check_gcc() {
	local version failed=0
	for version in "${versions[@]}"; do
		fresh "$work/gcc-$version"
		kmake "$version" "$work/gcc-$version" W=1 || failed=1
	done
	return $failed
}

# Debian configured these kernels for gcc. So what the configuration says of the compiler,
# and the options that clang doesn't have, must be different. With 6.12's headers clang
# warns of gcc's named address spaces (__seg_gs), which it has as macros.
clang_config=(
	CC=clang CONFIG_CC_IS_GCC= CONFIG_CC_IS_CLANG=y CONFIG_GCC_VERSION=0
	CONFIG_CLANG_VERSION=140006 CONFIG_CC_IMPLICIT_FALLTHROUGH=-Wimplicit-fallthrough
	CONFIG_FTRACE_MCOUNT_USE_CC= CONFIG_INIT_STACK_ALL_ZERO=
	CONFIG_RETHUNK= CONFIG_MITIGATION_RETHUNK= CONFIG_SLS= CONFIG_MITIGATION_SLS=
	KCFLAGS='-Wno-unknown-warning-option -Wno-duplicate-decl-specifier'
)

check_clang() {
	local version failed=0
	for version in "${versions[@]}"; do
		fresh "$work/clang-$version"
		kmake "$version" "$work/clang-$version" W=1 "${clang_config[@]}" || failed=1
	done
	return $failed
}

# The kernel's build runs CHECK with the compiler's arguments on each file.
check_sparse() {
	local version failed=0
	for version in "${versions[@]}"; do
		mirror_sources "$work/gcc-$version"
		kmake "$version" "$work/gcc-$version" W=1 C=2 || failed=1
	done
	return $failed
}

# A macro of the kernel's for paravirt calls begins with registers that have no value.
check_analyzer() {
	local flags='--analyze --analyzer-output text -Xclang -analyzer-werror -o /dev/null'
	flags+=' -Xclang -analyzer-disable-checker -Xclang core.uninitialized.Assign'
	mirror_sources "$work/clang-$newest"
	kmake $newest "$work/clang-$newest" W=1 "${clang_config[@]}" \
		C=2 CHECK=clang CHECKFLAGS="$flags"
}

# Succeeds if there is no input, else shows that.
none() {
	! grep .
}

# The kernel's own tools ----------------------------------------------------

# Prints what a semantic patch finds, which its exit status doesn't tell.
spatch_report() {
	local options log=$work/${1##*/}.log
	options=$(sed -n 's,^// Options: *,,p' "$1")
	# shellcheck disable=SC2086
	spatch -D report --very-quiet --no-show-diff $options -I include \
		--cocci-file "$1" --dir drivers 2>"$log" ||
		{ echo "${1##*/} failed:"; cat "$log"; }
}

# Left out are scripts in OCaml, which want its compiler: one for a single driver, and
# one for pointers compared with 0, which sparse sees.
check_coccinelle() {
	export -f spatch_report
	export work
	# shellcheck disable=SC2016
	grep -lrx 'virtual report' "$linux/scripts/coccinelle" | xargs grep -L ':ocaml' | sort |
		in_parallel 1 bash -c 'spatch_report "$1"' spatch | none
}

# Not said of the module:
#   MACRO_ARG_REUSE: a loop over pages has its cursor thrice, as the kernel's loops do
#   CONST_STRUCT: a struct bus_type isn't const on 6.1
# nor of its tracepoints, written like all tracepoints:
#   PARENTHESIS_ALIGNMENT, OPEN_ENDED_LINE
# nor of the header for programs, which have no BIT():
#   BIT_MACRO
# nor of programs, which don't have the kernel's types, macros and header files:
#   PREFER_KERNEL_TYPES, PREFER_DEFINED_ATTRIBUTE_MACRO, BIT_MACRO
#   VOLATILE: reads that shall happen, of memory that others change
#   CAMELCASE: C11's and cmocka's names; AVOID_EXTERNS: QEMU's functions
#   EMBEDDED_FILENAME: the example tells how to use it
#   ENOSYS, STRCPY, EMBEDDED_FUNCTION_NAME: rules for the kernel's own interfaces and log
#   MACRO_ARG_REUSE, MULTIPLE_ASSIGNMENTS: the number of an array's elements, a result in two
# whose lines may be a little longer.
#
# checkpatch leaves a file where it is started, and does much more in a git repository.
style() {
	cd "$work"
	sed "s,^,$TOP/," | in_parallel 4 "$linux/scripts/checkpatch.pl" --root="$linux" --strict --terse \
		--no-summary --show-types --ignore "$1" "${@:2}" -f
}

check_checkpatch() {
	local programs=PREFER_KERNEL_TYPES,PREFER_DEFINED_ATTRIBUTE_MACRO,BIT_MACRO
	programs+=,VOLATILE,CAMELCASE,AVOID_EXTERNS,EMBEDDED_FILENAME,ENOSYS,STRCPY
	programs+=,EMBEDDED_FUNCTION_NAME,MACRO_ARG_REUSE,MULTIPLE_ASSIGNMENTS
	{
		files '*.[ch]' ':!include/trace' ':!include/uapi' "${userspace[@]/#/:!}" |
			style MACRO_ARG_REUSE,CONST_STRUCT
		files include/uapi | style BIT_MACRO
		files include/trace | style PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE
		files "${userspace[@]}" | style "$programs" --max-line-length=110
	} | none
}

# Programs ------------------------------------------------------------------

userspace=('tests/guest/*.[ch]' 'examples/*.[ch]' 'scripts/bench/*.[ch]' 'tools/*.[ch]')
cflags=(-Wall -Wextra -Werror -Iinclude/uapi -pthread '-DKARRAY_VERSION="0"')

check_fanalyzer() {
	local flags
	read -ra flags < <(pkg-config --cflags smartcols mount blkid libudev)
	files "${userspace[@]/%\[ch]/c}" |
		in_parallel 1 gcc -O1 -fanalyzer "${cflags[@]}" "${flags[@]}" -c -o /dev/null 2>&1 | none
}

# Those that take a plain file for the memory run as well, and do what they should. The
# sanitizers' library wants to be the first. (karrayctl is run with them in guests.)
sanitized_runs() {
	local dir=$work/sanitizers file=$work/sanitizers/memory
	unset LD_PRELOAD
	truncate -s 4M "$file"
	"$dir/pio" w "$file" 4096 65536 && "$dir/pio" -c r "$file" 4096 65536 &&
		"$dir/touch_file" -w "$file" 0 4095 1048576 &&
		"$dir/fault" "$file" 4194304 2
}

# gcc_sanitized SOURCE. Warnings are for the other builds: the checks make gcc doubt more.
gcc_sanitized() {
	local name=${1##*/} link=()
	! grep -q '"unit.h"' "$1" || link=(-lcmocka)
	gcc -O1 -g -fsanitize=address,undefined "${cflags[@]}" -w \
	    -o "$work/sanitizers/${name%.c}" "$1" "${link[@]}"
}

check_sanitizers() {
	local source output
	mkdir -p "$work/sanitizers"
	while read -r source; do
		gcc_sanitized "$source" || return
	done < <(files "${userspace[@]/%\[ch]/c}" ':!scripts/bench' ':!tools')
	output=$(sanitized_runs 2>&1) && ! grep -q 'differs\|runtime error' <<<"$output" && return
	printf '%s\n' "$output"
	return 1
}

# Scripts and words ---------------------------------------------------------

check_shellcheck() {
	{ files_beginning '#!*sh'; files scripts/lib.sh '*.bash-completion'; } |
		in_parallel 8 shellcheck -x -P SCRIPTDIR
}

check_pyflakes() {
	{ files_beginning '#!*python3'; files '*.py'; } | sort -u | in_parallel 20 pyflakes3
}

# As man formats them, with all warnings.
check_groff() {
	files 'man/*' | in_parallel 1 groff -man -Tutf8 -wall -z 2>&1 | none
}

# iput() is the kernel's; nd, fro and debians are names in scripts.
check_codespell() {
	files | in_parallel 100 codespell --ignore-words-list iput,nd,fro,debians --ignore-regex ".*codespell:ignore"
}

# ---------------------------------------------------------------------------

prepare() {
	ensure_packages "${packages[@]}"
	"$TOP/scripts/fetch_kernel.sh" "${versions[@]}" "$newest"
	"$TOP/scripts/fetch_source.sh" 6.12
	mkdir -p "$work"
}

if [ "${1-}" = --list ]; then
	printf '%s\n' "${tools[@]}"
	exit
fi
for tool; do
	[[ " ${tools[*]} --prepare " == *" $tool "* ]] ||
		die "unknown tool '$tool', the known ones are: ${tools[*]}"
done
select_kernels ${KERNEL:+"$KERNEL"}
# The others have Debian's source, and no more to tell.
versions=("${debians[@]}")
[ ${#versions[@]} -gt 0 ] || die "KERNEL='$KERNEL' has none of Debian's kernels: $KERNELS"
prepare
[ "${1-}" != --prepare ] || exit 0
[ $# -gt 0 ] || set -- "${tools[@]}"

cd "$TOP"
failed=()
for tool; do
	step "$tool"
	begin=$SECONDS
	if "check_$tool"; then
		note "nothing found, $((SECONDS - begin)) s"
	else
		failed+=("$tool")
	fi
done
[ ${#failed[@]} = 0 ] || die "not clean: ${failed[*]}"
