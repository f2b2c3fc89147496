package repo

import (
	"fmt"
	"iter"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Stretch is consecutive blocks of a file that are consecutive pages of a frame.
type Stretch struct {
	BlockRun

	Page int // place of the first of them in the frame, in pages
}

// Stretches gives the blocks that a piece of a relation supplies, in the order of its runs and in as few
// stretches as there can be. The last error is ErrCorrupt: its frame does not hold a run, or only out of
// order. The cost is linear in the runs of both.
func (p *Piece) Stretches() iter.Seq2[Stretch, error] {
	return func(yield func(Stretch, error) bool) {
		var cur Stretch
		held, base := 0, 0 // the frame's run that is looked at, and its first page
		for _, r := range p.Runs {
			for held < len(p.Frame.Runs) && !p.Frame.Runs[held].holds(r) {
				base += int(p.Frame.Runs[held].Count)
				held++
			}
			next := Stretch{BlockRun: r}
			if held < len(p.Frame.Runs) {
				next.Page = base + int(r.First-p.Frame.Runs[held].First)
			}
			behind := cur.Page + int(cur.Count)
			if held == len(p.Frame.Runs) || next.Page < behind {
				yield(Stretch{}, fmt.Errorf("%w: block %d is not in the frame, or out of order", ErrCorrupt, r.First))
				return
			}
			if cur.Count > 0 && next.Page == behind && cur.end() == uint64(next.First) {
				cur.Count += next.Count
				continue
			}
			if cur.Count > 0 && !yield(cur, nil) {
				return
			}
			cur = next
		}
		if cur.Count > 0 {
			yield(cur, nil)
		}
	}
}

// holds says whether run o lies in r.
func (r BlockRun) holds(o BlockRun) bool { return o.First >= r.First && o.end() <= r.end() }

// Pages gives the blocks that a piece of a relation supplies, in the order of its runs, with their pages within raw,
// the frame's bytes. It ends before the first block that the frame or raw does not hold.
func (p *Piece) Pages(raw []byte, g pg.Geometry) iter.Seq2[pg.BlockNumber, pg.Page] {
	return func(yield func(pg.BlockNumber, pg.Page) bool) {
		bs := int(g.BlockSize)
		for s, err := range p.Stretches() {
			if err != nil {
				return
			}
			for i := range int(s.Count) {
				off := (s.Page + i) * bs
				if off+bs > len(raw) || !yield(s.First+pg.BlockNumber(i), pg.Page(raw[off:off+bs])) {
					return
				}
			}
		}
	}
}

// VerifyPages compares the pages that a piece supplies with their page hashes, hashes[b] for block b of the file.
func (p *Piece) VerifyPages(raw []byte, g pg.Geometry, hashes []uint64) error {
	seen := 0
	for block, page := range p.Pages(raw, g) {
		if seen++; int(block) >= len(hashes) || PageHash(page) != hashes[block] {
			return fmt.Errorf("%s: offset %d: %w: block %d does not match its page hash",
				packObject(p.Frame.Pack), p.Frame.Offset, ErrCorrupt, block)
		}
	}
	if want := p.Blocks(); seen != want {
		return fmt.Errorf("%s: offset %d: %w: %d of %d blocks are in the frame",
			packObject(p.Frame.Pack), p.Frame.Offset, ErrCorrupt, seen, want)
	}
	return nil
}
