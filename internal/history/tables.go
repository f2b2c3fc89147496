package history

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func (g *Generator) createTable() Step {
	t := &table{db: g.someDatabase(), name: "t" + strconv.Itoa(g.number())}
	t.shape = pick(g.rng, narrow, medium, wide, wide, wide, toasted)
	t.lo, t.hi = 1, 1
	create, fill, apply := g.creating(t)
	statements := []string{create, fmt.Sprintf("ALTER TABLE %s ALTER t SET STORAGE %s", t.name, t.shape.storage())}
	if fill != "" {
		statements = append(statements, fill)
	}
	return sql(t.db, statements...).then(func() {
		g.state.tables = append(g.state.tables, t)
		apply()
	}).named("create table")
}

// creating gives the statements that make a table and fill it (or not: ""), and what the filling changes.
func (g *Generator) creating(t *table) (create, fill string, apply func()) {
	persistence, with, space := "", "", ""
	if g.chance(8) {
		t.unlogged, persistence = true, "UNLOGGED "
	}
	if g.chance(3) {
		with = fmt.Sprintf(" WITH (fillfactor = %d)", 20+g.rng.IntN(81))
	}
	if sp := g.someTablespace(); sp != "" && g.chance(3) {
		space = " TABLESPACE " + sp
	}
	create = fmt.Sprintf("CREATE %sTABLE %s (id int, n int, t text, a int[], p point, r int4range)%s%s",
		persistence, t.name, with, space)
	if g.chance(6) {
		return create, "", func() {}
	}
	fill, apply = g.inserting(t, g.count(t.shape))
	return create, fill, apply
}

// named says what a person would call the step.
func (s Step) named(op string) Step {
	s.Op = op
	return s
}

func (g *Generator) createTableAs() (Step, bool) {
	from := g.freeTable()
	if from == nil {
		return Step{}, false
	}
	t := &table{db: from.db, name: "t" + strconv.Itoa(g.number()), shape: from.shape, lo: from.lo, hi: from.hi}
	return sql(t.db, fmt.Sprintf("CREATE TABLE %s AS SELECT * FROM %s ORDER BY n, id", t.name, from.name)).
		then(func() { g.state.tables = append(g.state.tables, t) }), true
}

// indexMethods are the kinds of indexes, with what they index.
func indexMethods() map[string][]string {
	return map[string][]string{
		"btree":  {"(id)", "(id)", "(n)", "(left(t, 200))", "(id) INCLUDE (n)", "(n, id) WHERE n < 5"},
		"hash":   {"(id)", "(n)"},
		"gin":    {"(a)", "(a) WITH (fastupdate = off)"},
		"gist":   {"(p)", "(r)", "(r) WITH (buffering = on)"},
		"brin":   {"(id)", "(id) WITH (pages_per_range = 2)", "(id, n) WITH (autosummarize = off)"},
		"spgist": {"(p)", "(r)", "(left(t, 500))"},
		"bloom":  {"(n, id)"},
	}
}

func (g *Generator) createIndex() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	methods := indexMethods()
	names := append(keysOf(methods), "btree", "btree")
	method := names[g.rng.IntN(len(names))]
	what := methods[method][g.rng.IntN(len(methods[method]))]
	ix := &index{name: "i" + strconv.Itoa(g.number()), method: method}
	unique, concurrently := "", ""
	if what == "(id)" && method == "btree" && g.chance(2) {
		unique = "UNIQUE "
	}
	if g.chance(4) {
		concurrently = "CONCURRENTLY "
	}
	s := sql(t.db, fmt.Sprintf("CREATE %sINDEX %s%s ON %s USING %s %s",
		unique, concurrently, ix.name, t.name, method, what))
	if method == "bloom" {
		s.SQL = slices.Insert(s.SQL, 0, "CREATE EXTENSION IF NOT EXISTS bloom")
	}
	return s.then(func() { t.indexes = append(t.indexes, ix) }), true
}

func (g *Generator) dropIndex() (Step, bool) {
	t := g.indexed()
	if t == nil {
		return Step{}, false
	}
	i := g.rng.IntN(len(t.indexes))
	return sql(t.db, "DROP INDEX "+t.indexes[i].name).
		then(func() { t.indexes = slices.Delete(t.indexes, i, i+1) }), true
}

// indexed gives a table that has indexes.
func (g *Generator) indexed() *table {
	return g.tableThat(func(t *table) bool { return !t.busy && len(t.indexes) > 0 })
}

func (g *Generator) dropTable() (Step, bool) {
	t := g.freeTable()
	if t == nil || len(g.state.tables) < 3 {
		return Step{}, false
	}
	return sql(t.db, "DROP TABLE "+t.name).then(func() { g.forget(t) }), true
}

func (g *Generator) forget(t *table) {
	g.state.tables = slices.DeleteFunc(g.state.tables, func(x *table) bool { return x == t })
}

func (g *Generator) truncate() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	statements := []string{"TRUNCATE " + t.name}
	if g.chance(2) {
		return sql(t.db, statements...).then(func() { t.lo = t.hi }), true
	}
	statement, apply := g.inserting(t, g.count(t.shape))
	if g.chance(2) {
		statements = []string{"BEGIN", statements[0], statement, "COMMIT"}
	} else {
		statements = append(statements, statement)
	}
	return sql(t.db, statements...).then(func() { t.lo = t.hi; apply() }), true
}

