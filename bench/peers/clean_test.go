package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// A server that an aborted run has left is stopped before its files go, and what was measured stays.
func TestClean(t *testing.T) {
	dir := pgtest.TempDir(t)
	cfg := config{
		dir: dir, results: filepath.Join(dir, "results.json"), bin: pgtest.Newest(t).BinDir,
		credential: pgtest.Command(t.Context(), "true").SysProcAttr.Credential,
	}
	b := &bench{cfg: cfg, dir: filepath.Join(cfg.dir, "pgbench")}
	write(t, cfg.results, "{}")
	write(t, filepath.Join(cfg.dir, "documents", "made"), "") // a data set without a server
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	pgtest.Chown(t, b.dir)
	if err := b.do(t.Context(), b.pg("initdb"), "-D", b.pgdata(), "--no-sync"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(b.pgdata(), "postgresql.auto.conf"),
		"listen_addresses = ''\nunix_socket_directories = '"+b.dir+"'\n")
	if err := b.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // there is nothing to do the second time
		if err := clean(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	// What has ended has no command line, also while nobody has waited for it.
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", b.pid))
	if len(line) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the server still runs: %q, %v", line, err)
	}
	left, err := os.ReadDir(cfg.dir)
	if err != nil || len(left) != 1 || left[0].Name() != "results.json" {
		t.Errorf("left: %v, %v", left, err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}
