package pagemap

import (
	"iter"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/pg"
)

// span is the blocks [first, first+count).
type span struct{ first, count pg.BlockNumber }

// drawBlock prefers blocks around the borders of chunks, and few different ones.
func drawBlock(t *rapid.T) pg.BlockNumber {
	chunk := rapid.SampledFrom([]pg.BlockNumber{0, 1, 2, 7, 65535}).Draw(t, "chunk")
	low := rapid.OneOf(
		rapid.Uint16Range(0, 20), rapid.Uint16Range(65515, 65535), rapid.Uint16(),
	).Draw(t, "low")
	return chunk<<16 + pg.BlockNumber(low)
}

// drawSet gives a set and the same as a naive one.
func drawSet(t *rapid.T) (*Set, map[pg.BlockNumber]bool) {
	s, naive := new(Set), map[pg.BlockNumber]bool{}
	for range rapid.IntRange(0, 30).Draw(t, "operations") {
		from := drawBlock(t)
		switch rapid.IntRange(0, 19).Draw(t, "operation") {
		case 0: // a stretch, over a border of chunks now and then
			most := rapid.SampledFrom([]int{3, 100, 4000, 4000, 66000}).Draw(t, "most")
			to := min(from, pg.InvalidBlock-70000) + pg.BlockNumber(rapid.IntRange(0, most).Draw(t, "length"))
			s.AddRange(from, to)
			for b := from; b < to; b++ {
				naive[b] = true
			}
		case 1, 2, 3: // many runs, so that the chunk becomes a bitmap
			step := pg.BlockNumber(rapid.IntRange(1, 40).Draw(t, "step"))
			n := pg.BlockNumber(rapid.IntRange(0, 1500).Draw(t, "blocks"))
			from &^= 0xFFFF
			for b := from; b < from+n*step && b-from < 65536; b += step {
				s.Add(b)
				naive[b] = true
			}
		default:
			s.Add(from)
			naive[from] = true
		}
	}
	return s, naive
}

// naiveRuns gives the runs of [from, to) as Runs should.
func naiveRuns(naive map[pg.BlockNumber]bool, from, to pg.BlockNumber) []span {
	var out []span
	for _, b := range slices.Sorted(maps.Keys(naive)) {
		if b < from || b >= to {
			continue
		}
		if n := len(out); n > 0 && out[n-1].first+out[n-1].count == b {
			out[n-1].count++
		} else {
			out = append(out, span{b, 1})
		}
	}
	return out
}

// spans lets cmp look into spans, and takes no runs for an empty list of them.
var spans = cmp.Options{cmp.AllowUnexported(span{}), cmpopts.EquateEmpty()}

func collectSet(s *Set, from, to pg.BlockNumber) []span { return collect(s.Runs(from, to)) }

func collect(runs iter.Seq2[pg.BlockNumber, pg.BlockNumber]) []span {
	var out []span
	for first, count := range runs {
		out = append(out, span{first, count})
	}
	return out
}

// verifyForms fails when a chunk breaks the invariants of its form.
func verifyForms(t *rapid.T, s *Set) {
	t.Helper()
	for i := range s.chunks {
		c := &s.chunks[i]
		if i > 0 && s.chunks[i-1].key >= c.key {
			t.Fatalf("chunk %d out of order", c.key)
		}
		if c.bits != nil {
			if c.runs != nil || c.nruns <= fewRuns || c.nruns != c.bits.countRuns() {
				t.Fatalf("chunk %d: bitmap of %d runs says %d", c.key, c.bits.countRuns(), c.nruns)
			}
			continue
		}
		if len(c.runs) == 0 || len(c.runs) > maxRuns {
			t.Fatalf("chunk %d: list of %d runs", c.key, len(c.runs))
		}
		for j, r := range c.runs {
			if r.first > r.last || j > 0 && int(r.first) < int(c.runs[j-1].last)+2 {
				t.Fatalf("chunk %d: run %d of %v", c.key, j, c.runs)
			}
		}
	}
}

// A set holds what was added and nothing else, in either form of its chunks.
func TestSetEqualsNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, naive := drawSet(t)
		verifyForms(t, s)
		if got := s.Len(); got != len(naive) {
			t.Fatalf("Len %d, want %d", got, len(naive))
		}
		from, to := drawBlock(t), drawBlock(t)
		if diff := cmp.Diff(naiveRuns(naive, from, to), collectSet(s, from, to), spans); diff != "" {
			t.Fatalf("Runs(%d, %d): %s", from, to, diff)
		}
		for range 50 {
			if b := drawBlock(t); s.Has(b) != naive[b] {
				t.Fatalf("Has(%d) is %v", b, s.Has(b))
			}
		}
	})
}

// The union holds both sets; the one that was added stays as it was, even when
// the union is changed later.
func TestSetUnion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, naive := drawSet(t)
		b, naiveB := drawSet(t)
		a.Union(b)
		maps.Copy(naive, naiveB)
		verifyForms(t, a)
		if diff := cmp.Diff(naiveRuns(naive, 0, pg.InvalidBlock), collectSet(a, 0, pg.InvalidBlock), spans); diff != "" {
			t.Fatalf("union: %s", diff)
		}
		a.AddRange(0, 70000)
		for b := range pg.BlockNumber(1000) {
			a.Add(7<<16 + 3*b)
		}
		if diff := cmp.Diff(naiveRuns(naiveB, 0, pg.InvalidBlock), collectSet(b, 0, pg.InvalidBlock), spans); diff != "" {
			t.Fatalf("the set that was added has changed: %s", diff)
		}
	})
}

// The borders of a chunk have no neighbours beyond it.
func TestBitmapBorders(t *testing.T) {
	s := new(Set)
	for b := pg.BlockNumber(65536); b < 65536+4000; b += 2 {
		s.Add(b)
	}
	s.Add(2*65536 - 1) // the first block of the chunk is set, and is not its neighbour
	s.Add(65535)
	s.Add(2 * 65536)
	c := &s.chunks[1]
	if c.bits == nil || c.nruns != 2001 || c.nruns != c.bits.countRuns() {
		t.Errorf("%d runs, counted as %d", c.bits.countRuns(), c.nruns)
	}
	want := []span{{65535, 2}, {65538, 1}}
	if diff := cmp.Diff(want, collectSet(s, 0, 65540), spans); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]span{{2*65536 - 1, 2}}, collectSet(s, 100000, pg.InvalidBlock), spans); diff != "" {
		t.Error(diff)
	}
}
