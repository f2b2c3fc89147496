package wal

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
)

// history reads the newest history file of a server.
func (s *walSource) history(tli pg.TimelineID) pg.History {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.DataDir, "pg_wal", pg.HistoryFileName(tli)))
	if err != nil {
		s.t.Fatal(err)
	}
	h, err := pg.ParseHistory(tli, b)
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

// standby makes a standby that, once promoted, archives to a directory of its own.
func (s *walSource) standby(t testing.TB) *walSource {
	t.Helper()
	dir := pgtest.TempDir(t)
	n := &walSource{t: t, archive: newDirArchive(dir)}
	n.Cluster = s.NewStandby(t, pgtest.Setting("archive_command", "cp %p "+dir+"/%f"))
	n.identify()
	return n
}

// copyWAL copies archived files that the other archive lacks.
func copyWAL(t testing.TB, from, to *dirArchive) {
	t.Helper()
	names, err := from.names(func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(from.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(to.dir, name)); err == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(to.dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// After a promotion the map goes on from the old timeline to the new one, whether or
// not the old one's last segment was ever archived; and WAL of another standby
// that was promoted to the same timeline is told apart.
func TestPromotion(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		p := newSource(t, install)
		one, two := p.standby(t), p.standby(t)
		from := p.backupStart()
		p.Exec("CREATE TABLE a AS SELECT i, md5(i::text) m FROM generate_series(1, 20000) i")
		p.archived()
		p.Exec("UPDATE a SET m = 'y' WHERE i < 10")
		one.WaitReplayed(p.Cluster)
		two.WaitReplayed(p.Cluster)
		one.Promote() // the last segment of timeline 1 is in no archive
		p.Exec("INSERT INTO a SELECT i, 'more' FROM generate_series(1, 300) i")
		two.WaitReplayed(p.Cluster)
		two.Promote()
		for i, s := range []*walSource{one, two} {
			s.Exec(fmt.Sprintf("UPDATE a SET m = 'x' WHERE i > %d", 10000+i))
			s.request.From, s.request.To = from, s.backupStart()
			s.archived()
			s.request.History = s.history(2)
			s.request.FromTimeline = 1
			copyWAL(t, p.archive, s.archive)
		}
		for i, s := range []*walSource{one, two} {
			s.Exec("CHECKPOINT")
			fromArchive := s.request
			fromArchive.Dir = ""
			built := mustBuild(t, fromArchive)
			pagesInMap(t, s.DataDir, fromArchive, built.Map)

			switched := s.request.History.Ancestors[0].End
			atSwitch := fromArchive
			atSwitch.To = switched
			mustBuild(t, atSwitch)
			name := atSwitch.Geometry.WALFileName(1, atSwitch.Geometry.SegmentOf(switched))
			if _, err := os.Stat(filepath.Join(s.archive.dir, name)); err == nil && i == 0 {
				t.Errorf("%s is archived: not the case to be tested", name)
			}

			other := []*walSource{two, one}[i]
			foreign := fromArchive
			foreign.Archive = newDirArchive(other.archive.dir)
			foreign.To = min(one.request.To, two.request.To)
			wantIncomplete(t, foreign)
			foreign.Dir = s.request.Dir
			foreign.To = s.request.To
			wantIncomplete(t, foreign)
		}
	})
}

// A record that a crash cuts off, through several segments, is dropped where the
// server overwrites its rest, and what comes after is in the map.
func TestCrashInsideRecord(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := newSource(t, install)
		s.Exec("CREATE TABLE a (i int)")
		from := s.backupStart()
		s.Exec("INSERT INTO a SELECT generate_series(1, 1000)")
		s.Exec("SELECT length(pg_logical_emit_message(false, 'lost', repeat('x', 3000000))::text)")
		g := s.request.Geometry
		last := g.WALFileName(1, g.SegmentOf(s.lsn("SELECT pg_current_wal_insert_lsn()")))
		s.Exec("SELECT pg_logical_emit_message(true, 'flush', '')") // or the crash might lose more than is removed
		s.Stop(pgtest.Immediate)
		// Everything from this segment on is lost, as after a crash of the machine.
		if err := os.Remove(filepath.Join(s.DataDir, "pg_wal", last)); err != nil {
			t.Fatal(err)
		}
		s.Start()
		s.Exec("INSERT INTO a SELECT generate_series(1, 50000)")
		to := s.backupStart()
		s.archived()
		req := s.request
		req.From, req.To = from, to
		built := mustBuild(t, req)
		pagesInMap(t, s.DataDir, req, built.Map)
		var overwritten int
		for _, name := range segmentsOf(req) {
			b, err := os.ReadFile(filepath.Join(s.archive.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			m, err := scanBytes(b)
			if err != nil {
				t.Fatal(err)
			}
			if m.Overwritten != 0 {
				overwritten++
			}
		}
		if overwritten != 1 {
			t.Errorf("%d segments begin by overwriting a record, want 1", overwritten)
		}
	})
}

// Stretches of WAL that do not tell everything have no map: written with
// wal_level=minimal, with full_page_writes off, or after pg_resetwal.
func TestUnusableWAL(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := newSource(t, install)
		s.Exec("CREATE TABLE a (i int)")
		req := s.request
		at := func() pg.LSN { lsn := s.backupStart(); s.archived(); return lsn }

		req.From = at()
		s.restartWith("archive_mode = off", "wal_level = minimal", "max_wal_senders = 0")
		s.Exec("BEGIN; TRUNCATE a; INSERT INTO a SELECT generate_series(1, 100000); COMMIT")
		s.restartWith("archive_mode = on", "wal_level = replica", "max_wal_senders = 5")
		req.To = at()
		wantIncomplete(t, req, reasonMinimal)
		wantIncomplete(t, withoutDir(req))

		req.From = at()
		s.Exec("INSERT INTO a VALUES (1)")
		req.To = at()
		mustBuild(t, req) // after the window all is well

		s.AppendConf("full_page_writes = off")
		s.Reload()
		s.Exec("CHECKPOINT")
		s.Exec("INSERT INTO a VALUES (1)")
		to := at()
		req.From, req.To = req.To, to
		wantIncomplete(t, req, reasonFPW)
		s.AppendConf("full_page_writes = on")
		s.Reload()

		if _, ok := install.Tool("pg_resetwal"); !ok {
			return
		}
		req.From = at()
		s.Stop(pgtest.Fast)
		s.Tool("pg_resetwal", "-f", "-D", s.DataDir)
		s.Start()
		req.To = at()
		wantIncomplete(t, req)
	})
}

func (s *walSource) restartWith(conf ...string) {
	s.t.Helper()
	s.AppendConf(conf...)
	s.Restart()
}

func withoutDir(req MapRequest) MapRequest {
	req.Dir = ""
	return req
}
