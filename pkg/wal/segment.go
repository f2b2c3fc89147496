package wal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
)

// This file finds the map of one segment of a range: stored, or made now from
// the archived segment or from pg_wal.

// candidates gives the timelines whose file of segment n holds all that the
// history has of it up to position end, oldest first: the timeline that wrote
// the last byte, and those that copied the segment when they began in it.
func (b *builder) candidates(n pg.SegNo, end pg.LSN) []pg.TimelineID {
	first := b.History.TimelineAt(end - 1)
	tlis := []pg.TimelineID{first}
	segEnd := b.Geometry.SegmentStart(n + 1)
	if last := b.History.TimelineAt(segEnd - 1); last != first {
		for _, a := range b.History.Ancestors {
			if a.Timeline > first && a.Timeline < last {
				tlis = append(tlis, a.Timeline)
			}
		}
		tlis = append(tlis, last)
	}
	return tlis
}

// readSegment adds one segment to piece p.
func (b *builder) readSegment(ctx context.Context, r *reader, p *piece, n pg.SegNo) error {
	end := min(b.Geometry.SegmentStart(n+1), b.to)
	for _, tli := range b.candidates(n, end) {
		m, err := r.stored(ctx, MapName(b.Geometry, tli, n, n))
		if err == nil {
			err = b.checkMap(m, n, n)
		}
		if err != nil || !b.reaches(m, end) {
			continue // a map that cannot be read is made again
		}
		b.take(p, m, 1, 0)
		return nil
	}
	m, _, err := b.scanSegment(ctx, r, n)
	if err != nil {
		return err
	}
	b.take(p, m, 0, 1)
	return nil
}

// reaches says whether a whole segment's map proves that a record starts at
// end, or ends there at its very end.
func (b *builder) reaches(m *SegmentMap, end pg.LSN) bool {
	return end == m.End || slices.Contains(m.Redos, recordStart(end, b.Geometry))
}

// errNoRecord: a segment is whole but the range does not end between two of its records.
var errNoRecord = errors.New("no record starts where the range ends")

// scanSegment scans segment n: the archived one, else that in pg_wal. The
// last segment of a range, of which only a part is wanted, is read in pg_wal first: that ties the range
// to the server that is backed up. A name comes along for error messages.
func (b *builder) scanSegment(ctx context.Context, r *reader, n pg.SegNo) (*SegmentMap, string, error) {
	end := min(b.Geometry.SegmentStart(n+1), b.to)
	o := scanOrder{start: b.Geometry.SegmentStart(n)}
	tlis := b.candidates(n, end)
	if b.Geometry.SegmentOf(b.from) == n {
		o.marks = append(o.marks, b.from)
	}
	name := b.Geometry.WALFileName(tlis[0], n)
	var causes []error
	for _, try := range b.sources(n, end) {
		for _, tli := range tlis {
			m, err := try(ctx, r, tli, o)
			if err == nil {
				err = b.checkMap(m, n, 0)
			}
			if err == nil {
				b.noteFrom(r)
				return m, name, nil
			}
			if canceled(ctx, err) {
				return nil, name, err
			}
			if !errors.Is(err, fs.ErrNotExist) {
				causes = append(causes, err)
			}
		}
	}
	if len(causes) > 0 {
		return nil, name, b.incomplete(name, "cannot be read", causes[0])
	}
	return nil, name, b.missing(name)
}

// notIn says where a segment was looked for.
func (b *builder) notIn() string {
	switch {
	case b.Archive == nil:
		return "is not in pg_wal"
	case b.Dir == "":
		return "is not in the archive"
	}
	return "is neither in the archive nor in pg_wal"
}

// noteFrom keeps what the scan has seen at the begin of the range.
func (b *builder) noteFrom(r *reader) {
	if slices.Contains(r.scanner.found, b.from) {
		b.mu.Lock()
		b.fromFound = true
		b.mu.Unlock()
	}
}

// source reads a segment, as a file of timeline tli, from one place.
type source func(ctx context.Context, r *reader, tli pg.TimelineID, o scanOrder) (*SegmentMap, error)

