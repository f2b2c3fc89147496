package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// twin stops the server, copies its data directory, and starts both: two servers of one system
// identifier and one timeline, of which only the first archives.
func (s *site) twin() *site {
	s.t.Helper()
	s.pg.Stop(pgtest.Fast)
	dir := filepath.Join(pgtest.TempDir(s.t), "twin")
	if out, err := pgtest.Command(s.t.Context(), "cp", "-a", s.pg.DataDir, dir).CombinedOutput(); err != nil {
		s.t.Fatalf("cp: %v\n%s", err, out)
	}
	s.pg.Start()
	return s.at(pgtest.FromDataDir(s.t, s.pg.Install, dir))
}

// move makes the server leave so many WAL segments behind, and forget those of before.
func (s *site) move(segments int) {
	s.t.Helper()
	for i := range segments {
		s.sql(fmt.Sprintf(`SELECT pg_logical_emit_message(true, 'move', 'segment %d')`, i), `SELECT pg_switch_wal()`)
	}
	s.sql(`CHECKPOINT`, `SELECT pg_switch_wal()`, `CHECKPOINT`)
}

// keep sets how much WAL the server keeps without need.
func (s *site) keep(size string) {
	s.t.Helper()
	s.pg.AppendConf("wal_keep_size = '" + size + "'")
	s.pg.Reload()
}

// sourceRefused takes an incremental by a named source that cannot be proved right.
func (s *site) sourceRefused(parent backup, source, why string) {
	s.t.Helper()
	s.refused(s.run("backup", "-D", s.pg.DataDir, "-c", "fast", "--incremental", "--parent", parent.ID,
		"--page-map", source), 1, why)
}

// Two servers of one origin go on, in step, on one timeline: identifier, timeline and positions are alike. What one of
// them stored after they parted is not built on by the other, unless all pages are compared.
func TestTwins(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		one := timelineSite(t, install)
		shared := one.full()
		two := one.twin()
		two.keep("1GB")
		one.sql(`UPDATE t SET pad = 'of one' WHERE id BETWEEN 100 AND 199`, `CHECKPOINT`)
		two.sql(`UPDATE t SET pad = 'of two' WHERE id BETWEEN 300 AND 399`, `CHECKPOINT`)
		ofOne := one.incremental("wal", "--parent", shared.ID)
		ofTwo := two.incremental("auto", "--parent", shared.ID)
		if ofTwo.StartLSN != ofOne.StartLSN {
			t.Logf("the lines are not in step: %s and %s", ofOne.StartLSN, ofTwo.StartLSN)
		}
		one.sql(`UPDATE t SET pad = 'one again' WHERE id BETWEEN 400 AND 449`)
		two.sql(`UPDATE t SET pad = 'two again' WHERE id BETWEEN 450 AND 499`)
		want := two.reference()
		for _, source := range append(allSources(install.Major), "auto", "cross") {
			b := two.wantFull("is not the WAL that this server has there", "--parent", ofOne.ID, "--page-map", source)
			if source == "auto" {
				two.restoresTo(b.ID, want)
			}
		}

		// Nothing of the WAL at that position is left on the server: it cannot know, and compares.
		one.move(3)
		two.keep("0")
		two.move(3)
		two.pg.Restart()
		two.sql(`DELETE FROM t WHERE id BETWEEN 120 AND 140`)
		want = two.reference()
		for _, source := range allSources(install.Major) {
			switch source {
			case "lsn", "hash":
			case "wal":
				two.sourceRefused(ofOne, source, "no complete page map")
			default:
				two.sourceRefused(ofOne, source, "the server was restarted since")
			}
		}
		for _, source := range []string{"auto", "hash", "lsn"} {
			b := two.backup(0, "--incremental", "--page-map", source, "--parent", ofOne.ID)
			if b.Type != "incremental" || b.PageMap.Source != "hash" {
				t.Errorf("%s took %s by %s, because %q", source, b.Type, b.PageMap.Source, b.PageMap.FallbackReason)
			}
			if source != "hash" && !strings.Contains(b.PageMap.FallbackReason, "the server was restarted since") {
				t.Errorf("auto compared pages because of %q", b.PageMap.FallbackReason)
			}
			two.restoresTo(b.ID, want)
		}

		// The archive has segments of all the names that two needs, but they are of one.
		one.move(30)
		two.sourceRefused(ofOne, "wal", "is not the one that this server has")
		b := two.incremental("auto", "--parent", ofOne.ID)
		if b.PageMap.Source != "hash" || !strings.Contains(b.PageMap.FallbackReason, "another server's WAL") {
			t.Errorf("auto took %s, because %q", b.PageMap.Source, b.PageMap.FallbackReason)
		}
		two.refused(two.run("backup", "-D", two.pg.DataDir, "-c", "fast", "--wal", "archive"), 1,
			"another server's, on the same timeline")
	})
}

