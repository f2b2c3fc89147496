package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// A backup that was restored goes on as a server of its own, and an incremental of that is built on it: the rows of
// the first server that came later are not in it.
func TestRestoredGoesOn(t *testing.T) {
	forEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		sources := []string{"wal", "lsn"}
		if wide() {
			sources = widely(install.Major)
		}
		plays(t, install, sources, "T2")
		one := timelineSite(t, install)
		one.sql(`CREATE TABLE rows (n int)`, `INSERT INTO rows VALUES (1)`)
		full := one.full()
		one.sql(`INSERT INTO rows VALUES (2)`)
		shared := one.incremental("wal", "--parent", full.ID)
		dir := one.restore(shared.ID, "--target", "immediate", "--target-action", "promote", "--preserve-archive-mode")
		opts := []pgtest.Option{pgtest.Setting("archive_mode", "on"), pgtest.Setting("wal_keep_size", "1GB")}
		two := one.at(one.open(dir, opts...))
		one.sql(`INSERT INTO rows VALUES (3)`)
		two.sql(`INSERT INTO rows VALUES (4)`)
		if install.Major >= 17 { // a server summarizes what it has replayed only once it is told to
			two.pg.Poll("the summaries", func() bool {
				return two.pg.Query1(`SELECT summarized_lsn >= '`+shared.StopLSN+`' FROM pg_get_wal_summarizer_state()`) == "t"
			})
		}
		two.sql(`INSERT INTO rows VALUES (5)`)
		var taken []backup
		for _, source := range sources {
			taken = append(taken, two.incremental(source, "--parent", shared.ID))
		}
		for _, b := range taken {
			got := two.openAtStop(b.ID)
			if rows := got.Query1(`SELECT string_agg(n::text, ',' ORDER BY n) FROM rows`); rows != "1,2,4,5" {
				t.Errorf("%s has the rows %s", b.ID, rows)
			}
			got.Stop(pgtest.Immediate)
		}
	})
}

// A standby that stopped at a position and was promoted there is backed up on the first server's full backup.
func TestPausedAndPromoted(t *testing.T) {
	forEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		sources := []string{"wal", "lsn"}
		if wide() {
			sources = widely(install.Major)
		}
		plays(t, install, sources, "T3")
		s := timelineSite(t, install)
		standby := s.pg.NewStandby(t, pgtest.NotStarted())
		full := s.full()
		s.sql(`UPDATE t SET pad = 'kept' WHERE id < 50`, `CHECKPOINT`)
		at := s.pg.Query1(`SELECT pg_current_wal_insert_lsn()`)
		s.sql(`UPDATE t SET pad = 'lost' WHERE id BETWEEN 300 AND 350`)
		standby.AppendConf("recovery_target_lsn = '"+at+"'", "recovery_target_action = 'pause'")
		standby.Start()
		standby.Poll("the pause", func() bool {
			return standby.Query1(`SELECT pg_is_wal_replay_paused()`) == "t"
		})
		standby.Promote()
		s = s.at(standby)
		s.sql(`UPDATE t SET pad = 'new' WHERE id BETWEEN 500 AND 550`)
		var taken []backup
		for _, source := range sources {
			b := s.incremental(source, "--parent", full.ID)
			if b.Timeline != 2 {
				t.Errorf("%s is on timeline %d", b.ID, b.Timeline)
			}
			taken = append(taken, b)
		}
		want := s.reference()
		for _, b := range taken {
			s.restoresTo(b.ID, want)
		}
	})
}

