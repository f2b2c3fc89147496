package restore

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// statBlock is the unit of st_blocks, whatever the file system's is.
const statBlock = 512

// allocated gives the bytes that the file at a path of the target holds on its disk, which an
// in-place restore writes over: it needs no more room for them. Nothing is counted for what it
// will remove and make anew, or that lies on another file system than it will.
func (e *existing) allocated(p string) (bytes int64, there bool) {
	dir, key := e.dir, linkAbove(p)
	if oid, ok := linkOID(key); ok && e.spaces[oid] != "" {
		dir, p = e.spaces[oid], strings.TrimPrefix(p, key+"/")
	}
	st, err := os.Lstat(filepath.Join(dir, p))
	if err != nil || asFound(st) == nil {
		return 0, false // no credit is always safe
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || sys.Dev != e.device(dir) {
		return 0, false
	}
	return sys.Blocks * statBlock, true
}

// device gives the file system that a directory of the target lies on; 0 is none.
func (e *existing) device(dir string) uint64 {
	dev, known := e.devices[dir]
	if !known {
		if st, err := os.Stat(dir); err == nil {
			dev = deviceOf(st)
		}
		e.devices[dir] = dev
	}
	return dev
}

func deviceOf(st fs.FileInfo) uint64 {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return sys.Dev
	}
	return 0
}

// credit adds to u what the target holds already of a file that needs so many bytes.
func (e *existing) credit(u *usage, p string, need int64) {
	if e == nil {
		return
	}
	if have, there := e.allocated(p); there {
		u.haveBytes += min(have, need)
		u.haveFiles++
	}
}

// stays says whether what lies below a path of the index stays in the directory where it is.
func (e *existing) stays(key string, l *layout) bool {
	if e == nil {
		return false
	}
	oid, ok := linkOID(key)
	return !ok || e.spaces[oid] == l.spaces[oid]
}
