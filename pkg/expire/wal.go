package expire

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

// need is the archived WAL that must stay.
type need struct {
	g pg.Geometry
	// all: everything stays, and why.
	all string
	// from is the first segment of each timeline that stays with all behind it.
	from map[pg.TimelineID]floor
	// own are segments that a backup needs for itself, by file name.
	own map[string]string
	// running are where backups that are being taken began: they need all from there on, on any
	// timeline.
	running *floor
}

// floor is a first segment and why.
type floor struct {
	segment pg.SegNo
	reason  string
}

// lower takes f where it lies before what is known.
func lower(old floor, known bool, f floor) floor {
	if known && old.segment <= f.segment {
		return old
	}
	return f
}

// newNeed finds what kept backups and those that are being taken need. lines are the histories of the
// timelines with archived WAL; one that is not known has none, and keeps all its WAL.
//
//   - A backup of which recovery can go on needs all WAL from its start on, on its timeline and on those
//     that came out of it after it was consistent.
//   - Any other needs the segments from its start to its stop position.
//   - A timeline newer than all kept backups may be what the cluster lives on now.
func newNeed(g pg.Geometry, kept []*Verdict, lines map[pg.TimelineID]*pg.History, held []repo.HeldLock) *need {
	n := &need{g: g, from: map[pg.TimelineID]floor{}, own: map[string]string{}}
	newest := pg.TimelineID(0)
	for _, v := range kept {
		if v.Manifest.Status != repo.StatusOK {
			continue
		}
		newest = max(newest, v.Manifest.Timeline)
		if v.Manifest.WAL.Mode == repo.WALArchived {
			for _, name := range v.Manifest.WAL.Segments {
				n.own[name] = "backup " + v.Manifest.ID + " needs it"
			}
		}
	}
	if newest == 0 {
		n.all = "no backup tells what is needed"
	}
	for tli, h := range lines {
		switch {
		case h == nil:
			n.from[tli] = floor{0, "the history of its timeline is not known"}
			continue
		case tli > newest:
			n.from[tli] = floor{0, "its timeline is newer than all backups"}
			continue
		}
		for _, v := range kept {
			if v.follow && v.Manifest.Status == repo.StatusOK && onLine(h, v.Manifest) {
				old, known := n.from[tli]
				n.from[tli] = lower(old, known, floor{g.SegmentOf(v.Manifest.StartLSN), "recovery from backup " + v.Manifest.ID})
			}
		}
	}
	n.locks(held)
	return n
}

// onLine says whether recovery from a backup can come to a timeline.
func onLine(h *pg.History, m *repo.Manifest) bool {
	return h.Timeline == m.Timeline || h.Contains(m.Timeline, m.StopLSN)
}

// locks adds what backups that are being taken need.
func (n *need) locks(held []repo.HeldLock) {
	backups, known := 0, 0
	for _, l := range held {
		switch l.Kind {
		case repo.LockBackup:
			backups++
		case repo.LockBackupFrom:
			_, segment, err := n.g.ParseWALFileName(l.Segment)
			if err != nil {
				n.all = l.String()
				continue
			}
			known++
			f := floor{segment, l.String()}
			if n.running != nil {
				f = lower(*n.running, true, f)
			}
			n.running = &f
		case repo.LockTaking, repo.LockUsing, repo.LockRemoving, repo.LockExpire:
		}
	}
	if backups > known && n.all == "" {
		n.all = "a backup begins"
	}
}

// keeps says why a segment stays, or gives "".
func (n *need) keeps(tli pg.TimelineID, segment pg.SegNo) string {
	if n.all != "" {
		return n.all
	}
	if f, ok := n.from[tli]; ok && segment >= f.segment {
		return f.reason
	}
	if n.running != nil && segment >= n.running.segment {
		return n.running.reason
	}
	return n.own[n.g.WALFileName(tli, segment)]
}

// keepsMap says whether the map of some segments stays: as long as one of them does.
func (n *need) keepsMap(tli pg.TimelineID, first, last pg.SegNo) bool {
	for s := last; ; s-- {
		if n.keeps(tli, s) != "" {
			return true
		}
		if s == first {
			return false
		}
	}
}

// WALRange is a stretch of archived segments of which the same is decided.
type WALRange struct {
	Timeline pg.TimelineID `json:"timeline"`
	First    string        `json:"first"`
	Last     string        `json:"last"`
	Segments int           `json:"segments"`
	Keep     bool          `json:"keep"`
	Reason   string        `json:"reason"`

	next pg.SegNo
}

// sortWAL decides about the archived files of one timeline, given in the order of their names. What is not named
// like a segment or something beside one stays.
func (n *need) sortWAL(tli pg.TimelineID, names []string) (ranges []WALRange, remove []string) {
	for _, name := range names {
		base := name
		if pg.IsPartialWALFileName(name) || pg.IsBackupHistoryFileName(name) {
			base = name[:24]
		}
		of, segment, err := n.g.ParseWALFileName(base)
		if err != nil || of != tli {
			continue
		}
		reason := n.keeps(tli, segment)
		if reason == "" {
			remove = append(remove, name)
		}
		if base != name {
			continue
		}
		keep := reason != ""
		if !keep {
			reason = "no backup needs it"
		}
		if i := len(ranges) - 1; i >= 0 && ranges[i].next == segment && ranges[i].Keep == keep && ranges[i].Reason == reason {
			ranges[i].Last, ranges[i].next = name, segment+1
			ranges[i].Segments++
			continue
		}
		ranges = append(ranges, WALRange{
			Timeline: tli, First: name, Last: name, Segments: 1, Keep: keep, Reason: reason, next: segment + 1,
		})
	}
	return ranges, remove
}

// sortMaps gives the page maps that can go.
func (n *need) sortMaps(names []string) (remove []string) {
	for _, name := range names {
		tli, first, last, ok := wal.ParseMapName(n.g, name)
		if ok && !n.keepsMap(tli, first, last) {
			remove = append(remove, name)
		}
	}
	return remove
}

// sortParts gives the parts of segments that can go.
func (n *need) sortParts(parts []repo.Part) (remove []repo.Part) {
	for _, p := range parts {
		tli, segment, err := n.g.ParseWALFileName(p.Segment)
		if err == nil && n.keeps(tli, segment) == "" {
			remove = append(remove, p)
		}
	}
	return remove
}

// sortedKeys gives the timelines in order.
func sortedKeys(m map[pg.TimelineID][]string) []pg.TimelineID {
	keys := make([]pg.TimelineID, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, cmp.Compare)
	return keys
}

// missing names the first WAL file that a backup needs and the archive lacks.
func missing(m *repo.Manifest, there map[string]bool) string {
	if m.WAL.Mode != repo.WALArchived {
		return ""
	}
	for _, name := range m.WAL.Segments {
		if _, isHistory := pg.ParseHistoryFileName(name); !isHistory && !there[name] {
			return fmt.Sprintf("WAL segment %s is not in the archive", name)
		}
	}
	return ""
}
