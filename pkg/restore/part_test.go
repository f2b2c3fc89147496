package restore

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Every block is in the part where it lies, from the piece that supplies it, oldest pieces first,
// and a piece is at most once in a part.
func TestCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blocks := pg.BlockNumber(rapid.Uint32Range(0, 100).Draw(t, "blocks"))
		limit := pg.BlockNumber(rapid.Uint32Range(1, 40).Draw(t, "limit"))
		owner := make([]int, blocks) // piece of each block; -1: zero
		pieces := make([]repo.Piece, 4)
		for i := range pieces {
			pieces[i].Depth, pieces[i].Frame.Pack = i/2, uint32(i+1)
		}
		var zero []repo.BlockRun
		for b := range blocks {
			owner[b] = rapid.IntRange(-1, len(pieces)-1).Draw(t, "owner")
			runs := &zero
			if owner[b] >= 0 {
				runs = &pieces[owner[b]].Runs
			}
			if n := len(*runs); n > 0 && end((*runs)[n-1]) == uint64(b) {
				(*runs)[n-1].Count++
			} else {
				*runs = append(*runs, repo.BlockRun{First: b, Count: 1})
			}
		}
		at := pg.BlockNumber(0)
		for _, p := range cut(pieces, zero, blocks, limit) {
			if p.from != at || p.to-p.from > limit {
				t.Fatalf("part from %d to %d, expected from %d", p.from, p.to, at)
			}
			at = p.to
			verifyPart(t, &p, owner)
		}
		if at != blocks {
			t.Fatalf("parts end at %d of %d", at, blocks)
		}
	})
}

func verifyPart(t *rapid.T, p *part, owner []int) {
	have := map[pg.BlockNumber]int{}
	take := func(who int, runs []repo.BlockRun) {
		for _, r := range runs {
			for b := r.First; b < r.First+r.Count; b++ {
				if _, twice := have[b]; twice || b < p.from || b >= p.to || owner[b] != who {
					t.Fatalf("block %d from %d, which is %d's, in %d to %d", b, who, owner[b], p.from, p.to)
				}
				have[b] = who
			}
		}
	}
	seen := map[uint32]bool{}
	for i, piece := range p.pieces {
		if i > 0 && piece.Depth > p.pieces[i-1].Depth || seen[piece.Frame.Pack] || len(piece.Runs) == 0 {
			t.Fatalf("piece %d of %+v", i, p.pieces)
		}
		seen[piece.Frame.Pack] = true
		take(int(piece.Frame.Pack)-1, piece.Runs)
	}
	data := pg.BlockNumber(0)
	for r := range p.data() {
		data += r.Count
		for b := r.First; b < r.First+r.Count; b++ {
			if owner[b] < 0 {
				t.Fatalf("block %d is zero and data", b)
			}
		}
	}
	take(-1, p.zero)
	if len(have) != int(p.to-p.from) || data != p.blocks() {
		t.Fatalf("%d blocks of %d, %d with data", len(have), p.to-p.from, data)
	}
}
