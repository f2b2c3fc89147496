package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// warm lets another process touch all memory: a program's largest size begins with that of the one that starts it.
func warm(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	_, err = finish(exec.CommandContext(ctx, self, "touch"), runCommand)
	return err
}

// touch uses all memory that is available once. A virtual machine may get its memory from the host only when a page
// is used for the first time, which costs ten times as much as writing to it: whichever side is first to fill the
// page cache would pay for all later ones.
func touch() error {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(data), "MemAvailable:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return fmt.Errorf("/proc/meminfo has no MemAvailable")
	}
	kilobytes, err := strconv.Atoi(fields[0])
	if err != nil {
		return fmt.Errorf("/proc/meminfo: %w", err)
	}
	size := kilobytes << 10 / 10 * 9
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("memory of %d bytes: %w", size, err)
	}
	_ = unix.Madvise(m, unix.MADV_HUGEPAGE) // quicker, where there is such a thing
	for at := 0; at < size; at += os.Getpagesize() {
		m[at] = 1
	}
	return unix.Munmap(m)
}
