package drill

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pgincr/pgincr/internal/pgcontrol"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/restore"
)

const port = "5432" // of the socket, in a directory of its own

// configure writes the server's configuration, all of it: that of the backup, postgresql.auto.conf
// too, may name libraries, commands and peers that this host has not, or must not touch.
func (s *scratch) configure(ctx context.Context, recovery restore.Recovery, more []restore.Setting) error {
	control, _, err := pgcontrol.Read(ctx, s.data())
	if err != nil {
		return err
	}
	var conf strings.Builder
	for _, list := range [][]restore.Setting{s.settings(control), recovery.Settings, more} {
		for _, v := range list {
			fmt.Fprintf(&conf, "%s = %s\n", v.Name, v.Quoted())
		}
	}
	if err := s.write(configName, conf.String()); err != nil {
		return err
	}
	if err := s.write(identName, ""); err != nil {
		return err
	}
	err = os.Truncate(filepath.Join(s.data(), "postgresql.auto.conf"), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// settings are those of a server that harms nobody.
func (s *scratch) settings(c pg.Control) []restore.Setting {
	number := func(n int32) string { return fmt.Sprint(n) }
	return []restore.Setting{
		{Name: "listen_addresses", Value: ""},
		{Name: "unix_socket_directories", Value: s.socketDir()},
		{Name: "unix_socket_permissions", Value: "0700"},
		{Name: "port", Value: port},
		{Name: "cluster_name", Value: "pgincr drill"},
		{Name: "archive_mode", Value: "off"},
		{Name: "autovacuum", Value: "off"},
		{Name: "max_logical_replication_workers", Value: "0"}, // subscriptions would take what is the original's
		{Name: "max_wal_senders", Value: "0"},
		// Without it recovery does not compare its settings with those of the source, and ends by a promotion.
		{Name: "hot_standby", Value: "off"},
		{Name: "max_connections", Value: number(max(c.MaxConnections, 100))},
		{Name: "max_prepared_transactions", Value: number(max(c.MaxPrepared, 100))}, // it may have grown since the backup
		{Name: "max_locks_per_transaction", Value: number(max(c.MaxLocks, 64))},
		{Name: "shared_buffers", Value: "128MB"},
		{Name: "huge_pages", Value: "off"},
		{Name: "dynamic_shared_memory_type", Value: "mmap"}, // /dev/shm is small or closed in containers
		{Name: "jit", Value: "off"},
		{Name: "restart_after_crash", Value: "off"},
		{Name: "lc_messages", Value: "C"}, // consistentMessage is looked for
		{Name: "logging_collector", Value: "off"},
		{Name: "log_destination", Value: "stderr"},
		{Name: "log_line_prefix", Value: "%n "},
	}
}
