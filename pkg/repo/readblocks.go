package repo

import (
	"context"
	"fmt"
)

// ReadPiece reads the frame of a piece as ReadFrame does, of a relation at least the blocks that the piece
// supplies: the other pages of the result, and a few bytes behind it as far as dst has room, may hold
// anything. Everything that covers the frame is verified, whatever is needed of it.
func (ch *Chain) ReadPiece(ctx context.Context, p *Piece, dst []byte) ([]byte, error) {
	r := ch.Backups[p.Depth]
	if len(p.Runs) == 0 {
		return r.ReadFrame(ctx, p.Frame, dst)
	}
	w, err := newWanted(p)
	if err != nil {
		return nil, fmt.Errorf("%s%s: offset %d: %w", r.prefix, packObject(p.Frame.Pack), p.Frame.Offset, err)
	}
	return r.read(ctx, &p.Frame, dst, w.any)
}

// wanted goes along a frame and says which stretches hold wanted pages.
type wanted struct{ spans []span }

// span is bytes [from, to) of a frame.
type span struct{ from, to int }

// newWanted finds the blocks of a piece in its frame.
func newWanted(p *Piece) (*wanted, error) {
	pages := p.Frame.Pages()
	if pages == 0 || int(p.Frame.Raw)%pages != 0 {
		return nil, fmt.Errorf("%w: frame of %d bytes for %d blocks", ErrCorrupt, p.Frame.Raw, pages)
	}
	size := int(p.Frame.Raw) / pages
	w := &wanted{spans: make([]span, 0, len(p.Runs))}
	for s, err := range p.Stretches() {
		if err != nil {
			return nil, err
		}
		w.spans = append(w.spans, span{s.Page * size, (s.Page + int(s.Count)) * size})
	}
	return w, nil
}

// any says whether bytes [from, to) of the frame hold something that is wanted. The stretches that
// are asked for follow on each other.
func (w *wanted) any(from, to int) bool {
	for len(w.spans) > 0 && w.spans[0].to <= from {
		w.spans = w.spans[1:]
	}
	return len(w.spans) > 0 && w.spans[0].from < to
}
