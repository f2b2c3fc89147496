package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// What ioprio_set(2) takes: the class above 13 bits of a level within it, 7 being the least.
const (
	ioprioWhoProcess = 1
	ioprioNormal     = 0
	ioprioLow        = 2<<13 | 7 // best effort
	ioprioIdle       = 3 << 13
)

// setIOPriority gives all threads of this process a priority, which threads that begin later have from those that begin
// them.
func setIOPriority(class string) error {
	priority := map[string]uintptr{"normal": ioprioNormal, "low": ioprioLow, "idle": ioprioIdle}[class]
	done := map[string]bool{}
	for more := true; more; {
		more = false
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil || done[t.Name()] {
				continue
			}
			done[t.Name()], more = true, true
			_, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, uintptr(id), priority)
			if errno != 0 && errno != unix.ESRCH { // it has ended
				return fmt.Errorf("ioprio_set: %w", errno)
			}
		}
	}
	return nil
}
