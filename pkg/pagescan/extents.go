package pagescan

import (
	"iter"
	"os"

	"github.com/pgincr/pgincr/pkg/pg"
)

// smallHole is the size in bytes below which a hole is looked at like data.
const smallHole = 64 << 10

// An extent is a run of blocks [From, To) that are all holes or to be read.
type extent struct {
	From, To pg.BlockNumber
	Hole     bool
}

// extents yields the blocks [from, to) of f as extents, in order. A block that
// is a hole in part only is data; so is everything on file systems that do
// not tell. The range must lie within the file.
func extents(f *os.File, from, to pg.BlockNumber, blockSize uint32) iter.Seq2[extent, error] {
	size := int64(blockSize)
	return func(yield func(extent, error) bool) {
		for from < to {
			data, hole, err := nextData(f, int64(from)*size, int64(to)*size)
			if err != nil {
				yield(extent{}, err)
				return
			}
			d := pg.BlockNumber(data / size)
			if from < d && !yield(extent{From: from, To: d, Hole: true}, nil) {
				return
			}
			h := min(to, pg.BlockNumber((hole+size-1)/size))
			if d < h && !yield(extent{From: d, To: h}, nil) {
				return
			}
			from = h
		}
	}
}
