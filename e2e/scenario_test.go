package e2e

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// scenario is a history that other tools have been seen to restore wrongly, or
// might: what is there before the full backup, and what happens between it and
// the incrementals.
type scenario struct {
	numbers []string // in the matrix
	opts    []pgtest.Option
	since   int // first major that can do it; 0: all
	prepare func(s *site)
	change  func(s *site)
	// sources are the page map sources to try; nil: all that the major has.
	sources []string
	// check looks at each restored cluster, besides the comparison with the
	// reference; may be nil.
	check func(t *testing.T, got *pgtest.Cluster)
}

// allSources gives the page map sources of a major version.
func allSources(major int) []string {
	sources := []string{"wal", "lsn", "hash"}
	if major >= 17 {
		sources = append(sources, "summaries")
	}
	return sources
}

// runScenario plays the history once per major version, takes an incremental
// by every source on the same full backup, and compares each of them, restored,
// with what pg_basebackup makes of the same cluster. Nothing reads the source's
// tables between the change and the last backup: hint bits and their page
// images would heal the damage that is looked for.
func runScenario(t *testing.T, sc scenario) {
	t.Helper()
	t.Parallel()
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		if install.Major < sc.since {
			return
		}
		opts := sc.opts
		if install.Major >= 17 {
			opts = append([]pgtest.Option{pgtest.Setting("summarize_wal", "on")}, opts...)
		}
		sources := sc.sources
		if sources == nil {
			sources = widely(install.Major)
		}
		plays(t, install, sources, sc.numbers...)
		s := newSite(t, install, opts...)
		sc.prepare(s)
		full := s.full()
		if wide() {
			s.restoresTo(full.ID, s.reference())
		}
		sc.change(s)
		taken := make([]backup, len(sources))
		for i, source := range sources {
			taken[i] = s.incremental(source, "--parent", full.ID)
		}
		want := s.reference()
		for i, source := range sources {
			t.Run(source, func(t *testing.T) {
				t.Parallel()
				s := s.in(t)
				got := s.openAtStop(taken[i].ID)
				want.compare(t, got)
				if sc.check != nil {
					sc.check(t, got)
				}
				got.IndexOnlyEqualsSeqAll()
				got.Visibility()
				got.Amcheck()
			})
		}
	})
}

// openAtStop restores a backup with all its tablespaces elsewhere, recovers
// it just to consistency, and starts it.
func (s *site) openAtStop(id string) *pgtest.Cluster {
	s.t.Helper()
	dir := s.restore(id, append(s.elsewhere(), "--target", "immediate", "--target-action", "promote")...)
	s.pg.Install.VerifyBackup(s.t, dir, "-n")
	return s.open(dir)
}

// elsewhere gives the flags that move each tablespace of the source into a new directory.
func (s *site) elsewhere() []string {
	s.t.Helper()
	var args []string
	for _, row := range s.pg.Rows(`SELECT pg_tablespace_location(oid) FROM pg_tablespace
		WHERE pg_tablespace_location(oid) LIKE '/%'`) {
		args = append(args, "-T", strings.ReplaceAll(row[0], "=", `\=`)+"="+filepath.Join(pgtest.TempDir(s.t), "ts"))
	}
	return args
}

// reference is what a cluster holds according to PostgreSQL's own full backup.
type reference struct {
	dump string
	sums map[string]string
}

// reference takes a backup with pg_basebackup, starts it, and reads it. The
// source itself is not read.
func (s *site) reference() reference {
	s.t.Helper()
	dir := filepath.Join(pgtest.TempDir(s.t), "reference")
	args := append([]string{"-D", dir, "-c", "fast", "-X", "stream"}, s.elsewhere()...)
	s.pg.Tool("pg_basebackup", args...)
	// A copy of a standby would go on being one.
	if err := os.Remove(filepath.Join(dir, "standby.signal")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	cl := s.open(dir)
	defer cl.Stop(pgtest.Immediate)
	return reference{dump: cl.Dump(), sums: cl.TableSums()}
}

// compare fails the test where a cluster holds something else.
func (r reference) compare(t testing.TB, got *pgtest.Cluster) {
	t.Helper()
	pgtest.CompareTables(t, r.sums, got.TableSums())
	pgtest.CompareDumps(t, r.dump, got.Dump())
}
