package history

import (
	"fmt"
	"strconv"
)

// shape is what the rows of a table look like.
type shape int

const (
	narrow shape = iota // about 80 on a page
	medium
	wide    // 6 on a page
	toasted // out of line
)

// perPage is how many rows of a wide table fill a page.
const perPage = 6

// count gives a number of rows that fill some dozens of pages.
func (g *Generator) count(s shape) int {
	n := 1 + g.rng.IntN(100)
	switch s {
	case narrow:
		return n * 30
	case medium:
		return n * 15
	case wide:
		return n * 4
	default:
		return 1 + n/5
	}
}

// text is an expression for the column t of row i, or of id where there is no i.
func (s shape) text(salt int, i string) string {
	switch s {
	case narrow:
		return fmt.Sprintf("'r' || %s %% 97 || 's%d'", i, salt)
	case medium:
		return fmt.Sprintf("repeat(md5((%s + %d)::text), 6)", i, salt)
	case wide:
		return fmt.Sprintf("rpad((%s + %d)::text, 1100, 'w')", i, salt)
	default:
		return fmt.Sprintf("(SELECT string_agg(md5((%s + %d + k)::text), '') FROM generate_series(1, %d) k)",
			i, salt, 20+salt%160)
	}
}

// rows is a query for the rows [from, to).
func (s shape) rows(salt, from, to int) string {
	return fmt.Sprintf("SELECT i, i %% %d, %s, ARRAY[i %% 50, i %% 7, i], point(i %% 100, i / 100), "+
		"int4range(i, i + 1 + i %% 10) FROM generate_series(%d, %d) i",
		2+salt%1000, s.text(salt, "i"), from, to-1)
}

// storage is how the column t is stored.
func (s shape) storage() string {
	switch s {
	case wide:
		return "PLAIN"
	case toasted:
		return "EXTERNAL"
	default:
		return "EXTENDED"
	}
}

// salt makes the values of one operation differ from those of others.
func (g *Generator) salt() int { return g.rng.IntN(10000) }

// inserting gives a statement that adds n rows, and what it changes in the model.
func (g *Generator) inserting(t *table, n int) (string, func()) {
	from := t.hi
	return "INSERT INTO " + t.name + " " + t.shape.rows(g.salt(), from, from+n),
		func() { t.hi = max(t.hi, from+n) }
}

func (g *Generator) insert() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	statement, apply := g.inserting(t, g.count(t.shape))
	return sql(t.db, statement).then(apply), true
}

// copying gives a COPY of n rows, which extends the table by several pages at once.
func (g *Generator) copying(t *table, n int, options string) (string, func()) {
	from, width := t.hi, 1+g.rng.IntN(300)
	if t.shape == wide {
		width = 1100
	}
	rows := fmt.Sprintf(`seq %d %d | awk '{printf "%%d\t%%d\t%%0%dd\t{%%d,1}\t(%%d,2)\t[%%d,%%d)\n", `+
		`$1, $1 %% 9, $1, $1, $1, $1, $1 + 5}'`, from, from+n-1, width)
	return fmt.Sprintf("COPY %s FROM PROGRAM $$%s$$%s", t.name, rows, options), func() { t.hi = max(t.hi, from+n) }
}

func (g *Generator) copyIn() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	n := g.count(t.shape)
	if t.shape == toasted {
		n *= 4
	}
	if g.chance(4) {
		statement, apply := g.copying(t, n, " WITH (FREEZE)")
		return sql(t.db, "BEGIN", "TRUNCATE "+t.name, statement, "COMMIT").
			then(func() { t.lo = t.hi; apply() }), true
	}
	statement, apply := g.copying(t, n, "")
	return sql(t.db, statement).then(apply), true
}

// fillToBoundary makes a table almost exactly as long as what the program under test counts in: its
// frames, its windows, its parts.
func (g *Generator) fillToBoundary() (Step, bool) {
	t := g.tableThat(func(t *table) bool { return !t.busy && t.shape == wide })
	if t == nil {
		return Step{}, false
	}
	pages := pick(g.rng, 128, 128, 256, 512)
	if g.chance(12) {
		pages = 2048
	}
	pages += g.rng.IntN(3) - 1
	statement, apply := g.inserting(t, pages*perPage)
	return sql(t.db, "TRUNCATE "+t.name, statement).then(func() { t.lo = t.hi; apply() }), true
}

