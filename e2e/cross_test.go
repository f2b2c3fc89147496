package e2e

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
)

// forge gives a page of a table the LSN of a position, as if a change there were in no record of WAL.
func (s *site) forge(table string, blk int, at string) (path string) {
	s.t.Helper()
	lsn, err := pg.ParseLSN(at)
	s.must(err)
	path = s.pg.Query1(`SELECT pg_relation_filepath('` + table + `')`)
	s.pg.Stop(pgtest.Fast)
	f, err := os.OpenFile(filepath.Join(s.pg.DataDir, path), os.O_RDWR, 0)
	s.must(err)
	page := make(pg.Page, blockSize)
	_, err = f.ReadAt(page, int64(blk)*blockSize)
	s.must(err)
	binary.LittleEndian.PutUint32(page, uint32(lsn>>32))
	binary.LittleEndian.PutUint32(page[4:], uint32(lsn))
	binary.LittleEndian.PutUint16(page[8:], page.Checksum(pg.BlockNumber(blk)))
	_, err = f.WriteAt(page, int64(blk)*blockSize)
	s.must(errors.Join(err, f.Close()))
	s.pg.Start()
	return path
}

// --page-map cross finds the page that the map does not have, stores it, and says so by its exit code; the map
// alone is not believed where it is caught.
func TestCrossFinding(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := newLonelySite(t, install, quiet())
		filled(s)
		full := s.full()
		clean := s.incremental("cross", "--parent", full.ID)
		path := s.forge("t", 7, full.StopLSN)
		args := []string{
			"backup", "-D", s.pg.DataDir, "-c", "fast", "--incremental", "--parent", full.ID, "--page-map", "cross",
		}
		o := s.run(append(args, "--json")...)
		if o.code != 3 {
			t.Fatalf("exit %d, want 3\n%s%s", o.code, o.stdout, o.stderr)
		}
		got := decode[struct {
			ID            string `json:"id"`
			CrossFindings []struct {
				Path  string `json:"path"`
				Block int    `json:"block"`
			} `json:"cross_findings"`
		}](t, o.stdout)
		if len(got.CrossFindings) != 1 || got.CrossFindings[0].Path != path || got.CrossFindings[0].Block != 7 {
			t.Errorf("findings %+v, want block 7 of %s", got.CrossFindings, path)
		}
		if _, ok := s.mainForkBlocks(got.ID)[block{path, 7}]; !ok {
			t.Error("the page is not in the backup")
		}
		if _, ok := s.mainForkBlocks(clean.ID)[block{path, 7}]; ok {
			t.Error("the page was in a backup before it changed")
		}
		if o := s.run(args...); o.code != 3 {
			t.Errorf("without --json: exit %d, want 3\n%s%s", o.code, o.stdout, o.stderr)
		}
		s.restoresTo(got.ID, s.reference())
	})
}

// L12 where numbers cannot be asked for: a database is dropped, and another is given its number, by file copy.
func TestDatabaseNumberAgain(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		reset, ok := install.Tool("pg_resetwal")
		if install.Major >= 15 {
			return // TestDatabaseRecreatedByFileCopy
		}
		if !ok {
			pgtest.NotTested(t, "on %s, which has no pg_resetwal (docs/testing.md)", install)
			return
		}
		t.Parallel()
		plays(t, install, []string{"lsn", "hash", "auto"}, "7b")
		s := newLonelySite(t, install)
		number := func() string { return s.pg.Query1(`SELECT oid FROM pg_database WHERE datname = 'x'`) }
		s.sql(`CREATE TABLE numbers AS SELECT lo_create(0) FROM generate_series(1, 10)`, `CREATE DATABASE x`)
		s.sqlIn("x", `CREATE TABLE t1 AS SELECT generate_series(1, 1000) i`, `CHECKPOINT`)
		old := number()
		full := s.full()
		first, err := strconv.Atoi(old)
		s.must(err)
		for before := 0; number() != old || before == 0; before++ { // other things may take a number first
			if before == 5 {
				t.Fatalf("the database has number %s, want %s", number(), old)
			}
			s.sql(`DROP DATABASE x`, `VACUUM pg_database`) // 13 looks at dead rows for free numbers as well
			s.pg.Stop(pgtest.Fast)
			out, err := pgtest.Command(t.Context(), reset, "-o", strconv.Itoa(first-before), "-D", s.pg.DataDir).CombinedOutput()
			if err != nil {
				t.Fatalf("pg_resetwal: %v\n%s", err, out)
			}
			s.pg.Start()
			s.sql(`CREATE DATABASE x TEMPLATE template0`, `CHECKPOINT`)
		}
		var taken []backup
		for _, source := range []string{"lsn", "hash", "auto"} {
			taken = append(taken, s.backup(0, "--incremental", "--page-map", source, "--parent", full.ID))
		}
		want := s.reference()
		for _, b := range taken {
			if b.Type != "incremental" || b.PageMap.Source != "hash" {
				t.Errorf("%s is %s by %s", b.ID, b.Type, b.PageMap.Source)
			}
			got := s.openAtStop(b.ID)
			want.compare(t, got)
			if n := got.Query1In("x", `SELECT count(*) FROM pg_class WHERE relname = 't1'`); n != "0" {
				t.Error("the table of the dropped database is there")
			}
			got.Amcheck()
			got.Stop(pgtest.Immediate)
		}
	})
}

