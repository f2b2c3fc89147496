#!/bin/sh
# The default repository belongs to the user that runs PostgreSQL: who reads it reads the database.
set -e
if [ ! -d /var/lib/pgincr ]; then
  mkdir -m 0750 /var/lib/pgincr
  if getent passwd postgres >/dev/null; then
    chown postgres:postgres /var/lib/pgincr
  fi
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
fi
