package wal

import (
	"context"
	"errors"
	"io/fs"

	"github.com/pgincr/pgincr/pkg/pg"
)

// End gives the end of the longest range from req.From on for which the archive has
// whole segments without a gap: where its last complete record ends. It follows
// req.History and looks at neither req.To nor req.Dir. That the segments in between are
// good is for Build to prove. An archive without the first segment is an *IncompleteError.
func End(ctx context.Context, req MapRequest) (pg.LSN, error) {
	req.To, req.Dir = req.From, ""
	b := &builder{MapRequest: req}
	if err := b.prepare(); err != nil {
		return 0, err
	}
	first := b.Geometry.SegmentOf(b.from)
	next, err := b.firstMissing(ctx, first)
	if err != nil {
		return 0, err
	}
	if next == first {
		return 0, b.missing(b.segmentName(first))
	}
	r := newReader(b.Archive, "")
	for n := next - 1; n >= first; n-- {
		m, err := b.wholeSegment(ctx, r, n)
		switch {
		case err != nil:
			return 0, err
		case m.TailStart != 0:
			return max(b.From, m.TailStart), nil
		case !m.headOpen():
			return m.End, nil
		}
		// All of it lies within one record that began before.
	}
	return b.From, nil
}

// segmentName names segment n as the history has it to its end.
func (b *builder) segmentName(n pg.SegNo) string {
	return b.Geometry.WALFileName(b.History.TimelineAt(b.Geometry.SegmentStart(n+1)-1), n)
}

// firstMissing gives the first segment from n on that the archive lacks. It lists each timeline once.
func (b *builder) firstMissing(ctx context.Context, n pg.SegNo) (pg.SegNo, error) {
	if b.Archive == nil {
		return n, nil
	}
	archived := map[string]bool{}
	listed := map[pg.TimelineID]bool{}
	for ; ; n++ {
		tli := b.History.TimelineAt(b.Geometry.SegmentStart(n+1) - 1)
		if !listed[tli] {
			listed[tli] = true
			names, err := b.Archive.List(ctx, uint32(tli), before(b.Geometry, tli, n))
			if err != nil {
				return 0, err
			}
			for _, name := range names {
				archived[name] = true
			}
		}
		if !archived[b.segmentName(n)] {
			return n, nil
		}
	}
}

// wholeSegment gives the map of an archived segment: the stored one, or one made now.
func (b *builder) wholeSegment(ctx context.Context, r *reader, n pg.SegNo) (*SegmentMap, error) {
	name := b.segmentName(n)
	b.to = b.Geometry.SegmentStart(n + 1)
	m, err := r.stored(ctx, name)
	if err == nil {
		err = b.checkMap(m, n, n)
	}
	if err == nil {
		return m, nil
	}
	m, err = r.scanArchived(ctx, name, scanOrder{start: b.Geometry.SegmentStart(n)})
	if err == nil {
		err = b.checkMap(m, n, n)
	}
	switch {
	case err == nil:
		return m, nil
	case canceled(ctx, err):
		return nil, err
	case errors.Is(err, fs.ErrNotExist):
		return nil, b.missing(name) // it was expired meanwhile
	}
	return nil, b.incomplete(name, "cannot be read", err)
}
