package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

// walView is the WAL that recovery from a backup can get: what the archive has.
// It lists each timeline once, unless it has to look further back. Not safe for concurrent use.
type walView struct {
	archive *repo.WALArchive // nil: none, for backups whose line is another than the archive's
	listed  map[pg.TimelineID]listing
}

// listing is what there is of one timeline.
type listing struct {
	from     pg.SegNo // what is before was not looked for, or not all
	segments map[pg.SegNo]bool
}

func newWALView(archive *repo.WALArchive) *walView {
	return &walView{archive: archive, listed: map[pg.TimelineID]listing{}}
}

// segments lists the whole segments of one timeline, those from a number on at least.
func (v *walView) segments(
	ctx context.Context, g pg.Geometry, tli pg.TimelineID, from pg.SegNo,
) (map[pg.SegNo]bool, error) {
	if l, ok := v.listed[tli]; ok && l.from <= from {
		return l.segments, nil
	}
	if v.archive == nil {
		return nil, nil
	}
	after := ""
	if from > 0 {
		after = g.WALFileName(tli, from-1)
	}
	names, err := v.archive.List(ctx, uint32(tli), after)
	if err != nil {
		return nil, err
	}
	s := make(map[pg.SegNo]bool, len(names))
	for _, name := range names {
		if t, n, err := g.ParseWALFileName(name); err == nil && t == tli {
			s[n] = true
		}
	}
	v.listed[tli] = listing{from, s}
	return s, nil
}

