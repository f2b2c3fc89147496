package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/wal"
)

// history is what is known of how the server came to its timeline.
type history struct {
	pg.History
	file []byte // content of the .history file; nil on timeline 1, and where there is none
}

// readHistory looks for the history of a timeline in pg_wal, where the server keeps it for good, and
// then in the archive. Where there is none, the timeline has no ancestors, as the server sees it
// as well (readTimeLineHistory): no backup of another timeline can then be a parent.
func readHistory(ctx context.Context, walDir string, archive wal.Archive, tli pg.TimelineID) (
	history, error,
) {
	if tli <= 1 {
		return history{History: pg.History{Timeline: tli}}, nil
	}
	var h pg.History
	b, err := os.ReadFile(filepath.Join(walDir, pg.HistoryFileName(tli)))
	if errors.Is(err, fs.ErrNotExist) {
		h, b, err = wal.ReadHistory(ctx, archive, tli)
	} else if err == nil {
		h, err = pg.ParseHistory(tli, b)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return history{History: pg.History{Timeline: tli}}, nil
	}
	if err != nil {
		return history{}, fmt.Errorf("history of timeline %d: %w", tli, err)
	}
	return history{History: h, file: b}, nil
}

// neededSegments lists the segments of WAL [start, stop), of which start lies on timeline from of history
// h, oldest first.
//
// A segment in which a timeline begins holds the WAL of the timeline before it up to there as
// well (XLogFileCopy), and recovery looks for the newer one first.
func neededSegments(g pg.Geometry, h pg.History, from pg.TimelineID, start, stop pg.LSN) ([]string, error) {
	if stop <= start {
		return nil, fmt.Errorf("WAL from %s to %s: nothing to replay", start, stop)
	}
	ranges, err := h.Ranges(from, start, stop)
	if err != nil {
		return nil, err
	}
	var names []string
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
