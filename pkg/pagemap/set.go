package pagemap

import (
	"iter"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Set is a set of block numbers in chunks of 65536: those with few runs of
// neighbours are sorted lists of runs, the others bitmaps. The zero Set is
// empty and ready. Methods that only read may be called on a nil Set, which is empty too.
type Set struct {
	chunks []chunk // by key, none is empty
	last   int     // index of the chunk that was written last
}

// split divides a block number into the key of its chunk and its place there.
func split(blk pg.BlockNumber) (key, low uint16) { return uint16(blk >> 16), uint16(blk) }

// Add puts a block into the set.
func (s *Set) Add(blk pg.BlockNumber) {
	key, low := split(blk)
	s.chunk(key).add(low)
}

// AddRange puts [from, to) into the set.
func (s *Set) AddRange(from, to pg.BlockNumber) {
	if from >= to {
		return
	}
	firstKey, first := split(from)
	lastKey, last := split(to - 1)
	for key := int(firstKey); key <= int(lastKey); key++ {
		r := run{0, 0xFFFF}
		if key == int(firstKey) {
			r.first = first
		}
		if key == int(lastKey) {
			r.last = last
		}
		s.chunk(uint16(key)).addRun(r)
	}
}

// Has says whether the block is in the set.
func (s *Set) Has(blk pg.BlockNumber) bool {
	if s == nil {
		return false
	}
	key, low := split(blk)
	i, ok := s.find(key)
	return ok && s.chunks[i].has(low)
}

// Len counts the blocks.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	n := 0
	for i := range s.chunks {
		n += s.chunks[i].count()
	}
	return n
}

// Union adds all of o, which stays as it is.
func (s *Set) Union(o *Set) {
	if o == nil || o == s {
		return
	}
	if len(s.chunks) == 0 {
		s.chunks = slices.Grow(s.chunks, len(o.chunks))
	}
	for i := range o.chunks {
		from := &o.chunks[i]
		s.chunk(from.key).union(from)
	}
}

// Runs yields the maximal runs (first, count) of [from, to) in order.
func (s *Set) Runs(from, to pg.BlockNumber) iter.Seq2[pg.BlockNumber, pg.BlockNumber] {
	return func(yield func(first, count pg.BlockNumber) bool) {
		var first, end pg.BlockNumber // a run that may go on in the next chunk
		for f, e := range s.pieces(from, to) {
			switch {
			case f == end && end > first:
				end = e
				continue
			case end > first && !yield(first, end-first):
				return
			}
			first, end = f, e
		}
		if end > first {
			yield(first, end-first)
		}
	}
}

// pieces yields the blocks of [from, to) as ranges [first, end), in order, each within one chunk.
func (s *Set) pieces(from, to pg.BlockNumber) iter.Seq2[pg.BlockNumber, pg.BlockNumber] {
	return func(yield func(first, end pg.BlockNumber) bool) {
		if s == nil || from >= to {
			return
		}
		key, low := split(from)
		for i, _ := s.find(key); i < len(s.chunks); i++ {
			c := &s.chunks[i]
			if c.key > key {
				low = 0
			}
			base := pg.BlockNumber(c.key) << 16
			for r := range c.runsFrom(low) {
				first := max(base+pg.BlockNumber(r.first), from)
				if first >= to {
					return
				}
				// to is at most the largest number, so this does not overflow
				end := min(base+pg.BlockNumber(r.last), to-1) + 1
				if !yield(first, end) {
					return
				}
			}
		}
	}
}

func (s *Set) isEmpty() bool { return s == nil || len(s.chunks) == 0 }

// find gives the index of the chunk with a key, or where it would be.
func (s *Set) find(key uint16) (int, bool) {
	return slices.BinarySearchFunc(s.chunks, key, func(c chunk, key uint16) int {
		return int(c.key) - int(key)
	})
}

// chunk gives the chunk with a key to write to, new or not. The caller puts something into it.
func (s *Set) chunk(key uint16) *chunk {
	if s.last < len(s.chunks) && s.chunks[s.last].key == key {
		return &s.chunks[s.last]
	}
	i, ok := s.find(key)
	if !ok {
		s.chunks = slices.Insert(s.chunks, i, chunk{key: key})
	}
	s.last = i
	return &s.chunks[i]
}
