package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/repo"
)

// at runs the program by a clock that is wrong by offset, and wants it to exit with 0.
func at(t *testing.T, offset time.Duration, args ...string) string {
	t.Helper()
	var out, msg bytes.Buffer
	p := newProgram(&out, &msg)
	p.clock = func() time.Time { return time.Now().Add(offset) }
	if err := p.do(t.Context(), args); err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, &out, &msg)
	}
	return out.String()
}

// setClock restarts the server by a clock that is wrong by offset, where there is a library for that, and
// says whether there is.
func setClock(t *testing.T, c *pgtest.Cluster, offset time.Duration) bool {
	t.Helper()
	c.Stop(pgtest.Fast)
	found, err := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) > 0 {
		t.Setenv("LD_PRELOAD", found[0])
		t.Setenv("FAKETIME", fmt.Sprintf("%+ds", int(offset.Seconds())))
	}
	c.Start()
	t.Setenv("LD_PRELOAD", "")
	return len(found) > 0
}

// Scenario 38: the clock of the host, and so that of the server, goes back by an hour, by a day and more between
// backups. They are in the order of WAL all the same, each is built on the one before, and the last restores
// to what there was.
func TestClockGoesBack(t *testing.T) {
	c := pgtest.Newest(t).New(t, pgtest.Setting("wal_keep_size", "1GB"), pgtest.Setting("summarize_wal", "on"))
	t.Setenv("PGINCR_REPO", filepath.Join(pgtest.TempDir(t), "repo"))
	for _, kv := range c.Env() {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	c.Exec("CREATE TABLE t AS SELECT i, repeat('x', 500) FROM generate_series(1, 5000) i")
	at(t, 0, "init", "-D", c.DataDir)
	sources := []string{"", "wal", "lsn", "summaries", "hash", "auto"}
	var taken []string
	for i, offset := range []time.Duration{
		2 * time.Hour, time.Hour, -23 * time.Hour, -24 * time.Hour, -400 * 24 * time.Hour, 0,
	} {
		set := setClock(t, c, offset)
		c.Exec(fmt.Sprintf("UPDATE t SET i = -i WHERE i %% 7 = %d", i))
		apart := "SELECT abs(extract(epoch FROM now()) - %d) < 600"
		if set && c.Query1(fmt.Sprintf(apart, time.Now().Add(offset).Unix())) != "t" {
			t.Errorf("the clock of the server was not set to %v", offset)
		}
		args := []string{"backup", "-D", c.DataDir, "-c", "fast", "--json"}
		if i > 0 {
			args = append(args, "--incremental", "--page-map", sources[i])
		}
		var m repo.Manifest
		if err := json.Unmarshal([]byte(at(t, offset, args...)), &m); err != nil {
			t.Fatal(err)
		}
		if i > 0 && (m.Type != repo.TypeIncremental || m.Parent != taken[i-1]) {
			t.Errorf("%s at %v is %s on %q because %q, want one on %s",
				m.ID, offset, m.Type, m.Parent, m.FullReason, taken[i-1])
		}
		taken = append(taken, m.ID)
		if i == 0 && !set {
			pgtest.NotTested(t, "with a server whose clock goes back: there is no libfaketime")
		}
	}
	want := c.TableSums()

	var all []repo.Manifest
	if err := json.Unmarshal([]byte(at(t, 0, "list", "--json")), &all); err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range all {
		listed = append(listed, m.ID)
	}
	if !slices.Equal(listed, taken) {
		t.Errorf("listed %v, want %v", listed, taken)
	}
	at(t, 0, "expire", "--keep-full", "1")
	at(t, 0, "verify")
	dir := filepath.Join(pgtest.TempDir(t), "restored")
	at(t, 0, "restore", "-D", dir)
	got := pgtest.FromDataDir(t, c.Install, dir)
	got.WaitRecovered()
	pgtest.CompareTables(t, want, got.TableSums())
	got.Amcheck()
}
