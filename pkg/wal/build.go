package wal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// MapRequest asks for the map of the WAL [From, To) of one history.
type MapRequest struct {
	SystemIdentifier uint64
	Geometry         pg.Geometry
	History          pg.History    // of the server now
	FromTimeline     pg.TimelineID // From lies on it
	From, To         pg.LSN        // both are starts of records
	// Archive holds maps and segments; nil: none.
	Archive Archive
	// Dir is a pg_wal directory to look into for what the archive lacks; "": none.
	Dir string
	// Held is what was in Dir before, for Tied; nil: nothing.
	Held *Held
	Jobs int
}

// Built is a complete map and how it came about.
type Built struct {
	Map      *pagemap.Map
	Segments int // in the range
	Mapped   int // whose stored map was used
	Scanned  int // that were read
}

// IncompleteError: the range has no map. Reason says why in a few words, for the
// result of the backup ("segment 00000001000000000000000A is neither in the archive nor in pg_wal").
type IncompleteError struct {
	Segment string // "": no segment is to blame
	Reason  string
	Err     error // what is behind it; may be nil
	// Unread: the WAL is not there, or what is stored of it cannot be read. That says nothing about the WAL.
	Unread bool
	// Finding: the WAL is whole, from record to record, but with something in it that makes its map unreliable.
	// Unknown: that is a record which changes relations in a way that is not known; the server's
	// summaries say nothing of it.
	Finding, Unknown bool
}

func (e *IncompleteError) Error() string { return "no complete page map: " + e.Reason }

func (e *IncompleteError) Unwrap() error { return e.Err }

// Build proves that the WAL of the range is complete and gives its map, or an
// *IncompleteError. Segments are scanned by req.Jobs workers, in any order.
// The map may hold more than the range: all of the segments at its ends.
//
// Memory: the map, a record that is put together (maxHeld), and readAhead × Jobs times a stored map, in which heads
// and tails are as long as the segment at most.
func Build(ctx context.Context, req MapRequest) (*Built, error) {
	b := &builder{MapRequest: req, built: Built{Map: pagemap.New()}}
	if err := b.prepare(); err != nil {
		return nil, err
	}
	if b.from >= b.to {
		return &b.built, nil
	}
	pieces, err := b.plan(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.read(ctx, pieces); err != nil {
		return nil, err
	}
	if err := b.prove(ctx, b.whole); err != nil {
		return nil, err
	}
	return &b.built, nil
}

// builder is one Build at work.
type builder struct {
	MapRequest
	from, to pg.LSN // behind a page header, and on a page boundary instead, where From and To lie there

	mu        sync.Mutex // guards what follows, and the pieces
	built     Built
	fromFound bool     // a record was seen to start at from
	whole     *Stretch // the first pieces, joined
	joined    int      // how many
}

// piece is a part of the range that one map may cover.
type piece struct {
	tli         pg.TimelineID
	first, last pg.SegNo
	stretches   []*Stretch // set when it was read
	read        bool
}

// readAhead is how many pieces for each worker may have been read and not joined: what they hold of
// records that cross segments takes memory.
const readAhead = 8

// prepare judges the request.
func (b *builder) prepare() error {
	if err := b.Geometry.Verify(); err != nil {
		return err
	}
	switch {
	case b.From%8 != 0 || b.To%8 != 0 || b.To < b.From ||
		inHeader(b.From, b.Geometry) || inHeader(b.To, b.Geometry):
		return fmt.Errorf("WAL range from %s to %s: not a range of records", b.From, b.To)
	case !b.History.Contains(b.FromTimeline, b.From):
		return &IncompleteError{Reason: fmt.Sprintf("position %s of timeline %d is not in the history of timeline %d",
			b.From, b.FromTimeline, b.History.Timeline)}
	}
	b.from, b.to = recordStart(b.From, b.Geometry), recordEnd(b.To, b.Geometry)
	if b.From == b.To {
		b.to = b.from
	}
	b.Jobs = max(b.Jobs, 1)
	return nil
}

// read fills the pieces, in any order, and joins them in that of WAL.
func (b *builder) read(ctx context.Context, pieces []*piece) error {
	ahead := make(chan struct{}, readAhead*b.Jobs)
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(b.Jobs)
	for range min(b.Jobs, len(pieces)) {
		g.Go(func() error {
			r := newReader(b.Archive, b.Dir)
			for {
				select {
				case ahead <- struct{}{}:
				case <-ctx.Done():
					return ctx.Err()
				}
				i := next.Add(1) - 1
				if i >= int64(len(pieces)) {
					return nil
				}
				if err := b.readPiece(ctx, r, pieces[i]); err != nil {
					return err
				}
				n, err := b.joinRead(pieces, int(i))
				if err != nil {
					return err
				}
				for range n {
					<-ahead
				}
			}
		})
	}
	return g.Wait()
}

func (b *builder) readPiece(ctx context.Context, r *reader, p *piece) error {
	if p.first != p.last {
		m, err := r.stored(ctx, MapName(b.Geometry, p.tli, p.first, p.last))
		if err == nil {
			err = b.checkMap(m, p.first, p.last)
		}
		if err == nil {
			b.take(p, m, int(p.last-p.first)+1, 0)
			return nil
		}
		// The map of a run is nothing but a shortcut.
	}
	for n := p.first; n <= p.last; n++ {
		if err := b.readSegment(ctx, r, p, n); err != nil {
			return err
		}
	}
	return nil
}

// take adds a map to the result and keeps what joins it.
func (b *builder) take(p *piece, m *SegmentMap, mapped, scanned int) {
	p.stretches = append(p.stretches, &m.Stretch)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.built.Map.Merge(m.Pages)
	m.Pages = nil // the stretch stays, and must not keep the pages in memory
	b.built.Segments += mapped + scanned
	b.built.Mapped += mapped
	b.built.Scanned += scanned
}

// joinRead proves of the pieces that were read, of which piece i is the latest, that each stretch goes on where the one
// before ends, as far as they have no gap. It gives how many it joined.
func (b *builder) joinRead(pieces []*piece, i int) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	pieces[i].read = true
	begin := b.joined
	for ; b.joined < len(pieces) && pieces[b.joined].read; b.joined++ {
		p := pieces[b.joined]
		for _, s := range p.stretches {
			if b.whole == nil {
				b.whole = s
				continue
			}
			if err := b.whole.join(s, b.built.Map); err != nil {
				name := b.Geometry.WALFileName(p.tli, b.Geometry.SegmentOf(s.Start))
				return 0, b.incomplete(name, "does not continue the WAL before it", err)
			}
		}
		p.stretches = nil
	}
	return b.joined - begin, nil
}

