package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// NewStandby makes a streaming standby of a running primary and starts it. The
// primary keeps WAL for it in a replication slot. Tablespaces get directories
// beside the standby's data directory.
func (c *Cluster) NewStandby(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	o := collect(opts)
	standby := newCluster(t, c.Install)
	base := filepath.Dir(standby.DataDir)
	slot := "standby_" + strings.ToLower(strings.NewReplacer("-", "_").Replace(filepath.Base(base)))
	args := []string{
		"--pgdata=" + standby.DataDir, "--wal-method=stream", "--checkpoint=fast", "--no-sync",
		"--create-slot", "--slot=" + slot,
	}
	for _, row := range c.Rows("SELECT oid, pg_tablespace_location(oid) FROM pg_tablespace") {
		// A location that is not absolute is in place: inside the data directory.
		if oid, location := row[0], row[1]; filepath.IsAbs(location) {
			old := strings.ReplaceAll(location, "=", `\=`)
			args = append(args, "--tablespace-mapping="+old+"="+filepath.Join(base, "ts"+oid))
		}
	}
	c.In(t).Tool("pg_basebackup", args...)
	// Not by --write-recovery-conf: for 14 and 16 the tool is the next major's
	// and writes keywords that these servers' libpq does not know.
	standby.AppendConf(confLines(map[string]string{
		"primary_conninfo":  c.DSN("postgres"),
		"primary_slot_name": slot,
	}), confLines(o.settings), strings.Join(o.conf, "\n"))
	signal := filepath.Join(standby.DataDir, "standby.signal")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	Chown(t, signal)
	if !o.stopped {
		standby.Start()
	}
	return standby
}

// NewTablespace creates a tablespace in a directory of its own and returns its
// location.
func (c *Cluster) NewTablespace(name string) string {
	c.t.Helper()
	location := TempDir(c.t)
	c.Exec(fmt.Sprintf("CREATE TABLESPACE %s LOCATION '%s'", name, location))
	return location
}
