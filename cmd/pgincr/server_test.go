package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
)

// wants runs the program and wants this exit code and these words in what it prints.
func wants(t *testing.T, code int, args []string, words ...string) result {
	t.Helper()
	r := runHere(t, args...)
	if r.code != code {
		t.Fatalf("%v: exit %d, want %d\n%s%s", args, r.code, code, r.stdout, r.stderr)
	}
	for _, w := range words {
		if !strings.Contains(r.stdout+r.stderr, w) {
			t.Errorf("%v: no %q in\n%s%s", args, w, r.stdout, r.stderr)
		}
	}
	return r
}

// What operators see of the main job, from init to restore, and of a corrupt page.
func TestOnServer(t *testing.T) {
	c := pgtest.Newest(t).New(t)
	t.Setenv("PGINCR_REPO", filepath.Join(pgtest.TempDir(t), "repo"))
	for _, kv := range c.Env() {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	c.Exec("CREATE TABLE t AS SELECT i, repeat('x', 500) FROM generate_series(1, 5000) i")
	wants(t, 0, []string{"init"}, "cluster main created")
	wants(t, 0, []string{"backup", "-D", c.DataDir, "-c", "fast"}, ": full in ", "pages ", "carried by the backup")
	c.Exec("UPDATE t SET i = i + 1 WHERE i < 10")
	r := wants(t, 0, []string{
		"backup", "-D", c.DataDir, "-c", "fast", "--incremental", "--page-map", "lsn", "--annotate", "by=test", "--json",
	})
	var m repo.Manifest
	if err := json.Unmarshal([]byte(r.stdout), &m); err != nil {
		t.Fatal(err)
	}
	if m.Type != repo.TypeIncremental || m.PageMap.Source != "lsn" || m.Annotations["by"] != "test" {
		t.Errorf("%+v", m)
	}
	wants(t, 0, []string{"list"}, "ID ", m.ID, m.Parent, "lsn", "ok")
	wants(t, 0, []string{"show", "latest"}, m.ID, m.Parent+" → "+m.ID, "by=test", "page map", "taken by")
	wants(t, 0, []string{"verify"}, m.ID+"  ok", "2 backups")
	wants(t, 1, []string{"backup", "-D", t.TempDir()}, "error")

	target := filepath.Join(pgtest.TempDir(t), "new")
	wants(t, 0, []string{"restore", "-D", target, "--dry-run"},
		"would be restored", "space", "WAL", "recovery", m.Parent)
	if _, err := os.Stat(target); err == nil {
		t.Errorf("a dry run made %s", target)
	}
	wants(t, 0, []string{"restore", m.Parent, "-D", target}, "backup "+m.Parent+": restored to "+target, "chain", "bytes")
	wants(t, 1, []string{"restore", "-D", target}, "not empty", "hint: choose an empty directory")
	r = wants(t, 0, []string{"restore", "-D", target, "--delta", "--json"})
	var res restore.Result
	if err := json.Unmarshal([]byte(r.stdout), &res); err != nil || res.Backup != m.ID || len(res.Chain) != 2 {
		t.Errorf("%+v, %v", res, err)
	}

	c.Checkpoint()
	corrupt(t, c, 3)
	r = wants(t, exitFindings, []string{"backup", "-D", c.DataDir, "-c", "fast", "-q"},
		"corrupt page", "complete, with 3 corrupt pages")
	if r.stdout != "" {
		t.Errorf("quiet: %s", r.stdout)
	}
	wants(t, 0, []string{"list"}, "corrupt pages")
	wants(t, 0, []string{"show", "latest"}, "corrupt page ", "block 0")
	wants(t, 0, []string{"restore", "-D", target, "--delta"}, "pages were corrupt when they were backed up")
}

// corrupt spoils the first blocks of t in its file.
func corrupt(t *testing.T, c *pgtest.Cluster, blocks int64) {
	t.Helper()
	path := filepath.Join(c.DataDir, c.Query1("SELECT pg_relation_filepath('t')"))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for b := range blocks {
		if _, err := f.WriteAt([]byte(fmt.Sprint("spoiled ", b)), b*8192+5000); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