// prove checks that the joined stretch holds the range from record to record,
// and nothing in it that makes the map unreliable.
func (b *builder) prove(ctx context.Context, s *Stretch) error {
	if s.End == b.to && s.missing() > 0 {
		return b.incompleteAt(b.to-1, fmt.Sprintf("has a record that runs over %s, where the range ends", b.To))
	}
	if err := b.proveSwitches(s); err != nil {
		return err
	}
	if !b.fromFound && !slices.Contains(s.Redos, b.from) {
		if err := b.proveFrom(ctx); err != nil {
			return err
		}
	}
	return b.found(s)
}

// found gives the first of the findings in the range; of those, one that leaves no map to be believed.
func (b *builder) found(s *Stretch) error {
	var first *IncompleteError
	for _, f := range s.Findings {
		if f.Last < b.from || f.First >= b.to {
			continue
		}
		at := max(f.First, b.from)
		err := b.incompleteAt(at, fmt.Sprintf("is of no use at %s: %s", at, f.Reason))
		err.Finding, err.Unknown = true, strings.HasSuffix(f.Reason, reasonUnknown)
		if first == nil || err.Unknown && !first.Unknown {
			first = err
		}
	}
	if first == nil {
		return nil
	}
	return first
}

// proveSwitches checks that the WAL goes from timeline to timeline where the
// history of the server does: two standbys may have been promoted to the same
// timeline at different positions.
func (b *builder) proveSwitches(s *Stretch) error {
	// In front of the record that begins a timeline there can be an
	// XLOG_FPW_CHANGE, of 32 bytes, and a page header (StartupXLOG).
	const slack = 32 + longHeaderSize
	ranges, err := b.History.Ranges(b.FromTimeline, b.From, b.To)
	if err != nil {
		return err
	}
	for i := 1; i < len(ranges); i++ {
		tli, at := ranges[i].Timeline, ranges[i].Start
		found := slices.ContainsFunc(s.Begins, func(t TimelineStart) bool {
			return t.Timeline == tli && t.LSN >= at && t.LSN <= at+slack
		})
		if !found && at+slack < b.to {
			return b.incompleteAt(at, fmt.Sprintf(
				"does not begin timeline %d at %s, as the history of the server says", tli, at))
		}
	}
	return nil
}

// proveFrom reads the first segment, whose map was found, for a record at from.
func (b *builder) proveFrom(ctx context.Context) error {
	n := b.Geometry.SegmentOf(b.from)
	r := newReader(b.Archive, b.Dir)
	_, name, err := b.scanSegment(ctx, r, n)
	if err != nil {
		return err
	}
	if !b.fromFound {
		return b.incomplete(name, fmt.Sprintf("has no record at %s, where the range begins", b.From), nil)
	}
	return nil
}

// incomplete makes the error that names a segment and what is wrong with it.
func (b *builder) incomplete(name, what string, err error) *IncompleteError {
	reason := fmt.Sprintf("segment %s %s", name, what)
	if err != nil {
		reason += ": " + err.Error()
	}
	var unread *unreadError
	return &IncompleteError{Segment: name, Reason: reason, Err: err, Unread: errors.As(err, &unread)}
}

// missing makes the error of a segment that is nowhere.
func (b *builder) missing(name string) *IncompleteError {
	err := b.incomplete(name, b.notIn(), nil)
	err.Unread = true
	return err
}

// incompleteAt names the segment that holds the byte at lsn.
func (b *builder) incompleteAt(lsn pg.LSN, what string) *IncompleteError {
	return b.incomplete(b.Geometry.WALFileName(b.History.TimelineAt(lsn), b.Geometry.SegmentOf(lsn)), what, nil)
}

// canceled says whether an error is the caller's own wish to stop.
func canceled(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, ctx.Err())
}
