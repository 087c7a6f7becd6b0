#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The benchmark: builds a guest that has karray and the kernel's other RAM disks, and
# runs scripts/bench/, which measures them there; --help tells its options.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
only_amd64

select_kernels "${KERNEL:-${KERNELS##* }}"
[ ${#versions[@]} = 1 ] || die "one kernel, please: ${KERNELS// / or }"

[ ${#debians[@]} = 1 ] || die "the others that it's compared with need one of Debian's kernels: ${KERNELS// / or }"

ensure_packages python3
export KARRAY_KERNEL=${versions[0]} PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$TOP/tests:$TOP/scripts
python3 -m bench --check "$@"
case " $* " in
*' -h '* | *' --help '*)
	exit ;;
*' --report '* | *' --docs '*)
	ensure_packages gnuplot-nox ;;
*)	ensure_packages qemu-system-x86 gnuplot-nox
	build_guest "${versions[0]}" ;;
esac
exec python3 -m bench "$@"
