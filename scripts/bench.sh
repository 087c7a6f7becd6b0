#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The benchmark: builds a guest that has karray and the kernel's other RAM disks, and
# runs scripts/bench/, which measures them there; --help tells its options.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

select_kernels "${KERNEL:-${KERNELS##* }}"
[ ${#versions[@]} = 1 ] || die "one kernel, please: ${KERNELS// / or }"

ensure_packages qemu-system-x86 python3 gnuplot-nox
case " $* " in
*' -h '* | *' --help '* | *' --report '* | *' --docs '*) ;;
*)	build_guest "${versions[0]}" ;;
esac
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$TOP/tests:$TOP/scripts exec \
	python3 -m bench --kernel "${versions[0]}" "$@"
