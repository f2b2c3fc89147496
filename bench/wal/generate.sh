#!/usr/bin/env bash
# Makes WAL for the measurements: pgbench on a server of its own, which is
# removed afterwards.
#
# usage: generate.sh BINDIR DIR [SECONDS] [SCALE]
#
# BINDIR has initdb, postgres, psql and pgbench; DIR gets the segments. Run it as any user but root, or as
# root with a user postgres that may write to DIR's parent.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
bin=$1 out=$2 seconds=${3:-60} scale=${4:-30}
mkdir -p "$out"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/bench-wal-XXXXXX")
as=()
if [ "$(id -u)" = 0 ]; then
  as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  chown postgres "$tmp"
fi
cd "$tmp"
server=
cleanup() {
  if [ -n "$server" ]; then
    kill -INT "$server"
    wait "$server" || true
  fi
  rm -rf "$tmp"
}
trap cleanup EXIT
"${as[@]}" "$bin/initdb" -D "$tmp/data" -A trust >"$tmp/initdb.log"
"${as[@]}" "$bin/postgres" -D "$tmp/data" -c listen_addresses= -c "unix_socket_directories=$tmp" \
  -c fsync=off -c synchronous_commit=off -c shared_buffers=512MB \
  -c max_wal_size=20GB -c wal_keep_size=20GB -c checkpoint_timeout=1h >"$tmp/server.log" 2>&1 &
server=$!
ready() { "${as[@]}" "$bin/psql" -h "$tmp" -Atqc 'SELECT 1' postgres >"$tmp/psql.log" 2>&1; }
for _ in $(seq 100); do ready && break; sleep 0.1; done
"${as[@]}" "$bin/pgbench" -h "$tmp" -i -q -s "$scale" postgres 2>"$tmp/init.log"
first=$("${as[@]}" "$bin/psql" -h "$tmp" -Atqc 'SELECT pg_walfile_name(pg_switch_wal() + 1)' postgres)
"${as[@]}" "$bin/psql" -h "$tmp" -Atqc CHECKPOINT postgres
"${as[@]}" "$bin/pgbench" -h "$tmp" -c 4 -j 2 -T "$seconds" postgres
last=$("${as[@]}" "$bin/psql" -h "$tmp" -Atqc 'SELECT pg_walfile_name(pg_switch_wal())' postgres)
for segment in "$tmp"/data/pg_wal/????????????????????????; do
  name=${segment##*/}
  if [[ ! $name < $first && ! $name > $last ]]; then cp "$segment" "$out/"; fi
done
echo "$first to $last are in $out"
