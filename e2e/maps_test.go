package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// longRecord writes a record of three segments of a megabyte.
const longRecord = `SELECT length(pg_logical_emit_message(false, 'long', repeat('x', 3000000))::text)`

// Scenarios 20 and 39: with WAL in segments of a megabyte, records that run over several of them, one of which is
// the commit that tells which relations were dropped. None of those comes back.
func TestRecordsOverSegments(t *testing.T) {
	runScenario(t, scenario{
		numbers: []string{"20", "39"},
		opts:    []pgtest.Option{pgtest.WALSegmentSize(1)},
		prepare: func(s *site) {
			filled(s)
			s.sql(`DO $$ BEGIN FOR i IN 1..2500 LOOP
				EXECUTE 'CREATE TABLE drop_' || i || ' (a int, b int, c int)'; END LOOP; END $$`, `CHECKPOINT`)
		},
		change: func(s *site) {
			s.sql(`UPDATE t SET pad = 'before' WHERE id < 50`, longRecord,
				`DO $$ BEGIN FOR i IN 1..2500 LOOP EXECUTE 'DROP TABLE drop_' || i; END LOOP; END $$`,
				longRecord, `UPDATE t SET pad = 'after' WHERE id > 650`)
		},
		check: func(t *testing.T, got *pgtest.Cluster) { noStrays(t, got) },
	})
}

// noStrays fails the test where a database directory has files of relations that do not exist.
func noStrays(t *testing.T, cl *pgtest.Cluster) {
	t.Helper()
	cl.Checkpoint()
	known := map[string]bool{}
	for _, row := range cl.Rows(`SELECT pg_relation_filenode(oid) FROM pg_class WHERE relkind IN ('r', 'i', 't', 'S')`) {
		known[row[0]] = true
	}
	db := cl.Query1(`SELECT oid FROM pg_database WHERE datname = 'postgres'`)
	entries, err := os.ReadDir(filepath.Join(cl.DataDir, "base", db))
	if err != nil {
		t.Fatal(err)
	}
	var strays []string
	for _, e := range entries {
		number := regexp.MustCompile(`^[0-9]+`).FindString(e.Name())
		if number != "" && !known[number] {
			strays = append(strays, e.Name())
		}
	}
	if len(strays) > 0 {
		t.Errorf("%d files of relations that were dropped, such as %s", len(strays), strays[0])
	}
}

// Scenario 21: a crash loses the rest of a record that runs over segments; the server overwrites it, and much
// happens afterwards.
func TestOverwrittenRecord(t *testing.T) {
	runScenario(t, scenario{
		numbers: []string{"21"},
		opts:    []pgtest.Option{pgtest.WALSegmentSize(1)},
		prepare: filled,
		change: func(s *site) {
			s.sql(`UPDATE t SET pad = 'before' WHERE id < 50`, longRecord)
			last := s.pg.Query1(`SELECT pg_walfile_name(pg_current_wal_insert_lsn())`)
			s.sql(`SELECT pg_logical_emit_message(true, 'flush', '')`) // or the crash might lose more than is removed
			s.pg.Stop(pgtest.Immediate)
			s.must(os.Remove(filepath.Join(s.pg.DataDir, "pg_wal", last)))
			s.pg.Start()
			s.sql(`UPDATE t SET pad = 'after' WHERE id BETWEEN 300 AND 400`, `DELETE FROM t WHERE id > 600`, `VACUUM t`,
				`INSERT INTO t SELECT i, repeat('y', 1100) FROM generate_series(1001, 1300) i`, `CHECKPOINT`)
			s.overwrote(last)
		},
	})
}

// overwrote makes sure that an archived segment says that it overwrites a record.
func (s *site) overwrote(segment string) {
	s.t.Helper()
	dump, ok := s.pg.Install.Tool("pg_waldump")
	if !ok {
		pgtest.NotTested(s.t, "whether a record was overwritten: %s has no pg_waldump", s.pg.Install)
		return
	}
	file := filepath.Join(pgtest.TempDir(s.t), segment)
	s.pg.SwitchWAL()
	s.pg.Poll("segment "+segment+" to be archived", func() bool { return s.run("archive-get", segment, file).code == 0 })
	out, _ := pgtest.Command(s.t.Context(), dump, file).CombinedOutput() // which fails where the next segment is missing
	if !strings.Contains(string(out), "OVERWRITE_CONTRECORD") {
		s.t.Errorf("no record was overwritten: the crash did not cut one\n%.500s", out)
	}
}

