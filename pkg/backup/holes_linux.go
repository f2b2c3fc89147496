package backup

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pgincr/pgincr/pkg/pg"
)

// nextData gives the first block of [from, end) that may hold data: what lies before is a hole. It moves the
// file's offset, which nobody uses (all reads say where).
func nextData(f *os.File, from, end pg.BlockNumber, blockSize uint32) (pg.BlockNumber, error) {
	size := int64(blockSize)
	off, err := f.Seek(int64(from)*size, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		// No data up to the end of the file, or the file ends before from. Its length tells.
		length, err := f.Seek(0, io.SeekEnd)
		if err != nil {
			return 0, err
		}
		return max(from, min(end, pg.BlockNumber(length/size))), nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return from, nil // the file system does not tell
	case err != nil:
		return 0, err
	}
	return min(end, pg.BlockNumber(off/size)), nil
}
