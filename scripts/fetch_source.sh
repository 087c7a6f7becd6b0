#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Fetches the source of Debian's kernel VERSION (6.12 unless said) and unpacks it into
# build/source/VERSION, for the kernels that we build and for the tools that come with
# it (checkpatch, Coccinelle's scripts). build/source/VERSION/.deb names the package.
#
# usage: fetch_source.sh [VERSION]

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
help_asked "$@"

# A third of the source is tables of graphics cards' registers, of use to nobody here.
unwanted='linux-source-*/drivers/gpu/drm/amd/include/*'

version=${1:-6.12}
dir=$BUILD/source/$version
package=linux-source-$version

ensure_packages xz-utils
up_to_date "$dir/.deb" && exit
apt_need_lists
deb=$(deb_names "$package") || { apt_update && deb=$(deb_names "$package"); } ||
	die "apt does not know $package: are bookworm and bookworm-security among apt's sources?"
if [ -e "$dir/.deb" ] && [ "$(cat "$dir/.deb")" = "$deb" ]; then
	touch "$dir/.deb"
	exit
fi

step "Fetching the source of Linux $version"
download_debs "$package" || { apt_update && deb=$(deb_names "$package") && download_debs "$package"; } ||
	die "cannot download $package"
note "unpacking into ${dir#"$TOP/"}"
rm -rf "$dir"
mkdir -p "$dir"
dpkg --fsys-tarfile "$CACHE/debs/$deb" |
	tar xO "./usr/src/$package.tar.xz" |
	xz -dc | tar x -C "$dir" --strip-components=1 --exclude="$unwanted"
echo "$deb" >"$dir/.deb"