// Scenario 18: the server runs with wal_level=minimal for a while, and writes a table without WAL. No map covers
// that; pages tell.
func TestMinimalWAL(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := timelineSite(t, install, pgtest.Setting("wal_keep_size", "1GB"))
		s.sql(`CREATE TABLE emptied (id int, pad text)`,
			`INSERT INTO emptied SELECT i, 'old' FROM generate_series(1, 3000) i`)
		full := s.full()
		level := func(lines ...string) {
			s.pg.AppendConf(lines...)
			s.pg.Restart()
		}
		minimal := []string{"wal_level = minimal", "archive_mode = off", "max_wal_senders = 0", "wal_skip_threshold = 0"}
		replica := []string{"wal_level = replica", "archive_mode = on", "max_wal_senders = 10"}
		if install.Major >= 17 {
			minimal, replica = append(minimal, "summarize_wal = off"), append(replica, "summarize_wal = on")
		}
		level(minimal...)
		s.sql(`CREATE TABLE new AS SELECT i AS id, repeat('n', 500) AS pad FROM generate_series(1, 3000) i`,
			`DO $$ BEGIN TRUNCATE emptied; INSERT INTO emptied SELECT i, 'new' FROM generate_series(1, 2000) i; END $$`,
			`UPDATE t SET pad = 'minimal' WHERE id < 100`)
		level(replica...)
		s.sql(`UPDATE t SET pad = 'replica' WHERE id BETWEEN 200 AND 250`)
		s.sourceRefused(full, "wal", "wal_level was minimal")
		sources := []string{"lsn", "hash", "auto"}
		plays(t, install, append(allSources(install.Major), "auto"), "18")
		if install.Major >= 17 {
			s.sourceRefused(full, "summaries", "page map source summaries")
		}
		var taken []backup
		for _, source := range sources {
			b := s.incremental(source, "--parent", full.ID)
			why := b.PageMap.FallbackReason
			if source == "auto" && (b.PageMap.Source != "lsn" || !strings.Contains(why, "wal_level was minimal")) {
				t.Errorf("auto took %s, because %q", b.PageMap.Source, why)
			}
			taken = append(taken, b)
		}
		want := s.reference()
		for _, b := range taken {
			s.restoresTo(b.ID, want)
		}
	})
}

// Scenario 19: an archived segment of the range is missing, short or damaged, and has no map. That is named, not taken
// for the end of WAL, and pages tell what changed; with its map, it is not needed.
func TestArchiveGap(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		plays(t, install, []string{"wal", "auto"}, "19")
		s := timelineSite(t, install)
		full := s.full()
		s.sql(`UPDATE t SET pad = 'before' WHERE id < 50`)
		s.move(2)
		name := s.pg.Query1(`SELECT pg_walfile_name(pg_current_wal_insert_lsn())`)
		s.sql(`UPDATE t SET pad = 'within' WHERE id BETWEEN 300 AND 350`)
		s.move(3)
		object := filepath.Join(s.repo, "main", "wal", name[:8], name)
		stored := filepath.Join(s.repo, "main", "maps", name[:8], name)
		s.pg.Poll("the map of "+name, func() bool { _, err := os.Stat(stored); return err == nil })
		good, err := os.ReadFile(object)
		s.must(err)
		want := s.reference()
		for what, damage := range map[string]func() error{
			"removed": func() error { return os.Remove(object) },
			"cut":     func() error { return os.WriteFile(object, good[:len(good)/2], 0o600) },
			"flipped": func() error {
				bad := append([]byte(nil), good...)
				bad[len(bad)/2] ^= 1
				return os.WriteFile(object, bad, 0o600)
			},
		} {
			s.must(damage())
			s.restoresTo(s.incremental("wal", "--parent", full.ID).ID, want)
			s.must(os.Remove(stored))
			s.sourceRefused(full, "wal", name)
			b := s.incremental("auto", "--parent", full.ID)
			if b.PageMap.Source == "wal" || !strings.Contains(b.PageMap.FallbackReason, name) {
				t.Errorf("%s: auto took %s, because %q", what, b.PageMap.Source, b.PageMap.FallbackReason)
			}
			s.restoresTo(b.ID, want)
			s.must(os.WriteFile(object, good, 0o600))
			pgtest.Chown(t, object)
			s.incremental("wal", "--parent", full.ID) // which makes the map again
			if _, err := os.Stat(stored); err != nil {
				t.Errorf("%s: no new map: %v", what, err)
			}
		}
	})
}
