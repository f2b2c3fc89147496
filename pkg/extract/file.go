package extract

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/internal/durable"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// controlPath is the file that lies in an object of its own.
const controlPath = "global/pg_control"

// File is one file that was written.
type File struct {
	Path      string
	Size      int64 // bytes
	BytesRead int64 // stored, of frames
	Backups   []string
}

// WriteFile writes the file at path of the newest backup as out, which must not exist. The commit point is the
// appearance of out, whole and durable.
func WriteFile(ctx context.Context, ch *repo.Chain, name, out string) (_ *File, err error) {
	if path.Clean(name) != name || repo.VerifyPath(name) != nil {
		return nil, fmt.Errorf("%s: not the path of a file in a data directory", name)
	}
	if name == controlPath {
		return writeControl(ctx, ch, out)
	}
	cf, err := find(ctx, ch, name)
	if err != nil {
		return nil, err
	}
	newest := cf.Versions[0]
	if newest.Kind != repo.KindFile && newest.Kind != repo.KindRelation {
		return nil, fmt.Errorf("%s: a directory or link, not a file", name)
	}
	w, err := durable.Create(out, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Abort()) }()
	f := &File{Path: name, Size: newest.Size}
	if err := w.Truncate(newest.Size); err != nil {
		return nil, err
	}
	if err := f.write(ctx, ch, cf, w); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, w.Commit()
}

// write writes all pieces. What none supplies is zeros.
func (f *File) write(ctx context.Context, ch *repo.Chain, cf *repo.ChainFile, w io.WriterAt) error {
	g := ch.Backups[0].Manifest.Geometry
	pieces, _, err := cf.Resolve(g)
	if err != nil {
		return err
	}
	relation := cf.Versions[0].Kind == repo.KindRelation
	var hashes []uint64
	if relation {
		if hashes, err = cf.PageHashes(ctx, ch, g); err != nil {
			return err
		}
	}
	sum := xxhash.New()
	var raw []byte
	for i := range pieces {
		p := &pieces[i]
		from := ch.Backups[p.Depth]
		if raw, err = ch.ReadPiece(ctx, p, raw); err != nil {
			return err
		}
		f.BytesRead += int64(p.Frame.Stored)
		f.Backups = append(f.Backups, from.Manifest.ID)
		if relation {
			err = writePages(w, p, raw, g, hashes)
		} else {
			_, _ = sum.Write(raw) // never fails
			_, err = w.WriteAt(raw, p.Offset)
		}
		if err != nil {
			return fmt.Errorf("backup %s: %w", from.Manifest.ID, err)
		}
	}
	slices.SortFunc(f.Backups, cmp.Compare[string])
	f.Backups = slices.Compact(f.Backups)
	if want := cf.Versions[0].Sum; !relation && sum.Sum64() != want {
		return fmt.Errorf("%w: content has checksum %016x, want %016x", repo.ErrCorrupt, sum.Sum64(), want)
	}
	return nil
}

// writePages writes what a piece of a relation supplies.
func writePages(w io.WriterAt, p *repo.Piece, raw []byte, g pg.Geometry, hashes []uint64) error {
	if err := p.VerifyPages(raw, g, hashes); err != nil {
		return err
	}
	for block, page := range p.Pages(raw, g) {
		if _, err := w.WriteAt(page, int64(block)*int64(g.BlockSize)); err != nil {
			return err
		}
	}
	return nil
}

// writeControl writes global/pg_control.
func writeControl(ctx context.Context, ch *repo.Chain, out string) (*File, error) {
	newest := ch.Backups[0]
	data, err := newest.Control(ctx)
	if err != nil {
		return nil, err
	}
	w, err := durable.Create(out, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	f := &File{Path: controlPath, Size: int64(len(data)), Backups: []string{newest.Manifest.ID}}
	return f, w.Commit()
}