// What is left out of backups, and what of a data directory is no plain file or has other modes: temporary files,
// other programs' files, contents of unlogged and temporary tables, links, readable by the group, a tablespace with an
// equals sign in its path.
func TestLeftOut(t *testing.T) {
	forEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		sources := widely(install.Major)
		plays(t, install, sources, "T4")
		s := timelineSite(t, install)
		dir := s.pg.DataDir
		s.pg.Stop(pgtest.Fast)
		elsewhere := filepath.Join(filepath.Dir(dir), "wal")
		s.must(os.Rename(filepath.Join(dir, "pg_wal"), elsewhere))
		s.must(os.Symlink(elsewhere, filepath.Join(dir, "pg_wal")))
		s.groupReadable(dir)
		pgtest.Chown(t, dir)
		s.pg.Start()
		place := filepath.Join(pgtest.TempDir(t), "a=b c")
		s.must(os.Mkdir(place, 0o700))
		pgtest.Chown(t, place)
		s.sql(`CREATE TABLESPACE odd LOCATION '`+place+`'`,
			`CREATE TABLE odd TABLESPACE odd AS SELECT generate_series(1, 500) i`,
			`CREATE UNLOGGED TABLE fleeting TABLESPACE odd AS SELECT generate_series(1, 500) i`)
		open := s.pg.Connect("postgres")
		open.Exec(`CREATE TEMP TABLE temporary AS SELECT generate_series(1, 500) i`)
		temporary := open.Query1(`SELECT pg_relation_filepath('temporary')`)
		fleeting := s.pg.Query1(`SELECT pg_relation_filepath('fleeting')`)
		planted := []string{
			"pgsql_tmp123", "base/pgsql_tmp/pgsql_tmp5.0", "pg_stat_tmp/x", "pg_dynshmem/x", "pg_notify/0000",
			"pg_serial/0000", "pg_snapshots/x", "pg_subtrans/ffff", "pg_replslot/x", "backup_manifest",
			"current_logfiles.tmp", "postgresql.auto.conf.tmp", "global/pg_internal.init", "global/pg_internal.init.123",
			"base/1/t3_16384", "base/1/t3_16384_fsm", "base/1/t3_16384.1",
		}
		for _, name := range planted {
			s.must(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o750))
			s.must(os.WriteFile(filepath.Join(dir, name), []byte("planted"), 0o600))
		}
		pgtest.Chown(t, dir)
		left := append(planted, temporary, fleeting)
		full := s.full()
		s.notRestored(full, left, fleeting)
		s.sql(`UPDATE t SET pad = 'changed' WHERE id < 50`, `DELETE FROM odd WHERE i % 7 = 0`, `CHECKPOINT`)
		var taken []backup
		for _, source := range sources {
			taken = append(taken, s.incremental(source, "--parent", full.ID))
		}
		want := s.reference()
		for _, b := range taken {
			s.notRestored(b, left, fleeting)
			s.restoresTo(b.ID, want)
		}
	})
}

// groupReadable gives the group access to a stopped cluster, as initdb --allow-group-access does.
func (s *site) groupReadable(dir string) {
	s.t.Helper()
	s.must(filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.Chmod(path, 0o750)
		case d.Type().IsRegular():
			return os.Chmod(path, 0o640)
		}
		return nil
	}))
}

// notRestored restores a backup and looks for what must not be there, and for the init fork of an unlogged table.
func (s *site) notRestored(b backup, left []string, unlogged string) {
	s.t.Helper()
	dir := s.restore(b.ID, s.elsewhere()...)
	for _, name := range left {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil && name != "backup_manifest" {
			s.t.Errorf("%s has %s", b.ID, name)
		} else if err != nil && !errors.Is(err, os.ErrNotExist) {
			s.t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, unlogged+"_init")); err != nil {
		s.t.Errorf("%s: %v", b.ID, err)
	}
	for _, name := range []string{"", "base", "pg_wal", "pg_replslot"} {
		st, err := os.Lstat(filepath.Join(dir, name))
		if err != nil || !st.IsDir() || st.Mode().Perm() != 0o750 {
			s.t.Errorf("%s: %s is %v, %v; want a directory that the group may read", b.ID, name, st.Mode(), err)
		}
	}
	s.must(os.RemoveAll(dir))
}

// Scenario 40: a link of a chain that is missing, foreign or damaged is named; what does not need it can be had. In
// place of another, diverged data directory with files of its own, a restore converges.
func TestChainHygiene(t *testing.T) {
	forEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		sources := []string{"wal", "hash"}
		if wide() {
			sources = widely(install.Major)
		}
		plays(t, install, sources, "40")
		s := timelineSite(t, install, quiet())
		full := s.full()
		elsewhere := timelineSite(t, install)
		other := elsewhere.full()
		for other.ID == full.ID { // within the same second
			time.Sleep(100 * time.Millisecond)
			other = elsewhere.full()
		}
		var chains [][2]backup
		for i, source := range sources {
			s.sql(fmt.Sprintf(`UPDATE t SET pad = '%s' WHERE id %% 50 = %d`, source, i), `CHECKPOINT`)
			middle := s.incremental(source, "--parent", full.ID)
			s.sql(fmt.Sprintf(`UPDATE t SET pad = '%s' WHERE id %% 50 = %d`, source, i+20), `CHECKPOINT`)
			chains = append(chains, [2]backup{middle, s.incremental(source, "--parent", middle.ID)})
		}
		last := chains[len(chains)-1][1]
		s.sameBytes(last)
		diverged := filepath.Join(pgtest.TempDir(t), "data")
		s.ok("restore", full.ID, "-D", diverged)
		two := s.at(s.open(diverged))
		two.sql(`CREATE TABLE extra AS SELECT generate_series(1, 5000) i`, `DELETE FROM t WHERE id > 100`, `VACUUM t`)
		two.pg.Stop(pgtest.Fast)
		write(t, filepath.Join(diverged, "base", "1", "99999"), "stray")
		s.ok("restore", last.ID, "-D", diverged, "--delta")
		compareBytes(t, s.pg.DataDir, diverged, last.PageMap.Source != "hash")

		for _, chain := range chains {
			middle, end := chain[0], chain[1]
			manifest := filepath.Join(s.repo, "main", "backups", middle.ID, "manifest.json")
			good, err := os.ReadFile(manifest)
			s.must(err)
			for what, bad := range map[string]string{
				"foreign":      strings.ReplaceAll(string(good), systemIdentifier(t, string(good)), "7000000000000000001"),
				"another full": strings.ReplaceAll(string(good), full.ID, other.ID),
				"damaged":      string(good[:len(good)/2]),
			} {
				write(t, manifest, bad)
				o := s.run("restore", end.ID, "-D", filepath.Join(pgtest.TempDir(t), "data"))
				if o.code == 0 || !strings.Contains(o.stderr, middle.ID) && !strings.Contains(o.stderr, other.ID) {
					t.Errorf("a middle that is %s: exit %d\n%s", what, o.code, o.stderr)
				}
			}
			s.must(os.Remove(manifest))
			o := s.run("restore", end.ID, "-D", filepath.Join(pgtest.TempDir(t), "data"))
			if o.code == 0 || !strings.Contains(o.stderr, middle.ID) {
				t.Errorf("a middle that is missing: exit %d\n%s", o.code, o.stderr)
			}
			s.must(os.RemoveAll(s.restore(full.ID)))
			write(t, manifest, string(good))
			s.must(os.RemoveAll(s.restore(end.ID)))
		}
	})
}

