package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Sum gives the size and the xxhash64 of the content of a WAL file as its object states them, or fails with
// ErrNotFound. Only the beginning and the end of the object are read and verified.
func (a *WALArchive) Sum(ctx context.Context, name string) (size int64, sum uint64, err error) {
	object, err := a.walObject(name)
	if err != nil {
		return 0, 0, err
	}
	o, err := a.c.st.Open(ctx, object)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	fr, err := newFrameReader(o, o.Size(), object, a.c.walHeader(kindWAL, name))
	if err != nil {
		return 0, 0, err
	}
	e, err := fr.readEnd(o)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: end frame: %w", object, err)
	}
	return int64(e.Raw), e.Sum, nil
}

// readEnd reads the end frame, without those before it, to which it may not fit. No other frame can
// be read afterwards.
func (fr *frameReader) readEnd(r io.ReaderAt) (end, error) {
	at := fr.size - frameHeaderSize - endSize - int64(fr.bind.overhead())
	if at < fr.off {
		return end{}, fmt.Errorf("%w: cut off", ErrCorrupt)
	}
	fr.off = at
	fr.r.Reset(io.NewSectionReader(r, at, fr.size-at))
	h, payload, err := fr.read()
	if err != nil {
		return end{}, err
	}
	if h.Kind != frameEnd || fr.off != fr.size {
		return end{}, fmt.Errorf("%w: not there", ErrCorrupt)
	}
	return parseEnd(payload)
}
