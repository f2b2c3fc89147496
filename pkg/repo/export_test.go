package repo

import (
	"context"
	"errors"
	"io"
)

// WrapDirError is how a store on dir classifies an error.
func WrapDirError(dir string, err error) error { return (&dirStore{root: dir}).wrap(err) }

// MaxOpenObjects is how many packs a reader keeps open.
const MaxOpenObjects = maxOpenObjects

// RewriteFiles replaces the list of a pack's files by one that says something else.
func (c *Cluster) RewriteFiles(ctx context.Context, id string, pack uint32, change func([]*File) []*File) error {
	name, want := c.filesOf(id, pack)
	o, err := c.st.Open(ctx, name)
	if err != nil {
		return err
	}
	ix, err := newIndexReader(o, c.d, name, want, c.Info.Geometry)
	if err != nil {
		return err
	}
	var files []*File
	for f, err := ix.next(); !errors.Is(err, io.EOF); f, err = ix.next() {
		if err != nil {
			return errors.Join(err, ix.close())
		}
		files = append(files, f)
	}
	if err := errors.Join(ix.close(), c.st.Delete(ctx, name)); err != nil {
		return err
	}
	fw, err := newFrameWriter(ctx, c.st, name, want)
	if err != nil {
		return err
	}
	w, err := newIndexWriter(fw, c.Info.Geometry, Compression{Codec: CodecZstd})
	if err != nil {
		return err
	}
	for _, f := range change(files) {
		if err := w.append(f); err != nil {
			return err
		}
	}
	_, err = w.commit(ctx)
	return err
}
