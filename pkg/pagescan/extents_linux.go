package pagescan

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// nextData finds the next stretch of data in [from, to) of f, small holes included:
// from <= data <= hole <= to, and data == to when there is none.
func nextData(f *os.File, from, to int64) (data, hole int64, err error) {
	data, err = seek(f, from, to, unix.SEEK_DATA)
	if err != nil || data >= to {
		return to, to, err
	}
	for hole = data; hole < to; {
		if hole, err = seek(f, hole, to, unix.SEEK_HOLE); err != nil {
			return 0, 0, err
		}
		next, err := seek(f, hole, to, unix.SEEK_DATA)
		if err != nil {
			return 0, 0, err
		}
		if next-hole >= smallHole || next >= to {
			break
		}
		hole = next
	}
	return data, hole, nil
}

// seek gives the next offset of that kind, at most to.
func seek(f *os.File, off, to int64, whence int) (int64, error) {
	if off >= to {
		return to, nil
	}
	got, err := unix.Seek(int(f.Fd()), off, whence)
	switch {
	case errors.Is(err, unix.ENXIO): // no more of that kind, or truncated
		return to, nil
	case errors.Is(err, unix.EINVAL): // the file system knows no holes
		if whence == unix.SEEK_DATA {
			return off, nil
		}
		return to, nil
	case err != nil:
		return 0, &os.PathError{Op: "seek", Path: f.Name(), Err: err}
	}
	return min(got, to), nil
}

// sparse says whether a file may have holes: it occupies less than its size.
func sparse(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return !ok || sys.Blocks*512 < sys.Size
}