// where gives a condition that some of the rows of a table meet.
func (g *Generator) where(t *table) string {
	span := max(t.hi-t.lo, 1)
	at := t.lo + g.rng.IntN(span)
	switch g.rng.IntN(4) {
	case 0:
		return "id % " + strconv.Itoa(2+g.rng.IntN(40)) + " = 0"
	case 1:
		return fmt.Sprintf("id BETWEEN %d AND %d", at, at+span/5)
	case 2:
		return "id > " + strconv.Itoa(at)
	default:
		return "id = " + strconv.Itoa(at)
	}
}

func (g *Generator) updating(t *table) string {
	switch g.rng.IntN(3) {
	case 0:
		return fmt.Sprintf("UPDATE %s SET n = n + 1 WHERE %s", t.name, g.where(t))
	case 1:
		return fmt.Sprintf("UPDATE %s SET t = %s WHERE %s", t.name, t.shape.text(g.salt(), "id"), g.where(t))
	default:
		return fmt.Sprintf("UPDATE %s SET a = a || %d, p = point(%d, id), r = int4range(id, id + 20) WHERE %s",
			t.name, g.salt(), g.salt(), g.where(t))
	}
}

func (g *Generator) update() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	return sql(t.db, g.updating(t)), true
}

func (g *Generator) delete() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	if g.chance(8) {
		return sql(t.db, "DELETE FROM "+t.name).then(func() { t.lo = t.hi }), true
	}
	return sql(t.db, fmt.Sprintf("DELETE FROM %s WHERE %s", t.name, g.where(t))), true
}

// shrink empties the end of a table, lets vacuum give it back, and often fills it again.
func (g *Generator) shrink() (Step, bool) {
	t := g.freeTable()
	if t == nil || t.hi == t.lo {
		return Step{}, false
	}
	statements := []string{
		fmt.Sprintf("DELETE FROM %s WHERE id > %d", t.name, t.lo+g.rng.IntN(t.hi-t.lo)),
		"VACUUM " + t.name,
	}
	if g.chance(2) {
		statements = append(statements, "CHECKPOINT")
	}
	var apply func()
	if g.chance(2) {
		var statement string
		if g.chance(2) {
			statement, apply = g.inserting(t, g.count(t.shape))
		} else {
			statement, apply = g.copying(t, g.count(t.shape), "")
		}
		statements = append(statements, statement)
	}
	return sql(t.db, statements...).then(apply), true
}

// lockRows sets row locks, with several transactions on one row too, which makes multixacts.
func (g *Generator) lockRows() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	lock := fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM %s WHERE %s FOR %s) x", t.name, g.where(t),
		pick(g.rng, "UPDATE", "SHARE", "KEY SHARE", "NO KEY UPDATE"))
	if g.chance(2) {
		return sql(t.db, lock), true
	}
	w := g.where(t)
	return sql(t.db, "BEGIN",
		fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM %s WHERE %s FOR KEY SHARE) x", t.name, w),
		"SAVEPOINT a",
		fmt.Sprintf("UPDATE %s SET n = n - 1 WHERE %s", t.name, w), "COMMIT"), true
}

// read sets hint bits, and lets index scans find out which entries are dead.
func (g *Generator) read() (Step, bool) {
	t := g.freeTable()
	if t == nil {
		return Step{}, false
	}
	if g.chance(2) {
		return sql(t.db, "SELECT sum(length(t)) FROM "+t.name), true
	}
	return sql(t.db, "SET enable_seqscan = off", "SET enable_bitmapscan = off",
		fmt.Sprintf("SELECT sum(n) FROM %s WHERE %s", t.name, g.where(t)),
		fmt.Sprintf("SELECT sum(n) FROM %s WHERE n = %d", t.name, g.rng.IntN(10)),
		fmt.Sprintf("SELECT count(*) FROM %s WHERE p <@ box(point(0,0), point(50,50))", t.name)), true
}
