package repo

import (
	"context"

	"github.com/pgincr/pgincr/internal/pace"
)

// Paced is a store that takes what is stored in it no faster than a limiter lets through.
type Paced struct {
	Store

	Limit *pace.Limiter
}

// Create begins an object.
func (s *Paced) Create(ctx context.Context, name string) (ObjectWriter, error) {
	w, err := s.Store.Create(ctx, name)
	if err != nil {
		return nil, err
	}
	return &pacedWriter{ObjectWriter: w, ctx: ctx, limit: s.Limit}, nil
}

// Seeks is that of the store.
func (s *Paced) Seeks() bool { return seeks(s.Store) }

// ListAfter lists as the store does.
func (s *Paced) ListAfter(ctx context.Context, prefix, after string) ([]ObjectInfo, error) {
	return listAfter(ctx, s.Store, prefix, after)
}

// pacedWriter has the context of Create, since io.Writer has none.
type pacedWriter struct {
	ObjectWriter

	ctx   context.Context
	limit *pace.Limiter
}

// pacedPiece is how much is let through at a time, so that what is slow is even, too.
const pacedPiece = 64 << 10

// Write waits until p may be stored.
func (w *pacedWriter) Write(p []byte) (n int, err error) {
	for n < len(p) {
		piece := p[n:min(len(p), n+pacedPiece)]
		if err := w.limit.Wait(w.ctx, len(piece)); err != nil {
			return n, err
		}
		k, err := w.ObjectWriter.Write(piece)
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
