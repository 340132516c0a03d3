#!/bin/sh
# Boots a systemd in new namespaces, runs FOLDER/steps in it and shuts it down.
#
# Usage: systemd.sh FOLDER, as root. The steps see the files of this system through an overlay and have their own process
# ids, mounts, network and cgroups, so they cannot change this system. Only files in /run/shared, which is FOLDER, are kept.
set -eu
shared=$(realpath "$1")

if [ "${2:-}" != inside ]; then
  # A new cgroup is the root of all inner cgroups. Version 2 can be mounted in addition to version 1.
  mkdir "$shared/cgroup2"
  mount -t cgroup2 cgroup2 "$shared/cgroup2"
  cgroup=$shared/cgroup2/$(basename "$shared")
  mkdir "$cgroup"
  trap 'find "$cgroup" -depth -type d -exec rmdir {} +; umount "$shared/cgroup2"; rmdir "$shared/cgroup2"' EXIT
  sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' - "$cgroup" timeout --kill-after=5 120 unshare --cgroup --mount --pid --uts --ipc --net \
    --fork --kill-child sh "$0" "$shared" inside
  exit
fi

mount --make-rprivate /
layers=$(mktemp -d)
mount -t tmpfs tmpfs "$layers"
mkdir "$layers/upper" "$layers/work" "$layers/root"
root=$layers/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/sys/fs/cgroup" # Where the system has version 1 only.
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/run/shared" "$root/run/systemd/system" "$root/tmp/old"
mount --bind "$shared" "$root/run/shared"
# The overlay does not include other file systems, so the package is mounted separately.
mkdir -p "$root/run/package"
mount --rbind "$PWD" "$root/run/package"

# Starts only the journal and the steps, no services of this system.
cd "$root/run/systemd/system"
cat >steps.target <<'UNIT'
[Unit]
DefaultDependencies=no
Wants=systemd-journald.service steps.service
UNIT
cat >steps.service <<'UNIT'
[Unit]
DefaultDependencies=no
After=systemd-journald.service
[Service]
Type=oneshot
WorkingDirectory=/run/package
ExecStart=-/bin/sh -c "sh -ex /run/shared/steps >/run/shared/output 2>&1; echo $? >/run/shared/status"
ExecStopPost=systemctl exit 0
UNIT
# Removes the dependencies of the unit, which do not exist here.
mkdir ringcentral-exporter.service.d
printf '[Unit]\nDefaultDependencies=no\n' >ringcentral-exporter.service.d/no-dependencies.conf
[ ! -e "$shared/drop-in.conf" ] || cp "$shared/drop-in.conf" ringcentral-exporter.service.d/

cd "$root"
pivot_root . tmp/old
umount -l /tmp/old
# Shared propagation is the default at boot, which systemd does not set in containers; credentials require it.
mount --make-rshared /
ip link set lo up
exec env -i container=test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=steps.target --show-status=no
