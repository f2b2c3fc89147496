# What the install scripts share: Debian's packages, of any release, unpacked where no package
# manager knows of them. To be sourced; $root is where the script installs.
# shellcheck shell=bash disable=SC2154

readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'install.sh: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# debian_mirror [SUFFIX]: the mirror that this machine's apt uses for Debian
# itself, or for the release with that suffix (-security).
debian_mirror() {
  # shellcheck disable=SC2016 # apt-get expands these
  apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    awk -v suffix="${1:-}" '
      BEGIN { n = split("bullseye bookworm trixie forky sid oldoldstable oldstable stable testing unstable", names)
              for (i = 1; i <= n; i++) want[names[i] suffix] = 1 }
      $2 in want && !seen { print $1; seen = 1 }'
}

# private_apt DIR CODENAME: an apt of our own: its own sources and lists and an
# empty list of installed packages, the machine's proxies and credentials.
private_apt() {
  local dir=$1 codename=$2 mirror security options
  mirror=${PGINCR_DEBIAN_MIRROR:-$(debian_mirror)}
  [[ -n $mirror ]] || die "no Debian mirror in apt's configuration: set PGINCR_DEBIAN_MIRROR"
  [[ -r $keyring ]] || die "missing: $keyring (package debian-archive-keyring)"
  options="signed-by=$keyring"
  # Forky is still testing, and mirrors have carried a release file of it past
  # its Valid-Until. Its signature is still verified; only its age is not.
  [[ $codename != forky ]] || options+=' check-valid-until=no'
  mkdir -p "$dir"/{empty,state/lists/partial,cache/archives/partial}
  : >"$dir/status"
  echo "deb [$options] $mirror $codename main" >"$dir/sources.list"
  security=$(debian_mirror -security)
  if [[ -n $security && $codename != forky ]]; then
    echo "deb [$options] $security $codename-security main" >>"$dir/sources.list"
  fi
  cat >"$dir/apt.conf" <<CONF
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State "$dir/state";
Dir::State::status "$dir/status";
Dir::Cache "$dir/cache";
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "$dir/empty";
Dir::Etc::preferences "$dir/empty/none";
Dir::Etc::preferencesparts "$dir/empty";
APT::Install-Recommends "false";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
CONF
  apt-get -qq -c "$dir/apt.conf" update >&2
}

# bind_libraries STAGE LOADER SYSLIB TMP HOME FILE...: copies the libraries that programs and
# modules need, with their loader, to TMP/SYSLIB, and makes every program in TMP/bin use exactly those, as
# HOME/SYSLIB: whatever libc the machine has.
bind_libraries() {
  local stage=$1 loader=$2 syslib=$3 tmp=$4 home=$5 file lib dirs
  shift 5
  dirs=$(find "$stage" -type d -name '*-linux-gnu' | paste -sd:)
  mkdir "$tmp/$syslib"
  cp -L "$loader" "$tmp/$syslib/"
  : >"$stage/needed"
  for file in "$@"; do
    is_elf "$file" || continue
    "$loader" --library-path "$dirs" --list "$file" >>"$stage/needed" ||
      die "$(basename "$file"): $(tail -n 1 "$stage/needed")"
  done
  ! grep 'not found' "$stage/needed" >&2 || die "a library is missing"
  sed -n 's/^\t\([^ /]*\) => \([^ ]*\) (.*/\1 \2/p' "$stage/needed" | sort -u |
    while read -r lib file; do cp -L "$file" "$tmp/$syslib/$lib"; done
  # Loaded by name at run time: name service of glibc before 2.34, unwinding.
  for lib in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2 libgcc_s.so.1; do
    file=$(find "$stage" -name "$lib" -print -quit)
    [[ -z $file ]] || cp -L "$file" "$tmp/$syslib/"
  done
  for file in "$tmp"/bin/*; do
    is_elf "$file" || continue
    # An rpath, not a runpath: it also serves the modules and the libraries.
    patchelf --set-interpreter "$home/$syslib/$(basename "$loader")" \
      --force-rpath --set-rpath "$home/$syslib" "$file"
  done
}

is_elf() { [[ -f $1 && ! -L $1 && $(head -c 4 "$1" | tr -d '\0') == $'\x7fELF' ]]; }

# need PROGRAM ...: makes sure that these programs are there.
need() {
  local program missing=()
  for program in "$@"; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  ((${#missing[@]})) || return 0
  if ((EUID == 0)) && command -v apt-get >/dev/null; then
    # One at a time: majors are installed in parallel, apt waits for nobody.
    (
      flock 9
      apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null ||
        { apt-get -qq update && apt-get -qq install -y --no-install-recommends "${missing[@]}"; } >/dev/null
    ) 9>"$root/.apt.lock" && return
  fi
  die "missing: ${missing[*]} (as root: apt-get install ${missing[*]})"
}
