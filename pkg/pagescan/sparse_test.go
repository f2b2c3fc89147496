package pagescan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// Holes are taken as zero pages and are not looked at: a sparse relation of
// 1 GB with one page at each end reads nothing but their surroundings.
func TestSparse(t *testing.T) {
	const n = 131072
	f := writeFile(t, unchanged(1))
	if _, err := f.WriteAt(page(header{lsn: since}, 1), (n-1)*blockSize); err != nil {
		t.Fatal(err)
	}
	var set pagemap.Set
	st, err := (Rules{BlockSize: blockSize, Since: since}).Scan(t.Context(), f, 0, n, Parent{Blocks: n}, &set)
	if err != nil {
		t.Fatal(err)
	}
	if st.Looked > 64 {
		t.Errorf("looked at %d pages", st.Looked)
	}
	if set.Has(0) || set.Len() != n-1 || st.New < n-66 {
		t.Errorf("took %d blocks, %d of them new, block 0: %v", set.Len(), st.New, set.Has(0))
	}

	// By hash, holes that the parent had as zeros too are not taken.
	hs := make([]uint64, n)
	for i := range hs {
		hs[i] = hashes(nil)[0]
	}
	hs[0] = hashes(unchanged(1))[0]
	hs[5000]++
	set = pagemap.Set{}
	rules := Rules{BlockSize: blockSize, HashAll: true}
	if _, err = rules.Scan(t.Context(), f, 0, n, Parent{Blocks: n, Hashes: hs}, &set); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]pg.BlockNumber{5000, n - 1}, blocks(&set, n)); diff != "" {
		t.Errorf("by hash (-want +got):\n%s", diff)
	}
}

// Extents cover the range once, in order, and what they call a hole is zero.
func TestExtents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(rt, "blocks")
		pages := make([]pg.Page, n)
		for i := 0; i < n; {
			run := rapid.IntRange(1, 40).Draw(rt, "run")
			data := rapid.Bool().Draw(rt, "data")
			for ; run > 0 && i < n; run-- {
				if data {
					pages[i] = unchanged(byte(i))
				}
				i++
			}
		}
		f := writeFile(t, pages...)
		from := pg.BlockNumber(rapid.IntRange(0, n).Draw(rt, "from"))
		to := pg.BlockNumber(rapid.IntRange(int(from), n).Draw(rt, "to"))
		at := from
		for e, err := range extents(f, from, to, blockSize) {
			if err != nil {
				rt.Fatal(err)
			}
			if e.From != at || e.To <= e.From {
				rt.Fatalf("extent %+v after block %d", e, at)
			}
			at = e.To
			for b := e.From; e.Hole && b < e.To; b++ {
				if pages[b] != nil {
					rt.Fatalf("block %d is not a hole", b)
				}
			}
		}
		if at != to {
			rt.Fatalf("extents end at %d, want %d", at, to)
		}
	})
}
