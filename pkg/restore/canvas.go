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

// canvases lends them, and makes one only when none is free: memory that was used before costs
// no page faults.
type canvases struct {
	size   int
	free   chan canvas
	unmade chan struct{} // one for each that may still be made
}

func newCanvases(most, size int) *canvases {
	c := &canvases{size: size, free: make(chan canvas, most), unmade: make(chan struct{}, most)}
	for range most {
		c.unmade <- struct{}{}
	}
	return c
}

// get waits for one; it must be put back.
func (c *canvases) get(ctx context.Context) (canvas, error) {
	select {
	case v := <-c.free:
		return v, nil
	default:
	}
	select {
	case v := <-c.free:
		return v, nil
	case <-c.unmade:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	v, err := unix.Mmap(-1, 0, c.size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		c.unmade <- struct{}{}
		return nil, fmt.Errorf("memory of %d bytes: %w", c.size, err)
	}
	_ = unix.Madvise(v, unix.MADV_HUGEPAGE) // fewer page faults; not everywhere to be had
	return v, nil
}

func (c *canvases) put(v canvas) { c.free <- v }

// close gives the memory back; nothing may be on loan.
func (c *canvases) close() error {
	close(c.free)
	var err error
	for v := range c.free {
		err = errors.Join(err, unix.Munmap(v))
	}
	return err
}
