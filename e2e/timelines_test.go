package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// at is the same repository seen from another server of the cluster.
func (s *site) at(cl *pgtest.Cluster) *site {
	c := *s
	c.pg = cl
	return &c
}

// restoresTo restores a backup and compares it with what the cluster held.
func (s *site) restoresTo(id string, want reference) {
	s.t.Helper()
	got := s.openAtStop(id)
	defer got.Stop(pgtest.Immediate)
	want.compare(s.t, got)
	got.IndexOnlyEqualsSeqAll()
	got.Visibility()
}

// wantFull takes an incremental that nothing may be built on, and compares the reason.
func (s *site) wantFull(reason string, args ...string) backup {
	s.t.Helper()
	b := s.backup(0, append([]string{"--incremental"}, args...)...)
	if b.Type != "full" || !strings.Contains(b.FullReason, reason) {
		s.t.Errorf("backup %s is %s on %q, because %q; want a full one because of %q",
			b.ID, b.Type, b.Parent, b.FullReason, reason)
	}
	return b
}

// timelineSite is a site whose tables are filled as the headline histories want them.
func timelineSite(t *testing.T, install pgtest.Install, opts ...pgtest.Option) *site {
	t.Helper()
	if install.Major >= 17 {
		opts = append(opts, pgtest.Setting("summarize_wal", "on"))
	}
	s := newSite(t, install, opts...)
	filled(s)
	return s
}

// Scenarios 2, 13 and 22: a chain over two failovers. The table is truncated on one timeline and grows again on
// the next; the last segment of a timeline that is left by a crash is archived by its successor only. Each link
// restores to what the cluster held, by each source.
func TestChainOverFailovers(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		plays(t, install, widely(install.Major), "2", "13", "22")
		s := timelineSite(t, install)
		standby := s.pg.NewStandby(t) // before the backup, so that its server summarizes all WAL behind it
		parent := s.full()
		for round := range 2 {
			ended := s.pg.SwitchWAL()
			s.sql(`DELETE FROM t WHERE id > 280`, `VACUUM t`, `CHECKPOINT`)
			standby.WaitReplayed(s.pg)
			standby.Checkpoint()
			s.pg.Poll("all but the last segment to be archived", func() bool {
				return s.pg.Query1("SELECT coalesce(last_archived_wal >= '"+ended+"', false) FROM pg_stat_archiver") == "t"
			})
			s.pg.Stop(pgtest.Immediate) // its last segment stays unarchived
			standby.Promote()
			s = s.at(standby)
			s.sql(`INSERT INTO t SELECT i, repeat('y', 1100) FROM generate_series(1001, 1280) i`, `CHECKPOINT`)
			standby = s.pg.NewStandby(t)
			var taken []backup
			for _, source := range widely(install.Major) {
				b := s.incremental(source, "--parent", parent.ID)
				if b.Timeline != round+2 || b.Parent != parent.ID {
					t.Errorf("%s is on timeline %d and %s, want %d and %s", b.ID, b.Timeline, b.Parent, round+2, parent.ID)
				}
				taken = append(taken, b)
			}
			want := s.reference()
			for _, b := range taken {
				s.restoresTo(b.ID, want)
			}
			parent = taken[0]
		}
	})
}

// Scenarios 14 and 15: a backup of another line is not built on, even if the number of its timeline and
// its position would allow it; an earlier one that both lines share is.
func TestDivergedLines(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		plays(t, install, []string{"wal", "lsn", "auto"}, "14", "15")
		s := timelineSite(t, install)
		shared := s.full()
		one, two := s.at(s.pg.NewStandby(t)), s.at(s.pg.NewStandby(t))
		s.sql(`UPDATE t SET pad = 'before' WHERE id = 1`)
		one.pg.WaitReplayed(s.pg)
		two.pg.WaitReplayed(s.pg)
		one.pg.Promote()
		s.sql(`UPDATE t SET pad = 'between' WHERE id < 100`)
		late := s.incremental("wal")
		two.pg.WaitReplayed(s.pg)
		// Two would push its own timeline 2 over that of one: it is a cluster of its own from here on.
		two.pg.AppendConf("archive_command = 'false'")
		two.pg.Reload()
		s.pg.Stop(pgtest.Fast)
		two.pg.Promote()

		one.sql(`UPDATE t SET pad = 'one' WHERE id BETWEEN 200 AND 300`, `CHECKPOINT`)
		one.wantFull("history", "--parent", late.ID)
		ofOne := one.incremental("wal", "--parent", shared.ID)
		one.restoresTo(ofOne.ID, one.reference())
		if b := one.incremental("lsn"); b.Parent == late.ID {
			t.Errorf("%s was built on %s of the line that was left", b.ID, late.ID)
		}

		two.sql(`UPDATE t SET pad = 'two' WHERE id BETWEEN 250 AND 400`, `CHECKPOINT`)
		two.wantFull("history", "--parent", ofOne.ID, "--wal", "stream")
		// Nothing but positions joins its WAL to what is archived of the parent's: pages are compared.
		ofTwo := two.incremental("auto", "--parent", late.ID, "--wal", "stream")
		if ofTwo.PageMap.Source != "hash" {
			t.Errorf("the changes came from %s, because %q", ofTwo.PageMap.Source, ofTwo.PageMap.FallbackReason)
		}
		// By itself, and with a target: never with the WAL of one's timeline 2.
		want := two.reference()
		two.restoresCarried(ofTwo.ID, want)
		two.restoresCarried(ofTwo.ID, want, "--target", "immediate", "--target-action", "promote")
	})
}

