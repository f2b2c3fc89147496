package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// badFrame is why a frame cannot be used, and from which of its pages on.
type badFrame struct {
	cause string
	block *pg.BlockNumber
}

// content reads everything that one backup stores. What is wrong with its frames goes to v.bad, the rest to b.
func (v *verifier) content(ctx context.Context, m *repo.Manifest, b *Backup) error {
	if m.Status != repo.StatusOK {
		b.add(Problem{In: m.ID, Cause: "manifest: " + strings.Join(m.Warnings, "; ")})
		return nil
	}
	r, err := v.c.OpenBackup(ctx, m)
	if err != nil {
		b.add(Problem{In: m.ID, Cause: err.Error()})
		return wrapID(m.ID, fatal(ctx, err))
	}
	err = v.objects(ctx, r, b)
	if err == nil {
		err = v.files(ctx, r, b)
	}
	if err == nil {
		err = v.control(ctx, r, b)
	}
	if err == nil {
		err = v.wal(ctx, r, b)
	}
	return wrapID(m.ID, errors.Join(err, r.Close()))
}

// objects compares the backup's objects with what the manifest says of them.
func (v *verifier) objects(ctx context.Context, r *repo.BackupReader, b *Backup) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(v.jobs)
	found := make([]error, len(r.Manifest.Objects))
	for i, o := range r.Manifest.Objects {
		g.Go(func() error {
			found[i] = r.VerifyObject(gctx, o)
			return fatal(gctx, found[i])
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, err := range found {
		if err != nil {
			b.add(Problem{In: r.Manifest.ID, Cause: err.Error()})
		}
	}
	return nil
}

// files reads the frames of all files, v.jobs files at a time.
func (v *verifier) files(ctx context.Context, r *repo.BackupReader, b *Backup) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(v.jobs)
	var broken error
	for f, err := range r.Files(gctx) {
		if err != nil {
			broken = err
			break
		}
		b.Files++
		if len(f.Frames) > 0 || f.Kind == repo.KindFile {
			g.Go(func() error { return v.file(gctx, r, f, b) })
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if broken != nil {
		b.add(Problem{In: r.Manifest.ID, Cause: broken.Error()})
		return fatal(ctx, broken)
	}
	return nil
}

// file reads one file's frames in order.
func (v *verifier) file(ctx context.Context, r *repo.BackupReader, f *repo.File, b *Backup) error {
	var raw []byte
	var hashes []uint64
	var size int64
	sum := xxhash.New()
	whole := true
	var stored int64
	for i := range f.Frames {
		fr := &f.Frames[i]
		var bad *badFrame
		var err error
		if raw, err = r.ReadFrame(ctx, *fr, raw); err != nil {
			if err := fatal(ctx, err); err != nil {
				return err
			}
			bad = &badFrame{cause: err.Error()}
		} else if f.Kind == repo.KindRelation && fr.HashIndex != repo.NoHashes {
			if hashes, bad, err = v.pages(ctx, r, fr, raw, hashes); err != nil {
				return err
			}
		}
		if bad != nil {
			whole = false
			v.mark(frameKey{r.Manifest.ID, fr.Pack, fr.Offset}, *bad)
		} else {
			_, _ = sum.Write(raw) // never fails
			size += int64(len(raw))
		}
		stored += int64(fr.Stored)
		v.progress.done.Add(int64(fr.Stored))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	b.Frames += int64(len(f.Frames))
	b.Bytes += stored
	if f.Kind == repo.KindFile && f.Whole && whole && (size != f.Size || sum.Sum64() != f.Sum) {
		b.add(Problem{Path: f.Path, In: r.Manifest.ID, Cause: fmt.Sprintf(
			"%d bytes with checksum %016x, want %d with %016x", size, sum.Sum64(), f.Size, f.Sum)})
	}
	return nil
}

// pages compares the pages of a frame with their hashes.
func (v *verifier) pages(
	ctx context.Context, r *repo.BackupReader, fr *repo.Frame, raw []byte, buf []uint64,
) ([]uint64, *badFrame, error) {
	size := int(r.Manifest.Geometry.BlockSize)
	hashes, err := r.PageHashes(ctx, *fr, buf)
	if err != nil {
		return buf, &badFrame{cause: err.Error()}, fatal(ctx, err)
	}
	if len(raw) != len(hashes)*size {
		return hashes, &badFrame{cause: fmt.Sprintf("%d bytes for %d pages", len(raw), len(hashes))}, nil
	}
	i := 0
	for _, run := range fr.Runs {
		for n := range run.Count {
			if got := repo.PageHash(pg.Page(raw[i*size : (i+1)*size])); got != hashes[i] {
				block := run.First + n
				return hashes, &badFrame{cause: fmt.Sprintf("page hash %016x, want %016x", got, hashes[i]), block: &block}, nil
			}
			i++
		}
	}
	return hashes, nil, nil
}

func (v *verifier) mark(key frameKey, bad badFrame) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.bad[key] = bad
}

// control reads global/pg_control.
func (v *verifier) control(ctx context.Context, r *repo.BackupReader, b *Backup) error {
	data, err := r.Control(ctx)
	if err == nil {
		var c pg.Control
		if c, err = pg.ParseControl(data); err == nil && c.SystemIdentifier != r.Manifest.SystemIdentifier {
			err = fmt.Errorf("it is of system identifier %d, want %d", c.SystemIdentifier, r.Manifest.SystemIdentifier)
		}
	}
	if err == nil {
		return nil
	}
	b.add(Problem{Path: "global/pg_control", In: r.Manifest.ID, Cause: err.Error()})
	return fatal(ctx, err)
}

// wal reads the WAL that a restore of the backup needs to become consistent.
func (v *verifier) wal(ctx context.Context, r *repo.BackupReader, b *Backup) error {
	archive := v.c.WAL(repo.Compression{})
	for _, name := range r.Manifest.WAL.Segments {
		open, in := archive.Open, ""
		if r.Manifest.WAL.Mode == repo.WALCarried {
			open, in = r.OpenWAL, r.Manifest.ID
		}
		f, err := open(ctx, name)
		if err == nil {
			_, err = io.Copy(io.Discard, f)
			err = errors.Join(err, f.Close())
		}
		if err == nil {
			continue
		}
		if errors.Is(err, repo.ErrNotFound) && in == "" {
			err = errors.New("it is not in the archive")
		}
		b.add(Problem{In: in, Cause: fmt.Sprintf("WAL segment %s: %v", name, err)})
		if err := fatal(ctx, err); err != nil {
			return err
		}
	}
	return nil
}
