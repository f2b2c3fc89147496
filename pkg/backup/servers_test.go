package backup

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// expect restores m and compares its tables with want.
func (w *world) expect(m *repo.Manifest, want map[string]string) {
	w.t.Helper()
	r := w.restored(m)
	pgtest.CompareTables(w.t, want, r.TableSums())
	r.Amcheck()
	r.Visibility()
	r.Stop(pgtest.Fast)
	if m.ChecksumVersion != 0 {
		w.c.Install.Checksums(w.t, r.DataDir)
	}
}

func TestStandby(t *testing.T) {
	// Backups of a standby give back what it had replayed, also two that begin at the same
	// restartpoint, and go on after it was promoted.
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		primary := install.New(t)
		exec(primary, `CREATE TABLE t AS SELECT g AS a, repeat('x', 100) AS b FROM generate_series(1, 20000) g`,
			`CREATE INDEX ON t (a)`, `VACUUM t`)
		standby := primary.NewStandby(t)
		step := func(statements ...string) map[string]string {
			exec(primary, statements...)
			standby.WaitReplayed(primary)
			return primary.TableSums()
		}
		restartpoint := func() {
			primary.Checkpoint()
			standby.WaitReplayed(primary)
			standby.Checkpoint()
		}
		w := newWorld(t, standby)
		restartpoint()
		want := step(`UPDATE t SET b = 'u' WHERE a < 10`)
		w.expect(w.full(), want)
		for _, pageMap := range []string{MapWAL, MapLSN} {
			want = step(`DELETE FROM t WHERE a % 97 = 0`, `VACUUM t`, `INSERT INTO t VALUES (1, 'i')`)
			same := w.incremental(pageMap)
			if pageMap == MapWAL {
				w.expect(same, want)
			}
			restartpoint()
			want = step(`UPDATE t SET b = '` + pageMap + `' WHERE a % 1000 = 1`)
			m := w.incremental(pageMap)
			if !m.FromStandby || m.StartLSN <= same.StartLSN {
				t.Errorf("from standby %v, starts at %s and %s", m.FromStandby, same.StartLSN, m.StartLSN)
			}
			w.expect(m, want)
		}
		standby.Promote()
		standby.Exec(`UPDATE t SET b = 'promoted' WHERE a < 20`)
		for _, pageMap := range []string{MapWAL, MapLSN} {
			m := w.incremental(pageMap)
			if m.Timeline != 2 || m.History == "" || m.FromStandby {
				t.Errorf("timeline %d, history %q, from standby %v", m.Timeline, m.History, m.FromStandby)
			}
			w.expect(m, standby.TableSums())
		}
	})
}

func TestPromotedClone(t *testing.T) {
	// A backup of the old primary serves a promoted standby as parent, though every file is another one;
	// one taken after the lines parted does not.
	install := pgtest.Newest(t)
	primary := install.New(t)
	exec(primary, `CREATE TABLE t AS SELECT g AS a, repeat('x', 100) AS b FROM generate_series(1, 20000) g`)
	w := newWorld(t, primary)
	before := w.full()
	standby := primary.NewStandby(t)
	standby.WaitReplayed(primary)
	standby.Promote()
	exec(primary, `UPDATE t SET b = 'old line' WHERE a < 500`)
	after := w.incremental(MapLSN)
	exec(standby, `UPDATE t SET b = 'new line' WHERE a > 19000`)
	w.c, w.opts.DataDir = standby, standby.DataDir
	m := w.incremental(MapAuto)
	if m.Parent != before.ID || len(m.Warnings) == 0 || !strings.Contains(m.Warnings[0], after.ID) {
		t.Errorf("parent %s, warnings %v", m.Parent, m.Warnings)
	}
	if m.BlocksStored > m.BlocksTotal/2 {
		t.Errorf("%d of %d blocks stored: pages of other files were not compared", m.BlocksStored, m.BlocksTotal)
	}
	w.expect(m, standby.TableSums())
	m, err := w.try(func(o *Options) { o.Incremental, o.Parent = true, after.ID })
	if err != nil {
		t.Fatal(err)
	}
	if m.Type != repo.TypeFull || !strings.Contains(m.FullReason, "history") {
		t.Errorf("%s: %q", m.Type, m.FullReason)
	}
}

func TestTablespaces(t *testing.T) {
	// Relations are found in tablespaces of every kind, and in those that come and go between backups.
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t)
		c.NewTablespace("a")
		c.NewTablespace("b")
		exec(c, `CREATE TABLE t TABLESPACE a AS SELECT g AS a FROM generate_series(1, 20000) g`,
			`CREATE DATABASE d TABLESPACE b`)
		if install.Major >= 15 {
			exec(c, `ALTER SYSTEM SET allow_in_place_tablespaces = on`)
			c.Reload()
			exec(c, `CREATE TABLESPACE i LOCATION ''`, `CREATE TABLE ti TABLESPACE i AS SELECT 1 AS a`)
		}
		c.ExecIn("d", `CREATE TABLE td AS SELECT g AS a FROM generate_series(1, 5000) g`)
		w := newWorld(t, c)
		full := w.full()
		if len(full.Tablespaces) != 2 {
			t.Errorf("tablespaces %v", full.Tablespaces)
		}
		w.expect(full, c.TableSums())
		for _, pageMap := range []string{MapWAL, MapLSN} {
			exec(c, `ALTER TABLE t SET TABLESPACE b`, `UPDATE t SET a = -a WHERE a % 500 = 0`,
				`ALTER TABLE t SET TABLESPACE a`, `ALTER DATABASE d SET TABLESPACE a`,
				`ALTER DATABASE d SET TABLESPACE b`)
			c.ExecIn("d", `DELETE FROM td WHERE a % 7 = 0`)
			m := w.incremental(pageMap)
			w.expect(m, c.TableSums())
		}
	})
}

