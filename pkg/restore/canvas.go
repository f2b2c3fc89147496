package restore

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// canvas is memory in which one part of a relation is put together, with whatever is in it from
// the part before. It begins at a page of memory, as direct writes want it.
type canvas []byte

// canvases lends them: two for each worker, since one is written while the next is filled.
// They are made when they are needed first.
type canvases struct {
	size int
	free chan canvas // nil: one that was not made yet
}

func newCanvases(jobs, size int) *canvases {
	c := &canvases{size: size, free: make(chan canvas, 2*jobs)}
	for range cap(c.free) {
		c.free <- nil
	}
	return c
}

// get waits for one; it must be put back.
func (c *canvases) get(ctx context.Context) (canvas, error) {
	select {
	case v := <-c.free:
		if v != nil {
			return v, nil
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	v, err := unix.Mmap(-1, 0, c.size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		c.free <- nil
		return nil, fmt.Errorf("memory of %d bytes: %w", c.size, err)
	}
	_ = unix.Madvise(v, unix.MADV_HUGEPAGE) // fewer page faults; not everywhere to be had
	return v, nil
}

func (c *canvases) put(v canvas) { c.free <- v }

// close gives the memory back; nothing may be on loan.
func (c *canvases) close() error {
	var err error
	for range cap(c.free) {
		if v := <-c.free; v != nil {
			err = errors.Join(err, unix.Munmap(v))
		}
	}
	return err
}
