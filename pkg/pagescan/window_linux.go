package pagescan

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/pgincr/pgincr/pkg/pg"
)

// readaheadSize is how much readahead(2) is asked for at once. The kernel cuts
// a request to the device's read-ahead size (force_page_cache_ra), of which 128 KiB is the default.
const readaheadSize = 128 << 10

// A window is a piece of a file that is mapped while it is looked at.
type window struct {
	f        *os.File
	from, to pg.BlockNumber
	data     []byte // the blocks; nil when they cannot be mapped

	mapped []byte // data, from the start of its first page of memory
	offset int64  // of mapped in the file
	cold   []span // what was not in the page cache when the window was opened
}

// A span is the bytes [off, off+len) of a file.
type span struct{ off, len int64 }

// open maps size bytes at off and starts to read what is not in the page cache.
// Every failure only costs speed: without a mapping the blocks are read, without knowledge
// of the page cache it is left as it becomes.
func (w *window) open(off, size int64) {
	w.offset = off - off%int64(os.Getpagesize())
	length := off - w.offset + size
	m, err := unix.Mmap(int(w.f.Fd()), w.offset, int(length), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return
	}
	w.mapped, w.data = m, m[off-w.offset:]
	// A page that was looked at through a sequential mapping does not count
	// as used (vma_has_recency): the scan must not make pages look hot.
	_ = unix.Madvise(m, unix.MADV_SEQUENTIAL)
	w.cold = w.missing(length)
	for _, c := range w.cold {
		w.readahead(c)
	}
}

// guard runs look on data; see the function guard.
func (w *window) guard(look func()) (int, bool) {
	return guard(uintptr(unsafe.Pointer(unsafe.SliceData(w.data))), len(w.data), look)
}

// close unmaps the window and drops from the page cache what was not there before, unless
// it has been written meanwhile. It tells how many bytes that were.
func (w *window) close() (cold int64) {
	if w.mapped == nil {
		return 0
	}
	_ = unix.Munmap(w.mapped) // first: mapped pages are not dropped
	w.mapped, w.data = nil, nil
	for _, c := range w.cold {
		cold += c.len
		_ = unix.Fadvise(int(w.f.Fd()), c.off, c.len, unix.FADV_DONTNEED)
	}
	return cold
}

// missing gives the spans of the window that are not in the page cache. To someone
// who may not write the file the kernel says that everything is.
func (w *window) missing(length int64) []span {
	page := int64(os.Getpagesize())
	pages := (length + page - 1) / page
	var c unix.Cachestat_t
	r := unix.CachestatRange{Off: uint64(w.offset), Len: uint64(length)}
	if unix.Cachestat(uint(w.f.Fd()), &r, &c, 0) == nil { // Linux 6.5; a tenth of the cost of mincore
		switch {
		case c.Cache >= uint64(pages):
			return nil
		case c.Cache == 0:
			return []span{{w.offset, length}}
		}
	}
	resident := make([]byte, pages)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(unsafe.SliceData(w.mapped))),
		uintptr(length), uintptr(unsafe.Pointer(unsafe.SliceData(resident))))
	runtime.KeepAlive(w.mapped)
	if errno != 0 {
		return nil
	}
	var cold []span
	for i, r := range resident {
		switch off := w.offset + int64(i)*page; {
		case r&1 != 0:
		case len(cold) > 0 && cold[len(cold)-1].off+cold[len(cold)-1].len == off:
			cold[len(cold)-1].len += page
		default:
			cold = append(cold, span{off, page})
		}
	}
	return cold
}

// readahead starts to read a span.
func (w *window) readahead(s span) {
	for off := s.off; off < s.off+s.len; off += readaheadSize {
		n := min(readaheadSize, s.off+s.len-off)
		_, _, errno := unix.Syscall(unix.SYS_READAHEAD, w.f.Fd(), uintptr(off), uintptr(n))
		if errno != 0 {
			return
		}
	}
}
