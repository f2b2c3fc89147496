package repo

import (
	"fmt"
	"iter"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Pages gives the blocks that a piece of a relation supplies, in the order of its runs, with their pages within raw,
// the frame's bytes; runs that the frame does not hold are left out.
func (p *Piece) Pages(raw []byte, g pg.Geometry) iter.Seq2[pg.BlockNumber, pg.Page] {
	return func(yield func(pg.BlockNumber, pg.Page) bool) {
		bs := int(g.BlockSize)
		runs, at := p.Runs, 0 // first page of a run in the frame
		for _, in := range p.Frame.Runs {
			for len(runs) > 0 && runs[0].First >= in.First && runs[0].end() <= in.end() {
				for b := range runs[0].Count {
					block := runs[0].First + b
					off := (at + int(block-in.First)) * bs
					if off+bs > len(raw) || !yield(block, pg.Page(raw[off:off+bs])) {
						return
					}
				}
				runs = runs[1:]
			}
			at += int(in.Count)
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
	want := 0
	for _, r := range p.Runs {
		want += int(r.Count)
	}
	if seen != want {
		return fmt.Errorf("%s: offset %d: %w: %d of %d blocks are in the frame",
			packObject(p.Frame.Pack), p.Frame.Offset, ErrCorrupt, seen, want)
	}
	return nil
}
