#!/usr/bin/env bash
# Unpacks pgBackRest of Debian trixie beside the system's packages, for the benchmarks: the one of
# older releases may not know PostgreSQL 17.
#
# usage: install.sh [--root DIR]
#
# DIR is --root, else $PGINCR_PEERS_ROOT, else /var/cache/pgincr/peers for root and
# ~/.cache/pgincr/peers for everyone else. It gets pgbackrest/bin/pgbackrest with the libraries and the
# loader that it needs. No root is needed and no package of the system is touched. What is
# there already costs nothing; it appears by one rename.
#
# Other tools are measured where a variable names the program: see bench/peers.
set -euo pipefail
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tools/debian.sh
source "$here/../debian.sh"

# Raise this when what is installed changes.
readonly recipe=1

unpack_pgbackrest() { # TMP
  local tmp=$1 stage=$1/stage deb loader
  private_apt "$tmp/apt" trixie
  mkdir -p "$stage" "$tmp/debs" "$tmp/bin"
  apt-get -qq -c "$tmp/apt/apt.conf" --simulate install pgbackrest >"$tmp/plan" || die "trixie has no pgbackrest for us"
  awk '$1 == "Inst" { print $2 }' "$tmp/plan" | grep -E '^(pgbackrest|zlib1g|lib.*)$' | grep -vE '^lib(perl|python)' >"$tmp/packages"
  (cd "$tmp/debs" && xargs apt-get -qq -c "$tmp/apt/apt.conf" download <"$tmp/packages" >&2) ||
    die "not all packages could be downloaded"
  for deb in "$tmp"/debs/*.deb; do dpkg-deb -x "$deb" "$stage"; done
  cp "$stage/usr/bin/pgbackrest" "$tmp/bin/"
  loader=$(find "$stage" -name 'ld-linux*.so.*' -path '*-linux-gnu/*' -print -quit)
  [[ -n $loader ]] || die "no loader among the packages"
  bind_libraries "$stage" "$loader" syslib "$tmp" "$root/pgbackrest" "$tmp/bin/pgbackrest"
  rm -rf "$stage" "$tmp"/{apt,debs,plan,packages}
}

main() {
  local tmp
  root=${PGINCR_PEERS_ROOT:-}
  while (($#)); do
    case $1 in
    --root) root=${2:?--root needs a directory} && shift ;;
    *) die "unknown argument $1" ;;
    esac
    shift
  done
  if [[ -z $root ]]; then
    root=$HOME/.cache/pgincr/peers
    ((EUID != 0)) || root=/var/cache/pgincr/peers
  fi
  mkdir -p "$root"
  root=$(cd "$root" && pwd -P)
  exec {lock}>"$root/.lock"
  flock "$lock"
  if [[ ! -x $root/pgbackrest/bin/pgbackrest || $(cat "$root/pgbackrest/recipe" 2>/dev/null) != "$recipe" ]]; then
    need apt-get dpkg-deb patchelf
    tmp=$(mktemp -d "$root/.tmp.XXXXXX")
    trap 'rm -rf "$root"/.tmp.*' EXIT
    unpack_pgbackrest "$tmp"
    echo "$recipe" >"$tmp/recipe"
    chmod -R a+rX "$tmp"
    rm -rf "$root/pgbackrest"
    mv -T "$tmp" "$root/pgbackrest"
  fi
  echo "$("$root/pgbackrest/bin/pgbackrest" version) in $root/pgbackrest"
}

main "$@"
