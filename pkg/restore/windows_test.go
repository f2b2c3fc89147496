package restore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Windows and gaps follow from the names in the archive and the ends of backups.
func TestWindows(t *testing.T) {
	const mb = 1 << 20 // a WAL segment of fabGeometry
	backup := func(id string, tli pg.TimelineID, start, stop pg.LSN, history string) *repo.Manifest {
		return &repo.Manifest{
			ID: id, Status: repo.StatusOK, Timeline: tli, StartLSN: start, StopLSN: stop, History: history,
			Geometry: fabGeometry(), WAL: repo.WALNeed{Mode: repo.WALArchived},
		}
	}
	needs := func(m *repo.Manifest, first, last pg.SegNo) *repo.Manifest {
		for n := first; n <= last; n++ {
			m.WAL.Segments = append(m.WAL.Segments, fabGeometry().WALFileName(1, n))
		}
		return m
	}
	second := fmt.Sprintf("1\t%s\tpromoted\n", pg.LSN(8*mb+512))
	for _, tt := range []struct {
		name      string
		segments  map[pg.TimelineID][]pg.SegNo
		histories map[pg.TimelineID]string
		backups   []*repo.Manifest
		windows   []string
		gaps      []string
	}{
		{name: "nothing"},
		{
			name:     "one timeline",
			segments: map[pg.TimelineID][]pg.SegNo{1: {1, 2, 3, 4}},
			backups:  []*repo.Manifest{backup("a", 1, 2*mb+100, 2*mb+200, ""), backup("b", 1, 3*mb, 3*mb+10, "")},
			windows:  []string{"1 a 0/2000C8-0/500000"},
		},
		{
			name:     "a gap",
			segments: map[pg.TimelineID][]pg.SegNo{1: {1, 2, 5, 6, 8}},
			backups: []*repo.Manifest{
				backup("a", 1, 2*mb+100, 2*mb+200, ""), backup("lost", 1, 3*mb, 3*mb+10, ""), backup("c", 1, 6*mb, 6*mb+8, ""),
			},
			windows: []string{
				"1 a 0/2000C8-0/300000 without 000000010000000000000003",
				"1 c 0/600008-0/700000 without 000000010000000000000007",
			},
			gaps: []string{
				"000000010000000000000003-000000010000000000000004 2",
				"000000010000000000000007-000000010000000000000007 1",
			},
		},
		{
			name:     "what expire leaves",
			segments: map[pg.TimelineID][]pg.SegNo{1: {2, 3, 6, 7}},
			backups: []*repo.Manifest{
				needs(backup("a", 1, 2*mb+100, 3*mb+200, ""), 2, 3), needs(backup("b", 1, 6*mb, 6*mb+8, ""), 6, 6),
			},
			windows: []string{"1 a 0/3000C8-0/400000 without 000000010000000000000004", "1 b 0/600008-0/800000"},
			gaps:    []string{"000000010000000000000004-000000010000000000000005 2 expired"},
		},
		{
			name:      "promoted",
			segments:  map[pg.TimelineID][]pg.SegNo{1: {5, 6, 7}, 2: {8, 9}},
			histories: map[pg.TimelineID]string{2: second},
			backups:   []*repo.Manifest{backup("a", 1, 5*mb, 5*mb+9, "")},
			windows:   []string{"2 a 0/500009-0/A00000"},
		},
		{
			name:      "promoted, and the old primary went on",
			segments:  map[pg.TimelineID][]pg.SegNo{1: {5, 6, 7, 8, 9, 10}, 2: {8}},
			histories: map[pg.TimelineID]string{2: second},
			backups:   []*repo.Manifest{backup("a", 1, 5*mb, 5*mb+9, ""), backup("b", 2, 8*mb+600, 8*mb+700, second)},
			windows:   []string{"1 a 0/500009-0/B00000", "2 a 0/500009-0/900000"},
		},
		{
			name:     "a history that only a backup has",
			segments: map[pg.TimelineID][]pg.SegNo{1: {5, 6, 7}, 2: {8, 9}},
			backups:  []*repo.Manifest{backup("a", 1, 5*mb, 5*mb+9, ""), backup("b", 2, 8*mb+600, 8*mb+700, second)},
			windows:  []string{"2 a 0/500009-0/A00000"},
		},
		{
			name:      "the end of the old timeline is lost",
			segments:  map[pg.TimelineID][]pg.SegNo{1: {5, 6}, 2: {8, 9}},
			histories: map[pg.TimelineID]string{2: second},
			backups:   []*repo.Manifest{backup("a", 1, 5*mb, 5*mb+9, "")},
			windows:   []string{"2 a 0/500009-0/700000 without 000000010000000000000007"},
			gaps:      []string{"000000010000000000000007-000000010000000000000007 1"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fb := newFab(t, nil)
			archive := fb.cluster.WAL(repo.Compression{})
			for tli, segs := range tt.segments {
				for _, n := range segs {
					must(t, archive.Put(t.Context(), fabGeometry().WALFileName(tli, n), strings.NewReader("wal")))
				}
			}
			for tli, text := range tt.histories {
				must(t, archive.Put(t.Context(), pg.HistoryFileName(tli), strings.NewReader(text)))
			}
			found, missing, err := Windows(t.Context(), fb.cluster, tt.backups)
			must(t, err)
			var windows, gaps []string
			for _, w := range found {
				text := fmt.Sprintf("%d %s %s-%s", w.Timeline, w.Backup, w.From, w.To)
				if w.Missing != "" {
					text += " without " + w.Missing
				}
				windows = append(windows, text)
			}
			for _, g := range missing {
				text := fmt.Sprintf("%s-%s %d", g.First, g.Last, g.Segments)
				if g.Expired {
					text += " expired"
				}
				gaps = append(gaps, text)
			}
			if diff := cmp.Diff(tt.windows, windows); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.gaps, gaps); diff != "" {
				t.Error(diff)
			}
		})
	}
}
