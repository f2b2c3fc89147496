package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"
)

// content is what identical content has in common.
type content struct {
	Size uint64
	Sum  uint64 // xxhash64
}

// enveloper stores streams as objects of frames, which it compresses in parallel. Safe for
// concurrent use. Memory: for each stream that is being written at most 4 × (2 MiB of
// buffers + 2 MiB of compressor).
type enveloper struct {
	z    Compression
	free sync.Pool // of *envelopeSlot
}

// envelopeSlot is what one worker needs for one frame.
type envelopeSlot struct {
	z     *compressor
	raw   []byte // MaxFrame
	n     int    // bytes of raw in use
	frame []byte // header room and payload
	codec Codec
}

func (e *enveloper) get() (*envelopeSlot, error) {
	if s, ok := e.free.Get().(*envelopeSlot); ok {
		return s, nil
	}
	z, err := newCompressor(e.z)
	return &envelopeSlot{z: z, raw: make([]byte, MaxFrame), frame: make([]byte, frameHeaderSize)}, err
}

// compress fills frame from raw.
func (s *envelopeSlot) compress() {
	s.frame, s.codec = s.z.append(s.frame[:frameHeaderSize], s.raw[:s.n])
}

// put stores all of r as the object called name. When the name is taken the error is
// ErrExists. In both cases it tells what r held.
func (e *enveloper) put(
	ctx context.Context, st Store, name string, h objectHeader, r io.Reader,
) (Object, content, error) {
	fw, err := newFrameWriter(ctx, st, name, h)
	if err != nil {
		return Object{}, content{}, err
	}
	c, err := e.copy(ctx, fw, r)
	if err != nil {
		return Object{}, c, errors.Join(fmt.Errorf("%s: %w", name, err), fw.abort())
	}
	o, err := fw.commit(ctx, c.Sum)
	return o, c, err
}

// copy writes all of r in frames: as many as there are workers are read, compressed side by
// side, and written in order.
func (e *enveloper) copy(ctx context.Context, fw *frameWriter, r io.Reader) (c content, err error) {
	slots := make([]*envelopeSlot, min(4, runtime.GOMAXPROCS(0)))
	defer func() {
		for _, s := range slots {
			if s != nil {
				e.free.Put(s)
			}
		}
	}()
	sum := xxhash.New()
	for ended := false; !ended; {
		var used int
		if used, ended, err = e.batch(ctx, r, slots); err != nil {
			return c, err
		}
		for _, s := range slots[:used] {
			_, _ = sum.Write(s.raw[:s.n]) // never fails
			c.Size += uint64(s.n)
			h := frameHeader{Kind: frameBytes, Codec: s.codec, Raw: uint32(s.n)}
			if err := fw.append(&h, s.frame); err != nil {
				return c, err
			}
		}
	}
	c.Sum = sum.Sum64()
	return c, nil
}

// batch fills as many slots as r has content for and compresses them.
func (e *enveloper) batch(ctx context.Context, r io.Reader, slots []*envelopeSlot) (used int, ended bool, err error) {
	var g errgroup.Group
	for used < len(slots) && !ended && err == nil {
		if slots[used] == nil {
			if slots[used], err = e.get(); err != nil {
				break
			}
		}
		s := slots[used]
		if s.n, ended, err = fill(r, s.raw); err == nil && s.n > 0 {
			used++
			g.Go(func() error {
				s.compress()
				return ctx.Err()
			})
		}
	}
	return used, ended, errors.Join(err, g.Wait())
}

// fill reads until b is full or r is at its end. Unlike io.ReadFull it tells the end of r
// from an io.ErrUnexpectedEOF that r itself gives.
func fill(r io.Reader, b []byte) (n int, ended bool, err error) {
	for n < len(b) {
		m, err := r.Read(b[n:])
		n += m
		if errors.Is(err, io.EOF) {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}
