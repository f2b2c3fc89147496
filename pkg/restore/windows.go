package restore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Window is a stretch of history that can be restored, by names of archived WAL alone: from where
// a backup is consistent to the end of the WAL that follows on it without a gap.
type Window struct {
	Timeline pg.TimelineID `json:"timeline"` // on which it ends; recovery_target_timeline
	Backup   string        `json:"backup"`   // the earliest one from which all of it can be reached
	From     pg.LSN        `json:"from_lsn"` // where that is consistent
	FromTime time.Time     `json:"from_time"`
	To       pg.LSN        `json:"to_lsn"` // end of the WAL
	// Missing is the segment that comes next, if there is WAL of the timeline behind it; else "".
	Missing string `json:"missing,omitempty"`
}

// Gap is WAL that is missing between archived segments of one timeline.
type Gap struct {
	Timeline pg.TimelineID `json:"timeline"`
	First    string        `json:"first"` // names of the first and last missing segment
	Last     string        `json:"last"`
	Segments uint64        `json:"segments"`
	// Expired: it lies between the WAL that one backup needs for itself and the beginning of another, as when
	// expire has removed what no backup needs. Other gaps are losses.
	Expired bool `json:"expired"`
}

// Windows gives what of a cluster can be restored, by timeline and position, and the gaps in its
// archive, given its backups as Cluster.Backups lists them. It reads names and history files, no
// segment: a listing for each timeline. What a window of a younger timeline has whole is not told again.
func Windows(ctx context.Context, c *repo.Cluster, backups []*repo.Manifest) ([]Window, []Gap, error) {
	w := windows{view: newWALView(c.WAL(repo.Compression{})), g: c.Info.Geometry, lines: map[pg.TimelineID]pg.History{}}
	archived, err := w.view.archive.Timelines(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, tli := range archived {
		if err := w.line(ctx, pg.TimelineID(tli)); err != nil {
			return nil, nil, err
		}
		if _, err := w.view.segments(ctx, w.g, pg.TimelineID(tli), 0); err != nil { // all, and at once
			return nil, nil, err
		}
	}
	usable := slices.DeleteFunc(slices.Clone(backups), func(m *repo.Manifest) bool { return m.Status != repo.StatusOK })
	slices.SortStableFunc(usable, func(a, b *repo.Manifest) int { return cmp.Compare(a.StopLSN, b.StopLSN) })
	for _, m := range usable {
		// Nothing of the timeline is archived, or its history file is not.
		if h, ok := w.lines[m.Timeline]; !ok || m.Timeline > 1 && len(h.Ancestors) == 0 {
			own, err := pg.ParseHistory(m.Timeline, []byte(m.History))
			if err != nil {
				return nil, nil, err
			}
			w.lines[m.Timeline] = own
		}
	}
	var found []Window
	for _, tli := range w.timelines() {
		of, err := w.of(ctx, w.lines[tli], usable)
		if err != nil {
			return nil, nil, err
		}
		found = append(found, of...)
	}
	gaps, err := w.gaps(ctx, usable)
	return w.withoutRepeats(found), gaps, err
}

// windows is one call of Windows at work.
type windows struct {
	view  *walView
	g     pg.Geometry
	lines map[pg.TimelineID]pg.History
}

func (w *windows) timelines() []pg.TimelineID {
	tlis := make([]pg.TimelineID, 0, len(w.lines))
	for tli := range w.lines {
		tlis = append(tlis, tli)
	}
	slices.Sort(tlis)
	return tlis
}

// line finds the history of a timeline. One without a history file cannot be followed from an older one,
// unless a backup has it.
func (w *windows) line(ctx context.Context, tli pg.TimelineID) error {
	h, ok, err := w.view.historyOf(ctx, tli)
	if err != nil {
		return err
	}
	if !ok {
		h = pg.History{Timeline: tli}
	}
	w.lines[tli] = h
	return nil
}

// of gives the windows on one timeline. Backups come in the order of their ends.
func (w *windows) of(ctx context.Context, h pg.History, backups []*repo.Manifest) ([]Window, error) {
	var found []Window
	for _, m := range backups {
		own, err := pg.ParseHistory(m.Timeline, []byte(m.History))
		if err != nil {
			return nil, err
		}
		if !h.Contains(m.Timeline, m.StopLSN) || !own.SameLine(h, m.Timeline, m.StopLSN) {
			continue
		}
		if n := len(found); n > 0 && m.StopLSN <= found[n-1].To {
			continue // in a window that has begun
		}
		r, err := w.view.reach(ctx, m, h)
		if err != nil {
			return nil, err
		}
		if r.end < m.StopLSN {
			continue // it cannot become consistent
		}
		win := Window{Timeline: h.Timeline, Backup: m.ID, From: m.StopLSN, FromTime: m.FinishedAt, To: r.end}
		if r.later != "" {
			win.Missing = r.missing
		}
		found = append(found, win)
	}
	return found, nil
}

// withoutRepeats drops a window that one on a younger timeline has whole: it ends where that timeline began.
func (w *windows) withoutRepeats(all []Window) []Window {
	return slices.DeleteFunc(slices.Clone(all), func(a Window) bool {
		return slices.ContainsFunc(all, func(b Window) bool {
			return b.Timeline > a.Timeline && b.From <= a.From && b.To >= a.To && w.lines[b.Timeline].Contains(a.Timeline, a.To)
		})
	})
}

// gaps finds what is missing between the first and the last archived segment of each timeline, and
// between a timeline's beginning and what is archived of its parent's.
func (w *windows) gaps(ctx context.Context, backups []*repo.Manifest) ([]Gap, error) {
	var gaps []Gap
	begin, end := map[string]bool{}, map[string]bool{} // the first and last segments that backups need
	for _, m := range backups {
		if names := m.WAL.Segments; m.WAL.Mode == repo.WALArchived && len(names) > 0 {
			begin[names[0]], end[names[len(names)-1]] = true, true
		}
	}
	for _, tli := range w.timelines() {
		there, err := w.view.segments(ctx, w.g, tli, 0)
		if err != nil {
			return nil, err
		}
		segs := make([]pg.SegNo, 0, len(there)+1)
		for n := range there {
			segs = append(segs, n)
		}
		slices.Sort(segs)
		if end, ok := w.leftFor(tli); ok && len(segs) > 0 && segs[len(segs)-1] < end {
			segs = append(segs, end) // which the younger timeline has
		}
		for i := 1; i < len(segs); i++ {
			if n := uint64(segs[i] - segs[i-1] - 1); n > 0 {
				gaps = append(gaps, Gap{
					Timeline: tli, Segments: n,
					First: w.g.WALFileName(tli, segs[i-1]+1), Last: w.g.WALFileName(tli, segs[i]-1),
					Expired: end[w.g.WALFileName(tli, segs[i-1])] && begin[w.g.WALFileName(tli, segs[i])],
				})
			}
		}
	}
	return gaps, nil
}

// leftFor gives the segment in which the last timeline that was built on tli begins.
func (w *windows) leftFor(tli pg.TimelineID) (last pg.SegNo, ok bool) {
	for _, h := range w.lines {
		if n := len(h.Ancestors); n > 0 && h.Ancestors[n-1].Timeline == tli {
			last, ok = max(last, w.g.SegmentOf(h.Ancestors[n-1].End)), true
		}
	}
	return last, ok
}
