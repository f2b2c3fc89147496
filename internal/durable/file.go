package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// flushEvery is how many bytes are written before the kernel is told to start
// writing them out, so that the sync at the end finds little left to do.
const flushEvery = 8 << 20

// File is a file on its way to a name that it will be the first to have. It has
// no buffer of its own. Not safe for concurrent use.
type File struct {
	f       *os.File // holds the flock; nil after Commit or Abort
	path    string
	written int64
	flushed int64 // up to here write-out was started
}

// Create begins a file with exactly this mode. Nothing is to be seen under path before Commit.
func Create(path string, mode fs.FileMode) (*File, error) {
	for {
		f, err := createTemp(path, mode)
		if err != nil {
			return nil, err
		}
		live, err := lockTemp(f)
		if err != nil {
			return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
		if live {
			return &File{f: f, path: path}, nil
		}
		// RemoveDead of another process came between creation and lock.
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

// createTemp opens a new temporary file for path.
func createTemp(path string, mode fs.FileMode) (*os.File, error) {
	dir, base := filepath.Split(path)
	for {
		name := fmt.Sprintf("%s.%s.%016x.tmp", dir, base, rand.Uint64()) //nolint:gosec // only so that two names differ
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := f.Chmod(mode); err != nil {
			return nil, errors.Join(err, f.Close(), os.Remove(name))
		}
		return f, nil
	}
}

// Write appends to the file.
func (w *File) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.written += int64(n)
	if err == nil && w.written-w.flushed >= flushEvery {
		err = startWriteOut(w.f, w.flushed, w.written-w.flushed)
		w.flushed = w.written
	}
	return n, err
}

// WriteAt writes at an offset. Who uses it does not use Write.
func (w *File) WriteAt(p []byte, off int64) (int, error) { return w.f.WriteAt(p, off) }

// Truncate gives the file a length; what was not written is zeros.
func (w *File) Truncate(size int64) error { return w.f.Truncate(size) }

// Commit makes the content durable, gives the file its name and makes that
// durable too. The commit point is the naming. When the name is taken, the error is
// fs.ErrExist, the file that has it is as it was, and its name is durable.
func (w *File) Commit() error {
	f := w.f
	if f == nil {
		return fs.ErrClosed
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, w.Abort())
	}
	if err := renameNew(f.Name(), w.path); err != nil {
		err = errors.Join(err, w.Abort())
		if errors.Is(err, fs.ErrExist) {
			err = errors.Join(err, SyncDir(filepath.Dir(w.path)))
		}
		return err
	}
	w.f = nil
	return errors.Join(f.Close(), SyncDir(filepath.Dir(w.path)))
}

// Abort drops the file. After Commit or Abort it does nothing.
func (w *File) Abort() error {
	f := w.f
	if f == nil {
		return nil
	}
	w.f = nil
	err := os.Remove(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// IsTemp says whether name, without directory, is that of a temporary file of this package.
func IsTemp(name string) bool {
	return len(name) > len("..tmp") && strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp")
}

// RemoveDead removes the temporary file at path if the process that wrote it is
// certainly gone: its lock can be had. One that cannot be judged stays.
func RemoveDead(path string) (removed bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	held, err := tryLock(f, unix.LOCK_EX)
	if err != nil || !held {
		return false, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, nil
}
