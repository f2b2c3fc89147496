package repo

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
)

// maxHashRead bounds the page hashes that are read at a time: 512 KiB.
const maxHashRead = 64 << 10

// PageHashes gives the hash of every block that the newest version of a relation has, from
// wherever in the chain the block comes; those of zero pages are computed. None is unknown.
// No pack is read.
func (cf *ChainFile) PageHashes(ctx context.Context, ch *Chain, g pg.Geometry) ([]uint64, error) {
	if cf.Versions[0].Kind != KindRelation {
		return nil, fmt.Errorf("%s: not a relation", cf.Path)
	}
	pieces, zero, err := cf.Resolve(g)
	if err != nil {
		return nil, err
	}
	out := make([]uint64, cf.Versions[0].Blocks(g))
	zeroHash := PageHash(make(pg.Page, g.BlockSize))
	for _, r := range zero {
		for b := range r.Count {
			out[r.First+b] = zeroHash
		}
	}
	slices.SortFunc(pieces, func(a, b Piece) int {
		return cmp.Or(cmp.Compare(a.Depth, b.Depth), cmp.Compare(a.Frame.Pack, b.Frame.Pack),
			cmp.Compare(a.Frame.HashIndex, b.Frame.HashIndex))
	})
	var buf []uint64
	for len(pieces) > 0 {
		n := contiguous(pieces)
		first := pieces[0].Frame.HashIndex
		last := &pieces[n-1].Frame
		count := last.HashIndex - first + uint32(last.Pages())
		if buf, err = ch.Backups[pieces[0].Depth].hashes(ctx, pieces[0].Frame.Pack, first, count, buf[:0]); err != nil {
			return nil, err
		}
		for i := range pieces[:n] {
			if err := placeHashes(out, &pieces[i], buf[pieces[i].Frame.HashIndex-first:]); err != nil {
				return nil, fmt.Errorf("%s: %w", cf.Path, err)
			}
		}
		pieces = pieces[n:]
	}
	return out, nil
}

// contiguous says how many of the pieces, which are in the order of their hashes, one read
// serves: those of one pack between which less lies than a frame of hashes.
func contiguous(pieces []Piece) int {
	first := &pieces[0]
	n := 1
	for ; n < len(pieces); n++ {
		prev, p := &pieces[n-1].Frame, &pieces[n]
		gap := uint64(p.Frame.HashIndex) - uint64(prev.HashIndex) - uint64(prev.Pages())
		if p.Depth != first.Depth || p.Frame.Pack != first.Frame.Pack || gap > hashBlock ||
			p.Frame.HashIndex-first.Frame.HashIndex > maxHashRead {
			break
		}
	}
	return n
}

// placeHashes puts the hashes of a piece's blocks in their places; hashes begins with that of
// the first page of the frame.
func placeHashes(out []uint64, p *Piece, hashes []uint64) error {
	for s, err := range p.Stretches() {
		if err != nil {
			return err
		}
		copy(out[s.First:s.end()], hashes[s.Page:])
	}
	return nil
}
