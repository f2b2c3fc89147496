package pagescan

import (
	"os"

	"golang.org/x/sys/unix"
)

// A mapping is a piece of a file in memory.
type mapping struct {
	data  []byte // the piece
	pages []byte // the whole pages of memory that hold it
}

// mapFile maps size bytes of f at off. Not all files can be mapped.
func mapFile(f *os.File, off, size int64) (mapping, bool) {
	lead := off % int64(os.Getpagesize())
	m, err := unix.Mmap(int(f.Fd()), off-lead, int(lead+size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return mapping{}, false
	}
	// A page that was looked at through a sequential mapping does not count
	// as used (vma_has_recency): the scan must not make pages look hot.
	_ = unix.Madvise(m, unix.MADV_SEQUENTIAL)
	return mapping{data: m[lead:], pages: m}, true
}

func (m mapping) close() { _ = unix.Munmap(m.pages) }
