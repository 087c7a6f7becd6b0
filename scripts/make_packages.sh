#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds Debian's packages from the source tree as git has it: karray-dkms, karray-utils
# and libkarray-dev, in build/packages/VERSION.
#
# usage: make_packages.sh [VERSION]	another version than that of the file VERSION, for tests
#        make_packages.sh --prepare	only install what that needs

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
help_asked "$@"

version=${1:-$(cat "$TOP/VERSION")}
dir=$BUILD/packages/$version
tree=$dir/karray-$version

# What a release has, without what was made here.
copy_tree() {
	rm -rf "$dir"
	mkdir -p "$tree"
	git -C "$TOP" -c safe.directory='*' ls-files -co --exclude-standard -z |
		(cd "$TOP" && cpio -0 -pdm --quiet "$tree")
}

# One place for each that has the number.
set_version() {
	echo "$version" >"$tree/VERSION"
	sed -i "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"$version\"/" "$tree/dkms.conf"
	sed -i "1s/(.*)/($version)/" "$tree/debian/changelog"
}

ensure_packages git cpio build-essential debhelper dh-dkms fakeroot "${libraries[@]}"
[ "$version" != --prepare ] || exit 0
copy_tree
[ "$version" = "$(cat "$TOP/VERSION")" ] || set_version
step "Building Debian's packages of karray $version"
(cd "$tree" && dpkg-buildpackage -us -uc -b) >"$dir/log" 2>&1 || {
	tail -n 20 "$dir/log" >&2
	die "the packages do not build, see ${dir#"$TOP/"}/log"
}
note "in ${dir#"$TOP/"}: $(cd "$dir" && echo *.deb)"