func (g *Generator) vacuum() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	options := pick(g.rng, "", "", "", "(FREEZE) ", "(FREEZE, DISABLE_PAGE_SKIPPING) ", "(TRUNCATE off) ",
		"(INDEX_CLEANUP off) ", "(ANALYZE) ", "(VERBOSE off, TRUNCATE on) ")
	return sql(t.db, "VACUUM "+options+t.name), true
}

func (g *Generator) vacuumFull() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	return sql(t.db, "VACUUM FULL "+t.name), true
}

func (g *Generator) vacuumDatabase() (Step, bool) {
	if len(g.state.open)+len(g.state.prepared) > 0 {
		return Step{}, false // it would wait for their tables
	}
	return sql(g.someDatabase(), pick(g.rng, "VACUUM", "VACUUM (FREEZE)", "ANALYZE")), true
}

func (g *Generator) clusterTable() (Step, bool) {
	t := g.indexed()
	if t == nil {
		return Step{}, false
	}
	ix := t.indexes[g.rng.IntN(len(t.indexes))]
	// Only some methods can order a table, and no partial index.
	return sql(t.db, fmt.Sprintf("CLUSTER %s USING %s", t.name, ix.name)).refusable(), true
}

func (g *Generator) rewrite() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	column := "x" + strconv.Itoa(g.number())
	return sql(t.db,
		fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s bigint DEFAULT (random() * 1000)::bigint", t.name, column),
		fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", t.name, column)), true
}

func (g *Generator) reindex() (Step, bool) {
	t := g.indexed()
	if t == nil {
		return Step{}, false
	}
	concurrently := ""
	if g.chance(3) {
		concurrently = "CONCURRENTLY "
	}
	if g.chance(2) {
		return sql(t.db, "REINDEX TABLE "+concurrently+t.name), true
	}
	return sql(t.db, "REINDEX INDEX "+concurrently+t.indexes[g.rng.IntN(len(t.indexes))].name), true
}

func (g *Generator) setTablespace() (Step, bool) {
	t := g.freeTable()
	space := g.someTablespace()
	if t == nil || space == "" {
		return Step{}, false
	}
	if g.chance(3) {
		space = "pg_default"
	}
	if len(t.indexes) > 0 && g.chance(2) {
		ix := t.indexes[g.rng.IntN(len(t.indexes))]
		return sql(t.db, fmt.Sprintf("ALTER INDEX %s SET TABLESPACE %s", ix.name, space)), true
	}
	return sql(t.db, fmt.Sprintf("ALTER TABLE %s SET TABLESPACE %s", t.name, space)), true
}

func (g *Generator) setLogged() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	to := map[bool]string{true: "LOGGED", false: "UNLOGGED"}[t.unlogged]
	return sql(t.db, fmt.Sprintf("ALTER TABLE %s SET %s", t.name, to)).
		then(func() { t.unlogged = !t.unlogged }), true
}

func (g *Generator) truncateVisibilityMap() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	return sql(t.db, "CREATE EXTENSION IF NOT EXISTS pg_visibility",
		"SELECT pg_truncate_visibility_map('"+t.name+"')"), true
}

// maintainIndex does what only some methods have.
func (g *Generator) maintainIndex() (Step, bool) {
	t := g.tableThat(func(t *table) bool {
		return !t.busy && slices.ContainsFunc(t.indexes, func(ix *index) bool {
			return ix.method == "brin" || ix.method == "gin"
		})
	})
	if t == nil {
		return Step{}, false
	}
	var statements []string
	for _, ix := range t.indexes {
		switch {
		case ix.method == "gin":
			statements = append(statements, fmt.Sprintf("SELECT gin_clean_pending_list('%s')", ix.name))
		case ix.method == "brin" && g.chance(2):
			statements = append(statements, fmt.Sprintf("SELECT brin_summarize_new_values('%s')", ix.name))
		case ix.method == "brin":
			statements = append(statements, fmt.Sprintf("SELECT brin_desummarize_range('%s', 0)", ix.name))
		}
	}
	if g.chance(3) {
		slices.Reverse(statements)
	}
	return sql(t.db, statements...), true
}

// abort does things and takes them back.
func (g *Generator) abort() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	statements := []string{"BEGIN"}
	for range 1 + g.rng.IntN(4) {
		insert, _ := g.inserting(t, g.count(t.shape))
		statements = append(statements, pick(g.rng, insert, g.updating(t),
			fmt.Sprintf("DELETE FROM %s WHERE %s", t.name, g.where(t)),
			"TRUNCATE "+t.name,
			fmt.Sprintf("CREATE TABLE gone%d AS SELECT * FROM %s", g.number(), t.name),
			fmt.Sprintf("CREATE INDEX gone%d ON %s (n)", g.number(), t.name)))
	}
	return sql(t.db, append(statements, "ROLLBACK")...), true
}

// fail does things that the server refuses halfway.
func (g *Generator) fail() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	n := 20 + g.rng.IntN(500)
	bad := strings.Replace(t.shape.rows(g.salt(), t.hi, t.hi+n), "SELECT i,",
		fmt.Sprintf("SELECT i + 0 / (i - %d),", t.hi+n-1), 1)
	if g.chance(3) {
		name := "gone" + strconv.Itoa(g.number())
		s := sql(t.db, fmt.Sprintf("CREATE UNIQUE INDEX CONCURRENTLY %s ON %s ((n * 0))", name, t.name),
			"DROP INDEX IF EXISTS "+name) // it would get in the way of everything else
		s.GoesOn = true
		return s, true
	}
	return sql(t.db, "INSERT INTO "+t.name+" "+bad).refusable(), true
}
