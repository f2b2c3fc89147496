package pgtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Dump returns what pg_dumpall writes for the whole cluster, the same for the
// same contents: the locations of tablespaces, which a copy on one machine must
// change, are left out. So are, on a standby, unlogged tables, which it lacks.
func (c *Cluster) Dump(args ...string) string {
	c.t.Helper()
	if c.Query1("SELECT pg_is_in_recovery()") == "t" {
		args = append(args, "--no-unlogged-table-data")
	}
	var dump strings.Builder
	for line := range strings.Lines(c.Tool("pg_dumpall", args...)) {
		switch {
		case strings.HasPrefix(line, `\restrict `), strings.HasPrefix(line, `\unrestrict `):
			// Both carry a random key.
		case strings.HasPrefix(line, "CREATE TABLESPACE "):
			name, _, _ := strings.Cut(line, " LOCATION ")
			dump.WriteString(name + ";\n")
		default:
			dump.WriteString(line)
		}
	}
	return dump.String()
}

// CompareDumps fails the test at the first difference of two dumps and shows
// its surroundings.
func CompareDumps(t testing.TB, want, got string) {
	t.Helper()
	if want != got {
		t.Errorf("dumps differ:\n%s", firstDifference(want, got))
	}
}

// firstDifference shows where two texts begin to differ: some lines before,
// which are the same, and some of each from there on.
func firstDifference(want, got string) string {
	const around = 5 // lines
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	var out strings.Builder
	fmt.Fprintf(&out, "line %d of %d (want) and %d (got)\n", at+1, len(a), len(b))
	show := func(mark string, lines []string) {
		for _, line := range lines {
			fmt.Fprintf(&out, "%s %s\n", mark, line)
		}
	}
	show(" ", a[max(0, at-around):at])
	show("-", a[at:min(len(a), at+around)])
	show("+", b[at:min(len(b), at+around)])
	return out.String()
}

// TableSums sums up every table outside the system's schemas, in all databases:
// "db.schema.table" to the number of its rows and a sum over their hashes that
// does not depend on their order. Foreign and temporary tables and the data of
// unlogged tables, which no backup has, are left out.
func (c *Cluster) TableSums() map[string]string {
	c.t.Helper()
	sums := map[string]string{}
	for _, db := range c.Databases() {
		tables := c.RowsIn(db, `
			SELECT format('%I.%I', n.nspname, c.relname)
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND c.relispopulated
			AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'`)
		for _, table := range tables {
			// A sequential scan, for the truth; hashes change between majors only.
			sums[db+"."+table[0]] = c.Query1In(db, `
				SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;
				SELECT count(*) || ' rows, sum ' || coalesce(sum(hashtextextended(t::text, 0)), 0)
				FROM ONLY `+table[0]+` t`)
		}
	}
	return sums
}

// CompareTables fails the test for every table that differs between two sums.
// They are values, not clusters, since the source of a backup moves on.
func CompareTables(t testing.TB, want, got map[string]string) {
	t.Helper()
	names := maps.Clone(want)
	maps.Copy(names, got)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		w, inWant := want[name]
		g, inGot := got[name]
		switch {
		case !inGot:
			t.Errorf("%s: missing, want %s", name, w)
		case !inWant:
			t.Errorf("%s: %s, want no such table", name, g)
		case w != g:
			t.Errorf("%s: %s, want %s", name, g, w)
		}
	}
}
