package pagemap

import (
	"iter"
	"math/bits"
)

// set adds the blocks of r.
func (b *bitmap) set(r run) {
	fw, lw := int(r.first>>6), int(r.last>>6)
	head := ^uint64(0) << (r.first & 63)
	tail := ^uint64(0) >> (63 - r.last&63)
	if fw == lw {
		b[fw] |= head & tail
		return
	}
	b[fw] |= head
	for i := fw + 1; i < lw; i++ {
		b[i] = ^uint64(0)
	}
	b[lw] |= tail
}

// countRuns counts the maximal runs: the set bits after a clear one.
func (b *bitmap) countRuns() int {
	n := 0
	before := uint64(0) // the highest bit of the word before
	for _, w := range b {
		n += bits.OnesCount64(w &^ (w<<1 | before))
		before = w >> 63
	}
	return n
}

// runsFrom yields the runs that end at or after v, in order; the first one
// from v on if it begins earlier.
func (b *bitmap) runsFrom(v uint16) iter.Seq[run] {
	return func(yield func(run) bool) {
		for at := int(v); ; {
			first := b.next(at, 0)
			if first > 0xFFFF {
				return
			}
			end := b.next(first, ^uint64(0))
			if !yield(run{uint16(first), uint16(end - 1)}) {
				return
			}
			at = end
		}
	}
}

// next gives the first block at or after at whose bit differs from those of
// skip (all 0 or all 1), 65536 if there is none.
func (b *bitmap) next(at int, skip uint64) int {
	if at > 0xFFFF {
		return 65536
	}
	i := at >> 6
	w := (b[i] ^ skip) &^ (1<<(at&63) - 1)
	for w == 0 {
		if i++; i == len(b) {
			return 65536
		}
		w = b[i] ^ skip
	}
	return i<<6 + bits.TrailingZeros64(w)
}
