package pagemap

import (
	"iter"

	"github.com/pgincr/pgincr/pkg/pg"
)

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

// limit gives the first block that is changed because of Whole or Limit. A
// Limit of 0 without Whole is that of the zero value.
func (c Changes) limit() pg.BlockNumber {
	switch {
	case c.Whole:
		return 0
	case c.Limit == 0:
		return NoLimit
	}
	return c.Limit
}

// Has says whether block blk must come from today's file.
func (c Changes) Has(blk pg.BlockNumber) bool { return blk >= c.limit() || c.Blocks.Has(blk) }

// Runs yields, in order, the maximal runs [first, first+count) of blocks of [from, to) that must
// come from today's file.
func (c Changes) Runs(from, to pg.BlockNumber) iter.Seq2[pg.BlockNumber, pg.BlockNumber] {
	return func(yield func(first, count pg.BlockNumber) bool) {
		if from >= to {
			return
		}
		tail := max(from, min(c.limit(), to)) // [tail, to) is changed whatever the set says
		for first, count := range c.Blocks.Runs(from, tail) {
			if first+count == tail && tail < to {
				tail = first
				break
			}
			if !yield(first, count) {
				return
			}
		}
		if tail < to {
			yield(tail, to-tail)
		}
	}
}
