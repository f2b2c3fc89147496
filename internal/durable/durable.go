package durable

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile writes a file through fn and gives it its name only when it is whole and
// durable. The commit point is the rename; after it the directory is synced.
func WriteFile(path string, mode fs.FileMode, fn func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	renamed := false
	defer func() {
		if err != nil && !renamed {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	w := bufio.NewWriterSize(f, 64<<10)
	if err = errors.Join(fn(w), w.Flush(), f.Chmod(mode), f.Sync()); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	renamed = true
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) (err error) {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// MkdirAll makes path and what is missing above it, with exactly this mode
// whatever the umask says, and syncs the directory above each one that it made.
// One that exists stays as it is.
func MkdirAll(path string, mode fs.FileMode) error {
	switch info, err := os.Stat(path); {
	case err == nil && !info.IsDir():
		return &fs.PathError{Op: "mkdir", Path: path, Err: errNotDir}
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	above := filepath.Dir(path)
	if above == path {
		return &fs.PathError{Op: "mkdir", Path: path, Err: fs.ErrNotExist}
	}
	if err := MkdirAll(above, mode); err != nil {
		return err
	}
	return Mkdir(path, mode)
}

// Mkdir makes one directory, with exactly this mode whatever the umask says,
// and syncs the directory above it, also when path exists: whoever made it may
// not have come to that yet.
func Mkdir(path string, mode fs.FileMode) error {
	err := os.Mkdir(path, mode)
	if err == nil {
		err = os.Chmod(path, mode)
	} else if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}
