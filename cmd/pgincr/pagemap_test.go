package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Databases come first, then the relations with the most blocks; lines are bounded, and numbers stand
// where there is no name.
func TestPrintChanges(t *testing.T) {
	fork := func(n pg.RelFileNumber, f pg.ForkNumber) pg.RelFork {
		return pg.RelFork{RelFileLocator: pg.RelFileLocator{Spc: 1663, DB: 5, Rel: n}, Fork: f}
	}
	m := pagemap.New()
	m.AddBlock(fork(16384, pg.MainFork), 7)
	for b := range pg.BlockNumber(3) {
		m.AddBlock(fork(16390, pg.MainFork), b)
	}
	for b := range pg.BlockNumber(10) {
		m.AddBlock(fork(16391, pg.VMFork), b*2)
	}
	m.AddBlock(fork(16391, pg.VMFork), pg.MaxBlock)
	m.AddLimit(fork(16390, pg.MainFork), 2)
	m.AddLimit(fork(16400, pg.MainFork), 0)
	m.AddBlock(pg.RelFork{RelFileLocator: pg.RelFileLocator{Spc: 1664, Rel: 1262}}, 0)
	m.AddDatabase(1663, 16500)
	changes := changesOf(m)
	changes[2].Name, changes[2].DatabaseName = "public.t", "sales"
	var out bytes.Buffer
	if err := newProgram(&out, &out).printChanges(changes); err != nil {
		t.Fatal(err)
	}
	want := `DATABASE  RELATION                FORK  BLOCKS  LIMIT  RUNS
16500     all in tablespace 1663  -     0       whole  -
5         1663/5/16391            vm    11      -      0 2 4 6 8 10 12 14 … and 3 more
sales     public.t                main  3       2      0-2
5         1663/5/16384            main  1       -      7
-         1664/0/1262             main  1       -      0
5         1663/5/16400            main  0       whole  -
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if s := sumText(changes); s != "16 blocks of 5 relations, 1 databases as a whole" {
		t.Error(s)
	}
}

// changesIn runs pagemap show --json and gives what it prints, by the name of the main fork's relation.
func changesIn(t *testing.T, args ...string) ([]change, map[string]change) {
	t.Helper()
	r := wants(t, 0, append([]string{"pagemap", "show", "--json"}, args...))
	var list []change
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil {
		t.Fatal(err)
	}
	named := map[string]change{}
	for _, c := range list {
		if c.Fork == "main" && c.Name != "" {
			named[c.DatabaseName+" "+c.Name] = c
		}
	}
	return list, named
}

// archiveWAL ends the current segment and archives those that pg_wal has.
func archiveWAL(t *testing.T, c *pgtest.Cluster) {
	t.Helper()
	last := c.SwitchWAL()
	entries, err := os.ReadDir(filepath.Join(c.DataDir, "pg_wal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if pg.IsWALFileName(e.Name()) && e.Name() <= last {
			wants(t, 0, []string{"archive-push", "-q", filepath.Join(c.DataDir, "pg_wal", e.Name())})
		}
	}
}

// What changed since a backup, by the names that the server has for it: from the archive, from
// pg_wal, and between two backups.
func TestPagemapShowRange(t *testing.T) {
	c := pgtest.Newest(t).New(t, pgtest.Setting("wal_keep_size", "1GB"))
	t.Setenv("PGINCR_REPO", filepath.Join(pgtest.TempDir(t), "repo"))
	for _, kv := range c.Env() {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	c.Exec("CREATE TABLE t AS SELECT i, repeat('x', 500) FROM generate_series(1, 5000) i")
	c.Exec("VACUUM t") // sets the hints, which with checksums would be in WAL, too
	wants(t, 0, []string{"init", "-q"})
	r := wants(t, 0, []string{"backup", "-D", c.DataDir, "-c", "fast", "--json"})
	var full repo.Manifest
	if err := json.Unmarshal([]byte(r.stdout), &full); err != nil {
		t.Fatal(err)
	}
	show := []string{"pagemap", "show", "--from"}
	wants(t, 1, append(show, "latest"), "no complete page map: segment ", " is not in the archive")

	c.Exec("UPDATE t SET i = -1 WHERE i = 2500")
	c.Exec("CREATE DATABASE other")
	c.ExecIn("other", `CREATE TABLE "In Other" AS SELECT generate_series(1, 100000) i`)
	c.Exec("CREATE TABLE gone AS SELECT 1 AS i")
	gone := c.Query1("SELECT pg_relation_filenode('gone')::text")
	c.Exec("DROP TABLE gone")
	c.Checkpoint()
	list, named := changesIn(t, "--from", full.ID, "-D", c.DataDir, "--names")
	verify := func(list []change, named map[string]change) {
		t.Helper()
		if got := named["postgres public.t"]; got.Blocks != 2 || len(got.Runs) != 2 || got.Whole {
			t.Errorf("t: %+v", got)
		}
		other := named[`other public."In Other"`]
		if other.Blocks < 400 || !other.Whole || other.Limit == nil || *other.Limit != 0 {
			t.Errorf("In Other: %d blocks, whole %v", other.Blocks, other.Whole)
		}
		if _, ok := named["postgres pg_catalog.pg_class"]; !ok {
			t.Error("no pg_class of postgres")
		}
		i := slices.IndexFunc(list, func(c change) bool { return fmt.Sprint(c.Relation) == gone && c.Fork == "main" })
		if i < 0 || list[i].Name != "" || list[i].DatabaseName != "postgres" || !list[i].Whole {
			t.Errorf("the dropped table is at %d of %+v", i, list)
		}
	}
	verify(list, named)
	current := c.Query1("SELECT pg_walfile_name(pg_current_wal_lsn())")
	archiveWAL(t, c)
	list, named = changesIn(t, "--from", full.StartLSN.String(), "-p", fmt.Sprint(c.Port))
	verify(list, named)

	_, named = changesIn(t, "--from", "latest")
	if len(named) > 0 {
		t.Errorf("names that nobody asked for: %v", named)
	}
	r = wants(t, 0, append(show, "latest", "--names"), "WAL "+full.StartLSN.String()+" to ", "of timeline 1, ",
		"DATABASE ", `public."In Other"`, "1663/5/"+gone, "whole")
	if lines := strings.Split(r.stdout, "\n"); !strings.Contains(lines[3], "In Other") {
		t.Errorf("the relation with the most blocks is not the first:\n%.500s", r.stdout)
	}
	wants(t, 0, []string{"pagemap", "show", current, "--names"}, "map "+current+", WAL ", "other", `public."In Other"`)

	// Between two backups; the other way round there is nothing.
	wants(t, 0, []string{"backup", "-D", c.DataDir, "-c", "fast", "-q", "--page-map", "wal", "--incremental"})
	wants(t, 0, append(show, full.ID, "--to", "latest", "-D", c.DataDir), "WAL "+full.StartLSN.String())
	wants(t, 1, append(show, "latest", "--to", full.ID), "ends before it begins")
	wants(t, 2, append(show, full.ID, "--to", "latest", "--timeline", "1"), "--timeline: does not go with")
	wants(t, 1, append(show, full.ID, "-h", t.TempDir()), "hint: is the server running?")
}