// of gives the view for one backup: without the archive, if that is of another line than the WAL that
// the backup carries, and then why.
func (v *walView) of(ctx context.Context, c *repo.Cluster, m *repo.Manifest) (_ *walView, _ archiveLine, err error) {
	if m.WAL.Mode != repo.WALCarried {
		return v, archiveLine{}, nil
	}
	b, err := c.OpenBackup(ctx, m)
	if err != nil {
		return nil, archiveLine{}, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	l, err := lineOf(ctx, b, v.archive)
	if err != nil || l.foreign == "" {
		return v, l, err
	}
	return newWALView(nil), l, nil
}

// historyOf reads a timeline's history file from the archive; ok is false if there is none.
func (v *walView) historyOf(ctx context.Context, tli pg.TimelineID) (h pg.History, ok bool, err error) {
	if v.archive == nil {
		return h, false, nil
	}
	return readHistory(ctx, v.archive, tli)
}

// readHistory reads a timeline's history file from an archive; ok is false if there is none.
func readHistory(ctx context.Context, archive wal.Archive, tli pg.TimelineID) (h pg.History, ok bool, err error) {
	h, _, err = wal.ReadHistory(ctx, archive, tli)
	if errors.Is(err, repo.ErrNotFound) {
		return h, false, nil
	}
	return h, err == nil, err
}

// targetHistory gives the history that recovery from a backup will follow, found as
// the server finds it: the newest timeline is the last of those whose history files follow on
// the backup's without a gap in their numbers (findNewestTimeLine, access/timeline.c).
func (v *walView) targetHistory(ctx context.Context, m *repo.Manifest, timeline string) (pg.History, error) {
	own, err := pg.ParseHistory(m.Timeline, []byte(m.History))
	if err != nil {
		return own, fmt.Errorf("backup %s: %w", m.ID, err)
	}
	if v.archive != nil {
		switch why, err := otherHistory(ctx, m, v.archive); {
		case err != nil:
			return own, err
		case why != "":
			return own, &ReachError{Target: "timeline " + cmp.Or(timeline, "latest"), Backup: m.ID, Reason: why}
		}
	}
	target, name := own, timeline
	switch timeline {
	case "current":
	case "", "latest":
		name = "latest"
		for {
			next, ok, err := v.historyOf(ctx, target.Timeline+1)
			if err != nil {
				return own, err
			}
			if !ok {
				break
			}
			target = next
		}
	default:
		n, err := strconv.ParseUint(timeline, 10, 32)
		if err != nil {
			return own, &OptionError{"target timeline", err.Error()}
		}
		tli := pg.TimelineID(n)
		if tli == own.Timeline {
			break
		}
		h, ok, err := v.historyOf(ctx, tli)
		if tli == 1 {
			h, ok, err = pg.History{Timeline: 1}, true, nil // which has no file
		}
		if err != nil {
			return own, err
		}
		if !ok {
			return own, &ReachError{
				Target: "timeline " + name, Backup: m.ID,
				Reason: pg.HistoryFileName(tli) + " is not in the archive",
			}
		}
		target = h
	}
	if !target.Contains(m.Timeline, m.StopLSN) || !own.SameLine(target, m.Timeline, m.StopLSN) {
		return own, &ReachError{Target: "timeline " + name, Backup: m.ID, Reason: fmt.Sprintf(
			"the backup stops at %s of timeline %d, which timeline %d did not live through",
			m.StopLSN, m.Timeline, target.Timeline)}
	}
	return target, nil
}

// reach is the WAL that recovery can replay without a gap.
type reach struct {
	parts   []wal.SegmentPart // from the segment of the backup's start on
	partial string            // the last of parts, if only parts of it are archived
	end     pg.LSN            // where it ends
	missing string            // the segment that comes next
	later   string            // one that is there behind it: the archive has a gap
}

// reach follows a history from a backup's start as far as there are segments, its carried ones
// included.
func (v *walView) reach(ctx context.Context, m *repo.Manifest, h pg.History) (*reach, error) {
	g := m.Geometry
	carried := map[string]bool{}
	if m.WAL.Mode == repo.WALCarried {
		for _, name := range m.WAL.Segments {
			carried[name] = true
		}
	}
	r := &reach{}
	first := g.SegmentOf(m.StartLSN)
	for n := first; ; n++ {
		start, end := g.SegmentStart(n), g.SegmentStart(n+1)
		ranges, err := h.Ranges(h.TimelineAt(start), start, end)
		if err != nil {
			return nil, err
		}
		// A timeline's first segment begins with a copy of its parent's, so the newest
		// file has it all; an older one ends where its timeline was left.
		r.end, r.missing = start, g.WALFileName(ranges[len(ranges)-1].Timeline, n)
		whole := false
		for i := len(ranges) - 1; i >= 0; i-- {
			tli := ranges[i].Timeline
			archived, err := v.segments(ctx, g, tli, first)
			if err != nil {
				return nil, err
			}
			if name := g.WALFileName(tli, n); archived[n] || carried[name] {
				r.parts = append(r.parts, wal.SegmentPart{Name: name, Start: start, End: ranges[i].End})
				r.end, whole = ranges[i].End, ranges[i].End == end
				break
			}
		}
		if !whole {
			if err := v.received(ctx, g, ranges, n, r); err != nil {
				return nil, err
			}
			return r, v.findLater(ctx, g, h, n, r)
		}
	}
}

// received moves the end to where the parts lead that were received of segment n, which is not complete, and adds what
// there is of it.
func (v *walView) received(ctx context.Context, g pg.Geometry, ranges []pg.WALRange, n pg.SegNo, r *reach) error {
	for i := len(ranges) - 1; v.archive != nil && i >= 0; i-- {
		name, start := g.WALFileName(ranges[i].Timeline, n), g.SegmentStart(n)
		end, err := v.archive.PartialEnd(ctx, name)
		if err != nil {
			return err
		}
		if end == 0 {
			continue
		}
		to := min(start+pg.LSN(end), ranges[i].End)
		if to <= r.end && len(r.parts) > 0 && r.parts[len(r.parts)-1].Start == start {
			return nil // the parent timeline's file has as much
		}
		r.end = max(r.end, to)
		if to = wal.Readable(g, to); to > start {
			r.parts = append(r.parts, wal.SegmentPart{Name: name, Start: start, End: to})
			r.partial = name
		}
		return nil
	}
	return nil
}

// findLater looks for WAL of the history behind segment n.
func (v *walView) findLater(ctx context.Context, g pg.Geometry, h pg.History, n pg.SegNo, r *reach) error {
	tlis := []pg.TimelineID{h.Timeline}
	for _, a := range h.Ancestors {
		tlis = append(tlis, a.Timeline)
	}
	first := pg.SegNo(0)
	for _, tli := range tlis {
		archived, err := v.segments(ctx, g, tli, n)
		if err != nil {
			return err
		}
		for s := range archived {
			if s > n && (first == 0 || s < first) && h.TimelineAt(g.SegmentStart(s)) == tli {
				first, r.later = s, g.WALFileName(tli, s)
			}
		}
	}
	return nil
}

// gap says why recovery does not come further.
func (r *reach) gap() string {
	if r.later != "" {
		return fmt.Sprintf("WAL is there up to %s; segment %s is missing, although %s is there", r.end, r.missing, r.later)
	}
	return fmt.Sprintf("WAL is there up to %s; segment %s is not archived", r.end, r.missing)
}

// opener gives what reads the files of the reach: open for whole ones. Its last segment, of which there were parts, may
// have become whole meanwhile.
func (r *reach) opener(open openWAL, archive *repo.WALArchive, g pg.Geometry) openWAL {
	return func(ctx context.Context, name string) (io.ReadCloser, error) {
		if name != r.partial {
			return open(ctx, name)
		}
		from, to := io.Pipe()
		go func() {
			read := &countedSum{w: to}
			_, err := archive.CopyPartial(ctx, name, int64(g.WALSegmentSize), read)
			if errors.Is(err, repo.ErrNotFound) {
				err = goOn(ctx, open, name, read)
			}
			_ = to.CloseWithError(err) // always nil
		}()
		return &partialReader{from}, nil
	}
}

// countedSum knows how much went through it, and its checksum.
type countedSum struct {
	w   io.Writer
	n   int64
	sum uint32
}

func (c *countedSum) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n, c.sum = c.n+int64(n), pg.UpdateCRC32C(c.sum, p[:n])
	return n, err
}

// goOn writes the rest of a segment that is whole by now, of which the begin was read in parts.
func goOn(ctx context.Context, open openWAL, name string, read *countedSum) (err error) {
	whole, err := open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, whole.Close()) }()
	begin := &countedSum{w: io.Discard}
	if _, err := io.CopyN(begin, whole, read.n); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if begin.sum != read.sum {
		return fmt.Errorf("%s: %w: it does not begin as its parts did", name, repo.ErrCorrupt)
	}
	_, err = io.Copy(read.w, whole)
	return err
}

// openWAL opens a WAL file.
type openWAL func(ctx context.Context, name string) (io.ReadCloser, error)

// partialReader reads a segment of which there are parts.
type partialReader struct{ *io.PipeReader }

// Close reads on to the end, where it shows whether what was read is what was stored.
func (r *partialReader) Close() error {
	_, err := io.Copy(io.Discard, r.PipeReader)
	return errors.Join(err, r.PipeReader.Close())
}
