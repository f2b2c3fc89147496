package history

import (
	"fmt"
	"slices"
	"strconv"
)

// catalog changes the system catalogs, shared ones too.
func (g *Generator) catalog() (Step, bool) {
	n := g.number()
	db := g.someDatabase()
	switch g.rng.IntN(5) {
	case 0:
		return sql(db, fmt.Sprintf("CREATE ROLE r%d", n), fmt.Sprintf("COMMENT ON ROLE r%d IS '%d'", n, n)), true
	case 1:
		return sql(db, fmt.Sprintf("CREATE FUNCTION f%d() RETURNS int LANGUAGE sql AS 'SELECT %d'", n, n)), true
	case 2:
		return sql(db, fmt.Sprintf("CREATE TYPE e%d AS ENUM ('a', 'b', 'c')", n),
			fmt.Sprintf("ALTER TYPE e%d ADD VALUE 'd'", n)), true
	case 3:
		return sql(db, fmt.Sprintf("ALTER DATABASE %s SET work_mem = '%dkB'", db, 64+n)), true
	default:
		return sql(db, fmt.Sprintf("CREATE SCHEMA s%d", n), fmt.Sprintf("CREATE VIEW s%d.v AS SELECT %d", n, n),
			fmt.Sprintf("DROP SCHEMA s%d CASCADE", n)), true
	}
}

// rewriteCatalog gives catalogs new files, those that pg_filenode.map names above all.
func (g *Generator) rewriteCatalog() (Step, bool) {
	if len(g.state.open)+len(g.state.prepared) > 0 {
		return Step{}, false // it would wait for their locks
	}
	name := pick(g.rng, "pg_class", "pg_attribute", "pg_proc", "pg_type", "pg_statistic", "pg_index",
		"pg_depend", "pg_database", "pg_authid", "pg_tablespace")
	how := pick(g.rng, "VACUUM FULL", "VACUUM FULL", "REINDEX TABLE", "VACUUM (FREEZE)")
	return sql(g.someDatabase(), how+" "+name), true
}

func (g *Generator) sequence() (Step, bool) {
	var free []*object
	for _, s := range g.state.sequences {
		if g.state.database(s.db).name == s.db {
			free = append(free, s)
		}
	}
	if len(free) < 2 {
		s := &object{db: g.someDatabase(), name: "q" + strconv.Itoa(g.number())}
		return sql(s.db, fmt.Sprintf("CREATE SEQUENCE %s CACHE %d", s.name, pick(g.rng, 1, 1, 10)),
			fmt.Sprintf("SELECT nextval('%s') FROM generate_series(1, %d)", s.name, g.rng.IntN(50))).
			then(func() { g.state.sequences = append(g.state.sequences, s) }), true
	}
	s := free[g.rng.IntN(len(free))]
	switch g.rng.IntN(6) {
	case 0:
		return sql(s.db, fmt.Sprintf("SELECT setval('%s', %d)", s.name, 1+g.salt())), true
	case 1:
		return sql(s.db, fmt.Sprintf("ALTER SEQUENCE %s RESTART WITH %d", s.name, 1+g.salt())), true
	case 2:
		return sql(s.db, "DROP SEQUENCE "+s.name).then(func() {
			g.state.sequences = slices.DeleteFunc(g.state.sequences, func(x *object) bool { return x == s })
		}), true
	default:
		return sql(s.db, fmt.Sprintf("SELECT nextval('%s') FROM generate_series(1, %d)", s.name, 1+g.rng.IntN(70))), true
	}
}

func (g *Generator) largeObject() (Step, bool) {
	if len(g.state.large) < 2 || g.chance(3) {
		o := &object{db: g.someDatabase(), name: strconv.Itoa(900000 + g.number())}
		return sql(o.db, fmt.Sprintf("SELECT lo_from_bytea(%s, decode(repeat(md5('%s'), %d), 'hex'))",
			o.name, o.name, 1+g.rng.IntN(2000))).
			then(func() { g.state.large = append(g.state.large, o) }), true
	}
	o := g.state.large[g.rng.IntN(len(g.state.large))]
	if g.chance(2) {
		return sql(o.db, fmt.Sprintf("SELECT lo_unlink(%s)", o.name)).then(func() {
			g.state.large = slices.DeleteFunc(g.state.large, func(x *object) bool { return x == o })
		}), true
	}
	return sql(o.db, fmt.Sprintf("SELECT lo_put(%s, %d, decode(repeat(md5('%d'), 20), 'hex'))",
		o.name, g.rng.IntN(30000), g.salt())), true
}
