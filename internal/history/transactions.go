package history

import (
	"fmt"
	"slices"
	"strconv"
)

// subtransactions has rows of many of them, some aborted.
func (g *Generator) subtransactions() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	if g.chance(2) {
		insert, apply := g.inserting(t, g.count(t.shape))
		return sql(t.db, "BEGIN", "SAVEPOINT a", g.updating(t), "ROLLBACK TO a", insert, "SAVEPOINT b",
			fmt.Sprintf("DELETE FROM %s WHERE %s", t.name, g.where(t)), "RELEASE b", "COMMIT").then(apply), true
	}
	n := 10 + g.rng.IntN(150) // more than 64 do not fit into shared memory
	return sql(t.db, fmt.Sprintf("DO $$BEGIN FOR k IN 1..%d LOOP BEGIN "+
		"UPDATE %s SET n = k WHERE id = %d + k; IF k %% 3 = 0 THEN RAISE 'no'; END IF; "+
		"EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; END$$", n, t.name, t.lo)), true
}

// working gives some statements of a transaction and the changes they make if it commits.
func (g *Generator) working(t *table) ([]string, func()) {
	insert, apply := g.inserting(t, g.count(t.shape))
	statements := []string{insert}
	for range g.rng.IntN(3) {
		statements = append(statements, pick(g.rng, g.updating(t),
			fmt.Sprintf("DELETE FROM %s WHERE %s", t.name, g.where(t))))
	}
	return statements, apply
}

// maxPrepared is below max_prepared_transactions.
const maxPrepared = 4

func (g *Generator) prepare() (Step, bool) {
	t := g.freeTable()
	if t == nil || len(g.state.prepared) >= maxPrepared || len(g.state.tables) < 4 {
		return Step{}, false
	}
	p := &prepared{name: "p" + strconv.Itoa(g.number()), db: t.db, tables: []*table{t}}
	work, apply := g.working(t)
	if g.chance(2) {
		p.created = &table{db: t.db, name: "t" + strconv.Itoa(g.number()), shape: wide, lo: 1, hi: 300}
		work = append(work, fmt.Sprintf("CREATE TABLE %s (id int, n int, t text, a int[], p point, r int4range)",
			p.created.name), "INSERT INTO "+p.created.name+" "+wide.rows(g.salt(), 1, 300))
	}
	drop := g.tableThat(func(x *table) bool { return !x.busy && x.db == t.db && x != t })
	if drop != nil && g.chance(2) {
		p.dropped = drop
		p.tables = append(p.tables, drop)
		work = append(work, "DROP TABLE "+drop.name)
	}
	statements := slices.Concat([]string{"BEGIN"}, work, []string{"PREPARE TRANSACTION '" + p.name + "'"})
	return sql(t.db, statements...).then(func() {
		apply() // the numbers are used whatever becomes of it
		for _, x := range p.tables {
			x.busy = true
		}
		g.state.prepared = append(g.state.prepared, p)
		g.state.database(p.db).users++
	}), true
}

func (g *Generator) finishPrepared() (Step, bool) {
	if len(g.state.prepared) == 0 {
		return Step{}, false
	}
	p := g.state.prepared[g.rng.IntN(len(g.state.prepared))]
	commit := g.chance(2)
	how := map[bool]string{true: "COMMIT", false: "ROLLBACK"}[commit]
	return sql(p.db, fmt.Sprintf("%s PREPARED '%s'", how, p.name)).then(func() {
		for _, t := range p.tables {
			t.busy = false
		}
		if commit && p.dropped != nil {
			g.forget(p.dropped)
		}
		if commit && p.created != nil {
			g.state.tables = append(g.state.tables, p.created)
		}
		g.state.prepared = slices.DeleteFunc(g.state.prepared, func(x *prepared) bool { return x == p })
		g.state.database(p.db).users--
	}), true
}

// maxOpen bounds the sessions that stay open.
const maxOpen = 2

// openTransaction begins a transaction that is still going on when other things happen.
func (g *Generator) openTransaction() (Step, bool) {
	t := g.freeTable()
	if t == nil || len(g.state.open) >= maxOpen || len(g.state.tables) < 4 {
		return Step{}, false
	}
	o := &session{name: "o" + strconv.Itoa(g.number()), db: t.db, tables: []*table{t}}
	work, apply := g.working(t)
	s := sql(t.db, append([]string{"BEGIN"}, work...)...)
	s.Session = o.name
	return s.then(func() {
		apply()
		t.busy = true
		g.state.open = append(g.state.open, o)
		g.state.database(o.db).users++
	}), true
}

// temporaryTable has files that no backup may hold.
func (g *Generator) temporaryTable() (Step, bool) {
	if len(g.state.open) >= maxOpen {
		return Step{}, false
	}
	o := &session{name: "o" + strconv.Itoa(g.number()), db: g.someDatabase(), temp: true}
	s := sql(o.db, "CREATE TEMPORARY TABLE x AS SELECT i, repeat('x', 1000) t FROM generate_series(1, 300) i",
		"CREATE INDEX ON x (i)", "VACUUM x")
	s.Session = o.name
	return s.then(func() {
		g.state.open = append(g.state.open, o)
		g.state.database(o.db).users++
	}), true
}

func (g *Generator) endSession() (Step, bool) {
	if len(g.state.open) == 0 {
		return Step{}, false
	}
	o := g.state.open[g.rng.IntN(len(g.state.open))]
	s := sql(o.db, pick(g.rng, "COMMIT", "COMMIT", "ROLLBACK"))
	if o.temp {
		s.SQL = []string{"DROP TABLE x"}
	}
	s.Session, s.Close = o.name, true
	return s.then(func() {
		for _, t := range o.tables {
			t.busy = false
		}
		g.state.open = slices.DeleteFunc(g.state.open, func(x *session) bool { return x == o })
		g.state.database(o.db).users--
	}), true
}
