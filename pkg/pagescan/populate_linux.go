package pagescan

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// faultAround is how many bytes the kernel maps at one fault, when they are in the page cache
// (fault_around_bytes, mm/memory.c; only root can change it).
const faultAround = 64 << 10

// A populator maps many pages with one system call. The faults that it saves are a third of the cost
// of a scan where the page cache holds the file in small pieces, as it does what PostgreSQL wrote 8 kB
// at a time. Before Linux 6.13, and where it is forbidden, it does nothing: then the pages
// are mapped as they are looked at.
type populator struct {
	pidfd int // of this process; 0: not yet opened, -1: of no use
	vec   []unix.Iovec
}

// populate touches m once every faultAround bytes.
func (p *populator) populate(m []byte) {
	if p.pidfd == 0 {
		p.open()
	}
	if p.pidfd < 0 {
		return
	}
	p.vec = p.vec[:0]
	for ; len(m) > 0; m = m[min(faultAround, len(m)):] {
		p.vec = append(p.vec, unix.Iovec{Base: unsafe.SliceData(m)})
		p.vec[len(p.vec)-1].SetLen(min(os.Getpagesize(), len(m)))
	}
	_, _, errno := unix.Syscall6(unix.SYS_PROCESS_MADVISE, uintptr(p.pidfd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p.vec))), uintptr(len(p.vec)), unix.MADV_POPULATE_READ, 0, 0)
	if errno != 0 && errno != unix.EFAULT { // EFAULT: truncated meanwhile
		p.close()
	}
}

func (p *populator) open() {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		fd = -1
	}
	p.pidfd = fd
}

// close ends the use of p.
func (p *populator) close() {
	if p.pidfd > 0 {
		_ = unix.Close(p.pidfd)
	}
	p.pidfd = -1
}
