package repo

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pgincr/pgincr/internal/durable"
)

// dirObject reads the file of an object.
type dirObject struct {
	*os.File
	store *dirStore
	size  int64
}

// Size is that of the file when it was opened.
func (o *dirObject) Size() int64 { return o.size }

// ReadAt reads with the store's error classes.
func (o *dirObject) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.File.ReadAt(p, off)
	return n, o.store.wrap(err)
}

// dirWriter fills the file of an object under a temporary name.
type dirWriter struct {
	store *dirStore
	f     *durable.File
	buf   *bufio.Writer
	err   error // sticky
}

// Create begins an object's file in the directory where it will stay.
func (s *dirStore) Create(ctx context.Context, name string) (ObjectWriter, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, err
	}
	// Once more when another process pruned the directory that seemed to be there.
	for range 2 {
		if err = s.checkRoot(); err != nil {
			return nil, err
		}
		if err = s.mkdirs(ctx, filepath.Dir(path)); err != nil {
			break
		}
		var f *durable.File
		if f, err = durable.Create(path, fileMode); err == nil {
			if err = s.give(f.Give); err != nil {
				err = errors.Join(err, f.Abort())
				break
			}
			return &dirWriter{store: s, f: f, buf: bufio.NewWriterSize(f, 128<<10)}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		s.forget(filepath.Dir(path))
	}
	return nil, s.wrap(err)
}

// Write appends to the file.
func (w *dirWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.buf.Write(p)
	w.err = w.store.wrap(err)
	return n, w.err
}

// Commit makes the file durable and gives it its name.
func (w *dirWriter) Commit(ctx context.Context) error {
	err := w.err
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = w.buf.Flush()
	}
	if err != nil {
		return errors.Join(w.store.wrap(err), w.Abort())
	}
	w.err = fs.ErrClosed
	return w.store.wrap(w.f.Commit())
}

// Abort removes the file.
func (w *dirWriter) Abort() error {
	w.err = fs.ErrClosed
	return w.store.wrap(w.f.Abort())
}
