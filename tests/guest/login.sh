#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The guest's interactive shell (run.sh --shell). Powers the guest off at the end.

export HOME=/root
cd || exit
./install_karray.sh
cat <<END

This is the guest. Try:

  ./setup_karray.sh                load karray with its trace, and show its devices
  ./test_karray.sh                 open, ioctl, pread, pwrite, close
  mkfs.ext4 /dev/karrayb0 && mount /dev/karrayb0 /mnt
  ./remove_karray.sh               unload it

ctrl-a c switches to QEMU's monitor and back; exit powers the guest off.

END
PS1='guest:\w# ' bash --norc -i
poweroff -f