func TestChecksumsSwitched(t *testing.T) {
	// Checksums that were switched in between leave no trace in WAL or page LSNs: auto compares page
	// hashes, and a source that was named is refused.
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		if _, ok := install.Tool("pg_checksums"); !ok {
			t.Skip("no pg_checksums")
		}
		c := install.New(t, pgtest.Checksums(false))
		exec(c, `CREATE TABLE t AS SELECT g AS a FROM generate_series(1, 20000) g`)
		w := newWorld(t, c)
		w.full()
		want := c.TableSums()
		c.Stop(pgtest.Fast)
		c.Tool("pg_checksums", "--enable", "-D", c.DataDir)
		c.Start()
		_, err := w.try(func(o *Options) { o.Incremental, o.PageMap = true, MapWAL })
		var source *SourceError
		if !errors.As(err, &source) {
			t.Errorf("by WAL: %v", err)
		}
		m := w.incremental(MapAuto)
		if m.PageMap.Source != MapHash || m.PageMap.FallbackReason == "" {
			t.Errorf("%+v", m.PageMap)
		}
		w.expect(m, want)
	})
}

func TestCorruptPage(t *testing.T) {
	// A damaged page is told with its place, does not stop the backup, is told again by the next one
	// while it is damaged, and is whole again in the chain once it is repaired.
	install := pgtest.Newest(t)
	c := install.New(t, pgtest.Setting("wal_keep_size", "1GB"))
	exec(c, `CREATE TABLE t AS SELECT g AS a FROM generate_series(1, 20000) g`)
	path := c.Query1(`SELECT pg_relation_filepath('t')`)
	c.Stop(pgtest.Fast)
	name := filepath.Join(c.DataDir, path)
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	damage := func(block int) {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte("damaged"), int64(block)*8192+4000); err != nil {
			t.Fatal(err)
		}
	}
	damage(7)
	c.Start()
	w := newWorld(t, c)
	check := func(m *repo.Manifest, blocks ...int) {
		t.Helper()
		var got []string
		for _, p := range m.CorruptPages {
			got = append(got, p.Path+" "+strconv.Itoa(int(p.Block)))
		}
		var want []string
		for _, b := range blocks {
			want = append(want, path+" "+strconv.Itoa(b))
		}
		if !slices.Equal(got, want) {
			t.Errorf("corrupt pages %v, want %v", m.CorruptPages, want)
		}
	}
	check(w.full(), 7)
	check(w.incremental(MapWAL), 7)
	c.Stop(pgtest.Fast)
	if err := os.WriteFile(name, good, 0o600); err != nil {
		t.Fatal(err)
	}
	damage(9) // which no source names
	c.Start()
	check(w.incremental(MapWAL))
	m, err := w.try(func(o *Options) { o.Incremental, o.VerifyChecksums = true, verifyAll })
	if err != nil {
		t.Fatal(err)
	}
	check(m, 9)
	c.Stop(pgtest.Fast)
	if err := os.WriteFile(name, good, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Start()
	w.expect(m, c.TableSums()) // the chain kept the good page
}

func TestCrossAndSummaries(t *testing.T) {
	// On a healthy server map and scan agree, and the server's own summaries do as well as WAL.
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		settings := []pgtest.Option{}
		if install.Major >= 17 {
			settings = append(settings, pgtest.Setting("summarize_wal", "on"))
		}
		c := install.New(t, settings...)
		exec(c, `CREATE TABLE t AS SELECT g AS a, repeat('x', 100) AS b FROM generate_series(1, 20000) g`,
			`CREATE INDEX ON t (a)`, `VACUUM t`)
		w := newWorld(t, c)
		w.full()
		exec(c, `DELETE FROM t WHERE a > 15000`, `VACUUM t`, `CREATE TABLE n AS SELECT 1 AS a`,
			`INSERT INTO t SELECT g, 'n' FROM generate_series(1, 1000) g`, `CREATE INDEX ON t (b)`,
			`UPDATE t SET b = 'y' WHERE a % 500 = 3`, `CHECKPOINT`, `VACUUM FREEZE t`)
		sources := []string{MapCross}
		if install.Major >= 17 {
			sources = append(sources, MapSummaries)
		}
		for _, pageMap := range sources {
			exec(c, `UPDATE t SET b = 'z' WHERE a % 500 = 4`)
			m := w.incremental(pageMap)
			if len(m.CrossFindings) > 0 {
				t.Errorf("%s: %v", pageMap, m.CrossFindings)
			}
			w.expect(m, c.TableSums())
		}
	})
}

