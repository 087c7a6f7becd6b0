# SPDX-License-Identifier: GPL-2.0
#
# For people; the kernel's build system reads Kbuild.

KERNELRELEASE ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KERNELRELEASE)/build

# What is given on the command line (V=, C=, W=, KERNELRELEASE=) goes along.
kbuild = $(MAKE) -C $(KDIR) M=$(CURDIR)

modules: headers-there
	+$(kbuild) modules

install: modules
	+$(kbuild) INSTALL_MOD_PATH='$(if $(DESTDIR),$(abspath $(DESTDIR)))' INSTALL_MOD_DIR=updates modules_install

# As in the kernel: what programs are compiled with goes to DIR/include.
INSTALL_HDR_PATH ?= $(DESTDIR)/usr

headers_install:
	install -D -m 644 include/uapi/linux/karray.h \
		'$(INSTALL_HDR_PATH)/include/linux/karray.h'

# karrayctl, and what goes with it.
tools:
	$(MAKE) -C tools

sysconfdir ?= /etc
mandir ?= /usr/share/man
udevdir ?= /usr/lib/udev
unitdir ?= /usr/lib/systemd/system
completiondir ?= /usr/share/bash-completion/completions

# What goes where, FILE:PLACE.
placed = $(foreach page,$(wildcard man/*),$(page):$(mandir)/man$(subst .,,$(suffix $(page)))/$(notdir $(page))) \
	tools/karrayctl.bash-completion:$(completiondir)/karrayctl \
	udev/60-karray.rules:$(udevdir)/rules.d/60-karray.rules \
	systemd/karray@.service:$(unitdir)/karray@.service

install-tools: tools
	$(MAKE) -C tools install
	for file in $(placed); do \
		install -D -m 644 "$${file%%:*}" '$(DESTDIR)'"$${file#*:}" || exit; \
	done
	test -e '$(DESTDIR)$(sysconfdir)/karray.conf' || \
		install -D -m 644 examples/karray.conf '$(DESTDIR)$(sysconfdir)/karray.conf'

# What was installed, but for the configuration.
uninstall: headers-there
	release=$$(sed -n 's/.* UTS_RELEASE "\(.*\)"/\1/p' '$(KDIR)/include/generated/utsrelease.h') && \
	rm -f '$(DESTDIR)/lib/modules/'"$$release"/updates/karray.ko*

uninstall-tools:
	$(MAKE) -C tools uninstall
	for file in $(placed); do rm -f '$(DESTDIR)'"$${file#*:}" || exit; done

clean: headers-there
	+$(kbuild) clean
	$(if $(wildcard tools/Makefile),$(MAKE) -C tools clean)

headers-there:
	@case '$(CURDIR)' in *' '*) \
		echo "karray: the kernel's build can't do with the space in" \
		     "'$(CURDIR)': move this directory" >&2; exit 1;; esac
	@test -f '$(KDIR)/Makefile' || { \
		echo 'karray: no kernel headers in $(KDIR):' \
		     'install them (Debian: linux-headers-$(KERNELRELEASE))' \
		     'or say where they are (KDIR=DIR)' >&2; exit 1; }

run:
	./scripts/run.sh

test:
	./scripts/test.sh

check:
	./scripts/check.sh

check-%:
	./scripts/check.sh $*

help:
	@echo 'karray: hot-plugged memory as a char device and a disk'
	@echo ''
	@echo '  make            build karray.ko'
	@echo '  make install    install it below /lib/modules/RELEASE/updates'
	@echo '  make headers_install'
	@echo '                  install linux/karray.h, for programs that use the ioctls'
	@echo '  make tools      build karrayctl (needs libsmartcols, libmount, libblkid, libudev)'
	@echo '  make install-tools'
	@echo '                  install it, its manual, udev rules, and what systemd needs'
	@echo '  make uninstall, uninstall-tools'
	@echo '                  remove them (not /etc/karray.conf); depmod is yours to run'
	@echo '  make clean      remove what the build made'
	@echo '  make run        the whole story in a QEMU guest (scripts/run.sh)'
	@echo '  make test       the test suite, in QEMU guests (scripts/test.sh)'
	@echo '  make check      the static tools; make check-TOOL for one (scripts/check.sh)'
	@echo ''
	@echo '  KERNELRELEASE=R build for the installed kernel R (default: the running one)'
	@echo '  KDIR=DIR        build against the kernel headers in DIR'
	@echo '  DESTDIR=DIR     install below DIR'
	@echo '  INSTALL_HDR_PATH=DIR  install the header in DIR/include (default: DESTDIR/usr)'
	@echo '  V=1 C=2 W=1     as in the kernel: commands, sparse, more warnings'

.PHONY: modules install headers_install tools install-tools uninstall uninstall-tools clean headers-there run test check help
