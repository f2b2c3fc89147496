package pagescan

import (
	"runtime"
	"runtime/debug"
	"unsafe"
)

// guard runs look, which reads the mapped memory m in order, and tells how many bytes of
// it were there: all, or those before a fault.
//
// A mapped page that the file does not have any more, or that its device cannot
// read, raises SIGBUS. The runtime ends the process for that, unless
// the goroutine asks for a panic (runtime/debug.SetPanicOnFault), which is
// recovered here if it is such a fault, and inside m. Any other panic goes on.
func guard(m []byte, look func()) (n int) {
	base := uintptr(unsafe.Pointer(unsafe.SliceData(m)))
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		fault, is := r.(interface {
			runtime.Error
			Addr() uintptr
		})
		if !is || fault.Addr() < base || fault.Addr()-base >= uintptr(len(m)) {
			panic(r)
		}
		n = int(fault.Addr() - base)
	}()
	look()
	return len(m)
}
