package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// oldestRmgr is the first major in which extensions may have resource managers of WAL.
const oldestRmgr = 15

// rmgrModule compiles testdata/rmgr.c for a major; "" where its headers are not there.
func rmgrModule(t *testing.T, install pgtest.Install) (library string) {
	t.Helper()
	headers, ok := install.Headers()
	if !ok {
		if install.Major != 16 && os.Getenv("PGINCR_TEST_PG") == "all" { // npm's package of 16 has none
			t.Fatalf("%s has no headers: run tools/postgres/install.sh", install)
		}
		pgtest.NotTested(t, "on %s, whose headers are not there (docs/testing.md)", install)
		return ""
	}
	library = filepath.Join(filepath.Dir(pgincr), fmt.Sprintf("rmgr%d.so", install.Major))
	args := []string{"-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, "testdata/rmgr.c"}
	for _, dir := range headers {
		args = append(args, "-isystem", dir)
	}
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return library
}

// Scenario 24: a resource manager of an extension. Blocks that its records name are in the map; after a record
// that changes relations without naming blocks, no map is believed, neither that of WAL nor
// that of the server's summaries, which knows nothing of such records.
func TestCustomResourceManager(t *testing.T) {
	t.Parallel()
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		if install.Major < oldestRmgr {
			return
		}
		library := rmgrModule(t, install)
		if library == "" {
			return
		}
		t.Parallel()
		opts := []pgtest.Option{quiet(), pgtest.Setting("shared_preload_libraries", library)}
		if install.Major >= 17 {
			opts = append(opts, pgtest.Setting("summarize_wal", "on"))
		}
		s := newSite(t, install, opts...)
		plays(t, install, widely(install.Major), "24")
		s.sql(`CREATE FUNCTION letters_named(regclass, int, int, text) RETURNS void AS '`+library+`' LANGUAGE C STRICT`,
			`CREATE FUNCTION letters_hidden(regclass, int, text) RETURNS void AS '`+library+`' LANGUAGE C STRICT`,
			`CREATE TABLE t (id int, pad text)`, `ALTER TABLE t ALTER pad SET STORAGE PLAIN`,
			`INSERT INTO t SELECT i, repeat('x', 1500) FROM generate_series(1, 600) i`, `VACUUM FREEZE t`, `CHECKPOINT`)
		// What is at the end of the rows of each page.
		const letters = `SELECT string_agg(letter, '' ORDER BY page) FROM (SELECT DISTINCT
			(ctid::text::point)[0]::int AS page, right(pad, 1) AS letter FROM t) l`
		full := s.full()

		s.sql(`SELECT letters_named('t', 5, 17, 'a')`, `CHECKPOINT`,
			`SELECT letters_named('t', 15, 3, 'b'), letters_named('t', 16, 2, 'c')`, `CHECKPOINT`)
		named := strings.Repeat("x", 5) + strings.Repeat("a", 10) + "bcc" + strings.Repeat("a", 4) + strings.Repeat("x", 98)
		sound := []string{"wal", "auto"}
		if wide() {
			sound = append(sound, "lsn", "hash")
		}
		var taken []backup
		for _, source := range sound {
			taken = append(taken, s.incremental(source, "--parent", full.ID))
		}
		if got := taken[1].PageMap; got.Source != "wal" {
			t.Errorf("auto took %s (%s), want wal", got.Source, got.FallbackReason)
		}
		parent := taken[0]
		if !wide() {
			taken = taken[:1]
		}
		for _, b := range taken {
			s.lettered(b, letters, named)
		}

		s.sql(`SELECT letters_hidden('t', 30, 'z'), letters_named('t', 32, 1, 'y')`, `CHECKPOINT`)
		hidden := named[:30] + "zxy" + named[33:]
		s.sourceRefused(parent, "wal",
			"record of resource manager 128, info 0x11, changes relations in a way that is not known")
		if install.Major >= 17 {
			s.sourceRefused(parent, "summaries", "resource managers of extensions (letters)")
		}
		auto := s.incremental("auto", "--parent", parent.ID)
		if auto.PageMap.Source != "hash" || !strings.Contains(auto.PageMap.FallbackReason, "resource manager 128") {
			t.Errorf("auto took %s (%s), want hash", auto.PageMap.Source, auto.PageMap.FallbackReason)
		}
		taken = []backup{auto}
		if wide() {
			taken = append(taken, s.incremental("lsn", "--parent", parent.ID), s.incremental("hash", "--parent", parent.ID))
		}
		for _, b := range taken {
			s.lettered(b, letters, hidden)
		}

		// Behind that record, maps are believed again. Without the extension nothing tells that summaries leave
		// something out, but WAL does.
		s.sql(`SELECT letters_named('t', 50, 1, 'n')`, `CHECKPOINT`)
		after := s.incremental("wal", "--parent", auto.ID)
		s.sql(`SELECT letters_hidden('t', 60, 'h')`)
		s.pg.AppendConf(`shared_preload_libraries = ''`)
		s.pg.Restart()
		last := s.incremental("auto", "--parent", after.ID)
		if last.PageMap.Source != "hash" {
			t.Errorf("auto took %s (%s), want hash", last.PageMap.Source, last.PageMap.FallbackReason)
		}
		s.lettered(last, letters, hidden[:50]+"n"+hidden[51:60]+"h"+hidden[61:])
	})
}

// lettered restores a backup just to consistency and compares what a query gives there.
func (s *site) lettered(b backup, query, want string) {
	s.t.Helper()
	got := s.openAtStop(b.ID)
	defer got.Stop(pgtest.Immediate)
	if letters := got.Query1(query); letters != want {
		s.t.Errorf("%s by %s:\n%s, want\n%s", b.ID, b.PageMap.Source, letters, want)
	}
}
