package expire

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Which WAL stays on several timelines, and with backups under way.
func TestWAL(t *testing.T) {
	g := pg.DefaultGeometry()
	name := func(tli pg.TimelineID, n pg.SegNo) string { return g.WALFileName(tli, n) }
	on := func(tli pg.TimelineID, segment pg.SegNo, follow bool) *Verdict {
		start := g.SegmentStart(segment) + 0x28
		return &Verdict{Keep: true, follow: follow, Manifest: &repo.Manifest{
			ID: fmt.Sprintf("b%d-%d", tli, segment), Status: repo.StatusOK, Timeline: tli,
			StartLSN: start, StopLSN: start + 0x100,
			WAL: repo.WALNeed{Mode: repo.WALArchived, Segments: []string{name(tli, segment)}},
		}}
	}
	one := &pg.History{Timeline: 1}
	// Timeline 2 left 1 in segment 5, timeline 3 left 2 in segment 7.
	two := &pg.History{Timeline: 2, Ancestors: []pg.Ancestor{{Timeline: 1, End: g.SegmentStart(5) + 0x1000}}}
	left := pg.Ancestor{Timeline: 2, End: g.SegmentStart(7) + 0x1000}
	three := &pg.History{Timeline: 3, Ancestors: append(two.Ancestors[:1:1], left)}
	all := map[pg.TimelineID]*pg.History{1: one, 2: two, 3: three}
	names := map[pg.TimelineID][]string{
		1: {name(1, 1), name(1, 2), name(1, 3), name(1, 4), name(1, 5) + ".partial", name(1, 5), name(1, 6)},
		2: {name(2, 5), name(2, 6), name(2, 7), name(2, 8)},
		3: {name(3, 7), name(3, 8)},
	}
	for _, tt := range []struct {
		name  string
		kept  []*Verdict
		lines map[pg.TimelineID]*pg.History
		held  []repo.HeldLock
		gone  string
	}{
		{name: "no backup", lines: all},
		{name: "recovery goes on into younger timelines", kept: []*Verdict{on(1, 3, true)}, lines: all, gone: "1.1 1.2"},
		{
			name: "a backup behind where a timeline was left does not lead to it", lines: all,
			kept: []*Verdict{on(1, 6, true), on(3, 8, true)}, gone: "1.1 1.2 1.3 1.4 1.5.partial 1.5 2.5 2.6 2.7 2.8 3.7",
		},
		{name: "newer timelines stay", kept: []*Verdict{on(1, 6, true)}, lines: all, gone: "1.1 1.2 1.3 1.4 1.5.partial 1.5"},
		{
			name: "so do those without a history", kept: []*Verdict{on(3, 8, true)},
			lines: map[pg.TimelineID]*pg.History{1: one, 2: nil, 3: three}, gone: "1.1 1.2 1.3 1.4 1.5.partial 1.5 1.6 3.7",
		},
		{
			name: "own WAL only", kept: []*Verdict{on(1, 2, false), on(3, 7, true)}, lines: all,
			gone: "1.1 1.3 1.4 1.5.partial 1.5 1.6 2.5 2.6 2.7 2.8",
		},
		{
			name: "a backup begins", kept: []*Verdict{on(3, 8, true)}, lines: all,
			held: []repo.HeldLock{{Kind: repo.LockBackup}},
		},
		{
			name: "a backup has begun", kept: []*Verdict{on(3, 8, true)}, lines: all,
			held: []repo.HeldLock{{Kind: repo.LockBackup}, {Kind: repo.LockBackupFrom, Segment: name(2, 6)}},
			gone: "1.1 1.2 1.3 1.4 1.5.partial 1.5 2.5",
		},
		{
			name: "where it began cannot be understood", kept: []*Verdict{on(3, 8, true)}, lines: all,
			held: []repo.HeldLock{{Kind: repo.LockBackup}, {Kind: repo.LockBackupFrom, Segment: "somewhere"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNeed(g, tt.kept, tt.lines, tt.held)
			var gone []string
			for _, tli := range sortedKeys(names) {
				_, remove := n.sortWAL(tli, append(names[tli], "unknown"))
				for _, file := range remove {
					of, segment, err := g.ParseWALFileName(file[:24])
					if err != nil {
						t.Fatal(err)
					}
					gone = append(gone, fmt.Sprintf("%d.%d%s", of, segment, file[24:]))
				}
			}
			if d := cmp.Diff(tt.gone, strings.Join(gone, " ")); d != "" {
				t.Error(d)
			}
		})
	}
}
