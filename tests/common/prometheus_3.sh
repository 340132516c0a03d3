#!/bin/sh
# Unpacks Prometheus 3, promtool, Alertmanager and amtool of Debian's unstable suite into FOLDER/usr/bin. Debian 12 has
# Prometheus 2.42, and runs these programs too.
#
# Uses the mirror of the system's apt, and a state folder of its own: no package is installed, and the system's sources and
# lists stay as they are. Does not need root.
#
# Usage: prometheus_3.sh FOLDER
set -eu

packages='prometheus promtool prometheus-alertmanager'
programs='prometheus promtool prometheus-alertmanager amtool'
keys=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
    echo "$0: $*" >&2
    exit 1
}

# Prints the URL of the mirror that has this release of Debian.
mirror() {
    apt-get indextargets --no-release-info --format '$(COMPONENT) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk -v release="$VERSION_CODENAME" '$1 == "main" && ($2 == release || $2 == "stable") { print $3; exit }'
}

[ $# = 1 ] || fail 'expected one argument, the folder'
folder=$1
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail 'requires apt-get and dpkg-deb: run it on Debian'
. /etc/os-release
url=$(mirror)
[ -n "$url" ] || fail "no mirror of Debian ${VERSION_CODENAME:-} in the sources of apt"

rm -rf "$folder"
mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
cd "$folder"
folder=$PWD
echo "deb [signed-by=$keys] $url unstable main" >apt/sources.list

# Runs apt-get with this folder in place of the system's sources, lists and preferences.
private_apt() {
    apt-get -qq -o Dir::State="$folder/apt" -o Dir::Cache="$folder/apt" -o Dir::Etc::sourcelist="$folder/apt/sources.list" \
        -o Dir::Etc::sourceparts=- -o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts="$folder/apt" \
        -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=3 \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

private_apt update || fail "cannot read the unstable suite of $url"
# shellcheck disable=SC2086 # several packages
private_apt download $packages || fail "cannot download $packages"
for file in *.deb; do
    dpkg-deb --extract "$file" .
done
rm -rf apt ./*.deb

for program in $programs; do
    version=$("usr/bin/$program" --version 2>&1) || fail "$program does not run: $version"
    echo "$version" | head -n 1
done
usr/bin/promtool --version 2>&1 | grep -q '^promtool, version 3\.' || fail 'expected version 3 of promtool'
