package restore

import (
	"errors"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// directMin is the size from which a relation file is written past the page cache. Below it the
// cache gathers what many small files leave to the disk.
const directMin = 1 << 20

// directChunk is how much is written at once past the page cache: the disk works while the next
// chunk is on its way, and one file does not keep the others waiting.
const directChunk = 4 << 20

// directAlign is what memory, places and lengths must be multiples of; no file system that is
// written to directly asks for more.
const directAlign = 4096

// outFile is a file that is being restored. Safe for concurrent use.
//
// A large relation is written with O_DIRECT where the file system is known to take that well: it is
// written once and not read again by the restore, so going through the page cache would only copy it,
// push out what is in there, and leave all of the writing for the end.
type outFile struct {
	*os.File
	direct atomic.Bool
}

// File systems whose direct writes neither lose what the mount promises (compression, checksums)
// nor are emulated.
const (
	magicExt = 0xEF53
	magicXFS = 0x58465342
)

// goDirect switches the file to direct writes if that is possible and worth it.
func (o *outFile) goDirect(size, blockSize int64) {
	if size < directMin || blockSize%directAlign != 0 {
		return
	}
	var st unix.Statfs_t
	if unix.Fstatfs(int(o.Fd()), &st) != nil || st.Type != magicExt && st.Type != magicXFS {
		return
	}
	o.direct.Store(o.setDirect(true) == nil)
}

func (o *outFile) setDirect(on bool) error {
	flags, err := unix.FcntlInt(o.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	flags &^= unix.O_DIRECT
	if on {
		flags |= unix.O_DIRECT
	}
	_, err = unix.FcntlInt(o.Fd(), unix.F_SETFL, flags)
	return err
}

// WriteAt writes all of b, in chunks where writes are direct. A device that refuses
// direct writes of pages gets ordinary ones.
func (o *outFile) WriteAt(b []byte, off int64) (int, error) {
	if !o.direct.Load() {
		return o.File.WriteAt(b, off)
	}
	done := 0
	for done < len(b) {
		n, err := o.File.WriteAt(b[done:min(len(b), done+directChunk)], off+int64(done))
		done += n
		if errors.Is(err, unix.EINVAL) {
			if err := o.setDirect(false); err != nil {
				return done, err
			}
			o.direct.Store(false)
			n, err = o.File.WriteAt(b[done:], off+int64(done))
			return done + n, err
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}
