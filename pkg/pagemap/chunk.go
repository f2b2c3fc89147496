package pagemap

import (
	"iter"
	"math/bits"
	"slices"
)

// run is the blocks first to last of a chunk, both included.
type run struct{ first, last uint16 }

// bitmap holds one bit for each block of a chunk, block i in bit i%64 of word i/64.
type bitmap [65536 / 64]uint64

// Limits between the two forms of a chunk. 2048 runs need as much memory as
// a bitmap, but adding at random to so many is slow. Between the limits a
// chunk stays as it is, so that it does not change back and forth.
const (
	maxRuns = 512 // with more, a list becomes a bitmap
	fewRuns = 128 // with as few, a bitmap becomes a list
)

// chunk holds 65536 neighbouring blocks, as a list of runs or as a bitmap.
type chunk struct {
	key   uint16
	runs  []run // sorted, a gap between each two; nil when bits is set
	bits  *bitmap
	nruns int // in bits
}

func (c *chunk) has(v uint16) bool {
	if c.bits != nil {
		return c.bits[v>>6]>>(v&63)&1 != 0
	}
	i := c.search(v)
	return i < len(c.runs) && c.runs[i].first <= v
}

// search gives the index of the first run that ends at or after v.
func (c *chunk) search(v uint16) int {
	lo, hi := 0, len(c.runs)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if c.runs[mid].last < v {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func (c *chunk) add(v uint16) {
	if c.bits != nil {
		c.setBit(v)
		return
	}
	// WAL mostly fills forks from the front to the back.
	if n := len(c.runs); n > 0 {
		if last := &c.runs[n-1]; v >= last.first {
			switch {
			case v <= last.last:
				return
			case v == last.last+1:
				last.last = v
				return
			}
		}
	}
	c.addRun(run{v, v})
}

// setBit adds one block to a bitmap.
func (c *chunk) setBit(v uint16) {
	word, bit := &c.bits[v>>6], uint64(1)<<(v&63)
	if *word&bit != 0 {
		return
	}
	*word |= bit
	// A block between two runs joins them, one beside a run makes it longer.
	c.nruns++
	if v > 0 && c.has(v-1) {
		c.nruns--
	}
	if v < 0xFFFF && c.has(v+1) {
		c.nruns--
	}
	c.shrink()
}

func (c *chunk) addRun(r run) {
	if c.bits != nil {
		c.bits.set(r)
		c.nruns = c.bits.countRuns()
		c.shrink()
		return
	}
	// Runs i to j-1 overlap r or touch it.
	i := c.search(r.first - min(r.first, 1))
	j := i
	for j < len(c.runs) && int(c.runs[j].first) <= int(r.last)+1 {
		j++
	}
	if i < j {
		r.first = min(r.first, c.runs[i].first)
		r.last = max(r.last, c.runs[j-1].last)
		c.runs[i] = r
		c.runs = slices.Delete(c.runs, i+1, j)
		return
	}
	c.runs = slices.Insert(c.runs, i, r)
	if len(c.runs) > maxRuns {
		c.toBitmap()
	}
}

// union adds all of o, without keeping a part of it.
func (c *chunk) union(o *chunk) {
	switch {
	case c.bits == nil && c.runs == nil: // new
		c.runs, c.nruns = slices.Clone(o.runs), o.nruns
		if o.bits != nil {
			b := *o.bits
			c.bits = &b
		}
	case c.bits == nil && o.bits == nil && len(o.runs) > 4:
		c.runs = mergeRuns(c.runs, o.runs)
		if len(c.runs) > maxRuns {
			c.toBitmap()
		}
	case o.bits == nil && len(o.runs) <= 4:
		for _, r := range o.runs {
			if r.first == r.last {
				c.add(r.first)
			} else {
				c.addRun(r)
			}
		}
	default:
		if c.bits == nil {
			c.toBitmap()
		}
		if o.bits != nil {
			for i, w := range o.bits {
				c.bits[i] |= w
			}
		}
		for _, r := range o.runs {
			c.bits.set(r)
		}
		c.nruns = c.bits.countRuns()
		c.shrink()
	}
}

// mergeRuns gives the union of two lists in a new one.
func mergeRuns(a, b []run) []run {
	out := make([]run, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		if len(a) == 0 || len(b) > 0 && b[0].first < a[0].first {
			a, b = b, a
		}
		r := a[0]
		a = a[1:]
		if n := len(out); n > 0 && int(r.first) <= int(out[n-1].last)+1 {
			out[n-1].last = max(out[n-1].last, r.last)
		} else {
			out = append(out, r)
		}
	}
	return out
}

func (c *chunk) toBitmap() {
	c.bits, c.nruns = new(bitmap), len(c.runs)
	for _, r := range c.runs {
		c.bits.set(r)
	}
	c.runs = nil
}

// shrink makes a bitmap with few runs a list.
func (c *chunk) shrink() {
	if c.nruns > fewRuns {
		return
	}
	runs := make([]run, 0, c.nruns)
	for r := range c.runsFrom(0) {
		runs = append(runs, r)
	}
	c.runs, c.bits, c.nruns = runs, nil, 0
}

// count counts the blocks.
func (c *chunk) count() int {
	n := 0
	if c.bits != nil {
		for _, w := range c.bits {
			n += bits.OnesCount64(w)
		}
	}
	for _, r := range c.runs {
		n += int(r.last) - int(r.first) + 1
	}
	return n
}

// countRuns counts the runs of the chunk in either form.
func (c *chunk) countRuns() int {
	if c.bits != nil {
		return c.nruns
	}
	return len(c.runs)
}

// runsFrom yields the maximal runs that end at or after v, in order.
func (c *chunk) runsFrom(v uint16) iter.Seq[run] {
	if c.bits != nil {
		return c.bits.runsFrom(v)
	}
	return slices.Values(c.runs[c.search(v):])
}
