package pagecache

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Missing appends to spans what of [off, off+length) of f is not in the page cache, in whole pages of
// memory, in order. To someone who may not write the file the kernel says that nothing is missing.
func Missing(f *os.File, off, length int64, spans []Span) []Span {
	page := int64(os.Getpagesize())
	start := off - off%page
	length = (off + length - start + page - 1) / page * page
	if length <= 0 {
		return spans
	}
	var c unix.Cachestat_t
	r := unix.CachestatRange{Off: uint64(start), Len: uint64(length)}
	if unix.Cachestat(uint(f.Fd()), &r, &c, 0) == nil { // Linux 6.5; a tenth of the cost of mincore
		switch {
		case c.Cache >= uint64(length/page):
			return spans
		case c.Cache == 0:
			return appendSpan(spans, Span{start, length})
		}
	}
	return resident(f, start, length, page, spans)
}

// resident asks for each page through a mapping, which is never touched.
func resident(f *os.File, start, length, page int64, spans []Span) []Span {
	m, err := unix.Mmap(int(f.Fd()), start, int(length), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return spans
	}
	in := make([]byte, length/page)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(unsafe.SliceData(m))),
		uintptr(length), uintptr(unsafe.Pointer(unsafe.SliceData(in))))
	runtime.KeepAlive(m)
	_ = unix.Munmap(m)
	if errno != 0 {
		return spans
	}
	for i, r := range in {
		if r&1 == 0 {
			spans = appendSpan(spans, Span{start + int64(i)*page, page})
		}
	}
	return spans
}

// readahead is how much is asked for at once: the kernel cuts a request to the device's read-ahead
// size (force_page_cache_ra), of which 128 KiB is the default.
const readahead = 128 << 10

// Fetch begins to read a span in the background.
func Fetch(f *os.File, s Span) {
	for off := s.Off; off < s.Off+s.Len; off += readahead {
		n := min(readahead, s.Off+s.Len-off)
		if unix.Fadvise(int(f.Fd()), off, n, unix.FADV_WILLNEED) != nil {
			return
		}
	}
}

// Drop takes spans out of the page cache, but for what was written meanwhile.
func Drop(f *os.File, spans []Span) {
	for _, s := range spans {
		_ = unix.Fadvise(int(f.Fd()), s.Off, s.Len, unix.FADV_DONTNEED)
	}
}

// Random tells the kernel not to read ahead by itself.
func Random(f *os.File) { _ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM) }