// A server that was restarted, and whose pg_wal does not go back to the parent, is recognised by the archive: it is
// neither compared page by page nor backed up whole.
func TestRecognised(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := timelineSite(t, install)
		parent := s.full()
		for i, source := range append(allSources(install.Major), "auto") {
			s.sql(`UPDATE t SET pad = '` + source + `' WHERE id % 50 = 0`)
			s.move(3)
			s.pg.Stop([]pgtest.StopMode{pgtest.Immediate, pgtest.Fast}[i%2]) // a crash resets the archiver's statistics
			s.pg.Start()
			b := s.incremental(source, "--parent", parent.ID)
			if source == "auto" && b.PageMap.Source != "wal" {
				t.Errorf("auto took %s, because %q", b.PageMap.Source, b.PageMap.FallbackReason)
			}
			parent = b
		}
		s.restoresTo(parent.ID, s.reference())
	})
}

// So is one whose WAL is received, and not archived by itself.
func TestRecognisedByReceived(t *testing.T) {
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := siteOf(t, install.New(t), pgtest.TempDir(t))
		filled(s)
		r := s.receive(s.pg)
		awaitReceived(s.pg)
		parent := s.full()
		s.sql(`UPDATE t SET pad = 'received' WHERE id % 50 = 0`)
		s.move(3)
		s.pg.Restart()
		awaitReceived(s.pg)
		b := s.incremental("wal", "--parent", parent.ID)
		s.restoresTo(b.ID, s.reference())
		if code := r.end(t, syscall.SIGTERM); code != 0 {
			t.Errorf("ended by SIGTERM: exit %d\n%s", code, r.stderr)
		}
	})
}

// A backup that is restored with its WAL and started without a signal file goes on on the same timeline. It is built on
// the backup it came from, and on nothing that the first server took later.
func TestRestoredOnTheSameTimeline(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		one := newLonelySite(t, install)
		filled(one)
		full := one.full()
		dir := one.restore(full.ID)
		one.sql(`UPDATE t SET pad = 'of one' WHERE id BETWEEN 100 AND 199`)
		ofOne := one.incremental("wal")
		for _, signal := range []string{"recovery.signal", "standby.signal"} {
			if err := os.Remove(filepath.Join(dir, signal)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		two := one.at(one.open(dir))
		two.sql(`UPDATE t SET pad = 'of two' WHERE id BETWEEN 300 AND 399`)
		two.move(3)
		b := two.incremental("auto", "--parent", full.ID)
		if b.Timeline != 1 || b.PageMap.Source != "wal" {
			t.Errorf("%s is on timeline %d, by %s because %q", b.ID, b.Timeline, b.PageMap.Source, b.PageMap.FallbackReason)
		}
		two.restoresTo(b.ID, two.reference())
		for _, source := range []string{"wal", "lsn", "hash"} {
			two.wantFull("is not the WAL that this server has there", "--parent", ofOne.ID, "--page-map", source)
		}
		// Left to itself it finds its own way back, over the other's.
		if c := two.incremental("auto"); c.Parent == ofOne.ID {
			t.Errorf("%s is built on %s of the other server", c.ID, c.Parent)
		}
	})
}

// plainRole makes a role that may take backups but has no REPLICATION, so that no slot keeps WAL for it.
func (s *site) plainRole() string {
	s.t.Helper()
	start, stop := "pg_backup_start(text, boolean)", "pg_backup_stop(boolean)"
	if s.pg.Install.Major < 15 {
		start, stop = "pg_start_backup(text, boolean, boolean)", "pg_stop_backup(boolean, boolean)"
	}
	s.sql(`CREATE ROLE plain LOGIN`, `GRANT pg_read_all_settings TO plain`,
		`GRANT EXECUTE ON FUNCTION `+start+`, `+stop+` TO plain`)
	return "plain"
}

// A server that has archived all WAL while the backup began, and kept none of it, is recognised by what there
// was before. Nothing holds WAL for the role, and the checkpoint takes its time.
func TestRecognisedWithoutSlot(t *testing.T) {
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := newSite(t, install, pgtest.Setting("checkpoint_timeout", "30s"), // without summaries, which keep WAL
			pgtest.Setting("checkpoint_completion_target", "0.1"))
		filled(s)
		role := s.plainRole()
		parent := s.full("-U", role)
		for i := range 3 {
			s.sql(fmt.Sprintf(`UPDATE t SET pad = 'round %d' WHERE id %% 3 = 0`, i))
			s.move(3)
			s.pg.Restart()
			s.sql(fmt.Sprintf(`UPDATE t SET pad = 'again %d' WHERE id %% 5 = 0`, i))
			o := s.ok("backup", "-D", s.pg.DataDir, "-U", role, "-c", "spread", "--json", "--incremental",
				"--parent", parent.ID, "--page-map", "wal")
			parent = decode[backup](t, o.stdout)
		}
		s.restoresTo(parent.ID, s.reference())
	})
}
