package history

import (
	"fmt"
	"slices"
	"strconv"
)

// maxDatabases keeps histories quick: every database has a thousand files.
const maxDatabases = 3

// idle gives a database, other than postgres, that nobody is using, or nil.
func (g *Generator) idle() *database {
	var fit []*database
	for _, d := range g.state.databases {
		if d.users == 0 && d.name != "postgres" {
			fit = append(fit, d)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[g.rng.IntN(len(fit))]
}

func (g *Generator) createDatabase() (Step, bool) {
	if len(g.state.databases) >= maxDatabases {
		return Step{}, false
	}
	d := &database{name: "d" + strconv.Itoa(g.number())}
	if g.major >= 15 && g.chance(2) {
		d.oid = 100000 + g.number()
	}
	return g.creatingDatabase(d), true
}

// creatingDatabase makes a database of one of the templates, or of another database.
func (g *Generator) creatingDatabase(d *database) Step {
	template := pick(g.rng, "template0", "template1")
	if from := g.idle(); from != nil && from.name != d.name && g.chance(2) {
		template = from.name
	}
	options := " TEMPLATE " + template
	if g.major >= 15 {
		options += " STRATEGY " + pick(g.rng, "FILE_COPY", "WAL_LOG")
		if d.oid != 0 {
			options += " OID " + strconv.Itoa(d.oid)
		}
	}
	if space := g.someTablespace(); space != "" && g.chance(3) {
		d.space = space
		options += " TABLESPACE " + space
	}
	return sql("postgres", "CREATE DATABASE "+d.name+options).then(func() {
		g.state.databases = append(g.state.databases, d)
		g.state.copyDatabase(template, d.name)
	}).refusable() // of a template with relations in the tablespace, for one
}

func (g *Generator) dropDatabase() (Step, bool) {
	d := g.idle()
	if d == nil {
		return Step{}, false
	}
	return sql("postgres", "DROP DATABASE "+d.name).then(func() { g.state.dropDatabase(d.name) }), true
}

// recreateDatabase drops a database and makes another one, where possible with the same OID.
func (g *Generator) recreateDatabase() (Step, bool) {
	d := g.idle()
	if d == nil {
		return Step{}, false
	}
	again := g.creatingDatabase(&database{name: d.name, oid: d.oid}).named("recreate database")
	return sql("postgres", "DROP DATABASE "+d.name).then(func() {
		g.state.dropDatabase(d.name)
		g.planned = append(g.planned, again)
	}), true
}

func (g *Generator) moveDatabase() (Step, bool) {
	d := g.idle()
	space := g.someTablespace()
	if d == nil || space == "" {
		return Step{}, false
	}
	if d.space != "" || g.chance(3) {
		space = "pg_default"
	}
	// Refused where tables of the database are in the tablespace already.
	return sql("postgres", fmt.Sprintf("ALTER DATABASE %s SET TABLESPACE %s", d.name, space)).then(func() {
		d.space = space
		if space == "pg_default" {
			d.space = ""
		}
	}).refusable(), true
}

func (g *Generator) renameDatabase() (Step, bool) {
	d := g.idle()
	if d == nil {
		return Step{}, false
	}
	name := "d" + strconv.Itoa(g.number())
	return sql("postgres", fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", d.name, name)).then(func() {
		for _, t := range g.state.tables {
			if t.db == d.name {
				t.db = name
			}
		}
		for _, o := range slices.Concat(g.state.sequences, g.state.large) {
			if o.db == d.name {
				o.db = name
			}
		}
		d.name = name
	}), true
}

// someTablespace gives the name of one, or "".
func (g *Generator) someTablespace() string {
	if len(g.state.tablespaces) == 0 {
		return ""
	}
	return g.state.tablespaces[g.rng.IntN(len(g.state.tablespaces))].name
}

// newTablespace makes one outside the data directory. This happens before the first backup only: a
// copy of the cluster that replayed it would take the same directory.
func (g *Generator) newTablespace() Step {
	sp := &tablespace{name: "s" + strconv.Itoa(g.number())}
	return Step{Kind: Tablespace, Op: "create tablespace", Name: sp.name}.then(func() {
		g.state.tablespaces = append(g.state.tablespaces, sp)
	})
}

func (g *Generator) newTablespaceInPlace() Step {
	sp := &tablespace{name: "s" + strconv.Itoa(g.number()), inPlace: true}
	return sql("postgres", fmt.Sprintf("CREATE TABLESPACE %s LOCATION ''", sp.name)).then(func() {
		g.state.tablespaces = append(g.state.tablespaces, sp)
	})
}

func (g *Generator) dropTablespace() (Step, bool) {
	name := g.someTablespace()
	if name == "" {
		return Step{}, false
	}
	return sql("postgres", "DROP TABLESPACE "+name).then(func() {
		g.state.tablespaces = slices.DeleteFunc(g.state.tablespaces,
			func(sp *tablespace) bool { return sp.name == name })
	}).refusable(), true // unless it is empty
}