// systemIdentifier finds the number in a manifest.
func systemIdentifier(t *testing.T, manifest string) string {
	t.Helper()
	_, rest, ok := strings.Cut(manifest, `"system_identifier": "`)
	if !ok {
		t.Fatal("no system identifier in the manifest")
	}
	return strings.Trim(rest[:strings.Index(rest, `"`)], " ")
}

// Scenario 41: a restored directory says by backup_label where recovery begins, and the timeline that its backup is
// of is not left for a newer one that forked off before it.
func TestRecoveryStartsRight(t *testing.T) {
	forEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		sources := []string{"wal", "lsn"}
		if wide() {
			sources = widely(install.Major)
		}
		plays(t, install, sources, "41")
		s := timelineSite(t, install)
		s.sql(`CREATE TABLE canary (n int)`)
		full := s.full()
		fork := s.at(s.pg.NewStandby(t))
		fork.pg.WaitReplayed(s.pg)
		fork.pg.Promote()
		fork.sql(`INSERT INTO canary VALUES (-1)`)
		fork.pg.SwitchWAL()
		fork.pg.Poll("the history of timeline 2", func() bool {
			_, err := os.Stat(filepath.Join(s.repo, "main", "wal", "00000002.history"))
			return err == nil
		})
		s.sql(`INSERT INTO canary VALUES (1)`, `UPDATE t SET pad = 'after the fork' WHERE id < 50`)
		var taken []backup
		for _, source := range sources {
			taken = append(taken, s.incremental(source, "--parent", full.ID))
		}
		want := s.reference()
		for _, b := range taken {
			o := s.run("restore", b.ID, "-D", filepath.Join(pgtest.TempDir(t), "data"))
			s.refused(o, 1, "timeline 2")
			dir := s.restore(b.ID, "--target-timeline", "current")
			label, err := os.ReadFile(filepath.Join(dir, "backup_label"))
			if err != nil || !strings.Contains(string(label), "START WAL LOCATION: "+b.StartLSN+" ") {
				t.Errorf("%s: backup_label does not begin at %s: %q %v", b.ID, b.StartLSN, label, err)
			}
			got := s.open(dir)
			want.compare(t, got)
			got.Stop(pgtest.Immediate)
		}
	})
}

// A backup of a standby carries its last segment as it was then: a restore point later in that segment is found all the
// same, in the archive.
func TestStandbyToRestorePoint(t *testing.T) {
	forEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := newSite(t, install)
		filled(s)
		standby := s.at(s.pg.NewStandby(t))
		standby.pg.WaitReplayed(s.pg)
		standby.pg.Checkpoint()
		full := standby.full()
		s.sql(`UPDATE t SET pad = 'later' WHERE id < 50`)
		standby.recoversTo(s.pg, full, s.reference())
		// The same where the backup is left to be chosen.
		dir := filepath.Join(pgtest.TempDir(t), "data")
		s.ok("restore", "-D", dir, "--target-name", full.ID, "--target-action", "promote")
		got := s.open(dir)
		if n := got.Query1(`SELECT count(*) FROM t WHERE pad = 'later'`); n != "49" {
			t.Errorf("%s rows of later, want 49", n)
		}
	})
}