// Scenario 33: a standby that has replayed WAL without page images is refused until it has not, and a backup under
// which the standby is promoted is none.
func TestStandbyRefused(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := newSite(t, install)
		filled(s)
		primary, standby := s.pg, s.at(s.pg.NewStandby(t))
		restartpoint := func() {
			primary.Checkpoint()
			standby.pg.WaitReplayed(primary)
			standby.pg.Checkpoint()
		}
		images := func(on string) {
			primary.Exec(`ALTER SYSTEM SET full_page_writes = ` + on)
			primary.Reload()
			restartpoint() // the checkpointer writes the change to WAL
		}
		restartpoint()
		full := standby.full()
		images("off")
		s.sql(`UPDATE t SET pad = 'torn' WHERE id < 100`)
		standby.pg.WaitReplayed(primary)
		standby.refused(standby.run("backup", "-D", standby.pg.DataDir, "-c", "fast", "--incremental"), 1, "full_page_writes")
		images("on")
		restartpoint()
		s.sql(`UPDATE t SET pad = 'whole' WHERE id BETWEEN 200 AND 300`)
		standby.pg.WaitReplayed(primary)
		b := standby.incremental("lsn", "--parent", full.ID)
		want := primary.TableSums()
		got := standby.openAtStop(b.ID)
		pgtest.CompareTables(t, want, got.TableSums())
		got.Stop(pgtest.Immediate)

		// The primary archives what the standby's backup needs: the same bytes as in the standby's pg_wal.
		ended, switched := make(chan struct{}), make(chan error, 1)
		go func() {
			var err error
			for running := true; running && err == nil; time.Sleep(200 * time.Millisecond) {
				err = primary.TryExec(`SELECT pg_logical_emit_message(true, '', ''), pg_switch_wal()`)
				select {
				case <-ended:
					running = false
				default:
				}
			}
			switched <- err
		}()
		b = standby.incremental("wal", "--parent", b.ID, "--wal", "archive")
		close(ended)
		s.must(<-switched)
		if b.WAL.Mode != "archive" {
			t.Errorf("the WAL of %s is in mode %s", b.ID, b.WAL.Mode)
		}
		standby.openAtStop(b.ID).Stop(pgtest.Immediate)

		before := len(standby.list())
		cmd := standby.begin("--incremental", "--page-map", "hash")
		standby.pg.Promote()
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("a backup during which the standby was promoted: %v, want exit 1", err)
		}
		if n := len(standby.list()); n != before {
			t.Errorf("%d backups, want %d", n, before)
		}
		if status := standby.incremental("auto", "--parent", b.ID); status.Timeline != 2 {
			t.Errorf("timeline %d after the promotion, want 2", status.Timeline)
		}
	})
}

// Scenario 38: backups in one second are in the order of WAL, and each is built on the one before.
func TestBackupsInOneSecond(t *testing.T) {
	forMatrix(t, backupsInOneSecond)
}

func backupsInOneSecond(t *testing.T, install pgtest.Install) {
	sources := []string{"auto", "auto", "auto"}
	var opts []pgtest.Option
	if wide() {
		sources = append(widely(install.Major), widely(install.Major)...)
		if install.Major >= 17 {
			opts = append(opts, pgtest.Setting("summarize_wal", "on"))
		}
		plays(t, install, widely(install.Major), "38")
	}
	s := newLonelySite(t, install, opts...)
	want := []string{s.full().ID}
	for _, source := range sources {
		b := s.incremental(source)
		if b.Parent != want[len(want)-1] {
			t.Errorf("%s is built on %s, want %s", b.ID, b.Parent, want[len(want)-1])
		}
		want = append(want, b.ID)
	}
	var got []string
	for _, b := range s.list() {
		got = append(got, b.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
}
