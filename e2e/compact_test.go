package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/datadiff"
	"github.com/pgincr/pgincr/internal/pgtest"
)

// compacted is the JSON of compact as docs/cli.md promises it.
type compacted struct {
	Backup *struct {
		backup
		CompactedFrom string `json:"compacted_from"`
	} `json:"backup"`
	Existing      bool     `json:"existing"`
	Chain         []string `json:"chain"`
	FramesCopied  int64    `json:"frames_copied"`
	FramesEncoded int64    `json:"frames_encoded"`
}

// A chain that was compacted restores, new and in place, to the same files; what was built on it before and what is
// built on it after, by every source, restores without the old chain.
func TestCompact(t *testing.T) {
	t.Parallel()
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		s := newSite(t, install)
		s.pg.Tool("pgbench", "-i", "-s", "2", "-q", "postgres")
		s.sql("CREATE TABLE t AS SELECT i, repeat('x', 100) x FROM generate_series(1, 20000) i", "VACUUM t")
		chain := []backup{s.full()}
		for _, source := range []string{"wal", "lsn"} {
			s.pg.Tool("pgbench", "-n", "-t", "200", "postgres")
			s.sql("DELETE FROM t WHERE i > 15000", "VACUUM t")
			chain = append(chain, s.incremental(source))
		}
		s.sql("UPDATE t SET x = 'y' WHERE i % 50 = 0")
		child := s.incremental("lsn")
		base := chain[2]
		files := s.hashes(s.restore(base.ID))

		plan := decode[compacted](t, s.ok("compact", base.ID, "--dry-run", "--json").stdout)
		if plan.Backup != nil || plan.FramesCopied == 0 || plan.FramesEncoded == 0 || len(plan.Chain) != 3 {
			t.Errorf("plan: %+v", plan)
		}
		c := decode[compacted](t, s.ok("compact", base.ID, "--json").stdout)
		full := strings.TrimSuffix(base.ID, "I") + "F"
		if c.Existing || c.Backup.ID != full || c.Backup.Type != "full" || c.Backup.CompactedFrom != base.ID ||
			c.Backup.StartLSN != base.StartLSN || c.Backup.StopLSN != base.StopLSN {
			t.Fatalf("compacted: %+v", c)
		}
		if again := decode[compacted](t, s.ok("compact", base.ID, "--json").stdout); !again.Existing {
			t.Errorf("again: %+v", again)
		}
		dir := s.restore(full)
		install.VerifyBackup(t, dir, "-n")
		if !maps.Equal(files, s.hashes(dir)) {
			t.Error("the compacted backup restores to other files")
		}
		s.ok("restore", child.ID, "-D", dir, "--delta")
		s.ok("restore", full, "-D", dir, "--delta")
		install.VerifyBackup(t, dir, "-n")
		if !maps.Equal(files, s.hashes(dir)) {
			t.Error("the compacted backup restores in place to other files")
		}
		for _, source := range []string{"wal", "lsn"} {
			s.sql("UPDATE t SET x = 'z" + source + "' WHERE i % 31 = 0")
			b := s.incremental(source, "--parent", full)
			if b.Parent != full || b.BlocksStored > b.BlocksTotal/2 {
				t.Errorf("%+v", b)
			}
			chain = append(chain, b)
		}
		want := s.pg.TableSums()
		s.pg.SwitchWAL()
		for _, b := range chain[:3] {
			if err := os.RemoveAll(filepath.Join(s.repo, "main/backups", b.ID)); err != nil {
				t.Fatal(err)
			}
		}
		s.ok("verify")
		s.ok("verify", "--quick")
		for _, b := range []backup{child, chain[3], chain[4]} {
			dir := filepath.Join(pgtest.TempDir(t), "data")
			o := s.ok("restore", b.ID, "-D", dir, "--json")
			if r := decode[struct {
				Chain []string `json:"chain"`
			}](t, o.stdout); !slices.Equal(r.Chain, []string{full, b.ID}) {
				t.Errorf("chain %v", r.Chain)
			}
			install.VerifyBackup(t, dir, "-n")
			got := s.open(dir)
			pgtest.CompareTables(t, want, got.TableSums())
			got.Amcheck()
			got.Visibility()
			got.Stop(pgtest.Fast)
			install.Checksums(t, dir)
		}
	})
}

// hashes gives those of a restored directory's files.
func (s *site) hashes(dir string) map[string]uint64 {
	s.t.Helper()
	h, err := datadiff.Hashes(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

// Killed at any moment, compact leaves the chain as it was, and compacting again completes it.
func TestKilledCompact(t *testing.T) {
	kills := 6
	if text := os.Getenv("PGINCR_COMPACT_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("PGINCR_COMPACT_KILLS: %v", err)
		}
		kills = n
	}
	s := newSite(t, pgtest.Newest(t))
	s.pg.Tool("pgbench", "-i", "-s", "5", "-q", "postgres")
	s.full()
	s.pg.Tool("pgbench", "-n", "-t", "300", "postgres")
	last := s.incremental("auto")
	s.pg.SwitchWAL()
	files := s.hashes(s.restore(last.ID))
	full := strings.TrimSuffix(last.ID, "I") + "F"
	begin := time.Now()
	s.ok("compact", last.ID)
	whole := time.Since(begin)
	for round, done := 0, 0; done < kills; round++ {
		if round == 10*kills {
			t.Fatalf("only %d of %d were killed on their way", done, round)
		}
		if err := os.RemoveAll(filepath.Join(s.repo, "main/backups", full)); err != nil {
			t.Fatal(err)
		}
		if s.killCompact(last.ID, whole) {
			done++
		}
		s.ok("verify")
		s.ok("compact", last.ID)
	}
	dir := s.restore(full)
	s.pg.Install.VerifyBackup(t, dir, "-n")
	if !maps.Equal(files, s.hashes(dir)) {
		t.Error("other files after all")
	}
	s.ok("verify")
}

// killCompact kills a compaction after less than so long, and says whether it was on its way.
func (s *site) killCompact(id string, whole time.Duration) bool {
	s.t.Helper()
	cmd := pgtest.Command(s.t.Context(), pgincr, "compact", id, "-q")
	cmd.Env = append(cmd.Env, "PGINCR_REPO="+s.repo)
	return killed(s.t, cmd, whole)
}
