#!/bin/sh
# Boots a systemd in namespaces of its own, has it run FOLDER/steps in this system as it is, and shuts it down: usage
# systemd.sh FOLDER. As root. What the steps write is lost, all but what they write into /run/shared, which is FOLDER.
#
# It has its own process ids, mounts, network and cgroups, and an overlay over every file: it can change nothing here.
set -eu
shared=$(realpath "$1")

if [ "${2:-}" != inside ]; then
  # In a cgroup of its own, which is the root of all cgroups inside. Version 2 can be mounted beside version 1.
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
# The package itself, wherever it lies: the overlay has it too, but not from another file system below.
mkdir -p "$root/run/package"
mount --rbind "$PWD" "$root/run/package"

# Only the journal and the steps: nothing of what this system starts.
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
ExecStart=-/bin/sh -c "sh -ex /run/shared/steps >/run/shared/said 2>&1; echo $? >/run/shared/status"
ExecStopPost=systemctl exit 0
UNIT
# What the unit waits for is not there.
mkdir ringcentral-exporter.service.d
printf '[Unit]\nDefaultDependencies=no\n' >ringcentral-exporter.service.d/alone.conf
[ ! -e "$shared/drop-in.conf" ] || cp "$shared/drop-in.conf" ringcentral-exporter.service.d/

cd "$root"
pivot_root . tmp/old
umount -l /tmp/old
# As a system at its start has it; systemd leaves that to whoever starts a container, and credentials need it.
mount --make-rshared /
ip link set lo up
exec env -i container=test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=steps.target --show-status=no
