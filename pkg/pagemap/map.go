package pagemap

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
)

// NoLimit is the limit of a fork that was not created, dropped or truncated.
const NoLimit = pg.BlockNumber(0xFFFFFFFF)

// Map holds, for each relation fork that a range of WAL touches, the limit and the
// set of referenced blocks, and the databases that were created or dropped as
// a whole. The zero Map is not usable; see New. A Map is not safe for concurrent use.
type Map struct {
	forks     map[pg.RelFork]*fork
	databases map[database]struct{}
	// last is the entry that was used last: neighbouring WAL records often touch the same fork.
	last    *fork
	lastKey pg.RelFork
}

// fork is what is known of one fork. It has a limit or blocks, or both.
type fork struct {
	limit  pg.BlockNumber
	blocks Set
}

// database is the part of a database in one tablespace.
type database struct{ spc, db pg.OID }

func (d database) compare(o database) int {
	return cmp.Or(cmp.Compare(d.spc, o.spc), cmp.Compare(d.db, o.db))
}

// New gives an empty map: nothing changed.
func New() *Map {
	return &Map{forks: make(map[pg.RelFork]*fork), databases: make(map[database]struct{})}
}

// fork gives the entry of a fork, new or not.
func (m *Map) fork(rf pg.RelFork) *fork {
	if m.last != nil && m.lastKey == rf {
		return m.last
	}
	f := m.forks[rf]
	if f == nil {
		f = &fork{limit: NoLimit}
		m.forks[rf] = f
	}
	m.last, m.lastKey = f, rf
	return f
}

// AddBlock records that block blk of a fork is referenced.
func (m *Map) AddBlock(rf pg.RelFork, blk pg.BlockNumber) { m.fork(rf).blocks.Add(blk) }

// AddLimit records that the fork was nblocks long at some time in the range:
// 0 when it was created or dropped, the new length when it was truncated.
// The smallest limit stays. NoLimit records nothing.
func (m *Map) AddLimit(rf pg.RelFork, nblocks pg.BlockNumber) {
	if nblocks == NoLimit {
		return
	}
	f := m.fork(rf)
	f.limit = min(f.limit, nblocks)
}

// AddDatabase records that all relations of a database in one tablespace were
// created, copied or dropped as files: each of them counts as changed whole.
func (m *Map) AddDatabase(spc, db pg.OID) { m.databases[database{spc, db}] = struct{}{} }

// Merge adds all that o holds. o stays as it is, and the two share nothing.
func (m *Map) Merge(o *Map) {
	for rf, from := range o.forks {
		f := m.fork(rf)
		f.limit = min(f.limit, from.limit)
		f.blocks.Union(&from.blocks)
	}
	maps.Copy(m.databases, o.databases)
}

// Len counts the forks that All yields.
func (m *Map) Len() int { return len(m.forks) }

// Changes tells what the map knows of one fork. The set in it belongs to the
// map and is not to be modified.
func (m *Map) Changes(rf pg.RelFork) Changes {
	c := Changes{Limit: NoLimit}
	if f := m.forks[rf]; f != nil {
		c.Limit = f.limit
		if !f.blocks.isEmpty() {
			c.Blocks = &f.blocks
		}
	}
	if _, whole := m.databases[database{rf.Spc, rf.DB}]; whole {
		c.Limit = 0
	}
	c.Whole = c.Limit == 0
	return c
}

// All yields the forks in the order of RelFork.Compare; databases that
// changed as a whole are in Databases.
func (m *Map) All() iter.Seq2[pg.RelFork, Changes] {
	return func(yield func(pg.RelFork, Changes) bool) {
		for _, rf := range m.sortedForks() {
			if !yield(rf, m.Changes(rf)) {
				return
			}
		}
	}
}

// Databases yields the (tablespace, database) pairs added by AddDatabase, in order.
func (m *Map) Databases() iter.Seq2[pg.OID, pg.OID] {
	return func(yield func(pg.OID, pg.OID) bool) {
		for _, d := range m.sortedDatabases() {
			if !yield(d.spc, d.db) {
				return
			}
		}
	}
}

func (m *Map) sortedForks() []pg.RelFork {
	return slices.SortedFunc(maps.Keys(m.forks), pg.RelFork.Compare)
}

func (m *Map) sortedDatabases() []database {
	return slices.SortedFunc(maps.Keys(m.databases), database.compare)
}
