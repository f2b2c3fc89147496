package wal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/pg"
)

// MapsRequest asks for the maps of everything in an archive.
type MapsRequest struct {
	SystemIdentifier uint64
	Geometry         pg.Geometry
	Archive          Archive
	Jobs             int
}

// MapsBuilt is what BuildMaps found and made.
type MapsBuilt struct {
	Segments int // archived segments
	Made     int // maps of segments that were missing
	Runs     int // maps of runs that were missing
	// Unmapped are the segments that have no map, and why.
	Unmapped []Unmapped
}

// Unmapped is an archived segment whose map cannot be made.
type Unmapped struct {
	Name   string
	Reason string
}

// BuildMaps makes the missing maps of archived segments, req.Jobs at a time,
// and then those of runs of segments, each from sixteen smaller ones. A segment that
// cannot be read does not fail it: it is in the result. Every map stored is
// a commit point of its own; stopping and starting again loses nothing.
//
// Memory: Jobs × (a scanner and the map of the longest run), and the names of all segments.
func BuildMaps(ctx context.Context, req MapsRequest) (*MapsBuilt, error) {
	if err := req.Geometry.Verify(); err != nil {
		return nil, err
	}
	m := &mapMaker{MapsRequest: req, have: map[string]bool{}}
	m.Jobs = max(m.Jobs, 1)
	segments, err := m.list(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.makeSegments(ctx, segments); err != nil {
		return nil, err
	}
	for level := range runSizes {
		if err := m.makeRuns(ctx, level); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(m.built.Unmapped, func(a, b Unmapped) int {
		return cmp.Compare(a.Name, b.Name)
	})
	return &m.built, nil
}

// mapMaker is one BuildMaps at work.
type mapMaker struct {
	MapsRequest

	mu    sync.Mutex // guards what follows
	have  map[string]bool
	built MapsBuilt
}

// archived is an archived segment.
type archived struct {
	tli pg.TimelineID
	n   pg.SegNo
}

// list asks the archive what is there.
func (m *mapMaker) list(ctx context.Context) ([]archived, error) {
	names, err := m.Archive.ListMaps(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("page maps: %w", err)
	}
	for _, name := range names {
		m.have[name] = true
	}
	timelines, err := m.Archive.Timelines(ctx)
	if err != nil {
		return nil, fmt.Errorf("archived timelines: %w", err)
	}
	var segments []archived
	for _, tli := range timelines {
		if names, err = m.Archive.List(ctx, tli, ""); err != nil {
			return nil, fmt.Errorf("archived segments: %w", err)
		}
		for _, name := range names {
			if t, n, err := m.Geometry.ParseWALFileName(name); err == nil && uint32(t) == tli {
				segments = append(segments, archived{t, n})
			}
		}
	}
	m.built.Segments = len(segments)
	return segments, nil
}

// each calls do for all elements, Jobs at a time.
func each[T any](ctx context.Context, m *mapMaker, list []T, do func(context.Context, *reader, T) error) error {
	work := make(chan T)
	g, ctx := errgroup.WithContext(ctx)
	for range min(m.Jobs, len(list)) {
		g.Go(func() error {
			r := newReader(m.Archive, "")
			for v := range work {
				if err := do(ctx, r, v); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(work)
		for _, v := range list {
			select {
			case work <- v:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return g.Wait()
}

func (m *mapMaker) makeSegments(ctx context.Context, segments []archived) error {
	missing := slices.DeleteFunc(slices.Clone(segments), func(s archived) bool {
		return m.have[m.Geometry.WALFileName(s.tli, s.n)]
	})
	return each(ctx, m, missing, m.makeSegment)
}

// makeSegment makes the map of one segment.
func (m *mapMaker) makeSegment(ctx context.Context, r *reader, s archived) error {
	name := m.Geometry.WALFileName(s.tli, s.n)
	sm, err := r.scanArchived(ctx, name, scanOrder{start: m.Geometry.SegmentStart(s.n)})
	if err == nil {
		err = sm.checkName(name)
	}
	if err == nil && sm.SystemIdentifier != m.SystemIdentifier {
		err = fmt.Errorf("it is WAL of system %d", sm.SystemIdentifier)
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m.unmapped(name, err)
		return nil
	}
	return m.store(ctx, name, sm, &m.built.Made)
}

func (m *mapMaker) unmapped(name string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.built.Unmapped = append(m.built.Unmapped, Unmapped{Name: name, Reason: err.Error()})
}

// store stores a map and counts it.
func (m *mapMaker) store(ctx context.Context, name string, sm *SegmentMap, count *int) error {
	data, err := sm.AppendBinary(nil)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := m.Archive.PutMap(ctx, name, data); err != nil {
		return fmt.Errorf("page map %s: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.have[name] = true
	*count++
	return nil
}

// makeRuns makes the maps of one size of runs, whose parts are all there. The
// segments themselves need not be.
func (m *mapMaker) makeRuns(ctx context.Context, level int) error {
	size, part := runSizes[level], pg.SegNo(1)
	if level > 0 {
		part = runSizes[level-1]
	}
	var runs []archived
	for name := range m.have {
		tli, first, last, ok := ParseMapName(m.Geometry, name)
		if !ok || last-first+1 != part || first%size != 0 || m.have[MapName(m.Geometry, tli, first, first+size-1)] {
			continue
		}
		complete := true
		for n := first; n < first+size; n += part {
			complete = complete && m.have[MapName(m.Geometry, tli, n, n+part-1)]
		}
		if complete {
			runs = append(runs, archived{tli, first})
		}
	}
	slices.SortFunc(runs, func(a, b archived) int {
		return cmp.Or(cmp.Compare(a.tli, b.tli), cmp.Compare(a.n, b.n))
	})
	return each(ctx, m, runs, func(ctx context.Context, r *reader, s archived) error {
		return m.makeRun(ctx, r, s, size, part)
	})
}

// makeRun joins the maps of a run's parts. Parts that cannot be joined are no
// error here: no map of the run is made, and Build says why when it needs one.
func (m *mapMaker) makeRun(ctx context.Context, r *reader, s archived, size, part pg.SegNo) error {
	var run *SegmentMap
	for n := s.n; n < s.n+size; n += part {
		sm, err := r.stored(ctx, MapName(m.Geometry, s.tli, n, n+part-1))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // expired meanwhile
		}
		if err == nil && run != nil {
			err = run.Append(sm)
		}
		if errors.Is(err, errTooLong) {
			return nil // of a record that is worth more segments than the run
		}
		if err != nil {
			m.unmapped(MapName(m.Geometry, s.tli, s.n, s.n+size-1), err)
			return nil
		}
		if run == nil {
			run = sm
		}
	}
	if run.cut != nil {
		return nil
	}
	return m.store(ctx, MapName(m.Geometry, s.tli, s.n, s.n+size-1), run, &m.built.Runs)
}
