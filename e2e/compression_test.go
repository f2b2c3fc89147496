package e2e

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// Each backup of a chain can be compressed in another way. What is restored from all of them, new, in place and after
// they were compacted in yet another, is the cluster; encrypted as well.
func TestMixedCompressions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		init func(t *testing.T) []string
	}{
		{"plain", func(*testing.T) []string { return nil }},
		{"encrypted", func(t *testing.T) []string {
			key, recipient := newKey(t, filepath.Join(pgtest.TempDir(t), "key"))
			return []string{"--recipient", recipient, "--identity", key}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			mixedCompressions(t, test.init(t))
		})
	}
}

func mixedCompressions(t *testing.T, encrypted []string) {
	install := pgtest.Newest(t)
	s := &site{t: t, repo: pgtest.TempDir(t), pg: install.New(t, pgtest.Setting("wal_keep_size", "1GB"))}
	s.ok(append([]string{"init", "-D", s.pg.DataDir}, encrypted...)...)
	var identity []string
	if len(encrypted) > 0 {
		identity = encrypted[2:]
	}
	s.sql("CREATE TABLE t AS SELECT i, md5(i::text) || repeat('x', i % 500) AS x FROM generate_series(1, 30000) i",
		"CREATE TABLE random AS SELECT i, sha512(i::text::bytea) AS x FROM generate_series(1, 20000) i")
	s.full(append([]string{"-Z", "zstd"}, identity...)...)
	var last backup
	for n, z := range []string{"lz4", "none", "zstd:19"} {
		s.sql("UPDATE t SET x = x || '"+z+"' WHERE i % 7 = "+string(rune('0'+n)),
			"INSERT INTO random SELECT i, sha512((i || '"+z+"')::bytea) FROM generate_series(1, 3000) i")
		last = s.incremental("auto", append([]string{"-Z", z}, identity...)...)
	}
	want := s.pg.TableSums()
	s.ok(append([]string{"verify"}, identity...)...)
	dir := s.restore(last.ID, identity...)
	install.VerifyBackup(t, dir, "-n")
	files := s.hashes(dir)
	s.ok(append([]string{"compact", last.ID}, identity...)...)
	full := strings.TrimSuffix(last.ID, "I") + "F"
	compacted := s.restore(full, identity...)
	if !maps.Equal(files, s.hashes(compacted)) {
		t.Error("the compacted backup restores to other files")
	}
	got := s.open(dir)
	pgtest.CompareTables(t, want, got.TableSums())
	got.Stop(pgtest.Fast)
	s.ok(append([]string{"restore", last.ID, "-D", dir, "--delta", "--discard-wal"}, identity...)...)
	if !maps.Equal(files, s.hashes(dir)) {
		t.Error("in place it restores to other files")
	}
	s.ok(append([]string{"verify"}, identity...)...)
}
