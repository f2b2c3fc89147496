package pg

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// History is the line of timelines that lead to one timeline: what its
// .history file says.
type History struct {
	Timeline TimelineID
	// Ancestors are the timelines before it, oldest first. Empty on timeline 1.
	Ancestors []Ancestor
}

// Ancestor is one timeline of a history and where the next one left it.
type Ancestor struct {
	Timeline TimelineID
	End      LSN // first position that belongs to the next timeline
	Reason   string
}

// historySpace is what separates the fields of a history line.
const historySpace = " \t\r\v\f"

// ParseHistory reads a .history file (access/timeline.c): lines of parent
// timeline, switch position and reason; blank lines and comments allowed.
func ParseHistory(tli TimelineID, data []byte) (History, error) {
	h := History{Timeline: tli}
	if tli == 0 {
		return h, fmt.Errorf("history: timeline 0")
	}
	last := TimelineID(0)
	number := 0
	for line := range bytes.Lines(data) {
		number++
		text := strings.Trim(strings.TrimSuffix(string(line), "\n"), historySpace)
		if text == "" || text[0] == '#' {
			continue
		}
		a, err := parseAncestor(text)
		if err != nil {
			return History{}, fmt.Errorf("%s: line %d: %w", HistoryFileName(tli), number, err)
		}
		if a.Timeline <= last || a.Timeline >= tli {
			return History{}, fmt.Errorf("%s: line %d: timeline %d out of sequence",
				HistoryFileName(tli), number, a.Timeline)
		}
		last = a.Timeline
		h.Ancestors = append(h.Ancestors, a)
	}
	return h, nil
}

func parseAncestor(line string) (Ancestor, error) {
	id, rest := cutSpace(line)
	position, reason := cutSpace(rest)
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return Ancestor{}, fmt.Errorf("invalid timeline %q", id)
	}
	lsn, err := ParseLSN(position)
	if err != nil {
		return Ancestor{}, err
	}
	return Ancestor{Timeline: TimelineID(n), End: lsn, Reason: reason}, nil
}

// cutSpace divides s at the first stretch of white space.
func cutSpace(s string) (field, rest string) {
	i := strings.IndexAny(s, historySpace)
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], historySpace)
}

// Format writes the history as a .history file that ParseHistory reads. A
// line break in a reason becomes a space.
func (h History) Format() []byte {
	var b bytes.Buffer
	for _, a := range h.Ancestors {
		reason := strings.NewReplacer("\n", " ", "\r", " ").Replace(a.Reason)
		fmt.Fprintf(&b, "%d\t%s\t%s\n", a.Timeline, a.End, reason)
	}
	return b.Bytes()
}

// find gives the index of a timeline in Ancestors, len(Ancestors) for the newest.
func (h History) find(tli TimelineID) (int, bool) {
	for i, a := range h.Ancestors {
		if a.Timeline == tli {
			return i, true
		}
	}
	return len(h.Ancestors), tli == h.Timeline
}

// end gives where ancestor i was left for good. That can be before its End: a
// server that recovers along timeline 2 to a point before 2 began is promoted
// to 3 with 2 as its parent, and the switch from 1 to 2 never happened to it
// (tliOfPointInHistory in access/timeline.c reads such files the same way).
func (h History) end(i int) LSN {
	end := h.Ancestors[i].End
	for _, a := range h.Ancestors[i+1:] {
		end = min(end, a.End)
	}
	return end
}

// Contains says whether position lsn of timeline tli was lived through by this
// history: tli is the newest timeline, or an ancestor and lsn is not behind the
// point where it was left.
func (h History) Contains(tli TimelineID, lsn LSN) bool {
	i, ok := h.find(tli)
	if !ok {
		return false
	}
	return i == len(h.Ancestors) || lsn <= h.end(i)
}

// TimelineAt gives the timeline on which the byte at lsn was written, as this
// history lived it (tliOfPointInHistory).
func (h History) TimelineAt(lsn LSN) TimelineID {
	for i, a := range h.Ancestors {
		if lsn < h.end(i) {
			return a.Timeline
		}
	}
	return h.Timeline
}

// Ranges cuts [from, to) into the stretches of WAL of each timeline, oldest
// first. from lies on timeline tli, which must be in the history.
func (h History) Ranges(tli TimelineID, from, to LSN) ([]WALRange, error) {
	if !h.Contains(tli, from) {
		return nil, fmt.Errorf("position %s of timeline %d is not in the history of timeline %d",
			from, tli, h.Timeline)
	}
	if to < from {
		return nil, fmt.Errorf("WAL range from %s to %s: ends before it begins", from, to)
	}
	var ranges []WALRange
	add := func(t TimelineID, end LSN) {
		if end > from {
			ranges = append(ranges, WALRange{Timeline: t, Start: from, End: end})
			from = end
		}
	}
	i, _ := h.find(tli)
	for ; i < len(h.Ancestors); i++ {
		add(h.Ancestors[i].Timeline, min(h.end(i), to))
	}
	add(h.Timeline, to)
	return ranges, nil
}

// SameLine says whether two histories agree up to and including position lsn on timeline
// tli: the same ancestors with the same ends. It tells apart two standbys
// that were promoted to the same timeline number.
func (h History) SameLine(o History, tli TimelineID, lsn LSN) bool {
	if !h.Contains(tli, lsn) || !o.Contains(tli, lsn) {
		return false
	}
	n, _ := h.find(tli)
	if m, _ := o.find(tli); m != n {
		return false
	}
	for i := range n {
		a, b := h.Ancestors[i], o.Ancestors[i]
		if a.Timeline != b.Timeline || a.End != b.End {
			return false
		}
	}
	return true
}
