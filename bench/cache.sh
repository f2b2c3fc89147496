#!/usr/bin/env bash
# Shows what backups of a running server do to the page cache: how much of the data files is in it before and
# after each, once with all of them cached and once with nothing but what a query read.
#
# usage: bench/cache.sh        from the top of the tree, as root
#
# environment: SCALE pgbench scale (30: 0.5 GB), MAJOR of PostgreSQL (17), PGINCR_PG_ROOT where
# tools/postgres/install.sh installed. The directory lies in /var/tmp, which must be on a disk.
# Needs fincore (util-linux).
set -euo pipefail
((EUID == 0)) || { echo "dropping the page cache takes root" >&2; exit 1; }
command -v fincore >/dev/null || { echo "fincore is missing: util-linux" >&2; exit 1; }

scale=${SCALE:-30} bin=${PGINCR_PG_ROOT:-/var/cache/pgincr/postgres}/${MAJOR:-17}/bin
dir=$(mktemp -d /var/tmp/pgincr-cache.XXXXXX)
CGO_ENABLED=0 go build -trimpath -o "$dir/pgincr" ./cmd/pgincr
mkdir "$dir/repo"
chown -R postgres "$dir"

as() {
  runuser -u postgres -- env PATH="$bin:$PATH" PGINCR_REPO="$dir/repo" PGDATA="$dir/data" PGHOST="$dir" PGPORT=5478 \
    PGDATABASE=postgres "$@"
}
cleanup() { as pg_ctl -m immediate stop >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap cleanup EXIT

# cached LABEL: how much of the data files is in the page cache
cached() {
  find "$dir/data/base" "$dir/data/global" -type f -print0 | xargs -0 fincore -b -n -o RES,SIZE |
    awk -v label="$1" '{ r += $1; s += $2 } END { printf "%-24s %6.1f of %.1f MB\n", label, r / 1e6, s / 1e6 }'
}

as initdb -A trust >/dev/null
cat >>"$dir/data/postgresql.conf" <<CONF
port = 5478
listen_addresses = ''
unix_socket_directories = '$dir'
shared_buffers = 32MB
archive_mode = on
archive_command = '$dir/pgincr archive-push -q -R $dir/repo %p'
CONF
as pg_ctl -l "$dir/log" -w start >/dev/null
as "$dir/pgincr" init -q
as pgbench -i -s "$scale" -q >/dev/null 2>&1
for state in cached cold; do
  as psql -qc CHECKPOINT
  sync -f "$dir"
  if [[ $state == cold ]]; then
    echo 1 >/proc/sys/vm/drop_caches
    as psql -qAtc 'SET enable_seqscan = off; SELECT count(aid) FROM pgbench_accounts' >/dev/null
  fi
  echo "$state:"
  cached "  before"
  as "$dir/pgincr" backup -q --checkpoint fast
  cached "  full"
  for source in wal lsn hash; do
    as pgbench -n -t 200 >/dev/null 2>&1
    cached "  pgbench"
    as "$dir/pgincr" backup -q --incremental --page-map "$source" --checkpoint fast
    cached "  incremental by $source"
  done
done
