package repo

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

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
func openEnvelope(
	ctx context.Context, st Store, d *decompressor, name string, want objectHeader,
) (*envelopeReader, error) {
	o, err := st.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	fr, err := newFrameReader(o, o.Size(), name, want)
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
		r.raw, err = r.d.append(r.raw, payload, h.Codec, int(h.Raw), h.page())
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