func TestScanTakesNoCatalogs(t *testing.T) {
	// Pages as initdb left them have LSNs that say nothing. They are compared, not stored again each time, and
	// found when they are changed without an LSN.
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t, pgtest.Checksums(false), pgtest.Setting("wal_keep_size", "1GB"))
		exec(c, `CREATE TABLE t AS SELECT g AS a FROM generate_series(1, 20000) g`, `CREATE INDEX ON t (a)`)
		path := c.Query1(`SELECT pg_relation_filepath('pg_description')`)
		c.Stop(pgtest.Fast)
		c.Start()
		w := newWorld(t, c)
		full := w.full()
		m := w.incremental(MapLSN)
		if m.BlocksStored > 60 {
			t.Errorf("%d of %d blocks stored, though nothing changed", m.BlocksStored, m.BlocksTotal)
		}
		c.Stop(pgtest.Fast)
		name := filepath.Join(c.DataDir, path)
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if lsn := pg.Page(b[:8192]).LSN(); lsn == 0 || lsn >= pg.LSN(16<<20) {
			t.Fatalf("the first page of pg_description has LSN %s, which says something", lsn)
		}
		b[8000] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		c.Start()
		m, err = w.try(func(o *Options) { o.Incremental, o.PageMap, o.Parent = true, MapLSN, full.ID })
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := storedPages(t, w.repo, m)[path][0]; !ok || m.PageMap.Source != MapLSN {
			t.Errorf("by %s: the changed page is stored: %v", m.PageMap.Source, ok)
		}
	})
}

func TestCancelled(t *testing.T) {
	// A backup that is interrupted on a real server ends backup mode there and leaves nothing.
	c := pgtest.Newest(t).New(t)
	w := newWorld(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := w.opts
	o.Progress = new(Progress)
	o.RateLimit = 1 << 20
	done := make(chan error, 1)
	s := w.connect()
	go func() {
		_, err := Run(ctx, s, w.repo, o)
		done <- err
	}()
	c.Poll("the copy", func() bool {
		phase, bytes, total := o.Progress.Snapshot()
		return phase == "copying" && bytes > 0 && total > bytes
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if n := c.Query1(`SELECT count(*) FROM pg_replication_slots`); n != "0" {
		t.Errorf("%s slots left", n)
	}
	list, err := w.repo.Backups(t.Context())
	if err != nil || len(list) != 0 {
		t.Errorf("%d backups, %v", len(list), err)
	}
	w.full()
}

func TestMapCaughtLying(t *testing.T) {
	// A map that lacks a page that provably changed in its range is not used: auto scans instead and
	// says why, a named source is an error, and cross reports the page and stores it.
	c := pgtest.Newest(t).New(t, pgtest.Setting("wal_keep_size", "1GB"))
	exec(c, `CREATE TABLE t AS SELECT g AS a FROM generate_series(1, 20000) g`)
	path := c.Query1(`SELECT pg_relation_filepath('t')`)
	want := c.TableSums() // a query later on would change pages: hint bits
	w := newWorld(t, c)
	full := w.full()
	c.Stop(pgtest.Fast)
	f, err := os.OpenFile(filepath.Join(c.DataDir, path), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page := make(pg.Page, 8192)
	if _, err := f.ReadAt(page, 3*8192); err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(page, uint32(full.StopLSN>>32))
	binary.LittleEndian.PutUint32(page[4:], uint32(full.StopLSN))
	binary.LittleEndian.PutUint16(page[8:], page.Checksum(3))
	if _, err := f.WriteAt(page, 3*8192); err != nil {
		t.Fatal(err)
	}
	c.Start()
	all := func(pageMap string) func(*Options) {
		return func(o *Options) {
			o.Incremental, o.PageMap, o.VerifyChecksums, o.Parent = true, pageMap, verifyAll, full.ID
		}
	}
	_, err = w.try(all(MapWAL))
	var mapErr *MapError
	if !errors.As(err, &mapErr) || mapErr.Path != path || mapErr.Block != 3 {
		t.Errorf("by WAL: %v", err)
	}
	m, err := w.try(all(MapAuto))
	if err != nil {
		t.Fatal(err)
	}
	if m.PageMap.Source != MapLSN || !strings.Contains(m.PageMap.FallbackReason, path) || len(m.Warnings) != 1 {
		t.Errorf("%+v, warnings %v", m.PageMap, m.Warnings)
	}
	w.expect(m, want)
	m, err = w.try(all(MapCross))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.CrossFindings) != 1 || m.CrossFindings[0].Path != path || m.CrossFindings[0].Block != 3 {
		t.Errorf("cross findings %v", m.CrossFindings)
	}
	if lsn, ok := storedPages(t, w.repo, m)[path][3]; !ok || lsn != full.StopLSN {
		t.Errorf("the block is stored: %v, with LSN %s", ok, lsn)
	}
}
