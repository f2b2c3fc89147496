package pagemap

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/pg"
)

func relFork(spc, db, rel int, fork pg.ForkNumber) pg.RelFork {
	return pg.RelFork{
		RelFileLocator: pg.RelFileLocator{Spc: pg.OID(spc), DB: pg.OID(db), Rel: pg.RelFileNumber(rel)},
		Fork:           fork,
	}
}

// step is one call to a map, so that the same ones can be made in another order.
type step func(*Map)

func drawFork(t *rapid.T) pg.RelFork {
	return relFork(
		rapid.SampledFrom([]int{1663, 1664, 0xFFFFFFFF}).Draw(t, "spc"),
		rapid.IntRange(0, 2).Draw(t, "db"),
		rapid.IntRange(16384, 16386).Draw(t, "rel"),
		pg.ForkNumber(rapid.IntRange(0, 3).Draw(t, "fork")))
}

func drawSteps(t *rapid.T) []step {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		rf, blk := drawFork(t), drawBlock(t)
		switch rapid.IntRange(0, 9).Draw(t, "step") {
		case 0:
			return func(m *Map) { m.AddDatabase(rf.Spc, rf.DB) }
		case 1, 2:
			return func(m *Map) { m.AddLimit(rf, blk) }
		}
		return func(m *Map) { m.AddBlock(rf, blk) }
	}), 0, 60).Draw(t, "steps")
}

func build(steps []step) *Map {
	m := New()
	for _, s := range steps {
		s(m)
	}
	return m
}

func encoded(t interface {
	Helper()
	Fatal(...any)
}, m *Map,
) []byte {
	t.Helper()
	b, err := m.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func merged(maps ...*Map) *Map {
	out := New()
	for _, m := range maps {
		out.Merge(m)
	}
	return out
}

// Changes may be recorded in any order, and maps of parts merged in any order and grouping, twice
// even: the bytes of the result are the same.
func TestMergeIsOrderFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := drawSteps(t)
		want := encoded(t, build(steps))
		same := func(what string, m *Map) {
			t.Helper()
			if !bytes.Equal(encoded(t, m), want) {
				t.Fatalf("%s gives another map", what)
			}
		}
		same("another order", build(rapid.Permutation(steps).Draw(t, "order")))
		i := rapid.IntRange(0, len(steps)).Draw(t, "i")
		j := rapid.IntRange(i, len(steps)).Draw(t, "j")
		a, b, c := build(steps[:i]), build(steps[i:j]), build(steps[j:])
		before := encoded(t, b)
		same("merging parts", merged(a, b, c))
		same("merging parts backwards", merged(c, b, a))
		same("grouping", merged(a, merged(b, c)))
		same("merging twice", merged(a, b, c, b, a))
		if !bytes.Equal(encoded(t, b), before) {
			t.Fatal("Merge has changed the map that it merged")
		}
	})
}

// Whatever was recorded, a block is changed exactly when its database is, it is not below
// the smallest limit, or it was referenced; Has, Runs and All agree on it.
func TestChangesEqualNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rf := relFork(1663, 1, 16384, pg.MainFork)
		m, naive := New(), map[pg.BlockNumber]bool{}
		limit := NoLimit
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			b := drawBlock(t)
			step := rapid.IntRange(0, 19).Draw(t, "step")
			if step <= 1 {
				m.AddLimit(rf, b)
				limit = min(limit, b)
			}
			if step == 1 {
				b -= min(b, 1) // the last block before the limit
			}
			if step >= 1 {
				m.AddBlock(rf, b)
				naive[b] = true
			}
		}
		if rapid.IntRange(0, 9).Draw(t, "database") == 0 {
			m.AddDatabase(rf.Spc, rf.DB)
			limit = 0
		}
		c := m.Changes(rf)
		if c.Limit != limit || c.Whole != (limit == 0) {
			t.Fatalf("limit %d, whole %v; want limit %d", c.Limit, c.Whole, limit)
		}
		if n := len(naive); (c.Blocks == nil) != (n == 0) || c.Blocks.Len() != n {
			t.Fatalf("%d blocks, want %d", c.Blocks.Len(), n)
		}
		from := drawBlock(t)
		if limit != NoLimit && rapid.Bool().Draw(t, "around the limit") {
			from = limit - min(limit, 1000)
		}
		to := min(from, pg.InvalidBlock-2000) + pg.BlockNumber(rapid.IntRange(0, 2000).Draw(t, "length"))
		all := map[pg.BlockNumber]bool{}
		for b := from; b < to; b++ {
			if want := b >= limit || naive[b]; want != c.Has(b) {
				t.Fatalf("Has(%d) is %v", b, c.Has(b))
			} else if want {
				all[b] = true
			}
		}
		if diff := cmp.Diff(naiveRuns(all, from, to), collect(c.Runs(from, to)), spans); diff != "" {
			t.Fatalf("Runs(%d, %d): %s", from, to, diff)
		}
		for key, got := range m.All() {
			if key != rf || got.Limit != c.Limit || got.Whole != c.Whole || got.Blocks != c.Blocks {
				t.Fatalf("All yields %v %v, want %v %v", key, got, rf, c)
			}
		}
	})
}

// The zero Changes, and those of a fork that the map does not know, say that nothing changed.
func TestNothingChanged(t *testing.T) {
	unknown := New().Changes(relFork(1, 2, 3, pg.MainFork))
	if unknown.Limit != NoLimit {
		t.Errorf("limit %d of a fork without changes", unknown.Limit)
	}
	for _, c := range []Changes{{}, unknown} {
		if c.Whole || c.Has(0) || c.Has(pg.MaxBlock) || len(collect(c.Runs(0, 1000))) > 0 {
			t.Errorf("%+v changes blocks", c)
		}
	}
}

// A fork that was created, dropped or emptied, and every fork of a database that was, comes whole from today's file.
func TestWhole(t *testing.T) {
	m := New()
	created, other := relFork(1663, 5, 16384, pg.MainFork), relFork(1663, 6, 16384, pg.MainFork)
	elsewhere := relFork(16500, 6, 16384, pg.MainFork)
	m.AddLimit(created, 0)
	m.AddBlock(created, 9)
	m.AddDatabase(1663, 6)
	m.AddBlock(elsewhere, 1)
	for _, rf := range []pg.RelFork{created, other} {
		c := m.Changes(rf)
		if !c.Whole || c.Limit != 0 || !c.Has(0) {
			t.Errorf("%s: %+v, want whole", rf, c)
		}
		if diff := cmp.Diff([]span{{3, 4}}, collect(c.Runs(3, 7)), spans); diff != "" {
			t.Errorf("%s: %s", rf, diff)
		}
	}
	if m.Changes(elsewhere).Whole {
		t.Error("the database's part in another tablespace is whole too")
	}
}

// Truncation and growth in separate ranges lose no block, in whichever order they are merged.
func TestTruncateThenExtend(t *testing.T) {
	rf := relFork(1663, 5, 16384, pg.MainFork)
	truncated, extended := New(), New()
	truncated.AddLimit(rf, 40)
	extended.AddBlock(rf, 45)
	extended.AddBlock(rf, 12)
	for _, m := range []*Map{merged(truncated, extended), merged(extended, truncated)} {
		if diff := cmp.Diff([]span{{12, 1}, {40, 60}}, collect(m.Changes(rf).Runs(0, 100)), spans); diff != "" {
			t.Error(diff)
		}
	}
}
