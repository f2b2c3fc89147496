package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/pgincr/pgincr/pkg/pg"
)

// BackupReader reads one backup's content. Safe for concurrent use.
//
// Memory: 1 MiB for each frame that is being read, and maxOpenObjects open objects.
type BackupReader struct {
	Manifest *Manifest

	c      *Cluster
	prefix string
	cache  *objectCache
	bufs   sync.Pool // of *[]byte, stored frames
}

// OpenBackup opens a backup; every object that the manifest lists is checked to be
// there with its size, and a missing one is named.
func (c *Cluster) OpenBackup(ctx context.Context, m *Manifest) (*BackupReader, error) {
	if m.Status != StatusOK {
		return nil, fmt.Errorf("backup %s: %w: %s", m.ID, ErrCorrupt, cause(m))
	}
	prefix := c.backupPrefix(m.ID)
	there, err := c.st.List(ctx, prefix, true)
	if err != nil {
		return nil, err
	}
	sizes := sizesOf(there)
	for _, o := range m.Objects {
		size, ok := sizes[o.Name]
		if !ok {
			return nil, fmt.Errorf("%s%s: %w: it is missing", prefix, o.Name, ErrCorrupt)
		}
		if size != o.Size {
			return nil, fmt.Errorf("%s%s: %w: %d bytes, want %d", prefix, o.Name, ErrCorrupt, size, o.Size)
		}
	}
	return newBackupReader(c, m), nil
}

// sizesOf gives the sizes of objects by their names.
func sizesOf(there []ObjectInfo) map[string]int64 {
	sizes := make(map[string]int64, len(there))
	for _, o := range there {
		sizes[o.Name] = o.Size
	}
	return sizes
}

// newBackupReader makes a reader without looking whether anything is there.
func newBackupReader(c *Cluster, m *Manifest) *BackupReader {
	prefix := c.backupPrefix(m.ID)
	return &BackupReader{
		Manifest: m, c: c, prefix: prefix,
		cache: newObjectCache(c.st, prefix, c.backupHeader(m.ID, 0, 0)),
	}
}

// Files yields the index in order, verifying its checksums on the way. Each
// File is new memory. Memory in use is bounded by the largest entry plus one index block.
func (r *BackupReader) Files(ctx context.Context) iter.Seq2[*File, error] {
	return func(yield func(*File, error) bool) {
		ix, err := r.openIndex(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		for {
			f, err := ix.next()
			if err == nil && ctx.Err() != nil {
				err = ctx.Err()
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			if f == nil || err != nil {
				if err = errors.Join(err, ix.close()); err != nil {
					yield(nil, err)
				}
				return
			}
			if !yield(f, nil) {
				_ = ix.close() // nobody is left to tell
				return
			}
		}
	}
}

// openIndex opens the index for one pass.
func (r *BackupReader) openIndex(ctx context.Context) (*indexReader, error) {
	name := r.prefix + indexObject
	o, err := r.c.st.Open(ctx, name)
	if err != nil {
		return nil, missing(name, err)
	}
	return newIndexReader(o, r.c.d, name, r.c.backupHeader(r.Manifest.ID, kindIndex, 0), r.Manifest.Geometry)
}

// missing makes ErrCorrupt of the absence of an object that a manifest promises.
func missing(name string, err error) error {
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%s: %w: it is missing", name, ErrCorrupt)
	}
	return err
}

// ReadFrame gives the uncompressed bytes of a frame, appended to dst[:0], after
// verifying everything that covers it. Errors are ErrCorrupt with pack and offset.
func (r *BackupReader) ReadFrame(ctx context.Context, f Frame, dst []byte) ([]byte, error) {
	return r.read(ctx, &f, dst, nil)
}

// read reads a frame, or of a frame in slices those that want asks for.
func (r *BackupReader) read(
	ctx context.Context, f *Frame, dst []byte, want func(from, to int) bool,
) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o, err := r.cache.get(ctx, objectKey{kindPack, f.Pack})
	if err != nil {
		return nil, err
	}
	defer o.done()
	dst, err = r.readFrame(o, f, dst, want)
	if err != nil {
		return nil, fmt.Errorf("%s%s: offset %d: %w", r.prefix, packObject(f.Pack), f.Offset, err)
	}
	return dst, nil
}

// readFrame reads the frame f of the pack o.
func (r *BackupReader) readFrame(
	o *cachedObject, f *Frame, dst []byte, want func(from, to int) bool,
) ([]byte, error) {
	if err := f.verifyFrame(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	bp, ok := r.bufs.Get().(*[]byte)
	if !ok {
		bp = new([]byte)
	}
	defer r.bufs.Put(bp)
	*bp = slices.Grow((*bp)[:0], int(f.Stored))[:f.Stored]
	payload, err := o.frame(f, *bp)
	if err != nil {
		return nil, err
	}
	page := f.header().page()
	if want == nil {
		return r.c.d.append(dst, payload, f.Codec, int(f.Raw), page)
	}
	return r.c.d.appendSome(dst, payload, f.Codec, int(f.Raw), page, want)
}

// PageHashes gives the hashes of a frame's pages, appended to dst[:0].
func (r *BackupReader) PageHashes(ctx context.Context, f Frame, dst []uint64) ([]uint64, error) {
	if f.HashIndex == NoHashes {
		return nil, fmt.Errorf("%s%s: offset %d: a frame without page hashes", r.prefix, packObject(f.Pack), f.Offset)
	}
	return r.hashes(ctx, f.Pack, f.HashIndex, uint32(f.Pages()), dst[:0])
}

// Control gives the stored global/pg_control.
func (r *BackupReader) Control(ctx context.Context) ([]byte, error) {
	name := r.prefix + controlObject
	e, err := openEnvelope(ctx, r.c.st, r.c.d, name, r.c.backupHeader(r.Manifest.ID, kindControl, 0))
	if err != nil {
		return nil, missing(name, err)
	}
	data := make([]byte, pg.ControlFileSize+1)
	n, ended, err := fill(e, data)
	if err == nil && (!ended || n != pg.ControlFileSize) {
		err = fmt.Errorf("%s: %w: want %d bytes", name, ErrCorrupt, pg.ControlFileSize)
	}
	if err = errors.Join(err, e.Close()); err != nil {
		return nil, err
	}
	return data[:n], nil
}

// OpenWAL reads a carried WAL file; the reader fails at the end if the content is not what
// was stored.
func (r *BackupReader) OpenWAL(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := verifyWALName(name); err != nil {
		return nil, err
	}
	if _, ok := r.Manifest.object(walPrefix + name); !ok {
		return nil, fmt.Errorf("backup %s does not carry %s: %w", r.Manifest.ID, name, ErrNotFound)
	}
	object := r.prefix + walPrefix + name
	e, err := openEnvelope(ctx, r.c.st, r.c.d, object, r.c.walHeader(kindWAL, name))
	if err != nil {
		return nil, missing(object, err)
	}
	return e, nil
}

// Close releases open objects.
func (r *BackupReader) Close() error { return r.cache.close() }
