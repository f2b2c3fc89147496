package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pgincr/pgincr/pkg/pg"
)

// readHistory reads the history of a timeline from pg_wal; timeline 1 has none. The server keeps
// history files there for good.
func readHistory(walDir string, tli pg.TimelineID) (pg.History, []byte, error) {
	if tli <= 1 {
		return pg.History{Timeline: tli}, nil, nil
	}
	b, err := os.ReadFile(filepath.Join(walDir, pg.HistoryFileName(tli)))
	if err != nil {
		return pg.History{}, nil, err
	}
	h, err := pg.ParseHistory(tli, b)
	return h, b, err
}

// walNeed lists the files of WAL [start, stop), of which start lies on timeline from of history h: segments,
// oldest first, and in front of them the history files of the timelines after the first.
//
// A segment in which a timeline begins holds the WAL of the timeline before it up to there as
// well (XLogFileCopy), and recovery looks for the newer one first.
func walNeed(g pg.Geometry, h pg.History, from pg.TimelineID, start, stop pg.LSN) ([]string, error) {
	if stop <= start {
		return nil, fmt.Errorf("WAL from %s to %s: nothing to replay", start, stop)
	}
	ranges, err := h.Ranges(from, start, stop)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, a := range h.Ancestors {
		if a.Timeline > 1 && a.Timeline >= from {
			names = append(names, pg.HistoryFileName(a.Timeline))
		}
	}
	if h.Timeline > 1 {
		names = append(names, pg.HistoryFileName(h.Timeline))
	}
	r := 0
	for seg := g.SegmentOf(start); seg <= g.SegmentOf(stop-1); seg++ {
		for r+1 < len(ranges) && g.SegmentOf(ranges[r+1].Start) <= seg {
			r++
		}
		names = append(names, g.WALFileName(ranges[r].Timeline, seg))
	}
	return names, nil
}

// newerTimeline says whether pg_wal knows a timeline after tli.
func newerTimeline(walDir string, tli pg.TimelineID) (bool, error) {
	_, err := os.Stat(filepath.Join(walDir, pg.HistoryFileName(tli+1)))
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	names, err := readNames(walDir)
	for _, name := range names {
		if t, ok := pg.ParseHistoryFileName(name); ok && t > tli {
			return true, nil
		}
	}
	return false, err
}
