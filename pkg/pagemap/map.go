package pagemap

import (
	"iter"

	"github.com/pgincr/pgincr/pkg/pg"
)

// NoLimit is the limit of a fork that was not created, dropped or truncated.
const NoLimit = pg.BlockNumber(0xFFFFFFFF)

// Map holds, for each relation fork that a range of WAL touches, the limit and the
// set of referenced blocks, and the databases that were created or dropped as
// a whole. The zero Map is not usable; see New. A Map is not safe for concurrent use.
type Map struct{ _ int }

// New gives an empty map: nothing changed.
func New() *Map { panic("stub") }

// AddBlock records that block blk of a fork is referenced.
func (m *Map) AddBlock(rf pg.RelFork, blk pg.BlockNumber) { panic("stub") }

// AddLimit records that the fork was nblocks long at some time in the range:
// 0 when it was created or dropped, the new length when it was truncated.
// The smallest limit stays.
func (m *Map) AddLimit(rf pg.RelFork, nblocks pg.BlockNumber) { panic("stub") }

// AddDatabase records that all relations of a database in one tablespace were
// created, copied or dropped as files: each of them counts as changed whole.
func (m *Map) AddDatabase(spc, db pg.OID) { panic("stub") }

// Merge adds all that o holds. o stays as it is.
func (m *Map) Merge(o *Map) { panic("stub") }

// Changes tells what the map knows of one fork.
func (m *Map) Changes(rf pg.RelFork) Changes { panic("stub") }

// All yields the forks in the order of RelFork.Compare; databases that
// changed as a whole are in Databases.
func (m *Map) All() iter.Seq2[pg.RelFork, Changes] { panic("stub") }

// Databases yields the (tablespace, database) pairs added by AddDatabase, in order.
func (m *Map) Databases() iter.Seq2[pg.OID, pg.OID] { panic("stub") }

// Changes is what a range of changes did to one fork. The zero value says: nothing.
type Changes struct {
	// Whole: the file is not the parent's file, nothing may come from there.
	Whole bool
	// Limit is the smallest length in blocks that the fork is known to have
	// had; NoLimit when unknown. (Set even when Whole is: then it is 0.)
	Limit pg.BlockNumber
	// Blocks are the referenced ones; nil when there are none.
	Blocks *Set
}

// Has says whether block blk must come from today's file.
func (c Changes) Has(blk pg.BlockNumber) bool { panic("stub") }

// Runs yields, in order, the maximal runs [first, first+count) of blocks of [from, to) that must
// come from today's file.
func (c Changes) Runs(from, to pg.BlockNumber) iter.Seq2[pg.BlockNumber, pg.BlockNumber] {
	panic("stub")
}
