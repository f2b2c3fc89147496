#!/usr/bin/env bash
# Measures the restore of a chain against its floor, a copy of the same data
# directory, and against pg_combinebackup and pgBackRest; and an in-place restore after about one page
# in a hundred has changed.
#
# usage: bench/restore.sh        from the top of the tree
#
# environment: SCALE pgbench scale (100: 1.6 GB), CHAIN backups in the chain (9), ROWS rows updated
# between two backups (20000 × scale / 100), RUNS alternating runs (5), JOBS (2),
# MAJOR of PostgreSQL, 17 or newer (17), BENCH_DIR on the disk to measure (a new directory in
# /var/tmp), PGINCR_PG_ROOT where tools/postgres/install.sh installed, PGBACKREST the program (where
# it is in the path), which must be 2.54 or newer for 17 and 2.56 for 18. Without it, or where it
# knows nothing of the server, it is not measured, and that is said.
# Needs GNU time (Debian's package time).
#
# Every side ends with its data on the disk: the programs sync by
# themselves, after the copy there is `sync -f`. The source is in the page cache for all. Printed are the
# median, minimum and maximum of the time of each, medians of its CPU (user and system) and of the memory of its
# largest process, and the ratios of time to the copy and of CPU to pg_combinebackup.
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
command -v /usr/bin/time >/dev/null || { echo "restore.sh: GNU time is missing" >&2; exit 1; }
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

backrest=${PGBACKREST:-$(command -v pgbackrest || true)}
rest() { # COMMAND PGDATA OPTION...
  as "$backrest" "$1" --no-config --stanza=bench --pg1-path="$2" --repo1-path="$dir/backrest" \
    --lock-path="$dir/lock" --log-path="$dir/lock" --log-level-console=error --log-level-file=off "${@:3}"
}
rest_backup() { # TYPE
  rest backup "$dir/data" --type="$1" --start-fast --no-archive-check --process-max="$jobs" \
    --pg1-socket-path="$dir" --pg1-port="$PGPORT" --pg1-user="$PGUSER" \
    --repo1-bundle --repo1-block --compress-type=zst
}
if [[ -n $backrest ]]; then
  as mkdir -p "$dir/backrest" "$dir/lock"
  if ! rest stanza-create "$dir/data" --no-online >&2; then
    say "$("$backrest" version) does not serve PostgreSQL $major: not measured"
    backrest=
  fi
else
  say "pgBackRest is not installed: not measured"
fi

say "chain of $chain: $rows rows updated at random before each incremental"
native=()
for ((i = 1; i <= chain; i++)); do
  if ((i == 1)); then
    as "$dir/pgincr" backup -D "$dir/data" -c fast -j "$jobs" -q
    as "$bin/pg_basebackup" -D "$dir/native$i" -c fast --no-sync
    [[ -z $backrest ]] || rest_backup full
  else
    as "$bin/psql" -qc "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid IN
      (SELECT (random() * 100000 * $scale)::int FROM generate_series(1, $rows))"
    as "$dir/pgincr" backup --incremental -D "$dir/data" -c fast -j "$jobs" -q
    as "$bin/pg_basebackup" -D "$dir/native$i" -c fast --no-sync -i "$dir/native$((i - 1))/backup_manifest"
    [[ -z $backrest ]] || rest_backup incr
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

side_copy() { cp -r "$dir/reference" "$out" && sync -f "$out"; }
side_chain() { "$dir/pgincr" restore "$id" -D "$out" -j "$jobs" -q; }
side_full() { "$dir/pgincr" restore "$full" -D "$out" -j "$jobs" -q; }
side_native() { "$bin/pg_combinebackup" -o "$out" "${native[@]}"; }
side_inplace() { "$dir/pgincr" restore "$later" -D "$out" --delta -j "$jobs" -q; }
side_backrest() { mkdir -m 700 "$out" && chown --reference="$dir/data" "$out" && rest restore "$out" --type=none --process-max="$jobs"; }
sides=(copy chain full inplace native)
[[ -z $backrest ]] || sides+=(backrest)

# ext4 searches long for an inode beside ones that were deleted a moment ago, which cost up to a second of CPU here,
# whatever restores. So each run writes to a place of its own, in another part of the file system.
mkdir "$dir/places"
chmod 755 "$dir/places"
chattr +T "$dir/places" 2>/dev/null || say "not ext4: outputs lie where those before were deleted"

# What a side is run with: its variables and functions, in a shell of its own.
script=$(declare -p dir id full later jobs bin native backrest && declare -f as rest && declare -f "${sides[@]/#/side_}")
declare -A wall cpu mem
for ((run = 1; run <= runs; run++)); do
  for side in "${sides[@]}"; do
    export out=$dir/places/$run-$side/out
    rm -rf "$dir"/places/*
    mkdir "${out%/out}"
    chmod 755 "${out%/out}"
    [[ $side != inplace ]] || cp -a "$dir/before" "$out"
    sync -f "$dir"
    /usr/bin/time -o "$dir/time" -f '%e %U %S %M' bash -euc "$script; side_$side" >&2
    read -r real user sys rss <"$dir/time"
    wall[$side]+="$real "
    cpu[$side]+="$(awk -v a="$user" -v b="$sys" 'BEGIN { print a + b }') "
    mem[$side]+="$((rss / 1024)) "
    say "run $run: $side ${real}s, CPU ${user}+${sys}s, $((rss / 1024)) MiB"
  done
done

median() { tr ' ' '\n' <<<"$1" | sed '/^$/d' | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[1], v[NR] }'; }
read -r floor _ _ <<<"$(median "${wall[copy]}")"
printf '%s, %d CPUs, PostgreSQL %s, scale %d, chain of %d, %d jobs, %d runs, %s of data\n\n' \
  "$(uname -sr)" "$(nproc)" "$major" "$scale" "$chain" "$jobs" "$runs" "$(du -sh "$dir/reference" | cut -f1)"
read -r peer _ _ <<<"$(median "${cpu[native]}")"
printf '| side | seconds, median (min–max) | to the copy | CPU seconds | to pg_combinebackup | MiB |\n|---|---|---|---|---|---|\n'
for side in "${sides[@]}"; do
  read -r m lo hi <<<"$(median "${wall[$side]}")"
  read -r c _ _ <<<"$(median "${cpu[$side]}")"
  read -r r _ _ <<<"$(median "${mem[$side]}")"
  printf '| %s | %s (%s–%s) | %s | %s | %s | %s |\n' "$side" "$m" "$lo" "$hi" \
    "$(awk -v a="$m" -v b="$floor" 'BEGIN { printf "%.2f", a / b }')" "$c" \
    "$(awk -v a="$c" -v b="$peer" 'BEGIN { printf "%.2f", a / b }')" "$r"
done
