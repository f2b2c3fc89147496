#!/usr/bin/env bash
# What test.sh runs in the clean Debian, booted by systemd, as an administrator who has read the README.
set -euo pipefail
as() { runuser -u postgres -- env PGINCR_CONFIG=/etc/pgincr/pgincr.yaml "$@"; }
say() { printf 'packages: %s\n' "$*"; }
die() { printf 'packages: %s\n' "$*" >&2; exit 1; }
sql() { as psql -XAtqc "$1"; }
readonly data=/var/lib/postgresql/15/main

# run UNIT: starts it as a timer would, with everything that it may not do.
run() {
  systemctl start "$1" && return
  systemctl status --no-pager --full "$1" >&2 || true
  journalctl --no-pager --output=cat --unit="$1" >&2
  die "$1 failed"
}
# await WHAT COMMAND...: until it succeeds, for a minute.
await() {
  local what=$1
  shift
  for _ in {1..600}; do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  journalctl --no-pager --output=cat --unit='pgincr-*' >&2
  die "$what: not within a minute"
}
backups() { [[ $(as pgincr list --json | grep -c '"id": *"') -ge $1 ]]; }
receiving() { [[ $(sql "SELECT active FROM pg_replication_slots WHERE slot_name LIKE 'pgincr%'") == t ]]; }
received() { [[ -n $(find /var/lib/pgincr/main/parts -type f -print -quit) ]]; }

say "what the package brings"
pgincr version
for f in /etc/pgincr/pgincr.yaml /usr/share/man/man1/pgincr.1 /usr/share/bash-completion/completions/pgincr; do
  [[ -s $f ]] || die "$f is missing"
done
[[ $(stat -c '%U %a' /var/lib/pgincr) == 'postgres 750' ]] || die "/var/lib/pgincr is not that of postgres"
systemd-analyze verify --man=no /usr/lib/systemd/system/pgincr-*
for kind in full incremental check drill receive-wal; do # 0 is safe, 100 is exposed: above 40 is "exposed" for systemd
  systemd-analyze --no-pager --threshold=40 security "pgincr-$kind@main.service" | tail -n 1
done

cat >>/etc/pgincr/pgincr.yaml <<'YAML'
clusters:
  main:
    pgdata: /var/lib/postgresql/15/main
    backup: {checkpoint: fast}
YAML
cat >>/etc/postgresql/15/main/conf.d/pgincr.conf <<'CONF'
archive_mode = on
archive_command = 'pgincr archive-push --config /etc/pgincr/pgincr.yaml %p'
CONF
systemctl restart postgresql@15-main.service
as pgincr init
sql 'CREATE TABLE t AS SELECT g AS id, md5(g::text) AS text FROM generate_series(1, 100000) g'

say "the units: a full backup, an incremental one by its timer, the drill, the check"
run pgincr-full@main.service
sql "UPDATE t SET text = 'changed' WHERE id % 1000 = 0"
# The timers, as the README says, but one of them is not to be waited for until tonight.
mkdir -p /etc/systemd/system/pgincr-incremental@main.timer.d
printf '[Timer]\nOnCalendar=\nOnActiveSec=1s\nAccuracySec=1ms\nRandomizedDelaySec=0\n' \
  >/etc/systemd/system/pgincr-incremental@main.timer.d/soon.conf
systemctl daemon-reload
systemctl enable --quiet --now pgincr-{full,incremental,check,drill}@main.timer
await "the timer's incremental backup" backups 2
run pgincr-incremental@main.service # waits for the one that runs
for kind in full check drill; do
  [[ $(systemctl show --value -p NextElapseUSecRealtime "pgincr-$kind@main.timer") == *20* ]] ||
    die "the timer of $kind has no next time"
done
sql 'SELECT pg_switch_wal()' >/dev/null
run pgincr-drill@main.service
run pgincr-check@main.service

say "the receiver, beside archive_command, until the server is stopped"
systemctl enable --quiet --now pgincr-receive-wal@main.service
await "the receiver" receiving
sql "UPDATE t SET text = 'received' WHERE id % 1000 = 1"
await "received WAL in the repository" received
as pgincr check
as pgincr list
want=$(sql 'SELECT count(*), md5(string_agg(id || text, chr(10) ORDER BY id)) FROM t')
sql 'SELECT pg_switch_wal()' >/dev/null
systemctl stop postgresql@15-main # archives what is left
[[ $(systemctl is-active pgincr-receive-wal@main) == active ]] || die "the receiver went with the server"

say "the data directory is lost, and restored"
rm -rf "$data"
as pgincr restore -D "$data"
run postgresql@15-main.service
recovered() { [[ $(sql 'SELECT pg_is_in_recovery()') == f ]]; }
await "the end of recovery" recovered
got=$(sql 'SELECT count(*), md5(string_agg(id || text, chr(10) ORDER BY id)) FROM t')
[[ $got == "$want" ]] || die "restored $got, want $want"
await "the receiver on the restored server" receiving
systemctl stop pgincr-receive-wal@main postgresql@15-main
[[ $(systemctl is-failed 'pgincr-*') != *failed* ]] || die "a unit failed"
say "restored: $got"
