package main

import (
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// All threads have the priority, those that begin later, too, and it can be taken back.
func TestIOPriority(t *testing.T) {
	t.Cleanup(func() { must(t, setIOPriority("normal")) })
	for class, want := range map[string]uintptr{"low": ioprioLow, "idle": ioprioIdle} {
		must(t, setIOPriority(class))
		const threads = 20
		var ready, done sync.WaitGroup
		ready.Add(threads)
		for range threads {
			done.Go(func() {
				runtime.LockOSThread() // each has one of its own, which ends with it
				ready.Done()
				ready.Wait()
				got, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioWhoProcess, 0, 0)
				if errno != 0 || got != want {
					t.Errorf("%s: %#x, want %#x (%v)", class, got, want, errno)
				}
			})
		}
		done.Wait()
	}
}
