//go:build !linux

package pagescan

import (
	"errors"
	"io/fs"
	"os"
)

// Elsewhere than on Linux everything is read, and no file is trusted.

type mapping struct{ data, pages []byte }

func mapFile(*os.File, int64, int64) (mapping, bool) { return mapping{}, false }

func (mapping) close() {}

type populator struct{}

func (populator) populate([]byte) {}
func (populator) close()          {}

func nextData(_ *os.File, from, to int64) (data, hole int64, err error) { return from, to, nil }

func sparse(fs.FileInfo) bool { return false }

// Identify tells only the size.
func Identify(f *os.File) (Written, error) {
	st, err := f.Stat()
	if err != nil {
		return Written{}, err
	}
	return Written{Size: st.Size()}, nil
}

// IdentifyPath is Identify for a path, which must not be a symbolic link.
func IdentifyPath(path string) (Written, error) {
	st, err := os.Lstat(path)
	if err != nil {
		return Written{}, err
	}
	if st.Mode()&os.ModeSymlink != 0 {
		return Written{}, &os.PathError{Op: "identify", Path: path, Err: errors.New("a symbolic link")}
	}
	return Written{Size: st.Size()}, nil
}
