#!/usr/bin/env bash
# Tries what is released as its user would. The Debian package: in a clean Debian 12, made here with
# debootstrap, installs it with Debian's PostgreSQL, backs up a cluster by the
# packaged configuration, loses the data directory, restores it, and compares: session.sh, under
# a systemd of its own, so that the units run as they will. The container image, before that: container.sh.
#
# usage: test.sh [PACKAGE.deb IMAGE.oci.tar]      (default: those that goreleaser builds, in dist/)
#
# Needs root (chroot, systemd-nspawn) and apt. Everything is under one temporary directory, which goes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly goreleaser=github.com/goreleaser/goreleaser/v2@v2.15.1

say() { printf 'packages: %s\n' "$*"; }
die() { printf 'packages: %s\n' "$*" >&2; exit 1; }
((EUID == 0)) || die "needs root, for a chroot"

deb=${1:-}
image=${2:-}
if [[ -z $deb ]]; then
  go run "$goreleaser" release --snapshot --clean
  deb=$(ls dist/*_linux_"$(dpkg --print-architecture)".deb)
  image=$(ls dist/*_linux_"$(dpkg --print-architecture)".oci.tar)
fi
[[ -f $deb ]] || die "$deb: no such package"
[[ -f $image ]] || die "$image: no such image"

missing=()
command -v debootstrap >/dev/null || missing+=(debootstrap)
command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
if ((${#missing[@]})); then
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
fi

root=$(mktemp -d "${TMPDIR:-/tmp}/pgincr-packages-XXXXXX")
readonly root
chmod 755 "$root" # it becomes everybody's /
cleanup() {
  if mountpoint -q "$root/proc"; then
    chroot "$root" sh -c 'for c in $(pg_lsclusters -h 2>/dev/null | cut -d" " -f2); do pg_ctlcluster -m immediate 15 "$c" stop; done' 2>/dev/null || true
    umount "$root/proc"
  fi
  rm -rf --one-file-system "$root"
}
trap cleanup EXIT

# mirror: that of this machine's own Debian.
mirror() {
  # shellcheck disable=SC2016 # apt-get expands these
  apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    awk '$2 == "bookworm" { print $1; exit }'
}
url=${PGINCR_DEBIAN_MIRROR:-$(mirror)}
[[ -n $url ]] || die "no Debian mirror in apt's configuration: set PGINCR_DEBIAN_MIRROR"

say "a clean Debian 12 in $root"
debootstrap --variant=minbase bookworm "$root" "$url" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; die "debootstrap failed"; }
rm -f "$root.log"
# The machine's way to the mirror: proxies, name service.
cp -rL /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
mount -t proc proc "$root/proc"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # no service starts by itself
chmod +x "$root/usr/sbin/policy-rc.d"
cp "$deb" "$root/pgincr.deb"

# inside COMMAND: in that Debian; what it says is shown if it fails.
inside() {
  chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 sh -ec "$1" >"$root/install.log" 2>&1 ||
    { tail -n 30 "$root/install.log" >&2; die "installation failed"; }
}

say "PostgreSQL, whose user has the number that it has in the official image, as the container's test wants"
inside '
  groupadd --system --gid 999 postgres
  useradd --system --uid 999 --gid postgres --home-dir /var/lib/postgresql --shell /bin/bash postgres
  apt-get -qq update
  apt-get -qq install -y --no-install-recommends postgresql-15 systemd systemd-sysv dbus
'
tools/packages/container.sh "$image" "$root"

say "the package"
inside 'apt-get -qq install -y --no-install-recommends /pgincr.deb'

say "it is booted, with a network of its own"
cp tools/packages/session.sh "$root/session.sh"
cat >"$root/etc/systemd/system/session.service" <<'UNIT'
[Service]
Type=oneshot
Environment=LC_ALL=C.UTF-8
ExecStart=/bin/bash /session.sh
ExecStopPost=/bin/sh -c 'echo "$EXIT_STATUS" >/session.status'
ExecStopPost=systemctl --no-block poweroff
StandardOutput=file:/session.log
StandardError=inherit
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../session.service "$root/etc/systemd/system/multi-user.target.wants/"
umount "$root/proc"
timeout 600 systemd-nspawn --quiet --directory "$root" --register=no --keep-unit --private-network \
  --link-journal=no --resolv-conf=off --timezone=off --boot >"$root/console.log" 2>&1 </dev/null || true
mount -t proc proc "$root/proc"
cat "$root/session.log" || { tail -n 50 "$root/console.log" >&2; die "systemd did not boot"; }
[[ $(<"$root/session.status") == 0 ]] || die "the session failed"

say "removing it leaves the repository and goes without a word"
chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get -qq purge -y pgincr >/dev/null 2>&1
[[ ! -e $root/usr/bin/pgincr && -d $root/var/lib/pgincr/main ]] || die "purge took too much or too little"
say "all is well"
