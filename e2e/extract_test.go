package e2e

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// page is the JSON of show --page.
type page struct {
	Backup   string `json:"backup"`
	Pack     string `json:"pack"`
	LSN      string `json:"lsn"`
	Checksum string `json:"checksum"`
	Zero     bool   `json:"zero"`
	Data     string `json:"data"`
}

// Pages and files that are read out of a chain are those that a restore writes, come from the backup that
// stored them last, and wrong checksums are told.
func TestShowPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, pgtest.Newest(t))
	s.sql("CREATE EXTENSION pageinspect", "CREATE TABLE t (i int, x text) WITH (autovacuum_enabled = off)",
		"INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(1, 3000) i", "CREATE INDEX ON t (i)", "VACUUM t")
	full := s.full()
	heap := s.pg.Query1("SELECT pg_relation_filepath('t')")
	s.sql("UPDATE t SET x = 'y' WHERE ctid >= '(3,0)' AND ctid < '(4,0)'", "CHECKPOINT")
	incr := s.incremental("wal")
	lsns := s.pg.Rows(`SELECT b, lsn FROM generate_series(0, 4) b, page_header(get_raw_page('t', b))`)
	dir := s.restore(incr.ID)
	restored := func(path string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	content := restored(heap)
	for _, row := range lsns {
		p := decode[page](t, s.ok("show", incr.ID, "--page", heap+":"+row[0], "--json").stdout)
		var block int
		if _, err := fmt.Sscan(row[0], &block); err != nil {
			t.Fatal(err)
		}
		want := hex.EncodeToString(content[block*8192:][:8192])
		from := map[bool]string{true: incr.ID, false: full.ID}[block == 3]
		if p.Data != want || p.LSN != row[1] || p.Backup != from || p.Checksum != "ok" || p.Pack == "" {
			t.Errorf("block %d: from %s, %s, LSN %s, want %s, %s", block, p.Backup, p.Checksum, p.LSN, from, row[1])
		}
	}
	if o := s.ok("show", incr.ID, "--page", heap+":3"); !strings.Contains(o.stdout, "backup "+incr.ID) ||
		!strings.Contains(o.stdout, "00000000  ") {
		t.Errorf("%s", o.stdout)
	}
	out := filepath.Join(pgtest.TempDir(t), "file")
	for _, path := range []string{
		heap, heap + "_vm", heap + "_fsm", "global/1262", "global/pg_control", "PG_VERSION", "base/1/pg_filenode.map",
	} {
		s.ok("show", incr.ID, "--extract", path, "-o", out)
		if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, restored(path)) {
			t.Errorf("%s: other content, %v", path, err)
		}
		if o := s.run("show", incr.ID, "--extract", path, "-o", out); o.code != 1 {
			t.Errorf("written over an existing file: exit %d", o.code)
		}
		if err := os.Remove(out); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"--page", heap + ":4000000"},
		{"--page", "base/1/999:0"},
		{"--extract", "base/1/999", "-o", out},
		{"--extract", "base", "-o", out},
		{"--extract", "../x", "-o", out},
		{"--extract", "/etc/passwd", "-o", out},
	} {
		if o := s.run(append([]string{"show", incr.ID}, args...)...); o.code != 1 {
			t.Errorf("%v: exit %d, %s", args, o.code, o.stderr)
		}
	}
	for _, args := range [][]string{{"--page", "t:0"}, {"--page", heap + ".1:0"}, {"--extract", heap}, {"-o", out}} {
		if o := s.run(append([]string{"show", incr.ID}, args...)...); o.code != 2 {
			t.Errorf("%v: exit %d, %s", args, o.code, o.stderr)
		}
	}
	s.showDamaged(incr, heap, out)
}

// showDamaged looks at a page that is corrupt in the cluster, and at one that was damaged in the repository.
func (s *site) showDamaged(incr backup, heap, out string) {
	t := s.t
	s.pg.Stop(pgtest.Fast)
	flip(t, filepath.Join(s.pg.DataDir, heap), 2*8192+5000)
	s.pg.Start()
	b := s.backup(3)
	if o := s.run("show", b.ID, "--page", heap+":2"); o.code != 3 || !strings.Contains(o.stdout, "WRONG") {
		t.Errorf("a corrupt page: exit %d, %s", o.code, o.stdout)
	}
	packs, err := filepath.Glob(filepath.Join(s.repo, "main/backups", incr.ID, "*.pack"))
	if err != nil || len(packs) == 0 {
		t.Fatalf("%v, %v", packs, err)
	}
	p := decode[struct {
		Pack   string `json:"pack"`
		Offset int64  `json:"offset"`
	}](t, s.ok("show", incr.ID, "--page", heap+":3", "--json").stdout)
	flip(t, filepath.Join(s.repo, "main/backups", incr.ID, p.Pack), p.Offset+100)
	for _, args := range [][]string{{"--page", heap + ":3"}, {"--extract", heap, "-o", out}} {
		if o := s.run(append([]string{"show", incr.ID}, args...)...); o.code != 1 || !strings.Contains(o.stderr, p.Pack) {
			t.Errorf("%v, damaged: exit %d, %s", args, o.code, o.stderr)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(out), "*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// flip changes one byte of a file.
func flip(t testing.TB, path string, at int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 0xff
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
