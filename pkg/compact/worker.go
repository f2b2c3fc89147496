package compact

import (
	"context"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/repo"
)

// worker copies files into packs of its own.
type worker struct {
	*run
	out   *repo.PackWriter
	frame repo.StoredFrame
	batch batch
}

// file copies one file and gives its entry.
func (w *worker) file(ctx context.Context, cf *repo.ChainFile) (*repo.File, error) {
	f := *cf.Versions[0]
	f.Frames, f.Zero = nil, nil
	var err error
	switch f.Kind {
	case repo.KindDir, repo.KindLink:
		return &f, nil
	case repo.KindFile:
		err = w.bytes(ctx, cf, &f)
	case repo.KindRelation:
		err = w.blocks(ctx, cf, &f)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	f.Whole = true
	return &f, nil
}

// bytes copies a plain file.
func (w *worker) bytes(ctx context.Context, cf *repo.ChainFile, f *repo.File) error {
	pieces, _, err := cf.Resolve(w.m.Geometry)
	if err != nil {
		return err
	}
	sum := xxhash.New()
	for i := range pieces {
		if err := w.read(ctx, &pieces[i]); err != nil {
			return err
		}
		_, _ = sum.Write(w.frame.Raw) // never fails
		fr, err := w.out.CopyFrame(ctx, &w.frame, nil)
		if err != nil {
			return err
		}
		f.Frames = append(f.Frames, fr)
	}
	if sum.Sum64() != f.Sum {
		return fmt.Errorf("%w: content has checksum %016x, want %016x", repo.ErrCorrupt, sum.Sum64(), f.Sum)
	}
	return nil
}

// read reads the frame of a piece.
func (w *worker) read(ctx context.Context, p *repo.Piece) error {
	if err := w.chain.Backups[p.Depth].ReadStored(ctx, p.Frame, &w.frame); err != nil {
		return err
	}
	w.o.Progress.done.Add(int64(p.Frame.Stored))
	return nil
}

// blocks copies a file of pages.
func (w *worker) blocks(ctx context.Context, cf *repo.ChainFile, f *repo.File) error {
	pieces, zero, err := resolve(cf, w.m.Geometry)
	if err != nil {
		return err
	}
	hashes, err := cf.PageHashes(ctx, w.chain, w.m.Geometry)
	if err != nil {
		return err
	}
	f.Zero = zero
	w.batch.begin(int(w.m.Geometry.BlockSize))
	for i := range pieces {
		p := &pieces[i]
		if err := w.read(ctx, p); err != nil {
			return err
		}
		if err := p.VerifyPages(w.frame.Raw, w.m.Geometry, hashes); err != nil {
			return fmt.Errorf("backup %s: %w", w.chain.Backups[p.Depth].Manifest.ID, err)
		}
		if copied(p, len(pieces)) {
			err = w.copy(ctx, p, hashes, f)
		} else {
			err = w.collect(ctx, p, hashes, f)
		}
		if err != nil {
			return err
		}
	}
	return w.flush(ctx, f)
}

// copy takes a frame over as it is stored.
func (w *worker) copy(ctx context.Context, p *repo.Piece, hashes []uint64, f *repo.File) error {
	of := w.batch.hashes[:0]
	for _, r := range p.Frame.Runs {
		of = append(of, hashes[r.First:r.First+r.Count]...)
	}
	w.batch.hashes = of
	fr, err := w.out.CopyFrame(ctx, &w.frame, of)
	if err != nil {
		return err
	}
	fr.Runs = p.Frame.Runs
	f.Frames = append(f.Frames, fr)
	return nil
}

// collect puts the current pages of a frame with others.
func (w *worker) collect(ctx context.Context, p *repo.Piece, hashes []uint64, f *repo.File) error {
	for block, page := range p.Pages(w.frame.Raw, w.m.Geometry) {
		w.batch.add(block, page, hashes[block])
		if w.batch.full() {
			if err := w.flush(ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush writes the pages that were put together.
func (w *worker) flush(ctx context.Context, f *repo.File) error {
	if len(w.batch.pages) == 0 {
		return nil
	}
	raw, hashes, runs := w.batch.take()
	fr, err := w.out.WriteFrame(ctx, raw, hashes)
	if err != nil {
		return err
	}
	fr.Runs = runs
	f.Frames = append(f.Frames, fr)
	return nil
}