// sources gives the places to look for segment n up to end, in order.
func (b *builder) sources(n pg.SegNo, end pg.LSN) []source {
	const partial = ".partial"
	name := func(tli pg.TimelineID) string { return b.Geometry.WALFileName(tli, n) }
	archived := func(ctx context.Context, r *reader, tli pg.TimelineID, o scanOrder) (*SegmentMap, error) {
		return b.scanAndStore(ctx, r, name(tli), o, end)
	}
	file := func(_ context.Context, r *reader, tli pg.TimelineID, o scanOrder) (*SegmentMap, error) {
		o.stop = end
		return r.scanFile(name(tli), o)
	}
	partialFile := func(_ context.Context, r *reader, tli pg.TimelineID, o scanOrder) (*SegmentMap, error) {
		o.stop = end
		return r.scanFile(name(tli)+partial, o)
	}
	archivedPartial := func(ctx context.Context, r *reader, tli pg.TimelineID, o scanOrder) (*SegmentMap, error) {
		o.stop = end
		return r.scanArchived(ctx, name(tli)+partial, o)
	}
	if end == b.Geometry.SegmentStart(n+1) {
		// The archive is asked again at the end: meanwhile the server may have
		// archived the segment and removed it from pg_wal.
		return []source{archived, file, archivedPartial, partialFile, archived}
	}
	return []source{file, archived, partialFile, archivedPartial}
}

// scanAndStore scans a whole archived segment and stores its map for the next
// time. That fails to store is no error: the map is here.
func (b *builder) scanAndStore(
	ctx context.Context, r *reader, name string, o scanOrder, end pg.LSN,
) (*SegmentMap, error) {
	segEnd := o.start + pg.LSN(b.Geometry.WALSegmentSize)
	mark := recordStart(end, b.Geometry)
	if end != segEnd {
		o.marks = append(o.marks, mark)
	}
	m, err := r.scanArchived(ctx, name, o)
	if err != nil {
		return nil, err
	}
	if end != segEnd && !slices.Contains(r.scanner.found, mark) {
		return nil, fmt.Errorf("%w (%s)", errNoRecord, end)
	}
	if data, err := m.AppendBinary(nil); err == nil {
		_ = b.Archive.PutMap(ctx, name, data) // a shortcut for later runs, nothing more
	}
	return m, nil
}

// checkMap verifies that a map is of the segments first to last (0: of first,
// perhaps not to its end) of this cluster and history.
func (b *builder) checkMap(m *SegmentMap, first, last pg.SegNo) error {
	g := b.Geometry
	switch {
	case m.SystemIdentifier != b.SystemIdentifier:
		return fmt.Errorf("it is WAL of system %d", m.SystemIdentifier)
	case m.SegmentSize != g.WALSegmentSize || m.BlockSize != g.WALBlockSize:
		return fmt.Errorf("it is of %d bytes in pages of %d, not of %d and %d",
			m.SegmentSize, m.BlockSize, g.WALSegmentSize, g.WALBlockSize)
	case m.Start != g.SegmentStart(first) || last != 0 && m.End != g.SegmentStart(last+1):
		return fmt.Errorf("it is WAL from %s to %s", m.Start, m.End)
	}
	from := b.from - b.from%pg.LSN(g.WALBlockSize)
	for i, t := range m.Timelines {
		end := m.End
		if i+1 < len(m.Timelines) {
			end = m.Timelines[i+1].LSN
		}
		end = min(end, b.to)
		page := max(t.LSN, from)
		for ; page < end; page = (end - 1) / pg.LSN(g.WALBlockSize) * pg.LSN(g.WALBlockSize) {
			if want := b.History.TimelineAt(page); want != t.Timeline && !m.begunBefore(want, page) {
				return fmt.Errorf("page at %s is of timeline %d, the history of the server says %d",
					page, t.Timeline, want)
			}
			if page+pg.LSN(g.WALBlockSize) >= end {
				break
			}
		}
	}
	return nil
}
