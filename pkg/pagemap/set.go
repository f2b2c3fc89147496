package pagemap

import (
	"iter"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Set is a set of block numbers in chunks of 65536: sparse chunks are sorted
// arrays, dense ones bitmaps. The zero Set is empty and ready.
type Set struct{ _ int }

// Add puts a block into the set.
func (s *Set) Add(blk pg.BlockNumber) { panic("stub") }

// AddRange puts [from, to) into the set.
func (s *Set) AddRange(from, to pg.BlockNumber) { panic("stub") }

// Has says whether the block is in the set.
func (s *Set) Has(blk pg.BlockNumber) bool { panic("stub") }

// Len counts the blocks.
func (s *Set) Len() int { panic("stub") }

// Union adds all of o.
func (s *Set) Union(o *Set) { panic("stub") }

// Runs yields the maximal runs (first, count) of [from, to) in order.
func (s *Set) Runs(from, to pg.BlockNumber) iter.Seq2[pg.BlockNumber, pg.BlockNumber] { panic("stub") }
