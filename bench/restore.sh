#!/usr/bin/env bash
# Measures the restore of a chain against its floor, a copy of the same data
# directory, and against pg_combinebackup; and an in-place restore after about one page in a hundred
# has changed.
#
# usage: bench/restore.sh        from the top of the tree
#
# environment: SCALE pgbench scale (100: 1.6 GB), CHAIN backups in the chain (9), ROWS rows updated
# between two backups (20000 × scale / 100), RUNS alternating runs (5), JOBS (2),
# MAJOR of PostgreSQL, 17 or newer (17), BENCH_DIR on the disk to measure (a new directory in
# /var/tmp), PGINCR_PG_ROOT where tools/postgres/install.sh installed.
#
# Every side ends with its data on the disk: pgincr and pg_combinebackup sync by
# themselves, after the copy there is `sync -f`. The source is in the page cache for all. Printed are the
# median, minimum and maximum of each and the ratio of the medians to the copy.
set -euo pipefail
umask 022

scale=${SCALE:-100} chain=${CHAIN:-9} runs=${RUNS:-5} jobs=${JOBS:-2} major=${MAJOR:-17}
rows=${ROWS:-$((20000 * scale / 100))}
((EUID)) && root_default=~/.cache/pgincr/postgres || root_default=/var/cache/pgincr/postgres
bin=${PGINCR_PG_ROOT:-$root_default}/$major/bin
dir=${BENCH_DIR:-$(mktemp -d /var/tmp/pgincr-bench.XXXXXX)}
export PGINCR_REPO=$dir/repo PGHOST=$dir PGPORT=5499 PGUSER=bench PGDATABASE=postgres

# PostgreSQL does not run as root.
as() { if ((EUID == 0)); then setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; else "$@"; fi; }
cleanup() {
  as "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap cleanup EXIT
say() { printf '%s\n' "$*" >&2; }

go build -trimpath -o "$dir/pgincr" ./cmd/pgincr
((EUID)) || chown postgres: "$dir"
chmod 755 "$dir"

say "cluster: pgbench scale $scale, PostgreSQL $major"
as "$bin/initdb" -D "$dir/data" -U bench -A trust --no-sync >/dev/null
cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$dir'
port = $PGPORT
shared_buffers = 512MB
max_wal_size = 8GB
checkpoint_timeout = 1h
autovacuum = off
summarize_wal = on
CONF
as "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w start >/dev/null
as "$bin/pgbench" -i -q -s "$scale" >/dev/null 2>&1
as "$dir/pgincr" init -D "$dir/data" -q

say "chain of $chain: $rows rows updated at random before each incremental"
native=()
for ((i = 1; i <= chain; i++)); do
  if ((i == 1)); then
    as "$dir/pgincr" backup -D "$dir/data" -c fast -j "$jobs" -q
    as "$bin/pg_basebackup" -D "$dir/native$i" -c fast --no-sync
  else
    as "$bin/psql" -qc "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid IN
      (SELECT (random() * 100000 * $scale)::int FROM generate_series(1, $rows))"
    as "$dir/pgincr" backup --incremental -D "$dir/data" -c fast -j "$jobs" -q
    as "$bin/pg_basebackup" -D "$dir/native$i" -c fast --no-sync -i "$dir/native$((i - 1))/backup_manifest"
  fi
  native+=("$dir/native$i")
done
as "$dir/pgincr" list >&2
id=$("$dir/pgincr" list --json | tr ',' '\n' | sed -n 's/.*"id": *"\([^"]*-I\)".*/\1/p' | tail -1)
as "$dir/pgincr" backup -D "$dir/data" -c fast -j "$jobs" -q
full=$("$dir/pgincr" list --json | tr ',' '\n' | sed -n 's/.*"id": *"\([^"]*-F\)".*/\1/p' | tail -1)
# About one page in a hundred changes: an accounts page has 61 rows, 100000 × scale / 61 pages in all.
as "$bin/psql" -qc "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid IN
  (SELECT (random() * 100000 * $scale)::int FROM generate_series(1, 16 * $scale))"
as "$dir/pgincr" backup --incremental -D "$dir/data" -c fast -j "$jobs" -q
later=$("$dir/pgincr" list --json | tr ',' '\n' | sed -n 's/.*"id": *"\([^"]*-I\)".*/\1/p' | tail -1)
as "$bin/pg_ctl" -D "$dir/data" -w stop >/dev/null
as "$dir/pgincr" restore "$full" -D "$dir/before" -j "$jobs" -q
as "$dir/pgincr" restore "$id" -D "$dir/reference" -j "$jobs" -q
sync -f "$dir"

side_copy() { cp -r "$dir/reference" "$dir/out" && sync -f "$dir/out"; }
side_chain() { "$dir/pgincr" restore "$id" -D "$dir/out" -j "$jobs" -q; }
side_full() { "$dir/pgincr" restore "$full" -D "$dir/out" -j "$jobs" -q; }
side_native() { "$bin/pg_combinebackup" -o "$dir/out" "${native[@]}"; }
side_inplace() { "$dir/pgincr" restore "$later" -D "$dir/out" --delta -j "$jobs" -q; }
sides=(copy chain full inplace native)

declare -A wall cpu
for ((run = 1; run <= runs; run++)); do
  for side in "${sides[@]}"; do
    rm -rf "$dir/out"
    [[ $side != inplace ]] || cp -a "$dir/before" "$dir/out"
    sync -f "$dir"
    TIMEFORMAT='%R %U %S'
    t=$({ time as bash -c "$(declare -f "side_$side"); dir='$dir' id='$id' full='$full' later='$later' jobs=$jobs bin='$bin' native=(${native[*]}); side_$side" >&2; } 2>&1 | tail -1)
    read -r real user sys <<<"$t"
    wall[$side]+="$real "
    cpu[$side]+="$(awk -v a="$user" -v b="$sys" 'BEGIN { print a + b }') "
    say "run $run: $side ${real}s, CPU ${user}+${sys}s"
  done
done

median() { tr ' ' '\n' <<<"$1" | sed '/^$/d' | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[1], v[NR] }'; }
read -r floor _ _ <<<"$(median "${wall[copy]}")"
printf '%s, %d CPUs, PostgreSQL %s, scale %d, chain of %d, %d jobs, %d runs, %s of data\n\n' \
  "$(uname -sr)" "$(nproc)" "$major" "$scale" "$chain" "$jobs" "$runs" "$(du -sh "$dir/reference" | cut -f1)"
printf '| side | seconds, median (min–max) | CPU seconds | to the copy |\n|---|---|---|---|\n'
for side in "${sides[@]}"; do
  read -r m lo hi <<<"$(median "${wall[$side]}")"
  read -r c _ _ <<<"$(median "${cpu[$side]}")"
  printf '| %s | %s (%s–%s) | %s | %s |\n' "$side" "$m" "$lo" "$hi" "$c" "$(awk -v a="$m" -v b="$floor" 'BEGIN { printf "%.2f", a / b }')"
done
