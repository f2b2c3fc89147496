package repo

import (
	"context"
	"fmt"
)

// ReadBlocks is ReadFrame for who needs only the blocks of runs, which lie in f.Runs and come in
// their order: the other pages of the result may hold anything. Everything
// that covers the frame is verified, whatever is needed of it.
func (r *BackupReader) ReadBlocks(ctx context.Context, f Frame, runs []BlockRun, dst []byte) ([]byte, error) {
	w, err := newWanted(&f, runs)
	if err != nil {
		return nil, fmt.Errorf("%s%s: offset %d: %w: %w", r.prefix, packObject(f.Pack), f.Offset, ErrCorrupt, err)
	}
	return r.read(ctx, &f, dst, w.any)
}

// wanted goes along a frame and says which stretches hold wanted pages.
type wanted struct{ spans []span }

// span is bytes [from, to) of a frame.
type span struct{ from, to int }

// newWanted finds the blocks of runs in a frame.
func newWanted(f *Frame, runs []BlockRun) (*wanted, error) {
	pages := f.Pages()
	if pages == 0 || int(f.Raw)%pages != 0 {
		return nil, fmt.Errorf("frame of %d bytes for %d blocks", f.Raw, pages)
	}
	size := int(f.Raw) / pages
	w := &wanted{spans: make([]span, 0, len(runs))}
	base := 0 // first byte of the held run
	for _, held := range f.Runs {
		for len(runs) > 0 && runs[0].First >= held.First && runs[0].end() <= held.end() {
			from := base + int(runs[0].First-held.First)*size
			w.spans = append(w.spans, span{from, from + int(runs[0].Count)*size})
			runs = runs[1:]
		}
		base += int(held.Count) * size
	}
	if len(runs) > 0 {
		return nil, fmt.Errorf("block %d is not in the frame, or out of order", runs[0].First)
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
