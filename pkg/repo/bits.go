package repo

import (
	"math/bits"

	"github.com/pgincr/pgincr/pkg/pg"
)

// bitmap holds a bit for each block of a file.
type bitmap []uint64

// newBits gives n bits, all clear.
func newBits(n pg.BlockNumber) bitmap { return make(bitmap, (uint64(n)+63)/64) }

// word gives the mask of the bits of [from, to) in the word of from, and where the next
// word begins.
func wordMask(from, to uint64) (mask, next uint64) {
	next = min(from&^63+64, to)
	return (^uint64(0) << (from & 63)) & (^uint64(0) >> (63 - (next-1)&63)), next
}

// setRun sets the bits of a run and says how many were clear.
func (b bitmap) setRun(r BlockRun) pg.BlockNumber {
	n := 0
	for at := uint64(r.First); at < r.end(); {
		mask, next := wordMask(at, r.end())
		w := &b[at/64]
		n += bits.OnesCount64(mask &^ *w)
		*w |= mask
		at = next
	}
	return pg.BlockNumber(n)
}

// takeRun clears the bits of a run and appends the maximal runs of those that were set.
func (b bitmap) takeRun(taken []BlockRun, r BlockRun) []BlockRun {
	open := -1 // index in taken of a run that ends where the next word begins
	for at := uint64(r.First); at < r.end(); {
		mask, next := wordMask(at, r.end())
		w := &b[at/64]
		have := *w & mask
		*w &^= mask
		base := at &^ 63
		for have != 0 {
			first := uint64(bits.TrailingZeros64(have))
			count := uint64(bits.TrailingZeros64(^(have >> first)))
			if open >= 0 && taken[open].end() == base+first {
				taken[open].Count += pg.BlockNumber(count)
			} else {
				taken = append(taken, BlockRun{pg.BlockNumber(base + first), pg.BlockNumber(count)})
				open = len(taken) - 1
			}
			if first+count >= 64 {
				break
			}
			have &= ^uint64(0) << (first + count)
		}
		at = next
	}
	return taken
}

// last gives the number behind the highest set bit, 0 when none is.
func (b bitmap) last() pg.BlockNumber {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != 0 {
			return pg.BlockNumber(i*64 + bits.Len64(b[i]))
		}
	}
	return 0
}