// restoresCarried is restoresTo for a backup that carries its WAL while the archive has that of another line.
func (s *site) restoresCarried(id string, want reference, args ...string) {
	s.t.Helper()
	dir := filepath.Join(pgtest.TempDir(s.t), "data")
	o := s.ok(append([]string{"restore", id, "-D", dir}, args...)...)
	if !strings.Contains(o.stdout+o.stderr, "recovery uses only the WAL that the backup carries") {
		s.t.Errorf("nobody was told of the other line:\n%s%s", o.stdout, o.stderr)
	}
	got := s.open(dir)
	defer got.Stop(pgtest.Immediate)
	want.compare(s.t, got)
}

// Scenario 16: an old primary that pg_rewind made a standby of the new one. A backup from before the lines parted
// is built on, one that it took on its own line afterwards is not.
func TestRewound(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		rewind, ok := install.Tool("pg_rewind")
		if !ok {
			pgtest.NotTested(t, "on %s, which has no pg_rewind (docs/testing.md)", install)
			return
		}
		t.Parallel()
		plays(t, install, []string{"lsn", "hash", "auto"}, "16")
		s := timelineSite(t, install, pgtest.Setting("wal_keep_size", "256MB"))
		shared := s.full()
		next := s.at(s.pg.NewStandby(t))
		next.pg.WaitReplayed(s.pg)
		next.pg.Promote()
		s.sql(`DELETE FROM t WHERE id > 280`, `VACUUM t`, `UPDATE t SET pad = 'lost' WHERE id < 50`)
		lost := s.incremental("lsn", "--wal", "stream")
		next.sql(`UPDATE t SET pad = 'kept' WHERE id BETWEEN 300 AND 350`, `CHECKPOINT`)
		s.pg.Stop(pgtest.Fast)
		cmd := pgtest.Command(t.Context(), rewind, "-D", s.pg.DataDir, "--source-server="+next.pg.DSN("postgres"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("pg_rewind: %v\n%s", err, out)
		}
		s.pg.AppendConf("primary_conninfo = '"+strings.ReplaceAll(next.pg.DSN("postgres"), "'", "''")+"'",
			"primary_slot_name = ''")
		signal := filepath.Join(s.pg.DataDir, "standby.signal")
		if err := os.WriteFile(signal, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		pgtest.Chown(t, signal)
		s.pg.Start()
		next.sql(`UPDATE t SET pad = 'later' WHERE id BETWEEN 500 AND 520`, `CHECKPOINT`)
		s.pg.WaitReplayed(next.pg)
		s.pg.Checkpoint()
		s.wantFull("history", "--parent", lost.ID)
		for _, source := range []string{"lsn", "hash", "auto"} {
			b := s.incremental(source, "--parent", shared.ID)
			got := s.open(s.restore(b.ID))
			pgtest.CompareTables(t, next.pg.TableSums(), got.TableSums())
			got.Visibility()
			got.Stop(pgtest.Immediate)
		}
	})
}

// Scenario 17: pg_resetwal cuts the line: nothing tells what happened before it. With another segment size it
// is another repository entry that is needed.
func TestResetWAL(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		reset, ok := install.Tool("pg_resetwal")
		if !ok {
			pgtest.NotTested(t, "on %s, which has no pg_resetwal (docs/testing.md)", install)
			return
		}
		t.Parallel()
		plays(t, install, []string{"wal", "auto"}, "17")
		s := timelineSite(t, install, pgtest.Setting("min_wal_size", "192MB"))
		s.full()
		s.sql(`UPDATE t SET pad = 'changed' WHERE id < 50`)
		do := func(args ...string) {
			s.pg.Stop(pgtest.Fast)
			if out, err := pgtest.Command(t.Context(), reset, append(args, "-D", s.pg.DataDir)...).CombinedOutput(); err != nil {
				t.Fatalf("pg_resetwal: %v\n%s", err, out)
			}
			s.pg.Start()
		}
		do("-f")
		s.sql(`UPDATE t SET pad = 'after' WHERE id BETWEEN 300 AND 330`)
		if o := s.run("backup", "-D", s.pg.DataDir, "-c", "fast", "--incremental", "--page-map", "wal"); o.code != 1 {
			t.Errorf("a map over a reset: exit %d\n%s%s", o.code, o.stdout, o.stderr)
		}
		// Nothing proves any more that the server has come from the parent: pages are compared.
		b := s.incremental("auto")
		if b.PageMap.Source != "hash" || b.PageMap.FallbackReason == "" {
			t.Errorf("after a reset the changes came from %s, because %q", b.PageMap.Source, b.PageMap.FallbackReason)
		}
		s.restoresTo(b.ID, s.reference())
		do("--wal-segsize=64")
		s.refused(s.run("backup", "-D", s.pg.DataDir, "-c", "fast"), 1, "WAL segment")
	})
}
