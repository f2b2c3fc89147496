#!/usr/bin/env bash
# Runs what is in the container image, as docs/containers.md tells, without an engine: the image's files are its
# root, its configuration gives user, environment and program, each container has processes and mounts of its own.
# PostgreSQL's container is the Debian beside it, with the program of the image copied into it.
#
# usage: container.sh IMAGE.oci.tar DEBIAN
set -euo pipefail
readonly archive=$1 debian=$2
say() { printf 'container: %s\n' "$*"; }
die() { printf 'container: %s\n' "$*" >&2; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/pgincr-container-XXXXXX")
readonly work
chmod 755 "$work"
server=
cleanup() {
  [[ -z $server ]] || kill -KILL "$(<"$work/server.pid")" 2>/dev/null || true
  rm -rf --one-file-system "$work" "$debian/usr/bin/pgincr"
  rmdir "$debian"/var/lib/{pgincr,postgresql/data} 2>/dev/null || true # what volumes were mounted on
}
trap cleanup EXIT

# What an engine reads: the configuration, and the layers in their order.
mkdir "$work"/{oci,image,data,run,backup}
tar -xf "$archive" -C "$work/oci"
[[ $(<"$work/oci/oci-layout") == *'"imageLayoutVersion"'*'"1.0.0"'* ]] || die "no OCI layout"
of() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$2"; }
list() { grep -o "\"$1\":\[[^]]*\]" "$2" | grep -o '"[^"]*"' | tr -d '"' | tail -n +2; }
blob() { printf '%s/oci/blobs/%s' "$work" "${1/://}"; }
manifest=$(blob "$(of digest "$work/oci/index.json")")
config=$(blob "$(grep -o '"config":{[^}]*}' "$manifest" | grep -o 'sha256:[0-9a-f]*')")
for layer in $(sed 's/.*"layers"//' "$manifest" | grep -o 'sha256:[0-9a-f]*'); do
  tar -xzpf "$(blob "$layer")" --numeric-owner -C "$work/image"
done
user=$(of User "$config")
mapfile -t environment < <(list Env "$config")
mapfile -t entrypoint < <(list Entrypoint "$config")
[[ $user == 999:999 ]] || die "the image runs as $user"
[[ -z $(find "$work/image" -perm /6022 ! -type l ! -path "$work/image/tmp") ]] || die "too many rights in the image"
chown 999:999 "$work"/{data,run,backup}
chmod 700 "$work/data"
chmod 750 "$work/backup"

# container ROOT SOCKETS VARIABLE=VALUE... PROGRAM ARGUMENT...: a container with the three volumes; $data is how that
# of the data directory is mounted, $note a file for the process's number.
container() {
  # shellcheck disable=SC2016 # the inner shell expands these
  unshare --mount --pid --fork --kill-child bash -ec '
    work=$1 data=$2 note=$3 root=$4 sockets=$5; shift 5
    read -r number rest </proc/self/stat # by the proc of outside
    [[ -z $note ]] || echo "$number" >"$note"
    mkdir -p "$root"/{proc,dev,var/lib/postgresql/data,var/lib/pgincr} "$root$sockets"
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    mount --bind "$work/data" "$root/var/lib/postgresql/data"
    mount -o "remount,bind,$data" "$root/var/lib/postgresql/data"
    mount --bind "$work/run" "$root$sockets"
    mount --bind "$work/backup" "$root/var/lib/pgincr"
    exec env -i "$@"
  ' - "$work" "${data:-rw}" "${note:-}" "$@"
}

# pgincr ARGUMENT...: the image, run as the document does; the data directory cannot be written to.
pgincr() {
  data=${data:-ro} container "$work/image" /var/run/postgresql "${environment[@]}" \
    PGHOST=/var/run/postgresql PGUSER=postgres PGDATA=/var/lib/postgresql/data \
    "$(command -v chroot)" --userspec="$user" "$work/image" "${entrypoint[@]}" "$@"
}

# postgres PROGRAM ARGUMENT...: PostgreSQL's container.
postgres() {
  container "$debian" /run/postgresql PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin LC_ALL=C.UTF-8 \
    PGUSER=postgres PGDATA=/var/lib/postgresql/data \
    "$(command -v chroot)" --userspec=999:999 "$debian" "$@"
}
sql() { postgres psql -h /run/postgresql -XAtqc "$1"; }

start() {
  note=$work/server.pid postgres postgres -c listen_addresses= -c unix_socket_directories=/run/postgresql -c archive_mode=on \
    -c 'archive_command=pgincr archive-push --repo /var/lib/pgincr %p' >>"$work/server.log" 2>&1 &
  server=$! # unshare, which waits for it
  for _ in {1..300}; do
    [[ $(sql 'SELECT pg_is_in_recovery()' 2>/dev/null) != f ]] || return 0
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 20 "$work/server.log" >&2
  die "the server did not start"
}
stop() { # as the official image wants to be stopped
  kill -INT "$(<"$work/server.pid")"
  wait "$server" || true
  server=
}

say "the server, with the program of the image in its container"
cp "$work/image/usr/bin/pgincr" "$debian/usr/bin/pgincr"
postgres initdb --username=postgres --auth=trust >/dev/null
pgincr version
pgincr init # before the server archives
start

say "backups beside it, of a data directory that is mounted read-only"
sql 'CREATE TABLE t AS SELECT g AS id, md5(g::text) AS text FROM generate_series(1, 100000) g'
pgincr backup --checkpoint fast
sql "UPDATE t SET text = 'changed' WHERE id % 1000 = 0"
result=$(pgincr backup --checkpoint fast --incremental --json)
[[ $result == *'"source": "wal"'* || $result == *'"source":"wal"'* ]] || die "no page map from WAL: $result"
sql "UPDATE t SET text = 'after the backup' WHERE id % 1000 = 1"
pgincr check --switch-wal
pgincr list
want=$(sql 'SELECT count(*), md5(string_agg(id || text, chr(10) ORDER BY id)) FROM t')

say "nothing is restored over a server in another container, even if it was killed"
kill -KILL "$(<"$work/server.pid")"
wait "$server" || true
server=
[[ -s $work/data/postmaster.pid ]] || die "the killed server left no postmaster.pid"
status=0
message=$(data=rw pgincr restore -D /var/lib/postgresql/data --delta 2>&1) || status=$?
[[ $status != 0 && $message == *postmaster.pid* ]] || die "exit status $status: $message"

say "the volume is lost, and restored"
start
sql 'SELECT pg_switch_wal()' >/dev/null
stop
find "$work/data" -mindepth 1 -delete
data=rw pgincr restore -D /var/lib/postgresql/data
start
got=$(sql 'SELECT count(*), md5(string_agg(id || text, chr(10) ORDER BY id)) FROM t')
stop
[[ $got == "$want" ]] || die "restored $got, want $want"
[[ -z $(find "$work"/{data,backup} ! -uid 999) ]] || die "files of another user"

say "as another user, whom the image does not know"
chown -R 70:70 "$work"/{data,backup}
user=70:70 pgincr verify
say "restored: $got"
