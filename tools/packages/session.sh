#!/usr/bin/env bash
# What test.sh runs in the clean Debian, as an administrator who has read the README.
set -euo pipefail
as() { runuser -u postgres -- env PGINCR_CONFIG=/etc/pgincr/pgincr.yaml "$@"; }
say() { printf 'packages: %s\n' "$*"; }
readonly data=/var/lib/postgresql/15/main

say "what the package brings"
pgincr version
for f in /etc/pgincr/pgincr.yaml /usr/share/man/man1/pgincr.1 /usr/share/bash-completion/completions/pgincr; do
  [[ -s $f ]] || { echo "packages: $f is missing" >&2; exit 1; }
done
[[ $(stat -c '%U %a' /var/lib/pgincr) == 'postgres 750' ]]

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
pg_ctlcluster 15 main start
as pgincr init
as psql -qc 'CREATE TABLE t AS SELECT g AS id, md5(g::text) AS text FROM generate_series(1, 100000) g'

say "the command lines of the units, as the units' user"
for kind in full incremental; do
  command=$(sed -n 's/^ExecStart=//p' "/usr/lib/systemd/system/pgincr-$kind@.service")
  # shellcheck disable=SC2086 # words of a command line
  as ${command//%i/main}
  as psql -qc "UPDATE t SET text = '$kind' WHERE id % 1000 = 0"
done
say "the check and the drill, likewise"
as psql -qc 'SELECT pg_switch_wal()' >/dev/null
for kind in drill check; do
  command=$(sed -n 's/^ExecStart=//p' "/usr/lib/systemd/system/pgincr-$kind@.service")
  # shellcheck disable=SC2086 # words of a command line
  as ${command//%i/main}
done
as pgincr check
as pgincr list
want=$(as psql -Atc 'SELECT count(*), md5(string_agg(id || text, chr(10) ORDER BY id)) FROM t')
as psql -qc 'SELECT pg_switch_wal()' >/dev/null
pg_ctlcluster -m fast 15 main stop # archives what is left

say "the data directory is lost, and restored"
rm -rf "$data"
as pgincr restore -D "$data"
pg_ctlcluster 15 main start
until [[ $(as psql -Atc 'SELECT pg_is_in_recovery()') == f ]]; do sleep 0.1; done
got=$(as psql -Atc 'SELECT count(*), md5(string_agg(id || text, chr(10) ORDER BY id)) FROM t')
pg_ctlcluster 15 main stop
[[ $got == "$want" ]] || { echo "packages: restored $got, want $want" >&2; exit 1; }
say "restored: $got"
