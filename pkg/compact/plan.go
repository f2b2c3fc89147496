package compact

import (
	"cmp"
	"context"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// copyMinimum is the uncompressed size from which a frame that is wholly current is copied as it is. Smaller
// ones, of which incremental backups have many, are put together: restoring them costs a read each.
const copyMinimum = 64 << 10

// copied says whether a piece goes over as it is stored: nothing of its frame is superseded.
func copied(p *repo.Piece, pieces int) bool {
	whole := len(p.Frame.Runs) == 0 || p.Blocks() == p.Frame.Pages()
	return whole && (p.Frame.Raw >= copyMinimum || pieces == 1 || len(p.Frame.Runs) == 0)
}

// resolve gives the pieces of a file in the order of their first blocks, and its zero blocks in order.
func resolve(cf *repo.ChainFile, g pg.Geometry) ([]repo.Piece, []repo.BlockRun, error) {
	pieces, zero, err := cf.Resolve(g)
	if err != nil {
		return nil, nil, err
	}
	if cf.Versions[0].Kind == repo.KindRelation {
		slices.SortFunc(pieces, func(a, b repo.Piece) int { return cmp.Compare(a.Runs[0].First, b.Runs[0].First) })
	}
	slices.SortFunc(zero, func(a, b repo.BlockRun) int { return cmp.Compare(a.First, b.First) })
	joined := zero[:0]
	for _, z := range zero {
		joined = appendRun(joined, z)
	}
	return pieces, joined, nil
}

// appendRun appends a run, as part of the last one where that ends.
func appendRun(runs []repo.BlockRun, r repo.BlockRun) []repo.BlockRun {
	if n := len(runs); n > 0 && runs[n-1].First+runs[n-1].Count == r.First {
		runs[n-1].Count += r.Count
		return runs
	}
	return append(runs, r)
}

// plan counts what there is to do, and so proves that the chain has every block before anything is written.
func (r *run) plan(ctx context.Context) error {
	g, p := r.m.Geometry, &r.result.Plan
	for cf, err := range r.chain.Files(ctx) {
		if err != nil {
			return err
		}
		pieces, _, err := resolve(cf, g)
		if err != nil {
			return err
		}
		if len(pieces) > 0 {
			p.FilesTotal++
		}
		for i := range pieces {
			f := &pieces[i].Frame
			p.BytesToRead += int64(f.Stored)
			if copied(&pieces[i], len(pieces)) {
				p.FramesCopied++
				p.BytesToCopy += int64(f.Stored)
				continue
			}
			p.FramesRead++
			p.BytesToEncode += int64(pieces[i].Blocks()) * int64(g.BlockSize)
		}
	}
	return nil
}
