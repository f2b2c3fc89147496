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

// enveloper stores streams as objects of frames, which it compresses in parallel. Safe for concurrent use.
// Memory: for each stream that is being written at most 4 × (2 MiB of buffers + 2 MiB of compressor).
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
	return &envelopeSlot{z: z, raw: make([]byte, MaxFrame)}, err
}

// compress fills frame from raw.
func (s *envelopeSlot) compress() {
	if s.frame == nil {
		s.frame = make([]byte, frameHeaderSize, frameHeaderSize+s.n)
	}
	s.frame, s.codec = s.z.append(s.frame[:frameHeaderSize], s.raw[:s.n])
}

// put stores all of r as the object called name. When the name is taken the error is ErrExists. In both
// cases it tells what r held.
func (e *enveloper) put(ctx context.Context, st Store, name string, h objectHeader, r io.Reader) (Object, content, error) {
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

// copy writes all of r in frames: as many as there are workers are read, compressed side by side, and written in order.
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
		var g errgroup.Group
		used := 0
		for ; used < len(slots) && !ended; used++ {
			if slots[used] == nil {
				if slots[used], err = e.get(); err != nil {
					return c, err
				}
			}
			s := slots[used]
			if s.n, ended, err = fill(r, s.raw); err != nil {
				return c, errors.Join(err, g.Wait())
			}
			if s.n == 0 {
				break
			}
			_, _ = sum.Write(s.raw[:s.n]) // never fails
			c.Size += uint64(s.n)
			g.Go(func() error { s.compress(); return ctx.Err() })
		}
		if err := g.Wait(); err != nil {
			return c, err
		}
		for _, s := range slots[:used] {
			h := frameHeader{Kind: frameBytes, Codec: s.codec, Raw: uint32(s.n)}
			if err := fw.append(&h, s.frame); err != nil {
				return c, err
			}
		}
	}
	c.Sum = sum.Sum64()
	return c, nil
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

// envelopeReader gives the content that an object's frames hold. Reading fails, at the end at the
// latest, if that is not what was stored.
type envelopeReader struct {
	o     ObjectReader
	fr    *frameReader
	d     *decompressor
	raw   []byte // of the current frame
	rest  []byte // of raw, not yet read
	sum   *xxhash.Digest
	total content
	err   error // sticky
}

// openEnvelope opens the object called name and verifies that it is the one of this header.
func openEnvelope(ctx context.Context, st Store, d *decompressor, name string, want objectHeader) (*envelopeReader, error) {
	o, err := st.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	fr, err := newFrameReader(o, o.Size(), name)
	if err == nil {
		if err = fr.header.expect(want); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return &envelopeReader{o: o, fr: fr, d: d, sum: xxhash.New()}, nil
}

// Read gives content that was verified frame by frame.
func (r *envelopeReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.fill()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo spares io.Copy its buffer.
func (r *envelopeReader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		m, err := w.Write(r.rest)
		n += int64(m)
		r.rest = r.rest[m:]
		if err != nil {
			return n, err
		}
		if r.err != nil {
			if errors.Is(r.err, io.EOF) {
				return n, nil
			}
			return n, r.err
		}
		r.fill()
	}
}

// fill takes the next frame, or sets err.
func (r *envelopeReader) fill() {
	at := r.fr.off
	h, payload, err := r.fr.next()
	if errors.Is(err, io.EOF) {
		r.total.Sum = r.sum.Sum64()
		if r.err = io.EOF; r.total.Sum != r.fr.stored.Sum {
			r.err = fmt.Errorf("%s: %w: checksum of the content does not match", r.fr.name, ErrCorrupt)
		}
		return
	}
	if err != nil {
		r.err = err
		return
	}
	if h.Kind != frameBytes || h.Count != 0 || h.First != 0 {
		err = fmt.Errorf("%w: not a frame of bytes", ErrCorrupt)
	} else {
		r.raw, err = r.d.append(r.raw, payload, h.Codec, int(h.Raw))
	}
	if err != nil {
		r.err = fmt.Errorf("%s: offset %d: %w", r.fr.name, at, err)
		return
	}
	r.rest = r.raw
	_, _ = r.sum.Write(r.raw) // never fails
	r.total.Size += uint64(len(r.raw))
}

// Close closes the object.
func (r *envelopeReader) Close() error { return r.o.Close() }
