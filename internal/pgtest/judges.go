package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// VerifyBackup lets pg_verifybackup check a backup, or a restored directory,
// against its backup_manifest. The WAL is checked where there is a pg_waldump
// of the same major to do it, which 14 and 16 lack.
func (i Install) VerifyBackup(t testing.TB, dir string, args ...string) {
	t.Helper()
	if _, ok := i.Tool("pg_waldump"); !ok {
		args = append(args, "--no-parse-wal")
	}
	i.judge(t, "pg_verifybackup", append(args, dir)...)
}

// Checksums lets pg_checksums check every page of a cluster that was shut down
// cleanly and has checksums.
func (i Install) Checksums(t testing.TB, dir string) {
	t.Helper()
	if _, own := i.Tool("pg_resetwal"); !own {
		defer i.lendTablespaces(t, dir)()
	}
	i.judge(t, "pg_checksums", "--check", "-D", dir)
}

// lendTablespaces makes the contents of tablespaces visible to 15's
// pg_checksums, which serves 14 and 16: it looks for them under the name that
// its own major gives to their directories. The function returned undoes it.
func (i Install) lendTablespaces(t testing.TB, dir string) func() {
	t.Helper()
	const nameIn15 = "PG_15_202209061"
	name := fmt.Sprintf("PG_%d_*", i.Major)
	versions, err := filepath.Glob(filepath.Join(dir, "pg_tblspc", "*", name))
	if err != nil {
		t.Fatal(err)
	}
	var links []string
	for _, version := range versions {
		link := filepath.Join(filepath.Dir(version), nameIn15)
		if err := os.Symlink(filepath.Base(version), link); err != nil {
			t.Fatal(err)
		}
		links = append(links, link)
	}
	return func() {
		for _, link := range links {
			if err := os.Remove(link); err != nil {
				t.Error(err)
			}
		}
	}
}

// judge runs a tool and fails the test with all it says if it finds fault.
func (i Install) judge(t testing.TB, name string, args ...string) {
	t.Helper()
	path, ok := i.Tool(name)
	if !ok {
		t.Fatalf("%s has no %s", i, name)
	}
	ctx, cancel := withPatience()
	defer cancel()
	if _, err := runTool(ctx, nil, path, args...); err != nil {
		t.Errorf("%s: %v", i, err)
	}
}

// Amcheck checks all indexes and tables of all databases, every row of every
// table against every B-tree of it: pg_amcheck, or on 13, which has none,
// bt_index_check. The databases are left as they were.
func (c *Cluster) Amcheck() {
	c.t.Helper()
	if c.Install.Major == 13 {
		for _, db := range c.Databases() {
			c.btIndexCheck(db)
		}
		return
	}
	var without []string
	for _, db := range c.Databases() {
		if c.Query1In(db, "SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'") == "0" {
			without = append(without, db)
		}
	}
	_, err := c.TryTool("pg_amcheck", "--all", "--heapallindexed", "--install-missing")
	if err != nil {
		c.t.Errorf("%s: %v", c.Install, err)
	}
	for _, db := range without {
		if db != "template0" {
			c.ExecIn(db, "DROP EXTENSION IF EXISTS amcheck")
		}
	}
}

func (c *Cluster) btIndexCheck(db string) {
	c.t.Helper()
	s := c.extended(db, "amcheck")
	defer s.Close()
	indexes := s.Rows(`
		SELECT i.indexrelid, i.indexrelid::regclass
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
		WHERE a.amname = 'btree' AND c.relkind = 'i' AND i.indisvalid AND c.relpersistence <> 't'
		ORDER BY 1`)
	for _, index := range indexes {
		s.judge(db+"."+index[1], "SELECT bt_index_check("+index[0]+", heapallindexed => true)")
	}
}

// Visibility checks every table that has a visibility map, TOAST and catalogs
// included, in all databases: no page is marked all-visible that holds a row
// version not visible to all, and none all-frozen that holds one not frozen.
// This is what index-only scans and later vacuums rely on.
func (c *Cluster) Visibility() {
	c.t.Helper()
	for _, db := range c.Databases() {
		s := c.extended(db, "pg_visibility")
		tables := s.Rows(`
			SELECT oid, oid::regclass FROM pg_class
			WHERE relkind IN ('r', 'm', 't') AND relpersistence <> 't' ORDER BY 1`)
		for _, table := range tables {
			for _, check := range []string{"pg_check_visible", "pg_check_frozen"} {
				s.judge(db+"."+table[1], fmt.Sprintf("SELECT '%s', row FROM %s(%s) row",
					check, check, table[0]))
			}
		}
		s.Close()
	}
}

// extended opens a session in a transaction that has an extension and is never
// committed, so that the database is left as it was.
func (c *Cluster) extended(db, extension string) *Session {
	c.t.Helper()
	s, err := c.connect(db)
	if err != nil {
		c.t.Fatal(err)
	}
	s.Exec("BEGIN; CREATE EXTENSION IF NOT EXISTS " + extension)
	return s
}

// judge runs a query that raises an error or returns rows where it finds fault.
// One finding must not end the transaction the others are checked in.
func (s *Session) judge(object, query string) {
	s.t.Helper()
	s.Exec("SAVEPOINT judge")
	rows, err := s.Try(query)
	switch {
	case err != nil:
		s.t.Errorf("%s: %v", object, err)
		s.Exec("ROLLBACK TO judge")
	case len(rows) > 0 && slices.ContainsFunc(rows[0], func(v string) bool { return v != "" }):
		s.t.Errorf("%s: %d findings, the first ones %q", object, len(rows), rows[:min(len(rows), 5)])
	}
}

// IndexOnlyEqualsSeq compares what an index-only scan, which trusts the
// visibility map, and a sequential scan, which looks at every row, count in a
// table of the database db. The table needs a B-tree without a predicate.
func (c *Cluster) IndexOnlyEqualsSeq(db, table string) {
	c.t.Helper()
	s, err := c.connect(db)
	if err != nil {
		c.t.Fatal(err)
	}
	defer s.Close()
	count := "SELECT count(*) FROM " + table
	s.Exec("SET enable_bitmapscan = off; SET max_parallel_workers_per_gather = 0")
	s.Exec("SET enable_indexonlyscan = off; SET enable_indexscan = off; SET enable_seqscan = on")
	seq := s.Query1(count)
	s.Exec("SET enable_indexonlyscan = on; SET enable_indexscan = on; SET enable_seqscan = off")
	var plan strings.Builder
	for _, row := range s.Rows("EXPLAIN (COSTS OFF) " + count) {
		plan.WriteString(row[0] + "\n")
	}
	if !strings.Contains(plan.String(), "Index Only Scan") {
		c.t.Fatalf("%s: no index-only scan:\n%s", table, plan.String())
	}
	if indexOnly := s.Query1(count); indexOnly != seq {
		c.t.Errorf("%s.%s: %s rows by index-only scan, %s by sequential scan", db, table, indexOnly, seq)
	}
}

// IndexOnlyEqualsSeqAll does so for every table that can be compared this way,
// in all databases, catalogs included.
func (c *Cluster) IndexOnlyEqualsSeqAll() {
	c.t.Helper()
	for _, db := range c.Databases() {
		for _, row := range c.RowsIn(db, `
			SELECT DISTINCT i.indrelid::regclass::text
			FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am a ON a.oid = x.relam
			JOIN pg_class t ON t.oid = i.indrelid
			WHERE a.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL
			AND t.relkind IN ('r', 'm') AND t.relpersistence <> 't' ORDER BY 1`) {
			c.IndexOnlyEqualsSeq(db, row[0])
		}
	}
}
