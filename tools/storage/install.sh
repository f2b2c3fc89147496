#!/usr/bin/env bash
# Builds the storage servers that the tests run against.
#
# usage: install.sh [--root DIR]
#
# DIR is --root, else $PGINCR_STORAGE_ROOT, else /var/cache/pgincr/storage for
# root and ~/.cache/pgincr/storage for everyone else. It gets
#   versitygw   an S3 server (go.mod pins the version)
#   fake-gcs-server  a stand-in for Google Cloud Storage
#   toxiproxy   a proxy that cuts, delays and throttles connections
# The first build takes some minutes; what is there already, of the versions
# that go.mod names, costs nothing. Each appears by one rename.
set -euo pipefail
umask 022

say() { printf 'install.sh: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# name=package of what is built.
readonly programs=(
  versitygw=github.com/versity/versitygw/cmd/versitygw
  toxiproxy=github.com/Shopify/toxiproxy/v2/cmd/server
  fake-gcs-server=github.com/fsouza/fake-gcs-server
)

main() {
  local root=${PGINCR_STORAGE_ROOT:-} here recipe entry name
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
  while (($#)); do
    case $1 in
    --root) root=${2:?--root needs a directory} && shift ;;
    *) die "unknown argument $1" ;;
    esac
    shift
  done
  if [[ -z $root ]]; then
    root=$HOME/.cache/pgincr/storage
    ((EUID != 0)) || root=/var/cache/pgincr/storage
  fi
  mkdir -p "$root"
  root=$(cd "$root" && pwd -P)
  exec {lock}>"$root/.lock"
  flock "$lock"
  recipe=$(cat "$here/go.mod" "$here/install.sh" | sha256sum)
  for entry in "${programs[@]}"; do
    name=${entry%%=*}
    if [[ ! -x $root/$name || $(cat "$root/.$name.recipe" 2>/dev/null) != "$recipe" ]]; then
      say "building $name"
      (cd "$here" && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$root/.$name.tmp" "${entry#*=}")
      mv "$root/.$name.tmp" "$root/$name"
      echo "$recipe" >"$root/.$name.recipe"
    fi
    echo "$name in $root"
  done
}

main "$@"
