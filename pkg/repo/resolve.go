package repo

import (
	"fmt"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Piece is what one frame supplies to a file.
type Piece struct {
	Depth int // into Chain.Backups
	Frame Frame
	// Runs are the blocks of the frame that are the newest of the chain, a subset of
	// Frame.Runs. For a KindFile it is empty and Offset is where the frame's bytes go.
	Runs   []BlockRun
	Offset int64
}

// Blocks counts what a piece of a relation supplies.
func (p *Piece) Blocks() int { return countBlocks(p.Runs) }

// Resolve decides for every block which frame supplies it: each block of the file is in exactly
// one Piece or in zero. Pieces that supply nothing do not appear. Pure.
//
// The cost is linear in the frames and runs of the versions, plus a bit for each block.
func (cf *ChainFile) Resolve(g pg.Geometry) (pieces []Piece, zero []BlockRun, err error) {
	if len(cf.Versions) == 0 || len(cf.Versions) != len(cf.Depth) {
		return nil, nil, fmt.Errorf("%s: %d versions of %d backups", cf.Path, len(cf.Versions), len(cf.Depth))
	}
	if err := g.Verify(); err != nil {
		return nil, nil, err
	}
	switch cf.Versions[0].Kind {
	case KindDir, KindLink:
	case KindFile:
		pieces, err = cf.resolveBytes()
	case KindRelation:
		pieces, zero, err = cf.resolveBlocks(g)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w: %w", cf.Path, ErrCorrupt, err)
	}
	return pieces, zero, nil
}

// resolveBytes takes all frames of the newest version that is whole.
func (cf *ChainFile) resolveBytes() ([]Piece, error) {
	newest := cf.Versions[0]
	for i, f := range cf.Versions {
		if f.Kind != newest.Kind || f.Size != newest.Size || f.Sum != newest.Sum {
			return nil, fmt.Errorf("it should equal a version of kind %d, %d bytes and checksum %016x, and has %d, %d and %016x",
				f.Kind, f.Size, f.Sum, newest.Kind, newest.Size, newest.Sum)
		}
		if !f.Whole {
			continue
		}
		pieces := make([]Piece, len(f.Frames))
		var off int64
		for j, fr := range f.Frames {
			pieces[j] = Piece{Depth: cf.Depth[i], Frame: fr, Offset: off}
			off += int64(fr.Raw)
		}
		return pieces, nil
	}
	return nil, fmt.Errorf("no version is whole")
}

// resolveBlocks goes from the newest version to the oldest and lets each supply the blocks
// that none before had.
func (cf *ChainFile) resolveBlocks(g pg.Geometry) (pieces []Piece, zero []BlockRun, err error) {
	newest := cf.Versions[0]
	for _, f := range cf.Versions {
		if f.Kind != KindRelation {
			return nil, nil, fmt.Errorf("a version is of kind %d", f.Kind)
		}
		if err := f.verifyBlocks(g); err != nil {
			return nil, nil, err
		}
	}
	if newest.Whole {
		pieces = make([]Piece, len(newest.Frames))
		for i, fr := range newest.Frames {
			pieces[i] = Piece{Depth: cf.Depth[0], Frame: fr, Runs: fr.Runs}
		}
		return pieces, slices.Clone(newest.Zero), nil
	}
	r := resolver{n: newest.Blocks(g)}
	r.missing = newBits(r.n)
	r.left = r.missing.setRun(BlockRun{0, r.n})
	for i, f := range cf.Versions {
		if r.left == 0 {
			break
		}
		if last := r.missing.last(); last > f.Blocks(g) {
			return nil, nil, fmt.Errorf("block %d should come from a version of %d blocks", last-1, f.Blocks(g))
		}
		r.version(f, cf.Depth[i])
	}
	if r.left > 0 {
		return nil, nil, fmt.Errorf("no version supplies block %d and %d others", r.missing.last()-1, r.left-1)
	}
	return r.pieces, r.zero, nil
}

// resolver holds the blocks of a file that no version has supplied so far.
type resolver struct {
	n       pg.BlockNumber // length of the newest version
	missing bitmap
	left    pg.BlockNumber // bits in missing
	pieces  []Piece
	zero    []BlockRun
}

// version lets one version supply what it can.
func (r *resolver) version(f *File, depth int) {
	for _, fr := range f.Frames {
		var runs []BlockRun
		for _, run := range fr.Runs {
			runs = r.take(runs, run)
		}
		if len(runs) > 0 {
			r.pieces = append(r.pieces, Piece{Depth: depth, Frame: fr, Runs: runs})
		}
	}
	for _, run := range f.Zero {
		r.zero = r.take(r.zero, run)
	}
}

// take appends what run supplies. An older version may be longer than the newest.
func (r *resolver) take(taken []BlockRun, run BlockRun) []BlockRun {
	if run.First >= r.n {
		return taken
	}
	run.Count = min(run.Count, r.n-run.First)
	before := len(taken)
	taken = r.missing.takeRun(taken, run)
	for _, t := range taken[before:] {
		r.left -= t.Count
	}
	return taken
}
