#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# karray in one command: installs what is missing, builds the module and a guest,
# boots it with a 2 GiB DIMM and shows what karray does with it.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
	usage: run.sh [--kernel VERSION] [--shell]

	  --kernel VERSION  the guest's kernel: ${KERNELS// / or } (default: ${KERNELS##* })
	  --shell           an interactive guest instead of the demonstration;
	                    ctrl-a c switches between its console and QEMU's monitor

	While the guest runs, tail -f klogs/ftrace/ftrace.log shows its karray trace.
	END
}

kernel=${KERNEL:-${KERNELS##* }}
options=()
while [ $# -gt 0 ]; do
	case $1 in
	--kernel)	kernel=${2-}; shift ;;
	--kernel=*)	kernel=${1#*=} ;;
	--shell)	options+=(--shell) ;;
	-h | --help)	usage; exit ;;
	*)		usage >&2; exit 2 ;;
	esac
	shift || true
done
select_kernels "$kernel"
if [ -z "$kernel" ] || [ ${#versions[@]} != 1 ]; then
	die "one kernel, please: ${KERNELS// / or }"
fi
kernel=${versions[0]}

ensure_packages "${qemu[@]}" python3
build_guest "$kernel"
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$TOP/tests exec \
	python3 "$TOP/scripts/run_demo.py" --kernel "$kernel" "${options[@]}"
